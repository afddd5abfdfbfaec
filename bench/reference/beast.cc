/* beast - Boost.Beast, simdjson, std::map, a buffered file: what most C++ clients look like. */
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <simdjson.h>

#include "bench/reference/books.h"
#include "bench/reference/json.h"

namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = boost::asio::ip::tcp;

int main(int argc, char **argv) {
  client_options o = client_parse(argc, argv);
  books<map_side> all(o.products);
  json_reader reader;
  FILE *file = o.store ? fopen(o.store, "wb") : nullptr;
  if (o.store && !file) client_fail(o.store);
  if (file) setvbuf(file, nullptr, _IOFBF, 256 << 10);
  try {
    boost::asio::io_context context(1);
    websocket::stream<beast::tcp_stream> ws(context);
    beast::get_lowest_layer(ws).connect(
        tcp::endpoint(boost::asio::ip::make_address("127.0.0.1"), (unsigned short)atoi(o.port)));
    beast::get_lowest_layer(ws).socket().set_option(tcp::no_delay(true));
    ws.read_message_max(32 << 20);
    ws.handshake(std::string("127.0.0.1:") + o.port, std::string("/") + o.cycles);
    char subscribe[2048];
    ws.write(boost::asio::buffer(subscribe, client_subscribe_text(&o, subscribe, sizeof subscribe)));
    beast::flat_buffer buffer;
    buffer.reserve(1 << 20);
    uint64_t start = client_ns();
    for (;;) {
      beast::error_code error;
      buffer.clear();
      ws.read(buffer, error);
      if (error == websocket::error::closed) break;
      if (error) throw beast::system_error(error);
      size_t size = buffer.size();
      buffer.reserve(size + simdjson::SIMDJSON_PADDING);
      const char *text = static_cast<const char *>(buffer.data().data());
      if (file) {
        uint64_t head[2] = {client_ns(), size};
        if (fwrite(head, sizeof head, 1, file) != 1 || fwrite(text, 1, size, file) != size) client_fail("store");
      }
      reader.apply(all, text, size, size + simdjson::SIMDJSON_PADDING);
    }
    double took = (double)(client_ns() - start) / 1e9;
    if (file && fclose(file)) client_fail("store");
    all.print(took);
  } catch (const std::exception &e) {
    fprintf(stderr, "beast: %s\n", e.what());
    return 1;
  }
  return 0;
}
