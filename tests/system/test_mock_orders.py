#!/usr/bin/env python3
"""The mock's channels of orders, and those that come at an interval, read slowly. `test_mock_orders.py [NAME...]`."""

import json

from feed import LOGIN, Closed, Feed, Levels, Orders, get, schema
from harness import LIMIT, load, main, mock


def orders_make_the_levels(channel, *words):
    """A level-3 book by the exchange's recipe beside the level-2 book of the same connection: the same at every update."""
    exchange = mock("--rate", 400, "--levels", 40, "--messages", 2000, *words)  # who is halted before the REST book misses many
    feed = Feed(exchange.url).subscribe([channel, "level2"], **LOGIN)
    assert feed.read()["type"] == "subscriptions"
    read = schema(feed.read()) if channel == "level3" else lambda message: message
    levels = Levels(feed.until(lambda message: isinstance(message, dict) and message["type"] == "snapshot"))
    queue = []

    def next_update():
        """Up to the next l2update: what comes before it, and it."""
        while True:
            message = feed.read()
            if isinstance(message, dict) and message["type"] == "l2update":
                return message
            queue.append(read(message))

    for _ in range(20):
        levels.take(next_update())
    orders = Orders(get(exchange.url, "/products/BTC-USD/book?level=3")[2])
    assert orders.sequence >= int(queue[-1]["sequence"])
    kinds, compared, live = {}, 0, False
    for _ in range(1980):
        levels.take(next_update())
        live |= bool(queue) and int(queue[-1]["sequence"]) >= orders.sequence
        for message in queue:
            kinds[message["type"]] = kinds.get(message["type"], 0) + orders.take(message)
        queue.clear()
        if live:
            assert orders.levels() == levels.sizes
            compared += 1
    assert compared > 500 and all(kinds[kind] > 10 for kind in ("open", "match", "change", "done", "noop" if channel == "level3" else "received")), kinds
    last = Orders(get(exchange.url, "/products/BTC-USD/book?level=3")[2])
    assert last.sequence == orders.sequence and list(last.levels()) and {id: order for id, order in last.orders.items()} == orders.orders
    for key, side in (("bids", "buy"), ("asks", "sell")):
        rows = get(exchange.url, "/products/BTC-USD/book?level=2")[2][key]
        assert len(rows) == sum(1 for each, _ in levels.sizes if each == side)


def orders_of_full_make_the_level_2_book_at_every_update(directory):
    orders_make_the_levels("full")


def orders_of_level3_make_the_level_2_book_at_every_update(directory):
    orders_make_the_levels("level3", "--spaced")


def heartbeats_tickers_and_matches_are_numbered_as_the_orders_are(directory):
    exchange = mock("--rate", 500, "--levels", 20, "--messages", 800)
    feed = Feed(exchange.url).subscribe(["level3", "ticker", "matches", "heartbeat"], **LOGIN)
    orders, counts = {}, {}
    for message in feed.all():
        if isinstance(message, list):
            last = int(message[2])
            assert not orders or last == max(orders) + 1
            orders[last] = message
        elif message["type"] in ("ticker", "heartbeat", "match") and orders:
            counts[message["type"]] = counts.get(message["type"], 0) + 1
            if message["type"] == "match":
                assert orders[message["sequence"]][:5] == ["match", "BTC-USD", str(message["sequence"]), message["maker_order_id"], message["taker_order_id"]]
            else:
                assert message["sequence"] == max(orders)
    assert counts["match"] > 30 and counts["ticker"] > 30 and counts["heartbeat"] >= 1, counts


def the_matches_of_full_are_those_of_matches_and_come_once(directory):
    exchange = mock("--rate", 500, "--levels", 20, "--messages", 500)
    both, alone = Feed(exchange.url), Feed(exchange.url)
    both.subscribe(["full", "matches"], **LOGIN)
    alone.subscribe(["matches", "level2_batch"])
    ours, theirs = ([message for message in feed.all() if message["type"] == "match"] for feed in (both, alone))
    assert len(theirs) > 10 and ours[-len(theirs):] == theirs and len({match["trade_id"] for match in ours}) == len(ours)


def level_2_is_the_same_byte_for_byte_whether_orders_are_followed_or_not(directory):
    sent = []
    for channels in (["level2"], ["level2", "full", "level3"]):
        exchange = mock("--rate", "max", "--product", "BTC,SKL-BTC", "--levels", 300, "--messages", 3000, "--seed", 7, "--start-time", "2026-08-02T05:43:52Z")
        feed = Feed(exchange.url).subscribe(channels, ["BTC-USD", "SKL-BTC"], **LOGIN)
        texts = {"BTC-USD": [], "SKL-BTC": []}
        try:
            while True:
                text = feed.text()
                for id in texts:
                    if text.startswith(('{"type":"l2update","product_id":"' + id, '{"type":"snapshot","product_id":"' + id)):
                        texts[id].append(text)
        except Exception as closed:
            assert str(closed).startswith("1000 "), closed
        assert [len(lines) for lines in texts.values()] == [3001, 3001]
        sent.append(texts)
    assert sent[0] == sent[1]


def orders_are_for_those_who_sign_in(directory):
    exchange = mock()
    for channel in ("full", "level3"):
        feed = Feed(exchange.url).subscribe([channel])
        error = feed.read()
        assert error["type"] == "error" and "require authentication" in error["reason"], error
        feed.subscribe([channel], products=["NO-USD"], **LOGIN)
        assert feed.read()["reason"] == "NO-USD is not a valid product"
        feed.subscribe([channel], **LOGIN)
        assert feed.read()["channels"] == [{"name": channel, "product_ids": ["BTC-USD"], "account_ids": None}]


