#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "io/dashboard.h"
#include "io/face_modules.h"

/* What a page of ours may do: load from here, talk to here, and be in nobody's frame. */
#define FIELDS                                                                                                                 \
  "Content-Security-Policy: default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "                      \
  "frame-ancestors 'none'\r\n"                                                                                                 \
  "Referrer-Policy: no-referrer\r\n"                                                                                           \
  "Cross-Origin-Resource-Policy: same-origin\r\n"                                                                              \
  "Cache-Control: no-cache\r\n"                                                                                                \
  "Vary: Accept-Encoding\r\n"

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
    if (element.bytes == 4 && strncasecmp(element.at, "gzip", 4) == 0)
      return true; /* with a q it may mean no: plain is right, too */
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

static void give(wb_face_client *client, const wb_face_request *request, const char *path) {
  const wb_asset *asset = wb_dashboard_assets;
  while (asset->path && strcmp(asset->path, path) != 0) asset++;
  if (!asset->path) {
    wb_face_refuse(client, 404, "NotFound");
    return;
  }
  bool gzip = takes_gzip(wb_http_header(request->head, request->head_bytes, "Accept-Encoding"));
  char fields[512];
  snprintf(fields, sizeof fields, FIELDS "ETag: \"%s%s\"\r\n%s", asset->hash, gzip ? "-gzip" : "",
           gzip ? "Content-Encoding: gzip\r\n" : "");
  if (has(wb_http_header(request->head, request->head_bytes, "If-None-Match"), asset->hash))
    wb_face_answer(client, 304, asset->type, fields, NULL, 0);
  else if (gzip) wb_face_answer_lent(client, 200, asset->type, fields, asset->gzip, asset->gzip_bytes, NULL, NULL);
  else wb_face_answer_lent(client, 200, asset->type, fields, asset->plain, asset->plain_bytes, NULL, NULL);
}

static void page(wb_face_client *client, const wb_face_request *request) { give(client, request, "index.html"); }

static void file(wb_face_client *client, const wb_face_request *request) { give(client, request, request->word[0]); }

static void library(wb_face_client *client, const wb_face_request *request) {
  char path[sizeof "vendor/" + WB_FACE_WORD_BYTES];
  snprintf(path, sizeof path, "vendor/%s", request->word[0]);
  give(client, request, path);
}

static const wb_face_route routes[] = {
    {"GET", "/", page}, {"GET", "/dashboard/*", file}, {"GET", "/dashboard/vendor/*", library}, {0}};

const wb_face_module wb_face_dashboard = {.name = "dashboard", .route = routes, .open_to_all = true};
