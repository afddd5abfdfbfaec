#!/usr/bin/env python3
"""The node against the mock and against peers made for the purpose, end to end. `test_node.py [NAME...]`."""

import ctypes
import gzip
import json
import os
import pty
import random
import re
import signal
import struct
import subprocess
import sys
import threading
import time

from harness import HERE, LIMIT, SLOW, Program, certificates, load, main, mock, node, same, wait_until
from peer import Peer, frame

THREE = "BTC-USD,ETH-USD,LTC-USD"


BOOK = [f"--field={name}" for name in "best_bid best_bid_size best_ask best_ask_size bid_levels ask_levels bids asks".split()]


def books_equal(directory, mock_words, node_words, products=THREE):
    """The mock sends its messages and closes; the node's books, and those of a replay of its log, are the mock's own."""
    exchange = mock("--product", products, "--messages", int(20000 / SLOW), "--rate", "max", "--levels", 500, "--once", "--depth", 1000, "--report",
                    f"{directory}/mock.json", "--store", f"{directory}/sent", *mock_words)
    node(exchange.url, directory, "--product", products, "--depth", 1000, "--once", *node_words).ends(0)
    exchange.ends(0)
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)
    report = load(f"{directory}/report.json")
    assert report["rejected"] == {} and report["resyncs"] == 0 and report["reconnects"] == 0, report
    for product in report["products"].values():
        assert product["updates"] == int(20000 / SLOW) and product["crossed"] == 0 and product["unknown_removals"] == 0, product
    assert report["stored_frames"] >= report["messages"]
    wire = report["latency_ns"]["wire_to_book"]
    assert wire["count"] == len(report["products"]) * (int(20000 / SLOW) + 1) and 0 < wire["p50"] <= wire["p99"] <= wire["max"], wire
    replayed(directory, products)
    everything_stored(directory, products)


def replayed(directory, products):
    """Replay of the run's log gives the run's final books, counts and analytics."""
    Program("replay", "--product", products, "--depth", 1000, "--console", "off", "--report", f"{directory}/replay.json", f"{directory}/data").ends(0)
    same(f"{directory}/report.json", f"{directory}/replay.json", "--state", "--rejected")


def everything_stored(directory, products):
    """Every message that the mock sent is in the log, byte for byte, in order."""
    Program("inspect", "--verify", f"{directory}/data").ends(0)
    shown = subprocess.run([os.environ["WIREBOOK_BINARY"], "inspect", "--frames", "--kind", "text", f"{directory}/data"], capture_output=True, check=True)
    stored = {}
    for line in shown.stdout.splitlines():
        text = line[line.index(b"{"):]
        if b'"snapshot"' in text[:40] or b'"l2update"' in text[:40]:
            stored.setdefault(json.loads(text)["product_id"], []).append(text)
    for product in products.split(","):
        with open(f"{directory}/sent/{product}.jsonl", "rb") as file:
            sent = file.read().splitlines()
        assert stored.get(product) == sent, f"{product}: {len(stored.get(product, []))} stored, {len(sent)} sent"


def secured(folder):
    certificates(folder)
    return ["--tls", "--cert", f"{folder}/server.pem", "--key", f"{folder}/server.key"], ["--ca", f"{folder}/ca.pem"]


def books_stored_frames_and_replay_equal_what_the_mock_sent_over_ws(directory):
    books_equal(directory, [], [])


def books_stored_frames_and_replay_equal_what_the_mock_sent_over_wss(directory):
    books_equal(directory, *secured(directory))


def books_stored_frames_and_replay_equal_what_the_mock_sent_pipelined(directory):
    books_equal(directory, [], ["--layout", "pipelined", "--wait", "block"])


def books_equal_with_yielding_threads_over_wss_pipelined(directory):
    mock_words, node_words = secured(directory)
    books_equal(directory, mock_words, [*node_words, "--layout", "pipelined", "--wait", "yield"])


