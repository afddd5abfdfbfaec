"""An exchange of orders in a few lines: `full` or `level3` over WebSocket and the book by REST on one port, from random orders kept in plain lists. A
test says which messages each connection misses, and what becomes of each request. Its own book and trades are the reference."""

import json
import random
import socket
import threading
import time
import uuid
from collections import OrderedDict
from fractions import Fraction

from peer import PATIENCE, Client, accepting, frame

SCHEMA = {"change": ["type", "product_id", "sequence", "order_id", "price", "size", "time"], "done": ["type", "product_id", "sequence", "order_id", "time"],
          "match": ["type", "product_id", "sequence", "maker_order_id", "taker_order_id", "price", "size", "time"],
          "noop": ["type", "product_id", "sequence", "time"], "open": ["type", "product_id", "sequence", "order_id", "side", "price", "size", "time"]}


def plain(number):
    """A Fraction whose decimals end, without trailing zeros."""
    for decimals in range(40):
        scaled = number * 10**decimals
        if scaled.denominator == 1:
            digits = str(abs(scaled.numerator)).rjust(decimals + 1, "0")
            text = digits[:len(digits) - decimals] + ("." + digits[len(digits) - decimals:] if decimals else "")
            return ("-" if number < 0 else "") + text
    raise ValueError(number)


class Market:
    """One product: orders by id, in the order of their queue."""

    def __init__(self, product, seed, compact=False):
        self.product, self.random, self.compact = product, random.Random(seed), compact
        self.orders = OrderedDict()  # id -> [side, price, size]
        self.sequence, self.trade_id, self.ns = self.random.randrange(10**6), self.random.randrange(10**6), 1785649432 * 10**9
        self.trades = []  # (id, price, size, side of the taker)

    def id(self):
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def say(self, kind, **fields):
        """The next message of the feed."""
        self.sequence += 1
        self.ns += 1000 * self.random.randrange(1, 10**6)
        time_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.ns // 10**9)) + f".{self.ns % 10**9 // 1000:06}Z"
        message = {"type": kind, "time": time_text, "product_id": self.product, "sequence": self.sequence, **fields}
        if not self.compact:
            return json.dumps(message)
        message["sequence"] = str(self.sequence)
        return json.dumps([message[name] for name in SCHEMA[kind]])

    def best(self, side):
        prices = [price for s, price, _ in self.orders.values() if s == side]
        return (max(prices) if side == "buy" else min(prices)) if prices else None

    def open(self):
        side, id, size = self.random.choice(("buy", "sell")), self.id(), Fraction(self.random.randrange(1, 10**6), 10**self.random.randrange(3, 7))
        price = Fraction(self.random.randrange(9900, 9999) if side == "buy" else self.random.randrange(10001, 10100), 100)
        said = [] if self.compact else [self.say("received", order_id=id, side=side, price=plain(price), size=plain(size), order_type="limit")]
        self.orders[id] = [side, price, size]
        left = {"size" if self.compact else "remaining_size": plain(size)}
        return said + [self.say("open", order_id=id, side=side, price=plain(price), **left)]

    def match(self):
        side = self.random.choice(("buy", "sell"))
        best = self.best(side)
        if best is None:
            return []
        maker = next(id for id, order in self.orders.items() if order[:2] == [side, best])
        order, taker = self.orders[maker], self.id()
        size = order[2] if self.random.random() < 0.4 or order[2].denominator > 10**9 else order[2] * Fraction(self.random.randrange(1, 10), 10)
        self.trade_id += 1
        self.trades.append((self.trade_id, best, size, "sell" if side == "buy" else "buy"))
        said = [self.say("match", trade_id=self.trade_id, maker_order_id=maker, taker_order_id=taker, side=side, price=plain(best), size=plain(size))]
        order[2] -= size
        if not order[2]:
            said += self.done(maker, "filled")
        return said

    def done(self, id, reason):
        side, price, size = self.orders.pop(id)
        return [self.say("done", order_id=id, side=side, price=plain(price), remaining_size=plain(size), reason=reason)]

    def change(self, id):
        order = self.orders[id]
        new = order[2] * Fraction(self.random.randrange(1, 10), 10)
        said = self.say("change", order_id=id, side=order[0], price=plain(order[1]), old_size=plain(order[2]), new_size=plain(new), size=plain(new))
        order[2] = new
        return [said]

    def step(self):
        """The messages of one thing that happens."""
        what = self.random.random()
        if len(self.orders) < 20 or what < 0.45:
            return self.open()
        if what < 0.6:
            return self.match()
        if what < 0.65:
            return [self.say("noop")] if self.compact else self.done_unknown()
        some = self.random.choice(list(self.orders))
        return self.change(some) if what < 0.75 and self.orders[some][2].denominator < 10**8 else self.done(some, "canceled")

    def done_unknown(self):
        """Of an order that never opened, as of market orders: legal."""
        return [self.say("done", order_id=self.id(), side="buy", reason="filled")]

    def snapshot(self):
        sides = {"buy": [], "sell": []}
        for id, (side, price, size) in self.orders.items():
            sides[side].append([plain(price), plain(size), id])
        return json.dumps({"sequence": self.sequence, "bids": sides["buy"], "asks": sides["sell"], "auction_mode": False, "auction": None})

    def levels(self, side):
        totals = {}
        for s, price, size in self.orders.values():
            if s == side:
                totals[price] = totals.get(price, 0) + size
        return [[plain(price), plain(totals[price])] for price in sorted(totals, reverse=side == "buy")]


