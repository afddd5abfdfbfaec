"""Clients of the mock in a few lines of the standard library: a WebSocket, REST, and a level-3 book as slow as it is obvious."""

import base64
import collections
import decimal
import hashlib
import http.client
import json
import os
import socket
import struct
import urllib.parse

from harness import LIMIT

LOGIN = {"signature": "s", "key": "k", "passphrase": "p", "timestamp": "1785649432"}


def place(url):
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port


class Refused(Exception):
    """An upgrade that was answered by another status than 101; .head has its lines."""

    def __init__(self, head):
        super().__init__(head[0])
        self.head = head


class Closed(Exception):
    """A Close frame; .code and .reason are the server's."""

    def __init__(self, payload):
        self.code = struct.unpack(">H", payload[:2])[0] if payload else 1005
        self.reason = payload[2:].decode()
        super().__init__(f"{self.code} {self.reason}")


class Feed:
    """A WebSocket client. Messages are read one by one, as text or as JSON."""

    def __init__(self, url):
        self.sock = socket.create_connection(place(url), LIMIT)
        self.sock.settimeout(LIMIT)
        self.stream = self.sock.makefile("rb")
        key = base64.b64encode(os.urandom(16))
        self.sock.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          b"Sec-WebSocket-Key: " + key + b"\r\n\r\n")
        head = [line.decode().strip() for line in iter(self.stream.readline, b"\r\n") if line]
        if not head or " 101 " not in head[0]:
            self.close()
            raise Refused(head)
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        assert f"Sec-WebSocket-Accept: {accept}" in head, head

    def send(self, message):
        payload = message.encode() if isinstance(message, str) else json.dumps(message).encode()
        n = len(payload)
        length = bytes([0x80 | n]) if n < 126 else b"\xfe" + struct.pack(">H", n) if n < 65536 else b"\xff" + struct.pack(">Q", n)
        self.sock.sendall(b"\x81" + length + b"\0\0\0\0" + payload)

    def subscribe(self, channels, products=("BTC-USD",), **more):
        self.send({"type": "subscribe", "product_ids": list(products), "channels": list(channels), **more})
        return self

    def text(self):
        head = self.stream.read(2)
        if len(head) < 2:
            raise EOFError
        n = head[1]
        if n == 126:
            n = struct.unpack(">H", self.stream.read(2))[0]
        elif n == 127:
            n = struct.unpack(">Q", self.stream.read(8))[0]
        payload = self.stream.read(n)
        if head[0] & 15 == 8:
            raise Closed(payload)
        return payload.decode()

    def read(self):
        return json.loads(self.text())

    def until(self, condition):
        """The first message for which it holds."""
        while True:
            message = self.read()
            if condition(message):
                return message

    def all(self):
        """What comes until the server closes with 1000."""
        messages = []
        try:
            while True:
                messages.append(self.read())
        except Closed as closed:
            assert closed.code == 1000, closed
        return messages

    def close(self):
        self.stream.close()
        self.sock.close()


def get(url, path):
    """(status, headers, JSON) of one request on a connection of its own."""
    connection = http.client.HTTPConnection(*place(url), timeout=LIMIT)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, answer.headers, body


class Orders:
    """A level-3 book as a dictionary of orders, in the order in which they came to their place."""

    def __init__(self, book):
        self.sequence = book["sequence"]
        self.orders = {}
        for side, rows in (("buy", book["bids"]), ("sell", book["asks"])):
            for price, size, order in rows:
                assert order not in self.orders
                self.orders[order] = [side, decimal.Decimal(price), decimal.Decimal(size)]

    def levels(self):
        totals = collections.defaultdict(decimal.Decimal)
        for side, price, size in self.orders.values():
            totals[side, price] += size
        return dict(totals)

    def front(self, order):
        side, price, _ = self.orders[order]
        return next(id for id, other in self.orders.items() if other[:2] == [side, price])

    def take(self, message):
        """A message of full, or one of level3 as schema() reads it. False if it is older than the book."""
        sequence = int(message["sequence"])
        if sequence <= self.sequence:
            return False
        assert sequence == self.sequence + 1, (sequence, self.sequence)
        self.sequence = sequence
        kind, order = message["type"], message.get("order_id")
        if kind == "open":
            assert order not in self.orders
            self.orders[order] = [message["side"], decimal.Decimal(message["price"]), decimal.Decimal(message.get("remaining_size") or message["size"])]
        elif kind == "match":
            maker, size = message["maker_order_id"], decimal.Decimal(message["size"])
            assert self.front(maker) == maker
            self.orders[maker][2] -= size
            assert size > 0 and self.orders[maker][2] >= 0
        elif kind == "change":
            new = decimal.Decimal(message.get("new_size") or message["size"])
            if new > self.orders[order][2]:
                self.orders[order] = self.orders.pop(order)
            self.orders[order][2] = new
        elif kind == "done":
            side, _, size = self.orders.pop(order, (None, None, None))
            if side and "remaining_size" in message:
                assert size == decimal.Decimal(message["remaining_size"]) and side == message["side"]
        else:
            assert kind in ("received", "noop"), message
        return True


def schema(first):
    """Reads the arrays of level3 by what its first message says."""
    assert first["type"] == "level3", first
    return lambda row: dict(zip(first["schema"][row[0]], row, strict=True))


class Levels:
    """A level-2 book from snapshot and l2update."""

    def __init__(self, snapshot):
        self.sizes = {(side, decimal.Decimal(price)): decimal.Decimal(size)
                      for side, key in (("buy", "bids"), ("sell", "asks")) for price, size in snapshot[key]}

    def take(self, update):
        for side, price, size in update["changes"]:
            key = side, decimal.Decimal(price)
            self.sizes[key] = decimal.Decimal(size)
            if not self.sizes[key]:
                del self.sizes[key]