def the_case_studys_form_of_fifty_updates_a_message_works(directory):
    books_equal(directory, ["--updates-per-message", 50, "--levels", 50, "--spaced"], [], "BTC-USD")


def the_case_studys_switches_work_as_environment_variables(directory):
    exchange = Program("mock", "--quiet", "--messages", 200, "--rate", "max", "--once", "--port", 0, "--report", f"{directory}/mock.json",
                       env={"PRODUCT_ID": "BTC", "L2UPDATE_COUNT": "50"})
    exchange.wait_for("listening on ", "stdout")
    port = exchange.out["stdout"].split("listening on ")[1].split()[0].rsplit(":", 1)[1].strip("/")
    switches = {"USE_MOCKED_FEED": "true", "MOCK_SERVER": "127.0.0.1", "MOCK_PORT": port, "PRODUCT_ID": "BTC", "DATA_STORE": "false"}
    Program("run", "--once", "--console", "off", "--report", f"{directory}/report.json", env=switches, cwd=directory).ends(0)
    exchange.ends(0)
    assert not os.path.exists(f"{directory}/data")
    report = load(f"{directory}/report.json")
    assert report["products"]["BTC-USD"]["updates"] == 200 and report["products"]["BTC-USD"]["changes"] == 200 * 50, report["products"]
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)


GOLDEN = os.path.join(HERE, "..", "golden")


def the_case_studys_sample_messages_are_crossed_all_through_and_its_figures_come_out(directory):
    with open(f"{GOLDEN}/case_study/messages.jsonl") as file:
        snapshot, update = file
    with open(f"{directory}/snapshot", "w") as file:
        file.write(snapshot)
    Program("replay", f"{directory}/snapshot", "--console", "off", "--report", f"{directory}/report.json").ends(0)
    product = load(f"{directory}/report.json")["products"]["BTC-USD"]
    wanted = {"best_bid": "49832.53", "best_ask": "30589.98", "spread": "-19242.55", "max_spread": "19242.55", "mid": "40211.255", "crossed": 1,
              "state": "live", "bid_levels": 50, "ask_levels": 50}
    assert {key: product[key] for key in wanted} == wanted, product
    like_the_reference(directory, f"{GOLDEN}/case_study/messages.jsonl", "BTC-USD")


def like_the_reference(directory, path, products):
    """A replay of the recording and an independent, slow, obvious program come to the same books, counts, states and rejects."""
    Program("replay", path, "--product", products, "--depth", 1000, "--witness", "off", "--console", "off", "--report",
            f"{directory}/ours.json").ends(0)
    with open(f"{directory}/reference.json", "w") as file:
        subprocess.run([sys.executable, f"{HERE}/reference_book.py", "--product", products, "--depth", "1000", path], stdout=file, check=True)
    same(f"{directory}/ours.json", f"{directory}/reference.json", "--state", "--rejected")


def products_of(path):
    """Product ids of a recording, in the order in which they appear."""
    with open(path, "rb") as file:
        return ",".join(dict.fromkeys(id.decode() for id in re.findall(rb'"product_id"\s*:\s*"([A-Z0-9-]+)"', file.read())))


def golden_recordings_replay_to_the_books_of_an_independent_program(directory):
    """Hand-written frames; and recorded ones, where WIREBOOK_RECORDINGS names a folder of them."""
    files = [os.path.join(GOLDEN, "coinbase_exchange", name) for name in sorted(os.listdir(f"{GOLDEN}/coinbase_exchange")) if name.endswith(".jsonl")]
    more = os.environ.get("WIREBOOK_RECORDINGS")
    if more:
        files += [os.path.join(more, name) for name in sorted(os.listdir(more)) if name.endswith(".jsonl")]
    assert len(files) >= 4, files
    for path in files:
        like_the_reference(directory, path, products_of(path) or "BTC-USD")


