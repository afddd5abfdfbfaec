#!/usr/bin/env python3
"""Replay of a part of a log, by index and without. `test_part.py [NAME...]`."""

import os
import re
import subprocess

from harness import SLOW, WIREBOOK, Program, load, main, mock, node, same
from test_node import THREE


def files(place, end):
    found = [os.path.join(folder, name) for folder, _, names in os.walk(place) for name in names if name.endswith(end)]
    return sorted(found, key=os.path.basename)


def recorded(directory, *words, messages=12000, rate="max", after=None):
    """A run with snapshots of a product again and again. Which one, the N-th update says: by turns the last one, until a mock that is late sends some of one
    product behind each other, and then another for as long as it is not late again; so that all have some, N should be no multiple of three."""
    count = int(messages / SLOW)
    exchange = mock("--product", THREE, "--messages", count, "--rate", rate, "--levels", 300, "--scenario", "dupsnapshot", "--scenario-after", after or count // 40,
                    "--scenario-repeat", "--once")
    node(exchange.url, directory, "--product", THREE, "--once", *words).ends(0)
    exchange.ends(0)


def times(directory, code=0, snapshots=False):
    """Receive times of all messages of the log, in its order; or those of the last product's snapshots."""
    shown = subprocess.run([WIREBOOK, "inspect", "--frames", "--kind", "text", f"{directory}/data"], capture_output=True)
    assert shown.returncode == code, shown.stderr
    wanted = b'"type":"snapshot","product_id":"LTC-USD"' if snapshots else b""
    return [line.split(b" ", 2)[1].decode() for line in shown.stdout.splitlines() if wanted in line]


def part(directory, products, begin, end, name, *words, code=0):
    program = Program("replay", "--product", products, "--depth", 1000, "--console", "off", "--report", f"{directory}/{name}.json", "--from", begin, "--to", end, *words,
                      f"{directory}/data")
    program.ends(code)
    return load(f"{directory}/{name}.json"), program.out["stderr"]


def without(report):
    return {key: value for key, value in report.items() if key not in ("part", "started_utc", "elapsed_s")}


def window_of(at, begin, count):
    """From the time of a message to that of a later one; those of one packet have the same."""
    return at[begin], next(time for time in at[begin + count:] if time != at[begin])


