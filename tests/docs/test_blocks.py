"""The blocks of the pages hold: commands run, code compiles, data is what it says it is."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"), os.path.dirname(os.path.abspath(__file__))]
import harness  # noqa: E402
import pages  # noqa: E402
from shell import BUILD, ENVIRONMENT, Shell, World, scratch  # noqa: E402

# Why a block of commands is not run; nothing else is a reason.
REASONS = {
    "installs": "installs packages or builds everything: what continuous integration runs",
    "long": "takes minutes to hours",
    "live": "is of use with the exchange itself only",
    "docker": "needs Docker",
    "place": "names folders, hosts or programs that the reader's machine has",
    "build": "is about a build that is not this one",
}
LANGUAGES = {"sh", "console", "text", "json", "yaml", "python", "c", "js", "sql"}
COMMAND = re.compile(r"^\s*(\$ |wirebook [a-z]|tools/|bench/|build/|docker |cmake |sudo |apt|curl |promtool )")


def at_work(directory, work):
    world = World(directory)
    try:
        work(world)
    finally:
        world.end()


def every_block_says_what_it_is_and_hides_no_commands(directory):
    wrong = []
    for page, text in pages.pages().items():
        blocks, prose = pages.parse(page, text)
        for block in blocks:
            if block.language not in LANGUAGES:
                wrong.append(f"{block}: language {block.language!r}")
            if block.language in ("sh", "sql") and block.mark and block.mark not in REASONS:
                wrong.append(f"{block}: {block.mark!r} is no reason")
            if block.language == "text" and any(COMMAND.match(line) for line in block.text.splitlines()):
                wrong.append(f"{block}: a command in a block of text is run by nobody")
        for number, line in enumerate(prose, 1):
            if line.startswith("    ") and line.strip() and number > 1 and not prose[number - 2].strip():
                wrong.append(f"{page}:{number}: an indented block says not what it is; fence it")
    assert not wrong, "\n".join(wrong)


def shape(shown):
    """What output is like that was shown: other numbers, other distances."""
    pattern = re.escape(shown.strip())
    pattern = re.sub(r"(?:\\\.){3}|…", ".*", pattern)
    pattern = re.sub(r"\d(?:[\d:,T]|\\[.-](?=\d))*Z?", r"[\\d:,.TZ-]+", pattern)
    pattern = re.sub(r"(?:\\ )+", r"\\s+", pattern)
    pattern = re.sub(r"(?<=\+)(?:ns|us|ms)\b", "(?:ns|us|ms|s)", pattern)
    return re.sub(r"(?<=\+)(?:k|M)?B\b", "(?:B|[kM]B)", pattern)


def abridged(text):
    """JSON in which some of it is left out, as `...`."""
    return json.loads(re.sub(r"(?<=[{\[])\s*\.\.\.\s*|,\s*\.\.\.\s*(?=[,}\]])", "", text))


def transcript(shell, text):
    """Runs what stands behind each `$ `; each line shown after it has to be there, in its shape, in order."""
    steps = [[part.split("\n", 1)[0], *part.split("\n")[1:]] for part in re.split(r"^\$ ", text, flags=re.M)[1:]]
    assert steps, "no command"
    for command, *shown in steps:
        if shown and shown[0].startswith(("{", "[")):
            the_same_keys(abridged("\n".join(shown)), json.loads(shell.run(command)), f"`{command}`")
            continue
        lines, at = [line.strip() for line in shell.run(command).splitlines()], 0
        for line in filter(str.strip, shown):
            found = next((i for i in range(at, len(lines)) if re.fullmatch(shape(line), lines[i])), None)
            assert found is not None, f"`{command}` does not say, or not there:\n{line}\nbut:\n" + "\n".join(lines)
            at = found + 1


@contextlib.contextmanager
def alone(text):
    """Names in shared memory are the machine's: one at a time."""
    with open(f"{tempfile.gettempdir()}/wirebook-docs-{os.getuid()}.lock", "w") as lock:
        if "--shm" in text:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def played(world, block, number):
    with alone(block.text):
        play(world, block, number)


def play(world, block, number):
    shell = Shell(world, scratch(world, f"block{number}"))
    try:
        if block.language == "console":
            transcript(shell, block.text)
        else:
            for statement in pages.statements(block.text):
                shell.run(statement)
        shell.end()
    finally:
        shell.close()


