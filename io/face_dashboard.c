#include <string.h>
#include <strings.h>

#include "io/dashboard.h"
#include "io/face_route.h"

/* What a page of ours may do: load from here, talk to here, and be in nobody's frame. */
#define FIELDS                                                                                                                 \
  "Content-Security-Policy: default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "                      \
  "frame-ancestors 'none'\r\n"                                                                                                 \
  "X-Content-Type-Options: nosniff\r\n"                                                                                        \
  "Referrer-Policy: no-referrer\r\n"                                                                                           \
  "Cross-Origin-Resource-Policy: same-origin\r\n"                                                                              \
  "Cache-Control: no-cache\r\n"                                                                                                \
  "Vary: Accept-Encoding\r\n"

static const wb_asset *find(const char *path) {
  for (const wb_asset *asset = wb_dashboard_assets; asset->path; asset++)
    if (strcmp(asset->path, path) == 0) return asset;
  return NULL;
}

/* Takes the next element of a list with commas, without blanks around it; false: there is none. */
static bool next(wb_http_text *list, wb_http_text *element) {
  while (list->bytes && strchr(" \t,", *list->at)) list->at++, list->bytes--;
  if (!list->bytes) return false;
  const char *comma = memchr(list->at, ',', list->bytes);
  size_t bytes = comma ? (size_t)(comma - list->at) : list->bytes;
  *element = (wb_http_text){list->at, bytes};
  list->at += bytes, list->bytes -= bytes;
  while (element->bytes && strchr(" \t", element->at[element->bytes - 1])) element->bytes--;
  return true;
}

static bool takes_gzip(wb_http_text list) {
  wb_http_text element;
  while (next(&list, &element))
    if (element.bytes == 4 && strncasecmp(element.at, "gzip", 4) == 0) return true; /* with a q it may mean no: plain is right, too */
  return false;
}

static bool has(wb_http_text list, const char *hash) {
  wb_http_text element;
  size_t bytes = strlen(hash);
  while (next(&list, &element)) {
    if (element.bytes == 1 && *element.at == '*') return true;
    if (element.bytes > 2 && memcmp(element.at, "W/", 2) == 0) element.at += 2, element.bytes -= 2;
    if (element.bytes > bytes && memcmp(element.at + 1, hash, bytes) == 0) return true; /* "hash" or "hash-gzip" */
  }
  return false;
}
