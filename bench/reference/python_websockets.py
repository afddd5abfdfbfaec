"""python_websockets - Python with the websockets package, sorted lists, a buffered file: what most Python clients look like.

Usage: python_websockets.py PORT CYCLES PRODUCT[,PRODUCT...] [STORE_FILE]
Prices are integers of 10^-2, sizes of 10^-8.
"""

import asyncio
import json
import sys
import time
from bisect import bisect_left

import websockets


def units(text, decimals):
    whole, _, fraction = text.partition(".")
    if len(fraction) > decimals:
        raise ValueError(f"too many decimals: {text}")
    return int(whole + fraction.ljust(decimals, "0"))


def plain(value, decimals):
    whole, fraction = divmod(value, 10**decimals)
    return f"{whole}.{fraction:0{decimals}}"


class Side:
    """Keys ascend towards the best at the end: prices of bids, negated prices of asks."""

    def __init__(self, sign):
        self.sign, self.keys, self.sizes = sign, [], []

    def set(self, price, size):
        key = self.sign * price
        at = bisect_left(self.keys, key)
        if at < len(self.keys) and self.keys[at] == key:
            if size:
                self.sizes[at] = size
            else:
                del self.keys[at], self.sizes[at]
        elif size:
            self.keys.insert(at, key)
            self.sizes.insert(at, size)

    def assign(self, levels):
        found = sorted((self.sign * units(price, 2), units(size, 8)) for price, size in levels)
        self.keys, self.sizes = [key for key, _ in found], [size for _, size in found]

    def best(self):
        return self.sign * self.keys[-1]

    def report(self, name):
        levels = [(self.sign * key, size) for key, size in zip(reversed(self.keys), reversed(self.sizes))]
        return {f"{name}_levels": len(levels), f"{name}_sum": str(sum(price * size for price, size in levels) % 2**64),
                f"{name}s": [[plain(price, 2), plain(size, 8)] for price, size in levels[:50]]}


class Protocol(websockets.WebSocketClientProtocol):
    """The sender ends its half of the connection right after its Close; by default the package would then not answer that."""

    def eof_received(self):
        super().eof_received()
        return True


class Product:
    def __init__(self):
        self.bids, self.asks, self.max_spread, self.mids, self.updates, self.snapshots, self.live_ns = Side(1), Side(-1), 0, [], 0, 0, 0

    def apply(self, message):
        if message["type"] == "l2update":
            for side, price, size in message["changes"]:
                (self.bids if side == "buy" else self.asks).set(units(price, 2), units(size, 8))
            self.updates += 1
        elif message["type"] == "snapshot":
            self.bids.assign(message["bids"])
            self.asks.assign(message["asks"])
            self.snapshots += 1
        else:
            raise ValueError(f"unknown message {message['type']}")
        if not self.bids.keys or not self.asks.keys:
            return
        bid, ask = self.bids.best(), self.asks.best()
        self.max_spread = max(self.max_spread, abs(ask - bid))
        self.mids.append(bid + ask)
        if len(self.mids) > 10:
            del self.mids[0]
        self.live_ns = self.live_ns or time.monotonic_ns()

    def report(self):
        return {"snapshots": self.snapshots, "updates": self.updates, "max_spread": plain(self.max_spread, 2), "mid2_sum": str(sum(self.mids)),
                "live_ns": self.live_ns, **self.bids.report("bid"), **self.asks.report("ask")}


async def main(port, cycles, ids, store=None):
    products = {id: Product() for id in ids.split(",")}
    messages = changes = 0
    file = open(store, "wb", buffering=256 * 1024) if store else None
    async with websockets.connect(f"ws://127.0.0.1:{port}/{cycles}", compression=None, max_size=32 << 20, ping_interval=None,
                                  create_protocol=Protocol) as socket:
        start = time.monotonic()
        await socket.send(json.dumps({"type": "subscribe", "product_ids": list(products), "channels": ["level2_batch"]}))
        async for text in socket:
            if file:
                file.write(text.encode())
            message = json.loads(text)
            messages += 1
            if message["type"] != "subscriptions":
                products[message["product_id"]].apply(message)
                changes += len(message.get("changes", ()))
        seconds = time.monotonic() - start
    if file:
        file.close()
    print(json.dumps({"messages": messages, "changes": changes, "seconds": seconds, "messages_per_second": messages / seconds,
                      "products": {id: product.report() for id, product in products.items()}}))


asyncio.run(main(*sys.argv[1:]))
