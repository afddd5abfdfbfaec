#include "tools/products.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/deal.h"
#include "io/product_fetch.h"

/* ------------------------------------------------------------------------------------------------ words */

typedef struct words {
  char **word; /* NULL-terminated */
  size_t count;
} words;

static int add(words *to, const char *text, size_t bytes, wb_error *error) {
  char **grown = realloc(to->word, (to->count + 2) * sizeof *grown);
  if (grown) {
    to->word = grown;
    to->word[to->count + 1] = NULL;
    to->word[to->count] = strndup(text, bytes);
  }
  if (!grown || !to->word[to->count]) return wb_error_set(error, WB_E_MEMORY, ENOMEM, "product", "no memory");
  to->count++;
  return 0;
}

static int add_file(words *to, const char *path, wb_error *error) {
  FILE *file = fopen(path, "re");
  if (!file) return wb_error_set(error, WB_E_CONFIG, errno, "product", "cannot read %s: %s", path, strerror(errno));
  char word[128];
  int result = 0;
  while (result == 0 && fscanf(file, "%*[ \t\r\n\v\f,]") != EOF && fscanf(file, "%127[^ \t\r\n,]", word) == 1)
    if (word[0] == '#') {
      if (fscanf(file, "%*[^\n]") == EOF) break;
    } else {
      result = add(to, word, strlen(word), error);
    }
  fclose(file);
  return result;
}

static int words_of(char *const *list, words *to, wb_error *error) {
  to->count = 0;
  to->word = calloc(1, sizeof *to->word);
  int result = to->word ? 0 : wb_error_set(error, WB_E_MEMORY, ENOMEM, "product", "no memory");
  for (; result == 0 && *list; list++) {
    if (**list == '@') result = add_file(to, *list + 1, error);
    for (const char *at = *list; **list != '@' && result == 0 && *at;) {
      size_t bytes = strcspn(at, ",");
      if (bytes) result = add(to, at, bytes, error);
      at += bytes + (at[bytes] == ',');
    }
  }
  return result;
}

static void words_free(words *to) {
  for (size_t i = 0; i < to->count; i++) free(to->word[i]);
  free(to->word);
}

/* ------------------------------------------------------------------------------------------------ tables */

static void warn(void *command, const char *text) {
  fprintf(stderr, "wirebook %s: warning: %s\n", (const char *)command, text);
}

static int fetch(const wb_products_source *source, char *const *word, const char *command, wb_product_list *list,
                 wb_error *error) {
  const char *from = source->from;
  if (!from && (!source->own || !wb_product_list_wanted(word))) return 0;
  if (!from || strcmp(from, "rest") == 0) from = source->codec->products_url;
  if (!from)
    return wb_error_set(error, WB_E_CONFIG, 0, "product", "the list of products of %s is not known: name them",
                        source->codec->name);
  char agent[] = "wirebook/" WB_VERSION;
  return wb_product_list_fetch(list, from,
                               &(wb_rest_config){.ca_file = source->ca_file, .insecure = source->insecure, .user_agent = agent},
                               warn, (void *)command, error);
}

static wb_products *open_listed(char *const *list, char separator, const wb_products_source *source, const char *command,
                                wb_error *error) {
  size_t head = (sizeof(wb_products) + 63) & ~(size_t)63;
  uint8_t *memory = aligned_alloc(64, (head + wb_products_bytes(WB_PRODUCT_COUNT_MAX) + 63) & ~(size_t)63);
  if (!memory) {
    wb_error_set(error, WB_E_MEMORY, ENOMEM, "product", "no memory");
    return NULL;
  }
  wb_products *products = (void *)memory;
  wb_products_init(products, memory + head, WB_PRODUCT_COUNT_MAX);
  words given;
  wb_product_list listed = {0};
  int result = words_of(list, &given, error);
  if (result == 0 && source) result = fetch(source, given.word, command, &listed, error);
  if (result == 0)
    result =
        wb_product_list_choose(listed.count ? &listed : NULL, given.word, separator, products, warn, (void *)command, error);
  wb_product_list_free(&listed);
  words_free(&given);
  if (result == 0) return products;
  free(memory);
  return NULL;
}

