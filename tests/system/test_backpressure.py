#!/usr/bin/env python3
"""What a slow disk costs: docs/backpressure.md. `test_backpressure.py [NAME...]`."""

import json
import os
import resource
import signal
import subprocess
import threading

from harness import Program, load, logged, main, node, reported, wait_until
from peer import Peer
from test_hostile import SNAPSHOT, UPDATE, frames, inspected, product, report

PAD = '{"type":"filler","pad":"' + "x" * 4000 + '"}'
SMALL = ("--max-message", "1M", "--journal", "4M")


def stored(program, directory):
    return report(program, directory).get("store", {"dropped_frames": 0, "gaps": 0})


def replayed(folder):
    """Exit code, what was said, and the report of a replay of the log."""
    done = subprocess.run([os.environ["WIREBOOK_BINARY"], "replay", "--console", "off", "--report", f"{folder}/again.json", f"{folder}/data"],
                          capture_output=True, text=True)
    return done.returncode, done.stderr, load(f"{folder}/again.json")


def refuse_until_full(program, directory, dropped):
    """Files of the node are not to grow until so many records more were dropped; a few may have been before, on a busy machine."""
    refuse(program, 4096)
    before = reported(program, f"{directory}/report.json")["store"]["dropped_frames"]
    wait_until(lambda: stored(program, directory)["dropped_frames"] > before + dropped, "the spill is full, and records are dropped")


def refuse(program, bytes_each):
    """Files of the node may have so many bytes; RLIM_INFINITY: any number."""
    resource.prlimit(program.child.pid, resource.RLIMIT_FSIZE, (bytes_each, resource.RLIM_INFINITY))


def a_disk_that_takes_nothing_for_longer_than_the_spill_lasts_costs_records_that_a_gap_names_and_nothing_else(directory):
    full, again = threading.Event(), threading.Event()
    sent = []

    def serve(client, number):
        client.upgrade()
        client.subscribed()
        client.text(SNAPSHOT)
        while not full.is_set():
            client.text(PAD)
            sent.append(1)
        client.text(UPDATE)
        again.wait(60)
        for _ in range(100):
            client.text(PAD)
            sent.append(1)
        client.text(UPDATE)
        client.wait_close()

    peer = Peer(serve)
    program = node(peer.url, directory, *SMALL, "--spill", "4M", "--silence", 60, prepare=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    program.wait_for("connected to")
    wait_until(lambda: product(program, directory)["state"] == "live", "live")
    refuse_until_full(program, directory, 1000)
    began = report(program, directory)["elapsed_s"]
    full.set()
    wait_until(lambda: product(program, directory)["updates"] == 1, "the book goes on while the disk takes nothing")
    wait_until(lambda: report(program, directory)["elapsed_s"] > began + 4, "four seconds of it")
    during = report(program, directory)
    assert during["products"]["BTC-USD"]["state"] == "live", during["products"]
    refuse(program, resource.RLIM_INFINITY)
    before = during["stored_frames"]
    wait_until(lambda: report(program, directory)["stored_frames"] > before + 500, "the disk takes what was kept")
    again.set()
    wait_until(lambda: product(program, directory)["updates"] == 2, "the last update")
    program.signal()
    program.ends(0)

    final = load(f"{directory}/report.json")
    assert final["messages"] == len(sent) + 3 and final["reconnects"] == 0, final["messages"]
    assert final["latency_ns"]["wire_to_book"]["max"] < 4e9, final["latency_ns"]
    store, found = final["store"], inspected(directory)
    totals = found["totals"]
    assert store["gaps"] == totals["gap_records"] == len(found["dropped"]) >= 1 and totals["numbers_missing"] == totals["gaps"] == 0, totals
    assert totals["numbers_dropped"] + totals["gap_records"] == store["dropped_frames"] == sum(gap["frames"] for gap in found["dropped"]), totals
    assert store["dropped_bytes"] == sum(gap["bytes"] for gap in found["dropped"]) and store["spill_bytes_max"] <= 5 << 20, store
    of_line = sum(json.loads(gap)["lines"][0][0] for gap in logged(directory, "gap"))
    assert len(frames(directory, "text")) + of_line == final["messages"], (len(frames(directory, "text")), of_line)
    assert frames(directory, "text")[-1].endswith(UPDATE.encode()), "the log does not go on behind the gap"

    code, said, again = replayed(directory)
    assert code == 1 and "were not stored, storage was behind" in said, (code, said)
    assert (again["products"]["BTC-USD"]["state"], again["products"]["BTC-USD"]["reason"]) == ("stale", "records missing"), again["products"]


def a_disk_that_takes_nothing_until_the_end_leaves_a_log_that_says_so(directory):
    full = threading.Event()

    def serve(client, number):
        client.upgrade()
        client.subscribed()
        client.text(SNAPSHOT)
        while not full.is_set():
            client.text(PAD)
        client.wait_close()

    peer = Peer(serve)
    program = node(peer.url, directory, *SMALL, "--spill", "4M", prepare=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    program.wait_for("connected to")
    refuse_until_full(program, directory, 100)
    full.set()
    program.signal()
    refuse(program, resource.RLIM_INFINITY)
    program.ends(0)
    store, found = load(f"{directory}/report.json")["store"], inspected(directory)
    assert store["gaps"] == found["totals"]["gap_records"] and found["totals"]["numbers_missing"] == 0, (store, found["totals"])
    assert found["totals"]["numbers_dropped"] + store["gaps"] == store["dropped_frames"], (store, found["totals"])


def an_open_that_hangs_holds_up_neither_the_line_nor_the_books(directory):
    pipe = f"{directory}/pipe"
    os.mkfifo(pipe)
    count = (12 << 20) // len(PAD)  # three journals, less than the spill

    def serve(client, number):
        client.upgrade()
        client.subscribed()
        client.text(SNAPSHOT)
        for _ in range(count):
            client.text(PAD)
        client.text(UPDATE)
        client.wait_close()

    peer = Peer(serve)
    program = node(peer.url, directory, *SMALL, "--spill", "32M",
                   env={"LD_PRELOAD": os.environ["WIREBOOK_HANG_OPEN_MODULE"], "WIREBOOK_HANG_OPEN": pipe})
    program.wait_for("connected to")
    wait_until(lambda: product(program, directory)["updates"] == 1, "everything is through while the first segment is being opened")
    during = report(program, directory)
    assert during["stored_frames"] == 0, during["stored_frames"]
    assert during["store"]["spill_bytes_max"] > 8 << 20, during["store"]
    with open(pipe, "wb"):
        pass
    program.signal()
    program.ends(0)
    final = load(f"{directory}/report.json")
    assert final["store"]["dropped_frames"] == 0 and final["messages"] == count + 2, final["store"]
    inspected(directory)
    assert len(frames(directory, "text")) == count + 2


def a_spill_smaller_than_the_journals_is_refused_at_start_and_0_is_none(directory):
    program = node("ws://127.0.0.1:1/", directory, *SMALL, "--spill", "2M").ends(2)
    assert "--spill must be 0 or 4194304 bytes at least" in program.out["stderr"], program.out["stderr"]
    shown = Program("run", "--check-config", "--spill", "0").ends(0)
    assert "spill" in shown.out["stdout"], shown.out["stdout"]


if __name__ == "__main__":
    main(globals())
