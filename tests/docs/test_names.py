"""What the pages name is there: options, environment, files, tests, places that links lead to. And their tables are whole."""

import os
import re
import subprocess
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"), os.path.dirname(os.path.abspath(__file__))]
import harness  # noqa: E402
import pages  # noqa: E402

EVERYWHERE = {"--help", "--check-config", "--config", "--version"}  # said once, in front of the tables
ENVIRONMENT = re.compile(r"\b((?:WIREBOOK|MOCK|PRODUCT|DATA|USE|L2UPDATE)_[A-Z_]+)\b")
# Options of other people's programs that the pages name.
FOREIGN = {"--preset", "--build", "--install", "--prefix", "--component", "--security-opt", "--test-dir", "--output-on-failure", "--static", "--cflags", "--libs", "--wrap"}


def help_of(*words):
    done = subprocess.run([harness.WIREBOOK, *words, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def commands():
    found = re.findall(r"^  ([a-z]+)  ", help_of(), re.M)
    assert {"run", "mock", "replay", "inspect"} <= set(found), found
    return found


def options_of(command):
    """option: its environment, '' for none. An option begins its line of the help."""
    found = {}
    for line in re.split(r"\n(?=  -)", help_of(command)):
        if option := re.match(r"\s+--(\[no-\])?([a-z][a-z0-9-]*)", line):
            name = ("--no-" if option[1] else "--") + option[2]
            environment = re.search(r"\[([A-Z][A-Z0-9_]+)\]", line)
            found[name] = environment[1] if environment else ""
    return found


def table_of(command):
    """The same of the table that a page has of the command's options."""
    found = {}
    for page, text in pages.pages().items():
        for line in pages.section(text, f"Options of `{command}`"):
            if line.startswith("| `--"):
                cells = re.split(r"\s*(?<!\\)\|\s*", line.strip().strip("|"))
                names = [name for code in re.findall(r"`([^`]*)`", cells[0]) for name in re.findall(r"--[a-z][a-z0-9-]*", code)]
                environment = ENVIRONMENT.findall(cells[1])
                for i, name in enumerate(names):
                    assert name not in found, f"{page}: {name} of {command} stands there twice"
                    found[name] = environment[i] if len(environment) > i else ""
    return found


def compared(command, there, told):
    """What differs between what a command has and what its table says."""
    for name in sorted(there.keys() | told.keys()):
        if name in EVERYWHERE and name not in told:
            continue
        if name not in there:
            yield f"{command}: the table has {name}, the program has not"
        elif name not in told:
            yield f"{command}: {name} is in no table"
        elif there[name] != told[name]:
            yield f"{command}: {name} is {there[name] or 'nothing'} in the environment, the table says {told[name] or 'nothing'}"


def the_options_of_every_command_are_those_of_its_table(directory):
    wrong = [line for command in commands() for line in compared(command, options_of(command), table_of(command))]
    assert not wrong, "\n".join(wrong)
    there = options_of("run")
    assert len(there) > 50, there
    for planted in ({**there, "--planted": ""}, {**there, "--depth": "WIREBOOK_PLANTED"}):
        assert list(compared("run", planted, table_of("run"))) and list(compared("run", there, planted))


def programs_options():
    """All options that something of this repository takes."""
    known = set(FOREIGN)
    for command in commands():
        known |= set(options_of(command))
        known |= {name.replace("--no-", "--") for name in options_of(command)}
    for folder in ("tools", "bench", "tests/sim", "tests/fuzz", "tests/model"):
        for base, _, names in os.walk(f"{pages.ROOT}/{folder}"):
            for name in names:
                if "corpus" not in base and "node_modules" not in base and (not os.path.splitext(name)[1] or name.endswith((".py", ".c"))):
                    with open(f"{base}/{name}", errors="replace") as file:
                        known |= pages.options_in(file.read())
    return known


def every_option_that_a_page_names_is_one(directory):
    known, named = programs_options(), {}
    for page, text in pages.pages().items():
        for number, line in enumerate(text.splitlines(), 1):
            for code in re.findall(r"`([^`]+)`", line):
                for option in pages.options_in(code):
                    named.setdefault(option.rstrip("-"), f"{page}:{number}")
    assert len(named) > 100, named
    wrong = [f"{where}: {option}" for option, where in named.items() if option not in known and not any(other.startswith(option + "-") for other in known)]
    assert not wrong, "no such options:\n" + "\n".join(wrong)
    assert "--no-such-option" not in known


def every_variable_that_a_page_names_is_read_somewhere(directory):
    read = ""
    for base, _, names in [entry for top in ("io", "tools", "tests", "docker", "bench") for entry in os.walk(f"{pages.ROOT}/{top}")] + [(pages.ROOT, (), ("docker-compose.yml", "CMakeLists.txt"))]:
        for name in names:
            if "corpus" not in base and "node_modules" not in base:
                with open(f"{base}/{name}", errors="replace") as file:
                    read += file.read()
    named = {word for text in pages.pages().values() for word in re.findall(r"`(?:-D)?(WIREBOOK_[A-Z0-9_]+)\b", text)}
    with open(f"{pages.ROOT}/io/wirebook.h") as file:
        read += file.read()
    assert len(named) > 20, named
    wrong = sorted(word for word in named if word.removesuffix("_") not in read)
    assert not wrong, f"nobody reads {wrong}"


def codes(page, text):
    """(number, what stands between backticks) of a page, a block's lines aside."""
    return [(number, code) for number, line in enumerate(pages.parse(page, text)[1], 1) for code in re.findall(r"`([^`]+)`", line)]


def wrong_commands(page, text, known):
    for number, code in codes(page, text):
        if command := re.match(r"wirebook ([a-z]+)\b(?! COMMAND)", code):
            if command[1] not in known:
                yield f"{page}:{number}: there is no {command[0]}"
            else:
                strange = pages.options_in(code) - known[command[1]] - EVERYWHERE
                yield from (f"{page}:{number}: `{code}`: no {option}" for option in strange)


def every_command_in_the_text_takes_the_options_that_it_is_given(directory):
    known = {command: set(options_of(command)) | {name.replace("--no-", "--") for name in options_of(command)} for command in commands()}
    wrong = [line for page, text in pages.pages().items() for line in wrong_commands(page, text, known)]
    assert not wrong, "\n".join(wrong)
    for planted in ("`wirebook run --planted`", "`wirebook nothing`", "`wirebook top --levels 3`"):
        assert list(wrong_commands("planted", planted, known)), planted


def missing_files(page, text):
    for number, code in codes(page, text):
        for path in re.findall(r"(?<![\w./~$-])((?:engine|io|tools|tests|bench|docker|docs|\.ci)/[\w./-]*[a-z0-9])(?![\w*<{]|/?[*<{]|/[A-Z]+\b)", code):
            if re.search(r"/(?!README)[A-Z]{3,}\b", path):
                continue  # stands for one of many
            if not any(os.path.exists(f"{pages.ROOT}/{path}{ending}") for ending in ("", ".c", ".h", ".py")):
                yield f"{page}:{number}: there is no {path}"


def every_file_that_a_page_names_is_there(directory):
    wrong = [line for page, text in pages.pages().items() for line in missing_files(page, text)]
    assert not wrong, "\n".join(wrong)
    assert list(missing_files("planted", "in `io/nothing.c`")) and not list(missing_files("planted", "`io/ws`, `tests/unit/<folder>/x.c`, `io/sink_*`"))


def missing_tests(page, text, there):
    for number, code in codes(page, text):
        code = code.replace("...", "*").replace("…", "*")
        if code.startswith(("wb_", "wirebook_")):
            continue
        if re.fullmatch(r"(unit|stress|sim|model|fuzz|bench|tidy|system|docs)\.[a-z0-9_*]+", code):
            form = re.compile(re.escape(code).replace("\\*", ".*"))
        elif re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+){4,}_?\*?", code) or re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+){2,}_\*", code):
            form = re.compile(r"(\w+\.)?" + re.escape(code).replace("\\*", ".*"))
        else:
            continue
        if not any(form.fullmatch(name) for name in there):
            yield f"{page}:{number}: there is no test {code}"