def messages_damaged_at_random_replay_to_the_books_of_an_independent_program(directory):
    """One message in ten has a byte changed, left out or doubled: the two must agree on which of them are wrong, and why, and what that means."""
    seed = int(os.environ.get("WIREBOOK_SEED", "20261121"))
    print(f"seed {seed}")
    dice = random.Random(seed)
    exchange = mock("--product", "BTC-USD,ETH-USD", "--messages", 1500, "--rate", "max", "--levels", 20, "--once", "--store", f"{directory}/sent")
    node(exchange.url, directory, "--product", "BTC-USD,ETH-USD", "--once").ends(0)
    exchange.ends(0)
    sent = []
    for product in ["BTC-USD", "ETH-USD"]:
        with open(f"{directory}/sent/{product}.jsonl", "rb") as file:
            sent.append(file.read().splitlines())
    path = f"{directory}/damaged.jsonl"
    with open(path, "wb") as file:
        for pair in zip(*sent):
            for line in pair:
                if dice.random() < 0.1:
                    at = dice.randrange(len(line))
                    new = bytes([dice.choice(b'0123456789."[]{},:-eE+ \\xbuysel\x80\xff')])
                    line = line[:at] + dice.choice([new, b"", line[at:at + 1] + new]) + line[at + 1:]
                file.write(line.replace(b"\n", b" ") + b"\n")
                if dice.random() < 0.05:
                    file.write(dice.choice(sent)[0] + b"\n")
    like_the_reference(directory, path, "BTC-USD,ETH-USD")
    assert len(load(f"{directory}/ours.json")["rejected"]) >= 4, load(f"{directory}/ours.json")["rejected"]


def recordings_replay_plain_gzip_and_zstd_with_receive_times(directory):
    lines = ['{"type":"snapshot","product_id":"BTC-USD","asks":[["2","1"]],"bids":[["1","1"]]}',
             '{"type":"l2update","product_id":"BTC-USD","changes":[["buy","1.5","3"]],"time":"2026-08-02T05:43:52.535977Z"}']
    timed = "".join(f"{1618677817.061845 + i}\t{line}\n" for i, line in enumerate(lines)).encode()
    with open(f"{directory}/plain", "wb") as file:
        file.write(timed)
    with gzip.open(f"{directory}/gz", "wb") as file:
        file.write(timed)
    subprocess.run(["zstd", "-q", f"{directory}/plain", "-o", f"{directory}/zst"], check=True)
    for name in ["plain", "gz", "zst"]:
        Program("replay", f"{directory}/{name}", "--console", "off", "--report", f"{directory}/{name}.json").ends(0)
        assert load(f"{directory}/{name}.json")["products"]["BTC-USD"]["bids"] == [["1.5", "3"], ["1", "1"]]
    began = time.monotonic()
    Program("replay", f"{directory}/plain", "--speed", "2x", "--console", "off").ends(0)
    assert 0.45 < time.monotonic() - began < 0.45 + 10 * SLOW


# ---------------------------------------------------------------------------------------------- large messages


def snapshot_text(levels, product="BTC-USD"):
    """As large books come: best first, prices and sizes with all their digits."""
    bids = ",".join(f'["{(4000000 - i) / 100:.2f}","{i % 97 + 1}.{i % 100000000:08d}"]' for i in range(levels))
    asks = ",".join(f'["{(4000001 + i) / 100:.2f}","{i % 89 + 1}.{i % 100000000:08d}"]' for i in range(levels))
    return f'{{"type":"snapshot","product_id":"{product}","asks":[{asks}],"bids":[{bids}],"time":"2026-08-02T05:43:52.535977Z"}}'


UPDATE = '{"type":"l2update","product_id":"BTC-USD","changes":[["buy","40000.00","7"]],"time":"2026-08-02T05:43:52.535977Z"}'


