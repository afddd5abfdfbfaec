#!/usr/bin/env python3
"""Least privilege: a node confined by Landlock and seccomp, without root, in bounded memory. `test_confine.py [NAME...]`."""

import ctypes
import os
import re
import resource
import shutil
import signal
import struct
import tempfile
import threading

import harness
from harness import SLOW, load, main, mock, node, same, wait_until
from peer import Listener, Peer, frame
from test_hostile import SNAPSHOT, UPDATE, frames, inspected, report
from test_node import BOOK, THREE, all_live, everything_stored, replayed, secured, settle

NOBODY = 65534
# The leak check of a sanitizer traces its own process, which no confined one may do.
SANITIZED = {"ASAN_OPTIONS": "detect_leaks=0"}
ON = ["--confine", "on"]


def confined(url, directory, *words, **options):
    return node(url, directory, *ON, *words, env=SANITIZED, **options)


def threads_of(program):
    """What the kernel says of each thread of a program: {name: {field: value}}."""
    found = {}
    for task in os.listdir(f"/proc/{program.child.pid}/task"):
        with open(f"/proc/{program.child.pid}/task/{task}/status") as file:
            fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        found[f"{fields['Name']}-{task}"] = fields
    return found


def field(program, name):
    with open(f"/proc/{program.child.pid}/status") as file:
        return next(line.split(":", 1)[1] for line in file if line.startswith(f"{name}:"))


def handed(place):
    return said_in(f"{place}/handed").splitlines()


def said_in(path):
    if not os.path.exists(path):
        return ""
    with open(path) as file:
        return file.read()


# ---------------------------------------------------------------------------------------------- it works


def a_confined_node_resolves_reconnects_rotates_compresses_hands_over_reports_and_replays_the_same(directory):
    """All in one run: wss by name, a reset in the middle of a message, segments of a second, compressed, a command for each, SIGUSR1."""
    listening, trusted = secured(directory)
    with tempfile.TemporaryDirectory(prefix="wirebook-") as elsewhere:
        exchange = mock("--product", "BTC-USD,ETH-USD", "--rate", 200, "--levels", 200, "--scenario", "reset", "--scenario-after", 50, "--depth", 1000,
                        "--report", f"{directory}/mock.json", *listening)
        program = confined(exchange.url.replace("127.0.0.1", "localhost"), directory, "--product", "BTC-USD,ETH-USD", *trusted, "--rotate-seconds", 1,
                           "--compress", "zstd", "--on-seal", f"sh -c 'echo \"$2\" >> \"$1\"/handed' sh {elsewhere}", "--confine-allow",
                           f"write:{elsewhere}", "--log", f"{directory}/node.log")
        program.wait_for = lambda text, **_: wait_until(lambda: program.pump(0.02) or text in said_in(f"{directory}/node.log"), text)
        final = settle(directory, exchange, program,
                       lambda r: r["reconnects"] >= 1 and all_live(r) and all(p["snapshots"] >= 2 for p in r["products"].values()) and
                       r["archive"]["hooks"] >= 3, "reconnected, live again, segments handed over")
        assert final["archive"]["hook_failures"] == final["archive"]["failures"] == 0, final["archive"]
        files = handed(elsewhere)
        assert len(files) == len(set(files)) >= 3 and all(file.endswith(".wbseg.zst") and os.path.exists(file) for file in files), files
        assert final["confine"]["mode"] == "on" and final["confine"]["landlock_abi"] >= 1 and final["confine"]["lacking"] == "", final["confine"]
        assert final["confine"]["system_calls"] == "denied", "it runs commands"
        said = said_in(f"{directory}/node.log")
        assert re.search(r"confinement on: Landlock ABI \d+, writes to \S*/data ", said) and os.path.realpath(elsewhere) in said, said
    replayed(directory, "BTC-USD,ETH-USD")


