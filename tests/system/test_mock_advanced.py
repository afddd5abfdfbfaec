#!/usr/bin/env python3
"""The mock's Advanced Trade dialect: what it says to a client made for the purpose, and the node on it. `test_mock_advanced.py [NAME...]`."""

import base64
import gzip
import json
import os
import re
import socket
import struct
import subprocess
import time
from datetime import datetime
from decimal import Decimal

from harness import LIMIT, SLOW, Program, load, logged, main, mock, node, same
from test_node import BOOK, THREE, all_live, secured, settle

DIALECT = ["--dialect", "coinbase-advanced"]
FEED = ["--feed", "coinbase-advanced"]
CHANNELS = ["level2", "heartbeats", "ticker", "ticker_batch", "market_trades", "candles", "status"]
ALL = ["--channel", ",".join(CHANNELS)]
NUMBER = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")
STILL = ["--product", "LTC-USD,BTC-USD,ETH-USD", "--rate", 0.001, "--levels", 20]  # but for the first, each product's first update is minutes away
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z")


class Feed:
    """A client: what it asks for goes out masked, what comes is read message by message."""

    def __init__(self, url):
        host, port = url.split("//")[1].rstrip("/").rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=LIMIT)
        self.stream = self.socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                            "Sec-WebSocket-Version: 13\r\n\r\n".encode())
        assert b" 101 " in self.stream.readline()
        while self.stream.readline() != b"\r\n":
            pass
        self.closed = None

    def say(self, text):
        data = text.encode()
        size = struct.pack(">BH", 0x80 | 126, len(data)) if len(data) > 125 else bytes([0x80 | len(data)])
        self.socket.sendall(b"\x81" + size + bytes(4) + data)

    def ask(self, channel, *products, type="subscribe", **more):
        self.say(json.dumps({"type": type, "channel": channel, **({"product_ids": products} if products else {}), **more}))

    def next(self):
        """The next message as it came, or None after a Close."""
        head = self.stream.read(2)
        if len(head) < 2:
            return None
        size = head[1]
        if size == 126:
            size = struct.unpack(">H", self.stream.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.stream.read(8))[0]
        data = self.stream.read(size)
        if head[0] & 0x0f == 8:
            self.closed = struct.unpack(">H", data[:2])[0], data[2:].decode()
            return None
        assert head[0] == 0x81, head
        return data.decode()

    def message(self):
        text = self.next()
        assert text is not None, self.closed
        return json.loads(text)

    def messages(self):
        """All messages up to the Close."""
        while (text := self.next()) is not None:
            yield json.loads(text)

    def until(self, channel, kind=None):
        while True:
            message = self.message()
            if message.get("channel") == channel and (not kind or message["events"][0]["type"] == kind):
                return message


def events(message):
    return message["channel"], message["sequence_num"], message["events"][0].get("type"), message["events"][0].get("product_id")


def acknowledged(message):
    assert message["channel"] == "subscriptions" and "client_id" not in message and STAMP.fullmatch(message["timestamp"]), message
    return message["sequence_num"], message["events"][0]["subscriptions"]


# ---------------------------------------------------------------------------------------------- what it says


def the_first_snapshot_is_number_0_and_its_acknowledgement_number_1(directory):
    exchange = mock(*DIALECT, *STILL)
    feed = Feed(exchange.url)
    feed.ask("level2", "BTC-USD", "ETH-USD")
    assert events(feed.message()) == ("l2_data", 0, "snapshot", "BTC-USD")
    assert acknowledged(feed.message()) == (1, {"level2": ["BTC-USD", "ETH-USD"]})
    assert events(feed.message()) == ("l2_data", 2, "snapshot", "ETH-USD")
    feed.ask("heartbeats")
    assert acknowledged(feed.message()) == (3, {"heartbeats": ["heartbeats"], "level2": ["BTC-USD", "ETH-USD"]})
    beats = [feed.until("heartbeats") for _ in range(2)]
    for beat in beats:
        said = beat["events"][0]
        found = re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{0,8}[1-9])? \+0000 UTC m=\+(\d+)\.\d{9}", said["current_time"])
        assert found and said["heartbeat_counter"] == int(found[2]), said
    counters = [beat["events"][0]["heartbeat_counter"] for beat in beats]
    while len(counters) < 10 and counters[-1] == counters[0]:  # a mock that was halted makes up for its beats, all of one second
        counters.append(feed.until("heartbeats")["events"][0]["heartbeat_counter"])
    assert counters == sorted(counters) and counters[-1] > counters[0], counters
    feed.ask("level2", "ETH-USD", "LTC-USD")
    assert feed.until("l2_data")["events"][0]["product_id"] == "LTC-USD", "what it has it does not get again"


