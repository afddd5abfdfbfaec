/* fuzz_products.c - the values of --product, and the file that @FILE names, against a list that is searched from its beginning.
 *
 * Input:   byte 0: whether the rest is a file ('@'), or values, one a line, ids between commas.
 * Oracle:  the same ids in the same order, or a refusal with a reason. Every id is found, under its own index and no other. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/products.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES_MAX = 1 << 16, VALUES_MAX = 1024 };

static char wanted[WB_PRODUCT_COUNT_MAX][WB_PRODUCT_ID_BYTES];
static unsigned wanted_count;

static bool want(const char *word, size_t bytes) {
  char id[WB_PRODUCT_ID_BYTES] = "";
  size_t n = 0;
  bool quote = false;
  for (size_t i = 0; i < bytes; i++) {
    char c = word[i] >= 'a' && word[i] <= 'z' ? (char)(word[i] - 32) : word[i];
    if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_')) return false;
    if (n == sizeof id - 1) return false;
    quote |= c == '-';
    id[n++] = c;
  }
  if (strcmp(id, "ALL") == 0) return false;
  if (!quote) {
    if (n + 4 >= sizeof id) return false;
    strcat(id, "-USD");
  }
  for (unsigned i = 0; i < wanted_count; i++)
    if (strcmp(wanted[i], id) == 0) return true;
  if (wanted_count == WB_PRODUCT_COUNT_MAX) return false;
  strcpy(wanted[wanted_count++], id);
  return true;
}

/* Ids between commas. */
static bool want_list(const char *text) {
  bool good = true;
  for (size_t bytes; *text; text += bytes + (text[bytes] == ',')) {
    bytes = strcspn(text, ",");
    if (bytes) good = good && want(text, bytes);
  }
  return good;
}

/* Words end at blanks and commas; one that begins with # takes the rest of its line with it. */
static bool want_file(const char *text, size_t bytes) {
  for (size_t i = 0; i < bytes;) {
    if (strchr(" \t\r\n\v\f,", text[i])) {
      i++;
      continue;
    }
    size_t n = 0;
    while (i + n < bytes && !strchr(" \t\r\n,", text[i + n])) n++;
    if (text[i] == '#')
      while (i + n < bytes && text[i + n] != '\n') n++;
    else if (!want(text + i, n)) return false;
    i += n;
  }
  return true;
}

static void check(char *const *list, bool good) {
  wb_error error = {0};
  wb_products *products = wb_products_open(list, '-', &error);
  WB_CHECK((products != NULL) == (good && wanted_count > 0));
  if (!products) {
    WB_CHECK(error.code == WB_E_CONFIG && error.detail[0]);
    return;
  }
  WB_CHECK(products->count == wanted_count);
  for (unsigned i = 0; i < wanted_count; i++) {
    size_t bytes = strlen(wanted[i]);
    WB_CHECK(strcmp(products->product[i].id, wanted[i]) == 0 && products->product[i].id_bytes == bytes);
    WB_CHECK(wb_products_find(products, wanted[i], bytes) == (int)i);
    unsigned shorter = 0;
    while (shorter < wanted_count && !(strlen(wanted[shorter]) == bytes - 1 && !memcmp(wanted[shorter], wanted[i], bytes - 1)))
      shorter++;
    WB_CHECK(wb_products_find(products, wanted[i], bytes - 1) == (shorter < wanted_count ? (int)shorter : -1));
  }
  wb_products_close(products);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1 || size > INPUT_BYTES_MAX || memchr(data, 0, size)) return 0;
  wanted_count = 0;
  const char *text = (const char *)data + 1;
  size--;
  if (data[0] == '@') {
    int fd = memfd_create("products", MFD_CLOEXEC);
    WB_CHECK(fd >= 0 && write(fd, text, size) == (ssize_t)size);
    char path[64];
    snprintf(path, sizeof path, "@/proc/self/fd/%d", fd);
    check((char *[]){path, NULL}, want_file(text, size));
    close(fd);
    return 0;
  }
  char *copy = calloc(1, size + 1), *rest = copy, *value;
  memcpy(copy, text, size);
  char *list[VALUES_MAX + 1];
  unsigned count = 0;
  bool good = true;
  while (count < VALUES_MAX && (value = strsep(&rest, "\n")))
    if (*value && *value != '@') {
      list[count++] = value;
      good = good && want_list(value);
    }
  list[count] = NULL;
  check(list, good);
  free(copy);
  return 0;
}
