/* books.h - books and analytics of the reference clients, and the report that all of them print. C++17.
 *
 * Prices are integers of 10^-2, sizes of 10^-8, as the sender makes them. Sides: 0 bids, 1 asks. */
#ifndef WB_BENCH_REFERENCE_BOOKS_H
#define WB_BENCH_REFERENCE_BOOKS_H

#include <algorithm>
#include <cinttypes>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/reference/client.h"
#include "bench/reference/sorted.h"

using level = std::pair<uint64_t, uint64_t>; /* price, size */

/* Sorted flat vectors, the best at the end; searched by vectors of eight from there. */
class flat_side {
public:
  explicit flat_side(unsigned which) : which_(which) { reserve(1024); }
  size_t count() const { return book_.count; }
  level best() const { return at(book_.count - 1); }
  /* Calls f with each level, best first. */
  template <class take> void each(take &&f) const {
    for (uint32_t i = book_.count; i-- > 0;) f(at(i));
  }
  void set(uint64_t price, uint64_t size) {
    uint64_t key = which_ ? price : ~price;
    if (book_.count == capacity_) reserve(2 * capacity_);
    sorted_put_at(&book_, place(~key), key, size);
  }
  /* Best first. */
  void assign(std::vector<level> &levels) {
    unsigned which = which_;
    auto better = [which](const level &a, const level &b) { return which ? a.first < b.first : a.first > b.first; };
    if (!std::is_sorted(levels.begin(), levels.end(), better)) std::sort(levels.begin(), levels.end(), better);
    if (levels.size() + 1 > capacity_) reserve(levels.size() + levels.size() / 4 + 64);
    book_.count = 0;
    for (size_t i = levels.size(); i-- > 0;) {
      if (!levels[i].second) continue;
      book_.value[book_.count] = which ? ~levels[i].first : levels[i].first;
      book_.size[book_.count++] = levels[i].second;
    }
  }

private:
  /* Where wanted is or belongs. Before the first value lie near zeros, so the last `near` places can be searched without asking
   * how many there are: which 64 of them by eight pivots, then which of the 64, without a branch that depends on the place. */
  uint32_t place(uint64_t wanted) const {
#if defined(__AVX512F__)
    const __m512i all = _mm512_set1_epi64((long long)wanted);
    const uint64_t *from = book_.value + book_.count;
    if (book_.count > 64) {
      const __m512i pivots = _mm512_setr_epi64(0, 64, 128, 192, 256, 320, 384, 448);
      unsigned lower =
          _mm512_cmplt_epu64_mask(_mm512_mask_i64gather_epi64(_mm512_setzero_si512(), 0xff, pivots, from - near, 8), all);
      if (!lower) return sorted_halves(book_.value, book_.count - near, wanted);
      from -= near - 64 * (unsigned)__builtin_popcount(lower);
    }
    uint64_t lower = 0;
    for (int i = 0; i < 8; i++) lower |= (uint64_t)_mm512_cmplt_epu64_mask(_mm512_loadu_si512(from - 64 + 8 * i), all) << 8 * i;
    return (uint32_t)(from - 64 + __builtin_popcountll(lower) - book_.value);
#else
    return sorted_halves(book_.value, book_.count, wanted);
#endif
  }
  static constexpr size_t near = 512;
  level at(uint32_t i) const { return {which_ ? ~book_.value[i] : book_.value[i], book_.size[i]}; }
  void reserve(size_t capacity) {
    std::vector<uint64_t> value(capacity + near), size(capacity + near);
    if (book_.count) {
      memcpy(&value[near], book_.value, book_.count * sizeof(uint64_t));
      memcpy(&size[near], book_.size, book_.count * sizeof(uint64_t));
    }
    value_.swap(value);
    size_.swap(size);
    book_.value = &value_[near];
    book_.size = &size_[near];
    capacity_ = capacity;
  }
  unsigned which_;
  sorted book_ = {nullptr, nullptr, 0};
  size_t capacity_ = 0;
  std::vector<uint64_t> value_, size_;
};