def each_connection_counts_its_own_messages_over_all_channels(directory):
    exchange = mock(*DIALECT, "--product", THREE, "--rate", 500, "--levels", 50)
    feeds = [Feed(exchange.url) for _ in range(3)]
    for number, feed in enumerate(feeds):
        for channel in CHANNELS[number:] + CHANNELS[:number]:
            feed.ask(channel, *THREE.split(","))
    for feed in feeds:
        seen = {}
        while set(seen) != {"l2_data", "subscriptions", *CHANNELS[1:]} or seen["l2_data"] < 1000 or seen["subscriptions"] < 7:
            message = feed.message()
            assert message["sequence_num"] == sum(seen.values()), (seen, message)
            assert STAMP.fullmatch(message["timestamp"]) and ("client_id" in message) == (message["channel"] == "l2_data"), message
            seen[message["channel"]] = seen.get(message["channel"], 0) + 1
        assert seen["subscriptions"] == 7, seen


def books_can_be_kept_by_what_it_says(directory):
    """Snapshots are of both sides in one list; a size of 0 removes a level that is there; numbers are as short as can be."""
    exchange = mock(*DIALECT, "--product", "SKL-USD", "--rate", "max", "--messages", 5000, "--levels", 300, "--once", "--depth", "all", "--report",
                    f"{directory}/mock.json")
    feed = Feed(exchange.url)
    feed.ask("level2", "SKL-USD")
    book = None
    for message in feed.messages():
        if message["channel"] != "l2_data":
            continue
        event = message["events"][0]
        changes = [(change["side"], change["price_level"], change["new_quantity"]) for change in event["updates"]]
        for change in event["updates"]:
            assert STAMP.fullmatch(change["event_time"]) and set(change) == {"side", "event_time", "price_level", "new_quantity"}, change
        assert all(NUMBER.fullmatch(number) for change in changes for number in change[1:]), changes
        if event["type"] == "snapshot":
            assert book is None
            sides = [side for side, _, _ in changes]
            assert "".join(side[0] for side in sides) not in ("b" * sides.count("bid") + "o" * sides.count("offer"), "o" * 300 + "b" * 300), "not apart"
            assert sorted(Decimal(price) for side, price, _ in changes if side == "offer") != [Decimal(price) for side, price, _ in changes if side == "offer"]
            book = {"bid": {}, "offer": {}}
        for side, price, size in changes:
            if size == "0":
                del book[side][price]
            else:
                book[side][price] = size
    exchange.ends(0)
    told = load(f"{directory}/mock.json")["products"]["SKL-USD"]
    assert sorted(book["bid"].items(), key=lambda level: -Decimal(level[0])) == [tuple(level) for level in told["bids"]]
    assert sorted(book["offer"].items(), key=lambda level: Decimal(level[0])) == [tuple(level) for level in told["asks"]]


def snapshots_bear_times_of_1970_if_so_asked(directory):
    for words, times in [([], 1), (["--snapshot-epoch"], 0)]:
        exchange = mock(*DIALECT, "--rate", 0.001, "--levels", 5, "--start-time", "2026-09-07T01:57:58Z", *words)
        feed = Feed(exchange.url)
        feed.ask("level2", "BTC-USD")
        snapshot = feed.message()
        assert snapshot["timestamp"].startswith("2026-09-07T01:57:58."), snapshot
        assert {change["event_time"] for change in snapshot["events"][0]["updates"]} == {"2026-09-07T01:57:58Z" if times else "1970-01-01T00:00:00Z"}


