#!/usr/bin/env python3
"""The node's books to clients of the Exchange feed, and its server-sent events. `test_republish.py [NAME...]`."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
import urllib.parse

from harness import HERE, LIMIT, SLOW, Program, main, mock, node, reported, same, wait_until

ROOT = os.path.dirname(os.path.dirname(HERE))
MODULES = f"{ROOT}/build/npm/node_modules"
CHANNELS = ("--channel", "level2_batch", "--channel", "heartbeat", "--channel", "matches", "--channel", "ticker")
BOOK = ("bids", "asks", "best_bid", "best_ask", "bid_levels", "ask_levels")
MASK = b"\0\0\0\0"
DIRECT = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def masked(payload):
    """A client's text frame."""
    n = len(payload)
    return b"\x81" + (bytes([0x80 | n]) if n < 126 else b"\xfe" + n.to_bytes(2, "big")) + MASK + payload


class Client:
    """A program of tests/system/clients that keeps books, and says them when it is asked."""

    def __init__(self, *words):
        self.child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=DIRECT)
        Program.all.append(self.child)

    def said(self):
        self.child.stdin.write("books\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        assert line, "the client has ended"
        said = json.loads(line)
        assert not said["wrong"], said["wrong"]
        return said


def by_websockets(listens, channel, *products, path="/"):
    return Client("/usr/bin/python3", f"{HERE}/clients/books_websockets.py", f"ws://{listens}{path}", channel, *products)


def listening(url, directory, *words, name="node", products="BTC,ETH"):
    """A node that listens: .where is HOST:PORT, .report where it reports."""
    os.makedirs(f"{directory}/{name}", exist_ok=True)
    program = node(url, f"{directory}/{name}", "--product", products, "--no-store", "--listen", "127.0.0.1:0", *words)
    program.wait_for("listening at ")
    program.where = program.out["stderr"].split("listening at ")[1].split()[0].split("//")[1]
    program.report = f"{directory}/{name}/report.json"
    return program


def still(exchange, program):
    """The products of a node's report whose exchange says nothing any more, which has taken all that it said, and whose books are live."""
    reports = []

    def settled():
        exchange.signal(signal.SIGSTOP)
        reports[:] = [reported(program, program.report) for _ in range(2)]
        if reports[0]["messages"] == reports[1]["messages"] and all(p["state"] == "live" for p in reports[1]["products"].values()):
            return True
        exchange.signal(signal.SIGCONT)
        program.pump(0.1)
        return False
    wait_until(settled, "a node that stands still")
    return reports[1]["products"]


def has_books(client, program, number=str):
    """Whether its books are those of the node's report of now: while a thread of the node does not run, it only seems to stand still."""
    said, products = client.said()["books"], reported(program, program.report)["products"]
    return all(id in said and all([[number(n) for n in level] for level in said[id][side]] == [[number(n) for n in level] for level in product[side]]
                                  for side in ("bids", "asks")) for id, product in products.items())


def ended(program):
    program.signal()
    program.ends(0)


def any_channel_of_level_2_gives_the_nodes_book(directory):
    exchange = mock("--product", "BTC,ETH", "--levels", 300, "--rate", 500 / SLOW, "--updates-per-message", "1-6")
    program = listening(exchange.url, directory)
    clients = [by_websockets(program.where, channel, "BTC-USD", "ETH-USD", path=path)
               for channel, path in (("level2", "/"), ("level2_batch", "/ws"), ("level2_50", "/"))]
    for client in clients:
        wait_until(lambda: client.said()["counts"].get("l2update", 0) >= 50, "updates")
    still(exchange, program)
    for client in clients:
        wait_until(lambda: has_books(client, program), "the node's book")
        assert client.said()["counts"]["snapshot"] == 2, "one a product: nothing was lost under way"
    ended(program)


def a_node_on_a_node_has_its_books(directory):
    exchange = mock("--product", "BTC,ETH", "--levels", 500, "--rate", 500 / SLOW, "--updates-per-message", "1-4")
    first = listening(exchange.url, directory, *CHANNELS, name="first")
    second = listening(f"ws://{first.where}/", directory, *CHANNELS, "--witness", "unknown=resync", name="second")
    third = listening(f"ws://{second.where}/ws", directory, "--channel", "level2", "--channel", "heartbeat", name="third")

    def far(program):
        return all(product["updates"] > 40 for product in reported(program, program.report)["products"].values())
    wait_until(lambda: far(third), "updates of the third")
    still(exchange, first)
    fields = [word for field in BOOK for word in ("--field", field)]

    def equal(other):
        reported(first, first.report)
        reported(other, other.report)
        try:
            same(first.report, other.report, "--state", *fields)
            return True
        except AssertionError:
            return False
    wait_until(lambda: equal(second) and equal(third), "the same books in all")
    for other in (second, third):
        report = reported(other, other.report)
        for product in report["products"].values():
            assert (product["snapshots"], product["resyncs"], product["rejected"], product["unknown_removals"], product["lost_trades"]) == (1, 0, 0, 0, 0), product
    for program in (third, second, first):
        ended(program)


def clients_from_npm_show_the_nodes_book(directory):
    """`ws` and ccxt pro, as they are."""
    if not os.path.isdir(f"{MODULES}/ccxt"):
        print("no ccxt (tools/npm/fetch)")
        return
    exchange = mock("--product", "BTC,ETH", "--levels", 200, "--rate", 200 / SLOW)
    program = listening(exchange.url, directory, *CHANNELS)
    ids = ("BTC-USD", "ETH-USD")
    plain = Client("node", f"{HERE}/clients/books_ws.mjs", MODULES, f"ws://{program.where}", "level2_batch", *ids)
    ccxt = Client("node", f"{HERE}/clients/books_ccxt.mjs", MODULES, program.where, *ids)
    wait_until(lambda: all(id in ccxt.said()["books"] and id in ccxt.said()["trades"] for id in ids), "books and trades of ccxt")
    still(exchange, program)
    wait_until(lambda: has_books(plain, program), "the node's book in ws")
    wait_until(lambda: has_books(ccxt, program, float), "the node's book in ccxt")
    ended(program)


def a_book_that_is_fetched_anew_under_subscribers_is_right_again(directory):
    """The line is cut, half a message lost, the book resynchronised, again and again: the clients' books are the node's."""
    for scenario in ("badnumber", "reset", "gap"):
        exchange = mock("--product", "BTC,ETH", "--levels", 200, "--rate", 300 / SLOW, "--scenario", scenario, "--scenario-after", 200, "--scenario-repeat")
        program = listening(exchange.url, directory, *CHANNELS, "--witness", "unknown=resync", name=scenario)
        clients = [by_websockets(program.where, channel, "BTC-USD", "ETH-USD") for channel in ("level2", "level2_batch")]

        def often():
            products = reported(program, program.report)["products"].values()
            return all(product["snapshots"] >= 3 for product in products)
        wait_until(often, "books fetched anew")
        wait_until(lambda: all(client.said()["counts"].get("snapshot", 0) > 2 for client in clients), "snapshots of the clients")
        still(exchange, program)
        for client in clients:
            wait_until(lambda: has_books(client, program), f"the node's book after {scenario}")
        ended(program)


def a_client_that_reads_slowly_is_closed_and_others_go_on(directory):
    exchange = mock("--product", "BTC,ETH", "--levels", 800, "--rate", 3000 / SLOW, "--updates-per-message", "20-40")
    program = listening(exchange.url, directory)
    other = by_websockets(program.where, "level2_batch", "BTC-USD", "ETH-USD")
    wait_until(lambda: sockets(program) == 1, "the other client")
    slow = upgraded(program.where, buffer=4096)
    wait_until(lambda: sockets(program) == 2, "two clients")
    slow.sendall(masked(json.dumps({"type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD"], "channels": ["level2"]}).encode()))
    wait_until(lambda: sockets(program) == 1, "the slow client's end", limit=2 * LIMIT)
    said = close_code(slow)
    # Where the node's reader of the ring was lapped a new snapshot waits for room, and it is the ten seconds without a byte taken that end it.
    assert said == (1008, "ErrSlowConsume") or said is None and metric(program, 'wirebook_face_ended_connections_total{reason="slow_reader"}') == 1, said
    before = other.said()["counts"]["l2update"]
    wait_until(lambda: other.said()["counts"]["l2update"] > before, "updates of the other")
    still(exchange, program)
    wait_until(lambda: has_books(other, program), "the node's book")
    ended(program)