class map_side {
public:
  explicit map_side(unsigned which) : which_(which) {}
  size_t count() const { return levels_.size(); }
  level best() const { return which_ ? *levels_.begin() : *levels_.rbegin(); }
  void set(uint64_t price, uint64_t size) {
    if (size) levels_[price] = size;
    else levels_.erase(price);
  }
  void assign(std::vector<level> &levels) {
    levels_.clear();
    for (const level &l : levels) set(l.first, l.second);
  }
  template <class take> void each(take &&f) const {
    if (which_)
      for (auto it = levels_.begin(); it != levels_.end(); ++it) f(level(*it));
    else
      for (auto it = levels_.rbegin(); it != levels_.rend(); ++it) f(level(*it));
  }

private:
  unsigned which_;
  std::map<uint64_t, uint64_t> levels_;
};

template <class side> struct product {
  explicit product(std::string_view name) : id(name), sides{side(0), side(1)} {
    size_t bytes = std::min<size_t>(id.size(), 8);
    memcpy(&head, id.data(), bytes);
    mask = bytes == 8 ? ~UINT64_C(0) : (UINT64_C(1) << 8 * bytes) - 1;
  }

  /* Once after each whole message. */
  void count_touch() {
    if (!sides[0].count() || !sides[1].count()) return;
    uint64_t bid = sides[0].best().first, ask = sides[1].best().first, mid = bid + ask;
    uint64_t spread = ask > bid ? ask - bid : bid - ask;
    if (spread > max_spread) max_spread = spread;
    uint64_t &oldest = mid2[mids % 10];
    mid2_sum += mid - (mids < 10 ? 0 : oldest);
    oldest = mid;
    if (!mids++) live_ns = client_ns();
  }

  std::string id;
  uint64_t head = 0, mask; /* the first 8 bytes of the id, and which of them there are */
  side sides[2];
  uint64_t max_spread = 0, mid2_sum = 0, mids = 0, updates = 0, snapshots = 0, mid2[10] = {}, live_ns = 0;
};

template <class side> struct books {
  using value_type = product<side>;
  std::vector<product<side>> all;
  uint64_t messages = 0, changes = 0;

  explicit books(const char *ids) {
    for (std::string_view rest = ids; !rest.empty();) {
      size_t comma = std::min(rest.find(','), rest.size());
      all.emplace_back(rest.substr(0, comma));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  product<side> *find(std::string_view id) {
    for (auto &p : all)
      if (p.id == id) return &p;
    return nullptr;
  }

  void print(double seconds) const {
    printf("{\"messages\":%" PRIu64 ",\"changes\":%" PRIu64 ",\"seconds\":%.9f,\"messages_per_second\":%.0f,\"products\":{",
           messages, changes, seconds, (double)messages / seconds);
    for (const auto &p : all) {
      printf("%s\"%s\":{\"snapshots\":%" PRIu64 ",\"updates\":%" PRIu64 ",\"max_spread\":\"%" PRIu64 ".%02" PRIu64
             "\",\"mid2_sum\":\"%" PRIu64 "\",\"live_ns\":%" PRIu64,
             &p == &all[0] ? "" : ",", p.id.c_str(), p.snapshots, p.updates, p.max_spread / 100, p.max_spread % 100, p.mid2_sum,
             p.live_ns);
      for (unsigned s = 0; s < 2; s++) {
        const char *name = s ? "ask" : "bid";
        uint64_t sum = 0;
        std::string shown;
        unsigned count = 0;
        p.sides[s].each([&](level l) {
          sum += l.first * l.second;
          if (count == 50) return;
          char text[96];
          snprintf(text, sizeof text, "%s[\"%" PRIu64 ".%02" PRIu64 "\",\"%" PRIu64 ".%08" PRIu64 "\"]", count++ ? "," : "",
                   l.first / 100, l.first % 100, l.second / 100000000, l.second % 100000000);
          shown += text;
        });
        printf(",\"%s_levels\":%zu,\"%s_sum\":\"%" PRIu64 "\",\"%ss\":[%s]", name, p.sides[s].count(), name, sum, name,
               shown.c_str());
      }
      printf("}");
    }
    printf("}}\n");
  }
};

#endif
