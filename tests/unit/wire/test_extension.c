#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "io/http1.h"

#define NO_TAKEOVER "permessage-deflate; server_no_context_takeover"

static const char *agree(wb_deflate_mode offered, const char *line, wb_deflate_terms *terms) {
  size_t bytes = strlen(line);
  char *exact = malloc(bytes + !bytes);
  memcpy(exact, line, bytes);
  const char *complaint = wb_extension_agree(offered, exact, bytes, terms);
  free(exact);
  return complaint;
}

static bool accepted(wb_deflate_mode mode, const char *line, const char *answer) {
  size_t bytes = strlen(line);
  char *exact = malloc(bytes + !bytes), text[128] = "";
  wb_deflate_terms terms = {0}, agreed = {0};
  memcpy(exact, line, bytes);
  bool accepts = wb_extension_accept(mode, exact, bytes, &terms, text, sizeof text);
  free(exact);
  if (!accepts || strcmp(text, answer) != 0) return false;
  /* What a server says, a client reads as the server meant it. */
  cr_expect_null(agree(WB_DEFLATE_TAKEOVER, text, &agreed), "%s", text);
  cr_expect(agreed.server == terms.server && agreed.server_window_bits == terms.server_window_bits, "%s", text);
  return true;
}

Test(extension, answers_that_do_not_follow_from_the_offer_are_refused_in_words) {
  static const struct {
    const char *line, *complaint;
  } cases[] = {
      {"", "is no list"},
      {";", "is no list"},
      {"permessage-deflate;", "is no list"},
      {"permessage-deflate; =8", "is no list"},
      {"permessage-deflate; server_max_window_bits=", "is no list"},
      {"permessage-deflate; server_max_window_bits=\"10", "is no list"},
      {"permessage-deflate; server_max_window_bits=\"1 0\"", "is no list"},
      {"permessage-deflate; server_max_window_bits=\"\"", "is no list"},
      {"permessage-deflate; server_max_window_bits=\"10\\", "is no list"},
      {"permessage-deflate server_no_context_takeover", "is no list"},
      {"permessage-deflate; server_max_window_bits=10 11", "is no list"},
      {"x-made-up", "not the one extension"},
      {"permessage-bzip2", "not the one extension"},
      {"Permessage-Deflate", "not the one extension"},
      {"permessage-deflate, x-made-up", "not the one extension"},
      {"x-made-up, permessage-deflate", "not the one extension"},
      {"permessage-deflate, permessage-deflate", "not the one extension"},
      {"permessage-deflate,", "not the one extension"},
      {"permessage-deflate; x=1", "nobody knows"},
      {"permessage-deflate; server_max_window", "nobody knows"},
      {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", "twice"},
      {"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", "twice"},
      {"permessage-deflate; server_no_context_takeover=1", "a value where none belongs"},
      {"permessage-deflate; client_no_context_takeover=true", "a value where none belongs"},
      {"permessage-deflate; server_max_window_bits", "without a value"},
      {"permessage-deflate; server_max_window_bits=7", "not 8 to 15"},
      {"permessage-deflate; server_max_window_bits=16", "not 8 to 15"},
      {"permessage-deflate; server_max_window_bits=08", "not 8 to 15"},
      {"permessage-deflate; server_max_window_bits=015", "not 8 to 15"},
      {"permessage-deflate; server_max_window_bits=+9", "not 8 to 15"},
      {"permessage-deflate; server_max_window_bits=0x9", "not 8 to 15"},
      {"permessage-deflate; client_max_window_bits=10", "was not offered"},
      {"permessage-deflate; client_max_window_bits", "was not offered"},
  };
  wb_deflate_terms terms;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *complaint = agree(WB_DEFLATE_TAKEOVER, cases[i].line, &terms);
    cr_expect(complaint && strstr(complaint, cases[i].complaint), "'%s': %s", cases[i].line, complaint);
  }
  cr_expect(strstr(agree(WB_DEFLATE_NO_TAKEOVER, "permessage-deflate", &terms), "asked for"));
  cr_expect(strstr(agree(WB_DEFLATE_NO_TAKEOVER, "permessage-deflate; client_no_context_takeover", &terms), "asked for"));
}

Test(extension, every_legal_answer_is_agreed_to) {
  static const struct {
    wb_deflate_mode offered;
    const char *line;
    wb_deflate_mode server;
    unsigned bits;
  } cases[] = {
      {WB_DEFLATE_TAKEOVER, "permessage-deflate", WB_DEFLATE_TAKEOVER, 15},
      {WB_DEFLATE_TAKEOVER, NO_TAKEOVER, WB_DEFLATE_NO_TAKEOVER, 15},
      {WB_DEFLATE_TAKEOVER, "permessage-deflate; client_no_context_takeover", WB_DEFLATE_TAKEOVER, 15},
      {WB_DEFLATE_TAKEOVER, "permessage-deflate; server_max_window_bits=8", WB_DEFLATE_TAKEOVER, 8},
      {WB_DEFLATE_TAKEOVER, "permessage-deflate; server_max_window_bits=15", WB_DEFLATE_TAKEOVER, 15},
      {WB_DEFLATE_TAKEOVER, "permessage-deflate;server_max_window_bits=\"10\"", WB_DEFLATE_TAKEOVER, 10},
      {WB_DEFLATE_TAKEOVER, "permessage-deflate ;\tserver_max_window_bits = \"\\1\\2\"", WB_DEFLATE_TAKEOVER, 12},
      {WB_DEFLATE_NO_TAKEOVER, NO_TAKEOVER, WB_DEFLATE_NO_TAKEOVER, 15},
      {WB_DEFLATE_NO_TAKEOVER,
       "permessage-deflate; client_no_context_takeover; server_max_window_bits=9; server_no_context_takeover",
       WB_DEFLATE_NO_TAKEOVER, 9},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    wb_deflate_terms terms = {0};
    const char *complaint = agree(cases[i].offered, cases[i].line, &terms);
    cr_expect_null(complaint, "'%s': %s", cases[i].line, complaint);
    cr_expect(terms.server == cases[i].server && terms.server_window_bits == cases[i].bits, "'%s'", cases[i].line);
  }
}