def a_snapshot_of_45000_levels_in_one_5_mb_frame_is_live(directory):
    text = snapshot_text(45000)
    text = text[:-1] + " " * (5_000_000 - len(text)) + "}"

    def serve(client, number):
        client.upgrade()
        client.subscribed()
        client.text(text)
        client.text(UPDATE)

    peer = Peer(serve)
    node(peer.url, directory, "--once").ends(0)
    product = load(f"{directory}/report.json")["products"]["BTC-USD"]
    assert (product["bid_levels"], product["ask_levels"], product["best_bid_size"]) == (45000, 45000, "7"), product
    assert len(text) == 5_000_000 and not peer.errors, peer.errors


def a_snapshot_of_20_mb_in_fragments_with_pings_between_is_live(directory):
    text = snapshot_text(45000)
    data = (text[:-1] + " " * (20_000_000 - len(text)) + "}").encode()
    pongs = []

    def serve(client, number):
        client.upgrade()
        client.subscribed()
        size = 333_333
        pieces = [data[i:i + size] for i in range(0, len(data), size)]
        for i, piece in enumerate(pieces):
            client.send(frame(piece, opcode=0 if i else 1, fin=i + 1 == len(pieces)))
            if i % 2:
                client.send(frame(b"%d" % i, opcode=9))
        for i in range(1, len(pieces), 2):
            pongs.append(client.read() == (10, b"%d" % i))
        client.text(UPDATE)

    peer = Peer(serve)
    node(peer.url, directory, "--once").ends(0)
    product = load(f"{directory}/report.json")["products"]["BTC-USD"]
    assert (product["bid_levels"], product["ask_levels"], product["best_bid_size"]) == (45000, 45000, "7"), product
    assert len(pongs) == 30 and all(pongs) and not peer.errors, (pongs, peer.errors)
    replayed(directory, "BTC-USD")


def a_message_of_exactly_the_limit_works_and_one_byte_more_is_refused_with_1009_and_the_node_lives_on(directory):
    limit = 1 << 20
    text = snapshot_text(1000)
    exact = text[:-1] + " " * (limit - len(text)) + "}"
    codes = []
    done = threading.Event()

    def serve(client, number):
        client.upgrade()
        client.subscribed()
        client.text(exact)
        if number == 0:
            client.text(exact[:-1] + " }")
            codes.append(client.wait_close())
        else:
            client.text(UPDATE)
            done.set()
            client.wait_close()

    peer = Peer(serve)
    program = node(peer.url, directory, "--max-message", limit)
    program.wait_for("closed with 1009")
    program.wait_for("connected to", times=2)
    assert done.wait(LIMIT)
    program.signal()
    program.ends(0)
    report = load(f"{directory}/report.json")
    assert codes == [1009] and report["reconnects"] == 1, (codes, report["reconnects"])
    assert report["rejected"] == {"too_large": 1}, report["rejected"]
    assert report["products"]["BTC-USD"]["snapshots"] == 2 and report["products"]["BTC-USD"]["state"] == "live", report["products"]
    assert not peer.errors, peer.errors
    replayed(directory, "BTC-USD")


# ---------------------------------------------------------------------------------------------- trouble


def scenario(directory, name, *words, products="BTC-USD,ETH-USD", recovered=True, node_words=()):
    """A fault in the middle of the stream; the node ends up with the mock's books all the same."""
    exchange = mock("--product", products, "--rate", 200, "--levels", 200, "--scenario", name, "--scenario-after", 50, "--depth", 1000, "--report",
                    f"{directory}/mock.json", *words)
    program = node(exchange.url, directory, "--product", products, "--depth", 1000, *node_words)
    return exchange, program


