"""What the system tests share: programs started and ended by events, certificates, reports."""

import concurrent.futures
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time

WIREBOOK = os.environ.get("WIREBOOK_BINARY", "wirebook")
SLOW = float(os.environ.get("WIREBOOK_SLOW", "1"))  # sanitizers make everything slower
HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 60 * SLOW
ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\"}  # of inspect


class Program:
    """A child whose output is read line by line; lines are kept, so that a test can wait for one. None outlives its test."""

    all = []

    def __init__(self, *words, env=None, cwd=None, prepare=None):
        self.words = words
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("WIREBOOK_", "MOCK_", "PRODUCT_ID", "DATA_STORE", "USE_MOCKED", "L2UPDATE"))}
        self.child = subprocess.Popen([WIREBOOK, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      cwd=cwd, env={**clean, **(env or {})}, preexec_fn=prepare)
        Program.all.append(self.child)
        self.out = {"stdout": "", "stderr": ""}
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.child.stdout, selectors.EVENT_READ, "stdout")
        self.selector.register(self.child.stderr, selectors.EVENT_READ, "stderr")

    def pump(self, timeout):
        for key, _ in self.selector.select(timeout):
            data = os.read(key.fileobj.fileno(), 65536)
            if data:
                self.out[key.data] += data.decode(errors="replace")
            else:
                self.selector.unregister(key.fileobj)

    def wait_for(self, text, where="stderr", limit=LIMIT, times=1):
        end = time.monotonic() + limit
        while self.out[where].count(text) < times:
            if time.monotonic() > end or not self.selector.get_map():
                self.fail(f"never said {text!r} on {where}")
            self.pump(max(0, end - time.monotonic()))

    def wait(self, limit=LIMIT):
        end = time.monotonic() + limit
        while self.selector.get_map():
            if time.monotonic() > end:
                self.child.kill()
                self.fail("did not end in time")
            self.pump(max(0, end - time.monotonic()))
        return self.child.wait()

    def ends(self, code=0, limit=LIMIT):
        got = self.wait(limit)
        if got != code:
            self.fail(f"ended with {got}, not {code}")
        return self

    def signal(self, number=signal.SIGINT):
        self.child.send_signal(number)

    def fail(self, why):
        self.child.kill()
        raise AssertionError(f"{' '.join(map(str, self.words))}: {why}\n--- stdout\n{self.out['stdout'][-4000:]}\n--- stderr\n{self.out['stderr'][-4000:]}")


def load(path):
    with open(path) as file:
        return json.load(file)


def wait_until(condition, what, limit=LIMIT):
    """Tries condition, which waits a little by itself, until it holds."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"


def mock(*words, **options):
    """A mock on a port of its own; .url is where it listens."""
    program = Program("mock", "--port", 0, "--quiet", *words, **options)
    program.wait_for("listening on ", "stdout")
    program.url = program.out["stdout"].split("listening on ")[1].split()[0]
    return program


def node(url, directory, *words, **options):
    """A node that stores below directory and reports to directory/report.json."""
    return Program("run", "--url", url, "--data", f"{directory}/data", "--report", f"{directory}/report.json", "--console", "off", "--depth", 1000, *words,
                   **options)


def logged(directory, kinds):
    """The payloads of these kinds (comma) in the log below directory, byte for byte, in order."""
    words = [word for kind in kinds.split(",") for word in ("--kind", kind)]
    shown = subprocess.run([WIREBOOK, "inspect", "--frames", "--json", *words, f"{directory}/data"], capture_output=True, check=True)

    def payload(record):
        if "text" in record:
            return record["text"].encode()
        return re.sub(rb"\\(x..|.)", lambda found: ESCAPES.get(found[1]) or bytes([int(found[1][1:], 16)]), record["escaped"].encode())

    return [payload(json.loads(line)) for line in shown.stdout.splitlines()]


def all_at_once(one, cases, workers=4):
    """Calls one(number, case) for all, some at the same time; tells all that failed."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        done = [pool.submit(one, number, case) for number, case in enumerate(cases)]
    failures = [f"{case!r:.200}\n{error!r:.4000}" for case, error in zip(cases, (each.exception() for each in done)) if error]
    assert not failures, "\n\n".join(failures)


def kept_port():
    """A port that a program is to listen at later, and the socket that keeps it until then; nobody listens at it."""
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", 0))
    return place.getsockname()[1], place


def openssl(*words, cwd):
    subprocess.run(["openssl", *words], cwd=cwd, check=True, capture_output=True)


def certificates(directory, host="IP:127.0.0.1,DNS:localhost", days="2", name="server"):
    """ca.pem, NAME.pem and NAME.key in directory."""
    if not os.path.exists(f"{directory}/ca.pem"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
                "-days", "30", "-subj", "/CN=Test CA", "-addext", "basicConstraints=critical,CA:TRUE", cwd=directory)
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
            "-subj", "/CN=test", cwd=directory)
    with open(f"{directory}/{name}.ext", "w") as file:
        file.write(f"subjectAltName={host}\n")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", days, "-extfile",
            f"{name}.ext", "-out", f"{name}.pem", cwd=directory)


def same(a, b, *words):
    """Two reports agree, by compare_report.py."""
    done = subprocess.run([sys.executable, f"{HERE}/compare_report.py", a, b, *words], capture_output=True, text=True)
    assert done.returncode == 0, f"{a} and {b} differ:\n{done.stdout}{done.stderr}"


def reported(program, path):
    """The report that a running node writes when it is asked for one."""
    def version():  # each is a file of its own, though its time may be that of the one before
        return (lambda at: (at.st_ino, at.st_mtime_ns))(os.stat(path)) if os.path.exists(path) else None
    before = version()
    program.signal(signal.SIGUSR1)

    def written():
        program.pump(0.01)
        if program.child.poll() is not None:
            program.fail("ended by itself")
        return version() != before
    wait_until(written, "a report")
    return load(path)


def tests_of(module):
    """The functions of a test file that are tests: one argument, called directory."""
    return {name: value for name, value in list(module.items()) if callable(value) and getattr(value, "__code__", None) and
            value.__code__.co_varnames[:1] == ("directory",) and value.__code__.co_argcount == 1}


def main(module):
    """Runs the test named on the command line, or all."""
    tests = tests_of(module)
    names = sys.argv[1:] or list(tests)
    for name in names:
        with tempfile.TemporaryDirectory(prefix="wirebook-") as directory:
            try:
                tests[name](directory)
            finally:
                for child in Program.all:
                    child.kill()
        print(f"{name}: passed")