Test(extension, a_server_accepts_the_first_offer_it_can_keep_to) {
  cr_expect(accepted(WB_DEFLATE_TAKEOVER, "permessage-deflate", "permessage-deflate"));
  cr_expect(accepted(WB_DEFLATE_NO_TAKEOVER, "permessage-deflate", NO_TAKEOVER));
  cr_expect(accepted(WB_DEFLATE_TAKEOVER, wb_extension_offer(WB_DEFLATE_TAKEOVER), "permessage-deflate"));
  cr_expect(accepted(WB_DEFLATE_TAKEOVER, wb_extension_offer(WB_DEFLATE_NO_TAKEOVER), NO_TAKEOVER));
  cr_expect(accepted(WB_DEFLATE_TAKEOVER, "permessage-deflate; client_max_window_bits", "permessage-deflate"));
  cr_expect(accepted(WB_DEFLATE_TAKEOVER, "permessage-deflate; client_max_window_bits=10; server_max_window_bits=12",
                     "permessage-deflate; server_max_window_bits=12"));
  cr_expect(accepted(WB_DEFLATE_TAKEOVER,
                     "x-made-up; a=\"b\", permessage-deflate; x, permessage-deflate; server_max_window_bits=8, " NO_TAKEOVER,
                     NO_TAKEOVER));
  static const char *const declined[] = {"",
                                         "x",
                                         "permessage-deflate; x",
                                         "permessage-deflate; server_max_window_bits=8",
                                         "permessage-deflate; server_max_window_bits",
                                         "permessage-deflate; server_max_window_bits=16",
                                         ";, permessage-deflate"};
  for (size_t i = 0; i < sizeof declined / sizeof declined[0]; i++)
    cr_expect_not(accepted(WB_DEFLATE_TAKEOVER, declined[i], "permessage-deflate"), "%s", declined[i]);
  char text[8];
  wb_deflate_terms terms;
  cr_expect_not(wb_extension_accept(WB_DEFLATE_TAKEOVER, "permessage-deflate", 18, &terms, text, sizeof text),
                "no room for the answer");
}

Test(extension, the_upgrade_carries_the_offer_and_the_answer_both_ways) {
  static const char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
  for (wb_deflate_mode mode = WB_DEFLATE_OFF; mode <= WB_DEFLATE_NO_TAKEOVER; mode++) {
    wb_url url;
    wb_http_request request;
    wb_http_response response;
    wb_error error;
    char text[1024], extensions[128];
    cr_assert_eq(wb_url_parse("ws://127.0.0.1/", &url, &error), 0);
    int count = wb_http_upgrade_request(&url, key, NULL, mode, text, sizeof text);
    cr_assert_gt(count, 0);
    cr_assert_eq(wb_http_upgrade_read(text, (size_t)count, &request, &error), 1);
    cr_expect_str_eq(request.extensions, mode ? wb_extension_offer(mode) : "");
    wb_deflate_terms terms = {0};
    bool agreed = wb_extension_accept(WB_DEFLATE_TAKEOVER, request.extensions, strlen(request.extensions), &terms, extensions,
                                      sizeof extensions);
    cr_expect_eq(agreed, mode != WB_DEFLATE_OFF);
    count = wb_http_upgrade_answer(key, agreed ? extensions : NULL, text, sizeof text);
    cr_assert_eq(wb_http_upgrade_response(text, (size_t)count, key, mode, &response, &error), 1, "%s", error.detail);
    cr_expect_eq(response.deflate.server, mode);
    /* A server may decline; it may not answer twice, nor what was not offered. */
    count = wb_http_upgrade_answer(key, NULL, text, sizeof text);
    cr_assert_eq(wb_http_upgrade_response(text, (size_t)count, key, mode, &response, &error), 1);
    cr_expect_eq(response.deflate.server, WB_DEFLATE_OFF);
    count = wb_http_upgrade_answer(key, NO_TAKEOVER "\r\nSec-WebSocket-Extensions: " NO_TAKEOVER, text, sizeof text);
    cr_expect_eq(wb_http_upgrade_response(text, (size_t)count, key, mode, &response, &error), WB_E_PROTOCOL);
    cr_expect(strstr(error.detail, mode ? "more than once" : "not asked for"), "%s", error.detail);
    count = wb_http_upgrade_answer(key, "permessage-deflate; server_max_window_bits=7", text, sizeof text);
    cr_expect_eq(wb_http_upgrade_response(text, (size_t)count, key, mode, &response, &error), WB_E_PROTOCOL);
    cr_expect(strstr(error.detail, mode ? "a window that is not 8 to 15" : "not asked for"), "%s", error.detail);
  }
}