def trades_come_without_holes_first_the_past_then_batches_and_make_the_candle(directory):
    exchange = mock(*DIALECT, "--rate", 400, "--levels", 50)
    early, late = Feed(exchange.url), Feed(exchange.url)
    early.ask("market_trades", "BTC-USD")
    early.ask("level2", "BTC-USD")
    early.until("market_trades", "update")
    early.until("market_trades", "update")
    late.ask("market_trades", "BTC-USD")
    late.ask("candles", "BTC-USD")
    trades, candles, batches = {}, [], 0
    for message in late.messages():
        if message["channel"] == "candles":
            candles.append(message["events"][0]["candles"])
            if len(candles) == 3:
                exchange.signal()
        if message["channel"] != "market_trades":
            continue
        event = message["events"][0]
        ids = [int(trade["trade_id"]) for trade in event["trades"]]
        if event["type"] == "snapshot":
            assert not trades and 2 <= len(ids) <= 50 and ids == list(range(ids[0], ids[0] - len(ids), -1)), ids
        else:
            assert ids == list(range(max(trades) + 1, max(trades) + 1 + len(ids))), (ids, max(trades))
            batches += 1
        for trade in event["trades"]:
            assert trade["side"] in ("BUY", "SELL") and trade["product_id"] == "BTC-USD" and STAMP.fullmatch(trade["time"]), trade
            trades[int(trade["trade_id"])] = trade
    assert batches >= 2 and len(candles) >= 3, (batches, candles)
    prices = [Decimal(trade["price"]) for trade in trades.values()]
    for candle, in candles[:-1]:  # the trade that closes the last one may not have been told yet
        assert int(candle["start"]) % 300 == 0 and Decimal(candle["low"]) <= min(Decimal(candle["open"]), Decimal(candle["close"])), candle
        assert Decimal(candle["close"]) in prices and Decimal(candle["high"]) >= Decimal(candle["close"]), candle
    volumes = [Decimal(candle["volume"]) for candle, in candles if candle["start"] == candles[0][0]["start"]]
    assert volumes == sorted(volumes) and 0 < volumes[-1] and volumes[0] < volumes[-1] or len(volumes) == 1, volumes


def tickers_tell_the_best_levels_and_batched_ones_do_not(directory):
    exchange = mock(*DIALECT, "--product", "BTC-USD", "--rate", 300, "--levels", 50)
    feed = Feed(exchange.url)
    for channel in ["ticker", "ticker_batch", "level2"]:
        feed.ask(channel, "BTC-USD")
    seen = {}
    while seen.get(("ticker_batch", "update"), 0) < 1 or seen.get(("ticker", "update"), 0) < 3:
        message = feed.message()
        if message["channel"] not in ("ticker", "ticker_batch"):
            continue
        event = message["events"][0]
        ticker, = event["tickers"]
        assert ("best_bid" in ticker) == ("best_ask_quantity" in ticker) == (message["channel"] == "ticker"), message
        assert ticker["type"] == "ticker" and all(NUMBER.fullmatch(ticker[key].lstrip("-")) for key in ticker if key not in ("type", "product_id")), ticker
        key = message["channel"], event["type"]
        seen[key] = seen.get(key, 0) + 1
    assert seen["ticker", "snapshot"] == seen["ticker_batch", "snapshot"] == 1, seen


def the_status_lists_products_with_their_increments(directory):
    exchange = mock(*DIALECT, "--product", "BTC-USD,SKL-USD,BTC-PERP-INTX", "--rate", 0.001)
    feed = Feed(exchange.url)
    feed.ask("status")
    first = feed.message()
    assert events(first)[:3] == ("status", 0, "snapshot"), first
    assert acknowledged(feed.message()) == (1, {"status": ["BTC-USD", "SKL-USD", "BTC-PERP-INTX"]})
    told = {product["id"]: product for product in first["events"][0]["products"]}
    assert [told[id]["product_type"] for id in ("BTC-USD", "SKL-USD", "BTC-PERP-INTX")] == ["SPOT", "SPOT", "FUTURE"], told
    assert (told["SKL-USD"]["quote_increment"], told["SKL-USD"]["base_increment"]) == ("0.0001", "0.1"), told
    assert (told["BTC-USD"]["base_currency"], told["BTC-USD"]["quote_currency"]) == ("BTC", "USD"), told
    other = Feed(exchange.url)
    other.ask("status", "SKL-USD", "NO-USD")
    assert other.message()["message"] == "failure to subscribe"
    for kind in ("snapshot", "update"):
        assert [product["id"] for product in other.until("status", kind)["events"][0]["products"]] == ["SKL-USD"], kind


