#!/usr/bin/env python3
"""Shared memory: a node's books in other processes. `test_shm.py [NAME...]`."""

import os
import signal
import subprocess
import sys

from harness import HERE, SLOW, Program, load, main, mock, node, wait_until

sys.path.append(os.path.join(HERE, "..", "..", "tools", "python"))
from wirebook_shm import Shm

EXAMPLES = os.environ["WIREBOOK_EXAMPLES"]
SOURCES = os.path.join(HERE, "..", "..", "tools", "examples")


def name_of(place):
    return os.path.basename(place)


def shared(directory, *words, products="BTC,ETH", rate=200, levels=100, shm=()):
    """A node that shares its books, and the mock it reads."""
    exchange = mock("--product", products, "--levels", levels, "--rate", rate, *words)
    program = node(exchange.url, directory, "--product", products, "--no-store", "--shm", name_of(directory), *shm)
    program.wait_for("connected to")
    return program, exchange


def live(shm):
    os.sched_yield()
    return all(shm.view(product)["state"] == "live" for product in shm.products())


def opened(place):
    shm = Shm(name_of(place))
    wait_until(lambda: live(shm), "all books live")
    return shm


def another_process_keeps_the_book_by_the_ring_of_changes(directory):
    program, _ = shared(directory, rate=2000 / SLOW, shm=("--shm-depth-ms", 1))
    opened(directory)
    followers = [subprocess.Popen([f"{EXAMPLES}/example_other_process", name_of(directory), product, str(int(3000 / SLOW))], stdout=subprocess.PIPE, text=True)
                 for product in ("BTC-USD", "ETH-USD")]
    for follower in followers:
        said = follower.communicate(timeout=60 * SLOW)[0]
        assert follower.returncode == 0 and "the node's book" in said, said
    program.signal()
    program.ends(0)


def python_reads_what_the_report_says(directory):
    program, _ = shared(directory, "--messages", 300, rate=100)
    with opened(directory) as shm:
        wait_until(lambda: os.sched_yield() or all(shm.view(product)["updates"] == 300 for product in shm.products()), "all updates")
        assert shm.alive()
        program.signal()
        program.ends(0)
        assert not shm.alive(), "it ended, and says so"
        report = load(f"{directory}/report.json")["products"]
        for product in ("BTC-USD", "ETH-USD"):
            view, said = shm.view(product), report[product]
            for field in ("best_bid", "best_bid_size", "best_ask", "best_ask_size", "mid", "spread", "max_spread"):
                assert view[field] == type(view[field])(said[field]), (field, view[field], said[field])
            for field in ("updates", "changes", "snapshots", "bid_levels", "ask_levels"):
                assert view[field] == said[field], (field, view[field], said[field])
            bids, asks = shm.depth(product)
            for side, levels in ((bids, said["bids"]), (asks, said["asks"])):
                assert len(levels) > 50 and [[level[0] - type(level[0])(other[0]), level[1] - type(level[1])(other[1])] for level, other in zip(side, levels)] == \
                    [[0, 0]] * len(levels) and len(side) == len(levels), (product, len(side), len(levels))
    assert not os.path.exists(f"/dev/shm/{name_of(directory)}"), "its file is gone"


def ten_lines_of_python_print_the_touch(directory):
    program, _ = shared(directory)
    opened(directory)
    lines = [line for line in open(f"{SOURCES}/books.py") if line.strip() and not line.startswith(("#", '"""'))]
    assert len(lines) <= 10, len(lines)
    said = subprocess.run([f"{SOURCES}/books.py", name_of(directory)], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split()[:2] for line in said] == [["BTC-USD", "live"], ["ETH-USD", "live"]], said
    program.signal()
    program.ends(0)