def reads_little(directory, share, *words, **options):
    recorded(directory, *words, rate=20000, after=1280, **options)  # all products take turns, and chunks are small
    Program("inspect", "--index", f"{directory}/data").ends(0)
    at = times(directory)
    snapshots = [at.index(time) for time in times(directory, snapshots=True)]
    begin = max(index for index in snapshots if index < len(at) * 8 // 10) + 20
    window = window_of(at, begin, len(at) // 100)
    little, _ = part(directory, "LTC-USD", *window, "little")
    assert 0 < little["messages"] < len(at) // 20, little["messages"]
    assert little["products"]["LTC-USD"]["state"] == "live" and little["products"]["LTC-USD"]["bids"], little["products"]
    for index in files(f"{directory}/data", ".wbidx"):
        os.remove(index)
    all_of_it, said = part(directory, "LTC-USD", *window, "all")
    assert without(little) == without(all_of_it) and not said, "the same without indexes"
    # The same where the part begins with the first chunk of its segment. A node that lags behind writes few chunks, and each part reads a whole one.
    assert (1 if SLOW == 1 else 1.5) * all_of_it["part"]["read_bytes"] >= little["part"]["read_bytes"], (all_of_it["part"], little["part"])
    assert little["part"]["read_bytes"] < share * little["part"]["of_bytes"], little["part"]


def a_hundredth_of_a_log_is_replayed_without_reading_the_rest(directory):
    # Of a node that lags behind, on a busy machine, each of the few chunks needed may have 2 MiB, and those since the last snapshot some; else it is some 4 %.
    reads_little(directory, 0.3 if SLOW == 1 else 0.4, "--rotate-bytes", "4M", messages=60000 * SLOW)


def a_hundredth_of_a_compressed_log_is_replayed_without_reading_the_rest(directory):
    # A segment's header costs its first 64 KiB, and a stretch the whole of its block: much, of a log of two segments.
    reads_little(directory, 0.6, "--rotate-bytes", "16M", "--compress", "zstd", messages=60000 * SLOW)


def the_bytes_that_a_part_says_it_read_are_those_that_the_system_counted(directory):
    recorded(directory, "--rotate-bytes", "16M", "--compress", "zstd", messages=60000 * SLOW, rate=20000, after=1280)
    at = times(directory)
    begin, end = window_of(at, len(at) // 2, 50)
    child = subprocess.Popen([WIREBOOK, "replay", "--product", "LTC-USD", "--console", "off", "--report", f"{directory}/part.json", "--from", begin, "--to",
                              end, f"{directory}/data"], env={**os.environ, "GCOV_PREFIX": directory})  # a build that counts lines reads what it counted before
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with open(f"/proc/{child.pid}/io") as file:
        counted = int(re.search(r"rchar: (\d+)", file.read())[1])
    assert child.wait() == 0
    said = load(f"{directory}/part.json")["part"]
    assert 0 <= counted - said["read_bytes"] < 300000, f"{counted} counted (with those of starting the program), {said}"
    assert said["read_bytes"] < said["of_bytes"] / 2, said


def an_index_that_is_wrong_is_left_aside_with_a_word_and_nothing_changes(directory):
    recorded(directory, "--rotate-bytes", "256k", "--index", "on", messages=12000 * SLOW, rate=3000)  # four seconds: many segments, also if it stands still for two of them
    Program("inspect", "--index", f"{directory}/data").ends(0)  # of segments that a busy archiver did not come to
    at = times(directory)
    window = window_of(at, len(at) // 3, len(at) // 6)
    right, said = part(directory, THREE, *window, "right")
    assert not said, said
    indexes = files(f"{directory}/data", ".wbidx")
    with open(indexes[0], "r+b") as file:
        file.seek(40)
        file.write(b"wrong")
    os.truncate(indexes[1], os.path.getsize(indexes[1]) - 1)
    with open(indexes[2], "rb") as one, open(indexes[3], "wb") as other:
        other.write(one.read())
    os.utime(indexes[2], (1, 1))
    os.remove(indexes[4])
    spoiled, said = part(directory, THREE, *window, "spoiled")
    assert without(right) == without(spoiled)
    assert said.count("is left aside") == 4 and "of another segment" in said and "older than the segment" in said, said
    Program("inspect", "--index", f"{directory}/data").ends(0)
    mended, said = part(directory, THREE, *window, "mended")
    assert without(right) == without(mended) and not said and mended["part"]["read_bytes"] <= right["part"]["read_bytes"], (said, right["part"], mended["part"])


def damage_of_a_compressed_segment_with_an_index_costs_one_block_of_it(directory):
    recorded(directory, "--rotate-bytes", "64M", "--compress", "zstd", messages=60000 * SLOW)  # of three blocks one, and chunks beside it, are more than half
    sound = len(times(directory))
    segment = max(files(f"{directory}/data", ".zst"), key=os.path.getsize)  # an hour may have ended meanwhile
    changed = os.stat(segment)
    with open(segment, "r+b") as file:
        file.seek(changed.st_size // 2)
        file.write(b"damage")
    os.utime(segment, ns=(changed.st_atime_ns, changed.st_mtime_ns))
    told = Program("inspect", "--verify", f"{directory}/data").ends(1).out["stdout"]
    assert re.search(r"DAMAGE  [12]\b", told) and re.search(r"GAPS  [1-9]", told), told  # a chunk that reaches into the block is told by itself
    left = len(times(directory, code=1))
    lost = sum(map(int, re.findall(r"(\d+) bytes left out", told)))
    assert 0 < lost < 3 * (4 << 20) and sound // 2 < left < sound, f"{left} of {sound}: {told}"
    os.remove(segment.removesuffix(".wbseg.zst") + ".wbidx")
    assert len(times(directory, code=1)) < left, "without its index what lies behind the damage is not read"


def a_window_of_everything_shows_what_a_whole_replay_shows(directory):
    recorded(directory, "--rotate-bytes", "512k", "--index", "on", messages=3000)
    Program("replay", "--product", THREE, "--depth", 1000, "--console", "off", "--report", f"{directory}/whole.json", f"{directory}/data").ends(0)
    part(directory, THREE, "2000-01-01", "2100-01-01", "window")
    same(f"{directory}/whole.json", f"{directory}/window.json", "--state", "--rejected")


def a_recording_can_be_replayed_in_part(directory):
    with open(f"{directory}/text", "w") as file:
        file.write('100.5 {"type":"snapshot","product_id":"BTC-USD","bids":[["10","1"]],"asks":[["20","1"]]}\n')
        for i in range(1, 10):
            file.write(f'{100 + i} {{"type":"l2update","product_id":"BTC-USD","changes":[["buy","{10 + i}","1"]]}}\n')
    Program("replay", "--console", "off", "--report", f"{directory}/part.json", "--from", "1970-01-01T00:01:43", "--to", "106", f"{directory}/text").ends(0)
    book = load(f"{directory}/part.json")["products"]["BTC-USD"]
    assert (book["best_bid"], book["updates"], book["snapshots"], book["bid_levels"]) == ("15", 3, 0, 6), book


def times_that_are_none_are_told(directory):
    open(f"{directory}/text", "w").close()
    for words, says in ((("--from", "yesterday"), "'yesterday' is no time"), (("--to", "-1y"), "is no time"), (("--from", "200", "--to", "100"), "later than --to")):
        program = Program("replay", *words, f"{directory}/text")
        program.ends(2)
        assert says in program.out["stderr"], program.out["stderr"]
    Program("replay", "--console", "off", "--from", "-1h", "--to", "-0s", f"{directory}/text").ends(0)


def a_node_without_an_archiver_makes_indexes_if_asked(directory):
    recorded(directory, "--rotate-bytes", "512k", "--index", "on", messages=2000)
    segments = files(f"{directory}/data", ".wbseg")
    indexes, archived = files(f"{directory}/data", ".wbidx"), load(f"{directory}/report.json")["archive"]
    assert segments and [name[:-6] for name in segments] == [name[:-6] for name in indexes], (segments, indexes, archived)
    assert archived["indexed"] == len(segments), (archived, segments)


def the_report_says_how_much_is_synced(directory):
    recorded(directory, "--sync", "interval", "--sync-ms", "50", messages=2000)
    report = load(f"{directory}/report.json")
    assert report["synced_frames"] == report["stored_frames"] > 0, "at the end everything is"
    program = Program("run", "--sync-ms", "0", "--check-config")
    program.ends(2)
    assert "--sync-ms 0" in program.out["stderr"], program.out["stderr"]


if __name__ == "__main__":
    main(globals())