def what_is_no_request_gets_the_words_of_the_real_exchange_and_no_number(directory):
    exchange = mock(*DIALECT, *STILL)
    feed = Feed(exchange.url)
    cases = [("subscribe or unsubscribe required", ["hello", "[]", "{}", '{"type":"users","channel":"level2","product_ids":["BTC-USD"]}',
                                                    '{"type":"subscribe","channel":["level2","ticker"],"product_ids":["BTC-USD"]}',
                                                    '{"type":"subscribe","channel":"level2","product_ids":"BTC-USD"}', '{"type":7}']),
             ("authentication failure", ['{"type":"subscribe","channel":"level3","product_ids":["BTC-USD"]}', '{"type":"subscribe","product_ids":["BTC-USD"]}',
                                         '{"type":"subscribe","channels":["level2","ticker"],"product_ids":["BTC-USD"]}',
                                         '{"type":"subscribe","channel":"user"}', '{"type":"unsubscribe","channel":"l2_data"}',
                                         '{"type":"subscribe","channel":"level2","product_ids":["BTC-USD"],"jwt":{}}']),
             ("failure to subscribe", ['{"type":"subscribe","channel":"level2"}', '{"type":"subscribe","channel":"level2","product_ids":["NO-USD"]}',
                                       '{"type":"subscribe","channel":"ticker","product_ids":[7]}', '{"type":"subscribe","channel":"ticker","product_ids":null}',
                                       json.dumps({"type": "subscribe", "channel": "level2", "product_ids": ["X" * 5000 + "-USDC"]})])]
    for words, texts in cases:
        for text in texts:
            feed.say(text)
            assert feed.message() == {"type": "error", "message": words}, text
    feed.ask("level2", "NO-USD", "BTC-USD", "BTC-USD", jwt="e30.e30.AA")
    assert feed.message()["message"] == "failure to subscribe"
    assert events(feed.message()) == ("l2_data", 0, "snapshot", "BTC-USD"), "the good one is served, once"
    assert acknowledged(feed.message()) == (1, {"level2": ["BTC-USD"]})


def who_unsubscribes_hears_what_is_left_and_a_fresh_snapshot_when_it_comes_again(directory):
    exchange = mock(*DIALECT, *STILL)
    feed = Feed(exchange.url)
    feed.ask("level2", "BTC-USD", "ETH-USD")
    feed.ask("ticker", "BTC-USD")
    for _ in range(5):
        feed.message()
    feed.ask("level2", "ETH-USD", type="unsubscribe")
    assert acknowledged(feed.message()) == (5, {"level2": ["BTC-USD"], "ticker": ["BTC-USD"]})
    feed.ask("level2", type="unsubscribe")
    assert acknowledged(feed.message()) == (6, {"ticker": ["BTC-USD"]})
    feed.ask("ticker", "BTC-USD", type="unsubscribe")
    assert acknowledged(feed.message()) == (7, {})
    feed.ask("level2", "ETH-USD")
    assert events(feed.message()) == ("l2_data", 8, "snapshot", "ETH-USD")


def a_product_in_usdc_is_told_as_the_one_in_usd(directory):
    exchange = mock(*DIALECT, "--product", "LTC-USD,BTC-USD,ETH-USDC", *STILL[2:])
    feed = Feed(exchange.url)
    feed.ask("level2", "BTC-USDC", "ETH-USDC", "BTC-USD", "ETH-USD")
    assert events(feed.message()) == ("l2_data", 0, "snapshot", "BTC-USD")
    assert acknowledged(feed.message()) == (1, {"level2": ["BTC-USD", "ETH-USD"]})
    assert events(feed.message()) == ("l2_data", 2, "snapshot", "ETH-USD")
    feed.ask("heartbeats")
    assert acknowledged(feed.message())[0] == 3, "and nothing twice"


