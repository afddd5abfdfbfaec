#!/usr/bin/env python3
"""Rules of the house that a text search can check. Without arguments: checks the repository. --self-test: checks that each rule can fail."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

LINES_MAX = 800
LONGER = {}  # file: why it may be longer than LINES_MAX lines

PROGRAMS = re.compile(r"tools/(quickstart|check|clean|setup|manual|package)|\.ci/run|docker/entrypoint")
DEBIAN = re.compile(r"tools/install/(postinst|prerm|postrm)")  # whose interpreter is /bin/sh, by Debian's policy
CODE = re.compile(r".*\.(c|h|py|sh|js|mjs|css|html)|tools/[a-z]+|\.ci/run|docker/entrypoint")
TEXT = re.compile(r".*\.(c|h|py|sh|js|mjs|css|html|md|txt|yml|yaml|json|jsonl|cmake|cnf)|.*/[A-Za-z]+|[A-Z]\w*")

# Hosts that this repository may name: loopback, reserved names, the exchange itself, and where formats are defined. Tests may make up names.
HOSTS = re.compile(r"""(localhost|[\w.-]*\.(example|invalid|test|localhost)|([\w-]+\.)*example\.(com|org|net)
  |([\w-]+\.)*(exchange|pro)\.coinbase\.com|api\.coinbase\.com|advanced-trade-ws(-user)?\.coinbase\.com|(ws|docs)\.kraken\.com|docs\.c(dp|loud)\.coinbase\.com
  |(www\.)?rfc-editor\.org|datatracker\.ietf\.org|keepachangelog\.com|semver\.org|(www\.)?gnu\.org|github\.com/[\w.-]+/[\w.-]+|spdx\.org|hdrhistogram\.org
  |www\.tradingview\.com)""", re.X)
URL = re.compile(r"\b(?:https?|wss?)://([A-Za-z0-9][A-Za-z0-9.-]*\.[A-Za-z]{2,}(?:/[\w.-]+/[\w.-]+)?)")
PACKAGES = re.compile(r"artifact|mirror|registry|proxy|pypi|npmjs|crates\.io|deb\.|debian\.|(^|\.)(apt|packages?|repo)\.")
OPEN_ENDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
SLEEP = re.compile(r"(?<![\w.])(u|nano|clock_nano|time\.)?sleep *\(")
INEXACT = re.compile(r"\b(double|float|strtod|atof|strtof)\b")
EXACT = re.compile(r"engine/(codec|feed|book|store|stages)/.*|engine/(event|port)\.h|engine/base/(decimal|products)\.[ch]")
C_TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)


def complaints(path, text, executable):
    if CODE.fullmatch(path):
        lines = text.count("\n")
        if lines > LONGER.get(path, (LINES_MAX,))[0]:
            yield f"{path}: {lines} lines; make two rooms of it, or say in tests/tidy/house.py why not"
    if (executable or PROGRAMS.fullmatch(path)) and not text.startswith("#!/bin/sh\n" if DEBIAN.fullmatch(path) else "#!/usr/bin/env "):
        yield f"{path}: is executable, but does not begin with #!/usr/bin/env"
    if not executable and (text.startswith("#!") or PROGRAMS.fullmatch(path)):
        yield f"{path}: is a program, but not executable"
    if path.endswith(".h") and path.startswith(("engine/", "io/")) and not text.startswith("/* "):
        yield f"{path}: a header begins with the comment that says what it is"
    if text and not text.endswith("\n"):
        yield f"{path}: no newline at its end"
    bare = C_TEXT.sub(lambda m: "\n" * m.group().count("\n"), text) if path.endswith((".c", ".h")) else ""
    for number, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip() and not path.endswith(".md"):
            yield f"{path}:{number}: blanks at the end of the line"
        if path != "tests/tidy/house.py":
            for host in URL.findall(line):
                allowed = path.startswith("tests/") or HOSTS.fullmatch(host) or HOSTS.fullmatch(host.split("/")[0])
                if not allowed or PACKAGES.search(host):
                    yield f"{path}:{number}: names the host {host}"
            if OPEN_ENDS.search(line) and not path.endswith(".md"):
                yield f"{path}:{number}: open end"
            if path.startswith("tests/") and path.endswith((".c", ".py", ".mjs")) and SLEEP.search(line):
                yield f"{path}:{number}: a test that sleeps; wait for the event"
    if EXACT.fullmatch(path):
        for number, line in enumerate(bare.splitlines(), 1):
            if INEXACT.search(line):
                yield f"{path}:{number}: prices and sizes are exact integers, never floating point"


def files():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True)
    if listed.returncode == 0:
        names = sorted(set(listed.stdout.decode().split("\0")) - {""})
    else:
        top = ("build", ".git", "data", "logs", "mock_data", "mock_logs")
        names = sorted(str(f.relative_to(ROOT)) for f in ROOT.rglob("*") if f.is_file() and f.relative_to(ROOT).parts[0] not in top)
    return [name for name in names if TEXT.fullmatch(name) and (ROOT / name).is_file() and not re.search("/(corpus|vendor)/", name)]


def check():
    wrong, names = [], files()
    for name in names:
        mode = os.stat(ROOT / name).st_mode
        try:
            wrong += complaints(name, (ROOT / name).read_text(), bool(mode & stat.S_IXUSR))
        except UnicodeDecodeError:
            wrong.append(f"{name}: is not UTF-8")
    print("\n".join(wrong))
    print(f"{len(names)} files, {len(wrong)} complaints")
    return 1 if wrong or not names else 0


def self_test():
    mark = "TO" + "DO"
    good = [
        ("engine/book/book.h", "/* book.h - double books of a floating market: wss://ws-feed.exchange.coinbase.com */\nint wb_x;\n", False),
        ("tools/check", "#!/usr/bin/env bash\n", True),
        ("io/tls.c", "const char *u = \"wss://127.0.0.1:9001\";\ndouble ratio;\n", False),
        ("tests/unit/a.c", "nap(); wake_sleeper(1);\n", False),
        ("tests/system/module.py", "import os\n", False),
        ("bench/README.md", "two blanks  \n" + mark + "\n", False),
    ]
    bad = [
        ("engine/book/book.c", "\n" * (LINES_MAX + 1), False),
        ("tools/check", "#!/usr/bin/env bash\n", False),
        ("tools/check", "echo\n", True),
        ("io/ws.c", "int x;\n", True),
        ("tests/system/a.py", "#!/usr/bin/env python3\n", False),
        ("engine/book/book.h", "int x;\n", False),
        ("io/ws.c", "int x;", False),
        ("io/ws.c", "int x; \n", False),
        ("io/ws.c", "/* see https://packages." + "somewhere.io/x */\n", False),
        ("tests/unit/a.c", "\"https://deb." + "debian.org/debian\"\n", False),
        ("README.md", "wss://ws-feed.exchange.coinbase.com." + "evil.io\n", False),
        ("io/ws.c", "/* " + mark + ": later */\n", False),
        ("tests/unit/a.c", "  usleep" + "(10);\n", False),
        ("tests/system/a.py", "#!/usr/bin/env python3\ntime.sleep" + "(1)\n", True),
        ("engine/codec/a.c", "double price;\n", False),
        ("engine/base/decimal.c", "x = strtod(text, 0);\n", False),
    ]
    found = [file[0] for file in good if list(complaints(*file))]
    missed = [file[:2] for file in bad if not list(complaints(*file))]
    print(f"{len(good)} good and {len(bad)} planted files; complained about {found}, let pass {missed}")
    return 1 if found or missed else 0


if __name__ == "__main__":
    sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else check())
