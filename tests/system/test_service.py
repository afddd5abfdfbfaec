#!/usr/bin/env python3
"""A node as a service: what it tells its manager, played by a socket. `test_service.py [NAME...]`."""

import contextlib
import ctypes
import os
import signal
import socket
import time

from harness import LIMIT, SLOW, kept_port, main, mock, node, wait_until

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WAIT_FOR_THREADS = 0x40000000


class Manager:
    """The socket that a service manager listens at; .said are the datagrams so far."""

    def __init__(self, name):
        self.name, self.said = name, []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name[0] == "@" else name)

    def env(self, watchdog_us=None):
        return {"NOTIFY_SOCKET": self.name, **({"WATCHDOG_USEC": str(watchdog_us)} if watchdog_us else {})}

    def hear(self, seconds):
        """Takes in one datagram, if one comes so soon."""
        self.socket.settimeout(max(seconds, 0.001))
        try:
            self.said.append(self.socket.recv(4096).decode())
            return True
        except TimeoutError:
            return False

    def wait_for(self, text, program):
        end = time.monotonic() + LIMIT
        while not any(text in each for each in self.said):
            if time.monotonic() > end or program.child.poll() is not None:
                program.fail(f"never told {text!r}, but {self.said}")
            self.hear(0.2)
            program.pump(0)


def ended(program, manager):
    program.signal()
    program.ends(0)
    while manager.hear(0):
        pass


def a_service_is_ready_when_its_books_are_live_and_not_before(directory):
    port, _place = kept_port()
    manager = Manager(f"{directory}/notify")
    program = node(f"ws://127.0.0.1:{port}/", directory, env=manager.env())
    manager.wait_for("STATUS=0 of 1 books live, 0 of 1 connections up", program)
    wait_until(lambda: manager.hear(0.2) and len(manager.said) >= 2, "another status")
    assert not any("READY=1" in each for each in manager.said), manager.said
    exchange = mock("--port", port)
    manager.wait_for("READY=1", program)
    ready = next(each for each in manager.said if "READY=1" in each)
    assert ready.startswith("READY=1\nSTATUS=1 of 1 books live, 1 of 1 connections up, "), ready
    ended(program, manager)
    exchange.signal()
    assert sum("READY=1" in each for each in manager.said) == 1, manager.said
    assert [each.split("\n")[0] for each in manager.said][-1] == "STOPPING=1", manager.said
    assert not any("WATCHDOG" in each for each in manager.said), "nobody asked for it"


def a_confined_service_tells_a_manager_at_an_abstract_name(directory):
    exchange = mock("--product", "BTC-USD", "--rate", 100)
    manager = Manager(f"@wirebook-{os.getpid()}")
    program = node(exchange.url, directory, "--confine", "on", env={**manager.env(2000000), "ASAN_OPTIONS": "detect_leaks=0"})
    for text in ("READY=1", "WATCHDOG=1"):
        manager.wait_for(text, program)
    ended(program, manager)
    exchange.signal()
    assert manager.said[-1].startswith("STOPPING=1"), manager.said


def a_manager_that_is_none_is_said_in_the_log_and_the_node_runs(directory):
    exchange = mock("--product", "BTC-USD", "--messages", 50, "--rate", 500, "--once")
    program = node(exchange.url, directory, "--once", env={"NOTIFY_SOCKET": f"{directory}/nobody"}).ends(0)
    assert "nobody listens at" in program.out["stderr"], program.out["stderr"]


def commands_of_a_service_are_not_told_of_its_manager(directory):
    exchange = mock("--product", "BTC-USD", "--messages", 200, "--rate", "max", "--once")
    manager = Manager(f"{directory}/notify")
    node(exchange.url, directory, "--once", "--on-seal", f"sh -c 'env > {directory}/environment'", env=manager.env(60000000)).ends(0)
    with open(f"{directory}/environment") as file:
        names = {line.split("=")[0] for line in file}
    assert "PATH" in names and not names & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}, names


def thread_of(program, name):
    for task in os.listdir(f"/proc/{program.child.pid}/task"):
        with open(f"/proc/{program.child.pid}/task/{task}/comm") as file:
            if file.read().strip() == name:
                return int(task)
    raise AssertionError(f"no thread {name}")


@contextlib.contextmanager
def held(thread):
    """Holds a thread still, as a debugger would; the others go on."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def trace(request):
        assert libc.ptrace(request, thread, None, None) == 0, os.strerror(ctypes.get_errno())

    trace(PTRACE_SEIZE)
    trace(PTRACE_INTERRUPT)
    os.waitpid(thread, WAIT_FOR_THREADS)
    yield
    trace(PTRACE_DETACH)


def a_book_thread_that_hangs_ends_the_watchdog_pings_and_one_that_goes_on_brings_them_back(directory):
    """The control thread has every chance to ping."""
    exchange = mock("--product", "BTC-USD", "--rate", 100)
    manager = Manager(f"{directory}/notify")
    allowed = SLOW
    program = node(exchange.url, directory, "--layout", "pipelined", env=manager.env(int(allowed * 1e6)))
    manager.wait_for("READY=1", program)
    manager.wait_for("WATCHDOG=1", program)
    with held(thread_of(program, "wb-book")):
        for seconds in (allowed + 2, 6 * allowed):
            manager.said.clear()  # what was due for turns before
            end = time.monotonic() + seconds
            while time.monotonic() < end or manager.hear(0):
                manager.hear(end - time.monotonic())
        manager.wait_for("STATUS=", program)  # the control thread has gone on
        assert not any("WATCHDOG" in each for each in manager.said), manager.said
    manager.wait_for("WATCHDOG=1", program)
    ended(program, manager)
    exchange.signal()


def a_report_asked_for_while_the_book_thread_hangs_is_written_when_it_goes_on(directory):
    exchange = mock("--product", "BTC-USD", "--rate", 100)
    program = node(exchange.url, directory, "--layout", "pipelined")
    program.wait_for("connected to")
    with held(thread_of(program, "wb-book")):
        program.signal(signal.SIGUSR1)
        program.wait_for("the book stage did not answer")
        assert not os.path.exists(f"{directory}/report.json")
    wait_until(lambda: program.pump(0.01) or os.path.exists(f"{directory}/report.json"), "the report")
    assert program.out["stderr"].count("did not answer") == 1, program.out["stderr"]
    program.signal()
    program.ends(0)
    exchange.signal()


if __name__ == "__main__":
    main(globals())
