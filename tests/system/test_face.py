#!/usr/bin/env python3
"""The HTTP face of a node, asked by clients of the standard library, by promtool and by ccxt. `test_face.py [NAME...]`."""

import base64
import http.client
import json
import os
import re
import socket
import ssl
import stat
import struct
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from feed import place
from harness import LIMIT, SLOW, Program, certificates, load, main, mock, node, openssl, reported, wait_until
from peer import Client, Listener, frame

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOKEN = "0123456789abcdef-secret"
HEAD_LIMIT, LIMIT_S = 8192, 10  # of the face: bytes of a head, seconds for it to come and for answers to be taken
CONNECTIONS = 64


class Face:
    """A node that listens; asks it."""

    def __init__(self, url, directory, *words, listen="127.0.0.1:0", context=None, env=None, token=None):
        self.directory, self.context, self.token = directory, context, token
        rate = () if "--listen-rate" in words else ("--listen-rate", 10000)  # tests ask again and again
        self.node = node(url, directory, "--listen", listen, *rate, *words, env=env)
        self.node.wait_for("listening at ")
        self.url = self.node.out["stderr"].split("listening at ")[1].split()[0]
        self.host, port = re.match(r"https?://\[?(.*?)\]?:(\d+)$", self.url).groups()
        self.port = int(port)
        if self.host == "0.0.0.0":
            self.host = "127.0.0.1"

    def connection(self):
        if self.context:
            return http.client.HTTPSConnection(self.host, self.port, timeout=LIMIT, context=self.context)
        return http.client.HTTPConnection(self.host, self.port, timeout=LIMIT)

    def ask(self, path, method="GET", connection=None, body=None, **fields):
        """Status, fields and body."""
        own = connection or self.connection()
        fields = {name.replace("_", "-"): value for name, value in fields.items()}
        if self.token:
            fields.setdefault("Authorization", f"Bearer {self.token}")
        own.request(method, path, body=body, headers=fields)
        answer = own.getresponse()
        data = answer.read()
        if not connection:
            own.close()
        return answer.status, answer.headers, data

    def json(self, path, status=200, **fields):
        got, headers, data = self.ask(path, **fields)
        assert got == status and headers["Content-Type"] == "application/json; charset=utf-8", (path, got, data)
        return json.loads(data)

    def live(self):
        def ready():
            self.node.pump(0.02)
            return self.ask("/readyz")[0] == 200
        wait_until(ready, "all books live")
        return self

    def metrics(self, **fields):
        """{name with labels: value} of the text that Prometheus reads."""
        status, _, data = self.ask("/metrics", **fields)
        assert status == 200
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in data.decode().splitlines() if not line.startswith("#")}

    def raw(self, data, pieces=None, shut=False):
        """All that comes back for these bytes, up to the end."""
        with socket.create_connection((self.host, self.port), LIMIT) as sock:
            for at in range(0, len(data), pieces or max(1, len(data))):
                sock.sendall(data[at:at + (pieces or len(data))])
            if shut:
                sock.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: sock.recv(1 << 16), b""))

    def end(self):
        self.node.signal()
        self.node.ends()
        return load(f"{self.directory}/report.json")


class Still:
    """A feed that says what a test wants, and then nothing: what is asked of the node stands still."""

    SNAPSHOT = {"type": "snapshot", "product_id": "BTC-USD", "bids": [["100.5", "2"], ["100.25", "1.5"], ["99", "7"]],
                "asks": [["101", "3"], ["101.75", "0.125"]]}
    UPDATE = {"type": "l2update", "product_id": "BTC-USD", "time": "2026-08-02T05:43:52.000001Z", "changes": [["buy", "100.5", "4"], ["sell", "102", "9"]]}
    TRADES = [(1001, "buy", "100.5", "0.25", "05:43:53.5"), (1002, "sell", "101", "1", "05:43:54"), (1003, "buy", "100.25", "2", "05:44:10"),
              (1004, "sell", "101.5", "0.5", "05:50:00.000001")]
    BIDS = [["100.5", "4", 0], ["100.25", "1.5", 0], ["99", "7", 0]]
    ASKS = [["101", "3", 0], ["101.75", "0.125", 0], ["102", "9", 0]]
    # time, low, high, open, close, volume: newest first
    MINUTES = [[1785649800, 101.5, 101.5, 101.5, 101.5, 0.5], [1785649440, 100.25, 100.25, 100.25, 100.25, 2], [1785649380, 100.5, 101, 100.5, 101, 1.25]]

    def __init__(self):
        self.listener = Listener()
        self.url = self.listener.url

    def say(self):
        self.client = Client(self.listener.socket.accept()[0])
        self.client.upgrade()
        self.client.subscribed()
        for message in [self.SNAPSHOT, self.UPDATE] + [
                {"type": "match", "trade_id": number, "maker_order_id": "a", "taker_order_id": "b", "side": side, "size": size, "price": price,
                 "product_id": "BTC-USD", "sequence": number, "time": f"2026-08-02T{at}Z"} for number, side, price, size, at in self.TRADES]:
            self.client.text(json.dumps(message))
        return self


