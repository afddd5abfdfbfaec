/* strongest - the strongest client that a good afternoon in C++ gives: raw recv, a parser of exactly this feed's form, sorted flat
 * vectors, analytics, and every received byte to a file.
 *
 * Store: blocks of at least 256 KB as they lie in the receive buffer, so nothing is copied; before each block its receives: time and
 *        length, 16 bytes each. What does not have the feed's form ends the program: there is no slow road.
 * stamp: as the last argument: after each message, when the book is readable, the time that it carries is counted against the clock. */
#include <sys/uio.h>

#include "bench/reference/books.h"
#include "bench/reference/stamp.h"

namespace {

constexpr size_t buffer_bytes = 16 << 20, receive_bytes = 256 << 10, store_bytes = 256 << 10, slack = 64;
using flat_books = books<flat_side>;

[[noreturn]] void wrong(const char *what) {
  fprintf(stderr, "strongest: %s\n", what);
  exit(1);
}

inline uint64_t load8(const char *p) {
  uint64_t x;
  memcpy(&x, p, 8);
  return x;
}

/* A run of up to 8 digits; how many, and their value. */
inline unsigned digits(const char *p, uint64_t &value) {
  uint64_t x = load8(p) ^ UINT64_C(0x3030303030303030);
  uint64_t other = ((x + UINT64_C(0x7676767676767676)) | x) & UINT64_C(0x8080808080808080);
  unsigned n = other ? (unsigned)__builtin_ctzll(other) / 8 : 8;
  if (!n) wrong("a number without digits");
  x <<= 8 * (8 - n);
  x = (x * 10 + (x >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
  x = (x * 100 + (x >> 16)) & UINT64_C(0x0000ffff0000ffff);
  value = (x * 10000 + (x >> 32)) & UINT64_C(0xffffffff);
  return n;
}

constexpr uint64_t power[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

/* digits[.digits] and the quote after it, to units of 10^-decimals. */
template <unsigned decimals> inline const char *number(const char *p, uint64_t &out) {
  uint64_t whole, fraction = 0;
  unsigned n = digits(p, whole);
  p += n;
  while (n == 8 && *p >= '0' && *p <= '9') {
    if (whole > UINT64_C(9000000000)) wrong("number out of range");
    whole = whole * 10 + (uint64_t)(*p++ - '0');
  }
  if (*p == '.') {
    unsigned f = digits(p + 1, fraction);
    if (f > decimals) wrong("too many decimals");
    fraction *= power[decimals - f];
    p += 1 + f;
  }
  if (*p != '"') wrong("a number that does not end");
  out = whole * power[decimals] + fraction;
  return p + 1;
}

template <size_t n> inline bool is(const char *p, const char (&text)[n]) { return memcmp(p, text, n - 1) == 0; }
template <size_t n> inline const char *expect(const char *p, const char (&text)[n]) {
  if (!is(p, text)) wrong("unexpected text");
  return p + n - 1;
}

const char *levels(const char *p, std::vector<level> &out) {
  out.clear();
  while (*p != ']') {
    level l;
    p = number<2>(expect(p, "[\""), l.first);
    p = number<8>(expect(p, ",\""), l.second);
    p = expect(p, "]");
    out.push_back(l);
    if (*p == ',') p++;
  }
  return p + 1;
}

/* Products by the first 8 bytes of name and quote; longer names also by the rest. */
inline flat_books::value_type *find(flat_books &all, const char *p, size_t &bytes) {
  uint64_t head = load8(p);
  for (auto &one : all.all)
    if (((head ^ one.head) & one.mask) == 0 && (one.id.size() < 8 || memcmp(p, one.id.data(), one.id.size()) == 0) &&
        p[one.id.size()] == '"') {
      bytes = one.id.size() + 1;
      return &one;
    }
  wrong("unknown product");
}
inline void message(flat_books &all, const char *p, const char *end, std::vector<level> &scratch) {
  size_t id;
  if (__builtin_expect(is(p, "{\"type\":\"l2update\",\"product_id\":\""), 1)) {
    p += sizeof "{\"type\":\"l2update\",\"product_id\":\"" - 1;
    auto *one = find(all, p, id);
    p = expect(p + id, ",\"changes\":[");
    for (;;) {
      unsigned side;
      uint64_t price, size;
      if (is(p, "[\"buy\",\"")) side = 0, p += 8;
      else p = expect(p, "[\"sell\",\""), side = 1;
      p = number<2>(p, price);
      p = number<8>(expect(p, ",\""), size);
      one->sides[side].set(price, size);
      all.changes++;
      p = expect(p, "]");
      if (*p != ',') break;
      p++;
    }
    p = expect(p, "],\"time\":\"");
    if (end - p != 29 || !is(p + 26, "Z\"}")) wrong("time");
    one->updates++;
    one->count_touch();
  } else if (is(p, "{\"type\":\"snapshot\",\"product_id\":\"")) {
    p += sizeof "{\"type\":\"snapshot\",\"product_id\":\"" - 1;
    auto *one = find(all, p, id);
    p = levels(expect(p + id, ",\"asks\":["), scratch);
    one->sides[1].assign(scratch);
    p = levels(expect(p, ",\"bids\":["), scratch);
    one->sides[0].assign(scratch);
    expect(p, ",\"time\":\"");
    one->snapshots++;
    one->count_touch();
  } else if (!is(p, "{\"type\":\"subscriptions\"")) {
    wrong("unknown message");
  }
  all.messages++;
}

struct received {
  uint64_t ns, bytes;
};

void store(int file, const char *bytes, size_t size, std::vector<received> &index) {
  if (file >= 0 && size) {
    struct iovec parts[2] = {{index.data(), index.size() * sizeof(received)}, {const_cast<char *>(bytes), size}};
    ssize_t n = writev(file, parts, 2);
    if (n < 0 || (size_t)n != parts[0].iov_len + size) client_fail("store");
  }
  index.clear();
}

} // namespace

int main(int argc, char **argv) {
  static stamp_hist latency;
  bool stamping = argc > 1 && strcmp(argv[argc - 1], "stamp") == 0;
  argc -= stamping;
  client_options o = client_parse(argc, argv);
  flat_books all(o.products);
  std::vector<level> scratch;
  std::vector<received> index;
  int file = client_store(&o);
  char *buffer = static_cast<char *>(aligned_alloc(4096, buffer_bytes + 4096));
  if (!buffer) client_fail("memory");
  memset(buffer, 0, buffer_bytes + slack);
  client_line line = client_connect(&o);
  uint64_t start = client_ns();
  size_t stored = 0, parsed = 0, used = 0; /* positions in the buffer */
  for (bool closed = false; !closed;) {
    ssize_t n = client_receive(&line, buffer + used, std::min(receive_bytes, buffer_bytes - used), o.spin ? MSG_DONTWAIT : 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) client_fail("recv");
    index.push_back({client_ns(), (uint64_t)n});
    used += (size_t)n;
    while (used - parsed >= 2) {
      const unsigned char *at = reinterpret_cast<unsigned char *>(buffer + parsed);
      size_t head = 2, size = at[1];
      if (size == 126) {
        head = 4;
        if (used - parsed < head) break;
        size = (size_t)at[2] << 8 | at[3];
      } else if (size == 127) {
        head = 10;
        if (used - parsed < head) break;
        size = __builtin_bswap64(load8(buffer + parsed + 2));
      }
      if (size > buffer_bytes - 16) wrong("frame too large");
      if (used - parsed < head + size) break;
      const char *payload = buffer + parsed + head;
      parsed += head + size;
      if (at[0] == 0x81) {
        message(all, payload, payload + size, scratch);
        if (stamping) stamp_message(&latency, payload, size, stamp_clock(CLOCK_REALTIME));
      } else if (at[0] == 0x89) client_frame(&line, 10, payload, size);
      else if (at[0] == 0x88) {
        client_frame(&line, 8, payload, size);
        closed = true;
        break;
      } else wrong("frame");
    }
    /* What was parsed but not stored waits until it is a block; then the rest of the buffer, less than a message, moves to the front. */
    if (used - stored >= store_bytes || closed) {
      store(file, buffer + stored, used - stored, index);
      stored = used;
    }
    if (stored == used && (used - parsed < 4096 || used > buffer_bytes - receive_bytes)) {
      memmove(buffer, buffer + parsed, used - parsed);
      used -= parsed;
      stored = used;
      parsed = 0;
    }
    if (used == buffer_bytes) wrong("message larger than the buffer");
  }
  uint64_t took = client_ns() - start;
  close(line.fd);
  if (file >= 0) close(file);
  all.print((double)took / 1e9);
  if (stamping) printf("{"), stamp_print("latency_ns", &latency), printf("}\n");
  return 0;
}