def books_and_log_of_a_confined_pipelined_node_equal_what_the_mock_sent(directory):
    listening, trusted = secured(directory)
    count = int(20000 / SLOW)
    exchange = mock("--product", THREE, "--messages", count, "--rate", "max", "--levels", 500, "--once", "--depth", 1000, "--report",
                    f"{directory}/mock.json", "--store", f"{directory}/sent", *listening)
    confined(exchange.url, directory, "--product", THREE, "--once", "--layout", "pipelined", "--rotate-bytes", "256k", "--compress", "zstd", "--retain-age",
             "1h", *trusted).ends(0)
    exchange.ends(0)
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)
    told = load(f"{directory}/report.json")
    assert told["rejected"] == {} and told["reconnects"] == 0 and told["archive"]["compressed"] >= 2, told
    assert told["confine"]["system_calls"] == "listed", told["confine"]
    replayed(directory, THREE)
    everything_stored(directory, THREE)


def every_thread_is_confined(directory):
    exchange = mock("--product", "BTC-USD", "--rate", 200)
    program = confined(exchange.url.replace("127.0.0.1", "localhost"), directory, "--layout", "pipelined", "--compress", "zstd")
    program.wait_for("confinement on")
    program.wait_for("connected to")
    wait_until(lambda: program.pump(0.02) or sum(name.startswith("wb-") for name in threads_of(program)) >= 7, "all threads have begun")
    threads = threads_of(program)
    ours = {name: fields for name, fields in threads.items() if not name.startswith("iou-")}
    begun = {name: fields for name, fields in ours.items() if not name.startswith("wirebook-")}  # not the first thread, nor a sanitizer's own
    named = sorted(name.rsplit("-", 1)[0] for name in begun)
    assert named == ["wb-archiver", "wb-book", "wb-flush", "wb-ingest", "wb-parse", "wb-resolve", "wb-spill"], named
    deaf = [name for name, fields in begun.items() if int(fields["SigBlk"], 16) >> (signal.SIGSYS - 1) & 1]
    assert not deaf, f"would not tell of a refused call: {deaf}"
    loose = [name for name, fields in ours.items() if fields["NoNewPrivs"] != "1" or fields["Seccomp"] != "2"]
    assert not loose, loose
    program.signal()
    program.ends(0)
    exchange.signal()


def off_is_the_default_and_confines_nothing(directory):
    exchange = mock("--product", "BTC-USD", "--rate", 200)
    program = node(exchange.url, directory)
    program.wait_for("confinement off")
    fields = threads_of(program)
    assert all(one["NoNewPrivs"] == threads_of(Myself())[Myself.name()]["NoNewPrivs"] for one in fields.values()), fields
    program.signal()
    program.ends(0)
    exchange.signal()
    assert load(f"{directory}/report.json")["confine"] == {"mode": "off", "landlock_abi": 0, "tcp_ports": None, "system_calls": "all", "lacking": ""}


class Myself:
    """This process, as threads_of wants it."""

    class child:
        pid = os.getpid()

    @staticmethod
    def name():
        return next(iter(threads_of(Myself())))


def mode_try_runs_and_says_what_is_in_force(directory):
    exchange = mock("--product", "BTC-USD", "--rate", 200)
    program = node(exchange.url, directory, env={"WIREBOOK_CONFINE": "try", **SANITIZED})
    program.wait_for("confinement try")
    program.wait_for("connected to")
    program.signal()
    program.ends(0)
    exchange.signal()
    told = load(f"{directory}/report.json")["confine"]
    assert told["mode"] == "try" and told["system_calls"] in ("logged", "all"), told
    assert int(exchange.url.rsplit(":", 1)[1].rstrip("/")) in (told["tcp_ports"] or [int(exchange.url.rsplit(":", 1)[1].rstrip("/"))]), told