def a_connection_without_messages_is_closed_unless_it_hears_heartbeats(directory):
    exchange = mock(*DIALECT, *STILL, "--idle-timeout", 1.5)
    silent, beating = Feed(exchange.url), Feed(exchange.url)
    beating.ask("level2", "BTC-USD")
    beating.ask("heartbeats")
    began = time.monotonic()
    silent.ask("level2", "BTC-USD")
    assert [message["channel"] for message in silent.messages()] == ["l2_data", "subscriptions"]
    assert silent.closed == (1001, "no updates") and time.monotonic() - began > 1.4, silent.closed
    for _ in range(3):
        beating.until("heartbeats")


def with_blanks_it_says_the_same(directory):
    said = []
    for words in ([], ["--spaced"]):
        exchange = mock(*DIALECT, "--rate", "max", "--messages", 300, "--levels", 30, "--once", "--start-time", "2026-09-07T01:57:58Z", *words)
        feed = Feed(exchange.url)
        feed.ask("market_trades", "BTC-USD")
        feed.ask("level2", "BTC-USD")
        texts = list(iter(feed.next, None))
        assert ("\": " in texts[-1]) == bool(words)
        said.append([json.loads(text) for text in texts if "market_trades" not in text])  # batches come by the real clock
        for message in said[-1]:
            message.pop("sequence_num")
    assert said[0] == said[1]


# ---------------------------------------------------------------------------------------------- the node on it


def books_equal(directory, mock_words, node_words, products=THREE, count=None):
    """The mock sends its messages and closes; the node's books, and those of a replay of its log, are the mock's own."""
    count = count or int(20000 / SLOW)
    exchange = mock(*DIALECT, "--product", products, "--messages", count, "--rate", "max", "--levels", 500, "--once", "--depth", 1000, "--report",
                    f"{directory}/mock.json", "--store", f"{directory}/sent", *mock_words)
    node(exchange.url, directory, *FEED, "--product", products, "--once", *node_words).ends(0)
    exchange.ends(0)
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)
    report = load(f"{directory}/report.json")
    assert report["rejected"] == {} and report["resyncs"] == 0 and report["reconnects"] == 0, report
    for product in report["products"].values():
        assert product["updates"] == count and product["alarms"] == {} and product["crossed"] == 0, product
    replayed(directory, products)
    everything_stored(directory, products)


def replayed(directory, products):
    Program("replay", *FEED, "--product", products, "--depth", 1000, "--console", "off", "--report", f"{directory}/replay.json", f"{directory}/data").ends(0)
    same(f"{directory}/report.json", f"{directory}/replay.json", "--state", "--rejected")


def everything_stored(directory, products):
    """Every level-2 message that the mock sent is in the log, in order, but for its number; the numbers have no hole."""
    stored = {}
    for number, text in enumerate(logged(directory, "text")):
        assert int(re.search(rb'"sequence_num": ?(\d+)', text)[1]) == number, (number, text[:200])
        if b'"l2_data"' in text[:30]:
            stored.setdefault(re.search(rb'"product_id": ?"([^"]*)"', text)[1].decode(), []).append(re.sub(rb'("sequence_num": ?)\d+', rb"\1", text, count=1))
    for product in products.split(","):
        with open(f"{directory}/sent/{product}.jsonl", "rb") as file:
            sent = file.read().splitlines()
        assert [int(re.search(rb'"sequence_num": ?(\d+)', line)[1]) for line in sent] == list(range(len(sent)))
        assert stored[product] == [re.sub(rb'("sequence_num": ?)\d+', rb"\1", line, count=1) for line in sent], product


def one_products_book_is_the_mocks_own(directory):
    books_equal(directory, [], [], "BTC-USD")


