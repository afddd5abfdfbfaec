#!/usr/bin/env python3
"""The manual pages and the completions that tools/manual makes of --help. `test_manual.py [NAME...]`."""

import glob
import gzip
import os
import pty
import re
import select
import subprocess
import time

from harness import LIMIT, WIREBOOK, main

MADE = f"{os.environ.get('WIREBOOK_BUILD', '')}/tools/install"


def run(*words, **options):
    return subprocess.run([*map(str, words)], capture_output=True, text=True, check=True, timeout=LIMIT, **options).stdout


def commands():
    return re.findall(r"^  ([a-z]+) +\S", run(WIREBOOK, "--help"), re.M)


def flags_of(text):
    """Every flag that the table of a --help lists: --[no-]store is two."""
    found = set()
    for flag in re.findall(r"^  (--\S+)", text, re.M):
        found |= {flag.replace("[no-]", ""), flag.replace("[no-]", "no-")}
    return found


def variables_of(text):
    return set(re.findall(r"^  .*\[([A-Z0-9_]+)\]$", text, re.M))


def page(command):
    with gzip.open(f"{MADE}/man/wirebook{command and '-' + command}.1.gz", "rt") as file:
        return file.read()


def each_option_of_help_is_in_the_manual_and_the_other_way_round(directory):
    pages = {os.path.basename(path) for path in glob.glob(f"{MADE}/man/*")}
    assert pages == {"wirebook.1.gz", *(f"wirebook-{command}.1.gz" for command in commands())} and len(pages) >= 8, pages
    assert set(re.findall(r"^\.It Xr wirebook-(\w+) 1$", page(""), re.M)) == set(commands())
    for command in commands():
        told = run(WIREBOOK, command, "--help")
        plain = page(command).replace("\\-", "-")
        listed = {f"-{flag}" for flag in re.findall(r"^\.It Fl (-\S+)", plain, re.M)}
        assert flags_of(plain.replace(".It Fl ", "  -")) == flags_of(told), listed
        variables = set(re.findall(r"^\.It Ev (\S+)", plain, re.M))
        assert variables == variables_of(told), (command, variables ^ variables_of(told))
        # Not a word of the help of an option is lost or altered on the way to the reader.
        shown = " ".join(re.sub(".\b", "", run("mandoc", "-T", "ascii", "-O", "width=900", input=page(command))).split())
        for words in re.findall(r"^  --\S.*?(?:  +|\n {6,})(\S.*)$", told, re.M):
            assert " ".join(words.split()) in shown, (command, words)


def mandoc_finds_nothing_wrong_with_the_manual(directory):
    for path in glob.glob(f"{MADE}/man/*.gz"):
        with gzip.open(path) as file:
            plain = f"{directory}/{os.path.basename(path)[:-3]}"
        with gzip.open(path) as file, open(plain, "wb") as to:
            to.write(file.read())
    pages = sorted(glob.glob(f"{directory}/*.1"))
    found = subprocess.run(["mandoc", "-T", "lint", "-W", "style", *pages], cwd=directory, capture_output=True, text=True)
    said = [line for line in (found.stdout + found.stderr).splitlines() if "referenced manual not found" not in line]
    assert len(pages) >= 8 and not said, said


COMPLETE = """source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_wirebook
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(*words, cwd=None):
    return set(run("bash", "--norc", "-c", COMPLETE, "bash", f"{MADE}/wirebook.bash", *words, cwd=cwd).split())


def bash_completes_commands_flags_choices_and_paths(directory):
    assert completed("wirebook", "") == {*commands(), "--help", "--version"}
    assert completed("wirebook", "re") == {"replay"}
    for command in commands():
        assert completed("wirebook", command, "-") == flags_of(run(WIREBOOK, command, "--help")), command
    assert completed("wirebook", "run", "--feed", "") == {"coinbase-exchange", "coinbase-advanced", "kraken"}
    assert completed("wirebook", "run", "--once", "--feed", "=", "k") == completed("wirebook", "run", "--feed", "k") == {"kraken"}
    assert completed("wirebook", "run", "--feed", "=") == completed("wirebook", "run", "--feed", "")
    assert completed("wirebook", "run", "--store", "--no-s") == {"--no-store"}
    assert completed("wirebook", "run", "--compress", "") == {"none", "zstd"} and completed("wirebook", "run", "--seconds", "") == set()
    assert completed("wirebook", "ctl", "") == {"add", "remove"}
    os.makedirs(f"{directory}/folder")
    open(f"{directory}/file", "w").close()
    assert completed("wirebook", "replay", "f", cwd=directory) == completed("wirebook", "run", "--ca", "f", cwd=directory) == {"file", "folder"}
    assert completed("wirebook", "run", "--data", "f", cwd=directory) == {"folder"}


def typed(shell, prepare, text, want):
    """Types text and a tab into an interactive shell on a terminal of its own, until it shows what is wanted."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="dumb", PS1="$ ", HISTFILE="")
        os.execvp(shell[0], shell)
    seen, end, sent = "", time.monotonic() + LIMIT, False
    os.write(terminal, f"{prepare}; echo rea''dy\n".encode())
    try:
        while want not in seen.split("\nready")[-1] or not sent:
            assert time.monotonic() < end and select.select([terminal], [], [], max(0, end - time.monotonic()))[0], f"never {want!r} in {seen!r}"
            seen += os.read(terminal, 4096).decode(errors="replace").replace("\r", "\n")
            if "\nready" in seen and not sent:
                os.write(terminal, f"{text}\t".encode())
                sent = True
    finally:
        os.close(terminal)
        os.kill(child, 9)
        os.waitpid(child, 0)


def a_tab_in_bash_and_in_zsh_completes_what_was_begun(directory):
    bash, zsh = ["bash", "--norc", "--noprofile", "-i"], ["zsh", "-f", "-i"]
    in_bash = f"source {MADE}/wirebook.bash"
    in_zsh = f"fpath=({MADE} $fpath); autoload -U compinit; compinit -u -D"
    for text, want in (("wirebook rep", "wirebook replay"), ("wirebook run --product-r", "--product-room"), ("wirebook run --feed k", "--feed kraken"),
                       ("wirebook mock --scenario-a", "--scenario-after")):
        typed(bash, in_bash, text, want)
        typed(zsh, in_zsh, text, want)


if __name__ == "__main__":
    main(globals())
