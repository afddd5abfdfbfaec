#!/usr/bin/env python3
"""The engine is pure: what its libraries need from outside themselves is memory and string functions, and nothing else.

symbols.py LIBRARY...   checks static libraries of the engine
symbols.py --self-test  checks that a call of the world is found
"""

import re
import subprocess
import sys

PURE = re.compile(r"""
    mem(cpy|move|set|cmp|chr|rchr|mem) | (__)?mempcpy | bcmp | strn?len | strn?cmp | str(chr|rchr|str|nstr|spn|cspn|pbrk) | strn?cpy | stpn?cpy
  | v?snprintf | abort
  | __(memcpy|memmove|memset|strcpy|strncpy|stpcpy|v?snprintf)_chk | __stack_chk_fail
  | __(u?div|u?mod)[td]i[34] | __udivmodti4 | __multi3 | __mulo?ti4 | __clz[sdt]i2 | __ctz[sdt]i2 | __popcount[sdt]i2
  | __(fix|float)(un)?s?[sdtx]f?[sdt][if]? | __cpu_(model|indicator_init|features2) | __aarch64_\w+ | __getauxval
  | _GLOBAL_OFFSET_TABLE_
""", re.X)


def impure(listing):
    """The symbols that the objects of `nm --portability` need, do not define, and that are not pure."""
    needed, defined = {}, set()
    file = "?"
    for line in listing.splitlines():
        words = line.split()
        if line.endswith(":"):
            file = line[:-1]
        elif len(words) >= 2 and words[1] in "Uw":
            needed.setdefault(words[0], file)
        elif len(words) >= 2:
            defined.add(words[0])
    return [(file, name) for name, file in sorted(needed.items()) if name not in defined and not PURE.fullmatch(name)]


def main(arguments):
    if arguments == ["--self-test"]:
        planted = "libx.a[a.o]:\nwb_a T 0 9\nwb_b U\nmemcpy U\nmalloc U\nlibx.a[b.o]:\nwb_b T 0 9\nclock_gettime U\nsnprintf U\nmmap64 U\n"
        names = [name for _, name in impure(planted)]
        print("found", names)
        return 0 if names == ["clock_gettime", "malloc", "mmap64"] else 1
    if not arguments:
        print(__doc__)
        return 2
    listing = subprocess.run(["nm", "--portability", *arguments], check=True, capture_output=True, text=True).stdout
    found = impure(listing)
    for file, name in found:
        print(f"{file} needs {name}: the engine is given time, memory and bytes, it does not fetch them")
    print(f"{len(arguments)} libraries, {len(listing.splitlines())} symbols, {len(found)} impure")
    return 1 if found or not listing.strip() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