def a_reader_that_is_lapped_knows_how_many_changes_it_lost(directory):
    count = 60000
    exchange = mock("--product", "BTC,ETH", "--levels", 100, "--rate", "max", "--messages", count, "--once")
    exchange.signal(signal.SIGSTOP)  # until the reader is there
    program = node(exchange.url, directory, "--product", "BTC,ETH", "--no-store", "--shm", name_of(directory), "--once")
    wait_until(lambda: os.sched_yield() or os.path.exists(f"/dev/shm/{name_of(directory)}"), "the file is there")
    with Shm(name_of(directory)) as shm:
        first = shm.next
        exchange.signal(signal.SIGCONT)
        program.ends(0)
        took = list(shm.changes())
        written = shm.word(192) - first
        assert written > shm.head["ring_records"] and shm.lost > 0 and shm.lost + len(took) == written, (written, shm.lost, len(took))
        assert len(took) == shm.head["ring_records"] // 2
        numbers = [change["number"] for change in took if change["kind"] == "change"]
        assert numbers == sorted(numbers), "in the order of the frames"
        assert sum(shm.view(product)["updates"] for product in shm.products()) == 2 * count


def a_writer_that_was_killed_is_noticed_and_its_name_taken_over(directory):
    program, exchange = shared(directory)
    with opened(directory) as shm:
        second = node(exchange.url, f"{directory}/second", "--no-store", "--shm", name_of(directory))
        assert second.wait() == 1 and f"is written by another node (process {program.child.pid})" in second.out["stderr"], second.out
        program.signal(signal.SIGKILL)
        program.wait()
        wait_until(lambda: os.sched_yield() or not shm.alive(), "its death was noticed")
        assert shm.view("BTC-USD")["best_bid"] is not None, "what was written stays readable"
        top = Program("top", name_of(directory), "--once")
        assert top.wait() == 1 and "not heard of" in top.out["stdout"], top.out
        os.mkdir(f"{directory}/third")
        third = node(exchange.url, f"{directory}/third", "--product", "BTC,ETH", "--no-store", "--shm", name_of(directory))
        third.wait_for("connected to")
        with opened(directory) as newer:
            assert newer.alive() and newer.head["generation"] != shm.head["generation"] and not shm.alive()
        third.signal()
        third.ends(0)


def top_shows_the_books_of_a_running_node(directory):
    program, _ = shared(directory)
    opened(directory)
    top = Program("top", name_of(directory), "--once", "--depth", 3).ends(0)
    lines = top.out["stdout"].splitlines()
    assert lines[0] == f"process {program.child.pid}, running" and lines[1].startswith("product"), lines
    assert [line.split()[0] for line in lines[2:] if "-USD" in line] == ["BTC-USD", "ETH-USD"] and len(lines) == 2 + 2 * 4, lines
    only = Program("top", name_of(directory), "--once", "--product", "ETH-USD").ends(0)
    assert len(only.out["stdout"].splitlines()) == 3, only.out
    program.signal()
    program.ends(0)


def what_is_no_shared_memory_is_refused_with_a_word(directory):
    name = f"{name_of(directory)}-other"
    for content, what in ((b"", "no shared memory of this version"), (b"x" * 8192, "no shared memory of this version"), (None, "run --shm NAME")):
        if content is not None:
            with open(f"/dev/shm/{name}", "wb") as file:
                file.write(content)
        try:
            top = Program("top", name, "--once")
            assert top.wait() == 1 and what in top.out["stderr"], top.out
        finally:
            if content is not None:
                os.remove(f"/dev/shm/{name}")
    for words in ([], ["a", "b"], ["a/b"], ["--interval", "0", "a"]):
        top = Program("top", *words)
        assert top.wait() == 2, (words, top.out)
    for bad in ("a/b", "", ".hidden", "x" * 64, "blank here"):
        refused = Program("run", "--url", "ws://127.0.0.1:1/", "--no-store", "--console", "off", f"--shm={bad}")
        if bad:
            assert refused.wait() == 2 and "1 to 63 letters" in refused.out["stderr"], (bad, refused.out)
        else:
            refused.child.kill()


if __name__ == "__main__":
    main(globals())
