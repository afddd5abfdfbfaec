#!/usr/bin/env python3
"""A log that a node stored, served by `mock --from` to others. `test_replay_venue.py [NAME...]`."""

import calendar
import decimal
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import threading
import time as clock

from feed import LOGIN, Closed, Feed, Levels
from harness import SLOW, WIREBOOK, Program, load, main, mock, node, same
from test_node import BOOK, THREE

CHANNELS = "level2_batch,heartbeat,matches,ticker"
PRODUCTS = THREE.split(",")


def recorded(directory, *words, rate=3000, messages=3000, to_node=(), code=0):
    """A whole run, stored below directory/first; returns where."""
    place = f"{directory}/first"
    os.makedirs(place, exist_ok=True)
    exchange = mock("--product", THREE, "--messages", int(messages), "--rate", rate, "--levels", 200, "--once", *words)
    node(exchange.url, place, "--product", THREE, "--channel", CHANNELS, "--once", *to_node).ends(0)
    exchange.ends(code)
    return place


def venue(place, *words, **options):
    program = Program("mock", "--port", 0, "--from", f"{place}/data", *words, **options)
    program.wait_for("listening on ", "stdout")
    program.url = program.out["stdout"].split("listening on ")[1].split()[0]
    return program


def served(directory, first, *words, code=0, channels=CHANNELS, to_node=()):
    """A second node on the venue; returns where it stored, and what the venue said."""
    place = f"{directory}/second"
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    exchange = venue(first, "--once", *words)
    node(exchange.url, place, "--product", THREE, "--channel", channels, "--once", *to_node).ends(0)
    return place, exchange.ends(code).out["stderr"]


