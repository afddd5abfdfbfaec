#!/usr/bin/env python3
"""Who may include whom (docs/architecture.md). Without arguments: checks the repository. --self-test: checks that each rule can fail."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What a place may include of the repository. A place is the longest key that the path begins with; a value ending in "/" is a folder.
SEAMS = ["engine/base/", "engine/event.h", "engine/order_event.h", "engine/port.h"]
DOMAIN = SEAMS + ["engine/codec/", "engine/feed/", "engine/book/", "engine/store/"]
PLACES = {
    "engine/base/": ["engine/base/"],
    "engine/event.h": ["engine/base/"],
    "engine/order_event.h": ["engine/base/", "engine/event.h"],
    "engine/port.h": ["engine/base/", "engine/event.h"],
    "engine/ring/": ["engine/base/", "engine/event.h", "engine/ring/"],
    "engine/topo/": ["engine/base/", "engine/ring/", "engine/topo/"],
    "engine/codec/": SEAMS + ["engine/codec/"],
    "engine/feed/": SEAMS + ["engine/feed/"],
    "engine/book/": SEAMS + ["engine/book/"],
    "engine/store/": SEAMS + ["engine/store/"],
    "engine/stages/": DOMAIN + ["engine/ring/", "engine/topo/", "engine/stages/"],
    "engine/": ["engine/"],
    "io/": ["engine/", "io/"],
    "tools/": ["engine/", "io/", "tools/"],
    "bench/": ["engine/", "io/", "bench/"],
    "tests/": ["engine/", "io/", "tools/", "bench/", "tests/"],
}
# topo moves records without knowing what they are.
NOT = {"engine/topo/": ["engine/ring/frames.h"]}

# The C headers that a pure engine needs; of stdio and stdlib only the functions that symbols.py allows.
ENGINE_C = set("""stdint stddef stdbool stdalign stdarg stdatomic stdio stdlib string limits inttypes
    immintrin x86intrin nmmintrin wmmintrin cpuid arm_neon arm_acle""".split())
WORLD_C = ENGINE_C | set("""assert ctype dirent dlfcn errno fcntl fnmatch getopt glob grp ifaddrs libgen locale malloc math netdb poll
    pthread pwd sched semaphore setjmp signal spawn strings syslog termios time ucontext unistd wchar wctype""".split())
WORLD_FOLDERS = ("arpa/", "asm/", "linux/", "net/", "netinet/", "sys/")

# Foreign headers and the files that may include them; outside this table no header is known. tests and bench may compare with anything.
FOREIGN = [
    (r"ck_\w+\.h", r"engine/.*"),
    (r"liburing\.h|liburing/.*", r"io/uring\.[ch]"),
    (r"wolfssl/.*", r"io/tls(_\w+)?\.[ch]"),
    (r"openssl/.*|intel-ipsec-mb\.h|ipsec-mb\.h", r"io/tls(_\w+)?\.[ch]"),
    (r"http_parser\.h", r"io/(http1|rest)\.[ch]"),
    (r"cyaml/.*|yaml\.h", r"io/config\.[ch]"),
    (r"zlib\.h|zstd(_errors)?\.h", r"io/(deflate|recording|log_reader|sink_\w+)\.[ch]"),
    (r"seccomp\.h", r"io/confine_calls\.c"),
    (r"wirebook(_shm)?\.h", r"tools/examples/.*"),
    (r"jansson\.h", r"io/(report(_\w+)?|node_\w+|face_\w+|publish_request)\.[ch]|tools/.*"),
]

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>|(\S.*))', re.M)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def under(path, places):
    return any(path == place or (place.endswith("/") and path.startswith(place)) for place in places)


def place_of(path):
    return max((place for place in PLACES if under(path, [place])), key=len, default=None)


def complaints(path, text, exists):
    """Yields what is wrong with the includes of one file; exists tells whether a path of the repository is there."""
    place = place_of(path)
    if place is None:
        yield f"{path}: belongs to no place of the tree that has a rule"
        return
    text = COMMENT.sub(lambda m: "\n" * m.group().count("\n"), text)
    for match in INCLUDE.finditer(text):
        own, angle, other = match.groups()
        where = f"{path}:{text.count(chr(10), 0, match.start()) + 1}"
        if own:
            if not exists(own):
                yield f'{where}: "{own}" is no file of the repository; write its path from the root, and <...> for headers from elsewhere'
            elif not under(own, PLACES[place]) or under(own, NOT.get(place, [])):
                yield f"{where}: {place} may not include {own}"
        elif other:
            yield f"{where}: computed include {other}"
        elif place in ("tests/", "bench/"):
            continue
        else:
            owners = next((owner for header, owner in FOREIGN if re.fullmatch(header, angle)), None)
            name = angle.removesuffix(".h")
            if owners is not None:
                if not re.fullmatch(owners, path):
                    yield f"{where}: <{angle}> belongs to {owners} alone"
            elif place.startswith("engine/"):
                if name not in ENGINE_C:
                    yield f"{where}: <{angle}> in the engine, which is pure"
            elif name not in WORLD_C and not angle.startswith(WORLD_FOLDERS):
                yield f"{where}: <{angle}> is known to no rule: give it an owner in tests/tidy/includes.py"


def check():
    files = [file for folder in ("engine", "io", "tools", "bench", "tests") for file in sorted((ROOT / folder).rglob("*.[ch]"))]
    wrong = [line for file in files
             for line in complaints(str(file.relative_to(ROOT)), file.read_text(), lambda path: (ROOT / path).is_file())]
    print("\n".join(wrong))
    print(f"{len(files)} files, {len(wrong)} wrong includes")
    return 1 if wrong or not files else 0


def self_test():
    good = [
        ("engine/base/a.c", '#include "engine/base/error.h"\n#include <stdint.h>'),
        ("engine/ring/a.c", '#include "engine/event.h"\n#include <ck_pr.h>'),
        ("engine/topo/a.c", '#include "engine/ring/ring.h"\n#include "engine/base/limits.h"'),
        ("engine/book/a.c", '#include "engine/book/book.h"\n/* #include <time.h> */\n// #include "io/ws.h"'),
        ("engine/stages/a.c", '#include "engine/codec/json.h"\n#include "engine/book/book.h"\n#include "engine/ring/frames.h"'),
        ("engine/node.c", '#include "engine/stages/view.h"'),
        ("io/uring.c", "#include <liburing.h>\n#include <sys/socket.h>"),
        ("io/tls_cipher.c", "#include <wolfssl/options.h>"),
        ("tools/cmd_run.c", '#include "io/ws.h"\n#include <jansson.h>'),
        ("tests/unit/a.c", '#include "engine/book/book.h"\n#include <criterion/criterion.h>'),
    ]
    bad = [
        ("engine/base/a.c", '#include "engine/event.h"'),
        ("engine/base/a.c", "#include <time.h>"),
        ("engine/base/a.c", "#  include <unistd.h>"),
        ("engine/base/a.c", "#include <sys/mman.h>"),
        ("engine/base/a.c", "#include <jansson.h>"),
        ("engine/event.h", '#include "engine/port.h"'),
        ("engine/ring/a.c", '#include "engine/topo/loop.h"'),
        ("engine/ring/a.c", '#include "engine/port.h"'),
        ("engine/topo/a.c", '#include "engine/event.h"'),
        ("engine/topo/a.c", '#include "engine/ring/frames.h"'),
        ("engine/topo/a.c", '#include "engine/book/book.h"'),
        ("engine/codec/a.c", '#include "engine/book/book.h"'),
        ("engine/feed/a.c", '#include "engine/codec/json.h"'),
        ("engine/book/a.c", '#include "engine/store/segment.h"'),
        ("engine/store/a.c", '#include "engine/ring/ring.h"'),
        ("engine/store/a.c", '#include "engine/stages/view.h"'),
        ("engine/stages/a.c", '#include "io/ws.h"'),
        ("engine/node.c", '#include "io/ws.h"'),
        ("engine/node.c", '#include <liburing.h>'),
        ("engine/book/a.c", '#include "book.h"'),
        ("io/ws.c", "#include <liburing.h>"),
        ("io/source_ws.c", "#include <wolfssl/ssl.h>"),
        ("io/tls.h", "#include <zlib.h>"),
        ("io/ws.c", "#include <jansson.h>"),
        ("io/ws.c", "#include <curl/curl.h>"),
        ("io/ws.c", "#include <ck_pr.h>"),
        ("io/ws.c", '#include "tools/cmd.h"'),
        ("io/ws.c", "#include HEADER"),
        ("tools/a.c", "#include <zstd.h>"),
        ("tools/a.c", '#include "bench/harness.h"'),
        ("bench/a.c", '#include "tests/a.h"'),
        ("common/a.c", ""),
    ]
    found = [file for file in good if list(complaints(*file, lambda path: "/" in path))]
    missed = [file for file in bad if not list(complaints(*file, lambda path: "/" in path))]
    for path, text in found:
        print(f"complained about {path}: {text!r}")
    for path, text in missed:
        print(f"let pass {path}: {text!r}")
    print(f"{len(good)} good and {len(bad)} planted includes, {len(found) + len(missed)} judged wrongly")
    return 1 if found or missed else 0


if __name__ == "__main__":
    sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else check())