def without_landlock():
    """To be called in a child: from now on landlock_create_ruleset (444 on every architecture) fails with ENOSYS."""
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x00050026), (0x06, 0, 0, 0x7FFF0000)]  # load number; equal?; ENOSYS; allow
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    kept = ctypes.create_string_buffer(code, len(code))
    filters = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(kept)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filters, 0, 0) == 0, os.strerror(ctypes.get_errno())


def where_landlock_is_missing_mode_on_does_not_start_and_mode_try_says_so(directory):
    exchange = mock("--product", "BTC-USD", "--rate", 200)
    refused = confined(exchange.url, directory, prepare=without_landlock).ends(1)
    assert "the kernel has no Landlock" in refused.out["stderr"] and not os.path.exists(f"{directory}/data"), refused.out["stderr"]
    program = node(exchange.url, directory, "--confine", "try", env=SANITIZED, prepare=without_landlock)
    program.wait_for("no Landlock; system calls")
    program.signal()
    program.ends(0)
    exchange.signal()
    assert re.search(r"warning confinement try: .*lacking Landlock: Function not implemented", program.out["stderr"]), program.out["stderr"]
    told = load(f"{directory}/report.json")["confine"]
    assert told["landlock_abi"] == 0 and told["tcp_ports"] is None and told["lacking"], told


# ---------------------------------------------------------------------------------------------- it holds


def held(directory, command, *words, goes_well=False, says="Permission denied"):
    """A confined node that hands its first segment to a command: whether the command went well is told by its report."""
    exchange = mock("--product", "BTC-USD", "--rate", 500)
    program = confined(exchange.url, directory, "--rotate-bytes", "64k", "--on-seal", command, *words)
    program.wait_for("confinement on")
    wait_until(lambda: report(program, directory).get("archive", {}).get("hooks" if goes_well else "hook_failures", 0) >= 1, command)
    program.signal()
    program.ends(0)
    exchange.signal()
    exchange.wait()
    archive = load(f"{directory}/report.json")["archive"]
    if goes_well:
        assert archive["hook_failures"] == 0, program.out["stderr"][-2000:]
    else:
        assert archive["hooks"] == 0 and says in program.out["stderr"], program.out["stderr"][-2000:]
    shutil.rmtree(f"{directory}/data")


def a_command_writes_only_where_it_is_allowed_to(directory):
    with tempfile.TemporaryDirectory(prefix="wirebook-") as elsewhere:
        command = f"sh -c 'echo \"$2\" >> \"$1\"/handed' sh {elsewhere}"
        held(directory, command)
        assert os.listdir(elsewhere) == []
        held(directory, command, "--confine-allow", f"read:{elsewhere}")
        assert os.listdir(elsewhere) == []
        held(directory, command, "--confine-allow", f"write:{elsewhere}", goes_well=True)
        assert handed(elsewhere)


def a_command_reads_only_where_it_is_allowed_to(directory):
    with tempfile.TemporaryDirectory(prefix="wirebook-") as elsewhere:
        with open(f"{elsewhere}/secret", "w") as file:
            file.write("secret\n")
        command = f"sh -c 'read word < \"$1\"/secret' sh {elsewhere}"
        held(directory, command)
        held(directory, command, "--confine-allow", f"read:{elsewhere}", goes_well=True)


def a_command_runs_no_other_program(directory):
    held(directory, "sh -c 'ls \"$1\"' sh")
    held(directory, "sh -c 'ls \"$1\"' sh", "--confine-allow", "exec:/usr/bin,exec:/bin", goes_well=True)


def a_command_reaches_only_the_ports_named(directory):
    with Listener() as other:
        command = f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{other.port}'"
        held(directory, command)
        assert not other.waiting()
        held(directory, command, "--confine-allow", f"port:{other.port}", goes_well=True)
        assert other.waiting()


