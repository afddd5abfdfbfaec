#!/usr/bin/env python3
"""The node on Kraken's dialect, against a slow market of the same rules. `test_kraken.py [NAME...]`."""

import json
import os
import subprocess

import kraken
from harness import HERE, WIREBOOK, Program, load, logged, main, node, wait_until
from kraken import HEARTBEAT, STATUS, Market, acknowledged, instruments, refused
from peer import Listener, Peer
from test_hostile import report
from test_part import files, part, times, window_of, without

SEED = int(os.environ.get("WIREBOOK_SEED", "0")) or int.from_bytes(os.urandom(4), "little")
print(f"seed: WIREBOOK_SEED={SEED}")


def markets(depth=10):
    return [Market("BTC/USD", 1, 8, "45284.0", SEED, depth=depth), Market("MATIC/USD", 4, 8, "0.5667", SEED, depth=depth),
            Market("SHIB/EUR", 9, 0, "0.000012345", SEED, depth=depth)]


def asked(client, method, channel, symbols=None, depth=None):
    want = {"channel": channel}
    if symbols:
        want.update(symbol=symbols)
    if depth:
        want.update(depth=depth)
    if method == "subscribe":
        want.update(snapshot=True)
    got = client.subscribed()
    assert got == {"method": method, "params": want}, got


def welcome(client, pairs, depth):
    """A new connection asks for instruments and books, and is answered, each product by itself."""
    client.text(STATUS)
    asked(client, "subscribe", "instrument")
    asked(client, "subscribe", "book", [m.symbol for m in pairs], depth)
    client.text('{"method":"subscribe","result":{"channel":"instrument","snapshot":true},"success":true}')
    client.text(instruments(*pairs[1:]))  # of the first, its texts tell
    for m in pairs:
        client.text(acknowledged("subscribe", m.symbol, depth))
        client.text(m.snapshot())


def updates(program, directory):
    return {id: product["updates"] for id, product in report(program, directory)["products"].items()}


def compared(told, pairs):
    for m in pairs:
        product = told["products"][m.symbol]
        want = m.levels_of_report()
        assert [product["bids"], product["asks"]] == want, (m.symbol, product, want)
        assert product["state"] == "live" and [product["bid_levels"], product["ask_levels"]] == [len(want[0]), len(want[1])], product


def ended(program, directory, pairs, *words):
    """Its last report, which is that of the market, and which a replay of what it stored comes to as well."""
    program.signal()
    program.ends(0)
    names = ",".join(m.symbol for m in pairs)
    Program("replay", "--feed", "kraken", "--product", names, "--depth", 1000, "--console", "off", "--report", f"{directory}/again.json", *words,
            f"{directory}/data").ends(0)
    live, again = load(f"{directory}/report.json"), load(f"{directory}/again.json")
    compared(live, pairs)
    for m in pairs:
        for key in ("bids", "asks", "snapshots", "updates", "changes", "alarms", "resyncs", "best_bid", "mid_average"):
            assert live["products"][m.symbol][key] == again["products"][m.symbol][key], (key, m.symbol)
    assert live["rejected"] == again["rejected"] == {}, (live["rejected"], again["rejected"])
    return live