def every_block_of_commands_runs_as_it_stands(directory):
    blocks = [block for block in pages.blocks("sh", "console") if not block.mark]
    assert len(blocks) >= 10, blocks
    at_work(directory, lambda world: (world.installed(), harness.all_at_once(lambda number, block: played(world, block, number), blocks, 3)))


def a_block_that_is_wrong_is_found(directory):
    def work(world):
        for number, (language, text) in enumerate((("sh", "wirebook run --no-such-option\n"), ("sh", "wirebook inspect ./nothing\nwirebook doctor\n"),
                                                   ("sh", "wirebook run --messages 5 &\nfalse\n"), ("console", "$ wirebook --version\nwirebook x.1.0\n"),
                                                   ("console", "$ wirebook run --check-config\nno-such-key 1 default\n"),
                                                   ("console", '$ curl -s http://127.0.0.1:8080/healthz\n{"status":"ok","planted":1}\n'))):
            try:
                played(world, pages.Block("planted", number, language, "", text), number)
            except AssertionError:
                continue
            raise AssertionError(f"let pass: {text}")
        played(world, pages.Block("good", 0, "console", "", "$ wirebook --version\nwirebook 7.8.9\n"), "good")
    at_work(directory, work)


def said_by_help(program, *words):
    done = subprocess.run([program, *words, "--help"], capture_output=True, text=True, cwd=pages.ROOT, timeout=30)
    return done.stdout + done.stderr


def unrun(statement):
    """What is wrong with a statement as far as it can be told without running it."""
    words = re.sub(r"(^|\s)#.*", "", statement)
    for match in re.finditer(r"(?:^|[;&|(]\s*|\s)((?:tools|bench|docker|\.ci)/[\w/.-]+)", words):
        path = match[1]
        if not os.path.exists(f"{pages.ROOT}/{path}"):
            yield f"there is no {path}"
        elif words.startswith(path):
            known = pages.options_in(said_by_help(f"{pages.ROOT}/{path}"))
            yield from (f"{path} has no {option}" for option in pages.options_in(words) - known)
    if match := re.match(r"build/\w+/tests/(fuzz_\w+|sim)\b", words):
        program = f"{BUILD}/tests/{match[1]}"
        if match[1] != "sim" and not os.path.exists(f"{pages.ROOT}/tests/fuzz/{match[1]}.c"):
            yield f"there is no {match[1]}"
        elif os.path.exists(program):
            yield from (f"{program} has no {option}" for option in pages.options_in(words) - pages.options_in(said_by_help(program)))
    for preset in re.findall(r"--preset (\w+)", words):
        if f'"{preset}"' not in open(f"{pages.ROOT}/CMakePresets.json").read():
            yield f"there is no preset {preset}"
    if "docker compose" in words:
        with open(f"{pages.ROOT}/docker-compose.yml") as file:
            services = set(re.findall(r"^  ([\w-]+):$", file.read().split("\nservices:\n")[1], re.M))
        named = re.search(r"docker compose \w+((?: [\w-]+)*)", words)[1].split()
        yield from (f"there is no service {name}" for name in named if not name.startswith("-") and name not in services)
    if match := re.match(r"wirebook [a-z]+\b", words):
        checked = subprocess.run(["bash", "-c", words.strip() + " --check-config"], capture_output=True, text=True, timeout=30,
                                 env={**ENVIRONMENT, "PATH": f"{os.path.dirname(harness.WIREBOOK)}:{os.environ['PATH']}"})
        if checked.returncode:
            yield f"--check-config: {checked.stdout}{checked.stderr}"


def a_block_that_is_not_run_has_a_reason_and_names_what_there_is(directory):
    wrong, checked = [], 0
    for block in pages.blocks("sh"):
        if not block.mark:
            continue
        syntax = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
        wrong += [f"{block}: {syntax.stderr}"] if syntax.returncode else []
        for statement in pages.statements(block.text):
            checked += 1
            wrong += [f"{block}: `{statement}`: {why}" for why in unrun(statement)]
    assert checked >= 10, checked
    assert not wrong, "\n".join(wrong)
    for planted in ("tools/quickstart --no-such", "tools/nothing", "cmake --preset none", "docker compose up nobody", "wirebook run --no-such", "bench/run --no-such"):
        assert list(unrun(planted)), f"let pass: {planted}"