def wrong_words_and_missing_places_are_told_at_start(directory):
    for words, hint in ((["--confine", "maybe"], "off|try|on"), ([*ON, "--confine-allow", "rw:/tmp"], "read:PATH"), ([*ON, "--confine-allow", "read:/nowhere"],
                        "/nowhere"), ([*ON, "--on-seal", "no-such-program"], "no-such-program")):
        program = node("ws://127.0.0.1:1/", directory, *words).ends(2)
        assert hint in program.out["stderr"], (words, program.out["stderr"])


def what_is_denied_beside_a_command_is_what_the_container_forbids_and_new_rings(directory):
    root = f"{harness.HERE}/../.."
    profile = load(f"{root}/docker/seccomp-io_uring.json")
    with open(f"{root}/io/confine_calls.c") as file:
        denied = re.search(r"denied\[\] = \{(.*?)\};", file.read(), re.S)[1]
    forbidden = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ERRNO" for name in rule["names"]}
    assert set(re.findall(r'"(\w+)"', denied)) == forbidden | {"io_uring_setup"}
    assert not {"seccomp", "prctl", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"} & forbidden, "a node confines itself there"


# ---------------------------------------------------------------------------------------------- no root


def a_confined_node_needs_no_root_and_no_right_of_its_own(directory):
    """As nobody, without groups and capabilities, with 64 KiB of locked memory: what a service manager gives at least."""
    listening, trusted = secured(directory)
    binary = shutil.copy(harness.WIREBOOK, f"{directory}/wirebook")
    os.chmod(binary, 0o755)
    rooted = os.geteuid() == 0
    if rooted:
        for path, _, names in os.walk(directory):
            for one in [path, *(f"{path}/{name}" for name in names)]:
                os.chown(one, NOBODY, NOBODY)

    def drop():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (64 << 10, 64 << 10))
        if rooted:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)

    exchange = mock("--product", "BTC-USD,ETH-USD", "--rate", 500, "--levels", 200, "--depth", 1000, "--report", f"{directory}/mock.json", *listening,
                    env=SANITIZED)
    ours = harness.WIREBOOK
    try:
        harness.WIREBOOK = binary
        program = confined(exchange.url, directory, "--product", "BTC-USD,ETH-USD", *trusted, "--rotate-bytes", "64k", "--compress", "zstd", "--on-seal",
                           "sh -c 'exit 0'", prepare=drop)
    finally:
        harness.WIREBOOK = ours
    program.wait_for("confinement on")
    for name, fields in threads_of(program).items():
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0, (name, fields)
        assert "0" not in fields["Uid"].split() and "0" not in fields["Gid"].split() and fields["NoNewPrivs"] == "1", (name, fields)
    final = settle(directory, exchange, program, lambda r: all_live(r) and r["archive"]["hooks"] >= 2, "live, and segments handed over")
    assert final["confine"]["mode"] == "on" and final["archive"]["failures"] == 0, final
    replayed(directory, "BTC-USD,ETH-USD")


# ---------------------------------------------------------------------------------------------- bounded memory

JOURNAL, SPILL = 4 << 20, 4 << 20
CONSTANT, FULL_BOOK = 64 << 20, 61 << 20  # SECURITY.md, "What bounds memory"
SHADOWS = 1 if SLOW == 1 else 8  # of a sanitizer


def forever_in_fragments(client):
    """Fragments of one message that never ends; the node refuses it at --max-message."""
    client.upgrade()
    client.subscribed()
    client.text(SNAPSHOT)
    client.send(frame(b"{", opcode=1, fin=False))
    while True:
        client.send(frame(b" " * 16, opcode=0, fin=False) * 4096)


def forever_in_empty_fragments(client):
    client.upgrade()
    client.subscribed()
    client.text(SNAPSHOT)
    client.send(frame(b"{", opcode=1, fin=False))
    while True:
        client.send(frame(b"", opcode=0, fin=False) * 65536)


def a_head_without_end(client):
    client.head()
    client.send(b"HTTP/1.1 101 Switching Protocols\r\n")
    while True:
        client.send(b"X-Header: " + b"x" * 65536 + b"\r\n")