def books_of_many_products_with_all_channels_are_the_mocks_own_pipelined(directory):
    books_equal(directory, [], [*ALL, "--layout", "pipelined"])


def books_are_the_mocks_own_over_tls_with_all_channels(directory):
    mock_words, node_words = secured(directory)
    books_equal(directory, mock_words, [*node_words, *ALL])


def books_are_the_mocks_own_compressed_with_blanks_and_times_of_1970(directory):
    books_equal(directory, ["--deflate", "takeover", "--spaced", "--snapshot-epoch", "--updates-per-message", "1-40"], ["--deflate", "takeover", *ALL],
                count=int(5000 / SLOW))


def a_book_of_forty_five_thousand_levels_a_side_is_one_message(directory):
    books_equal(directory, ["--levels", 45000, "--rate", 200], [], "BTC-USD", count=300)
    assert max(len(text) for text in logged(directory, "text")) > 9_000_000


def snapshots_of_a_given_size_are_of_that_size(directory):
    exchange = mock(*DIALECT, "--scenario", "bigsnapshot", "--rate", "max", "--messages", 20, "--once", "--depth", 1000, "--report", f"{directory}/mock.json")
    node(exchange.url, directory, *FEED, "--once").ends(0)
    exchange.ends(0)
    assert len(logged(directory, "text")[0]) == 5_000_000
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)


def run_with_mock_finds_the_mock(directory):
    exchange = mock(*DIALECT, "--rate", "max", "--messages", 200, "--once", "--depth", 1000, "--report", f"{directory}/mock.json")
    port = exchange.url.rstrip("/").rsplit(":", 1)[1]
    Program("run", *FEED, "--mock", "--mock-port", port, "--no-store", "--once", "--console", "off", "--depth", 1000, "--report", f"{directory}/report.json").ends(0)
    exchange.ends(0)
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)


def four_hundred_products_are_all_live_and_asked_for_at_no_more_than_eight_messages_a_second(directory):
    products = [f"P{number:03d}-USD" for number in range(400)]
    with open(f"{directory}/products", "w") as file:
        file.write("\n".join(products))
    exchange = mock(*DIALECT, "--product", f"@{directory}/products", "--rate", 2, "--levels", 100, "--depth", 1000, "--report", f"{directory}/mock.json")
    program = node(exchange.url, directory, *FEED, *ALL[:1], "level2,heartbeats,ticker", "--product", f"@{directory}/products", "--depth", 1000)
    report = settle(directory, exchange, program, lambda r: all_live(r) and all(p["updates"] >= 3 for p in r["products"].values()), "all 400 are live")
    assert len(report["products"]) == 400 and report["resyncs"] == 0 and report["rejected"] == {}, report
    shown = subprocess.run([os.environ["WIREBOOK_BINARY"], "inspect", "--frames", "--json", "--kind", "sent", f"{directory}/data"], capture_output=True, check=True)
    sent = [json.loads(line) for line in shown.stdout.splitlines()]
    times = [datetime.fromisoformat(record["utc"][:26]).timestamp() for record in sent]
    # Seven intervals, as a node may be halted between looking at its clock and making the record of what it sent.
    assert len(times) == 4 * 3 and all(later - earlier > 0.85 for earlier, later in zip(times, times[8:])), times
    assert {id for record in sent for id in json.loads(record["text"]).get("product_ids", [])} == set(products)


# ---------------------------------------------------------------------------------------------- trouble


def troubled(directory, name, condition, *mock_words, node_words=(), products="BTC-USD,ETH-USD", rate=200, after=50):
    """A fault in the middle of the stream; the node comes to the condition and to the mock's own books. Its report, and what it said."""
    place = f"{directory}/{name}"
    os.mkdir(place)
    exchange = mock(*DIALECT, "--product", products, "--rate", rate, "--levels", 200, "--scenario", name, "--scenario-after", after, "--depth", 1000, "--report",
                    f"{place}/mock.json", *mock_words)
    program = node(exchange.url, place, *FEED, "--product", products, "--channel", "level2,heartbeats,ticker,market_trades", *node_words)
    path = f"{place}/report.json"
    report = settle(place, exchange, program, lambda r: all_live(r) and all(p["updates"] > after for p in r["products"].values()) and condition(r), f"{name}: live again")
    Program("replay", *FEED, "--product", products, "--depth", 1000, "--console", "off", "--report", f"{place}/replay.json", *node_words_of_replay(node_words),
            f"{place}/data").ends(0)
    same(path, f"{place}/replay.json", "--state", "--rejected")
    assert sum(client["faults"] for client in load(f"{place}/mock.json")["clients"]) == 1
    return report, program.out["stderr"]


