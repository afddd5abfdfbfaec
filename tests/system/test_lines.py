#!/usr/bin/env python3
"""Redundant lines, end to end: one exchange, two connections, some of them through a relay that delays and cuts. `test_lines.py [NAME...]`."""

import datetime
import os
import select
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

from harness import LIMIT, Program, certificates, load, main, mock, node, reported, same, wait_until

BOOK = [f"--field={name}" for name in "best_bid best_bid_size best_ask best_ask_size bid_levels ask_levels bids asks".split()]
PRODUCTS = "BTC-USD,ETH-USD"


class Relay:
    """Passes bytes between a node and the mock; what comes from the mock waits delay seconds. cut() resets the connection there is. With a
    context it is the server's end of TLS."""

    def __init__(self, url, delay=0, context=None):
        host, port = url.split("://")[1].strip("/").rsplit(":", 1)
        self.target, self.delay, self.context = (host, int(port)), delay, context
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'wss' if context else 'ws'}://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.wanted, self.wake = socket.socketpair()  # a byte: cut; the end: stop
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.listener in select.select([self.listener, self.wanted], [], [])[0] or self.wanted.recv(1):
            if not select.select([self.listener], [], [], 0)[0]:
                continue
            client, _ = self.listener.accept()
            try:
                if self.context:
                    client = self.context.wrap_socket(client, server_side=True)
                with client, socket.create_connection(self.target) as server:
                    if not self.relay(client, server):
                        return
            except OSError:
                pass  # one of the two is gone, and so will the other be

    def relay(self, client, server):
        """Returns False when the relay is to end."""
        waiting, open_end = [], True
        while open_end or waiting:
            due = waiting[0][0] - time.monotonic() if waiting else None
            if due is not None and due <= 0:
                client.sendall(waiting.pop(0)[1])
                continue
            pending = self.context and client.pending()
            ready = [client] if pending else select.select([client, self.wanted] + [server] * open_end, [], [], due)[0]
            if self.wanted in ready:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return bool(self.wanted.recv(1))
            if client in ready:
                data = client.recv(65536)
                if not data:
                    return True
                server.sendall(data)
            if server in ready:
                data = server.recv(65536)
                open_end = bool(data)
                waiting.append((time.monotonic() + self.delay, data))
                if not data:
                    waiting.pop()
        return True

    def cut(self):
        self.wake.send(b"x")

    def close(self):
        self.wake.close()
        self.thread.join(LIMIT)


class Watched:
    """A node whose report is asked for again and again."""

    def __init__(self, directory, urls, *words):
        more = [word for url in urls[1:] for word in ("--url", url)]
        self.directory = directory
        self.program = node(urls[0], directory, *more, *words)
        self.path = f"{directory}/report.json"
        self.program.wait_for("layout")

    def report(self):
        return reported(self.program, self.path)

    def until(self, condition, what, live=True):
        """Asks until the condition holds of the report; meanwhile every product is to be live."""
        def holds():
            self.last = self.report()
            states = {id: (product["state"], product["reason"]) for id, product in self.last["products"].items()}
            assert not live or all(state == "live" for state, _ in states.values()), (states, self.last["lines"], self.program.out["stderr"][-3000:])
            return condition(self.last)
        wait_until(holds, what)
        return self.last

    def both_at_work(self):
        """Both lines are up, and each brings messages that the other brings too."""
        seen = self.report()["lines"]
        return self.until(lambda report: all(line["state"] == "live" and line["duplicates"] + line["wins"] > before["duplicates"] + before["wins"] + 200
                                             for line, before in zip(report["lines"], seen)), "two lines at work")

    def end(self, exchange):
        """The exchange ends first, so that the books are what it sent last."""
        exchange.signal(signal.SIGINT)
        exchange.ends(0)
        for line in "AB":
            self.program.wait_for(f"line {line} disconnected: peer closed")
        self.program.signal(signal.SIGINT)
        self.program.ends(0)
        return load(self.path)


def replayed(directory, products, *words):
    """The log of both lines, arbitrated again: the same books, counts and, line for line, the same decisions."""
    Program("replay", "--product", products, "--depth", 1000, "--console", "off", "--report", f"{directory}/replay.json", *words,
            f"{directory}/data").ends(0)
    same(f"{directory}/report.json", f"{directory}/replay.json", "--state", "--rejected")
    keys = ["duplicates", "wins", "late", "lag_ns"]
    live, again = ([{key: line[key] for key in keys} for line in load(f"{directory}/{name}.json")["lines"]] for name in ("report", "replay"))
    assert live == again, (live, again)


def exchange_of(directory, *words):
    return mock("--product", PRODUCTS, "--levels", 300, "--depth", 1000, "--report", f"{directory}/mock.json", *words)


