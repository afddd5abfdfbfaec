#!/usr/bin/env python3
"""The Debian packages of tools/package, and the unit in them. `test_package.py [NAME...]`."""

import fcntl
import glob
import os
import re
import shutil
import subprocess

import harness
from harness import HERE, LIMIT, main, mock

ROOT = os.path.dirname(os.path.dirname(HERE))
PACKAGES = ("wirebook", "libwirebook0", "libwirebook-dev")


def run(*words, **options):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=10 * LIMIT, **options)
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def packages(place):
    """The three packages, {name: file}: built under a lock, copied to place."""
    os.makedirs(f"{ROOT}/build", exist_ok=True)
    with open(f"{ROOT}/build/package.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = run(f"{ROOT}/tools/package").split()[-3:]
        files = {run("dpkg-deb", "-f", file, "Package", cwd=ROOT).strip(): shutil.copy(f"{ROOT}/{file}", place) for file in made}
    assert set(files) == set(PACKAGES), files
    return files


def unpacked(directory, names=PACKAGES):
    files = packages(directory)
    for name in names:
        run("dpkg-deb", "-x", files[name], f"{directory}/root")
    return f"{directory}/root"


def field(file, name):
    return run("dpkg-deb", "-f", file, name).strip()


def contents(file):
    """{path: the line that tells of it}"""
    return {line.split()[5][1:]: line for line in run("dpkg-deb", "-c", file).splitlines()}


def version():
    return re.search(r"^project\(wirebook VERSION (\S+)", open(f"{ROOT}/CMakeLists.txt").read(), re.M)[1]


def each_package_holds_what_it_is_for_and_needs_what_it_links(directory):
    files = packages(directory)
    inside = {name: contents(file) for name, file in files.items()}
    library = next(path for path in inside["libwirebook0"] if path.endswith("libwirebook.so.0"))
    folder = os.path.dirname(library)
    assert re.fullmatch(r"/usr/lib/[\w-]+-linux-gnu", folder), folder
    wanted = {
        "wirebook": ["/usr/bin/wirebook", "/etc/wirebook/wirebook.yaml", "/usr/lib/systemd/system/wirebook.service", "/usr/lib/systemd/system/wirebook@.service",
                     "/usr/lib/sysusers.d/wirebook.conf", "/usr/share/man/man1/wirebook.1.gz", "/usr/share/man/man1/wirebook-run.1.gz",
                     "/usr/share/bash-completion/completions/wirebook", "/usr/share/zsh/vendor-completions/_wirebook",
                     "/usr/share/wirebook/seccomp-io_uring.json", "/usr/share/doc/wirebook/operations.md"],
        "libwirebook0": [library, f"{library}.{version().split('.', 1)[1]}"],
        "libwirebook-dev": ["/usr/include/wirebook.h", "/usr/include/wirebook_shm.h", f"{folder}/libwirebook.a", f"{folder}/libwirebook.so",
                            f"{folder}/pkgconfig/wirebook.pc", f"{folder}/cmake/wirebook/wirebookConfig.cmake",
                            "/usr/share/doc/libwirebook-dev/examples/touch.c", "/usr/share/wirebook/wirebook_shm.py"],
    }
    for name, file in files.items():
        wanted[name] += [f"/usr/share/doc/{name}/copyright", f"/usr/share/doc/{name}/changelog.gz"]
        missing = [path for path in wanted[name] if path not in inside[name]]
        assert not missing, (name, missing)
        others = {path for other in PACKAGES if other != name for path in inside[other] if not path.endswith("/")}
        assert not others & set(inside[name]), (name, others & set(inside[name]))
        loose = [line for line in inside[name].values() if line.split()[1] != "root/root" or "w" in line[5] + line[8] and line[0] != "l"]
        assert not loose, loose
        assert field(file, "Version") == version() and field(file, "Maintainer") and field(file, "Description"), name
    strangers = [path for path in inside["libwirebook0"] if "/usr/bin" in path or path.endswith((".h", ".so", ".a"))]
    assert not strangers, "two versions of the library may be there at once"
    assert run("dpkg-deb", "-I", files["wirebook"], "conffiles") == "/etc/wirebook/wirebook.yaml\n"
    assert "ldconfig" in run("dpkg-deb", "-I", files["libwirebook0"], "triggers")
    assert f"libwirebook0 (= {version()})" in field(files["libwirebook-dev"], "Depends")
    # Each library that is linked is of a package that is depended on, and of those that are depended on each is linked, but for what is said here.
    for name, path in (("wirebook", "/usr/bin/wirebook"), ("libwirebook0", f"{library}.{version().split('.', 1)[1]}")):
        run("dpkg-deb", "-x", files[name], f"{directory}/{name}")
        linked = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", f"{directory}/{name}{path}"))
        owners = {run("dpkg-query", "-S", f"*/{soname}").split(":")[0] for soname in linked if not soname.startswith("ld-")}
        depends = {each.split()[0] for each in field(files[name], "Depends").split(", ")}
        assert depends - {"ca-certificates"} == owners, (name, depends ^ owners)
    licence = run("sh", "-c", f"cat {directory}/wirebook/usr/share/doc/wirebook/copyright")
    assert "GPL-2.0-or-later" in licence and "wolfSSL" in licence and "/usr/share/common-licenses/GPL-2" in licence and "MIT License" in licence
    if shutil.which("lintian"):  # too much for tools/setup, welcome where it is
        run("lintian", "--allow-root", "--fail-on", "error", *files.values())


def the_program_of_the_package_runs_as_it_lies_there_with_its_own_file_of_options(directory):
    root = unpacked(directory, ["wirebook"])
    harness.WIREBOOK = f"{root}/usr/bin/wirebook"
    assert run(harness.WIREBOOK, "--version") == f"wirebook {version()}\n"
    told = run(harness.WIREBOOK, "run", "--config", f"{root}/etc/wirebook/wirebook.yaml", "--check-config", cwd=directory)
    assert re.search(r"^product +BTC-USD +# file ", told, re.M), told
    # Each option that the file offers behind a '#' is one.
    offered = f"{directory}/offered.yaml"
    with open(f"{root}/etc/wirebook/wirebook.yaml") as file, open(offered, "w") as to:
        to.write("".join(re.sub(r"^# ([a-z-]+: )", r"\1", line) for line in file))
    assert len(re.findall(r"# file ", run(harness.WIREBOOK, "run", "--config", offered, "--check-config"))) >= 7
    exchange = mock("--product", "BTC-USD", "--messages", 100, "--rate", "max", "--once")
    harness.node(exchange.url, directory, "--config", f"{root}/etc/wirebook/wirebook.yaml", "--once").ends(0)
    assert harness.load(f"{directory}/report.json")["products"]["BTC-USD"]["updates"] == 100


def programs_build_with_the_packages_by_pkg_config_and_find_package(directory):
    root = unpacked(directory)
    folder = os.path.dirname(glob.glob(f"{root}/usr/lib/*/libwirebook.so.0")[0])
    env = {**os.environ, "PKG_CONFIG_PATH": f"{folder}/pkgconfig", "LD_LIBRARY_PATH": folder}
    assert run("pkg-config", "--modversion", "wirebook", env=env).strip() == version()
    examples = f"{root}/usr/share/doc/libwirebook-dev/examples"
    flags = run("pkg-config", "--cflags", "--libs", "wirebook", env=env).split()
    run("cc", "-Wall", "-Werror", f"{examples}/touch.c", *flags, "-o", f"{directory}/touch", env=env)
    assert folder in run("ldd", f"{directory}/touch", env=env)
    run("cc", "-Wall", "-Werror", f"-I{root}/usr/include", f"{examples}/other_process.c", "-o", f"{directory}/other")
    os.makedirs(f"{directory}/project")
    with open(f"{directory}/project/CMakeLists.txt", "w") as file:
        file.write(f"cmake_minimum_required(VERSION 3.25)\nproject(outside C)\nfind_package(wirebook {version()} REQUIRED)\n"
                   f"foreach(kind wirebook static)\n  add_executable(t_${{kind}} {examples}/touch.c)\n  target_link_libraries(t_${{kind}} wirebook::${{kind}})\n"
                   "endforeach()\n")
    run("cmake", "-G", "Ninja", "-S", f"{directory}/project", "-B", f"{directory}/out", f"-DCMAKE_PREFIX_PATH={root}/usr", env=env)
    run("cmake", "--build", f"{directory}/out", env=env)
    for program in ("touch", "out/t_wirebook", "out/t_static"):
        done = subprocess.run([f"{directory}/{program}", "BTC-USD", "http://127.0.0.1/"], capture_output=True, text=True, env=env, timeout=LIMIT)
        assert done.returncode == 1 and "scheme" in done.stderr, (program, done)


def expanded(group, known={}):
    """The system calls of a group of systemd's."""
    if group not in known:
        known[group] = set()
        for word in re.findall(r"^    (@?[a-z_]\S*)$", run("systemd-analyze", "syscall-filter", group), re.M):
            known[group] |= expanded(word) if word[0] == "@" else {word}
    return known[group]


def the_unit_is_one_that_systemd_takes_and_its_filter_lets_through_what_a_node_calls(directory):
    root = unpacked(directory, ["wirebook"])
    units = f"{root}/usr/lib/systemd/system"
    os.makedirs(f"{directory}/units")
    for name, one in (("wirebook.service", ""), ("wirebook@.service", "wirebook@a.service")):
        with open(f"{units}/{name}") as file:
            text = file.read()
        with open(f"{directory}/units/{one or name}", "w") as file:
            file.write(text.replace("/usr/bin/wirebook", f"{root}/usr/bin/wirebook"))
        told = subprocess.run(["systemd-analyze", "verify", "--man=no", f"{directory}/units/{one or name}"], capture_output=True, text=True, timeout=LIMIT)
        ours = [line for line in told.stderr.splitlines() if "wirebook" in line]
        assert told.returncode == 0 and not ours, told.stderr
        run("systemd-analyze", "security", "--offline=true", "--threshold=20", f"{directory}/units/{one or name}")
    settings = dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Z]\w+=", line))
    assert settings["Type"] == "notify" and int(settings["WatchdogSec"]) > 0 and settings["KillMode"] == "mixed", settings
    assert "--config /etc/wirebook/%i.yaml" in settings["ExecStart"] and settings["StateDirectory"] == "wirebook/%i" and "%i" in settings["RuntimeDirectory"]
    # What the node says to be ready, and to end, must come before systemd has lost its patience.
    service = open(f"{ROOT}/tools/service.h").read()
    assert int(settings["TimeoutStartSec"]) > int(re.search(r"WB_SERVICE_READY_NS \(UINT64_C\((\d+)\)", service)[1])
    ends = open(f"{ROOT}/io/node_run.c").read()
    waits = [int(ns) // 10**9 for ns in re.findall(r"(?:CLOSE|ARCHIVE)_TIMEOUT_NS = UINT64_C\((\d+)\)", ends)]
    told = run(f"{root}/usr/bin/wirebook", "run", "--check-config")
    assert len(waits) == 2 and int(settings["TimeoutStopSec"]) > sum(waits) + int(re.search(r"^grace +(\d+)", told, re.M)[1]), waits
    allowed = set()
    for words in re.findall(r"^SystemCallFilter=(.*)$", text, re.M):
        for word in words.split():
            allowed |= expanded(word) if word[0] == "@" else {word}
    source = open(f"{ROOT}/io/confine_calls.c").read()
    listed = set(re.findall(r'"([a-z_0-9]+)"', re.search(r"listed\[\] = \{(.*?)\};", source, re.S)[1]))
    assert len(listed) > 100 and not listed - allowed, listed - allowed
    assert {"io_uring_setup", "landlock_restrict_self", "seccomp", "execve", "clone3"} <= allowed


if __name__ == "__main__":
    main(globals())
