"""Books of a feed in the Exchange dialect, by Python's websockets (Debian python3-websockets), which shares nothing with the node:

    books_websockets.py URL CHANNEL PRODUCT...

Says its books as a line of JSON for each line that it reads, and ends with its input. After an update that comes before a snapshot, or takes out a level that is not
there, `wrong` says so."""

import asyncio
import json
import sys

import websockets

books = {}
wrong = []
counts = {}


def take(message):
    kind, product = message["type"], message.get("product_id")
    counts[kind] = counts.get(kind, 0) + 1
    if kind == "snapshot":
        books[product] = {"buy": dict(message["bids"]), "sell": dict(message["asks"])}
        if len(books[product]["buy"]) != len(message["bids"]) or len(books[product]["sell"]) != len(message["asks"]):
            wrong.append(f"{product}: a level twice in a snapshot")
    elif kind == "l2update":
        if product not in books:
            wrong.append(f"{product}: an update before its snapshot")
            return
        for side, price, size in message["changes"]:
            if size != "0":
                books[product][side][price] = size
            elif books[product][side].pop(price, None) is None:
                wrong.append(f"{product}: {price} is taken out, and was not there")
    elif kind == "error":
        wrong.append(json.dumps(message))


def said():
    shown = {product: {"bids": sorted(book["buy"].items(), key=lambda level: -float(level[0])), "asks": sorted(book["sell"].items(), key=lambda level: float(level[0]))}
             for product, book in books.items()}
    return json.dumps({"books": shown, "wrong": wrong[:10], "counts": counts})


async def main():
    url, channel, *products = sys.argv[1:]
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with websockets.connect(url, max_size=64 << 20) as socket:
        await socket.send(json.dumps({"type": "subscribe", "product_ids": products, "channels": [channel, "heartbeat"]}))

        async def listen():
            async for text in socket:
                take(json.loads(text))

        listening = asyncio.create_task(listen())
        while await reader.readline():
            print(said(), flush=True)
        listening.cancel()


asyncio.run(main())
