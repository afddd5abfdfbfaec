"""What bench/run does in detail: building the references, one run of a client against the sender, the check of its books, the JSON."""

import copy
import datetime
import json
import os
import platform
import select
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "bench/reference"


class Scenario(NamedTuple):
    levels: int  # a side
    products: int
    clients: tuple
    tls: bool = False
    snapshot: bool = False  # a run is one snapshot, and what counts the time until the book is live


# Which part of --cycles a client gets: the slow ones would take minutes otherwise. 0: the tail alone. All end in the same books.
CLIENTS = {"wirebook": 1, "wirebook-nostore": 1, "wirebook-cpu": 1, "wirebook-cpu-nostore": 1, "strongest": 1, "simdjson": 0.75, "beast": 0.25,
           "node-ws": 0.07, "python": 0, "ccxt": 0, "bare-block": 1, "bare-spin": 1, "bare-epoll": 1, "bare-uring": 1}
BARE = tuple(client for client in CLIENTS if client.startswith("bare-"))
USUAL = ("wirebook", "strongest", "simdjson", "beast", "node-ws", "python", *BARE)
SCENARIOS = {"levels:50": Scenario(50, 1, (*USUAL, "ccxt")), "levels:1000": Scenario(1000, 1, tuple(CLIENTS)), "levels:30000": Scenario(30000, 1, USUAL),
             "products:3": Scenario(1000, 3, USUAL), "products:400": Scenario(50, 400, ("wirebook", *BARE)),
             "products:400x2000": Scenario(2000, 400, ("wirebook",)),
             "wss:1000": Scenario(1000, 1, ("wirebook", "strongest", "simdjson", "bare-block"), tls=True),
             "snapshot:30000": Scenario(30000, 1, ("wirebook", "strongest", "simdjson", "beast", "node-ws", "python", "ccxt"), snapshot=True)}
SECONDS_MAX = 120
NODE_PACKAGES = {"node-ws": "ws@8.18.0", "ccxt": "ccxt@4.5.84"}

TLS = ["-lssl", "-lcrypto"]
SOURCES = {"sender": ("sender.c", TLS), "bare": ("bare.c", ["-luring", *TLS]), "strongest": ("strongest.cc", TLS),
           "simdjson": ("simdjson.cc", ["-lsimdjson", *TLS]), "beast": ("beast.cc", ["-lsimdjson", "-pthread", *TLS])}


class Wrong(Exception):
    """A client whose figures do not count."""


class Series:
    def __init__(self, client):
        self.client, self.runs, self.wrong, self.memory = client, [], "", {}


def build_references(out):
    out.mkdir(parents=True, exist_ok=True)
    newest = max(header.stat().st_mtime for header in REFERENCE.glob("*.h"))
    for name, (source, libraries) in SOURCES.items():
        binary, path = out / name, REFERENCE / source
        if binary.exists() and binary.stat().st_mtime > max(newest, path.stat().st_mtime):
            continue
        print(f"run: building {name}", flush=True)
        compiler = ["gcc", "-std=gnu11"] if source.endswith(".c") else ["g++", "-std=gnu++20"]
        subprocess.run([*compiler, "-O3", "-march=native", "-D_GNU_SOURCE", "-Wall", "-Wextra", f"-I{ROOT}", path, "-o", binary, *libraries],
                       check=True)


