/* json.h - messages of the feed by simdjson on-demand, applied to books of either kind. C++17; whoever includes it has simdjson. */
#ifndef WB_BENCH_REFERENCE_JSON_H
#define WB_BENCH_REFERENCE_JSON_H

#include <simdjson.h>

#include "bench/reference/books.h"

class json_reader {
public:
  /* capacity: readable bytes from text, at least SIMDJSON_PADDING more than size. */
  template <class side> void apply(books<side> &all, const char *text, size_t size, size_t capacity) {
    using namespace simdjson;
    ondemand::document document;
    check(parser_.iterate(text, size, capacity).get(document));
    ondemand::object object;
    check(document.get_object().get(object));
    std::string_view type, id;
    check(object["type"].get_string().get(type));
    all.messages++;
    if (type == "subscriptions") return;
    check(object["product_id"].get_string().get(id));
    auto *one = all.find(id);
    if (!one) client_fail("unknown product");
    if (type == "l2update") {
      ondemand::array changes;
      check(object["changes"].get_array().get(changes));
      for (auto item : changes) {
        std::string_view part[3];
        unsigned count = 0;
        for (auto field : item.get_array()) {
          if (count == 3) client_fail("change");
          check(field.get_string().get(part[count++]));
        }
        if (count != 3 || (part[0] != "buy" && part[0] != "sell")) client_fail("change");
        one->sides[part[0] == "sell"].set(decimal(part[1], 2), decimal(part[2], 8));
        all.changes++;
      }
      one->updates++;
    } else if (type == "snapshot") {
      for (unsigned s = 2; s-- > 0;) {
        ondemand::array levels;
        check(object[s ? "asks" : "bids"].get_array().get(levels));
        scratch_.clear();
        for (auto item : levels) {
          std::string_view part[2];
          unsigned count = 0;
          for (auto field : item.get_array()) {
            if (count == 2) client_fail("level");
            check(field.get_string().get(part[count++]));
          }
          if (count != 2) client_fail("level");
          scratch_.push_back({decimal(part[0], 2), decimal(part[1], 8)});
        }
        one->sides[s].assign(scratch_);
      }
      one->snapshots++;
    } else {
      client_fail("unknown message");
    }
    one->count_touch();
  }

private:
  static void check(simdjson::error_code code) {
    if (!code) return;
    fprintf(stderr, "client: simdjson: %s\n", simdjson::error_message(code));
    exit(1);
  }
  /* digits[.digits] to units of 10^-decimals, exactly. */
  static uint64_t decimal(std::string_view text, unsigned decimals) {
    uint64_t value = 0;
    unsigned fraction = 0;
    bool dot = false;
    if (text.empty() || text.size() > 18) client_fail("number");
    for (char c : text) {
      if (c == '.' && !dot) {
        dot = true;
        continue;
      }
      if (c < '0' || c > '9') client_fail("number");
      value = value * 10 + (uint64_t)(c - '0');
      fraction += dot;
    }
    if (fraction > decimals) client_fail("too many decimals");
    for (; fraction < decimals; fraction++) value *= 10;
    return value;
  }

  simdjson::ondemand::parser parser_;
  std::vector<level> scratch_;
};

#endif
