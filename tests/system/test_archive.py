#!/usr/bin/env python3
"""Sealed segments of a node: compressed, handed to a command, deleted; and read back. `test_archive.py [NAME...]`."""

import os
import re
import signal

from harness import SLOW, Program, load, main, mock, node, same, wait_until
from test_node import BOOK, THREE, everything_stored, replayed

ONCE_EACH = "sh -c 'echo \"$2\" >> \"$1\"' sh"


def segments(place):
    """Paths of all files of the log, in the order of their names."""
    found = [os.path.join(folder, name) for folder, _, names in os.walk(f"{place}/data") for name in names if ".wbseg" in name]
    return sorted(found, key=os.path.basename)


def hooked(place):
    if not os.path.exists(f"{place}/hooked"):
        return []
    with open(f"{place}/hooked") as file:
        return file.read().splitlines()


def report_of(program, directory):
    """Asks a running node for a report."""
    program.wait_for("layout")  # it takes signals
    program.signal(signal.SIGUSR1)
    program.pump(0.05)
    return load(f"{directory}/report.json") if os.path.exists(f"{directory}/report.json") else None


def recorded(directory, *words, messages=20000, rotate="256k"):
    """A whole run with small segments. Returns its report."""
    exchange = mock("--product", THREE, "--messages", int(messages), "--rate", int(20000 / SLOW), "--levels", 500, "--once", "--depth", 1000, "--report",
                    f"{directory}/mock.json", "--store", f"{directory}/sent")
    program = node(exchange.url, directory, "--product", THREE, "--once", "--rotate-bytes", rotate, *words)
    program.ends(0)
    exchange.ends(0)
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)
    return load(f"{directory}/report.json")


def everything_reads_back(place):
    replayed(place, THREE)
    everything_stored(place, THREE)


def a_compressed_log_replays_and_reads_as_one_that_is_not(directory):
    archive = recorded(directory, "--compress", "zstd", "--on-seal", f"{ONCE_EACH} {directory}/hooked", rotate="1M")["archive"]  # few: at its end it has five seconds
    files = segments(directory)
    assert len(files) > 2 and all(file.endswith(".wbseg.zst") for file in files), files
    assert hooked(directory) == [os.path.realpath(file) for file in files], "once each, in order, in the final form"
    assert archive["compressed"] == archive["hooks"] == len(files) and archive["waiting"] == archive["deleted"] == archive["failures"] == 0, archive
    assert archive["bytes_after"] == sum(map(os.path.getsize, files)) < archive["bytes_before"] / 3, archive
    everything_reads_back(directory)
    Program("replay", "--product", THREE, "--depth", 1000, "--console", "off", "--report", f"{directory}/files.json", *files).ends(0)
    same(f"{directory}/report.json", f"{directory}/files.json", "--state", "--rejected")
    os.rename(files[0], f"{directory}/by-content")
    Program("inspect", "--verify", f"{directory}/by-content").ends(0)


def without_the_options_segments_stay_as_they_are(directory):
    report = recorded(directory)
    assert "archive" not in report and all(file.endswith(".wbseg") for file in segments(directory)), report
    assert not os.path.exists(f"{directory}/data/coinbase-exchange/.archived")
    everything_reads_back(directory)