class Exchange:
    """Serves any number of connections, each on a thread. answer(product, number) is called for each request of a book, number counting from 0: it gives
    the bytes to be sent, after which the connection ends. Requests are kept in .asked as (time, product)."""

    def __init__(self, markets, answer=None):
        self.markets = {market.product: market for market in markets}
        self.lock = threading.RLock()  # markets, lines, and what was said to whom
        self.changed = threading.Condition(self.lock)
        self.answer = answer or self.good
        self.lines, self.asked, self.errors = [], [], []
        self.random = random.Random(markets[0].sequence)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url, self.rest = f"ws://127.0.0.1:{self.port}/", f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            sock, _ = self.listener.accept()
            sock.settimeout(PATIENCE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(Client(sock),), daemon=True).start()

    def serve(self, client):
        try:
            request = client.head()
            if request and request[0].startswith(b"GET /products/"):
                self.serve_book(client, request[0].split()[1].decode())
            elif request:
                self.serve_line(client, request)
        except (BrokenPipeError, ConnectionResetError, TimeoutError, ValueError):
            pass
        except Exception as error:  # shown by the test that owns the exchange
            self.errors.append(repr(error))
        finally:
            with self.lock:
                self.lines = [line for line in self.lines if line is not client]
                self.changed.notify_all()
            client.hang_up()

    def serve_book(self, client, target):
        product = target.split("/")[2]
        assert target == f"/products/{product}/book?level=3", target
        with self.lock:
            number = len(self.asked)
            self.asked.append((time.monotonic(), product))
            self.changed.notify_all()
        client.send(self.answer(product, number))

    def serve_line(self, client, request):
        key = next(line.split(b":", 1)[1].strip() for line in request if line.lower().startswith(b"sec-websocket-key:"))
        client.send(accepting(key))
        while True:
            opcode, payload = client.read()
            if opcode in (None, 8):
                return
            if opcode != 1:
                continue
            message = json.loads(payload)
            with self.lock:
                if message["type"] == "subscribe":
                    if any(market.compact for market in self.markets.values()):
                        client.text(json.dumps({"type": "level3", "schema": SCHEMA}))
                    client.text(json.dumps({"type": "subscriptions", "channels": message["channels"]}))
                    if client not in self.lines:
                        self.lines.append(client)
                    self.changed.notify_all()

    # ---------------------------------------------------------------- the test's thread

    def wait(self, condition, what):
        with self.lock:
            assert self.changed.wait_for(condition, PATIENCE), what

    def say(self, messages, misses=lambda line: False):
        """Sends messages to each line, but for those that it misses."""
        with self.lock:
            for line, client in enumerate(list(self.lines)):
                for message in messages:
                    if misses(line):
                        continue
                    try:
                        client.send(frame(message.encode()))
                    except OSError:
                        pass  # its thread takes it off the list

    def step(self, misses=lambda line: False):
        """Something happens in some market, and all lines are told."""
        with self.lock:
            market = self.random.choice(list(self.markets.values()))
            self.say(market.step(), misses)

    @staticmethod
    def response(body, status="200 OK", head=""):
        body = body.encode() if isinstance(body, str) else body
        return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{head}Connection: close\r\n\r\n".encode() + body

    def good(self, product, number):
        with self.lock:
            return self.response(self.markets[product].snapshot())