def frames(place, code=0):
    """(receive time in ns, message) of all that came from the exchange, answers left out."""
    shown = subprocess.run([WIREBOOK, "inspect", "--frames", "--kind", "text", f"{place}/data"], capture_output=True, text=True)
    assert shown.returncode == code, shown.stderr
    found = []
    for line in shown.stdout.splitlines():
        _, time, _, _, _, text = line.split(" ", 5)
        if '"type":"subscriptions"' not in text:
            second, fraction = re.fullmatch(r"(\S+?)\.(\d{9})Z", time).groups()
            found.append((calendar.timegm(clock.strptime(second, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(fraction), time, text))
    return found


def texts(place, **options):
    return [text for _, _, text in frames(place, **options)]


def product_of(text):
    return json.loads(text)["product_id"]


def all_of(feed):
    """What comes until the server closes, whose Close is then answered by the end of the connection."""
    messages = feed.all()
    feed.close()
    return messages


def book_of(report, product):
    """As Levels has it."""
    shown = report["products"][product]
    assert len(shown["bids"]) == shown["bid_levels"] and len(shown["asks"]) == shown["ask_levels"], "all of the book"
    return Levels(shown).sizes


def book_at(directory, place, product, time):
    Program("replay", "--product", THREE, "--depth", 1000, "--console", "off", "--to", time, "--report", f"{directory}/at.json", f"{place}/data").ends(0)
    return book_of(load(f"{directory}/at.json"), product)


def a_log_served_at_full_speed_makes_the_books_of_the_node_that_stored_it(directory):
    first = recorded(directory)
    second, said = served(directory, first, "--speed", "max")
    same(f"{first}/report.json", f"{second}/report.json", "--state", "--rejected")
    assert texts(first) == texts(second), "byte for byte what was recorded, in its order"
    assert "closed 1000 end of the log" in said, said


def at_its_pace_messages_come_at_their_recorded_distances(directory):
    first = recorded(directory, rate=150, messages=900)
    before = frames(first)
    for speed in (1, 4):
        for attempt in range(4):  # who stands still for a second makes most of them late, or the first; not each time
            second, _ = served(directory, first, "--speed", f"{speed}x")
            after = frames(second)
            assert [text for *_, text in before] == [text for *_, text in after]
            same(f"{first}/report.json", f"{second}/report.json")
            late = [(b[0] - after[0][0]) - (a[0] - before[0][0]) / speed for a, b in zip(before, after)]
            early = (before[-1][0] - before[0][0]) / speed - (after[-1][0] - after[0][0])
            if early < 1e9 and statistics.median(late) - min(late) < 50e6 * SLOW:
                break
        else:
            raise AssertionError((speed, early, min(late), statistics.median(late), max(late)))


def who_joins_at_any_instant_gets_the_book_of_that_instant_and_what_follows(directory):
    seed = random.randrange(1 << 32)
    draw = random.Random(seed)
    print(f"seed {seed}")
    first = recorded(directory, rate=200, messages=1200, to_node=("--rotate-bytes", "64k"))
    log = frames(first)
    place_of = {text: index for index, (_, _, text) in enumerate(log)}
    updates = {product: [index for index, (_, _, text) in enumerate(log) if '"type":"l2update"' in text and product_of(text) == product] for product in PRODUCTS}
    exchange = venue(first, "--speed", "1x", "--quiet")
    watching = Feed(exchange.url).subscribe(["level2_batch"], PRODUCTS)
    watched = []
    thread = threading.Thread(target=lambda: watched.extend(all_of(watching)))
    thread.start()
    compared, last, seen = 0, None, []
    while thread.is_alive() and compared < 12:
        thread.join(draw.random() * 0.5)
        product = draw.choice(PRODUCTS)
        joining = Feed(exchange.url).subscribe(["level2_batch", "matches"], [product])
        try:
            assert joining.read()["type"] == "subscriptions"
            snapshot = joining.until(lambda message: message["type"] in ("snapshot", "l2update"))
            assert snapshot["type"] == "snapshot" and snapshot["product_id"] == product
            book = Levels(snapshot)
            while True:
                text = joining.text()
                if '"type":"l2update"' not in text:
                    continue
                rank = updates[product].index(place_of[text])
                if rank and log[updates[product][rank - 1]][0] < log[place_of[text]][0]:
                    break  # those of one packet have one time
                book.take(json.loads(text))
        except Closed:
            break
        time = log[place_of[text]][1]
        seen.append((product, time, book.sizes))
        assert snapshot["time"] <= json.loads(text)["time"], (snapshot["time"], text)
        joining.close()
        compared, last = compared + 1, time
    assert compared >= 3, (compared, last)
    for product, time, sizes in seen:
        assert sizes == book_at(directory, first, product, time), f"{product} at {time}"
    exchange.signal()
    watching.close() if not thread.is_alive() else thread.join()
    exchange.ends(0)


def it_begins_where_it_is_told_with_the_books_of_that_time(directory):
    first = recorded(directory, to_node=("--rotate-bytes", "256k"))
    log = frames(first)
    books = max(at for _, at, text in log if '"type":"snapshot"' in text)
    for index in (False, True):
        if index:
            Program("inspect", "--index", f"{first}/data").ends(0)
        for share in (0, 0.3, 0.9):
            time = next(time for _, time, text in log[int(len(log) * share):] if '"l2update"' in text and time > books)
            rest = [text for _, at, text in log if at >= time]
            exchange = venue(first, "--speed", "max", "--at", time, "--once")
            feed = Feed(exchange.url).subscribe(["level2_batch"], ["ETH-USD"])
            messages = all_of(feed)
            exchange.ends(0)
            assert [message["type"] for message in messages[:2]] == ["subscriptions", "snapshot"], (time, messages[:3])
            assert Levels(messages[1]).sizes == book_at(directory, first, "ETH-USD", time), time
            assert messages[2:] == [json.loads(text) for text in rest if '"l2update"' in text and product_of(text) == "ETH-USD"]


def every_client_gets_what_it_asked_for_in_one_order(directory):
    first = recorded(directory, rate=400, messages=800)
    exchange = venue(first, "--speed", "1x", "--once", "--clients", 4)  # half of it is a second: all are there by then
    asked = [(["level2_batch"], PRODUCTS), (["matches", "heartbeat"], PRODUCTS), (["level2_50", "ticker"], ["LTC-USD"]), (["level2_batch", "matches"], ["BTC-USD", "ETH-USD"])]
    feeds = [Feed(exchange.url) for _ in asked]
    for feed, (channels, products) in zip(feeds, asked):
        feed.subscribe(channels, products)
    got = [None] * len(feeds)

    def read(i):
        got[i] = all_of(feeds[i])
    threads = [threading.Thread(target=read, args=(i,)) for i in range(len(feeds))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    exchange.ends(0)
    kinds = {"level2_batch": ("l2update",), "level2_50": ("l2update",), "matches": ("match",), "heartbeat": ("heartbeat",), "ticker": ("ticker",)}
    log = [json.loads(text) for text in texts(first)]
    for messages, (channels, products) in zip(got, asked):
        wanted = {kind for channel in channels for kind in kinds[channel]}
        begin = max((i for i, message in enumerate(messages) if message["type"] == "snapshot"), default=0)  # before it come greetings
        came = [message for message in messages[begin:] if message["type"] in wanted]
        told = [message for message in log if message["type"] in wanted and message["product_id"] in products]
        assert came == told[-len(came):] and len(came) > len(told) * 0.5, (channels, len(came), len(told))
        assert {message["type"] for message in messages} <= wanted | {"subscriptions", "snapshot", "last_match"}


def a_log_of_redundant_lines_is_served_as_one(directory):
    first = recorded(directory, rate=1000, messages=2000, to_node=("--lines", 2))
    second, _ = served(directory, first, "--speed", "max")
    same(f"{first}/report.json", f"{second}/report.json", *BOOK)
    came = texts(second)
    for kind in ("match", "l2update"):
        own = [text for text in came if f'"type":"{kind}"' in text]
        assert len(own) == len(set(own)) > 0, kind


def a_product_that_was_fetched_anew_comes_with_a_fresh_snapshot(directory):
    for scenario in ("badjson", "backwards", "dupsnapshot"):
        shutil.rmtree(f"{directory}/first", ignore_errors=True)
        first = recorded(directory, "--scenario", scenario, "--scenario-after", 500, rate=1000)
        second, _ = served(directory, first, "--speed", "max")
        snapshots = sum(each["snapshots"] for each in load(f"{first}/report.json")["products"].values())
        assert snapshots > 3, snapshots
        same(f"{first}/report.json", f"{second}/report.json", *BOOK, "--field=snapshots")


def behind_missing_records_a_book_waits_for_its_snapshot(directory):
    first = recorded(directory, "--scenario", "dupsnapshot", "--scenario-after", 2000, "--scenario-repeat", rate=1500, messages=6000, to_node=("--rotate-bytes", "256k"))
    segments = sorted(os.path.join(folder, name) for folder, _, names in os.walk(f"{first}/data") for name in names if name.endswith(".wbseg"))
    whole = texts(first)
    assert len(segments) > 5, segments
    os.remove(segments[2])
    Program("replay", "--product", THREE, "--depth", 1000, "--console", "off", "--report", f"{directory}/replay.json", f"{first}/data").ends(1)
    second, said = served(directory, first, "--speed", "max", code=1, to_node=("--witness", "off"))  # it asks for nothing anew
    assert re.search(r"records \d+ to \d+ are missing", said), said
    replay, shown = (load(path)["products"] for path in (f"{directory}/replay.json", f"{second}/report.json"))
    again = 0
    left, came = texts(first), texts(second)
    gap = next(i for i, text in enumerate(left) if text != whole[i])
    for product in PRODUCTS:
        mine = [text for text in came if product_of(text) == product and '"type":"match"' not in text]
        behind = [text for text in left[gap:] if product_of(text) == product]
        snapshot = next((i for i, text in enumerate(behind) if '"type":"snapshot"' in text), len(behind))
        assert not set(mine) & {text for text in behind[:snapshot] if '"l2update"' in text}, product
        assert set(mine) >= {text for text in behind[snapshot:] if '"l2update"' in text}, product
        if snapshot < len(behind):  # from there on it is the book that a replay, which names the hole and goes on, comes to as well
            assert [shown[product][side] for side in ("bids", "asks")] == [replay[product][side] for side in ("bids", "asks")], product
            again += 1
    assert again, "some had a snapshot again"


def a_log_cut_short_is_played_as_far_as_it_is_whole(directory):
    first = recorded(directory, rate=1000)  # three seconds: a thousand messages are there, however long the first folder takes
    segment = max((os.path.join(folder, name) for folder, _, names in os.walk(f"{first}/data") for name in names), key=os.path.getsize)
    os.truncate(segment, os.path.getsize(segment) * 9 // 10 | 1)  # never where a chunk ends
    second, said = served(directory, first, "--speed", "max", code=1)
    assert "bytes left out" in said, said
    left = texts(first, code=1)
    assert texts(second) == left and len(left) > 1000


def bytes_that_are_wrong_never_end_it_but_by_its_close(directory):
    seed = random.randrange(1 << 32)
    draw = random.Random(seed)
    print(f"seed {seed}")
    first = recorded(directory, rate=300, messages=500, to_node=("--rotate-bytes", "64k"))  # at full speed a chunk holds all
    segments = [os.path.join(folder, name) for folder, _, names in os.walk(f"{first}/data") for name in names if name.endswith(".wbseg")]
    for _ in range(10):
        hurt = f"{directory}/hurt"
        shutil.rmtree(hurt, ignore_errors=True)
        shutil.copytree(f"{first}/data", f"{hurt}/data")
        for segment in draw.sample(segments, min(2, len(segments))):
            with open(segment.replace(first, hurt), "r+b") as file:
                file.seek(draw.randrange(os.path.getsize(segment)))
                file.write(draw.randbytes(draw.choice((1, 8, 4096))))
        exchange = venue(hurt, "--speed", "max", "--once", "--product", THREE)
        messages = all_of(Feed(exchange.url).subscribe(["level2_batch"], PRODUCTS))
        assert messages[0]["type"] == "subscriptions"
        code = exchange.wait()
        assert code in (0, 1) and (code == 0) == ("wirebook mock: " not in exchange.out["stderr"]), exchange.out["stderr"]


def a_log_that_is_looped_begins_anew_for_who_comes_again(directory):
    first = recorded(directory, messages=200)
    exchange = venue(first, "--speed", "max", "--loop", "--quiet")
    rounds = [all_of(Feed(exchange.url).subscribe(["level2_batch"], PRODUCTS)) for _ in range(3)]
    assert rounds[0] == rounds[1] == rounds[2] and len(rounds[0]) == 604, [len(each) for each in rounds]
    exchange.signal()
    exchange.ends(0)


def a_log_that_is_held_stands_still_at_its_end(directory):
    first = recorded(directory, messages=200)
    exchange = venue(first, "--speed", "max", "--hold", "--quiet")
    feed = Feed(exchange.url).subscribe(["level2_batch", "matches"], ["BTC-USD"])
    last = json.loads([text for text in texts(first) if '"l2update"' in text and product_of(text) == "BTC-USD"][-1])
    feed.until(lambda message: message == last)
    late = Feed(exchange.url).subscribe(["level2_batch", "matches"], ["BTC-USD"])
    assert [late.read()["type"] for _ in range(2)] == ["subscriptions", "last_match"]
    assert Levels(late.read()).sizes == book_of(load(f"{first}/report.json"), "BTC-USD")
    exchange.signal(signal.SIGTERM)
    for each in (feed, late):
        assert all_of(each) == [], "nothing more came"
    exchange.ends(0)


def nothing_is_played_while_nobody_listens(directory):
    first = recorded(directory, rate=100, messages=300)
    exchange = venue(first, "--speed", "1x", "--quiet")
    feed = Feed(exchange.url).subscribe(["level2_batch"], ["BTC-USD"])
    one = feed.until(lambda message: message["type"] == "l2update")
    feed.close()
    second = all_of(Feed(exchange.url).subscribe(["level2_batch"], ["BTC-USD"]))
    updates = [json.loads(text) for text in texts(first) if '"l2update"' in text and product_of(text) == "BTC-USD"]
    again = [message for message in second if message["type"] == "l2update"]
    assert second[1]["type"] == "snapshot" and again == updates[-len(again):] and updates.index(one) < len(updates) - len(again) < 290
    exchange.signal()
    exchange.ends(0)


def orders_are_not_to_be_had_and_what_is_no_log_of_levels_is_refused(directory):
    first = recorded(directory, messages=50)
    exchange = venue(first, "--quiet")
    feed = Feed(exchange.url).subscribe(["full"], ["BTC-USD"], **LOGIN)
    answer = feed.read()
    assert answer["type"] == "error" and answer["reason"] == "full is not a valid channel", answer
    exchange.signal()
    exchange.ends(0)
    os.makedirs(f"{directory}/empty/data")
    for words, says in ((("--from", f"{directory}/empty/data"), "no segment"), (("--from", f"{directory}/none", "--at", "-1h"), "it is for a log"),
                        (("--from", f"{first}/data", "--dialect", "coinbase-advanced"), "in the dialect coinbase-exchange alone"),
                        (("--from", f"{first}/data", "--speed", "fast"), "--speed fast"), (("--from", f"{first}/data", "--at", "noon"), "--at noon"),
                        (("--from", f"{first}/data", "--rate", "5"), "no meaning with a log"), (("--speed", "1x"), "it is for a log"),
                        (("--from", f"{first}/data", "--loop", "--hold"), "does not stand still")):
        program = Program("mock", "--port", 0, *words).ends(2)
        assert says in program.out["stderr"], program.out["stderr"]
    advanced = mock("--dialect", "coinbase-advanced", "--messages", 5, "--rate", "max", "--once")
    os.makedirs(f"{directory}/advanced")
    node(advanced.url, f"{directory}/advanced", "--feed", "coinbase-advanced", "--once").ends(0)
    program = Program("mock", "--port", 0, "--from", f"{directory}/advanced/data").ends(2)
    assert "it is of coinbase-advanced" in program.out["stderr"], program.out["stderr"]


if __name__ == "__main__":
    main(globals())