def settle(directory, exchange, program, condition, what):
    """Runs until the node's own report (asked for by SIGUSR1) shows the condition, then ends both and returns the report."""
    path = f"{directory}/report.json"
    program.wait_for("layout")

    def reported():
        program.signal(signal.SIGUSR1)
        program.pump(0.02)
        if program.child.poll() is not None:
            program.fail("ended by itself")
        if not os.path.exists(path):
            return False
        return condition(load(path))

    try:
        wait_until(reported, what)
    except AssertionError as error:
        program.fail(f"{error}\n{json.dumps({k: v for k, v in load(path).items() if k != 'products'})}")
    program.signal()
    program.ends(0)
    exchange.signal()
    exchange.wait()
    return load(path)


def all_live(report):
    return all(product["state"] == "live" for product in report["products"].values())


def resynchronised(directory, name, reason):
    exchange, program = scenario(directory, name)
    report = settle(directory, exchange, program,
                    lambda r: r["rejected"].get(reason, 0) >= 1 and all_live(r) and sum(p["snapshots"] for p in r["products"].values()) >= 3,
                    f"{name}: rejected as {reason}, then live again")
    assert report["resyncs"] >= 1 and report["reconnects"] == 0, report
    replayed(directory, "BTC-USD,ETH-USD")


def reconnected(directory, name, reason=None, said=None, node_words=()):
    exchange, program = scenario(directory, name, node_words=node_words)
    report = settle(directory, exchange, program,
                    lambda r: r["reconnects"] >= 1 and all_live(r) and all(p["snapshots"] >= 2 for p in r["products"].values()),
                    f"{name}: reconnected, then live again")
    if reason:
        assert report["rejected"].get(reason), report["rejected"]
    if said:
        assert said in program.out["stderr"], program.out["stderr"]
    replayed(directory, "BTC-USD,ETH-USD")


def a_malformed_number_is_rejected_and_the_product_resynchronised(directory):
    resynchronised(directory, "badnumber", "bad_number")


def an_unknown_side_is_rejected_and_the_product_resynchronised(directory):
    resynchronised(directory, "unknownside", "unknown_side")


def malformed_json_is_rejected_and_the_books_recover(directory):
    exchange, program = scenario(directory, "badjson")
    settle(directory, exchange, program, lambda r: r["rejected"].get("bad_json", 0) >= 1 and all_live(r), "rejected as bad_json, then live again")
    replayed(directory, "BTC-USD,ETH-USD")


def invalid_utf8_is_rejected_and_the_books_recover(directory):
    exchange, program = scenario(directory, "badutf8")
    settle(directory, exchange, program, lambda r: r["rejected"].get("bad_utf8", 0) >= 1 and all_live(r), "rejected as bad_utf8, then live again")
    replayed(directory, "BTC-USD,ETH-USD")


def a_reset_in_the_middle_of_a_message_is_followed_by_a_new_connection(directory):
    reconnected(directory, "reset")


def a_closing_exchange_is_followed_by_a_new_connection(directory):
    reconnected(directory, "close", said="1001")


def a_masked_frame_is_a_protocol_violation_closed_with_1002(directory):
    reconnected(directory, "masked", reason="protocol", said="1002")


def a_mute_connection_is_noticed_and_replaced(directory):
    reconnected(directory, "mute", said="nothing received for", node_words=["--silence", "1"])


def a_refused_upgrade_is_tried_again_after_the_time_the_server_asks_for(directory):
    exchange, program = scenario(directory, "refuse429")
    settle(directory, exchange, program, lambda r: r["reconnects"] >= 1 and all_live(r), "live after 429")
    assert "429" in program.out["stderr"]


def fragments_unknown_types_renamed_acks_and_second_snapshots_are_no_trouble(directory):
    for name in ["fragments", "unknowntype", "renamedack", "dupsnapshot"]:
        place = f"{directory}/{name}"
        os.mkdir(place)
        exchange = mock("--product", "BTC-USD", "--rate", "max", "--messages", 500, "--once", "--scenario", name, "--depth", 1000, "--report",
                        f"{place}/mock.json")
        node(exchange.url, place, "--once", "--depth", 1000).ends(0)
        exchange.ends(0)
        same(f"{place}/report.json", f"{place}/mock.json", *BOOK)
        assert load(f"{place}/report.json")["rejected"] == {}
        replayed(place, "BTC-USD")