def a_frame_of_exbytes(client):
    client.upgrade()
    client.subscribed()
    client.text(SNAPSHOT)
    client.send(b"\x81\x7f" + struct.pack(">Q", (1 << 63) - 1))
    while True:
        client.send(b"x" * 65536)


def pings_whose_answers_are_not_read(client):
    client.upgrade()
    client.subscribed()
    client.text(SNAPSHOT)
    pings = frame(b"x" * 125, opcode=9) * 1024
    for _ in range(int(400 / SLOW)):
        client.send(pings)


def names_and_messages_nobody_asked_for(client):
    client.upgrade()
    client.subscribed()
    client.text(SNAPSHOT)
    number = 0
    while number < int(200000 / SLOW):
        many = b""
        for number in range(number + 1, number + 501):
            many += frame(UPDATE.replace("BTC-USD", f"X{number}-USD").encode()) + frame(f'{{"type":"t{number}","k{number}":{number}}}'.encode())
        client.send(many)


def levels_without_end(client):
    client.upgrade()
    client.subscribed()
    client.text(SNAPSHOT)
    for sent in range(0, 400000, 1000):
        changes = ",".join(f'["buy","{n}.{n % 100:02}","1"],["sell","{1000000 + n}.{n % 100:02}","1"]' for n in range(sent + 1, sent + 1001))
        client.text(f'{{"type":"l2update","product_id":"BTC-USD","changes":[{changes}],"time":"2026-08-02T05:43:52.535977Z"}}')


ATTACKS = [forever_in_fragments, forever_in_empty_fragments, a_head_without_end, a_frame_of_exbytes, pings_whose_answers_are_not_read,
           names_and_messages_nobody_asked_for, levels_without_end]


def whatever_the_peer_sends_memory_stays_within_two_journals_two_spills_and_a_constant(directory):
    """Each attack has a connection of its own, one after the other; after the last, on the same connection, the book is live again."""
    over, ended = threading.Event(), []

    def serve(client, number):
        client.sock.settimeout(60 * SLOW)
        try:
            ATTACKS[number](client)
        finally:
            ended.append(ATTACKS[number].__name__)
        if number == len(ATTACKS) - 1:
            client.text(SNAPSHOT)
            over.set()
            client.wait_close()

    peer = Peer(serve)
    program = confined(peer.url, directory, "--max-message", "1M", "--journal", JOURNAL, "--spill", SPILL, "--sync", "none", "--crossed-ms", 0)
    program.wait_for("confinement on")
    wait_until(lambda: program.pump(0.1) or over.is_set(), f"all attacks end; done are {ended}", 120 * SLOW)

    def live_again():
        told = report(program, directory)
        return told["rejected"].get("levels_max") and told["products"]["BTC-USD"]["state"] == "live"

    wait_until(live_again, "met too many levels, and live again", 120 * SLOW)
    peak = int(field(program, "VmHWM").split()[0]) << 10
    program.signal()
    program.ends(0)
    print(f"peak {peak >> 20} MiB")
    assert ended == [attack.__name__ for attack in ATTACKS] and not peer.errors, (ended, peer.errors)
    final = load(f"{directory}/report.json")
    rejected = final["rejected"]
    assert rejected["too_large"] >= 3 and rejected["unknown_product"] >= int(200000 / SLOW) and rejected["levels_max"] >= 1, rejected
    assert "the head is larger than" in program.out["stderr"], program.out["stderr"][-4000:]
    assert len(frames(directory, "ping")) + final["store"]["dropped_frames"] >= int(400 / SLOW) * 1024
    inspected(directory)
    assert peak < (2 * JOURNAL + 2 * SPILL * 9 // 8 + CONSTANT + FULL_BOOK) * SHADOWS, f"{peak} bytes"


if __name__ == "__main__":
    main(globals())
