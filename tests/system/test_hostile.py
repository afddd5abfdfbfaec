#!/usr/bin/env python3
"""The node against peers and disks that mean it no good. `test_hostile.py [NAME...]`."""

import json
import os
import resource
import signal
import socket
import struct
import subprocess
import threading

from harness import SLOW, Program, load, main, node, wait_until
from peer import Peer, frame

SNAPSHOT = '{"type":"snapshot","product_id":"BTC-USD","asks":[["101","2"]],"bids":[["100","1"]],"time":"2026-08-02T05:43:52.535977Z"}'
UPDATE = '{"type":"l2update","product_id":"BTC-USD","changes":[["buy","100.5","7"]],"time":"2026-08-02T05:43:52.535977Z"}'


def report(program, directory):
    """The node's report of about now."""
    program.signal(signal.SIGUSR1)
    program.pump(0.05)
    if program.child.poll() is not None:
        program.fail("ended by itself")
    return load(f"{directory}/report.json") if os.path.exists(f"{directory}/report.json") else {"products": {}, "rejected": {}, "lines": [{}], "reconnects": 0}


def product(program, directory):
    return report(program, directory)["products"].get("BTC-USD", {"state": "", "updates": 0})


def inspected(folder):
    """What inspect makes of the log, which must be whole."""
    shown = subprocess.run([os.environ["WIREBOOK_BINARY"], "inspect", "--verify", "--json", f"{folder}/data"], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stdout[-2000:] + shown.stderr
    return json.loads(shown.stdout)


def frames(directory, kind):
    shown = subprocess.run([os.environ["WIREBOOK_BINARY"], "inspect", "--frames", "--kind", kind, f"{directory}/data"], capture_output=True, check=True)
    return shown.stdout.splitlines()


def control_frames_alone_do_not_use_up_the_journal(directory):
    count = 12 * (1 << 20) // 127

    def serve(client, number):
        client.upgrade()
        client.subscribed()
        client.text(SNAPSHOT)
        pongs = frame(b"x" * 125, opcode=10) * 100
        for _ in range(count // 100):
            client.send(pongs)
        client.text(UPDATE)
        client.wait_close()

    peer = Peer(serve)
    program = node(peer.url, directory, "--max-message", "1M", "--journal", "4M")
    program.wait_for("connected to")
    wait_until(lambda: product(program, directory)["updates"] == 1, "the update behind 12 MB of pongs")
    program.signal()
    program.ends(0)
    assert len(frames(directory, "pong")) == count // 100 * 100
    assert not peer.errors, peer.errors


def a_flood_of_pings_costs_no_record_and_hides_no_disconnect(directory):
    count = 400000
    gone = threading.Event()

    def serve(client, number):
        if number:
            return
        client.upgrade()
        client.subscribed()
        client.text(SNAPSHOT)
        try:
            client.send(frame(b"", opcode=9) * count)
        finally:
            peer.listener.close()
            gone.set()

    peer = Peer(serve)
    program = node(peer.url, directory)
    program.wait_for("connected to")
    assert gone.wait(60 * SLOW)
    wait_until(lambda: report(program, directory)["reconnects"] >= 1 and product(program, directory)["state"] == "stale", "the book is stale")
    program.signal()
    program.ends(0)
    assert "is lost" not in program.out["stderr"], program.out["stderr"][-2000:]
    assert len(frames(directory, "disconnect")) == 1
    inspected(directory)


def a_pong_owed_to_a_connection_that_is_gone_is_not_sent_on_the_next(directory):
    first = []

    def serve(client, number):
        client.upgrade()
        if number == 0:
            client.subscribed()
            client.text(SNAPSHOT)
            for _ in range(100):  # 13 MB of pings, and none of the pongs read: more than the kernel keeps
                client.send(frame(b"x" * 125, opcode=9) * 1024)
            client.hang_up()
        else:
            first.append(client.read()[0])
            client.text(SNAPSHOT)
            client.wait_close()

    peer = Peer(serve)
    peer.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    program = node(peer.url, directory)
    wait_until(lambda: program.pump(0.05) or first, "a second connection")
    program.signal()
    program.ends(0)
    assert first == [1] and not peer.errors, (first, peer.errors)


def a_peer_that_upgrades_and_then_says_nothing_is_given_up_although_resyncs_are_asked_for(directory):
    def serve(client, number):
        client.upgrade()
        while client.read()[0] not in (None, 8):
            pass

    program = node(Peer(serve).url, directory, "--silence", 11)
    program.wait_for("resynchronising")
    program.wait_for("nothing received for 11 s", limit=30 + 10 * SLOW)
    program.signal()
    program.ends(0)


def a_disk_that_refuses_for_longer_than_the_silence_costs_no_record_and_no_connection(directory):
    text = '{"type":"filler","pad":"' + "x" * 4000 + '"}'
    sent = []
    more = threading.Event()

    def serve(client, number):
        client.upgrade()
        client.subscribed()
        client.text(SNAPSHOT)
        while not more.is_set():
            client.text(text)
            sent.append(1)
        client.text(UPDATE)
        client.wait_close()

    peer = Peer(serve)
    program = node(peer.url, directory, "--max-message", "1M", "--journal", "4M", "--spill", 0, "--silence", 5,
                   prepare=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    program.wait_for("connected to")
    began = report(program, directory)["lines"][0].get("stalls", 0)
    resource.prlimit(program.child.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    wait_until(lambda: report(program, directory)["lines"][0].get("stalls", 0) > began, "the journal is full")
    stalled = report(program, directory)["elapsed_s"]
    wait_until(lambda: report(program, directory)["elapsed_s"] > stalled + 6, "six seconds of a full journal")
    resource.prlimit(program.child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    more.set()
    wait_until(lambda: product(program, directory)["updates"] == 1, "everything that was held back is through")
    program.signal()
    program.ends(0)
    final = load(f"{directory}/report.json")
    assert final["reconnects"] == 0 and final["messages"] == len(sent) + 2, (final["reconnects"], final["messages"], len(sent))
    inspected(directory)
    assert len(frames(directory, "text")) == len(sent) + 2
    assert frames(directory, "stall")


def a_full_disk_and_a_peer_that_refuses_do_not_overrun_the_descriptors(directory):
    many = 262000

    def serve(client, number):
        if number:
            client.head()
            client.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            return
        client.upgrade()
        client.subscribed()
        limited.wait(60)
        client.send(frame(b'{"type":"filler"}') * many + frame(b"{bad") * 100)
        client.wait_close()

    limited = threading.Event()
    peer = Peer(serve)
    program = node(peer.url, directory, "--spill", 0, prepare=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    program.wait_for("connected to")
    resource.prlimit(program.child.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    limited.set()
    program.wait_for("disconnected")
    wait_until(lambda: "elapsed_s" in report(program, directory), "a first report")
    began = report(program, directory)["elapsed_s"]
    wait_until(lambda: report(program, directory)["elapsed_s"] > began + 4, "time for some attempts")
    resource.prlimit(program.child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_until(lambda: report(program, directory)["stored_frames"] > many, "everything is stored")
    program.signal()
    program.ends(0)
    assert "is lost" not in program.out["stderr"], program.out["stderr"][-2000:]
    found = inspected(directory)
    assert len(frames(directory, "text")) > many, found


def a_peers_words_cannot_forge_a_line_of_the_log(directory):
    def serve(client, number):
        client.upgrade()
        client.subscribed()
        client.text('{"type":"error","message":"\u202e\u2028 x"}')
        client.send(frame(struct.pack(">H", 1001) + b"\n2026-01-01T00:00:00.000000Z error forged \x1b[2J", opcode=8))

    program = node(Peer(serve).url, directory, "--once")
    assert program.wait() in (0, 1)
    for line in program.out["stderr"].splitlines():
        assert line[:2] == "20" and "error forged" not in line[:40] and "\x1b" not in line, line
    assert "forged" in program.out["stderr"], program.out["stderr"]


def a_journal_too_small_for_the_largest_message_is_refused_at_start(directory):
    program = node("ws://127.0.0.1:1/", directory, "--max-message", "1M", "--journal", "2M").ends(2)
    assert "--journal must be" in program.out["stderr"], program.out["stderr"]


if __name__ == "__main__":
    main(globals())
