#include "io/product_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_BYTES_MAX = 64, NEAREST_MAX = 3, DISTANCE_MAX = 4 };

bool wb_product_list_add(wb_product_list *list, const wb_listed *row) {
  if (list->count == list->capacity) {
    uint32_t capacity = list->capacity ? 2 * list->capacity : 256;
    wb_listed *grown = realloc(list->row, capacity * sizeof *grown);
    if (!grown) return false;
    list->row = grown;
    list->capacity = capacity;
  }
  list->row[list->count++] = *row;
  return true;
}

void wb_product_list_free(wb_product_list *list) {
  free(list->row);
  *list = (wb_product_list){0};
}

static int find(const wb_product_list *list, const char *id) {
  for (uint32_t i = 0; i < list->count; i++)
    if (strcmp(list->row[i].id, id) == 0) return (int)i;
  return -1;
}

/* ------------------------------------------------------------------------------------------------ words */

bool wb_glob_match(const char *pattern, const char *text) {
  const char *star = NULL, *from = NULL;
  while (*text) {
    if (*pattern == '*') {
      star = pattern++;
      from = text;
    } else if (*pattern == *text || *pattern == '?') {
      pattern++;
      text++;
    } else if (star) {
      pattern = star + 1;
      text = ++from;
    } else {
      return false;
    }
  }
  while (*pattern == '*') pattern++;
  return *pattern == 0;
}

/* In capitals; one that is too long is cut short, but too long for an id still. */
static void capitals(const char *word, char *text) {
  size_t n = 0;
  for (; word[n] && n < WORD_BYTES_MAX - 1; n++) text[n] = word[n] >= 'a' && word[n] <= 'z' ? (char)(word[n] - 32) : word[n];
  text[n] = 0;
}

static bool is_pattern(const char *word) {
  return *word == '!' || strpbrk(word, "*?") || strncmp(word, "QUOTE:", 6) == 0 || strcmp(word, "ALL") == 0;
}

static bool matches(const char *word, const wb_listed *row) {
  if (strncmp(word, "QUOTE:", 6) == 0) return wb_glob_match(word + 6, row->quote);
  return strcmp(word, "ALL") == 0 || wb_glob_match(word, row->id);
}

bool wb_product_list_wanted(char *const *word) {
  char text[WORD_BYTES_MAX];
  for (; *word; word++) {
    capitals(*word, text);
    if (is_pattern(text)) return true;
  }
  return false;
}

/* ------------------------------------------------------------------------------------------------ nearest */

static unsigned distance(const char *a, const char *b) {
  unsigned row[WB_PRODUCT_ID_BYTES], m = (unsigned)strlen(b);
  for (unsigned j = 0; j <= m; j++) row[j] = j;
  for (; *a; a++) {
    unsigned diagonal = row[0]++;
    for (unsigned j = 1; j <= m; j++) {
      unsigned least = diagonal + (*a != b[j - 1]);
      diagonal = row[j];
      if (row[j] + 1 < least) least = row[j] + 1;
      if (row[j - 1] + 1 < least) least = row[j - 1] + 1;
      row[j] = least;
    }
  }
  return row[m];
}

void wb_product_list_nearest(const wb_product_list *list, const char *id, char *text, size_t size) {
  size_t used = 0, said = 0;
  *text = 0;
  for (unsigned d = 0; d <= DISTANCE_MAX && !said; d++)
    for (uint32_t i = 0; i < list->count && said < NEAREST_MAX && used < size; i++)
      if (distance(id, list->row[i].id) == d)
        used += (size_t)snprintf(text + used, size - used, "%s%s", said++ ? ", " : "", list->row[i].id);
}

/* ------------------------------------------------------------------------------------------------ choosing */

typedef struct choice {
  const wb_product_list *list;
  char *const *word;
  char separator;
  wb_products *products;
  void (*warn)(void *self, const char *text);
  void *self;
  bool *chosen; /* per row */
  wb_error *error;
} choice;

static int put(choice *c, const char *id, const wb_product *like) {
  bool slash = c->separator != '/' && strchr(id, '/');
  int index = slash ? WB_E_SYNTAX : wb_products_add_as(c->products, id, strlen(id), like);
  if (index >= 0) return 0;
  if (index == WB_E_FULL)
    return wb_error_set(c->error, WB_E_CONFIG, 0, "product", "more than %u products", c->products->capacity);
  return wb_error_set(c->error, WB_E_CONFIG, 0, "product", "'%s' is no product id (BTC-USD, ETH-EUR, ...)", id);
}