def node_package(out, client):
    """Fetches the package that a client needs, pinned, into the build directory; why it cannot be had, or None."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "no node"
    wanted = NODE_PACKAGES[client]
    name, _, version = wanted.rpartition("@")
    try:
        if json.loads((node_prefix(out, client) / "node_modules" / name / "package.json").read_text())["version"] == version:
            return None
    except OSError:
        pass
    print(f"run: fetching {wanted}", flush=True)
    done = subprocess.run(["npm", "install", "--prefix", node_prefix(out, client), "--no-audit", "--no-fund", "--ignore-scripts", "--silent", wanted],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return None if done.returncode == 0 else f"{wanted} cannot be fetched"


def node_prefix(out, client):
    """A place for each, since each brings a ws of its own."""
    return out / "node" / client


def python_with_websockets():
    """A Python that has the websockets package: Debian's, which need not be the one that runs this."""
    for python in ("/usr/bin/python3", sys.executable):
        if subprocess.run([python, "-c", "import websockets.client"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return python
    return None


def missing(out, client):
    """Why this client cannot run here, or None."""
    if client in NODE_PACKAGES:
        return node_package(out, client)
    if client == "python" and not python_with_websockets():
        return "no python3-websockets"
    if client.startswith("wirebook-cpu") and not shutil.which("taskset"):
        return "no taskset"
    return None


def certificate(out):
    """A PEM file with key and certificate for 127.0.0.1."""
    pem = out / "sender.pem"
    if not pem.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{pem}.key", "-out", f"{pem}.crt"],
                       check=True, stderr=subprocess.DEVNULL)
        pem.write_bytes(Path(f"{pem}.key").read_bytes() + Path(f"{pem}.crt").read_bytes())
    return pem


class Sender:
    """The sender's process: what it expects of clients, and what it measured of each connection."""

    def __init__(self, chosen, scenario):
        command = [chosen.build / "reference/sender", "--levels", str(scenario.levels), "--products", str(scenario.products)]
        if scenario.snapshot:
            command += ["--cycle", "0"]
        if chosen.sender_cpu >= 0:
            command += ["--cpu", str(chosen.sender_cpu)]
        if scenario.tls:
            command += ["--tls", certificate(chosen.build / "reference")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.expected = self.line()
        self.port = self.expected["port"]
        self.scenario = scenario

    def line(self):
        ready, _, _ = select.select([self.process.stdout], [], [], SECONDS_MAX)
        text = self.process.stdout.readline() if ready else b""
        if not text:
            raise Wrong("the sender says nothing")
        return json.loads(text)

    def discard(self, wait=0):
        """Lines of connections that nobody asked about; wait: seconds for the first."""
        while select.select([self.process.stdout], [], [], wait)[0] and self.process.stdout.readline():
            wait = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


AGAIN = ["--witness", "time=off"]  # each cycle has the times of the first


def command_of(chosen, sender, client, cycles, depth=50):
    """The command, and where it puts what it stores and reports (None: stdout)."""
    ids, store = ",".join(sender.expected["products"]), chosen.data / client
    tls = sender.scenario.tls
    scheme, over = ("wss", ["tls"]) if tls else ("ws", [])
    if client.startswith("wirebook"):
        report = chosen.data / "report.json"
        keep = ["--data", store] if stores(chosen, client) else ["--no-store"]
        on = ["taskset", "-c", str(one_cpu(chosen))] if client.startswith("wirebook-cpu") else []
        command = [*on, chosen.build / "wirebook", "run", "--url", f"{scheme}://127.0.0.1:{sender.port}/{cycles}", "--product", ids, "--once",
                   "--console", "off", "--log-level", "error", "--depth", str(depth), "--report", report, *AGAIN, *keep, *(["--insecure"] if tls else []),
                   *shlex.split(chosen.wirebook)]
        return command, store, report
    if client.startswith("bare-"):
        return [chosen.build / "reference/bare", client[5:], str(sender.port), str(cycles), ids, *over], None, None
    scripts = {"node-ws": lambda: ["node", REFERENCE / "node_ws.mjs", node_prefix(chosen.build / "reference", client) / "node_modules/ws"],
               "ccxt": lambda: ["node", REFERENCE / "ccxt.mjs", node_prefix(chosen.build / "reference", client) / "node_modules/ccxt/js/ccxt.js"],
               "python": lambda: [python_with_websockets(), REFERENCE / "python_websockets.py"]}
    if client in scripts:
        return [*scripts[client](), str(sender.port), str(cycles), ids, *([] if chosen.no_store else [store])], store, None
    return [chosen.build / "reference" / client, str(sender.port), str(cycles), ids, *([] if chosen.no_store else [store]), *over], store, None


def stores(chosen, client):
    return not chosen.no_store and not client.endswith("-nostore") and not client.startswith("bare-")


def one_cpu(chosen):
    """The CPU of a client that may use one only: not the sender's."""
    return min(os.sched_getaffinity(0) - {chosen.sender_cpu}, default=0)


def stored_bytes(path):
    if path.is_dir():
        return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    return path.stat().st_size if path.exists() else 0


def remove(path):
    if path and path.is_dir():
        shutil.rmtree(path)
    elif path:
        path.unlink(missing_ok=True)


class Ended(NamedTuple):
    """A process that ended: what it said, what it used (os.wait4), and how long it took, start to exit."""
    status: int
    out: str
    error: str
    usage: object
    seconds: float


def run_process(command, watch=None):
    """watch: called with the process' id every now and then."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=error)
        killer = threading.Timer(SECONDS_MAX, process.kill)
        killer.start()
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG if watch else 0)
            if pid:
                break
            watch(process.pid)
            time.sleep(0.01)
        seconds = time.monotonic() - start
        killer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)  # it is waited for already
        if seconds >= SECONDS_MAX:
            raise Wrong(f"did not end within {SECONDS_MAX} s")
        out.seek(0)
        error.seek(0)
        return Ended(process.returncode, out.read().decode(errors="replace"), error.read().decode(errors="replace"), usage, seconds)


def run_client(chosen, sender, client, depth=50, also=None, watch=None):
    """One run; its figures if its books are the sender's, Wrong otherwise."""
    share = 0 if sender.scenario.snapshot else CLIENTS[client]
    cycles = max(1, round(chosen.cycles * share)) if share else 0
    command, store, report = command_of(chosen, sender, client, cycles, depth)
    remove(store)
    try:
        done = run_process(command, watch)
    except Wrong:
        sender.discard(wait=1)
        raise
    if done.status != 0:
        sender.discard(wait=1)  # of a connection that broke
        raise Wrong(f"exit {done.status}: {done.error.strip()[-300:]}")
    sent = sender.line()
    if not sent["good"] or sent["cycles"] != cycles:
        raise Wrong(f"broke the connection: {sent}")
    found = json.loads(report.read_text() if report else done.out.splitlines()[0])
    if client.startswith("bare-"):
        if found["bytes"] < sent["bytes"]:
            raise Wrong(f"took {found['bytes']} of {sent['bytes']} bytes")
    else:
        compare(sender.expected, found, cycles)
        least = sent["bytes"] - 4 * sent["messages"] + sender.expected["snapshot_bytes"] - 10 * sender.scenario.products
        if stores(chosen, client) and stored_bytes(store) < least:
            raise Wrong(f"stored {stored_bytes(store)} bytes of {least}")
    if also:
        also(found, store)
    remove(store)
    items, seconds, size = sent["messages"], sent["seconds"], sent["bytes"]
    if sender.scenario.snapshot:
        items, seconds, size = 1, snapshot_seconds(found, sent, done.seconds), sender.expected["snapshot_bytes"]
    return {"cycles": cycles, "messages": items, "seconds": seconds, "items_per_second": items / seconds, "bytes_per_second": size / seconds,
            "cpu_seconds": done.usage.ru_utime + done.usage.ru_stime, "whole_seconds": done.seconds, "resident_bytes": done.usage.ru_maxrss * 1024}


def snapshot_seconds(found, sent, whole):
    """From the snapshot's first byte until its book could be read. The references look at the clock then. wirebook measures it for every message, from
    the time that the message carries, which here is when that first byte left, in whole microseconds: at most one too many."""
    if "live_ns" in next(iter(found["products"].values())):
        seconds = (max(product["live_ns"] for product in found["products"].values()) - sent["from_ns"]) / 1e9
    else:
        if found["latency_ns"]["exchange_to_book"]["count"] != 1:
            raise Wrong(f"more than the snapshot was measured: {found['latency_ns']}")
        seconds = found["latency_ns"]["exchange_to_book"]["max"] / 1e9
    if not 0 < seconds < whole:
        raise Wrong(f"a snapshot in {seconds} s of {whole} s")
    return seconds


def measure_memory(chosen, sender):
    """wirebook's resident memory at its most, in a run of its own, of which nothing else counts; with and without the bytes of journals and spills."""
    most = {"resident_bytes": 0, "resident_less_arena_bytes": 0}

    def look(pid):
        resident, arena, of_file = 0, 0, False
        try:
            lines = Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return
        for line in lines:
            name, _, rest = line.partition(":")
            if name == "Pss":  # journals and spills are mapped twice, side by side
                resident += int(rest.split()[0])
                arena += int(rest.split()[0]) * of_file
            elif "-" in name.split(" ")[0]:
                of_file = "/memfd:wirebook" in line
        less = resident - arena
        most["resident_bytes"] = max(most["resident_bytes"], resident * 1024)
        most["resident_less_arena_bytes"] = max(most["resident_less_arena_bytes"], less * 1024)

    run_client(chosen, sender, "wirebook", watch=look)
    return most


def levels(pairs):
    return [(Decimal(price), Decimal(size)) for price, size in pairs]


def compare(expected, found, cycles):
    """A client's report with what the sender knows. Raises Wrong at the first difference."""
    messages = cycles * expected["cycle"]["messages"] + expected["tail"]["messages"]
    changes = cycles * expected["cycle"]["changes"] + expected["tail"]["changes"]
    count = len(expected["products"])

    def same(what, ours, theirs):
        if ours != theirs:
            raise Wrong(f"{what}: expected {ours}, found {theirs}")

    same("messages, with ack and snapshots", messages + 1 + count, found["messages"])
    same("changes", changes, found["changes"])
    same("rejected", {}, found.get("rejected", {}))
    same("resyncs", 0, found.get("resyncs", 0))
    same("products", sorted(expected["products"]), sorted(found["products"]))
    same("updates", messages, sum(product["updates"] for product in found["products"].values()))
    for id, ours in expected["products"].items():
        theirs = found["products"][id]
        same(f"{id}: snapshots", 1, theirs["snapshots"])
        same(f"{id}: max spread", Decimal(ours["max_spread" if cycles else "tail_max_spread"]), Decimal(theirs["max_spread"]))
        mid = Fraction(int(theirs["mid2_sum"]), ours["mids"]) if "mid2_sum" in theirs else Fraction(theirs["mid_average"]) * 200
        same(f"{id}: average of mids", Fraction(int(ours["mid2_sum"]), ours["mids"]), mid)
        for side in ("bid", "ask"):
            same(f"{id}: {side} levels", ours[f"{side}_levels"], theirs[f"{side}_levels"])
            shown = levels(theirs[f"{side}s"])
            same(f"{id}: {side}s", levels(ours[f"{side}s"]), shown[:50])
            if len(shown) == ours[f"{side}_levels"]:  # a report shows sizes of 10^-8 and prices of 10^-2 in plain text: the same sum
                total = sum(int(price * 100) * int(size * 10**8) for price, size in shown) % 2**64
                same(f"{id}: sum over {side}s", int(ours[f"{side}_sum"]), total)
            if f"{side}_sum" in theirs:
                same(f"{id}: sum over {side}s", ours[f"{side}_sum"], theirs[f"{side}_sum"])


def can_fail(expected, found, cycles):
    """A report that is right is refused with one thing of it wrong."""
    one = next(iter(found["products"]))

    def spoil(report, what):
        product = report["products"][one]
        if what == "size":
            # The farthest that the report shows, if it shows the whole side: only the sum knows that one.
            at = -1 if len(product["asks"]) == product["ask_levels"] else 0
            price, size = product["asks"][at]
            product["asks"][at] = [price, str(Decimal(size) + Decimal("0.00000001"))]
        elif what == "levels":
            product["bid_levels"] += 1
        elif what == "mid":
            product["mid_average"] = str(Decimal(product["mid_average"]) + Decimal("0.0005"))
        else:
            report["changes"] -= 1

    for what in ("size", "levels", "mid", "changes"):
        report = copy.deepcopy(found)
        spoil(report, what)
        try:
            compare(expected, report, cycles)
        except Wrong:
            continue
        raise RuntimeError(f"the comparison overlooks a wrong {what}")


def check_whole(chosen, sender):
    """Before anything is timed: wirebook's report with as many levels as it can show, every record of its log, and that the comparison can fail."""

    def verify(found, store):
        can_fail(sender.expected, found, 0 if sender.scenario.snapshot else 1)
        done = subprocess.run([chosen.build / "wirebook", "inspect", store, "--verify"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise Wrong(f"inspect --verify: {done.stdout.decode(errors='replace')[-300:]}")

    cycles, chosen.cycles = chosen.cycles, 1
    try:
        run_client(chosen, sender, "wirebook", depth=1000, also=verify)
    finally:
        chosen.cycles = cycles


def whole_runs(chosen, sender):
    """Start to exit, by hyperfine: what the sender's clock does not see, such as bringing the log to disk at the end."""
    command = ["hyperfine", "--runs", str(max(3, chosen.repetitions)), "--export-json", chosen.build / "whole_runs.json"]
    for client in chosen.clients:
        if client.startswith("bare-"):
            continue
        words, store, _ = command_of(chosen, sender, client, max(1, chosen.cycles // 2))
        if store:
            command += ["--prepare", shlex.join(["rm", "-rf", str(store)])]
        command += ["--command-name", client, shlex.join(map(str, words))]
    subprocess.run(command, check=True)
    sender.discard()


def steal_seconds():
    with open("/proc/stat", encoding="ascii") as stat:
        return int(stat.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as info:
        return next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), platform.machine())


def machine():
    return f"{cpu_model()}, {os.cpu_count()} CPUs, Linux {platform.release()}"


def write_json(chosen, results, conditions):
    """Google Benchmark's form. real_time: the sender's clock; cpu_time: of the client's process, start and end included."""
    rows = []
    for scenario, clients in results.items():
        for client, series in clients.items():
            if series.wrong:
                continue
            name = f"end_to_end/{scenario}/{client}"
            common = {"run_name": name, "repetitions": len(series.runs), "threads": 1, "time_unit": "ns"}
            per = [{"real_time": run["seconds"] / run["messages"] * 1e9, "cpu_time": run["cpu_seconds"] / run["messages"] * 1e9,
                    "items_per_second": run["items_per_second"], "bytes_per_second": run["bytes_per_second"],
                    "whole_seconds": run["whole_seconds"], "resident_bytes": run["resident_bytes"], **series.memory} for run in series.runs]
            for index, (run, figures) in enumerate(zip(series.runs, per)):
                rows.append({"name": name, "run_type": "iteration", **common, "repetition_index": index, "iterations": run["messages"], **figures})
            for aggregate, of in (("mean", statistics.mean), ("median", statistics.median), ("stddev", lambda v: statistics.stdev(v) if len(v) > 1 else 0.0)):
                rows.append({"name": f"{name}_{aggregate}", "run_type": "aggregate", "aggregate_name": aggregate, **common, "iterations": len(per),
                             **{key: of([figures[key] for figures in per]) for key in per[0]}})
    context = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "host_name": socket.gethostname(),
               "executable": "bench/run", "num_cpus": os.cpu_count(), "cpu": cpu_model(), "kernel": platform.release(), "load_avg": list(os.getloadavg()),
               "library_build_type": "release", "conditions": conditions, "storing": not chosen.no_store, "smoke": chosen.smoke}
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps({"context": context, "benchmarks": rows}, indent=1) + "\n")