def a_product_the_exchange_does_not_know_does_not_spoil_the_others(directory):
    exchange, program = scenario(directory, "errorproduct")
    report = settle(directory, exchange, program,
                    lambda r: r["products"]["BTC-USD"]["state"] == "live" and r["products"]["BTC-USD"]["updates"] > 20, "the good product is live")
    assert report["products"]["ETH-USD"]["state"] == "waiting", report["products"]["ETH-USD"]
    assert "exchange says" in program.out["stderr"], program.out["stderr"]


def a_peer_that_is_not_there_is_tried_again_until_it_is(directory):
    program = node("ws://127.0.0.1:1/", directory)
    program.wait_for("Connection refused", times=2)
    program.signal()
    program.ends(0)
    assert load(f"{directory}/report.json")["reconnects"] >= 2


# ---------------------------------------------------------------------------------------------- TLS


def certificates_are_checked_and_a_refusal_says_why(directory):
    certificates(directory)
    certificates(directory, host="DNS:elsewhere.test", name="other")
    good = ["--ca", f"{directory}/ca.pem"]
    with open(f"{directory}/stranger.pem", "w") as file:
        file.write(open(f"{directory}/ca.pem").read())
    for name, words, said in [("server", [], ["CA", "issuer", "self-signed", "unknown", "trust"]), ("other", good, ["host", "name", "address"])]:
        exchange = mock("--tls", "--cert", f"{directory}/{name}.pem", "--key", f"{directory}/{name}.key")
        program = node(exchange.url, directory, *words).ends(1)
        assert any(word in program.out["stderr"] for word in said), program.out["stderr"]
        exchange.signal()
        exchange.wait()
    exchange = mock("--tls", "--cert", f"{directory}/server.pem", "--key", f"{directory}/server.key")
    node(exchange.url, directory, "--insecure", "--messages", 10).ends(0)
    exchange.signal()
    exchange.wait()


def insecure_is_refused_for_whatever_is_not_loopback_before_anything_is_sent(directory):
    for host in ("192.0.2.1", "[2001:db8::1]"):  # of documentation, where nobody is
        program = node(f"wss://{host}:9/", directory, "--insecure").ends(1)
        assert "--insecure is for loopback only" in program.out["stderr"], program.out["stderr"]


# ---------------------------------------------------------------------------------------------- memory


def stages_allocate_nothing_once_books_are_live(directory):
    """Counts malloc and its kin on the stages' threads, by a preloaded library, over some thousand messages in ws and wss, fused, pipelined and compressed."""
    counter = os.environ.get("WIREBOOK_COUNT_MALLOC")
    assert counter, "WIREBOOK_COUNT_MALLOC names no library"
    mock_tls, node_tls = secured(directory)
    deflated = ["--deflate", "takeover"]
    for name, mock_words, node_words in [("ws", [], []), ("wss", mock_tls, node_tls), ("pipelined", mock_tls, [*node_tls, "--layout", "pipelined"]),
                                         ("deflated", deflated, deflated)]:
        place = f"{directory}/{name}"
        os.mkdir(place)
        exchange = mock("--product", THREE, "--rate", 3000, *mock_words)
        program = node(exchange.url, place, "--product", THREE, *node_words,
                       env={"LD_PRELOAD": counter, "COUNT_MALLOC_FILE": f"{place}/count"})
        program.wait_for("layout")  # the counter is armed while TLS is set up, which does allocate: so it works

        def counted():
            program.pump(0.02)
            return os.path.exists(f"{place}/count") and open(f"{place}/count").read().endswith("\n")

        def messages():
            program.signal(signal.SIGUSR1)
            program.pump(0.05)
            return load(f"{place}/report.json") if os.path.exists(f"{place}/report.json") else {"messages": 0, "products": {}}

        wait_until(lambda: messages()["messages"] > 2000 and all_live(messages()), "live")
        program.signal(signal.SIGUSR2)
        wait_until(counted, "counted")
        assert name in ("ws", "deflated") or int(open(f"{place}/count").read()) > 0
        first = int(open(f"{place}/count").read())
        os.unlink(f"{place}/count")
        before = messages()["messages"]
        program.signal(signal.SIGUSR2)
        wait_until(lambda: messages()["messages"] > before + 10000, "10000 messages more")
        program.signal(signal.SIGUSR2)
        wait_until(counted, "counted")
        program.signal()
        program.ends(0)
        exchange.signal()
        exchange.ends(0)
        assert int(open(f"{place}/count").read()) == first, f"{name}: {int(open(f'{place}/count').read()) - first} allocations"