static int put_row(choice *c, uint32_t i, bool named) {
  const wb_listed *row = &c->list->row[i];
  char text[160];
  *text = 0;
  int target = *row->alias ? find(c->list, row->alias) : -1;
  bool alias = target >= 0 && (uint32_t)target != i && c->chosen[target];
  if (named && alias) snprintf(text, sizeof text, "%s has no book of its own, it is that of %s", row->id, row->alias);
  else if (named && !row->trades) snprintf(text, sizeof text, "%s does not trade, as the exchange lists it", row->id);
  if (*text) c->warn(c->self, text);
  const wb_product like = {.price_decimals = row->price_decimals, .size_decimals = row->size_decimals};
  return alias ? 0 : put(c, row->id, &like);
}

/* The row that a word names, or -1 with *error. */
static int named_row(const choice *c, const char *id) {
  int row = find(c->list, id);
  if (row >= 0) return row;
  char near[4 * WB_PRODUCT_ID_BYTES];
  wb_product_list_nearest(c->list, id, near, sizeof near);
  wb_error_set(c->error, WB_E_CONFIG, 0, "product", "%s is not on the exchange's list%s%s%s", id,
               *near ? "; did you mean " : "", near, *near ? "?" : "");
  return -1;
}

/* Goes through the words that are ids; each is done with. */
static int each_named(choice *c, int (*done)(choice *c, const char *id)) {
  for (char *const *word = c->word; *word; word++) {
    char text[WORD_BYTES_MAX + 4];
    capitals(*word, text);
    if (is_pattern(text)) continue;
    for (char *at = text; *at; at++)
      if (*at == '-') *at = c->separator;
    if (!strchr(text, c->separator)) sprintf(text + strlen(text), "%cUSD", c->separator);
    int result = done(c, text);
    if (result != 0) return result;
  }
  return 0;
}

static int put_named(choice *c, const char *id) {
  static const wb_product plain = {.price_decimals = WB_DECIMALS_DEFAULT, .size_decimals = WB_DECIMALS_DEFAULT};
  return c->list ? put_row(c, (uint32_t)find(c->list, id), true) : put(c, id, &plain);
}

static int mark_named(choice *c, const char *id) {
  int row = named_row(c, id);
  if (row < 0) return WB_E_CONFIG;
  c->chosen[row] = true;
  return 0;
}

/* Marks what the patterns choose; each of them must choose something. */
static int mark_patterns(choice *c) {
  bool *left_out = calloc(c->list->count + 1, sizeof *left_out);
  if (!left_out) return wb_error_set(c->error, WB_E_MEMORY, 0, "product", "no memory");
  char text[WORD_BYTES_MAX];
  for (char *const *word = c->word; *word; word++) {
    capitals(*word, text);
    for (uint32_t i = 0; *text == '!' && i < c->list->count; i++) left_out[i] |= matches(text + 1, &c->list->row[i]);
  }
  int result = 0;
  for (char *const *word = c->word; *word && result == 0; word++) {
    capitals(*word, text);
    if (!is_pattern(text) || *text == '!') continue;
    bool any = false;
    for (uint32_t i = 0; i < c->list->count; i++)
      if (c->list->row[i].trades && !left_out[i] && matches(text, &c->list->row[i])) c->chosen[i] = any = true;
    if (!any)
      result = wb_error_set(c->error, WB_E_CONFIG, 0, "product", "'%s' chooses none of the %u products that are listed", *word,
                            c->list->count);
  }
  free(left_out);
  return result;
}

static int choose_of_list(choice *c) {
  c->chosen = calloc(c->list->count + 1, sizeof *c->chosen);
  if (!c->chosen) return wb_error_set(c->error, WB_E_MEMORY, 0, "product", "no memory");
  int result = each_named(c, mark_named);
  if (result == 0) result = mark_patterns(c);
  if (result == 0) result = each_named(c, put_named);
  for (uint32_t i = 0; i < c->list->count && result == 0; i++)
    if (c->chosen[i] && wb_products_find(c->products, c->list->row[i].id, strlen(c->list->row[i].id)) < 0)
      result = put_row(c, i, false);
  free(c->chosen);
  return result;
}

int wb_product_list_choose(const wb_product_list *list, char *const *word, char separator, wb_products *products,
                           void (*warn)(void *self, const char *text), void *self, wb_error *error) {
  choice c = {
      .list = list, .word = word, .separator = separator, .products = products, .warn = warn, .self = self, .error = error};
  if (!list && wb_product_list_wanted(word))
    return wb_error_set(error, WB_E_CONFIG, 0, "product",
                        "'all' and patterns need the exchange's list of products: --products-from");
  int result = list ? choose_of_list(&c) : each_named(&c, put_named);
  if (result == 0 && products->count == 0) return wb_error_set(error, WB_E_CONFIG, 0, "product", "no product is named");
  return result;
}