def the_same_keys(shown, real, where):
    """Each member that is shown is there, and is of its kind."""
    if isinstance(shown, dict):
        assert isinstance(real, dict), where
        for key, value in shown.items():
            assert key in real, f"{where} has no {key}"
            the_same_keys(value, real[key], f"{where}.{key}")
    elif isinstance(shown, list) and shown and isinstance(real, list) and real:
        the_same_keys(shown[0], real[0], f"{where}[0]")
    elif shown is not None and real is not None:
        assert isinstance(real, type(shown)) or {type(real), type(shown)} == {int, float}, f"{where} is {real!r}, not like {shown!r}"


def json_is_json_and_reports_have_the_members_that_are_shown(directory):
    reports = {"mock report": mock_report(directory)}
    blocks = pages.blocks("json")
    assert blocks
    for block in blocks:
        try:
            shown = json.loads(block.text)
        except ValueError as error:
            raise AssertionError(f"{block}: {error}") from None
        if block.mark:
            assert block.mark in reports, f"{block}: what is {block.mark!r}?"
            the_same_keys(shown, reports[block.mark], f"{block}: {block.mark}")
    assert any(block.mark == "mock report" for block in blocks)


def mock_report(directory):
    exchange = harness.mock("--once", "--messages", 120, "--rate", "max", "--report", f"{directory}/mock.json")
    harness.Program("run", "--url", exchange.url, "--once", "--no-store", "--console", "off").ends(0)
    exchange.ends(0)
    return harness.load(f"{directory}/mock.json")


def settings_in_yaml_are_taken_as_they_stand(directory):
    blocks = pages.blocks("yaml")
    for block in blocks:
        assert block.mark in ("", "prometheus", "kubernetes"), f"{block}: what is {block.mark!r}?"
        with open(f"{directory}/config.yaml", "w") as file:
            file.write(block.text)
        if not block.mark:
            harness.Program("run", "--config", f"{directory}/config.yaml", "--check-config").ends(0)
    assert any(not block.mark for block in blocks)


def python_runs(directory):
    def work(world):
        for number, block in enumerate(blocks):
            if block.mark == "place":  # what it needs may not be here
                compile(block.text, str(block), "exec")
                continue
            place = scratch(world, f"python{number}")
            words = [world.segment] if block.mark == "SEGMENT" else []
            assert block.mark in ("", "SEGMENT"), f"{block}: what is {block.mark!r}?"
            done = subprocess.run([sys.executable, "-", *words], input=block.text, cwd=place, capture_output=True, text=True, timeout=60, env=world.environment)
            assert done.returncode == 0, f"{block}:\n{done.stdout[-2000:]}{done.stderr}"
            if words:  # the reader in the page against the program's own
                frames = subprocess.run([harness.WIREBOOK, "inspect", "--frames", "--json", world.segment], capture_output=True, text=True, check=True).stdout
                numbers = [json.loads(line)["number"] for line in frames.splitlines()]
                assert sorted(int(line.split()[0]) for line in done.stdout.splitlines()[1:]) == sorted(numbers) and len(numbers) > 250, f"{block}: other frames"
    blocks = pages.blocks("python")
    assert any(block.mark == "SEGMENT" for block in blocks)
    at_work(directory, work)


def javascript_is_javascript(directory):
    node = shutil.which("node")
    if not node:
        sys.exit(77)
    for number, text in enumerate([block.text for block in pages.blocks("js")] + ["const planted = await ;"]):
        with open(f"{directory}/{number}.mjs", "w") as file:
            file.write(text)
        checked = subprocess.run([node, "--check", f"{directory}/{number}.mjs"], capture_output=True, text=True)
        assert (checked.returncode == 0) != ("planted" in text), f"{text}\n{checked.stderr}"


def c_compiles_against_what_is_installed_and_runs(directory):
    blocks = pages.blocks("c")
    if not os.path.exists(f"{BUILD}/libwirebook.a"):
        sys.exit(77)

    def work(world):
        found = {**world.environment, **world.installed()}
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "wirebook"], env=found, capture_output=True, text=True, check=True).stdout.split()
        for number, block in enumerate(blocks):
            place = scratch(world, f"c{number}")
            with open(f"{place}/block.c", "w") as file:
                file.write(block.text)
            subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "block.c", *flags, "-o", "block"], cwd=place, check=True)
            if "int main" in block.text:
                done = subprocess.run(["./block", world.exchange.url], cwd=place, env=found, capture_output=True, text=True, timeout=60)
                assert done.returncode == 0 and done.stdout, f"{block}: {done.returncode}\n{done.stdout}{done.stderr}"
    assert blocks
    at_work(directory, work)


if __name__ == "__main__":
    harness.main(globals())