def still(folder, *words, **more):
    """A node whose only feed has said all that it will say, and which has taken it."""
    feed = Still()
    face = Face(feed.url, folder, "--channel", "level2_batch,matches", "--witness", "off", "--silence", 3600, *words, **more)
    feed.say()
    face.live()
    wait_until(lambda: len(json.loads(face.ask("/products/BTC-USD/trades")[2])) == len(Still.TRADES), "all trades")
    return face, feed


def answers_have_the_shapes_of_the_exchange_and_say_what_the_feed_said(directory):
    face, _ = still(directory)
    wait_until(lambda: face.json("/api/v1/products/BTC-USD/book?level=2&depth=2")["bids"] == Still.BIDS[:2], "the depth in shared memory")
    for prefix, more in (("", set()), ("/api/v1", {"state", "reason"})):
        best = face.json(f"{prefix}/products/BTC-USD/book")
        assert (best["bids"], best["asks"]) == (Still.BIDS[:1], Still.ASKS[:1])
        assert set(best) == {"bids", "asks", "sequence", "auction_mode", "auction", "time"} | more and best["time"] == "2026-08-02T05:43:52.000001Z"
        whole = face.json(f"{prefix}/products/BTC-USD/book?level=2")
        assert (whole["bids"], whole["asks"], whole["sequence"]) == (Still.BIDS, Still.ASKS, best["sequence"])
        some = face.json(f"{prefix}/products/BTC-USD/book?level=2&depth=2")
        assert (some["bids"], some["asks"]) == (Still.BIDS[:2], Still.ASKS[:2])
        beyond = face.json(f"{prefix}/products/BTC-USD/book?level=2&depth=100000")
        assert (beyond["bids"], beyond["asks"]) == (Still.BIDS, Still.ASKS)
        trades = face.json(f"{prefix}/products/BTC-USD/trades")
        assert [(t["trade_id"], t["side"], t["price"], t["size"]) for t in trades] == [t[:4] for t in Still.TRADES[::-1]]
        assert trades[0]["time"] == "2026-08-02T05:50:00.000001Z" and face.json(f"{prefix}/products/BTC-USD/trades?limit=1") == trades[:1]
        ticker = face.json(f"{prefix}/products/BTC-USD/ticker")
        assert (ticker["bid"], ticker["ask"], ticker["price"], ticker["size"], ticker["trade_id"]) == ("100.5", "101", "101.5", "0.5", 1004)
        assert face.json(f"{prefix}/products/BTC-USD/candles") == Still.MINUTES
        assert face.json(f"{prefix}/products/BTC-USD/candles?granularity=3600") == [[1785646800 + 0, 100.25, 101.5, 100.5, 101.5, 3.75]]
        assert face.json(f"{prefix}/products/BTC-USD/candles?granularity=60&start=2026-08-02T05:44:00Z&end=1785649440") == Still.MINUTES[1:2]
        assert [p["id"] for p in face.json(f"{prefix}/products")] == ["BTC-USD"] and face.json(f"{prefix}/products/BTC-USD")["quote_currency"] == "USD"
    assert {c["id"] for c in face.json("/currencies")} == {"BTC", "USD"}
    assert abs(face.json("/time")["epoch"] - time.time()) < LIMIT
    assert face.json("/api/v1/products")[0]["mid"] == "100.75"