def ask(where, path):
    connection = http.client.HTTPConnection(where, timeout=LIMIT)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def metric(program, name):
    program.pump(0.05)
    return next((int(line.split()[1]) for line in ask(program.where, "/metrics")[1].splitlines() if line.startswith(name + " ")), None)


def sockets(program):
    """How many clients have a WebSocket."""
    return metric(program, "wirebook_face_sockets")


def upgraded(where, path="/ws", buffer=None):
    """A plain socket behind an upgrade."""
    host, port = where.split(":")
    sock = socket.socket()
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.settimeout(LIMIT)
    sock.connect((host, int(port)))
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {where}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        got = sock.recv(1)
        assert got, head
        head += got
    assert head.startswith(b"HTTP/1.1 101 "), head
    return sock


def close_code(sock):
    """The code and reason of the Close that comes, whatever comes before it."""
    data = b"".join(iter(lambda: sock.recv(1 << 16), b""))
    at, said = 0, None
    while at + 2 <= len(data):
        length, head = data[at + 1] & 127, 2
        if length == 126:
            length, head = int.from_bytes(data[at + 2:at + 4], "big"), 4
        elif length == 127:
            length, head = int.from_bytes(data[at + 2:at + 10], "big"), 10
        if data[at] & 15 == 8:
            said = int.from_bytes(data[at + head:at + head + 2], "big"), data[at + head + 2:at + head + length].decode()
        at += head + length
    return said