def damage_of_a_compressed_segment_is_told_and_the_rest_is_read(directory):
    recorded(directory, "--compress", "zstd:3", rotate="1M")
    files = segments(directory)
    os.truncate(files[3], os.path.getsize(files[3]) // 2)
    told = Program("inspect", "--verify", f"{directory}/data").ends(1).out["stdout"]
    assert re.search(re.escape(files[3]) + r"\s+at \d+\s+\d+ bytes left out", told) and "DAMAGE  1" in told, told
    Program("replay", "--product", THREE, "--console", "off", f"{directory}/data").ends(1)


def retention_by_size_holds_and_leaves_the_newest(directory):
    limit = 1 << 20
    archive = recorded(directory, "--retain-bytes", "1M", messages=60000 / SLOW)["archive"]
    files = segments(directory)
    assert archive["deleted"] > 3 / SLOW and archive["unarchived"] == 0, archive
    assert len(files) == 1 or sum(map(os.path.getsize, files)) <= limit, files
    numbers = [int(re.search(r"-(\d+)\.wbseg$", file).group(1)) for file in files]
    assert numbers == list(range(archive["deleted"], archive["deleted"] + len(files))), "the oldest are gone, and no others"
    Program("inspect", "--verify", f"{directory}/data").ends(0)


def retention_by_age_deletes_while_the_node_runs_and_never_what_is_being_written(directory):
    exchange = mock("--product", "BTC-USD", "--rate", 2000)
    program = node(exchange.url, directory, "--rotate-bytes", "64k", "--retain-age", "1s", "--retain-bytes", "0")
    wait_until(lambda: (report_of(program, directory) or {"archive": {"deleted": 0}})["archive"]["deleted"] > 5, "segments deleted")
    assert segments(directory), "there is always one"
    program.signal()
    program.ends(0)
    exchange.signal()
    Program("inspect", "--verify", f"{directory}/data").ends(0 if segments(directory) else 1)  # whose end took a second has none left


def a_command_that_fails_is_run_again_until_it_succeeds(directory):
    exchange = mock("--product", "BTC-USD", "--rate", 2000)
    script = 'mkdir "$1/tried-$(basename "$2")" && { echo no luck; exit 3; }; echo "$2" >> "$1/hooked"'
    program = node(exchange.url, directory, "--rotate-bytes", "128k", "--retain-age", "1s", "--on-seal", f"sh -c '{script}' sh {directory}")

    def done():
        report = report_of(program, directory)
        return report and report["archive"]["hooks"] >= 3 and report["archive"]["hook_failures"] >= 3

    wait_until(done, "commands that fail, then succeed")
    program.signal()
    program.ends(0)
    exchange.signal()
    assert "exit code 3: no luck; again in 1 s" in program.out["stderr"], program.out["stderr"]
    names = hooked(directory)
    assert len(names) == len(set(names)) >= 3, names


def the_archivers_thread_is_idle_and_keeps_off_the_hot_cpu(directory):
    cpus = sorted(os.sched_getaffinity(0))
    exchange = mock("--product", "BTC-USD", "--rate", 500)
    program = node(exchange.url, directory, "--compress", "zstd", "--layout", f"{cpus[0]},{cpus[-1]}")

    def thread():
        program.pump(0.02)
        tasks = f"/proc/{program.child.pid}/task"
        return next((int(task) for task in os.listdir(tasks) if open(f"{tasks}/{task}/comm").read() == "wb-archiver\n"), None)

    wait_until(lambda: thread() and os.sched_getscheduler(thread()) == os.SCHED_IDLE, "a thread of its own, idle")
    assert os.sched_getaffinity(thread()) == (set(cpus) - {cpus[0]} or {cpus[0]})
    program.signal()
    program.ends(0)
    exchange.signal()


def a_command_runs_at_nice_19_and_is_not_idle(directory):
    exchange = mock("--product", "BTC-USD", "--rate", 2000)
    program = node(exchange.url, directory, "--rotate-bytes", "64k", "--on-seal", f"sh -c 'cut -d\" \" -f19,41 /proc/self/stat >>{directory}/how' sh")
    wait_until(lambda: program.pump(0.02) or (report_of(program, directory) or {"archive": {"hooks": 0}})["archive"]["hooks"] >= 2, "commands")
    with open(f"{directory}/how") as file:
        told = set(file.read().splitlines())
    assert told == {f"19 {os.SCHED_OTHER}"}, told
    program.signal()
    program.ends(0)
    exchange.signal()


def a_node_killed_while_it_archives_loses_no_segment_and_the_next_one_goes_on(directory):
    exchange = mock("--product", "BTC-USD", "--rate", int(2000 / SLOW))  # three segments a second: an idle thread has to follow
    words = ["--rotate-bytes", "128k", "--compress", "zstd", "--on-seal", f"{ONCE_EACH} {directory}/hooked"]
    for _ in range(4):
        before = len(hooked(directory))
        program = node(exchange.url, directory, *words)
        wait_until(lambda: program.pump(0.005) or len(hooked(directory)) > before + 1, "segments archived")
        program.signal(signal.SIGKILL)
        program.wait()
        Program("inspect", f"{directory}/data").wait()  # torn tails of killed runs are damage
    program = node(exchange.url, directory, *words)

    def caught_up():  # at its end it has five seconds
        told = report_of(program, directory)
        return told and told["messages"] > 0 and told["archive"]["hooks"] > 0 and told["archive"]["waiting"] == 0
    wait_until(caught_up, "what the killed ones left")
    program.signal()
    program.ends(0)
    exchange.signal()
    # A kill between the making of a segment and its header leaves an empty file, which is nobody's for a minute.
    files, names = [file for file in segments(directory) if os.path.getsize(file)], hooked(directory)
    assert all(file.endswith(".wbseg.zst") for file in files), files
    assert {os.path.realpath(file) for file in files} == set(names) and len(names) <= len(files) + 4, "each once, but for one a kill"
    told = Program("inspect", "--verify", f"{directory}/data")
    told.wait()
    assert "(0 frame numbers missing)" in told.out["stdout"], told.out["stdout"]


def wrong_options_are_told(directory):
    for words in [["--compress", "gzip"], ["--compress", "zstd:0"], ["--compress", "zstd:20"], ["--compress", "zstd:"], ["--compress", "zstd:3x"],
                  ["--retain-age", "7x"], ["--retain-age", "-1"], ["--retain-age", "300000w"], ["--retain-bytes", "1M"],
                  ["--on-seal", "'"], ["--on-seal", "/no/such/program"]]:
        Program("run", "--url", "ws://127.0.0.1:9", "--data", f"{directory}/data", "--console", "off", *words).ends(2)


def the_options_come_from_environment_and_file_too(directory):
    with open(f"{directory}/run.yaml", "w") as file:
        file.write("compress: zstd:5\nretain-age: 36h\non-seal: mv {} /elsewhere\n")
    shown = Program("run", "--check-config", "--config", f"{directory}/run.yaml", env={"WIREBOOK_COMPRESS": "zstd", "WIREBOOK_RETAIN_BYTES": "2G"}).ends(0)
    for wanted in [r"compress +zstd +# environment WIREBOOK_COMPRESS", r"retain-age +36h +# file", r"retain-bytes +2G +# env", r"on-seal +mv {} /elsewhere +# f"]:
        assert re.search(wanted, shown.out["stdout"]), shown.out["stdout"]


if __name__ == "__main__":
    main(globals())