def the_status_is_the_report_of_the_same_moment_and_of_late(directory):
    face, _ = still(directory)
    status, report = face.json("/api/v1/status"), reported(face.node, f"{directory}/report.json")
    moving = {"elapsed_s", "latency_recent_ns", "disk", "stored_frames", "synced_frames", "store"}
    assert set(status) - set(report) == {"latency_recent_ns", "disk"}
    for product in (*status["products"].values(), *report["products"].values()):
        assert 0 <= product.pop("for_s") < LIMIT
    assert {k: v for k, v in status.items() if k not in moving} == {k: v for k, v in report.items() if k not in moving}
    assert status["disk"]["folder"] == f"{directory}/data" and status["disk"]["free_bytes"] > 0
    assert status["latency_recent_ns"]["wire_to_book"]["count"] == status["latency_ns"]["wire_to_book"]["count"] > 0
    wait_until(lambda: face.json("/api/v1/status")["latency_recent_ns"]["wire_to_book"] == {}, "an interval without a message")
    wait_until(lambda: face.json("/api/v1/status")["disk"]["segments"] == 1, "a segment")
    gauges = face.metrics()
    assert gauges["wirebook_messages_total"] == report["messages"] and gauges["wirebook_changes_total"] == report["changes"]
    assert gauges['wirebook_line_messages_total{line="A"}'] == report["lines"][0]["messages"]
    assert gauges['wirebook_product_updates_total{product="BTC-USD"}'] == report["products"]["BTC-USD"]["updates"]
    assert gauges['wirebook_product_bid_levels{product="BTC-USD"}'] == 3 and gauges['wirebook_product_state{product="BTC-USD",state="live"}'] == 1
    assert gauges['wirebook_wire_to_book_seconds_bucket{le="+Inf"}'] == report["latency_ns"]["wire_to_book"]["count"]
    assert gauges['wirebook_rejected_messages_total{reason="bad_json"}'] == 0


def books_that_move_are_those_that_the_node_ends_with(directory):
    exchange = mock("--rate", 300, "--levels", 4000, "--messages", 1800, "--product", "BTC,ETH")
    face = Face(exchange.url, directory, "--product", "BTC,ETH", "--once").live()
    seen, ended = [], threading.Event()

    def ask():
        while not ended.is_set():
            try:
                seen.append(face.json("/api/v1/products/BTC-USD/book?level=2"))
                seen.append(face.json("/api/v1/products/BTC-USD/book?level=2&depth=20"))
            except (OSError, http.client.HTTPException):
                return  # the node has ended
    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(ask)
        face.node.wait()
        ended.set()
    report = load(f"{directory}/report.json")["products"]["BTC-USD"]
    last = {book["sequence"]: book for book in seen}
    assert len(last) > 3 and max(last) <= report["updates"] + 1
    for book in seen:
        bids, asks = ([float(level[0]) for level in book[side]] for side in ("bids", "asks"))
        assert bids == sorted(bids, reverse=True) and asks == sorted(asks) and book["state"] in ("live", "stale")
    same = [book for book in seen if book["sequence"] == report["updates"] + 1 and len(book["bids"]) > 20]
    for book in same:
        assert [level[:2] for level in book["bids"][:1000]] == report["bids"] and [level[:2] for level in book["asks"][:1000]] == report["asks"]