def no_more_orders_come_once_they_are_unsubscribed(directory):
    exchange = mock("--rate", 1000)
    feed = Feed(exchange.url).subscribe(["full", "heartbeat"], **LOGIN)
    feed.until(lambda message: message["type"] == "open")
    feed.send({"type": "unsubscribe", "product_ids": ["BTC-USD"], "channels": ["full"]})
    feed.until(lambda message: message["type"] == "subscriptions" and len(message["channels"]) == 1)
    assert [feed.read()["type"] for _ in range(2)] == ["heartbeat"] * 2


def sequences_with(name, *words):
    exchange = mock("--rate", 400, "--levels", 20, "--messages", 300, "--scenario", name, "--scenario-after", 50, *words)
    return exchange, [message for message in Feed(exchange.url).subscribe(["full"], **LOGIN).all() if "order_id" in message or "maker_order_id" in message]


def a_gap_a_duplicate_and_an_unknown_done_come_where_they_are_asked_for(directory):
    for name, step in (("ordergap", 2), ("orderdup", 0)):
        exchange, messages = sequences_with(name)
        steps = [b["sequence"] - a["sequence"] for a, b in zip(messages, messages[1:])]
        assert steps.index(step) == (48 if step == 2 else 49) and steps.count(1) == len(steps) - 1, (name, steps[:60])
        if step == 0:
            assert messages[49] == messages[50]
    exchange, messages = sequences_with("straydone", "--report", f"{directory}/mock.json")
    assert all(b["sequence"] - a["sequence"] == 1 for a, b in zip(messages, messages[1:]))
    exchange.signal()
    exchange.ends()
    report = load(f"{directory}/mock.json")
    assert report["clients"][0]["faults"] == 1 and report["clients"][0]["orders"] == len(messages)
    named = [message["order_id"] for message in messages[:49] if "order_id" in message]
    received = {message["order_id"] for message in messages if message["type"] == "received"}
    stray = next(message for message in messages[50:] if message["type"] == "done" and message["reason"] == "canceled" and message["order_id"] not in received
                 and message["remaining_size"] == "0.00000001")
    assert stray["order_id"] not in named


def a_client_of_orders_alone_meets_the_faults_of_the_stream_too(directory):
    for name, ending in (("close", Closed), ("reset", ConnectionResetError), ("badjson", json.JSONDecodeError)):
        exchange = mock("--rate", 500, "--scenario", name, "--scenario-after", 10)
        feed = Feed(exchange.url).subscribe(["full"], **LOGIN)
        assert feed.read()["type"] == "subscriptions"
        got = 0
        try:
            while True:
                feed.read()
                got += 1
        except ending as end:
            assert got == (10 if name == "close" else 9) and (name != "close" or end.code == 1001), (name, got)
        assert Feed(exchange.url).subscribe(["full"], **LOGIN).until(lambda message: message["type"] == "open")


def status_tells_all_products_and_currencies_at_once_and_again(directory):
    exchange = mock("--product", "BTC,ETH-BTC,SKL-USD", "--status-ms", 200)
    feed = Feed(exchange.url).subscribe(["status"], [])
    assert feed.read()["channels"] == [{"name": "status", "product_ids": [], "account_ids": None}]
    first, second = feed.read(), feed.read()
    assert first == second and first["type"] == "status"
    products = {each["id"]: (each["quote_increment"], each["base_increment"]) for each in first["products"]}
    assert products == {"BTC-USD": ("0.01", "0.00000001"), "ETH-BTC": ("0.00001", "0.00000001"), "SKL-USD": ("0.0001", "0.1")}
    assert [each["id"] for each in first["currencies"]] == ["BTC", "USD", "ETH", "SKL"]
    assert all({"max_precision", "supported_networks", "details"} <= set(each) for each in first["currencies"])


def ticker_batch_comes_at_its_interval_and_only_if_something_was_traded(directory):
    exchange = mock("--rate", 500, "--levels", 20, "--messages", 700, "--ticker-batch-ms", 300)
    messages = Feed(exchange.url).subscribe(["ticker_batch", "matches", "level2_batch", "heartbeat"]).all()
    tickers = [message for message in messages if message["type"] == "ticker"]
    matches = [message["trade_id"] for message in messages if message["type"] == "match"]
    assert 2 <= len(tickers) <= 2 + LIMIT / 0.3 and len(matches) > 3 * len(tickers)
    ids = [ticker["trade_id"] for ticker in tickers]  # the first is the subscription's, whose trade the first interval tells as well
    assert ids[0] <= ids[1] and ids[1:] == sorted(set(ids[1:])), ids


def auctions_and_rfq_matches_are_told(directory):
    exchange = mock("--product", "BTC,ETH", "--auction", "ETH")
    feed = Feed(exchange.url).subscribe(["auctionfeed"], ["BTC-USD", "ETH-USD"]).subscribe(["rfq_matches"], [])
    assert feed.read()["type"] == feed.read()["type"] == "subscriptions"
    auction = feed.until(lambda message: message["type"] == "auction")
    assert auction["product_id"] == "ETH-USD" and auction["auction_state"] == "collection" and float(auction["best_bid_price"]) < float(auction["best_ask_price"])
    match = feed.until(lambda message: message["type"] == "rfq_match")
    assert match["product_id"] in ("BTC-USD", "ETH-USD") and float(match["size"]) > 0 and match["side"] in ("buy", "sell")
    assert get(exchange.url, "/products/ETH-USD/book")[2]["auction_mode"] is True


if __name__ == "__main__":
    main(globals())
