#!/usr/bin/env python3
"""The node on the Advanced Trade dialect. `test_advanced.py [NAME...]`."""

import json

from harness import Program, load, main, node, wait_until
from peer import Peer
from test_hostile import product, report

WORDS = ["--feed", "coinbase-advanced"]
TIME = "2026-09-07T01:57:58.894355Z"


def message(number, kind, *changes, name="BTC-USD"):
    updates = [{"side": side, "event_time": TIME, "price_level": price, "new_quantity": size} for side, price, size in changes]
    return json.dumps({"channel": "l2_data", "client_id": "", "timestamp": TIME, "sequence_num": number,
                       "events": [{"type": kind, "product_id": name, "updates": updates}]}, separators=(",", ":"))


def acknowledged(number, *names):
    return json.dumps({"channel": "subscriptions", "timestamp": TIME, "sequence_num": number, "events": [{"subscriptions": {"level2": names}}]})


def beat(number):
    return json.dumps({"channel": "heartbeats", "timestamp": TIME, "sequence_num": number,
                       "events": [{"current_time": "2026-09-07 23:37:22 +0000 UTC m=+1.2", "heartbeat_counter": number}]})


def asked(client):
    """What a new connection asks for: one channel a message."""
    first, second = client.subscribed(), client.subscribed()
    assert first == {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD"]}, first
    assert second == {"type": "subscribe", "channel": "heartbeats"}, second


def ended(program, directory):
    """Its last report, which a replay of what it stored must come to as well."""
    program.signal()
    program.ends(0)
    Program("replay", *WORDS, "--product", "BTC-USD", "--console", "off", "--report", f"{directory}/again.json", f"{directory}/data").ends(0)
    live, again = load(f"{directory}/report.json"), load(f"{directory}/again.json")
    for key in ["bids", "asks", "snapshots", "updates", "changes"]:
        assert live["products"]["BTC-USD"][key] == again["products"]["BTC-USD"][key], (key, live, again)
    return live


def the_books_of_the_advanced_trade_feed_are_kept_stored_and_replayed(directory):
    def serve(client, number):
        client.upgrade()
        asked(client)
        client.text(message(0, "snapshot", ("offer", "101.5", "2"), ("bid", "100", "1"), ("bid", "99.25", "0.00000001")))
        client.text(acknowledged(1, "BTC-USD"))
        client.text(beat(2))
        client.text(message(3, "update", ("bid", "100", "0"), ("offer", "101", "3.5")))
        client.text(message(4, "update", ("bid", "99.5", "7")))
        client.wait_close()

    peer = Peer(serve)
    program = node(peer.url, directory, *WORDS)
    program.wait_for("connected to")
    wait_until(lambda: product(program, directory)["updates"] == 2, "two updates")
    book = ended(program, directory)["products"]["BTC-USD"]
    assert book["state"] == "live" and book["bids"] == [["99.5", "7"], ["99.25", "0.00000001"]], book
    assert book["asks"] == [["101", "3.5"], ["101.5", "2"]], book
    assert not peer.errors, peer.errors


def a_missing_sequence_num_resynchronises_the_books_of_its_connection_without_a_reconnect(directory):
    def serve(client, number):
        client.upgrade()
        asked(client)
        client.text(message(0, "snapshot", ("offer", "101", "2"), ("bid", "100", "1")))
        client.text(acknowledged(1, "BTC-USD"))
        client.text(message(3, "update", ("bid", "100.5", "7")))  # 2 is missing
        assert client.subscribed() == {"type": "unsubscribe", "channel": "level2", "product_ids": ["BTC-USD"]}
        assert client.subscribed() == {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD"]}
        client.text(message(4, "snapshot", ("offer", "101", "4"), ("bid", "100.5", "9")))
        client.text(message(5, "update", ("bid", "100.25", "1")))
        client.wait_close()

    peer = Peer(serve)
    program = node(peer.url, directory, *WORDS)
    program.wait_for("connected to")
    wait_until(lambda: product(program, directory)["updates"] == 1, "the update behind the second snapshot")
    told = ended(program, directory)
    book = told["products"]["BTC-USD"]
    assert told["resyncs"] == 1 and told["reconnects"] == 0 and book["snapshots"] == 2, told
    assert book["state"] == "live" and book["bids"] == [["100.5", "9"], ["100.25", "1"]], book
    assert not peer.errors, peer.errors


if __name__ == "__main__":
    main(globals())
