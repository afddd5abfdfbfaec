#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "io/http1.h"

/* ------------------------------------------------------------------------------------------------ bad input */

Test(url, null_is_refused) {
  wb_url url;
  wb_error error;
  cr_expect_eq(wb_url_parse(NULL, &url, &error), WB_E_INVALID);
  cr_expect_eq(wb_url_parse("ws://host", NULL, &error), WB_E_INVALID);
  cr_expect_eq(wb_url_parse("http://host", &url, NULL), WB_E_CONFIG);
}

Test(url, what_is_wrong_is_said_in_plain_words_with_its_place) {
  static const struct {
    const char *text, *word;
    unsigned position;
  } cases[] = {
      {"", "begin with ws:// or wss://", 0},
      {"host", "begin with ws:// or wss://", 0},
      {"wss:host", "begin with ws:// or wss://", 0},
      {"wss:/host", "begin with ws:// or wss://", 0},
      {"https://host/", "scheme must be ws or wss", 0},
      {"http://host/", "scheme must be ws or wss", 0},
      {"://host/", "scheme must be ws or wss", 0},
      {" wss://host/", "scheme must be ws or wss", 0},
      {"wsss://host/", "scheme must be ws or wss", 0},
      {"wss://", "host is missing", 6},
      {"wss:///path", "host is missing", 6},
      {"wss://:443/path", "host is missing", 6},
      {"wss://?x", "host is missing", 6},
      {"wss://user@host/", "user name or password", 6},
      {"wss://user:secret@host/", "user name or password", 6},
      {"wss://host/path#part", "fragment", 15},
      {"wss://host#part", "fragment", 10},
      {"wss://ho st/", "host may only have", 6},
      {"wss://h\xc3\xb6st/", "xn--", 6},
      {"wss://host\\path", "host may only have", 6},
      {"wss://host%41/", "host may only have", 6},
      {"wss://a..b/", "empty part", 6},
      {"wss://.a/", "empty part", 6},
      {"wss://a./", "empty part", 6},
      {"wss://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.com/", "longer than 63", 6},
      {"wss://host:/", "port is missing", 10},
      {"wss://host:", "port is missing", 10},
      {"wss://host:0/", "1 to 65535", 11},
      {"wss://host:65536/", "1 to 65535", 11},
      {"wss://host:99999999999999999999999/", "1 to 65535", 11},
      {"wss://host:8x/", "must be a number", 12},
      {"wss://host:-1/", "must be a number", 11},
      {"wss://host:+80/", "must be a number", 11},
      {"wss://host: 80/", "must be a number", 11},
      {"wss://::1/", "host is missing", 6},
      {"wss://2001:db8::1/", "in brackets", 6},
      {"wss://host:1:2/", "in brackets", 6},
      {"wss://[::1/", "']' of the IPv6 address is missing", 6},
      {"wss://[]/", "host is missing", 7},
      {"wss://[1.2.3.4]/", "no IPv6 address", 7},
      {"wss://[::1::2]/", "no IPv6 address", 7},
      {"wss://[fe80::1%25eth0]/", "zone", 7},
      {"wss://[::1]8080/", "only a port", 11},
      {"wss://[::1]x/", "only a port", 11},
      {"wss://host/a b", "written as %XX", 12},
      {"wss://host/a\r\nX: y", "written as %XX", 12},
      {"wss://host/\xe2\x82\xac", "written as %XX", 11},
      {"wss://host/a%4", "two hex digits", 12},
      {"wss://host/a%", "two hex digits", 12},
      {"wss://host/?a=%zz", "two hex digits", 14},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    wb_url url, before;
    wb_error error = {0};
    memset(&url, 0x5a, sizeof url);
    before = url;
    cr_assert_eq(wb_url_parse(cases[i].text, &url, &error), WB_E_CONFIG, "%s", cases[i].text);
    cr_expect(error.code == WB_E_CONFIG && error.what, "%s", cases[i].text);
    cr_expect(strstr(error.detail, cases[i].word), "%s: %s", cases[i].text, error.detail);
    cr_expect_eq(error.position, cases[i].position, "%s: %d", cases[i].text, (int)error.position);
    cr_expect_null(strstr(error.detail, "secret"));
    cr_expect_arr_eq(&url, &before, sizeof url, "%s", cases[i].text);
  }
}

Test(url, parts_that_do_not_fit_are_refused_and_the_longest_that_fit_are_not_cut) {
  char text[3000];
  wb_url url;
  wb_error error;
  for (int bytes = 252; bytes <= 300; bytes++) {
    int at = sprintf(text, "ws://");
    for (int i = 0; i < bytes; i++) text[at++] = i % 50 == 49 && i + 1 < bytes ? '.' : 'a';
    strcpy(text + at, "/x");
    cr_assert_eq(wb_url_parse(text, &url, &error), bytes <= 253 ? 0 : WB_E_CONFIG);
    if (bytes <= 253) cr_expect(strlen(url.host) == (size_t)bytes && strcmp(url.target, "/x") == 0);
  }
  for (int bytes = 1020; bytes <= 1030; bytes++) {
    for (int slash = 0; slash < 2; slash++) {
      int at = sprintf(text, slash ? "ws://host/" : "ws://host?");
      for (int i = 1; i < bytes; i++) text[at++] = 'p';
      text[at] = 0;
      size_t target = (size_t)bytes + !slash;
      cr_assert_eq(wb_url_parse(text, &url, &error), target <= 1023 ? 0 : WB_E_CONFIG, "%zu", target);
      if (target <= 1023) cr_expect_eq(strlen(url.target), target);
    }
  }
}

/* ------------------------------------------------------------------------------------------------ good input */

Test(url, each_part_is_found_and_what_is_absent_has_its_default) {
  static const struct {
    const char *text, *host, *port, *target;
    bool tls, ipv6;
  } cases[] = {
      {"wss://ws-feed.exchange.coinbase.com", "ws-feed.exchange.coinbase.com", "443", "/", true, false},
      {"ws://localhost", "localhost", "80", "/", false, false},
      {"WSS://Host/Path", "Host", "443", "/Path", true, false},
      {"ws://127.0.0.1:8080/", "127.0.0.1", "8080", "/", false, false},
      {"ws://127.0.0.1:1", "127.0.0.1", "1", "/", false, false},
      {"wss://host:65535/a/b?c=d&e=%20f", "host", "65535", "/a/b?c=d&e=%20f", true, false},
      {"wss://host:00443/", "host", "443", "/", true, false},
      {"wss://host?x=1", "host", "443", "/?x=1", true, false},
      {"wss://host:80?x=/@:", "host", "80", "/?x=/@:", true, false},
      {"wss://host/a:b@c", "host", "443", "/a:b@c", true, false},
      {"wss://[::1]", "::1", "443", "/", true, true},
      {"ws://[2001:db8::1]:9000/x", "2001:db8::1", "9000", "/x", false, true},
      {"ws://[::ffff:127.0.0.1]?q", "::ffff:127.0.0.1", "80", "/?q", false, true},
      {"ws://my_host-1.xn--bcher-kva.example/", "my_host-1.xn--bcher-kva.example", "80", "/", false, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    wb_url url;
    wb_error error = {0};
    cr_assert_eq(wb_url_parse(cases[i].text, &url, &error), 0, "%s: %s", cases[i].text, error.detail);
    cr_expect_str_eq(url.host, cases[i].host);
    cr_expect_str_eq(url.port, cases[i].port);
    cr_expect_str_eq(url.target, cases[i].target);
    cr_expect(url.tls == cases[i].tls && url.host_is_ipv6 == cases[i].ipv6, "%s", cases[i].text);
  }
}
