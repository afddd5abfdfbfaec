#!/usr/bin/env python3
"""Level 3, end to end: an exchange of orders that loses messages and answers badly, and the books, trades and logs that a node makes of it.
`test_level3.py [NAME...]`."""

import json
import os
import random
import signal
import time
from fractions import Fraction

from harness import Program, load, logged, main, node, wait_until
from orders import Exchange, Market, plain

RECORDING = "pyalgotrade_2016-03_BTC-USD_full_0"
ALL = "state reason snapshots updates changes rejected resyncs crossed lost_trades bids asks trades bars orders measures mid_average".split()


def report(program, directory):
    """The node's report of about now."""
    program.signal(signal.SIGUSR1)
    program.pump(0.05)
    if program.child.poll() is not None:
        program.fail("ended by itself")
    return load(f"{directory}/report.json") if os.path.exists(f"{directory}/report.json") else {"products": {}, "lines": []}


def arrived(program, directory, exchange, what="live with all that was said"):
    """Waits until each book has all of its market's messages; returns the report."""
    last = {}

    def done():
        last.update(report(program, directory))
        products = last["products"]
        return all(products.get(id, {}).get("state") == "live" and products[id]["orders"]["sequence"] == market.sequence
                   for id, market in exchange.markets.items())

    try:
        wait_until(done, what)
    except AssertionError:
        program.fail(f"{what}: {json.dumps(last.get('products'))[:1500]} {exchange.errors} asked {len(exchange.asked)}")
    return last


def same_books(products, exchange):
    for id, market in exchange.markets.items():
        for side, name in (("buy", "bids"), ("sell", "asks")):
            assert products[id][name] == market.levels(side)[:1000], f"{id} {name}"
        assert products[id]["orders"]["count"] == len(market.orders), id
        assert products[id]["orders"]["disagreements"] == 0 and products[id]["rejected"] == 0 or products[id]["resyncs"], id


def replayed(directory, exchange, *words):
    """The report of the log below directory, without a word of which channels it is of."""
    Program("replay", f"{directory}/data", "--product", ",".join(exchange.markets), "--depth", 1000, "--console", "off", "--report",
            f"{directory}/replay.json", *words).ends(0)
    return load(f"{directory}/replay.json")


def same_replay(directory, exchange, live, *words):
    again = replayed(directory, exchange, *words)
    assert again["messages"] == live["messages"] and again["rejected"] == live["rejected"], (again["rejected"], live["rejected"])
    for id in exchange.markets:
        for name in ALL:
            assert again["products"][id].get(name) == live["products"][id].get(name), (id, name, again["products"][id].get(name), live["products"][id].get(name))


def opened(exchange, directory, *words, lines=1, **options):
    program = node(exchange.url, directory, "--rest", exchange.rest, "--product", ",".join(exchange.markets), "--rest-rate", 10, *words, **options)
    program.wait_for("layout")
    exchange.wait(lambda: len(exchange.lines) >= lines, "subscribed")
    return program


def ended(program, directory, exchange):
    program.signal()
    program.ends(0)
    assert not exchange.errors, exchange.errors
    return load(f"{directory}/report.json")


