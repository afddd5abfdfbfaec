/* simdjson - raw recv, simdjson on-demand, sorted flat vectors, analytics, every frame to a file: a careful client of good libraries.
 *
 * Numbers stay exact: their text is taken raw and converted here. Store: the received bytes, in blocks of at least 256 KB. */
#include <simdjson.h>

#include "bench/reference/books.h"
#include "bench/reference/json.h"

namespace {
constexpr size_t buffer_bytes = 16 << 20, receive_bytes = 256 << 10, store_bytes = 256 << 10;
}

int main(int argc, char **argv) {
  client_options o = client_parse(argc, argv);
  books<flat_side> all(o.products);
  json_reader reader;
  int file = client_store(&o);
  std::vector<char> memory(buffer_bytes + simdjson::SIMDJSON_PADDING);
  char *buffer = memory.data();
  client_line line = client_connect(&o);
  uint64_t start = client_ns();
  size_t stored = 0, parsed = 0, used = 0;
  for (bool closed = false; !closed;) {
    ssize_t n = client_receive(&line, buffer + used, std::min(receive_bytes, buffer_bytes - used), o.spin ? MSG_DONTWAIT : 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) client_fail("recv");
    used += (size_t)n;
    while (used - parsed >= 2 && !closed) {
      const unsigned char *at = reinterpret_cast<unsigned char *>(buffer + parsed);
      size_t head = at[1] < 126 ? 2 : at[1] == 126 ? 4 : 10, size = at[1];
      if (used - parsed < head) break;
      if (head > 2) size = 0;
      for (size_t i = 2; i < head; i++) size = size << 8 | at[i];
      if (size > buffer_bytes - 16) client_fail("frame too large");
      if (used - parsed < head + size) break;
      const char *payload = buffer + parsed + head;
      parsed += head + size;
      if (at[0] == 0x81) reader.apply(all, payload, size, size + simdjson::SIMDJSON_PADDING);
      else if (at[0] == 0x89) client_frame(&line, 10, payload, size);
      else if (at[0] == 0x88) client_frame(&line, 8, payload, size), closed = true;
      else client_fail("frame");
    }
    if (used - stored >= store_bytes || closed) {
      if (file >= 0) client_write(file, buffer + stored, used - stored);
      stored = used;
      if (used - parsed < 4096 || used > buffer_bytes - receive_bytes) {
        memmove(buffer, buffer + parsed, used - parsed);
        stored = used -= parsed;
        parsed = 0;
      }
    }
    if (used == buffer_bytes) client_fail("message larger than the buffer");
  }
  uint64_t took = client_ns() - start;
  close(line.fd);
  if (file >= 0) close(file);
  all.print((double)took / 1e9);
  return 0;
}
