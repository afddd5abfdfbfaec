#!/usr/bin/env python3
"""Logs as tables: CSV, JSON Lines, Parquet. `test_export.py [NAME...]`."""

import base64
import csv
import datetime
import glob
import io
import json
import os
import pty
import random
import re
import resource
import select
import shutil
import signal
import subprocess
from decimal import Decimal

from harness import HERE, SLOW, WIREBOOK, Program, load, main, mock, node, wait_until
from test_node import THREE

csv.field_size_limit(1 << 30)
TABLES = "deltas", "quotes", "trades", "bars", "frames"
BUILD = os.environ.get("WIREBOOK_BUILD", ".")
NPM = os.environ.get("WIREBOOK_NPM", f"{HERE}/../../build/npm/node_modules")
PARQUET = f"{os.path.dirname(WIREBOOK)}/wirebook-parquet"
NUMBERS = set("recv_ns number trade_id trades line connection bytes".split())
DECIMALS = set("price size best_bid best_bid_size best_ask best_ask_size mid spread seconds open high low close volume".split())
TIMES = set("time recv_time start".split())
TOUCH = "best_bid", "best_bid_size", "best_ask", "best_ask_size", "mid", "spread"


def export(*words, code=0, **options):
    return Program("export", *words, **options).ends(code)


def csv_of(*words, code=0):
    """Rows as dictionaries: None for NULL, which stands unquoted; and what was said on stderr."""
    done = subprocess.run([WIREBOOK, "export", *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == code, (words, done.returncode, done.stderr)
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode(), newline="")))
    return [{key: value or None for key, value in row.items()} for row in rows], done.stderr.decode()