def metrics_are_good_in_both_forms(directory):
    promtool = f"{ROOT}/build/promtool/promtool"
    if not os.path.exists(promtool):
        print("no build/promtool/promtool (tools/promtool)")
        raise SystemExit(77)
    face, _ = still(directory, "--compress", "zstd", "--url", Still().url)
    status, fields, data = face.ask("/metrics")
    assert status == 200 and fields["Content-Type"].startswith("text/plain; version=0.0.4")
    for form in (data, face.ask("/metrics")[2]):
        done = subprocess.run([promtool, "check", "metrics"], input=form, capture_output=True)
        assert done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr
    status, fields, data = face.ask("/metrics", Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert status == 200 and fields["Content-Type"].startswith("application/openmetrics-text; version=1.0.0") and data.endswith(b"# EOF\n")
    # promtool reads the older form only: a counter's family has its name without _total in this one, and nothing else differs.
    lines, counters = data.decode().splitlines()[:-1], set()
    for line in lines:
        if line.startswith("# TYPE ") and line.endswith(" counter"):
            counters.add(line.split()[2])
    older = [re.sub(r"^(# (?:HELP|TYPE) )(\S+)", lambda m: m[0] + "_total" if m[2] in counters else m[0], line) for line in lines]
    done = subprocess.run([promtool, "check", "metrics"], input="\n".join(older + [""]).encode(), capture_output=True)
    assert counters and done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr
    samples = [line for line in lines if not line.startswith("#")]
    assert all(sum(sample.startswith(f"{name}_total") for sample in samples) for name in counters - {"wirebook_product_alarms"})
    assert len(samples) == len(set(sample.rsplit(" ", 1)[0] for sample in samples))


def a_client_of_the_exchange_reads_the_node_unchanged(directory):
    library = f"{ROOT}/build/npm/node_modules/ccxt/js/ccxt.js"
    if not os.path.exists(library):
        print("no ccxt (tools/npm/fetch)")
        raise SystemExit(77)
    face, _ = still(directory)
    script = f"""
import ccxt from '{library}';
const exchange = new ccxt.coinbaseexchange();
exchange.urls['api']['public'] = '{face.url}';
const markets = await exchange.loadMarkets();
console.log(JSON.stringify({{
  markets: Object.keys(markets), currencies: Object.keys(exchange.currencies), time: await exchange.fetchTime(),
  ticker: await exchange.fetchTicker('BTC/USD'), book: await exchange.fetchOrderBook('BTC/USD'),
  trades: await exchange.fetchTrades('BTC/USD'), candles: await exchange.fetchOHLCV('BTC/USD', '1m')}}));
"""
    with open(f"{directory}/client.mjs", "w") as file:
        file.write(script)
    done = subprocess.run(["node", f"{directory}/client.mjs"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    got, report = json.loads(done.stdout), reported(face.node, f"{directory}/report.json")["products"]["BTC-USD"]
    assert got["markets"] == ["BTC/USD"] and {"BTC", "USD"} <= set(got["currencies"]) and abs(got["time"] / 1000 - time.time()) < LIMIT
    assert [level[:2] for level in got["book"]["bids"]] == [[float(x) for x in level] for level in report["bids"]]
    assert [level[:2] for level in got["book"]["asks"]] == [[float(x) for x in level] for level in report["asks"]]
    assert (got["ticker"]["bid"], got["ticker"]["ask"], got["ticker"]["last"]) == (float(report["best_bid"]), float(report["best_ask"]), 101.5)
    assert [(t["id"], t["price"], t["amount"]) for t in got["trades"]] == [(str(n), float(p), float(s)) for n, _, p, s, _ in Still.TRADES]
    assert got["candles"] == [[row[0] * 1000, row[3], row[2], row[1], row[4], row[5]] for row in Still.MINUTES[::-1]]


def health_and_readiness_follow_the_books(directory):
    feed = Still()
    face = Face(feed.url, directory, "--witness", "off", "--silence", 3600)
    assert face.ask("/healthz")[0] == 200
    waiting = face.json("/readyz", 503)
    assert waiting["not_live"][0]["product"] == "BTC-USD" and waiting["not_live"][0]["state"] == "waiting"
    for path in ("book", "book?level=2", "ticker", "trades", "candles"):
        assert "waiting" in face.json(f"/products/BTC-USD/{path}", 503)["message"]
    assert face.json("/api/v1/products/BTC-USD/book")["state"] == "waiting"
    feed.say()
    face.live()
    assert face.json("/readyz") == {"ready": True, "products": 1, "live": 1, "not_live": []}
    feed.client.hang_up()
    wait_until(lambda: face.ask("/readyz")[0] == 503, "a line that is down")
    down = face.json("/readyz", 503)
    assert down["live"] == 0 and down["not_live"][0]["reason"] and face.ask("/products/BTC-USD/book")[0] == 503
    face.node.child.send_signal(19)  # stopped: nobody answers, and nobody is told anything wrong
    face.node.child.send_signal(18)
    assert face.ask("/healthz")[0] == 200


def what_the_face_has_not_is_refused_with_a_message(directory):
    face, _ = still(directory)
    for path, status in {"/nothing": 404, "/products/": 404, "/products/NO-USD": 404, "/products/NO-USD/book": 404, "/products/BTC-USD/": 404,
                         "/products/BTC-USD/books": 404, "/products/BTC-USD/book?level=0": 400, "/products/BTC-USD/book?level=3": 400,
                         "/products/BTC-USD/book?level=x": 400, "/products/BTC-USD/book?level=2&depth=0": 400, "/products/BTC-USD/trades?limit=0": 400,
                         "/products/BTC-USD/trades?limit=1001": 400, "/products/BTC-USD/candles?granularity=61": 400,
                         "/products/BTC-USD/candles?start=yesterday": 400, "/products/BTC%2DUSD": 200, "/products/BTC%2": 404, "/products/%00": 404,
                         "/healthz?" + "x" * 600: 414}.items():
        got, fields, data = face.ask(path)
        assert got == status and isinstance(json.loads(data).get("message", ""), str), (path, got, data)
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        status, fields, data = face.ask("/healthz", method, body=b"{}")
        assert status == 405 and fields["Allow"] == "GET, HEAD" and json.loads(data)["message"]
    status, fields, data = face.ask("/api/v1/status", "HEAD")
    assert status == 200 and int(fields["Content-Length"]) > 500 and data == b""
    assert "Access-Control-Allow-Origin" not in face.ask("/healthz", Origin="http://elsewhere.example")[1]


def requests_that_are_none_are_refused_and_the_connection_ends(directory):
    face, _ = still(directory)
    host = b"Host: localhost\r\n"
    bad = {b"GARBAGE\r\n\r\n": 400, b"GET /healthz HTTP/1.1\r\n\r\n": 400, b"GET /healthz HTTP/1.1\r\n" + host * 2 + b"\r\n": 400,
           b"GET http://x/healthz HTTP/1.1\r\n" + host + b"\r\n": 400, b"GET /healthz HTTP/1.0\r\n" + host + b"\r\n": 505,
           b"GET /healthz HTTP/1.1\n" + host + b"\n": 400, b"GET /healthz HTTP/1.1\r\n" + host + b" folded\r\n\r\n": 400,
           b"GET /healthz HTTP/1.1\r\n" + host + b"A: \x01\r\n\r\n": 400,
           b"POST /healthz HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 501,
           b"POST /healthz HTTP/1.1\r\n" + host + b"Content-Length: 99999\r\n\r\n": 413,
           b"POST /healthz HTTP/1.1\r\n" + host + b"Content-Length: 1x\r\n\r\n": 400,
           b"GET /" + b"x" * HEAD_LIMIT: 414, b"GET /healthz HTTP/1.1\r\n" + host + b"A: " + b"x" * HEAD_LIMIT: 431}
    for data, status in bad.items():
        for pieces in (None, 7):
            got = face.raw(data, pieces)
            assert got.startswith(b"HTTP/1.1 %d " % status) and b"Connection: close" in got and got.count(b"HTTP/1.1 ") == 1, (data[:60], got)
    assert face.metrics()['wirebook_face_ended_connections_total{reason="bad_request"}'] >= 2 * len(bad) - 1
    good = b"GET /healthz HTTP/1.1\r\n" + host + b"\r\nGET /time HTTP/1.1\r\n" + host + b"\r\nGET /api/v1/status HTTP/1.1\r\n" + host + b"\r\n"
    last = b"GET /products HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n"
    for pieces in (None, 1, 13, 100):
        got = face.raw(good + last, pieces)
        assert got.count(b"HTTP/1.1 200 OK") == 4 and got.index(b'"status":"ok"') < got.index(b'"epoch"') < got.index(b'"elapsed_s"') < got.index(b'"id":"BTC-USD"')
    for pieces in (None, 1, 100):
        assert face.raw(good, pieces, shut=True).count(b"HTTP/1.1 200 OK") == 3  # who says no more may still listen
    assert face.raw(good + last[:-1], shut=True).count(b"HTTP/1.1 200 OK") == 3


def a_connection_is_kept_for_many_requests(directory):
    face, _ = still(directory)
    connection = face.connection()
    for path in ("/healthz", "/api/v1/status", "/products/BTC-USD/book?level=2", "/nothing", "/metrics") * 4:
        face.ask(path, connection=connection)
        assert connection.sock is not None
    assert face.metrics()["wirebook_face_accepted_connections_total"] < face.metrics()["wirebook_face_requests_total"]


def no_more_connections_than_there_is_room_for(directory):
    face, _ = still(directory)
    kept = [face.connection() for _ in range(CONNECTIONS)]
    for connection in kept:
        face.ask("/healthz", connection=connection)
    extra = face.raw(b"")
    assert extra.startswith(b"HTTP/1.1 503 ") and json.loads(extra.split(b"\r\n\r\n")[1])["message"]
    assert face.ask("/healthz", connection=kept[0])[0] == 200  # those that were there are served on
    for connection in kept[1:]:
        connection.close()
    wait_until(lambda: face.ask("/metrics", connection=kept[0])[2].count(b"wirebook_face_connections 1\n"), "room again")
    assert b'wirebook_face_ended_connections_total{reason="refused"} 1\n' in face.ask("/metrics", connection=kept[0])[2]


def an_address_that_asks_too_often_is_told_to_wait(directory):
    face, _ = still(directory, "--listen-rate", 5)
    wait_until(lambda: face.ask("/healthz")[0] == 200, "a bucket with something in it")
    many = face.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 40 + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert many.count(b"HTTP/1.1 200 ") < 20 and many.count(b"HTTP/1.1 429 ") >= 20 and b"Retry-After: 1" in many
    wait_until(lambda: face.ask("/healthz")[0] == 200, "a bucket that fills again")


def who_is_slow_is_closed_and_counted(directory):
    exchange = mock("--rate", 1, "--levels", 20000)
    face = Face(exchange.url, directory, "--max-message", "16M").live()

    def trickles():
        """A head that never ends."""
        with socket.create_connection((face.host, face.port), LIMIT) as sock:
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: local")
            return sock.recv(1)

    def says_nothing():
        with socket.create_connection((face.host, face.port), LIMIT) as sock:
            return sock.recv(1)

    def takes_nothing():
        """Many large answers, none of which is read: what comes to be read at the end is cut."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(LIMIT)
        with sock:
            sock.connect((face.host, face.port))
            sock.sendall(b"GET /products/BTC-USD/book?level=2 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
            wait_until(lambda: face.metrics()['wirebook_face_ended_connections_total{reason="slow_reader"}'] == 1, "the end of who reads nothing")
            return b""

    begin = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        ends = [pool.submit(each) for each in (trickles, says_nothing, takes_nothing)]
        assert [each.result() for each in ends] == [b""] * 3
    assert time.monotonic() - begin > LIMIT_S - 1
    counts = face.metrics()
    assert counts['wirebook_face_ended_connections_total{reason="slow_request"}'] == 2
    assert face.json("/readyz")["ready"]  # the books did not wait for any of it


def a_page_of_another_name_cannot_read(directory):
    face, _ = still(directory)
    for host, status in {"localhost": 200, f"127.0.0.1:{face.port}": 200, "[::1]:80": 200, "LOCALHOST:1": 200, "evil.example": 421,
                         "evil.example:8080": 421, "127.0.0.1.evil.example": 421, "": 421}.items():
        assert face.ask("/healthz", Host=host)[0] == status, host


def beyond_loopback_it_asks_who_is_there(directory):
    certificates(directory)
    with open(f"{directory}/open", "w") as file:
        file.write(TOKEN)
    with open(f"{directory}/token", "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(TOKEN + "\n")
    tls = ("--listen-cert", f"{directory}/server.pem", "--listen-key", f"{directory}/server.key")
    for words, env, why in ((("--listen", "0.0.0.0:0"), {}, "open to other machines"), (("--listen", "[::]:0"), {}, "open to other machines"),
                            (("--listen", "0.0.0.0:0", *tls), {}, "open to other machines"),
                            (("--listen", "0.0.0.0:0", "--listen-token-file", f"{directory}/open"), {}, "chmod 600"),
                            (("--listen", "0.0.0.0:0", "--listen-token-file", f"{directory}/none"), {}, "No such file"),
                            (("--listen", "0.0.0.0:0"), {"WIREBOOK_LISTEN_TOKEN": "short"}, "16 to 512"),
                            (("--listen", "127.0.0.1"), {}, "no ADDRESS:PORT"), (("--listen", "somewhere:80"), {}, "no ADDRESS:PORT"),
                            (("--listen", "127.0.0.1:99999"), {}, "no ADDRESS:PORT"),
                            (("--listen", "127.0.0.1:0", "--listen-cert", f"{directory}/server.pem"), {}, "belong together"),
                            (("--listen", "127.0.0.1:0", "--listen-client-ca", f"{directory}/ca.pem"), {}, "--listen-client-ca"),
                            (("--listen", "127.0.0.1:0", "--listen-rate", 0), {}, "--listen-rate")):
        refused = Program("run", "--url", "ws://127.0.0.1:9/", "--no-store", "--console", "off", *words, env=env).ends(2)
        assert why in refused.out["stderr"], (words, refused.out["stderr"])
        assert TOKEN not in refused.out["stderr"]
    for number, (words, env) in enumerate(((("--listen-token-file", f"{directory}/token"), {}), ((), {"WIREBOOK_LISTEN_TOKEN": TOKEN}))):
        face, _ = still(f"{directory}/{number}", *words, listen="0.0.0.0:0", env=env, token=TOKEN)
        basic = base64.b64encode(f"anybody:{TOKEN}".encode()).decode()
        for given, status in {f"Bearer {TOKEN}": 200, f"Basic {basic}": 200, f"bearer {TOKEN}": 200, "Bearer": 401, "Bearer ": 401, f"Bearer {TOKEN}x": 401,
                              f"Bearer {TOKEN[:-1]}": 401, "Basic x": 401, f"Basic {basic[:-4]}": 401, TOKEN: 401, "": 401}.items():
            got, fields, data = face.ask("/healthz", Authorization=given)
            assert got == status and (status == 200 or "Bearer" in fields["WWW-Authenticate"]), (given, got)
        assert face.ask("/healthz", Host="any.example", Authorization=f"Bearer {TOKEN}")[0] == 200
        with open(f"/proc/{face.node.child.pid}/environ", "rb") as file:
            assert TOKEN.encode() not in file.read()
        face.end()
        assert TOKEN not in face.node.out["stderr"]


def clients_with_a_certificate_come_in_and_no_others(directory):
    certificates(directory)
    certificates(directory, name="client")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "other.key", "-out", "other.pem", "-days", "2",
            "-subj", "/CN=another", cwd=directory)

    def context(name=None):
        made = ssl.create_default_context(cafile=f"{directory}/ca.pem")
        if name:
            made.load_cert_chain(f"{directory}/{name}.pem", f"{directory}/{name}.key")
        return made
    face, _ = still(directory, "--listen-cert", f"{directory}/server.pem", "--listen-key", f"{directory}/server.key", "--listen-client-ca",
                    f"{directory}/ca.pem", listen="0.0.0.0:0", context=context("client"))
    assert face.json("/products/BTC-USD/book?level=2")["bids"] == Still.BIDS
    connection = face.connection()
    for _ in range(3):
        assert face.ask("/api/v1/status", connection=connection)[0] == 200
    for name in (None, "other"):
        face.context = context(name)
        try:
            face.ask("/healthz")
        except (ssl.SSLError, ConnectionError, http.client.HTTPException):
            continue
        raise AssertionError(f"{name} came in")
    face.context = context("client")
    plain = socket.create_connection((face.host, face.port), LIMIT)
    plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"HTTP" not in b"".join(iter(lambda: plain.recv(4096), b""))
    wait_until(lambda: face.metrics()['wirebook_face_ended_connections_total{reason="bad_tls"}'] >= 3, "three that were refused")


def pages_from_elsewhere_read_only_where_that_was_said(directory):
    face, _ = still(directory, "--listen-origin", "https://board.example")
    assert face.ask("/healthz")[1]["Access-Control-Allow-Origin"] == "https://board.example"


def a_confined_node_listens(directory):
    face, _ = still(directory, "--confine", "try", env={"ASAN_OPTIONS": "detect_leaks=0"})  # that check traces its process
    assert face.json("/products/BTC-USD/book?level=2")["bids"] == Still.BIDS
    assert face.metrics()["wirebook_messages_total"] and face.json("/api/v1/status")["disk"]["free_bytes"] > 0
    face.end()


def shared_memory_with_a_name_serves_both(directory):
    name = f"face-{os.getpid()}"
    face, _ = still(directory, "--shm", name)
    assert stat.S_IMODE(os.stat(f"/dev/shm/{name}").st_mode) == 0o640
    assert face.json("/products/BTC-USD/book?level=2")["bids"] == Still.BIDS
    face.end()
    assert not os.path.exists(f"/dev/shm/{name}")


def pipelined_stages_are_read_as_well(directory):
    face, _ = still(directory, "--layout", "pipelined")
    assert face.json("/products/BTC-USD/book?level=2")["asks"] == Still.ASKS and face.json("/api/v1/status")["products"]["BTC-USD"]["updates"] == 1
    kept = face.connection()
    face.ask("/healthz", connection=kept)
    assert face.end()["products"]["BTC-USD"]["bids"] == [level[:2] for level in Still.BIDS]


if __name__ == "__main__":
    main(globals())
