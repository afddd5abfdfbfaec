#!/usr/bin/env python3
"""tools/soak, for a few seconds; and that it can fail. `test_soak.py [NAME...]`."""

import os
import re
import subprocess
import sys

from harness import HERE, SLOW, main

SOAK = f"{HERE}/../../tools/soak"

# In the program's place: what it is, but with a digit of the first bid's size changed in what a replay reports.
LIAR = """#!/usr/bin/env python3
import json, os, subprocess, sys
binary, words = {binary!r}, sys.argv[1:]
if words[0] != "replay":
    os.execv(binary, [binary, *words])
status = subprocess.run([binary, *words]).returncode
path = words[words.index("--report") + 1]
with open(path) as file:
    report = json.load(file)
bids = report["products"]["BTC-USD"]["bids"]
if bids:
    bids[0][1] += "1"
with open(path, "w") as file:
    json.dump(report, file)
sys.exit(status)
"""

# In the program's place: what it is, but the node that lives to the end takes 10 MiB of memory a second.
GROWER = """#!/usr/bin/env python3
import ctypes, os, signal, subprocess, sys
binary, words = {binary!r}, sys.argv[1:]
if words[0] != "run" or not words[words.index("--data") + 1].endswith("/steady"):
    os.execv(binary, [binary, *words])
dies_with_us = lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL)
child = subprocess.Popen([binary, *words], preexec_fn=dies_with_us)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, _: child.send_signal(number))
kept = []
while True:
    try:
        sys.exit(child.wait(0.1))
    except subprocess.TimeoutExpired:
        kept.append(b"x" * (1 << 20))
"""


def stand_in(directory, text):
    path = f"{directory}/stand-in"
    with open(path, "w") as file:
        file.write(text.format(binary=os.environ["WIREBOOK_BINARY"]))
    os.chmod(path, 0o755)
    return path


def soak(directory, binary, seconds, growth="24" if SLOW == 1 else "1000"):
    return subprocess.run([sys.executable, SOAK, "--minutes", str(seconds * SLOW / 60), "--seed", os.environ.get("WIREBOOK_SEED", "20261121"), "--binary",
                           binary, "--keep", directory, "--growth", growth], capture_output=True, text=True)


def a_short_soak_survives_kills_stalls_and_full_disks_and_counts_them(directory):
    done = soak(directory, os.environ["WIREBOOK_BINARY"], 20)
    assert done.returncode == 0, done.stdout + done.stderr
    told = {key: int(n.replace(",", "")) for key, n in re.findall(r"^  ([a-zA-Z ]+?) +([\d,]+)$", done.stdout, re.M)}
    assert told["cycles"] == told["kills"] + told["proper ends"] == told["exchanges restarted"] >= 2, done.stdout
    assert told["kills"] and told["reconnects"] and told["bytes lost"] == 0, done.stdout
    assert told["records verified"] >= told["messages"] > 1000, done.stdout
    assert told["disk full"] or "no full disk" in done.stdout, done.stdout
    assert os.listdir(directory) == [], "nothing is left behind"


def a_soak_ends_with_1_at_the_first_wrong_book_and_keeps_the_data(directory):
    done = soak(directory, stand_in(directory, LIAR), 20)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "WRONG" in done.stdout and "BTC-USD: bids: level 0" in done.stdout, done.stdout
    kept = re.search(r"everything is kept in (\S+)", done.stdout).group(1)
    found = [name for _, _, names in os.walk(kept) for name in names]
    assert any(".wbseg" in name for name in found) and "steady.log" in found, found


def a_soak_ends_with_1_when_a_node_grows(directory):
    done = soak(directory, stand_in(directory, GROWER), 120, growth="24")
    assert done.returncode == 1 and "WRONG: memory grows: " in done.stdout, done.stdout + done.stderr


if __name__ == "__main__":
    main(globals())