# ---------------------------------------------------------------------------------------------- command line


def the_first_signal_drains_and_ends_well_and_usage_errors_end_with_2(directory):
    exchange = mock("--rate", 1000)
    program = node(exchange.url, directory)
    program.wait_for("connected to")
    program.signal(signal.SIGTERM)
    program.ends(0)
    assert load(f"{directory}/report.json")["products"]["BTC-USD"]["state"] in ("live", "waiting")
    exchange.signal()
    exchange.ends(0)
    for words in [["run", "--prodct", "X"], ["run", "--product", "BTC/USD"], ["run", "--depth", "0"], ["run", "--layout", "sideways"],
                  ["run", "--url", "http://127.0.0.1/"], ["replay"], ["replay", "--speed", "fast", "x"], ["mock", "--rte", "3"], ["fly"], [],
                  ["run", "--mock", "--url", "ws://127.0.0.1:1"], ["inspect", "--nonsense"]]:
        program = Program(*words).ends(2)
        assert program.out["stderr"], words
    for command in ["run", "mock", "replay", "inspect"]:
        assert "--help" in Program(command, "--help").ends(0).out["stdout"]
    Program("replay", f"{directory}/missing").ends(1)
    shown = Program("run", "--check-config", "--product", "ETH", env={"WIREBOOK_DATA": "/x"}).ends(0).out["stdout"]
    assert "environment WIREBOOK_DATA" in shown and "# flag" in shown and "# default" in shown, shown


def a_second_signal_ends_at_once_with_its_number(directory):
    def serve(client, number):
        client.upgrade()
        client.subscribed()
        client.text(UPDATE)
        while client.read()[0] is not None:  # the Close is not answered
            pass

    for number, code in [(signal.SIGINT, 130), (signal.SIGTERM, 143)]:
        program = node(Peer(serve).url, directory)
        program.wait_for("connected to")
        program.signal(number)
        program.signal(number)
        # Both may be pending before the first is read, and are one then: the node ends well within its second of patience.
        assert program.wait() in (code, 0)
    program = node(Peer(serve).url, directory, "--grace", 60)
    program.wait_for("connected to")
    program.signal(signal.SIGINT)
    program.signal(signal.SIGTERM)
    program.ends(143)


def a_peer_that_refuses_for_good_ends_the_node_with_1_and_says_what_it_said(directory):
    def serve(client, number):
        client.head()
        client.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    program = node(Peer(serve).url, directory).ends(1)
    assert "404" in program.out["stderr"], program.out["stderr"]