def stormy(directory, compact, *words):
    """Gaps in the stream, and answers that are late, old, refused, cut short and no JSON, until the books are the exchange's."""
    seed = int(os.environ.get("WIREBOOK_SEED", random.randrange(2**32)))
    print(f"WIREBOOK_SEED={seed}")
    dice = random.Random(seed)
    markets = [Market(id, seed + n, compact) for n, id in enumerate(("BTC-USD", "ETH-USD"))]
    for market in markets:
        for _ in range(200):
            market.step()
    old = {market.product: market.snapshot() for market in markets}
    kinds = ["late", "old", "refused", "broken", "cut", "number", "nothing"]

    def answer(product, number):
        with exchange.lock:
            now = exchange.markets[product].snapshot()
            kind = kinds.pop(0) if kinds else "good"
        good = exchange.response(now)
        if kind == "late":
            for _ in range(300):
                exchange.step()
        return {"old": exchange.response(old[product]),
                "refused": exchange.response('{"message":"Public rate limit exceeded"}', "429 Too Many Requests", "Retry-After: 1\r\n"),
                "broken": exchange.response('{"sequence":'), "cut": good[:len(good) // 2], "nothing": b"",
                "number": exchange.response(now.replace('"bids": [["', '"bids": [["-'))}.get(kind, good)

    exchange = Exchange(markets, answer)
    program = opened(exchange, directory, "--channel", "level3" if compact else "full", *words)
    for step in range(3000):
        exchange.step(misses=lambda line: dice.random() < 0.002)
        if step % 500 == 0:
            arrived_or_not(program, directory)
    wait_until(lambda: not kinds or (exchange.step(misses=lambda line: True), exchange.step(), program.pump(0.02))[0], "all bad answers were given")
    same = arrived(settling(exchange, program), directory, exchange)
    same_books(same["products"], exchange)
    live = ended(program, directory, exchange)
    same_books(live["products"], exchange)
    for market in markets:
        shown = live["products"][market.product]
        assert shown["orders"]["loaded"] >= 1 and shown["resyncs"] >= 1
    assert sum(p["orders"]["skipped"] for p in live["products"].values()) > 0
    assert live["rejected"].get("status", 0) >= 2 and live["rejected"].get("bad_json", 0) >= 1 and live["rejected"].get("bad_number", 0) >= 1, live["rejected"]
    kept = logged(directory, "answer")
    assert len(kept) == len(exchange.asked), (len(kept), len(exchange.asked))
    same_replay(directory, exchange, live)


def arrived_or_not(program, directory):
    """A look at the report in the middle: whatever it shows is whole."""
    for shown in report(program, directory)["products"].values():
        assert shown["state"] in ("waiting", "live", "stale", "resyncing")


def settling(exchange, program):
    """A last message of each product, which all lines get: what is missing in front of it is seen by it."""
    for market in exchange.markets.values():
        with exchange.lock:
            exchange.say(market.open())
    return program


def books_of_full_are_the_exchanges_whatever_is_lost_or_refused_and_so_are_those_of_the_log(directory):
    stormy(directory, False)


def books_of_level3_are_the_exchanges_whatever_is_lost_or_refused_and_so_are_those_of_the_log(directory):
    stormy(directory, True)


def pipelined_books_of_full_are_the_exchanges_and_so_are_those_of_the_log(directory):
    stormy(directory, False, "--layout", "pipelined")


def two_lines_make_one_book_and_one_of_them_may_go_and_come(directory):
    market = Market("BTC-USD", 7)
    exchange = Exchange([market])
    program = opened(exchange, directory, "--channel", "full", "--lines", 2, lines=2)
    for _ in range(500):
        exchange.step()
    arrived(program, directory, exchange)
    asked = len(exchange.asked)
    exchange.lines[0].sock.shutdown(2)
    exchange.wait(lambda: len(exchange.lines) == 1, "one line is gone")
    for _ in range(300):
        exchange.step()
    with exchange.lock:  # nothing happens while the line comes back
        exchange.lines[0].taken()
        exchange.wait(lambda: len(exchange.lines) == 2, "both lines are there again")
    for _ in range(300):
        exchange.step()
    same_books(arrived(program, directory, exchange)["products"], exchange)
    live = ended(program, directory, exchange)
    same_books(live["products"], exchange)
    assert len(exchange.asked) == asked, "a line that goes or comes while another is up needs no snapshot"
    shown = live["products"]["BTC-USD"]
    assert (shown["resyncs"], shown["orders"]["skipped"]) == (0, 0), shown["orders"]
    assert sum(line["duplicates"] for line in live["lines"]) >= 500, live["lines"]
    assert shown["trades"]["count"] == len(market.trades)
    same_replay(directory, exchange, live)


def two_lines_that_lose_different_messages_make_the_exchanges_book(directory):
    market = Market("BTC-USD", 8)
    exchange = Exchange([market])
    dice = random.Random(8)
    program = opened(exchange, directory, "--channel", "full", "--lines", 2, lines=2)
    for _ in range(2000):
        exchange.step(misses=lambda line: dice.random() < 0.01)
    same_books(arrived(settling(exchange, program), directory, exchange)["products"], exchange)
    live = ended(program, directory, exchange)
    same_books(live["products"], exchange)
    lost_by_both = live["products"]["BTC-USD"]["resyncs"]
    assert lost_by_both < 8, f"{lost_by_both} resyncs, though one in 10,000 messages is lost by both"
    same_replay(directory, exchange, live)


def a_line_that_comes_back_makes_its_books_anew(directory):
    """And what was asked for on the connection before is left aside, though it comes with a good answer."""
    market = Market("BTC-USD", 9)
    held = []

    def answer(product, number):
        good = exchange.good(product, number)
        if number == 1:
            with exchange.lock:  # holds lines and market as they are
                exchange.lines[0].sock.shutdown(2)
                exchange.wait(lambda: not exchange.lines, "the line is gone")
                for _ in range(50):
                    exchange.step()
                exchange.wait(lambda: len(exchange.lines) == 1, "the line is back")
            held.append(number)
        return good

    exchange = Exchange([market], answer)
    program = opened(exchange, directory, "--channel", "full")
    for _ in range(100):
        exchange.step()
    arrived(program, directory, exchange)
    exchange.step(misses=lambda line: True)
    exchange.step()
    exchange.wait(lambda: len(exchange.asked) >= 3, "asked for anew")
    same_books(arrived(program, directory, exchange)["products"], exchange)
    live = ended(program, directory, exchange)
    assert held == [1] and live["products"]["BTC-USD"]["orders"]["useless"] == 1, live["products"]["BTC-USD"]["orders"]
    assert live["reconnects"] == 1
    same_replay(directory, exchange, live)


def requests_keep_to_the_rate_and_wait_as_they_are_told(directory):
    markets = [Market(f"P{n:02}-USD", n) for n in range(12)]
    waits = []

    def answer(product, number):
        if number == 5:
            waits.append(time.monotonic())
            return exchange.response("{}", "429 Too Many Requests", "Retry-After: 3\r\n")
        return exchange.good(product, number)

    exchange = Exchange(markets, answer)
    program = opened(exchange, directory, "--channel", "full", "--rest-rate", 4, "--silence", 600)
    for market in markets:
        exchange.say(market.open())
    arrived(program, directory, exchange)
    ended(program, directory, exchange)
    times = [when for when, _ in exchange.asked]
    assert len(times) == 13 and len({product for _, product in exchange.asked}) == 12, exchange.asked
    apart = [after - before for before, after in zip(times, times[4:])]
    assert min(apart) > 0.5, apart  # a second, as another process sees them
    assert next(when for when in times if when > waits[0]) - waits[0] >= 2.9, (times, waits)


def trades_and_bars_are_those_of_the_exchange(directory):
    market = Market("BTC-USD", 10)
    exchange = Exchange([market])
    program = opened(exchange, directory, "--channel", "full", "--bars", "ticks=10,volume=250.5,time=2", "--imbalance-levels", 3, "--depth-bps", 50)
    for _ in range(1500):
        exchange.step()
    arrived(program, directory, exchange)
    shown = ended(program, directory, exchange)["products"]["BTC-USD"]
    trades, said = shown["trades"], market.trades
    volume = sum(size for _, _, size, _ in said)
    assert trades["count"] == len(said) and trades["missing"] == trades["gaps"] == trades["repeated"] == 0, trades
    assert Fraction(trades["volume"]) == volume
    assert Fraction(trades["signed_flow"]) == sum(size if side == "buy" else -size for _, _, size, side in said)
    assert abs(Fraction(trades["vwap"]) - sum(price * size for _, price, size, _ in said) / volume) <= Fraction(1, 2 * 10**10)
    id, price, size, side = said[-1]
    assert [trades["last_" + name] for name in ("trade_id", "price", "size", "side")] == [id, plain(price), plain(size), side], trades
    ticks, by_volume, by_time = shown["bars"]
    assert ticks["closed"] == len(said) // 10 and (by_volume["kind"], by_volume["step"]) == ("volume", "250.5")
    whole = [said[n:n + 10] for n in range(0, len(said), 10)]
    for bar, of in zip(ticks["last"], whole[len(whole) - len(ticks["last"]):]):
        prices = [price for _, price, _, _ in of]
        assert [bar["open"], bar["high"], bar["low"], bar["close"]] == [plain(p) for p in (prices[0], max(prices), min(prices), prices[-1])]
        assert Fraction(bar["volume"]) == sum(size for _, _, size, _ in of) and bar["first_trade_id"] == of[0][0] and bar["closed"] == (len(of) == 10)
    assert all(Fraction(bar["volume"]) >= Fraction("250.5") for bar in by_volume["last"] if bar["closed"]) and by_volume["closed"] > 0
    assert by_time["closed"] >= 1 and by_time["step"] == "2"
    measures = shown["measures"]
    bids, asks = ([(Fraction(price), Fraction(size)) for price, size in shown[side]] for side in ("bids", "asks"))
    top = [sum(size for _, size in side[:3]) for side in (bids, asks)]
    assert abs(Fraction(measures["imbalance"]) - (top[0] - top[1]) / sum(top)) <= Fraction(1, 2 * 10**6)
    mid = (bids[0][0] + asks[0][0]) / 2
    for side, name in ((bids, "bid_depth"), (asks, "ask_depth")):
        near = [(price, size) for price, size in side if abs(price - mid) * 10000 <= mid * 50]
        assert Fraction(measures[name]["size"]) == sum(size for _, size in near) and measures[name]["levels"] == len(near), measures
        assert Fraction(measures[name]["notional"]) == sum(price * size for price, size in near) and not measures[name]["partial"]
    micro = (bids[0][0] * asks[0][1] + asks[0][0] * bids[0][1]) / (bids[0][1] + asks[0][1])
    assert abs(Fraction(measures["microprice"]) - micro) <= Fraction(1, 2 * 10**10)


def trades_that_are_missing_are_counted_and_on_record(directory):
    """At level 3 a hole in the sequence is fetched anew; the trades in it stay missing."""
    market = Market("BTC-USD", 11)
    exchange = Exchange([market])
    program = opened(exchange, directory, "--channel", "full")
    lost = []
    while len(lost) < 3:
        with exchange.lock:
            said, before = market.step(), len(market.trades)
            hole = before > 5 + 20 * len(lost) and '"match"' in said[0]
            if hole:
                lost.append(market.trades[-1][0])
            exchange.say(said, misses=lambda line: hole)
        if hole:
            exchange.say(market.open())
            arrived(program, directory, exchange)
    while market.trades[-1][0] in lost:
        exchange.step()
    arrived(program, directory, exchange)
    shown = ended(program, directory, exchange)["products"]["BTC-USD"]
    assert shown["trades"]["missing"] == 3 and shown["trades"]["gaps"] == 3 and shown["lost_trades"] == 3, (shown["lost_trades"], shown["trades"])
    gaps = [json.loads(text) for text in logged(directory, "gap")]  # one a second at most
    assert gaps and gaps[0]["first"] == str(lost[0]) and all(gap["witness"] == "trades" and int(gap["first"]) in lost for gap in gaps), (gaps, lost)


def a_confined_node_asks_by_rest_as_well(directory):
    market = Market("BTC-USD", 13)
    exchange = Exchange([market])
    exchange.rest = exchange.rest.replace("127.0.0.1", "localhost")  # looked up anew for each request
    program = opened(exchange, directory, "--channel", "full", "--confine", "on", env={"ASAN_OPTIONS": "detect_leaks=0"})
    for _ in range(3):
        for _ in range(100):
            exchange.step()
        arrived(program, directory, exchange)
        exchange.step(misses=lambda line: True)
        exchange.step()
    same_books(arrived(program, directory, exchange)["products"], exchange)
    live = ended(program, directory, exchange)
    assert live["confine"]["mode"] == "on" and len(exchange.asked) >= 4, (live["confine"], exchange.asked)


def channels_of_both_levels_and_rest_of_no_http_are_refused(directory):
    for words, why in ((("full,level2_batch",), "leave level2_batch out"), (("full,level3",), "leave level3 out"), (("full", "--rest", "ftp://x"), "ftp://x"),
                       (("full", "--orders", 0), "--orders"), (("full", "--bars", "time=0"), "time=0"), (("full", "--rest-rate", 11), "--rest-rate")):
        program = node("ws://127.0.0.1:9/", directory, "--channel", *words)
        program.ends(2)
        assert why in program.out["stderr"], program.out["stderr"]


def more_orders_than_the_book_holds_are_said_and_do_not_grow_it(directory):
    market = Market("BTC-USD", 12)
    while len(market.orders) < 200:
        market.step()
    exchange = Exchange([market])
    program = opened(exchange, directory, "--channel", "full", "--orders", 100)
    wait_until(lambda: report(program, directory)["products"].get("BTC-USD", {}).get("reason") == "more orders than the book holds", "said")
    shown = ended(program, directory, exchange)["products"]["BTC-USD"]
    assert shown["state"] == "waiting" and shown["orders"]["count"] == 0, shown


def the_recording_of_full_ends_with_the_book_that_its_authors_printed(directory):
    folder = os.environ.get("WIREBOOK_RECORDINGS")
    if not folder or not os.path.exists(f"{folder}/{RECORDING}.jsonl"):
        print(f"skipped: WIREBOOK_RECORDINGS names no folder with {RECORDING}")
        return
    Program("replay", "--channel", "full", "--console", "off", "--report", f"{directory}/report.json", f"{folder}/{RECORDING}.jsonl").ends(0)
    shown, printed = load(f"{directory}/report.json")["products"]["BTC-USD"], json.load(open(f"{folder}/{RECORDING}.out"), parse_float=str, parse_int=str)
    assert shown["orders"]["sequence"] == int(printed["sequence"]) and shown["orders"]["disagreements"] == 0 and shown["state"] == "live"
    for side in ("bids", "asks"):
        assert [[Fraction(n) for n in level] for level in shown[side]] == [[Fraction(n) for n in level] for level in printed[side]], side


if __name__ == "__main__":
    main(globals())
