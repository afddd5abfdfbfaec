"""A shell that is typed into, one command after the other, with a mock in the exchange's place; and the folder in which the pages' commands run."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import time

import harness
from pages import ROOT

LIMIT = 60
FACE = "127.0.0.1:8080"  # where the pages have a node listen; here it is a free port
BUILD = os.environ.get("WIREBOOK_BUILD", f"{ROOT}/build/release")
ENVIRONMENT = {key: value for key, value in os.environ.items()
               if not key.startswith(("WIREBOOK_", "MOCK_", "PRODUCT_ID", "DATA_STORE", "USE_MOCKED", "L2UPDATE"))}


class World:
    """A folder that looks like the repository after a build, with what the pages take for granted: a log, a report, a recording, keys."""

    def __init__(self, directory):
        self.directory = directory
        for name in os.listdir(ROOT):
            if name not in ("build", "data", ".git", "logs", "mock_data", "mock_logs"):
                os.symlink(f"{ROOT}/{name}", f"{directory}/{name}")
        os.makedirs(f"{directory}/build/quickstart")
        os.symlink(BUILD, f"{directory}/build/release")
        os.symlink(harness.WIREBOOK, f"{directory}/build/quickstart/wirebook")
        self.exchange = harness.mock("--product", "BTC,ETH,LTC,SOL", "--rate", 500, "--levels", 50, "--store", f"{directory}/sent", "--limits", "count")
        self.advanced = harness.mock("--dialect", "coinbase-advanced", "--product", "BTC,ETH,LTC,SOL", "--rate", 500, "--levels", 50)
        harness.Program("run", "--url", self.exchange.url, "--product", "BTC,ETH", "--messages", 600, "--data", f"{directory}/data", "--report",
                        f"{directory}/report.json", "--console", "off").ends(0)
        self.listener = harness.Program("run", "--url", self.exchange.url, "--product", "BTC,ETH", "--channel", "level2_batch,heartbeat,matches", "--data",
                                        f"{directory}/listener", "--listen", "127.0.0.1:0", "--console", "off")
        self.listener.wait_for("listening at ")
        self.face = self.listener.out["stderr"].split("listening at ")[1].split()[0].removeprefix("http://")
        self.segment = max((os.path.join(base, name) for base, _, names in os.walk(f"{directory}/data") for name in names if name.endswith(".wbseg")),
                           key=os.path.getsize)  # there are two where the hour ended meanwhile
        subprocess.run("gzip -c sent/BTC-USD.jsonl >frames.jsonl.gz && printf 'BTC,ETH\\n' >products", shell=True, cwd=directory, check=True)
        self.keys(f"{directory}/home/.wirebook")
        self.config = f"{directory}/few.yaml"  # for nodes that would go on for ever
        with open(self.config, "w") as file:
            file.write("messages: 400\n")
        self.environment = {**ENVIRONMENT, "PATH": f"{os.path.dirname(harness.WIREBOOK)}:{os.environ['PATH']}", "HOME": f"{directory}/home"}

    def keys(self, folder):
        os.makedirs(folder)
        harness.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ec.pem", cwd=folder)
        with open(f"{folder}/ec.pem") as file:
            pem = file.read()
        for name, key in (("exchange", {"key": "0123456789abcdef", "secret": "A" * 86 + "==", "passphrase": "phrase"}),
                          ("cdp_api_key", {"name": "organizations/1/apiKeys/2", "privateKey": pem})):
            with open(f"{folder}/{name}.json", "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                json.dump(key, file)

    def installed(self):
        """The library as a user has it, once."""
        prefix = f"{self.directory}/prefix"
        if not os.path.exists(prefix):
            subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True, capture_output=True)
        configs = [base for base, _, names in os.walk(prefix) if "wirebook.pc" in names]
        return {"PKG_CONFIG_PATH": configs[0], "LD_LIBRARY_PATH": os.path.dirname(configs[0])}

    def end(self):
        for program in (self.listener, self.exchange, self.advanced):
            program.signal(signal.SIGTERM)
            program.ends(0)


class Shell:
    def __init__(self, world, directory=None):
        self.world = world
        self.child = subprocess.Popen(["bash", "--norc", "--noprofile", "-s"], cwd=directory or world.directory, env=world.environment, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        os.set_blocking(self.child.stdout.fileno(), False)
        self.said, self.jobs, self.face = "", 0, None

    def type(self, text):
        self.child.stdin.write(text.encode() + b"\n")
        self.child.stdin.flush()

    def until(self, pattern, since):
        """Reads on until what was said since then has the pattern."""
        end = time.monotonic() + LIMIT
        while not (found := re.search(pattern, self.said[since:], re.M)):
            ready, _, _ = select.select([self.child.stdout], [], [], max(0, end - time.monotonic()))
            data = os.read(self.child.stdout.fileno(), 65536) if ready else b""
            if not data:
                raise AssertionError(f"never said {pattern!r}:\n{self.said[-3000:]}")
            self.said += data.decode(errors="replace")
        return found

    def done(self, since):
        """The exit status of what was typed, and what it said."""
        self.type('printf "\\n@%d@\\n" $?')
        found = self.until(r"^@(\d+)@$", since)
        said = self.said[since:since + found.start()]
        return int(found[1]), said.removesuffix("\n")

    def settings(self, statement, background):
        """The environment that gives a command its exchange, and its end."""
        world, settings, statement = self.world, {}, re.sub(r"\s#.*", "", statement)
        if re.search(r"\bwirebook run\b", statement):
            place = world.advanced if "coinbase-advanced" in statement else world.exchange
            settings = {"MOCK_PORT": place.url.rsplit(":", 1)[1]} if "--mock" in statement else {"WIREBOOK_URL": place.url}
            if not background:
                settings["WIREBOOK_CONFIG"] = world.config
        elif "wirebook mock" in statement:
            settings = {"MOCK_PORT": "0"}
        elif "pkg-config" in statement or re.match(r"\./\w+$", statement):
            settings = world.installed()
        return settings

    def run(self, statement):
        """Runs one statement to its end, or, where it is one for the background, until it is at work. Returns its output; its failure is an error."""
        since, background, listens = len(self.said), bool(re.search(r"&\s*(#.*)?$", statement)), f"--listen {FACE}" in statement
        if listens:
            statement = statement.replace(FACE, "127.0.0.1:0")
        elif FACE in statement:
            statement = statement.replace(FACE, self.face or self.world.face)
        settings = self.settings(statement, background)
        for name in ("WIREBOOK_URL", "WIREBOOK_CONFIG", "MOCK_PORT"):
            self.type(f"export {name}={settings[name]}" if name in settings else f"unset {name}")
        for name in settings.keys() - {"WIREBOOK_URL", "WIREBOOK_CONFIG", "MOCK_PORT"}:
            self.type(f"export {name}={settings[name]}")
        if background:
            self.type(statement)
            self.jobs += 1
            self.until("connected to|listening on", since)
            if listens:
                self.face = self.until(r"listening at \w+://(\S+)", since)[1]
            return ""
        if re.match(r"wirebook mock\b", statement):
            return self.serve(statement, since)
        self.type(statement)
        status, said = self.done(since)
        assert status == 0, f"`{statement}` ended with {status}:\n{said[-3000:]}"
        return said

    def serve(self, statement, since):
        """A mock in the foreground: a node takes what it sends, then a signal ends it."""
        self.type(re.sub(r"\s*(#.*)?$", " &", statement, count=1))
        url = self.until(r"listening on (\S+)", since)[1]
        feed = ("--feed", "coinbase-advanced") if "coinbase-advanced" in statement else ()
        harness.Program("run", "--url", url, *feed, "--no-store", "--console", "off", "--messages", 3).ends(0)
        self.type("kill -TERM $! 2>/dev/null; wait $!")
        status, said = self.done(since)
        assert status == 0, f"`{statement}` ended with {status}:\n{said[-3000:]}"
        return said

    def end(self):
        """What still runs ends as it should."""
        since = len(self.said)
        if self.jobs:
            self.type("for job in $(jobs -p); do kill -TERM $job; wait $job || exit; done")
        status, said = self.done(since)
        assert status == 0, f"a job ended with {status}:\n{said[-3000:]}"
        self.close()

    def close(self):
        """Nothing that was typed outlives the shell, whatever became of it."""
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            try:
                stream.close()
            except BrokenPipeError:
                pass


def scratch(world, name):
    """A copy of the world's folder for one block, so that blocks do not meet."""
    place = f"{world.directory}/{name}"
    os.makedirs(place)
    for entry in os.listdir(world.directory):
        source = f"{world.directory}/{entry}"
        if os.path.islink(source) or entry in ("frames.jsonl.gz", "products", "report.json"):
            shutil.copy(source, place, follow_symlinks=False)
    shutil.copytree(f"{world.directory}/data", f"{place}/data")
    shutil.copytree(f"{world.directory}/build", f"{place}/build", symlinks=True)
    return place
