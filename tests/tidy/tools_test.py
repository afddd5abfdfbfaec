#!/usr/bin/env python3
"""The scripts of tools/, on a copy of theirs with a program in wirebook's place that says what it was told and which signals came."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

WIREBOOK = """#!/usr/bin/env python3
import os, pathlib, select, signal, sys
who, arguments = sys.argv[1], sys.argv[2:]
read, write = os.pipe()
os.set_blocking(write, False)
signal.set_wakeup_fd(write)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: None)
pathlib.Path(who + ".pid").write_text(str(os.getpid()))
print(who, *arguments, flush=True)
if who == "mock":
    if os.environ.get("MOCK_FAILS"):
        sys.exit("no such port")
    pathlib.Path(arguments[arguments.index("--port-file") + 1]).write_text("4711\\n")
    print("listening on 127.0.0.1:4711", flush=True)
    os.read(read, 1)
    print("mock ended", flush=True)
elif "--seconds" not in arguments:
    print("got", signal.Signals(os.read(read, 1)[0]).name, flush=True)
    if os.environ.get("STUBBORN"):
        print("got", signal.Signals(os.read(read, 1)[0]).name, flush=True)
        sys.exit(143)
sys.exit(int(os.environ.get("NODE_STATUS", "0")))
"""


class Tools(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name, "copy").resolve()
        (self.top / "fakes").mkdir(parents=True)
        (self.top / "tools").mkdir()
        for tool in ("setup", "quickstart", "check", "clean"):
            shutil.copy2(ROOT / "tools" / tool, self.top / "tools")
        self.program("fakes/cmake", "#!/bin/sh\nexit ${CMAKE_STATUS:-0}\n")
        self.program("fakes/ninja", "#!/bin/sh\nmkdir -p build/quickstart && cp fakes/wirebook build/quickstart/\n")
        self.program("fakes/wirebook", WIREBOOK)
        # Nothing is missing, and nothing may be installed.
        self.program("fakes/dpkg-query", "#!/bin/sh\nprintf installed\n")
        self.program("fakes/apt-get", "#!/bin/sh\necho apt-get $* >>apt-get.calls\n[ \"$APT_FAILS\" = \"\" ]\n")
        self.program("fakes/sudo", "#!/bin/sh\nshift\nexec \"$@\"\n")
        self.environment = {**os.environ, "PATH": f"{self.top}/fakes:{os.environ['PATH']}"}

    def program(self, name, text):
        path = self.top / name
        path.write_text(text)
        path.chmod(0o755)

    def run_tool(self, *words, cwd=None, **environment):
        return subprocess.run(words, cwd=cwd or self.top, env={**self.environment, **environment}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)

    def alive(self, who):
        pid = int((self.top / f"{who}.pid").read_text())
        return Path(f"/proc/{pid}/cmdline").exists() and "wirebook" in Path(f"/proc/{pid}/cmdline").read_text()

    def test_every_tool_explains_itself_and_refuses_what_it_does_not_know(self):
        for tool in ("setup", "quickstart", "check", "clean"):
            told = self.run_tool(f"tools/{tool}", "--help")
            self.assertEqual(told.returncode, 0, told.stdout)
            self.assertTrue(told.stdout.strip() and "#" not in told.stdout and "set -" not in told.stdout, told.stdout)
            self.assertEqual(self.run_tool(f"tools/{tool}", "--bogus").returncode, 2)
        self.assertEqual(self.run_tool("tools/quickstart", "--seconds").returncode, 2)

    def test_setup_installs_nothing_where_nothing_is_missing_and_all_that_is_missing_otherwise(self):
        self.assertEqual(self.run_tool("tools/setup", "check").stdout, "")
        self.assertFalse((self.top / "apt-get.calls").exists())
        self.program("fakes/dpkg-query", "#!/bin/sh\n[ \"$4\" = cmake ] && printf not-installed || printf installed\n")
        told = self.run_tool("tools/setup", "run")
        self.assertEqual((told.returncode, told.stdout), (0, "setup: installing cmake\nsetup: installed 1 packages\n"))
        calls = (self.top / "apt-get.calls").read_text().splitlines()
        self.assertEqual(len(calls), 2)
        self.assertTrue(calls[0].endswith(" update") and calls[1].endswith("install -y --no-install-recommends cmake"), calls)
        failed = self.run_tool("tools/setup", "run", APT_FAILS="1")
        self.assertEqual(failed.returncode, 1)
        self.assertIn("installing failed", failed.stdout)

    def test_clean_removes_the_four_folders_and_nothing_else_and_only_from_the_top(self):
        kept = ["data_of_mine/x", "build/x", "tools/x"]
        for name in ["data/a/x", "logs/x", "mock_data/x", "elsewhere/x", *kept]:
            (self.top / name).parent.mkdir(parents=True, exist_ok=True)
            (self.top / name).write_text("x")
        (self.top / "mock_logs").symlink_to("elsewhere")
        refused = self.run_tool(self.top / "tools/clean", cwd=self.top / "tools")
        self.assertEqual(refused.returncode, 2)
        self.assertTrue((self.top / "data/a/x").exists())
        told = self.run_tool("tools/clean")
        self.assertEqual(told.returncode, 0, told.stdout)
        for name in ("data", "logs", "mock_data"):
            self.assertFalse((self.top / name).exists())
            self.assertIn(f"./{name} ", told.stdout)
        for name in [*kept, "elsewhere/x", "mock_logs/x"]:
            self.assertTrue((self.top / name).exists(), name)
        self.assertEqual(self.run_tool("tools/clean").stdout.count("removing"), 0)

    def test_quickstart_runs_the_node_against_the_mock_and_ends_both(self):
        for status in ("0", "1"):
            told = self.run_tool("tools/quickstart", "--seconds", "3", "--products", "BTC-USD", NODE_STATUS=status)
            self.assertEqual(told.returncode, int(status), told.stdout)
            self.assertIn("run --url wss://127.0.0.1:4711 --ca build/quickstart/tls/ca.pem --product BTC-USD --data ./data --seconds 3\n", told.stdout)
            self.assertIn("inspect ./data", told.stdout)
            log = (self.top / "mock_logs/quickstart.log").read_text()
            self.assertRegex(log, r"^mock --tls --cert \S+ --key \S+ --port 0 --port-file \S+ --product BTC-USD\n")
            self.assertFalse(self.alive("mock"))

    def test_quickstart_makes_a_certificate_that_a_strict_client_takes_and_keeps_it(self):
        self.run_tool("tools/quickstart", "--seconds", "1")
        tls = self.top / "build/quickstart/tls"
        for name in (("-verify_hostname", "localhost"), ("-verify_ip", "127.0.0.1"), ("-verify_ip", "::1")):
            told = self.run_tool("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", tls / "ca.pem", *name, tls / "server.pem")
            self.assertEqual(told.returncode, 0, told.stdout)
        self.assertNotEqual(self.run_tool("openssl", "verify", "-CAfile", tls / "ca.pem", "-verify_ip", "127.0.0.2", tls / "server.pem").returncode, 0)
        self.assertEqual((tls / "server.key").stat().st_mode & 0o077, 0)
        before = (tls / "server.pem").read_bytes()
        self.run_tool("tools/quickstart", "--seconds", "1")
        self.assertEqual((tls / "server.pem").read_bytes(), before)

    def test_quickstart_live_starts_no_mock_and_takes_the_default_feed(self):
        told = self.run_tool("tools/quickstart", "--live", "--seconds", "1")
        self.assertEqual(told.returncode, 0, told.stdout)
        self.assertIn("run --product BTC-USD,ETH-USD,LTC-USD --data ./data --seconds 1\n", told.stdout)
        self.assertFalse((self.top / "mock.pid").exists())

    def test_quickstart_says_why_when_the_build_or_the_mock_fails(self):
        told = self.run_tool("tools/quickstart", CMAKE_STATUS="1")
        self.assertEqual(told.returncode, 1)
        self.assertIn("the build failed", told.stdout)
        told = self.run_tool("tools/quickstart", MOCK_FAILS="1")
        self.assertEqual(told.returncode, 1)
        self.assertIn("no such port", told.stdout)
        self.assertIn("did not start", told.stdout)

    def interrupted(self, signals, **environment):
        """Starts quickstart as a terminal does, in a process group of its own, and sends signals to the group as they are answered."""
        process = subprocess.Popen(["tools/quickstart"], cwd=self.top, env={**self.environment, **environment}, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        with process:
            said = ""
            awaited = ["run --url", *["got"] * (len(signals) - 1)]
            for number, sign in zip(signals, awaited):
                while not said.splitlines()[-1:] or not said.splitlines()[-1].startswith(sign):
                    line = process.stdout.readline()
                    self.assertTrue(line, said)
                    said += line
                said += "\n"
                os.killpg(process.pid, number)
            said += process.stdout.read()
        return process.returncode, [line for line in said.splitlines() if line.startswith("got")], said

    def test_one_ctrl_c_reaches_the_node_once_and_ends_cleanly(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            status, got, said = self.interrupted([number])
            self.assertEqual((status, got), (0, ["got SIGTERM"]), said)
            self.assertFalse(self.alive("mock"))
            self.assertFalse(self.alive("run"))

    def test_a_second_ctrl_c_reaches_the_node_too(self):
        status, got, said = self.interrupted([signal.SIGINT, signal.SIGINT], STUBBORN="1")
        self.assertEqual((status, got), (143, ["got SIGTERM"] * 2), said)
        self.assertFalse(self.alive("mock"))


if __name__ == "__main__":
    sys.exit(unittest.main())
