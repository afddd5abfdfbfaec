#!/usr/bin/env python3
"""Messages of every channel beside level 2, of both feeds, through the node, its log and a replay. `test_channels.py [NAME...]`."""

import json

from harness import HERE, Program, load, main, node, wait_until
from peer import Peer
from test_hostile import report


def golden(dialect):
    with open(f"{HERE}/../golden/{dialect}/channels.jsonl") as file:
        return [line.rstrip("\n") for line in file]


def through(directory, feed, channels, asked, frames):
    """A node is sent these after it asked for this; its report, to which a replay of its log comes as well. None of them may move the book."""
    def serve(client, number):
        client.upgrade()
        for message in asked:
            said = client.subscribed()
            assert said == message, said
        for frame in frames:
            client.text(frame)
        client.wait_close()

    peer = Peer(serve)
    words = ["--feed", feed, "--product", "BTC-USD,ETH-USD", "--witness", "off"]
    program = node(peer.url, directory, *words, "--channel", channels)
    program.wait_for("connected to")
    wait_until(lambda: report(program, directory).get("messages") == len(frames), "every message")
    program.signal()
    program.ends(0)
    Program("replay", *words, "--console", "off", "--report", f"{directory}/again.json", f"{directory}/data").ends(0)
    live, again = load(f"{directory}/report.json"), load(f"{directory}/again.json")
    for key in ["messages", "unknown", "rejected", "changes"]:
        assert live[key] == again[key], (key, live, again)
    assert not peer.errors, peer.errors
    book = live["products"]["BTC-USD"]
    assert book["state"] == again["products"]["BTC-USD"]["state"] == "live", book
    assert (book["bids"], book["asks"], book["updates"]) == ([["100", "1"]], [["101", "2"]], 0), book
    return live


def every_channel_of_the_exchange_feed_moves_no_book_and_unknown_types_are_counted(directory):
    snapshot = {"type": "snapshot", "product_id": "BTC-USD", "bids": [["100", "1"]], "asks": [["101", "2"]]}
    ids = ["BTC-USD", "ETH-USD"]
    asked = {"type": "subscribe", "channels": [{"name": "level2_batch", "product_ids": ids}, {"name": "status"}, {"name": "ticker", "product_ids": ids},
                                               {"name": "auctionfeed", "product_ids": ids}]}
    frames = [json.dumps(snapshot)] + [frame for frame in golden("coinbase_exchange") if "subscriptions" not in frame]
    told = through(directory, "coinbase-exchange", "level2_batch,status,ticker,auctionfeed", [asked], frames)
    assert told["unknown"] == 2 and told["rejected"] == {}, told


def every_channel_of_the_advanced_feed_moves_no_book_and_unknown_channels_are_counted(directory):
    change = {"event_time": "2026-09-07T01:57:58.894355Z"}
    snapshot = {"channel": "l2_data", "timestamp": "2026-09-07T01:57:58.894355Z", "events": [{"type": "snapshot", "product_id": "BTC-USD", "updates": [
        dict(change, side="bid", price_level="100", new_quantity="1"), dict(change, side="offer", price_level="101", new_quantity="2")]}]}
    messages = [snapshot] + [json.loads(frame) for frame in golden("coinbase_advanced")]
    messages = [message for message in messages if "updates" not in str(message) or message is snapshot]
    for number, message in enumerate(messages):
        if "channel" in message:
            message["sequence_num"] = number
    of_others = [message for message in messages if "BAT-USD" in str(message)]  # a product that was not asked for
    told = through(directory, "coinbase-advanced", "level2,candles",
                   [{"type": "subscribe", "channel": name, "product_ids": ["BTC-USD", "ETH-USD"]} for name in ("level2", "candles")],
                   [json.dumps(message) for message in messages])
    assert told["unknown"] == 3 and told["rejected"] == {"unknown_product": len(of_others) - 1}, told  # rows of status pass by


def trades_of_before_the_subscription_are_in_no_total(directory):
    snapshot = {"type": "snapshot", "product_id": "BTC-USD", "bids": [["100", "1"]], "asks": [["101", "2"]]}
    trade = {"maker_order_id": "b0b9d9a4-3d5c-4d46-8e0b-8a4c7d8c1d01", "taker_order_id": "b0b9d9a4-3d5c-4d46-8e0b-8a4c7d8c1d02", "side": "sell", "product_id": "BTC-USD",
             "time": "2026-08-02T05:43:52.535977Z"}
    frames = [json.dumps(frame) for frame in (snapshot, dict(trade, type="last_match", trade_id=7, sequence=1, size="5", price="99"),
                                              dict(trade, type="match", trade_id=8, sequence=2, size="0.5", price="101"))]
    asked = {"type": "subscribe", "channels": [{"name": name, "product_ids": ["BTC-USD", "ETH-USD"]} for name in ("level2_batch", "matches")]}
    told = through(directory, "coinbase-exchange", "level2_batch,matches", [asked], frames)["products"]
    trades = told["BTC-USD"]["trades"]
    assert (trades["count"], trades["volume"], trades["last_price"], trades["last_side"], trades["vwap"], trades["gaps"]) == (1, "0.5", "101", "buy", "101", 0), trades
    assert not told["ETH-USD"].get("trades", {}).get("count"), told["ETH-USD"]


if __name__ == "__main__":
    main(globals())