def check_counts(report, sent, snapshots=1):
    """Not one update missed or doubled, and the book never began anew."""
    for id, product in report["products"].items():
        assert product["updates"] == sent["products"][id]["updates"] and product["snapshots"] == snapshots, (id, product["updates"], product["snapshots"],
                                                                                                             sent["products"][id]["updates"])
    a, b = report["lines"]
    assert a["duplicates"] == b["wins"] and b["duplicates"] == a["wins"], report["lines"]
    assert report["resyncs"] == 0 and report["rejected"] == {}, report


def one_book_of_two(directory, *words):
    exchange = exchange_of(directory, "--rate", 1000, "--messages", 4000, "--once", "--clients", 2)  # four seconds: one line may be late for two of them
    node(exchange.url, directory, "--lines", 2, "--product", PRODUCTS, "--once", *words).ends(0)
    exchange.ends(0)
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)
    report = load(f"{directory}/report.json")
    check_counts(report, load(f"{directory}/mock.json"))
    both = min(line["messages"] for line in report["lines"])  # what came while both were there; a busy machine lets one join late
    assert report["reconnects"] == 0 and sum(line["lag_ns"].get("count", 0) for line in report["lines"]) > both - 100 > 1000, report["lines"]
    replayed(directory, PRODUCTS)
    replayed(directory, PRODUCTS, "--layout", "pipelined")


def two_lines_make_one_book_without_a_missed_or_doubled_update(directory):
    one_book_of_two(directory)


def two_lines_make_one_book_pipelined(directory):
    one_book_of_two(directory, "--layout", "pipelined", "--wait", "block")


def a_line_that_is_cut_again_and_again_leaves_the_book_as_it_is(directory):
    exchange = exchange_of(directory, "--rate", 400)
    relay = Relay(exchange.url, delay=0.005)
    watched = Watched(directory, [exchange.url, relay.url], "--product", PRODUCTS)
    watched.program.wait_for("connected to", times=2)
    watched.until(lambda report: all(product["state"] == "live" for product in report["products"].values()), "live books", live=False)
    for cuts in range(1, 5):
        watched.both_at_work()
        relay.cut()
        watched.until(lambda report: report["lines"][1]["reconnects"] == cuts, "the cut")
    watched.both_at_work()
    report = watched.end(exchange)
    relay.close()
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)
    check_counts(report, load(f"{directory}/mock.json"))
    replayed(directory, PRODUCTS)


def lines_that_are_cut_in_turn_never_leave_the_book_stale(directory):
    exchange = exchange_of(directory, "--rate", 400)
    relays = [Relay(exchange.url), Relay(exchange.url, delay=0.003)]
    watched = Watched(directory, [relay.url for relay in relays], "--product", PRODUCTS)
    watched.program.wait_for("connected to", times=2)
    watched.until(lambda report: all(product["state"] == "live" for product in report["products"].values()), "live books", live=False)
    for cuts in range(1, 4):
        for line in (0, 1):
            watched.both_at_work()
            relays[line].cut()
            watched.until(lambda report: report["lines"][line]["reconnects"] == cuts, "the cut")
    watched.both_at_work()
    report = watched.end(exchange)
    for relay in relays:
        relay.close()
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)
    assert report["resyncs"] == 0 and report["rejected"] == {}, report
    replayed(directory, PRODUCTS)


def the_slower_line_says_by_how_much_and_takes_over_without_a_gap(directory):
    exchange = exchange_of(directory, "--rate", 400)
    relays = [Relay(exchange.url), Relay(exchange.url, delay=0.1)]
    watched = Watched(directory, [relay.url for relay in relays], "--product", PRODUCTS)
    watched.program.wait_for("connected to", times=2)
    watched.until(lambda report: all(product["state"] == "live" for product in report["products"].values()), "live books", live=False)
    # What came while the node stood still it reads at once, of either line first: that is to be the exception.
    watched.both_at_work()
    report = watched.until(lambda report: report["lines"][1]["lag_ns"]["p50"] >= 90_000_000 and report["lines"][0]["wins"] > 2 * report["lines"][0]["duplicates"],
                           "the slower line is behind")
    relays[0].close()  # for good
    updates = report["products"]["BTC-USD"]["updates"]
    watched.until(lambda report: report["products"]["BTC-USD"]["updates"] > updates + 400, "updates of the slower line alone")
    exchange.signal(signal.SIGINT)
    exchange.ends(0)
    watched.program.wait_for("line B disconnected: peer closed")
    watched.program.signal(signal.SIGINT)
    watched.program.ends(0)
    relays[1].close()
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)
    check_counts(load(f"{directory}/report.json"), load(f"{directory}/mock.json"))
    replayed(directory, PRODUCTS)