def every_test_that_a_page_names_is_one(directory):
    listed = subprocess.run(["ctest", "--test-dir", os.environ["WIREBOOK_BUILD"], "-N"], capture_output=True, text=True, check=True).stdout
    there = set(re.findall(r"Test +#\d+: (\S+)", listed))
    for base, _, names in os.walk(f"{pages.ROOT}/tests/unit"):
        for name in names:
            with open(f"{base}/{name}") as file:
                there |= set(re.findall(r"^\w*Test\(\w+, (\w+)", file.read(), re.M))
    assert len(there) > 300, there
    wrong = [line for page, text in pages.pages().items() for line in missing_tests(page, text, there)]
    assert not wrong, "\n".join(wrong)
    for planted in ("`unit.planted`", "`a_test_that_nobody_has_written`", "`a_planted_one_...`"):
        assert list(missing_tests("planted", planted, there)), planted


def broken_links(page, text):
    blocks_less = "\n".join(pages.parse(page, text)[1])
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", blocks_less)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = os.path.normpath(os.path.join(pages.ROOT, os.path.dirname(page), name)) if name else f"{pages.ROOT}/{page}"
        if not os.path.exists(path):
            yield f"{page}: no {target}"
        elif anchor:
            with open(path) as file:
                there = [pages.slug(title) for _, title in pages.headings(pages.parse(page, file.read())[1])]
            if anchor not in there:
                yield f"{page}: no {target}"


def every_link_between_pages_leads_to_a_heading(directory):
    wrong = [line for page, text in pages.pages().items() for line in broken_links(page, text)]
    assert not wrong, "\n".join(wrong)
    for planted in ("[x](nowhere.md)", "[x](#nowhere)", "[x](docs/operations.md#nowhere)"):
        assert list(broken_links("README.md", planted)), planted


def broken_tables(page, text):
    """Tables as Markdown has them: a head, a rule, rows of as many cells; a blank line ends one."""
    prose, columns = pages.parse(page, text)[1], 0
    for number, line in enumerate(prose, 1):
        cells = len(re.split(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", line.strip().strip("|")))) if line.startswith("|") else 0
        if cells and not columns and not re.fullmatch(r"\|(\s*:?-+:?\s*\|)+", prose[number].replace(" ", "") if number < len(prose) else ""):
            yield f"{page}:{number}: a row without a table"
        if cells and columns and cells != columns:
            yield f"{page}:{number}: {cells} cells, not {columns}"
        columns = cells
        if line.startswith("#") and number > 1 and prose[number - 2].strip():
            yield f"{page}:{number}: a heading wants a blank line in front of it"


def every_table_is_whole(directory):
    wrong = [line for page, text in pages.pages().items() for line in broken_tables(page, text)]
    assert not wrong, "\n".join(wrong)
    for planted in ("| a |\n", "| a | b |\n|---|---|\n| c |\n", "| a |\n|---|\n\n| b |\n", "text\n# Heading\n"):
        assert list(broken_tables("planted", planted)), planted


if __name__ == "__main__":
    harness.main(globals())
