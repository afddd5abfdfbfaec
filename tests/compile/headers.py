#!/usr/bin/env python3
"""Every header compiles by itself as C11, in any order and twice.

headers.py COMPILER [FLAG...]   COMPILER may be several, separated by commas
"""

import concurrent.futures
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STRICT = ["-std=c11", "-D_GNU_SOURCE", '-DWB_VERSION="test"', "-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes",
          "-Wundef", "-Wno-unused-parameter", "-Werror", "-fsyntax-only", "-I", str(ROOT), "-x", "c", "-"]


# Text that other files include after defining what it needs, and that therefore cannot stand alone.
TEMPLATES = {"engine/codec/coinbase_shapes.h"}


def compile_text(compiler, flags, text):
    result = subprocess.run([compiler, *flags, *STRICT], input=text, capture_output=True, text=True)
    return "" if result.returncode == 0 else result.stderr or f"{compiler} failed"


def main(arguments):
    if not arguments:
        print(__doc__)
        return 2
    compilers, flags = arguments[0].split(","), [flag for flag in arguments[1:] if flag]
    headers = sorted({str(file.relative_to(ROOT)) for top in ("engine", "io") for file in (ROOT / top).rglob("*.h")} - TEMPLATES)
    jobs = [(compiler, f'#include "{header}"\n' * 2) for compiler in compilers for header in headers]
    jobs += [(compiler, "".join(f'#include "{header}"\n' for header in order)) for compiler in compilers
             for order in (headers, headers[::-1])]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda job: compile_text(job[0], flags, job[1]), jobs))
    for (compiler, text), trouble in zip(jobs, results):
        if trouble:
            print(f"{compiler}, {text.splitlines()[0]}\n{trouble}")

    # The test itself: a header that needs another one first must be found.
    with tempfile.NamedTemporaryFile("w", suffix=".h") as planted:
        planted.write("uint64_t wb_planted(void);\n")
        planted.flush()
        blind = [compiler for compiler in compilers if not compile_text(compiler, flags, f'#include "{planted.name}"\n')]
    for compiler in blind:
        print(f"{compiler} let a header pass that does not stand alone")
    failed = sum(1 for trouble in results if trouble)
    print(f"{len(headers)} headers, {len(compilers)} compilers, {len(jobs)} units, {failed} failed")
    return 1 if failed or blind or not headers else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