def node_words_of_replay(words):
    return [word for pair in zip(words[::2], words[1::2]) if pair[0] == "--witness" for word in pair]


def ended_equal(directory, name, *node_words, clients=1, rate="max", messages=3000, mock_words=()):
    """A run to the end of the mock's messages with a fault on the way: the books are the mock's own. Its report."""
    place = f"{directory}/{name}"
    os.mkdir(place)
    exchange = mock(*DIALECT, "--product", "BTC-USD,ETH-USD", "--rate", rate, "--messages", messages, "--levels", 200, "--scenario", name, "--once", "--clients",
                    clients, "--depth", 1000, "--report", f"{place}/mock.json", *mock_words)
    node(exchange.url, place, *FEED, "--product", "BTC-USD,ETH-USD", "--once", *node_words).ends(0)
    exchange.ends(0)
    same(f"{place}/report.json", f"{place}/mock.json", *BOOK)
    assert load(f"{place}/mock.json")["clients"][0]["faults"] == 1
    report = load(f"{place}/report.json")
    replayed(place, "BTC-USD,ETH-USD")
    return report


def after_a_hole_in_the_numbers_the_books_are_the_mocks_own_again(directory):
    for name in ["gap", "skipnumber", "repeatnumber", "fromone"]:
        report = ended_equal(directory, name, rate=500, messages=2000)
        assert report["resyncs"] == 2 and report["reconnects"] == 0 and report["rejected"] == {}, (name, report)
        assert all(product["snapshots"] == 2 for product in report["products"].values()), (name, report["products"])


def what_changes_no_book_is_no_trouble(directory):
    for name in ["unknowntype", "fragments", "dupsnapshot", "noack", "quotedbeats", "stranger", "unknownlevel"]:
        report = ended_equal(directory, name, *ALL)
        assert report["rejected"] == ({"unknown_product": 1} if name == "stranger" else {}), (name, report["rejected"])
        assert report["resyncs"] == 0 and report["reconnects"] == 0, (name, report)


def a_counter_as_a_string_is_a_heartbeat_as_well(directory):
    exchange = mock(*DIALECT, "--rate", 50, "--levels", 5, "--scenario", "quotedbeats", "--scenario-after", 1)
    feed = Feed(exchange.url)
    feed.ask("level2", "BTC-USD")
    feed.ask("heartbeats")
    counter = feed.until("heartbeats")["events"][0]["heartbeat_counter"]
    assert isinstance(counter, str) and counter.isdigit(), counter


def a_broken_message_costs_a_new_snapshot(directory):
    for name, reason in [("badnumber", "bad_number"), ("unknownside", "unknown_side")]:
        report, _ = troubled(directory, name, lambda r: r["rejected"].get(reason) == 1)
        assert report["resyncs"] == 1 and report["reconnects"] == 0, report
    for name, reason in [("badjson", "bad_json"), ("badutf8", "bad_utf8")]:
        troubled(directory, name, lambda r: r["rejected"].get(reason) == 1)


def a_connection_that_breaks_is_followed_by_a_new_one_that_counts_from_0(directory):
    for name, said in [("reset", None), ("close", "1001"), ("masked", "1002"), ("mute", "nothing received for")]:
        silence = ["--silence", "1"] if name == "mute" else []  # a mock that is halted before its fault is no silent one
        report, words = troubled(directory, name, lambda r: r["reconnects"] >= 1, node_words=silence)
        assert said is None or said in words, words
        assert report["resyncs"] == 0, report


