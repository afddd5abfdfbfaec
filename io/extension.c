#include "io/extension.h"

#include <stdio.h>
#include <string.h>

enum { WINDOW_BITS_ZLIB_MIN = 9, WINDOW_BITS_MAX = 15 };

enum { SERVER_NO_TAKEOVER, CLIENT_NO_TAKEOVER, SERVER_BITS, CLIENT_BITS, PARAMETER_COUNT };
static const char *const parameter_names[] = {"server_no_context_takeover", "client_no_context_takeover",
                                              "server_max_window_bits", "client_max_window_bits"};

typedef struct cursor {
  const char *at, *end;
} cursor;

/* One element of the list. */
typedef struct element {
  bool is_deflate;
  bool has[PARAMETER_COUNT];
  uint8_t bits[PARAMETER_COUNT]; /* 0: no value */
  const char *complaint;
} element;

typedef struct word {
  char text[64]; /* longer ones are cut: none that is known is */
  size_t bytes;
} word;

static bool is_token(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void word_add(word *w, char c) {
  if (w->bytes + 1 < sizeof w->text) w->text[w->bytes++] = c;
  w->text[w->bytes] = 0;
}

static void skip_blanks(cursor *c) {
  while (c->at < c->end && (*c->at == ' ' || *c->at == '\t')) c->at++;
}

static bool skip(cursor *c, char wanted) {
  skip_blanks(c);
  if (c->at == c->end || *c->at != wanted) return false;
  c->at++;
  skip_blanks(c);
  return true;
}

static bool read_token(cursor *c, word *w) {
  *w = (word){{0}, 0};
  while (c->at < c->end && is_token(*c->at)) word_add(w, *c->at++);
  return w->bytes > 0;
}

/* RFC 6455 9.1: a value may be quoted, and is a token all the same. */
static bool read_value(cursor *c, word *w) {
  if (c->at == c->end || *c->at != '"') return read_token(c, w);
  *w = (word){{0}, 0};
  for (c->at++; c->at < c->end && *c->at != '"'; c->at++) {
    if (*c->at == '\\' && ++c->at == c->end) return false;
    if (!is_token(*c->at)) return false;
    word_add(w, *c->at);
  }
  return c->at++ < c->end && w->bytes > 0;
}

static uint8_t bits_of(const word *w) {
  if (w->bytes == 1 && (w->text[0] == '8' || w->text[0] == '9')) return (uint8_t)(w->text[0] - '0');
  if (w->bytes == 2 && w->text[0] == '1' && w->text[1] >= '0' && w->text[1] <= '5') return (uint8_t)(10 + w->text[1] - '0');
  return 0;
}

static void take_parameter(element *e, const word *name, const word *value) {
  int i = 0;
  while (i < PARAMETER_COUNT && strcmp(name->text, parameter_names[i]) != 0) i++;
  if (i == PARAMETER_COUNT) {
    e->complaint = "a parameter that nobody knows";
    return;
  }
  if (e->has[i]) e->complaint = "a parameter twice";
  e->has[i] = true;
  if (value && i < SERVER_BITS) e->complaint = "a value where none belongs";
  else if (value && !(e->bits[i] = bits_of(value))) e->complaint = "a window that is not 8 to 15";
  else if (!value && i == SERVER_BITS) e->complaint = "server_max_window_bits without a value";
}

/* Reads up to the end or past the comma; false where the text follows no grammar. */
static bool read_element(cursor *c, element *e) {
  word name, value;
  *e = (element){0};
  skip_blanks(c);
  if (!read_token(c, &name)) return false;
  e->is_deflate = strcmp(name.text, "permessage-deflate") == 0;
  while (skip(c, ';')) {
    if (!read_token(c, &name)) return false;
    bool has_value = skip(c, '=');
    if (has_value && !read_value(c, &value)) return false;
    take_parameter(e, &name, has_value ? &value : NULL);
  }
  return c->at == c->end || skip(c, ',');
}

const char *wb_extension_offer(wb_deflate_mode mode) {
  static const char *const offers[] = {NULL, "permessage-deflate",
                                       "permessage-deflate; server_no_context_takeover; client_no_context_takeover"};
  return offers[mode];
}

const char *wb_extension_agree(wb_deflate_mode offered, const char *line, size_t bytes, wb_deflate_terms *terms) {
  cursor c = {line, line + bytes};
  element e;
  if (!read_element(&c, &e)) return "is no list of extensions";
  if (!e.is_deflate || c.at < c.end || (bytes && line[bytes - 1] == ',')) return "is not the one extension that was offered";
  if (e.complaint) return e.complaint;
  if (e.has[CLIENT_BITS]) return "client_max_window_bits, which was not offered";
  if (offered == WB_DEFLATE_NO_TAKEOVER && !e.has[SERVER_NO_TAKEOVER])
    return "no server_no_context_takeover, which was asked for";
  terms->server = e.has[SERVER_NO_TAKEOVER] ? WB_DEFLATE_NO_TAKEOVER : WB_DEFLATE_TAKEOVER;
  terms->server_window_bits = e.has[SERVER_BITS] ? e.bits[SERVER_BITS] : WINDOW_BITS_MAX;
  return NULL;
}

bool wb_extension_accept(wb_deflate_mode mode, const char *line, size_t bytes, wb_deflate_terms *terms, char *text,
                         size_t size) {
  cursor c = {line, line + bytes};
  element e;
  while (c.at < c.end && read_element(&c, &e)) {
    if (!e.is_deflate || e.complaint || (e.has[SERVER_BITS] && e.bits[SERVER_BITS] < WINDOW_BITS_ZLIB_MIN)) continue;
    bool alone = mode == WB_DEFLATE_NO_TAKEOVER || e.has[SERVER_NO_TAKEOVER];
    char window[40] = "";
    if (e.has[SERVER_BITS]) snprintf(window, sizeof window, "; server_max_window_bits=%u", e.bits[SERVER_BITS]);
    int printed = snprintf(text, size, "permessage-deflate%s%s", alone ? "; server_no_context_takeover" : "", window);
    if (printed < 0 || (size_t)printed >= size) return false;
    terms->server = alone ? WB_DEFLATE_NO_TAKEOVER : WB_DEFLATE_TAKEOVER;
    terms->server_window_bits = e.has[SERVER_BITS] ? e.bits[SERVER_BITS] : WINDOW_BITS_MAX;
    return true;
  }
  return false;
}
