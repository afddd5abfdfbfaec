#!/usr/bin/env python3
"""The library: programs of others, in the tree and outside of it. `test_embed.py [NAME...]`.

WIREBOOK_EXAMPLES: the folder of the examples as built in the tree; WIREBOOK_BUILD: the tree that is installed for those outside ("": no library here)."""

import glob
import os
import shutil
import subprocess

from harness import HERE, SLOW, main, mock, same
from peer import Peer, frame
from test_node import BOOK

EXAMPLES = os.environ["WIREBOOK_EXAMPLES"]
BUILD = os.environ["WIREBOOK_BUILD"]
SOURCES = os.path.join(HERE, "..", "..", "tools", "examples")
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def run(*words, code=0, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60 * SLOW, **options)
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def one_snapshot(directory):
    """An exchange with a single message: its address."""
    with open(f"{directory}/one.jsonl", "w") as file:
        file.write('{"type":"snapshot","product_id":"BTC-USD","bids":[["100.25","1.5"],["99","2"]],"asks":[["100.5","2"]],"time":"2026-08-02T05:43:52.535977Z"}\n')
    return mock("--from", f"{directory}/one.jsonl", "--rate", "max").url


def same_book(directory, program, **options):
    exchange = mock("--product", "BTC-USD", "--messages", int(20000 / SLOW), "--rate", "max", "--levels", 500, "--once", "--depth", 1000, "--report",
                    f"{directory}/mock.json")
    said = run(program, "BTC-USD", exchange.url, f"{directory}/node.json", **options)
    exchange.ends(0)
    same(f"{directory}/mock.json", f"{directory}/node.json", *BOOK)
    assert f"1 snapshots, {int(20000 / SLOW)} updates" in said and "the node's book" in said, said


def a_program_is_told_every_change_on_the_nodes_threads(directory):
    same_book(directory, f"{EXAMPLES}/example_own_threads")


def a_program_polls_a_node_that_has_no_thread(directory):
    said = run(f"{EXAMPLES}/example_touch", "BTC-USD", one_snapshot(directory))
    assert said == "BTC-USD live 100.25 100.5\n", said


def a_codec_of_the_programs_own_makes_the_book(directory):
    def talk(client, _):
        client.upgrade()
        asked = client.read()
        assert asked == (1, b"join book BTC-USD"), asked
        for line in ("# hello", "S BTC-USD", "P BTC-USD bid 100.25 3", "P BTC-USD ask 100.50 1", "P BTC-USD bid 99.00 7", "P BTC-USD ask 100.50 0", "P BTC-USD ask 101.00 2"):
            client.text(line)
        client.send(frame(b"\x03\xe8", opcode=8))
        client.wait_close()

    peer = Peer(talk)
    said = run(f"{EXAMPLES}/example_own_codec", "BTC-USD", peer.url)
    assert said == "bid 100.25 3\nbid 99 7\nask 101 2\n" and not peer.errors, (said, peer.errors)


def what_cannot_be_is_refused_with_a_word(directory):
    for program, words, what in (("touch", ["btc usd", "ws://127.0.0.1:1/"], "no product id"), ("touch", ["BTC-USD", "http://127.0.0.1/"], "scheme"),
                                 ("own_codec", ["BTC-USD", "ws://"], "host")):
        done = subprocess.run([f"{EXAMPLES}/example_{program}", *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and what in done.stderr, (words, done)


def installed(place):
    prefix = f"{place}/prefix"
    run("cmake", "--install", BUILD, "--prefix", prefix)
    flags = glob.glob(f"{prefix}/**/wirebook.pc", recursive=True)
    assert len(flags) == 1, flags
    folder = os.path.dirname(flags[0])
    return prefix, {**os.environ, "PKG_CONFIG_PATH": folder, "LD_LIBRARY_PATH": os.path.dirname(folder)}


def outside_the_tree_pkg_config_builds_c99_and_cpp17(directory):
    prefix, env = installed(directory)
    flags = run("pkg-config", "--cflags", "--libs", "wirebook", env=env).split()
    url = one_snapshot(directory)
    shutil.copy(f"{SOURCES}/touch.c", directory)
    for compiler, *standard in (["cc", "-std=c99"], ["c++", "-std=c++17", "-x", "c++", "-Wno-missing-field-initializers"]):
        run(compiler, *standard, *STRICT, "touch.c", *flags, "-o", "touch", cwd=directory, env=env)
        assert run(f"{directory}/touch", "BTC-USD", url, env=env) == "BTC-USD live 100.25 100.5\n"
        assert "libwirebook.so.0 => " + prefix in run("ldd", f"{directory}/touch", env=env)
    lines = [line for line in open(f"{SOURCES}/touch.c") if line.strip() and not line.startswith(("#", "/*", " *"))]
    assert len(lines) <= 20, len(lines)
    # The static library brings everything of ours, and wants the rest as pkg-config says.
    run("cc", "-std=c99", *STRICT, f"{SOURCES}/own_threads.c", *run("pkg-config", "--cflags", "wirebook", env=env).split(), f"{os.path.dirname(env['PKG_CONFIG_PATH'])}/libwirebook.a",
        *[word for word in run("pkg-config", "--static", "--libs", "wirebook", env=env).split() if word != "-lwirebook"], "-o", "threads", cwd=directory, env=env)
    assert "libwirebook" not in run("ldd", f"{directory}/threads")
    same_book(directory, f"{directory}/threads")


def outside_the_tree_find_package_builds_with_both_libraries(directory):
    prefix, env = installed(directory)
    os.makedirs(f"{directory}/project")
    shutil.copy(f"{SOURCES}/touch.c", f"{directory}/project")
    with open(f"{directory}/project/CMakeLists.txt", "w") as file:
        file.write("cmake_minimum_required(VERSION 3.25)\nproject(outside C)\nfind_package(wirebook 0.1 REQUIRED)\n"
                   "add_executable(shared touch.c)\ntarget_link_libraries(shared wirebook::wirebook)\n"
                   "add_executable(static touch.c)\ntarget_link_libraries(static wirebook::static)\n")
    run("cmake", "-G", "Ninja", "-S", f"{directory}/project", "-B", f"{directory}/out", f"-DCMAKE_PREFIX_PATH={prefix}", env=env)
    run("cmake", "--build", f"{directory}/out", env=env)
    url = one_snapshot(directory)
    for kind in ("shared", "static"):
        assert run(f"{directory}/out/{kind}", "BTC-USD", url) == "BTC-USD live 100.25 100.5\n", kind
    assert "libwirebook" not in run("ldd", f"{directory}/out/static")


def nothing_but_its_own_names_is_seen_of_the_library(directory):
    prefix, env = installed(directory)
    folder = os.path.dirname(env["PKG_CONFIG_PATH"])
    shared = [line.split()[-1] for line in run("nm", "-D", "--defined-only", f"{folder}/libwirebook.so").splitlines()]
    static = [line.split()[-1] for line in run("nm", "-g", "--defined-only", f"{folder}/libwirebook.a").splitlines() if " " in line]
    names = {name.split("@")[0] for name in shared} - {"WIREBOOK_0"}
    assert names == set(static) and len(names) > 20 and all(name.startswith("wirebook_") for name in names), names ^ set(static)
    assert all(name == "WIREBOOK_0" or name.endswith("@@WIREBOOK_0") for name in shared), shared
    header = open(f"{prefix}/include/wirebook.h").read()
    assert all(f" {name}(" in header or f"*{name}(" in header for name in names), "each has its line in the header"


if __name__ == "__main__":
    main(globals())