def one_line_in_the_clear_and_one_over_tls_make_one_book(directory):
    certificates(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{directory}/server.pem", f"{directory}/server.key")
    exchange = exchange_of(directory, "--rate", 400)
    relay = Relay(exchange.url, context=context)
    # The slower one joins second: what it begins with is never ahead of the book, which would then begin anew from it.
    watched = Watched(directory, [exchange.url, relay.url], "--product", PRODUCTS, "--ca", f"{directory}/ca.pem")
    watched.program.wait_for("connected to", times=2)
    watched.until(lambda report: all(product["state"] == "live" for product in report["products"].values()), "live books", live=False)
    watched.both_at_work()
    report = watched.end(exchange)
    relay.close()
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)
    check_counts(report, load(f"{directory}/mock.json"))


def a_line_that_nobody_answers_does_not_keep_the_other_from_its_work(directory):
    exchange = exchange_of(directory, "--rate", 400)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"ws://127.0.0.1:{closed.getsockname()[1]}/"
    watched = Watched(directory, [nobody, exchange.url], "--product", PRODUCTS)
    watched.until(lambda report: all(product["updates"] > 200 for product in report["products"].values()), "updates", live=False)
    report = watched.until(lambda report: report["lines"][0]["reconnects"] > 0, "an attempt in vain")
    assert report["lines"][1]["duplicates"] == 0 and report["lines"][1]["late"] == 0, report["lines"]
    watched.program.signal(signal.SIGINT)
    watched.program.ends(0)
    exchange.signal(signal.SIGINT)
    exchange.ends(0)


def two_runs_in_one_log_replay_to_the_book_of_the_second(directory):
    exchange = exchange_of(directory, "--rate", 400)
    for _ in range(2):
        watched = Watched(directory, [exchange.url], "--lines", 2, "--product", PRODUCTS)
        watched.program.wait_for("connected to", times=2)
        watched.until(lambda report: all(product["updates"] > 100 for product in report["products"].values()), "updates", live=False)
        watched.both_at_work()
        watched.program.signal(signal.SIGINT)
        watched.program.ends(0)
    exchange.signal(signal.SIGINT)
    exchange.ends(0)
    Program("replay", "--product", PRODUCTS, "--depth", 1000, "--console", "off", "--report", f"{directory}/replay.json", f"{directory}/data").ends(0)
    same(f"{directory}/report.json", f"{directory}/replay.json", "--state", *BOOK)
    again = load(f"{directory}/replay.json")
    assert all(product["state"] == "live" and product["snapshots"] == 2 for product in again["products"].values()), again["products"]


def lines_connect_one_after_the_other(directory):
    exchange = exchange_of(directory, "--rate", 100)
    watched = Watched(directory, [exchange.url], "--lines", 4, "--product", PRODUCTS)
    watched.program.wait_for("connected to", times=4)
    watched.until(lambda report: all(line["state"] == "live" for line in report["lines"]), "four lines", live=False)
    watched.program.signal(signal.SIGINT)
    watched.program.ends(0)
    exchange.signal(signal.SIGINT)
    exchange.ends(0)
    shown = subprocess.run([os.environ["WIREBOOK_BINARY"], "inspect", "--json", f"{directory}/data"], capture_output=True, check=True, text=True).stdout
    times = [line.split('"utc": "')[1].split('"')[0] for line in shown.split("{") if '"kind": "connect"' in line]
    began, *up = (datetime.datetime.fromisoformat(text[:26]) for text in [load(f"{directory}/report.json")["started_utc"], *sorted(times)])
    # What is noted is the answer, which may be late; none comes before its turn.
    assert len(up) == 4 and all((at - began).total_seconds() > 0.125 * n - 0.005 for n, at in enumerate(up)), (began, times)


def contradicting_words_about_lines_are_refused(directory):
    for words, hint in [(["--lines", 0], "must be 1 to 16"), (["--lines", 17], "must be 1 to 16"), (["--lines", 2, "--url", "ws://127.0.0.1:1/", "--url", "ws://127.0.0.1:2/"], "several are a line each"),
                        (["--url", ",".join(f"ws://127.0.0.1:{port}/" for port in range(1, 18))], "more than 16 lines")]:
        program = Program("run", *words, cwd=directory).ends(2)
        assert hint in program.out["stderr"], program.out["stderr"]
    program = Program("run", "--check-config", env={"WIREBOOK_URL": "ws://127.0.0.1:1/,ws://127.0.0.1:2/"}, cwd=directory).ends(0)
    assert "ws://127.0.0.1:1/" in program.out["stdout"] and "ws://127.0.0.1:2/" in program.out["stdout"], program.out["stdout"]


if __name__ == "__main__":
    main(globals())
