#!/usr/bin/env python3
"""`wirebook archive`: a log that grows as Parquet, each row once, whatever ends it. `test_archive_tables.py [NAME...]`."""

import os
import random
import shutil
import signal
import struct
import subprocess
import time

from duckdb_reader import DuckDB
from harness import LIMIT, SLOW, WIREBOOK, Program, load, main, mock, node, wait_until
from test_export import NPM, missing
from test_confine import field
from test_node import THREE

TABLES = ("deltas", "quotes", "trades", "frames")
CHANNELS = "level2_batch,heartbeat,matches"


def recorded(directory, *words, messages=6000, rate="max", to_node=("--rotate-bytes", "128k")):
    exchange = mock("--product", THREE, "--messages", messages, "--rate", rate, "--levels", 100, "--once", *words)
    node(exchange.url, directory, "--product", THREE, "--channel", CHANNELS, "--once", *to_node).ends(0)
    exchange.ends(0)


def segments(place):
    return sorted((os.path.join(folder, name) for folder, _, names in os.walk(f"{place}/data") for name in names if name.endswith(".wbseg")), key=os.path.basename)


def archive(directory, *words, out="out"):
    return Program("archive", f"{directory}/data", "-o", f"{directory}/{out}", "--product", THREE, *words)


def made(directory, out="out"):
    return sorted(os.path.relpath(os.path.join(folder, name), f"{directory}/{out}") for folder, _, names in os.walk(f"{directory}/{out}") for name in names
                  if name.endswith(".parquet"))


def is_the_whole(directory, out="out", code=0, tables=TABLES, logs=("data",)):
    """The archive's rows are those of one export of each log: none is missing, none is there twice."""
    database = DuckDB(f"{NPM}/@duckdb/node-bindings-linux-x64/libduckdb.so")
    counts = {}
    shutil.rmtree(f"{directory}/whole", ignore_errors=True)
    for table in tables:
        for number, log in enumerate(logs):
            Program("export", "--table", table, "--format", "parquet", "-o", f"{directory}/whole/{number}", "--product", THREE, f"{directory}/{log}").ends(code)
        ours, whole = (f"SELECT * FROM read_parquet('{directory}/{place}/{table}/product=*/date=*/*.parquet', hive_partitioning=true)" for place in (out, "whole/*"))
        counts[table] = int(database.rows(f"SELECT count(*) FROM ({ours})")[0][0])
        for one, other in ((ours, whole), (whole, ours)):
            assert database.rows(f"({one}) EXCEPT ALL ({other}) LIMIT 3") == [], table
        assert counts[table] == int(database.rows(f"SELECT count(*) FROM ({whole})")[0][0]) > 0
    database.close()
    return counts


def the_union_of_all_segments_is_one_export_of_the_whole(directory):
    if missing():
        return
    recorded(directory, "--scenario", "dupsnapshot", "--scenario-after", 300, "--scenario-repeat", rate=2000)  # at full speed a chunk holds more than a segment
    recorded(directory, messages=500)  # another run
    archive(directory, "--once").ends(0)
    is_the_whole(directory)
    files = made(directory)
    units = {os.path.basename(name).split("-part-")[0] for name in files}
    assert units <= {os.path.basename(path)[:-6] for path in segments(directory)} and len(units) > 4, units  # some hold what belongs to the next
    before = {name: os.stat(f"{directory}/out/{name}").st_mtime_ns for name in files}
    archive(directory, "--once").ends(0)
    assert before == {name: os.stat(f"{directory}/out/{name}").st_mtime_ns for name in made(directory)}, "nothing is done twice"


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82f63b78 * (crc & 1)
    return crc ^ 0xffffffff