def whole(directory, depth, steps, *words, again=0):
    """A run of some thousand updates; again: each so many steps the exchange sends its books anew, unasked."""
    pairs = markets(depth)
    sent = {m.symbol: 0 for m in pairs}
    done = []

    def serve(client, number):
        client.upgrade()
        welcome(client, pairs, depth)
        for step in range(steps):
            for m in pairs:
                m.plain = step % 2 == 0
                update = m.step()
                if update:
                    client.text(update)
                    sent[m.symbol] += 1
                if again and step % again == again - 1:
                    client.text(m.snapshot())
            if step % 50 == 0:
                client.text(HEARTBEAT)
        done.append(True)
        client.wait_close()

    peer = Peer(serve)
    program = node(peer.url, directory, "--feed", "kraken", "--product", "btc,MATIC-USD,shib/eur", *words)
    program.wait_for("connected to")
    wait_until(lambda: (program.pump(0.05), done)[1] and updates(program, directory) == sent, f"all updates: {peer.errors}")
    told = ended(program, directory, pairs)
    assert told["resyncs"] == told["reconnects"] == 0, told
    for product in told["products"].values():
        assert product["alarms"] == {} and product["unknown_removals"] == 0, product
        assert product["snapshots"] == 1 + (steps // again if again else 0), product
    assert not peer.errors, peer.errors


def the_slow_markets_checksum_is_that_of_the_guides_example(directory):
    with open(f"{HERE}/../golden/kraken/today.jsonl") as file:
        said = next(line for line in file if '"book","type":"snapshot"' in line)
    data = json.loads(said, parse_float=str)["data"][0]
    bids, asks = ([(level["price"], level["qty"]) for level in data[side]] for side in ("bids", "asks"))
    assert kraken.checksum(bids, asks) == data["checksum"] == 3310070434


def the_books_of_kraken_are_kept_cut_to_the_depth_checked_stored_and_replayed(directory):
    whole(directory, 10, 1500, "--channel", "instrument,book:10")
    shown = subprocess.run([WIREBOOK, "inspect", "--json", f"{directory}/data"], capture_output=True, text=True, check=True)
    assert {"BTC/USD", "MATIC/USD", "SHIB/EUR"} <= set(json.loads(shown.stdout)["products"]), shown.stdout


def a_deeper_book_is_kept_on_two_threads(directory):
    whole(directory, 25, 700, "--channel", "instrument,book:25", "--layout", "pipelined")


def an_update_that_never_came_is_found_by_the_checksum_and_its_product_alone_fetched_anew(directory):
    pairs = markets()
    lost = pairs[0]
    repaired = []

    def serve(client, number):
        client.upgrade()
        welcome(client, pairs, 10)
        for step in range(100):
            for m in pairs:
                client.text(m.step() or HEARTBEAT)
        lost.side[0][max(lost.side[0])] += lost.lot
        assert lost.update()  # and is not sent
        lost.side[1][min(lost.side[1])] += lost.lot  # and not a step, which might mend the other side by itself
        client.text(lost.update())
        asked(client, "unsubscribe", "book", [lost.symbol], 10)
        asked(client, "subscribe", "book", [lost.symbol], 10)
        client.text(acknowledged("unsubscribe", lost.symbol, 10))
        client.text(acknowledged("subscribe", lost.symbol, 10))
        client.text(lost.snapshot())
        for step in range(100):
            client.text(lost.step() or HEARTBEAT)
        repaired.append(True)
        client.wait_close()

    peer = Peer(serve)
    program = node(peer.url, directory, "--feed", "kraken", "--product", ",".join(m.symbol for m in pairs), "--channel", "instrument,book:10")
    program.wait_for("connected to")
    wait_until(lambda: (program.pump(0.05), repaired)[1] and live_again(program, directory, lost), f"the book is right again: {peer.errors}")
    told = ended(program, directory, pairs)
    assert told["resyncs"] == 1 and told["reconnects"] == 0, told
    for m in pairs:
        product = told["products"][m.symbol]
        assert product["alarms"] == ({"checksum": 1} if m is lost else {}), product
        assert product["last_alarm"] == ("checksum" if m is lost else None) and product["snapshots"] == (2 if m is lost else 1), product
    gaps = [json.loads(text) for text in logged(directory, "gap")]
    assert [(gap["product"], gap["witness"], gap["reason"]) for gap in gaps] == [(lost.symbol, "checksum", "checksum contradicts the book")], gaps
    assert 0 <= int(gaps[0]["seen"]) < 1 << 32 and gaps[0]["seen"] != gaps[0]["expected"], gaps
    assert f"resynchronising {lost.symbol}: checksum contradicts the book" in program.out["stderr"], program.out["stderr"]
    assert not peer.errors, peer.errors


def live_again(program, directory, market):
    product = report(program, directory)["products"].get(market.symbol)
    return product and [product["bids"], product["asks"]] == market.levels_of_report()


def a_part_of_the_log_of_one_product_is_replayed_by_an_index_without_the_rest(directory):
    whole(directory, 10, 3000, "--channel", "instrument,book:10", again=250)
    Program("inspect", "--index", f"{directory}/data").ends(0)
    at = times(directory)
    window = window_of(at, len(at) * 4 // 5, len(at) // 50)
    little, said = part(directory, "MATIC/USD", *window, "little", "--feed", "kraken")
    assert not said and little["products"]["MATIC/USD"]["state"] == "live" and little["messages"] > 0, (little, said)
    for index in files(f"{directory}/data", ".wbidx"):
        os.remove(index)
    rest, said = part(directory, "MATIC/USD", *window, "rest", "--feed", "kraken")
    assert without(little) == without(rest) and not said, (little, rest, said)
    assert little["part"]["read_bytes"] < rest["part"]["read_bytes"], (little["part"], rest["part"])


def a_product_that_kraken_does_not_serve_disturbs_no_other(directory):
    market = Market("BTC/USD", 1, 8, "45284.0", SEED, depth=1000, levels=1100)
    done = []

    def serve(client, number):
        client.upgrade()
        client.text(STATUS)
        asked(client, "subscribe", "instrument")
        asked(client, "subscribe", "book", ["BTC/USD", "XBT/USD"], 1000)
        client.text(refused("XBT/USD"))
        client.text(acknowledged("subscribe", "BTC/USD", 1000))
        client.text(market.snapshot())
        client.text(next(update for update in iter(market.step, 0) if update))  # of some steps nobody is told
        done.append(True)
        client.wait_close()

    peer = Peer(serve)
    program = node(peer.url, directory, "--feed", "kraken", "--product", "BTC-USD,XBT-USD")
    program.wait_for("exchange says")
    wait_until(lambda: (program.pump(0.05), done)[1] and live_again(program, directory, market), "the other is live")
    told = report(program, directory)
    assert told["products"]["XBT/USD"]["state"] == "waiting" and told["reconnects"] == 0, told
    ended(program, directory, [market])
    assert not peer.errors, peer.errors


def two_lines_of_kraken_bring_one_book(directory):
    pairs = markets()
    with Listener() as listener:
        program = node(listener.url, directory, "--feed", "kraken", "--product", ",".join(m.symbol for m in pairs), "--channel", "instrument,book:10", "--lines", 2)
        clients = [listener.meet(), listener.meet()]
        for client in clients:
            client.upgrade()
            welcome(client, pairs, 10)
        sent = {m.symbol: 0 for m in pairs}
        for step in range(300):
            for m in pairs:
                update = m.step()
                for client in clients if step % 2 else reversed(clients):
                    client.text(update or HEARTBEAT)
                sent[m.symbol] += bool(update)
        wait_until(lambda: (program.pump(0.05), updates(program, directory))[1] == sent, "all updates, once")
        program.signal()
        for client in clients:
            client.wait_close()
            client.close()
        program.ends(0)
    told = load(f"{directory}/report.json")
    compared(told, pairs)
    assert told["resyncs"] == 0 and told["rejected"] == {}, told
    assert all(product["alarms"] == {} for product in told["products"].values()), told


if __name__ == "__main__":
    main(globals())