def a_terminal_shows_a_live_table_and_a_pipe_plain_lines(directory):
    exchange = mock("--product", THREE, "--rate", 200)
    ours, theirs = pty.openpty()
    child = subprocess.Popen([os.environ["WIREBOOK_BINARY"], "run", "--url", exchange.url, "--product", THREE, "--no-store", "--seconds", str(LIMIT),
                              "--log", f"{directory}/log"], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown, wanted, told = b"", (b"best bid", b"\x1b[32mlive", b"\x1b[J", b"ETH-USD"), False
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the terminal's other end was closed: the program has ended
            break
        shown += data
        if not told and all(text in shown for text in wanted):
            child.send_signal(signal.SIGINT)
            told = True
    assert child.wait() == 0
    assert told, shown[-2000:]
    assert "connected to" in open(f"{directory}/log").read()
    program = Program("run", "--url", exchange.url, "--product", THREE, "--no-store", "--messages", 100).ends(0)
    assert "\x1b" not in program.out["stdout"] and "best bid" in program.out["stdout"] and "live" in program.out["stdout"], program.out
    exchange.signal()
    exchange.ends(0)


def without_io_uring():
    """To be called in a child: from now on io_uring_setup (425 on every architecture) fails with EPERM."""
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]  # load number; equal?; EPERM; allow
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    kept = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(kept)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0, os.strerror(ctypes.get_errno())


def doctor_tells_what_the_machine_offers_and_ends_well(directory):
    states = {"ok", "could be better", "missing", "unknown"}
    report = json.loads(Program("doctor", "--json", "--data", f"{directory}/data").ends(0).out["stdout"])
    found = {one["key"]: one for one in report["findings"]}
    assert report["can_run"] is True and len(found) == len(report["findings"]) == sum(report["counts"].values()), report
    assert set(report["counts"]) == states
    assert {key: one["state"] for key, one in found.items() if bool(one["fix"]) != (one["state"] in ("could be better", "missing"))} == {}
    for one in found.values():
        assert set(one) == {"key", "label", "state", "value", "why", "fix"} and one["state"] in states and one["value"] and one["why"], one
    assert found["kernel.version"]["value"] == os.uname().release and found["kernel.io_uring"]["state"] != "missing", found
    assert str(len(os.sched_getaffinity(0))) == found["cpu.usable"]["value"].split()[0], found["cpu.usable"]
    assert found["data.directory"]["value"].endswith(directory) and os.listdir(directory) == [], found["data.directory"]

    shown = Program("doctor", "--no-data", "--all").ends(2).out
    assert "--no-data" in shown["stderr"] and shown["stdout"] == "", shown
    assert Program("doctor", "cpu").ends(2).out["stdout"] == ""
    shown = Program("doctor", "--data", directory).ends(0).out
    assert "\x1b" not in shown["stdout"] and "the node can run here" in shown["stdout"] and shown["stderr"] == "", shown
    assert [one["label"] for one in found.values() if f"  {one['label']}  " not in shown["stdout"]] == [], shown["stdout"]

    barred = subprocess.run([os.environ["WIREBOOK_BINARY"], "doctor", "--json"], preexec_fn=without_io_uring, capture_output=True, text=True)
    report = json.loads(barred.stdout)
    states = {one["key"]: one["state"] for one in report["findings"]}
    assert barred.returncode == 1 and report["can_run"] is False, barred
    assert states["kernel.io_uring"] == "missing" and states["kernel.seccomp"] == "missing", states


def damage_in_a_log_is_named_and_ends_inspect_and_replay_with_1(directory):
    exchange = mock("--rate", "max", "--messages", 5000, "--once")
    node(exchange.url, directory, "--once").ends(0)
    exchange.ends(0)
    path = max((os.path.join(root, file) for root, _, files in os.walk(f"{directory}/data") for file in files), key=os.path.getsize)
    with open(path, "r+b") as file:
        data = file.read()
        at = data.index(b"l2update", len(data) // 2)  # not of the bytes between chunks, which nothing depends on
        file.seek(at)
        file.write(bytes([data[at] ^ 1]))
    shown = Program("inspect", "--verify", f"{directory}/data").ends(1).out
    assert "damage" in (shown["stdout"] + shown["stderr"]).lower(), shown
    Program("replay", f"{directory}/data", "--console", "off").ends(1)


if __name__ == "__main__":
    main(globals())
