#include "bench/reference/echo_beast.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>

namespace asio = boost::asio;
namespace beast = boost::beast;
using tcp = asio::ip::tcp;

struct echo_beast {
  asio::io_context io{1};
  asio::ssl::context tls{asio::ssl::context::tlsv13_client};
  beast::websocket::stream<asio::ssl::stream<tcp::socket>> ws{io, tls};
  beast::flat_buffer buffer;
};

bool echo_beast_there() { return true; }

echo_beast *echo_beast_open(uint16_t port) {
  auto *client = new echo_beast;
  try {
    client->ws.next_layer().set_verify_mode(asio::ssl::verify_none);
    auto &socket = beast::get_lowest_layer(client->ws);
    socket.connect(tcp::endpoint(asio::ip::address_v4::loopback(), port));
    socket.set_option(tcp::no_delay(true));
    client->ws.next_layer().handshake(asio::ssl::stream_base::client);
    client->ws.handshake("127.0.0.1", "/");
    client->ws.text(true);
    return client;
  } catch (const std::exception &) {
    delete client;
    return nullptr;
  }
}

void echo_beast_close(echo_beast *client) { delete client; }

const void *echo_beast_ask(echo_beast *client, const void *text, size_t bytes, size_t *answer_bytes) {
  beast::error_code error;
  client->ws.write(asio::buffer(text, bytes), error);
  if (error) return nullptr;
  client->buffer.clear();
  *answer_bytes = client->ws.read(client->buffer, error);
  return error ? nullptr : client->buffer.data().data();
}