def with_the_clock_set_back(path, folder, seconds):
    """Puts a segment into a folder as if it had been made so much earlier."""
    with open(path, "rb") as file:
        whole = bytearray(file.read())
    created, = struct.unpack_from("<q", whole, 24)
    created -= seconds * 1000000000
    struct.pack_into("<q", whole, 24, created)
    struct.pack_into("<I", whole, 12, 0)
    struct.pack_into("<I", whole, 12, crc32c(whole[:4096]))
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(created // 1000000000))
    with open(f"{folder}/{stamp}.{created % 1000000000:09}Z-{path.rsplit('-', 1)[1]}", "wb") as file:
        file.write(whole)


def a_run_that_began_when_the_clock_was_set_back_is_archived(directory):
    if missing():
        return
    for name, messages in (("one", 3000), ("two", 1500)):
        os.mkdir(f"{directory}/{name}")
        recorded(f"{directory}/{name}", messages=messages, rate=4000)  # at full speed a chunk holds more than a segment
    shutil.copytree(f"{directory}/one/data", f"{directory}/data")
    archive(directory, "--once").ends(0)
    before = {name: os.stat(f"{directory}/out/{name}").st_mtime_ns for name in made(directory)}
    os.mkdir(f"{directory}/data/back")
    for path in segments(f"{directory}/two"):
        with_the_clock_set_back(path, f"{directory}/data/back", 3600)
    archive(directory, "--once").ends(0)
    assert before == {name: os.stat(f"{directory}/out/{name}").st_mtime_ns for name in made(directory) if name in before}, "nothing is done twice"
    is_the_whole(directory, logs=("one/data", "two/data"))
    is_the_whole(directory, tables=("deltas", "frames"))  # trades of the first have lower numbers than those that are read before them here


def it_goes_on_beside_a_node_that_rolls_segments(directory):
    if missing():
        return
    exchange = mock("--product", THREE, "--rate", 50, "--levels", 100)
    program = node(exchange.url, directory, "--product", THREE, "--channel", CHANNELS, "--lines", 2, "--rotate-bytes", "64k")
    program.wait_for("connected to")
    worker = archive(directory)

    def units():
        worker.pump(0.05)
        assert worker.child.poll() is None, worker.out["stderr"]
        return len({name.split("/")[-1].split("-part-")[0] for name in made(directory) if name.startswith("frames")})
    wait_until(lambda: units() >= 3, "three segments archived", 3 * LIMIT)
    worker.signal(signal.SIGTERM)
    worker.ends(0)
    stopped = units_of(directory)
    worker = archive(directory)
    wait_until(lambda: units() > len(stopped), "one more behind them", 3 * LIMIT)
    program.signal()
    program.ends(0)
    exchange.signal()
    worker.signal()
    worker.ends(0)
    archive(directory, "--once").ends(0)
    counts = is_the_whole(directory)
    assert counts["frames"] == load(f"{directory}/report.json")["stored_frames"], counts


def units_of(place):
    return {os.path.basename(name).split("-part-")[0] for name in made(place)}


def killed_at_any_instant_it_loses_and_doubles_no_row(directory):
    if missing():
        return
    seed = random.randrange(1 << 32)
    draw = random.Random(seed)
    print(f"seed {seed}")
    recorded(directory, messages=4000, to_node=("--rotate-bytes", "512k"))
    kills = 0
    longest = 1.5 * SLOW  # seconds that it may have; less where it was done before
    for turn in range(60):
        child = subprocess.Popen([WIREBOOK, "archive", f"{directory}/data", "-o", f"{directory}/out", "--product", THREE, "--once"], stderr=subprocess.PIPE)
        try:
            child.wait(draw.random() * longest if turn < 25 else None)
        except subprocess.TimeoutExpired:
            child.kill()
            kills += 1
        said = child.communicate()[1]
        assert child.returncode in (0, -signal.SIGKILL), said
        if child.returncode == 0 and kills:
            break
        if child.returncode == 0:
            shutil.rmtree(f"{directory}/out")
            longest /= 3
    assert child.returncode == 0 and kills > 0, kills
    is_the_whole(directory)
    assert [name for name in os.listdir(f"{directory}/out/.archive") if name.startswith("work-")] == []


def a_damaged_log_is_archived_as_far_as_it_is_whole_and_says_so(directory):
    if missing():
        return
    recorded(directory, rate=2000)  # at full speed a chunk holds more than a segment
    header, files = 4096, segments(directory)
    with open(files[len(files) // 2], "r+b") as file:  # the largest may have the snapshots, where the first folder was long in the making
        file.seek(header + (os.path.getsize(file.name) - header) // 2)
        file.write(b"damage")
    worker = archive(directory, "--once").ends(1)
    assert "damaged data" in worker.out["stderr"] or "missing" in worker.out["stderr"], worker.out["stderr"]
    is_the_whole(directory, code=1)


def a_segment_that_is_gone_before_it_was_archived_is_told(directory):
    if missing():
        return
    recorded(directory, rate=2000)  # at full speed a chunk holds more than a segment
    first, second, third, fourth, *_ = segments(directory)
    os.makedirs(f"{directory}/aside")
    later = [path for path in segments(directory) if path > second]
    for path in later:
        os.rename(path, f"{directory}/aside/{os.path.basename(path)}")
    archive(directory, "--once").wait()  # 1 where the third has records of before the end of the second
    for path in later[1:]:
        os.rename(f"{directory}/aside/{os.path.basename(path)}", path)
    worker = archive(directory, "--once").ends(1)
    assert "is gone, or came too late" in worker.out["stderr"], worker.out["stderr"]
    assert os.path.basename(segments(directory)[-1])[:-6] in units_of(directory)


def records_that_are_missing_in_a_run_are_told_whatever_the_numbers_of_the_next(directory):
    if missing():
        return
    recorded(directory, rate=2000)  # at full speed a chunk holds more than a segment
    os.unlink(segments(directory)[-2])
    recorded(directory, messages=1000, rate=4000)  # the last unit of it that is done ends with a lower number
    worker = archive(directory, "--table", "frames")
    worker.wait_for("are missing")
    worker.signal(signal.SIGTERM)
    worker.ends(1)


def one_folder_has_one_worker_and_one_set_of_options(directory):
    if missing():
        return
    recorded(directory, messages=300)
    archive(directory, "--once", "--table", "trades").ends(0)
    assert {name.split("/")[0] for name in made(directory)} == {"trades"}
    other = archive(directory, "--once", "--table", "trades,quotes").ends(2)
    assert "was begun with other options" in other.out["stderr"], other.out["stderr"]
    worker = archive(directory, "--table", "trades")
    wait_until(lambda: os.path.exists(f"{directory}/out/.archive/work-{worker.child.pid}"), "the worker works")
    wait_until(lambda: worker.pump(0.01) or int(field(worker, "SigCgt"), 16) >> (signal.SIGTERM - 1) & 1, "it takes signals")
    second = archive(directory, "--once", "--table", "trades").ends(1)
    assert "is being written by another archive" in second.out["stderr"], second.out["stderr"]
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    worker.ends(0)
    assert time.monotonic() - began < 5 * SLOW
    with open(f"{directory}/out/.archive/books.json", "w") as file:
        file.write("{")
    assert "is no cursor" in archive(directory, "--once", "--table", "trades").ends(1).out["stderr"]


def wrong_words_are_told(directory):
    os.makedirs(f"{directory}/data")
    for words, says in ((("archive",), "a folder with a log and --out"), (("archive", f"{directory}/data"), "--out"),
                        (("archive", f"{directory}/data", "-o", f"{directory}/out", "--table", "bars"), "bars are made of trades"),
                        (("archive", f"{directory}/data", "-o", f"{directory}/out", "--decimals", "19"), "--decimals"),
                        (("archive", f"{directory}/data", "-o", f"{directory}/out", "--orders", "0"), "--orders")):
        program = Program(*words).ends(2)
        assert says in program.out["stderr"], program.out["stderr"]
    Program("archive", f"{directory}/none", "-o", f"{directory}/out", "--once").ends(1)
    Program("archive", f"{directory}/data", "-o", f"{directory}/out", "--once").ends(0)
    assert "usage: wirebook archive" in Program("archive", "--help").ends(0).out["stdout"]


if __name__ == "__main__":
    main(globals())