wb_products *wb_products_open_listed(char *const *list, const wb_products_source *source, const char *command,
                                     wb_error *error) {
  return open_listed(list, source->codec->separator, source, command, error);
}

wb_products *wb_products_open(char *const *list, char separator, wb_error *error) {
  return open_listed(list, separator, NULL, "", error);
}

void wb_products_close(wb_products *products) { free(products); }

/* ------------------------------------------------------------------------------------------------ connections */

/* How many messages each product had, by a report; one that the report does not know has as many as there are on average. */
static int weigh(const wb_products *products, const char *path, uint64_t *weight, wb_error *error) {
  json_error_t why;
  json_t *report = json_load_file(path, 0, &why);
  const json_t *told = json_object_get(report, "products");
  if (!json_is_object(told)) {
    json_decref(report);
    return wb_error_set(error, WB_E_CONFIG, 0, "weights", "%s is no report of a run%s%s", path, report ? "" : ": ",
                        report ? "" : why.text);
  }
  uint64_t sum = 0, known = 0;
  for (uint32_t i = 0; i < products->count; i++) {
    const json_t *own = json_object_get(told, products->product[i].id);
    json_int_t messages =
        json_integer_value(json_object_get(own, "updates")) + json_integer_value(json_object_get(own, "snapshots"));
    weight[i] = messages > 0 && messages < INT64_MAX / WB_PRODUCT_COUNT_MAX ? (uint64_t)messages : 0;
    sum += weight[i];
    known += own != NULL;
  }
  for (uint32_t i = 0; i < products->count && known; i++)
    if (!json_object_get(told, products->product[i].id)) weight[i] = sum / known;
  json_decref(report);
  return 0;
}

/* Which of parts each product goes to, to be freed; NULL on failure. */
static uint8_t *dealt(const wb_products *products, unsigned parts, const char *report, wb_error *error) {
  uint64_t *weight = calloc(products->count, sizeof *weight);
  uint32_t *order = calloc(products->count, sizeof *order);
  uint8_t *part = calloc(products->count, 1);
  int result = weight && order && part ? 0 : wb_error_set(error, WB_E_MEMORY, ENOMEM, "connections", "no memory");
  if (result == 0 && report) result = weigh(products, report, weight, error);
  if (result == 0) wb_deal(weight, products->count, parts, order, part);
  free(weight);
  free(order);
  if (result == 0) return part;
  free(part);
  return NULL;
}

int wb_products_deal(wb_products *products, unsigned connections, const char *report, wb_error *error) {
  uint8_t *part = dealt(products, connections, report, error);
  if (!part) return error->code;
  for (uint32_t i = 0; i < products->count; i++) products->product[i].part = part[i];
  free(part);
  return 0;
}

int wb_products_shard(wb_products *products, const char *shard, const char *report, wb_error *error) {
  char *slash = "", *end = "";
  unsigned long number = *shard >= '0' && *shard <= '9' ? strtoul(shard, &slash, 10) : 0;
  unsigned long count = *slash == '/' && slash[1] >= '0' && slash[1] <= '9' ? strtoul(slash + 1, &end, 10) : 0;
  if (*end || count < 1 || count > UINT8_MAX || number >= count)
    return wb_error_set(error, WB_E_CONFIG, 0, "shard", "--shard '%s' is not N/M, M being 1 to %d and N 0 to M - 1", shard,
                        UINT8_MAX);
  uint8_t *part = dealt(products, (unsigned)count, report, error);
  wb_product *all = part ? malloc(products->count * sizeof *all) : NULL;
  if (!all) {
    free(part);
    return part ? wb_error_set(error, WB_E_MEMORY, ENOMEM, "shard", "no memory") : error->code;
  }
  uint32_t all_count = products->count;
  memcpy(all, products->product, all_count * sizeof *all);
  wb_products_init(products, products->product, products->capacity);
  for (uint32_t i = 0; i < all_count; i++)
    if (part[i] == number) wb_products_add_as(products, all[i].id, all[i].id_bytes, &all[i]);
  free(all);
  free(part);
  if (products->count) return 0;
  return wb_error_set(error, WB_E_CONFIG, 0, "shard", "--shard %s has none of the %u products", shard, all_count);
}