def what_a_witness_finds_it_finds_here(directory):
    for name, kind in [("backwards", "time"), ("wrongticker", "ticker"), ("lostmatch", "trades"), ("crossed", "crossed")]:
        report, _ = troubled(directory, name, lambda r: sum(p["alarms"].get(kind, 0) for p in r["products"].values()) >= 1 and r["resyncs"] >= 1)
        assert report["reconnects"] == 0, (name, report)


def a_lost_update_leaves_no_hole_in_the_numbers_and_the_ticker_finds_it(directory):
    report, _ = troubled(directory, "lost", lambda r: r["resyncs"] >= 1, node_words=["--witness", "crossed=off,unknown=off"], products="BTC-USD", rate=40)
    assert report["products"]["BTC-USD"]["alarms"].get("ticker", 0) >= 1, report["products"]
    numbers = [json.loads(text)["sequence_num"] for text in logged(f"{directory}/lost", "text")]
    assert numbers == list(range(len(numbers)))


def a_product_that_is_refused_does_not_spoil_the_others(directory):
    for name in ["errorproduct", "halfack"]:
        os.mkdir(f"{directory}/{name}")
        exchange = mock(*DIALECT, "--product", "BTC-USD,ETH-USD", "--rate", 200, "--levels", 50, "--scenario", name)
        program = node(exchange.url, f"{directory}/{name}", *FEED, "--product", "BTC-USD,ETH-USD")
        report = settle(f"{directory}/{name}", exchange, program, lambda r: r["products"]["BTC-USD"]["updates"] > 20, "the good product is live")
        assert report["products"]["ETH-USD"]["state"] in ("waiting", "resyncing", "live"), report["products"]
        assert ("failure to subscribe" in program.out["stderr"]) == (name == "errorproduct"), program.out["stderr"]


def a_scenario_of_the_other_dialect_is_a_wrong_configuration(directory):
    for words in (["--scenario", "skipnumber"], [*DIALECT, "--scenario", "renamedack"]):
        program = Program("mock", *words).ends(2)
        assert "cannot happen in this --dialect" in program.out["stderr"], program.out["stderr"]


# ---------------------------------------------------------------------------------------------- recordings


def a_recording_is_served_as_it_is_numbers_and_all(directory):
    exchange = mock(*DIALECT, "--product", "BTC-USD", "--rate", "max", "--messages", 3000, "--levels", 200, "--once", "--depth", 1000, "--store", f"{directory}/sent",
                    "--report", f"{directory}/mock.json")
    node(exchange.url, f"{directory}/first", *FEED, "--once").ends(0)
    exchange.ends(0)
    with open(f"{directory}/sent/BTC-USD.jsonl", "rb") as file:
        lines = file.read().splitlines()
    with gzip.open(f"{directory}/recording.jsonl.gz", "wb") as file:
        file.write(b"\n".join(lines) + b"\n")
    again = mock(*DIALECT, "--from", f"{directory}/recording.jsonl.gz", "--rate", "max", "--once")
    node(again.url, directory, *FEED, "--once", *ALL).ends(0)
    again.ends(0)
    assert logged(directory, "text") == lines
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)
    assert load(f"{directory}/report.json")["resyncs"] == 0


def recorded_frames_of_the_exchange_are_served_and_understood(directory):
    found = os.path.join(os.environ.get("WIREBOOK_RECORDINGS", ""), "advanced_2026-09-07_BTC-PERP-INTX.jsonl")
    if not os.path.exists(found):
        print("no recordings here: set WIREBOOK_RECORDINGS")
        return
    exchange = mock(*DIALECT, "--from", found, "--rate", "max", "--once")
    node(exchange.url, directory, *FEED, "--product", "BTC-PERP-INTX", "--once").ends(0)
    exchange.ends(0)
    with open(found, "rb") as file:
        assert logged(directory, "text") == file.read().splitlines()
    report = load(f"{directory}/report.json")
    book = report["products"]["BTC-PERP-INTX"]
    assert report["rejected"] == {} and report["resyncs"] == 0 and book["asks"] == [["79944", "0.048"], ["79944.1", "1.2"]], report


if __name__ == "__main__":
    main(globals())