def hostile_clients_are_closed_with_the_right_code(directory):
    exchange = mock("--product", "BTC,ETH", "--rate", 10)
    program = listening(exchange.url, directory)
    good = json.dumps({"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["heartbeat"]}).encode()
    cases = [(b"\x81" + bytes([len(good)]) + good, 1002), (b"\x81\xff" + (1 << 40).to_bytes(8, "big") + MASK, 1009), (b"\x81\x82" + MASK + b"\xff\xff", 1007),
             (b"\x81\x83" + MASK + b"{x}", 1008), (b"\x82\x82" + MASK + b"{}", 1003), (masked(good) * 2000, 1008), (b"", 1008), (b"\x88\x82" + MASK + b"\x03\xe8", 1000)]
    for sent, code in cases:
        sock = upgraded(program.where)
        try:
            sock.sendall(sent)
        except (BrokenPipeError, ConnectionResetError):
            pass
        got = close_code(sock)
        assert got and got[0] == code, (sent[:60], got, code)
        sock.close()
    sock = upgraded(program.where)
    sock.sendall(b"\x89\x82" + MASK + b"hi")
    assert sock.recv(4) == b"\x8a\x02hi", "a ping is answered"
    sock.close()
    client = by_websockets(program.where, "level2", "BTC-USD")
    wait_until(lambda: client.said()["counts"].get("snapshot") == 1, "a good client's book")
    ended(program)


# ------------------------------------------------------------------------------------------------ server-sent events

class Events:
    """A stream of events; next(name) waits for one."""

    def __init__(self, where, **query):
        self.connection = http.client.HTTPConnection(where, timeout=LIMIT)
        self.connection.request("GET", "/api/v1/events?" + urllib.parse.urlencode(query))
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200 and self.answer.headers["Content-Type"].startswith("text/event-stream"), self.answer.status
        self.retry, self.id = None, 0

    def event(self):
        name, data = None, []
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            key, _, value = line.partition(": ")
            if key == "event":
                name = value
            elif key == "data":
                data.append(value)
            elif key == "retry":
                self.retry = int(value)
            elif key == "id":
                assert int(value) >= self.id, "ids grow"
                self.id = int(value)
            elif not line and name:
                return name, json.loads("\n".join(data))

    def next(self, wanted, condition=lambda _: True):
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            name, value = self.event()
            if name == wanted and condition(value):
                return value
        raise AssertionError(f"no {wanted}")


def events_tell_status_book_trades_and_states(directory):
    exchange = mock("--product", "BTC,ETH", "--levels", 100, "--rate", 100)
    program = listening(exchange.url, directory, *CHANNELS)
    events = Events(program.where, product="BTC-USD", depth=10, interval_ms=100)
    status = events.next("status", lambda status: status["products"]["BTC-USD"]["state"] == "live")
    assert events.retry == 1000
    assert "bids" not in json.dumps(status) and status["products"]["BTC-USD"]["best_bid"] and status["lines"], status
    trade = events.next("trade")
    assert trade["product_id"] == "BTC-USD" and trade["side"] in ("buy", "sell") and float(trade["price"]) > 0 and trade["trade_id"] > 0, trade
    book = events.next("book", lambda book: len(book["bids"]) == 10)
    prices = [float(price) for price, _ in book["bids"]], [float(price) for price, _ in book["asks"]]
    assert prices == (sorted(prices[0], reverse=True), sorted(prices[1])) and book["product_id"] == "BTC-USD" and book["time"], book
    still(exchange, program)

    def is_the_nodes(book):
        product = reported(program, program.report)["products"]["BTC-USD"]
        return all(book[side] == product[side][:10] for side in ("bids", "asks"))
    Events(program.where, product="BTC-USD", depth=10).next("book", is_the_nodes)
    exchange.signal(signal.SIGCONT)
    exchange.signal(signal.SIGKILL)
    state = events.next("state", lambda state: state["product_id"] == "ETH-USD")
    assert state["state"] in ("stale", "resyncing") and state["reason"] and state["since"], state
    ended(program)


def events_that_cannot_be_are_refused(directory):
    exchange = mock("--product", "BTC", "--rate", 10)
    program = listening(exchange.url, directory, products="BTC")
    for query, status in (("product=DOGE-USD", 404), ("depth=0", 400), ("depth=1001", 400), ("interval_ms=49", 400), ("interval_ms=x", 400)):
        got = ask(program.where, f"/api/v1/events?{query}")
        assert got[0] == status and "message" in json.loads(got[1]), (query, got)
    events = Events(program.where)
    events.next("status")
    ended(program)


if __name__ == "__main__":
    main(globals())