def json_of(*words):
    done = subprocess.run([WIREBOOK, "export", "--format", "jsonl", *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]


def as_json(row):
    """What JSON Lines hold where CSV has this row."""
    def value(key, text):
        return text if text is None else int(text) if key in NUMBERS else text == "true" if key == "snapshot" else text
    return {key: value(key, text) for key, text in row.items()}


def missing():
    if os.path.exists(PARQUET):
        return False
    print("skipped: DuckDB's library is not there (tools/npm/fetch), so neither is wirebook-parquet")
    return True


# ---------------------------------------------------------------------------------------------------------- a slow reading


def plain(number):
    text = format(Decimal(number).normalize(), "f")
    return "0" if text == "-0" else text


def micros(text):
    """A time of the exchange or of inspect, cut to microseconds; years before 1970 are none."""
    if text is None or text < "1970":
        return None
    whole, _, fraction = text.rstrip("Z").partition(".")
    return f"{whole}.{(fraction + '000000')[:6]}Z"


def nanoseconds(text):
    whole, _, fraction = text.rstrip("Z").partition(".")
    return int(datetime.datetime.fromisoformat(f"{whole}+00:00").timestamp()) * 10**9 + int((fraction + "0" * 9)[:9])


class Reading:
    """What the messages of a log come to, in dictionaries and Decimals. Shares nothing with wirebook."""

    def __init__(self, products):
        self.products = products
        self.rows = {table: [] for table in TABLES}
        self.books, self.touches, self.trade_ids, self.bars = {}, {}, {}, {}

    def own(self, product, time, received, number):
        return {"product": product, "time": micros(time), "recv_time": micros(received), "recv_ns": str(nanoseconds(received)), "number": str(number)}

    def quote(self, own):
        book = self.books[own["product"]]
        best = [max(book["bid"], default=None), min(book["ask"], default=None)]
        sizes = [book["bid"].get(best[0]), book["ask"].get(best[1])]
        if (best, sizes) == self.touches.get(own["product"], ([None, None], [None, None])):
            return
        self.touches[own["product"]] = best, sizes
        both = None not in best
        values = [best[0], sizes[0], best[1], sizes[1], (best[0] + best[1]) / 2 if both else None, best[1] - best[0] if both else None]
        self.rows["quotes"].append({**own, **{name: None if value is None else plain(value) for name, value in zip(TOUCH, values)}})

    def change(self, own, side, price, size, snapshot):
        self.rows["deltas"].append({**own, "snapshot": snapshot, "side": side, "price": plain(price), "size": plain(size)})
        if Decimal(size):
            self.books[own["product"]][side][Decimal(price)] = Decimal(size)
        else:
            self.books[own["product"]][side].pop(Decimal(price), None)

    def trade(self, own, message):
        if message["trade_id"] <= self.trade_ids.get(own["product"], -1):
            return
        self.trade_ids[own["product"]] = message["trade_id"]
        price, size = Decimal(message["price"]), Decimal(message["size"])
        side = {"buy": "bid", "sell": "ask"}[message["side"]]
        self.rows["trades"].append({**own, "trade_id": str(message["trade_id"]), "side": side, "price": plain(price), "size": plain(size)})
        start = own["time"][:17] + "00.000000Z"
        bar = self.bars.get(own["product"])
        if bar and start > bar["start"]:
            self.close(own["product"])
        if not bar or start > bar["start"]:
            bar = self.bars[own["product"]] = {**own, "start": start, "seconds": "60", "open": price, "high": price, "low": price, "close": price,
                                               "volume": Decimal(0), "trades": 0}
        bar.update(own, high=max(bar["high"], price), low=min(bar["low"], price), close=price, volume=bar["volume"] + size, trades=bar["trades"] + 1)

    def close(self, product):
        bar = self.bars.pop(product)
        self.rows["bars"].append({key: plain(value) if isinstance(value, Decimal) else str(value) for key, value in bar.items()})

    def message(self, text, received, number):
        message = json.loads(text)
        kind, product = message.get("type"), message.get("product_id")
        if product not in self.products:
            return
        own = self.own(product, message.get("time"), received, number)
        if kind == "snapshot":
            self.books[product] = {"bid": {}, "ask": {}}
            for name, side, down in (("bids", "bid", True), ("asks", "ask", False)):
                levels = {Decimal(price): Decimal(size) for price, size in message[name]}
                for price in sorted(levels, reverse=down):
                    if levels[price]:
                        self.change(own, side, price, levels[price], "true")
            self.quote(own)
        elif kind == "l2update":
            for side, price, size in message["changes"]:
                self.change(own, {"buy": "bid", "sell": "ask"}[side], price, size, "false")
            self.quote(own)
        elif kind == "match":
            self.trade(own, message)

    def done(self):
        for product in self.products:
            if product in self.bars:
                self.close(product)
        return self.rows


def read(place, products):
    """The slow reading of a log's text frames, as inspect shows them."""
    shown = subprocess.run([WIREBOOK, "inspect", "--frames", "--json", "--kind", "text", f"{place}/data"], capture_output=True, check=True)
    reading = Reading(products.split(","))
    for line in shown.stdout.decode().split("\n")[:-1]:
        record = json.loads(line)
        reading.message(record["text"], record["utc"], record["number"])
    return reading.done()


def same_rows(got, expected, what):
    for at, (a, b) in enumerate(zip(got, expected)):
        assert a == b, f"{what}: row {at} is\n{a}, not\n{b}"
    assert len(got) == len(expected), f"{what}: {len(got)} rows, not {len(expected)}"


def exported_as_read(place, products, *tables):
    """All tables, as CSV and as JSON Lines, equal the slow reading. Returns it."""
    rows = read(place, products)
    for table in tables or TABLES[:4]:
        got, _ = csv_of("--table", table, "--product", products, f"{place}/data")
        same_rows(got, rows[table], f"{table} as CSV")
        same_rows(json_of("--table", table, "--product", products, f"{place}/data"), [as_json(row) for row in rows[table]], f"{table} as JSON Lines")
    return rows


def recorded(directory, *words, messages=6000, rate="max", node_words=()):
    exchange = mock("--product", THREE, "--messages", int(messages / SLOW), "--rate", rate, "--levels", 200, "--once", *words)
    node(exchange.url, directory, "--product", THREE, "--channel", "level2_batch,heartbeat,matches", "--once", *node_words).ends(0)
    return load(f"{directory}/report.json")


# ---------------------------------------------------------------------------------------------------------- text


def rows_are_those_of_a_slow_reading_of_the_raw_frames(directory):
    report = recorded(directory, "--scenario", "dupsnapshot", "--scenario-after", 300, "--scenario-repeat", node_words=("--rotate-bytes", "256k"))
    rows = exported_as_read(directory, THREE)
    for product, told in report["products"].items():
        of = {table: [row for row in rows[table] if row["product"] == product] for table in rows}
        assert sum(row["snapshot"] == "false" for row in of["deltas"]) == told["changes"] > 100, told
        assert len(of["trades"]) == told["trades"]["count"] > 20, told
        assert plain(sum(Decimal(row["size"]) for row in of["trades"])) == told["trades"]["volume"], told
        assert plain(sum(Decimal(row["volume"]) for row in of["bars"])) == told["trades"]["volume"], told
        last = of["quotes"][-1]
        assert {key: last[key] for key in TOUCH} == {key: told[key] for key in TOUCH}, (last, told)


def ends_as_reported(log, report, *words):
    """Each product's last quote is its touch in the report, and of changes, snapshots and trades there are as many."""
    rows = {table: csv_of("--table", table, *words, log)[0] for table in ("quotes", "deltas", "trades")}
    last = {row["product"]: row for row in rows["quotes"]}
    for product, told in report["products"].items():
        assert {key: last[product][key] for key in TOUCH} == {key: told[key] for key in TOUCH}, (log, last[product], told)
        of = {table: [row for row in rows[table] if row["product"] == product] for table in rows}
        assert sum(row["snapshot"] == "false" for row in of["deltas"]) == told["changes"] > 100, (log, product, told)
        assert len({row["number"] for row in of["deltas"] if row["snapshot"] == "true"}) == told["snapshots"] > 0, (log, product, told)
        assert len(of["trades"]) == told["trades"]["count"] > 0, (log, product, told)


def quotes_end_at_the_reports_touch_whatever_went_wrong_on_the_way(directory):
    for number, scenario in enumerate(("gap", "badnumber", "reset")):
        place = f"{directory}/{scenario}"
        os.mkdir(place)
        exchange = mock("--product", THREE, "--messages", int(4000 / SLOW), "--rate", 20000, "--levels", 200, "--seed", number + 7, "--scenario", scenario,
                        "--scenario-after", 500)
        program = node(exchange.url, place, "--product", THREE, "--channel", "level2_batch,heartbeat,matches", "--messages", int(9000 / SLOW))
        program.ends(0)
        report = load(f"{place}/report.json")
        ends_as_reported(f"{place}/data", report, "--product", THREE)


def redundant_lines_export_what_their_one_book_went_through(directory):
    exchange = mock("--product", THREE, "--messages", int(6000 / SLOW), "--rate", "max", "--levels", 200, "--once", "--clients", 2)
    node(exchange.url, directory, "--lines", 2, "--product", THREE, "--channel", "level2_batch,heartbeat,matches", "--once").ends(0)
    ends_as_reported(f"{directory}/data", load(f"{directory}/report.json"), "--product", THREE)


def books_of_orders_export_their_levels(directory):
    recording = f"{os.environ.get('WIREBOOK_RECORDINGS')}/pyalgotrade_2016-03_BTC-USD_full_0.jsonl"
    if not os.path.exists(recording):
        print("skipped: WIREBOOK_RECORDINGS names no folder with the recording of full")
        return
    Program("replay", "--channel", "full", "--console", "off", "--report", f"{directory}/report.json", recording).ends(0)
    ends_as_reported(recording, load(f"{directory}/report.json"), "--channel", "full")


def recordings_through_a_node_are_those_of_a_slow_reading(directory):
    folder = os.environ.get("WIREBOOK_RECORDINGS", "")
    files = {"cryptofeed_2021-04-17_10products_l2_ticker_matches.jsonl":
             "BAND-BTC,BAND-GBP,CRV-EUR,DASH-BTC,NMR-EUR,NU-GBP,SKL-BTC,SKL-GBP,SKL-USD,YFI-BTC",
             "bytewax_2022-07-13_BTC_ETH_level2.jsonl": "BTC-USD,ETH-USD", "sanketr_2018_BTC-USD_level2.jsonl": "BTC-USD"}
    if not all(os.path.exists(f"{folder}/{name}") for name in files):
        print("skipped: WIREBOOK_RECORDINGS names no folder with the recordings")
        return
    for name, products in files.items():
        place = f"{directory}/{name}"
        os.mkdir(place)
        exchange = mock("--from", f"{folder}/{name}", "--product", products, "--rate", "max", "--once")
        with open(f"{folder}/{name}") as file:
            count = sum(1 for _ in file)
        node(exchange.url, place, "--product", products, "--channel", "level2_batch,heartbeat,matches", "--messages", count).ends(0)
        rows = exported_as_read(place, products)
        assert len(rows["deltas"]) > 1000, name


def frames_are_the_log_byte_for_byte(directory):
    recorded(directory, messages=600)
    shown = subprocess.run([WIREBOOK, "inspect", "--frames", "--json", f"{directory}/data"], capture_output=True, check=True).stdout
    frames, _ = csv_of("--table", "frames", f"{directory}/data")
    records = [json.loads(line) for line in shown.decode().split("\n")[:-1]]
    assert len(frames) == len(records) > 600 / SLOW
    kinds = set()
    for frame, record in zip(frames, records):
        kinds.add(frame["kind"])
        assert [frame[key] for key in ("number", "line", "connection", "kind", "bytes")] == \
            [str(record[key]) for key in ("number", "line", "connection", "kind", "bytes")], (frame, record)
        assert frame["recv_ns"] == str(nanoseconds(record["utc"])) and frame["recv_time"] == micros(record["utc"])
        if "text" in record and "\0" not in record["text"]:
            assert frame["text"] == (record["text"] or None) and frame["base64"] is None, (frame, record)
        else:
            assert frame["text"] is None and len(base64.b64decode(frame["base64"])) == record["bytes"], (frame, record)
        named = re.search(r'"product_id":"([^"]*)"', record.get("text", ""))
        assert frame["product"] == (named[1] if named else None), frame
    assert {"text", "http", "connect", "sent", "close"} <= kinds and any(frame["base64"] for frame in frames), kinds
    same_rows(json_of("--table", "frames", f"{directory}/data"), [as_json(frame) for frame in frames], "frames as JSON Lines")


def a_window_has_the_rows_of_the_whole_that_were_received_in_it(directory):
    recorded(directory, messages=3000 * SLOW, rate=3000, node_words=("--rotate-bytes", "128k"))
    whole = {table: csv_of("--table", table, "--product", THREE, f"{directory}/data")[0] for table in ("deltas", "quotes", "trades", "frames")}
    at = sorted({int(row["recv_ns"]) for row in whole["frames"]})
    begin, end = at[len(at) // 3], at[len(at) * 2 // 3]

    def utc(ns):
        return f"{ns // 10**9}.{ns % 10**9:09d}"
    for index in (False, True):
        if index:
            Program("inspect", "--index", f"{directory}/data").ends(0)
        for table, rows in whole.items():
            got, _ = csv_of("--table", table, "--product", THREE, "--from", utc(begin), "--to", utc(end), f"{directory}/data")
            same_rows(got, [row for row in rows if begin <= int(row["recv_ns"]) < end], f"{table}, index {index}")
            assert got, table


def bars_by_trades_and_by_volume_hold_every_trade_once(directory):
    recorded(directory)
    trades, _ = csv_of("--table", "trades", "--product", THREE, f"{directory}/data")
    for step, seconds in (("ticks=7", None), ("volume=25.5", None), ("time=0.25", "0.25")):
        bars, _ = csv_of("--table", "bars", "--bars", step, "--product", THREE, f"{directory}/data")
        assert {bar["seconds"] for bar in bars} == {seconds}
        for product in THREE.split(","):
            own = [bar for bar in bars if bar["product"] == product]
            left = [trade for trade in trades if trade["product"] == product]
            for place, bar in enumerate(own):
                part, left = left[:int(bar["trades"])], left[int(bar["trades"]):]
                prices = [Decimal(trade["price"]) for trade in part]
                told = [plain(value) for value in (prices[0], max(prices), min(prices), prices[-1], sum(Decimal(trade["size"]) for trade in part))]
                assert [bar[key] for key in ("open", "high", "low", "close", "volume")] == told, bar
                assert [bar[key] for key in ("number", "time", "recv_ns")] == [part[-1][key] for key in ("number", "time", "recv_ns")], bar
                if step == "ticks=7":
                    assert bar["start"] == part[0]["time"] and (len(part) == 7 or place == len(own) - 1), bar
            assert not left and own


def wrong_usage_is_told_and_nothing_is_written(directory):
    os.mkdir(f"{directory}/data")
    log = f"{directory}/data"
    for words, said in ((["--table", "deltas"], "no path"), (["--table", "candles", log], "deltas|quotes|trades|bars|frames"),
                        (["--format", "xml", log], "csv|jsonl|parquet"), (["--format", "parquet", log], "a folder"),
                        (["--format", "parquet", "-o", f"{directory}/out", "--decimals", "19", log], "18"),
                        (["--from", "2026-02-01", "--to", "2026-01-01", log], "later than"), (["--from", "noon", log], "is no time"),
                        (["--table", "bars", "--bars", "ticks=10,ticks=20", log], "apart"), (["--table", "bars", "--bars", "off", log], "no bars"),
                        (["--orders", "0", log], "--orders"), (["--tabel", "deltas", log], "did you mean --table"),
                        (["-o", f"{directory}/out", log], "holds no segment")):
        program = export(*words, code=2)
        assert said in program.out["stderr"] and not program.out["stdout"], (words, program.out)
    program = export("-o", f"{directory}/out", f"{directory}/nothing", code=1)
    assert "cannot read" in program.out["stderr"]
    assert os.listdir(directory) == ["data"], os.listdir(directory)
    if not missing():
        program = export("--format", "parquet", "-o", f"{directory}/out", f"{directory}/nothing", code=1)
        assert program.out["stderr"].count("\n") == 1 and "cannot read" in program.out["stderr"] and not files_of(f"{directory}/out/deltas"), program.out
        program = export("--format", "parquet", "-o", f"{directory}/out", "--memory", "much", "--product", THREE, three_days(f"{directory}/log.txt", updates=10), code=1)
        assert program.out["stderr"].count("\n") == 1 and "--memory" in program.out["stderr"], program.out


# ---------------------------------------------------------------------------------------------------------- Parquet


def as_parquet(table, row):
    """What DuckDB says, by its query below, of the row that CSV has so."""
    def value(key, text):
        if text is None:
            return None
        if key in TIMES:
            return str(nanoseconds(text) // 1000)
        return plain(text) if key in DECIMALS else text
    return tuple(value(key, text) for key, text in row.items())


def parquet_rows(place, table, columns):
    """Rows of all files below a folder, file by file, through DuckDB."""
    from duckdb_reader import DuckDB
    shown = [f"epoch_us({name})" if name in TIMES else name for name in columns]
    database = DuckDB(f"{NPM}/@duckdb/node-bindings-linux-x64/libduckdb.so")
    rows = []
    for path in files_of(f"{place}/{table}"):
        kinds = {name: kind for name, kind, *_ in database.rows(f"describe select * from read_parquet('{path}', hive_partitioning=false)")}
        assert list(kinds) == columns, kinds
        for name, kind in kinds.items():
            assert kind == ("DECIMAL(38,9)" if name in DECIMALS else "TIMESTAMP WITH TIME ZONE" if name in TIMES else "BIGINT" if name in NUMBERS else
                            "BOOLEAN" if name == "snapshot" else "VARCHAR"), (name, kind)
        rows += [tuple(plain(value) if value and name in DECIMALS else value for name, value in zip(columns, row))
                 for row in database.rows(f"select {', '.join(shown)} from read_parquet('{path}', hive_partitioning=false)")]
    database.close()
    return rows


def files_of(place):
    return sorted(glob.glob(f"{glob.escape(place)}/*/*/*.parquet"))


def by_folder(rows):
    """Rows in the order of the files: by product, by day, then as they came."""
    return sorted(rows, key=lambda row: (f"product={row['product'] or '__HIVE_DEFAULT_PARTITION__'}".replace("/", "%2F"), row["recv_time"][:10]))


def content(place):
    return {os.path.relpath(path, place): open(path, "rb").read() for path in files_of(place) + glob.glob(f"{place}/*/*/.wirebook")}


def three_days(path, seed=1, updates=20000, products=THREE.split(","), decimals=2):
    """A recording with times of receipt: so many updates of each product over three days, and trades."""
    chance = random.Random(seed)
    begin, step = 1768780800, 3 * 86400 / updates  # 2026-01-19T00:00:00Z
    with open(path, "w") as file:
        def put(at, message):
            file.write(f"{at:.6f} {json.dumps(message)}\n")
        for product in products:
            put(begin, {"type": "snapshot", "product_id": product, "bids": [["100.0", "1"]], "asks": [["200.5", "2.25"]]})
        for number in range(updates):
            at = begin + number * step
            time = datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            for product in products:
                side, price = chance.choice((("buy", chance.randrange(9000, 15001, 250)), ("sell", chance.randrange(15250, 20000, 250))))
                put(at, {"type": "l2update", "product_id": product, "time": time,
                         "changes": [[side, f"{price / 100:.{decimals}f}", f"{chance.randrange(10**9) / 10**8:.8f}"]]})
                if number % 10 == 0:
                    put(at, {"type": "match", "product_id": product, "time": time, "trade_id": number // 10 + 1, "sequence": number, "side": side, "price": f"{price / 100:.2f}",
                             "size": f"{chance.randrange(1, 10**9) / 10**8:.8f}"})
    return path


def parquet_of_a_node_is_the_csv_by_duckdb(directory):
    if missing():
        return
    recorded(directory, "--scenario", "dupsnapshot", "--scenario-after", 300, "--scenario-repeat")
    for table in TABLES:
        export("--table", table, "--product", THREE, "--format", "parquet", "-o", f"{directory}/out", f"{directory}/data")
        rows, _ = csv_of("--table", table, "--product", THREE, f"{directory}/data")
        got = parquet_rows(f"{directory}/out", table, list(rows[0]))
        same_rows(got, [as_parquet(table, row) for row in by_folder(rows)], table)


def parquet_is_the_csv_by_hyparquet(directory):
    if missing():
        return
    log = three_days(f"{directory}/log.txt", updates=2000)
    for table in TABLES:
        export("--table", table, "--product", THREE, "--format", "parquet", "-o", f"{directory}/out", log)
        rows, _ = csv_of("--table", table, "--product", THREE, log)
        files = files_of(f"{directory}/out/{table}")
        assert len(files) == 9, files
        done = subprocess.run(["node", f"{HERE}/clients/parquet.mjs", NPM, *files], capture_output=True, check=True)
        got = [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
        assert len(got) == len(rows) > 8, (table, len(got), len(rows))
        for read_back, row in zip(got, by_folder(rows)):
            assert list(read_back) == list(row)
            for key, text in row.items():
                value = read_back[key]
                if text is None or value is None:
                    assert text is None and value is None, (key, text, value)
                elif key in DECIMALS:  # it makes doubles of them
                    assert abs(value - float(text)) <= 1e-12 * abs(float(text)), (key, text, value)
                elif key in TIMES:  # a Date holds milliseconds
                    assert value[:23] == text[:23], (key, text, value)
                else:
                    assert value == as_json({key: text})[key] or str(value) == text, (key, text, value)


def finished_days_stay_and_a_killed_export_run_again_gives_the_same_files(directory):
    if missing():
        return
    log = three_days(f"{directory}/log.txt", updates=int(60000 / SLOW))
    words = ["--table", "deltas", "--product", THREE, "--format", "parquet", log]
    export(*words, "-o", f"{directory}/straight")
    expected = content(f"{directory}/straight/deltas")
    assert len(expected) == 18, sorted(expected)
    def killed(out, days):
        program = Program("export", *words, "-o", out, prepare=os.setsid)
        last = f"{out}/deltas/product=LTC-USD/date=2026-01-{18 + days}"

        def there():
            program.pump(0.001)
            return os.path.exists(last) or program.child.poll() is not None
        wait_until(there, "a day is finished")
        if program.child.poll() is None:
            os.killpg(program.child.pid, signal.SIGKILL)
        program.wait()
        return content(f"{out}/deltas")

    for days in (1, 2):
        for attempt in range(20):  # until the kill comes before the end
            out = f"{directory}/killed-{days}-{attempt}"
            before = killed(out, days)
            if len(before) < len(expected):
                break
        assert 0 < len(before) < len(expected), sorted(before)
        assert all(expected[name] == bytes for name, bytes in before.items()), "what is there is whole"
        inodes = {name: os.stat(f"{out}/deltas/{name}").st_ino for name in before}
        export(*words, "-o", out)
        assert content(f"{out}/deltas") == expected and not os.path.exists(f"{out}/deltas/.unfinished")
        assert inodes == {name: os.stat(f"{out}/deltas/{name}").st_ino for name in before}, "finished days were not made anew"


def other_inputs_make_a_day_anew_and_no_old_file_stays(directory):
    if missing():
        return
    words = ["--table", "quotes", "--product", THREE, "--format", "parquet", "-o", f"{directory}/out"]
    export(*words, three_days(f"{directory}/log.txt", updates=3000))
    day = f"{directory}/out/quotes/product=BTC-USD/date=2026-01-20"
    shutil.copy(f"{day}/part-00000.parquet", f"{day}/part-00001.parquet")  # as a day of more files has one
    os.makedirs(f"{directory}/out/quotes/.unfinished/product=X/date=Y")
    log = three_days(f"{directory}/log.txt", seed=2, updates=3000)
    export(*words, log)
    export("--table", "quotes", "--product", THREE, "--format", "parquet", "-o", f"{directory}/fresh", log)
    assert content(f"{directory}/out/quotes") == content(f"{directory}/fresh/quotes")
    os.remove(f"{day}/part-00000.parquet")
    export(*words, log)
    assert content(f"{directory}/out/quotes") == content(f"{directory}/fresh/quotes"), "a day whose file is gone is made anew"
    assert sorted(os.listdir(f"{directory}/out/quotes")) == [f"product={product}" for product in THREE.split(",")]


def days_that_come_again_after_their_end_go_on(directory):
    if missing():
        return
    log = f"{directory}/log.txt"
    with open(log, "w") as file:
        for number, day in enumerate((20, 22, 20, 21, 20)):  # the clock was set back
            at = datetime.datetime(2026, 1, day, 12, number, tzinfo=datetime.timezone.utc).timestamp()
            message = {"type": "snapshot", "product_id": "BTC-USD", "bids": [[str(100 + number), "1"]], "asks": [["200.5", "2.25"]]}
            file.write(f"{at:.6f} {json.dumps(message)}\n")
    words = ["--table", "quotes", "--format", "parquet", "-o", f"{directory}/out", log]
    rows, _ = csv_of("--table", "quotes", log)
    assert len(rows) == 5
    for _ in range(2):
        export(*words)
        same_rows(parquet_rows(f"{directory}/out", "quotes", list(rows[0])), [as_parquet("quotes", row) for row in by_folder(rows)], "quotes")
    mark = f"{directory}/out/quotes/product=BTC-USD/date=2026-01-20/.wirebook"
    inputs, _, parts = open(mark).read().split()
    with open(mark, "w") as file:
        file.write(f"{inputs} 1 {parts}\n")
    assert "has 1 rows, not 3" in export(*words, code=1).out["stderr"]
    export(*words)
    same_rows(parquet_rows(f"{directory}/out", "quotes", list(rows[0])), [as_parquet("quotes", row) for row in by_folder(rows)], "quotes")


def an_id_with_a_slash_is_one_folder_and_comes_back(directory):
    if missing():
        return
    recording = f"{HERE}/../golden/kraken/today.jsonl"
    words = ["--feed", "kraken", "--product", "BTC/USD", "--log-level", "error", recording]
    export("--table", "quotes", "--format", "parquet", "-o", f"{directory}/out", *words)
    rows, _ = csv_of("--table", "quotes", *words)
    assert rows and os.listdir(f"{directory}/out/quotes") == ["product=BTC%2FUSD"]
    same_rows(parquet_rows(f"{directory}/out", "quotes", list(rows[0])), [as_parquet("quotes", row) for row in rows], "quotes")


def a_number_too_fine_is_refused_and_never_rounded(directory):
    if missing():
        return
    log = f"{directory}/log.txt"
    with open(log, "w") as file:
        file.write('1768780800.000000 {"type":"snapshot","product_id":"BTC-USD","bids":[["0.000000000123","1"]],"asks":[["0.000000000125","2.25"]]}\n')
    program = export("--table", "quotes", "--format", "parquet", "-o", f"{directory}/out", log, code=1)
    assert "0.000000000123" in program.out["stderr"] and "--decimals" in program.out["stderr"], program.out
    assert not files_of(f"{directory}/out/quotes")
    export("--table", "quotes", "--format", "parquet", "--decimals", 18, "-o", f"{directory}/out", log)
    from duckdb_reader import DuckDB
    database = DuckDB(f"{NPM}/@duckdb/node-bindings-linux-x64/libduckdb.so")
    assert database.rows(f"select best_bid, mid, spread, best_ask_size from '{files_of(directory + '/out/quotes')[0]}'") == \
        [("0.000000000123000000", "0.000000000124000000", "0.000000000002000000", "2.250000000000000000")]
    database.close()


def a_full_disk_is_told_and_what_was_begun_is_taken_away(directory):
    log = three_days(f"{directory}/log.txt")

    def small():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))  # a journal of as much, and less than the rows
    program = export("-o", f"{directory}/rows.csv", "--product", THREE, "--max-message", "1M", log, code=1, prepare=small)
    assert "cannot write" in program.out["stderr"] and os.listdir(directory) == ["log.txt"], (program.out, os.listdir(directory))
    with open("/dev/full", "w") as full:
        done = subprocess.run([WIREBOOK, "export", "--product", THREE, log], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"No space left" in done.stderr, done
    if missing():
        return
    with open(f"{directory}/limited", "w") as file:
        file.write(f'#!/bin/sh\nulimit -f 100\nexec {PARQUET} "$@"\n')
    os.chmod(f"{directory}/limited", 0o755)
    program = export("--format", "parquet", "-o", f"{directory}/out", "--product", THREE, log, code=1, env={"WIREBOOK_PARQUET": f"{directory}/limited"})
    assert "wirebook-parquet: " in program.out["stderr"] and not files_of(f"{directory}/out/deltas"), program.out
    assert os.listdir(f"{directory}/out/deltas") == [], os.listdir(f"{directory}/out/deltas")
    export("--format", "parquet", "-o", f"{directory}/out", "--product", THREE, log)


def two_exports_do_not_write_one_folder(directory):
    if missing():
        return
    os.makedirs(f"{directory}/out/deltas")
    held = os.open(f"{directory}/out/deltas", os.O_RDONLY)
    import fcntl
    fcntl.flock(held, fcntl.LOCK_EX)
    words = ["--format", "parquet", "-o", f"{directory}/out", "--product", THREE, three_days(f"{directory}/log.txt", updates=100)]
    assert "another export" in export(*words, code=1).out["stderr"]
    os.close(held)
    export(*words)


def parquet_without_its_program_says_how_to_get_it(directory):
    log = three_days(f"{directory}/log.txt", updates=10)
    program = export("--format", "parquet", "-o", f"{directory}/out", log, code=2, env={"WIREBOOK_PARQUET": f"{directory}/none"})
    assert "tools/npm/fetch" in program.out["stderr"] and not os.path.exists(f"{directory}/out"), program.out


def of_a_damaged_log_what_is_whole_is_exported_and_the_rest_is_told(directory):
    recorded(directory, messages=3000 * SLOW, rate=1000)  # three seconds: there are chunks behind the snapshots', however long the first folder takes
    segment = max(glob.glob(f"{directory}/data/**/*.wbseg", recursive=True), key=os.path.getsize)
    whole, _ = csv_of("--product", THREE, f"{directory}/data")
    with open(segment, "r+b") as file:
        place = file.read().rfind(b'"type":"l2update"', 0, os.path.getsize(segment) * 9 // 10)
        file.seek(place)
        file.write(b"!")
    for words in ([], ["--format", "parquet", "-o", f"{directory}/out"]):
        if words and missing():
            break
        rows, said = csv_of("--product", THREE, *words, f"{directory}/data", code=1)
        assert "bytes left out" in said and segment in said, said
        if words:
            rows = parquet_rows(f"{directory}/out", "deltas", list(whole[0]))
            same_rows(rows, [as_parquet("deltas", row) for row in by_folder(part)], "deltas")
        else:
            part = whole[:len(rows)]
            same_rows(rows, part, "what is in front of the damage")
            assert 0 < len(rows) < len(whole)
    export("--product", THREE, "-o", f"{directory}/rows.csv", f"{directory}/data", code=1)
    with open(f"{directory}/rows.csv") as file:
        assert sum(1 for _ in file) == len(part) + 1


def a_reader_who_has_seen_enough_ends_it_without_a_word(directory):
    log = three_days(f"{directory}/log.txt")
    child = subprocess.Popen([WIREBOOK, "export", "--product", THREE, log], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout.readline() == b"product,time,recv_time,recv_ns,number,snapshot,side,price,size\n"
    child.stdout.close()
    assert child.stderr.read() == b"" and child.wait() == 1


def progress_is_drawn_on_a_terminal_and_nowhere_else(directory):
    recorded(directory, messages=2000)
    words = [WIREBOOK, "export", "--product", THREE, "-o", f"{directory}/rows.csv", f"{directory}/data"]
    assert subprocess.run(words, check=True, capture_output=True) .stderr == b""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    said = b""
    while select.select([ours], [], [], 60 * SLOW)[0]:
        try:
            said += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert child.wait() == 0 and re.search(rb"\r\[#* *\] +\d+%  \d+ rows", said) and said.endswith(b"\r\x1b[K"), said


if __name__ == "__main__":
    main(globals())
