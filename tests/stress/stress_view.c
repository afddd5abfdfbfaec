/* V1: one writer publishes views whose words all follow from one number, every other time the live words alone; readers check that what they
 * copy is of one publication, or of two that stand beside each other where it should be, and that publications never go backwards. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/stages/view.h"

#ifdef __SANITIZE_THREAD__
enum { PUBLICATIONS = 200000 };
#else
enum { PUBLICATIONS = 5000000 };
#endif
enum { READERS = 2 };

static wb_view view;

static uint64_t word_of(uint64_t n, unsigned index) {
  if (index >= WB_VIEW_LIVE_WORDS) n -= n % 2 == 0; /* odd ones are whole */
  return n * UINT64_C(0x9e3779b97f4a7c15) + index;
}

static void *reader(void *reads) {
  uint64_t last = 0, count = 0;
  while (last < PUBLICATIONS) {
    union {
      wb_view_data data;
      uint64_t word[WB_VIEW_WORDS];
    } copy;
    wb_view_read(&view, &copy.data);
    uint64_t n = copy.word[0];
    if (n == 0) continue; /* nothing published yet */
    for (unsigned i = 1; i < WB_VIEW_WORDS; i++)
      if (copy.word[i] != word_of(n, i)) {
        printf("stress_view: word %u is not of publication %llu\n", i, (unsigned long long)n);
        exit(1);
      }
    if (n < last) {
      printf("stress_view: publication %llu after %llu\n", (unsigned long long)n, (unsigned long long)last);
      exit(1);
    }
    last = n;
    count++;
  }
  *(uint64_t *)reads = count;
  return NULL;
}

int main(void) {
  pthread_t thread[READERS];
  uint64_t reads[READERS];
  for (unsigned i = 0; i < READERS; i++) pthread_create(&thread[i], NULL, reader, &reads[i]);
  for (uint64_t n = 1; n <= PUBLICATIONS; n++) {
    wb_view_begin(&view);
    wb_word_store(&view.word[0], n);
    for (unsigned i = 1; i < (n & 1 ? WB_VIEW_WORDS : WB_VIEW_LIVE_WORDS); i++) wb_word_store(&view.word[i], word_of(n, i));
    wb_view_end(&view);
  }
  for (unsigned i = 0; i < READERS; i++) pthread_join(thread[i], NULL);
  printf("stress_view: %d publications, %llu and %llu whole reads\n", PUBLICATIONS, (unsigned long long)reads[0],
         (unsigned long long)reads[1]);
  return 0;
}
