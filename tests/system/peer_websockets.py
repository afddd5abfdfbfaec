"""An exchange by Python's websockets (Debian python3-websockets), which shares nothing with the node: `peer_websockets.py [CERTIFICATE KEY]`.

Prints its port, then what was agreed on; sends one client a snapshot of 30,000 levels and 1,000 updates, answers its pings, and closes."""

import asyncio
import ssl
import sys

import websockets

SNAPSHOT = '{"type":"snapshot","product_id":"BTC-USD","asks":[%s],"bids":[]}' % ",".join(f'["{10000 + i}","{i + 1}"]' for i in range(30000))


async def main():
    done = asyncio.get_running_loop().create_future()

    async def serve(socket):
        await socket.recv()
        await socket.send(SNAPSHOT)
        for i in range(1000):
            text = f'{{"type":"l2update","product_id":"BTC-USD","changes":[["buy","{i}.5","{i + 1}"]],"time":"2026-08-02T05:43:52.535977Z"}}'
            await socket.send(text if i % 10 else iter([text[:30], text[30:]]))
        await socket.send('{"type":"filler"}')
        await (await socket.ping())
        await socket.close()
        done.set_result(socket.response_headers.get("Sec-WebSocket-Extensions", ""))

    context = None
    if sys.argv[1:]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
    async with websockets.serve(serve, "127.0.0.1", 0, ssl=context, compression="deflate") as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        print(await asyncio.wait_for(done, 120), flush=True)


asyncio.run(main())
