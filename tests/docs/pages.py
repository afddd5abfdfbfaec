"""What the pages hold: fenced blocks, statements of a shell, headings, links, options named."""

import os
import re
import subprocess
from dataclasses import dataclass

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "bench/README.md")


@dataclass
class Block:
    page: str
    line: int
    language: str
    mark: str  # what stands behind the language
    text: str

    def __str__(self):
        return f"{self.page}:{self.line}"


def pages():
    """path: text, of all there are."""
    paths = [*TOP, *(f"{folder}/{name}" for folder in ("docs", "docs/adr") for name in sorted(os.listdir(f"{ROOT}/{folder}")) if name.endswith(".md"))]
    found = {}
    for path in paths:
        with open(f"{ROOT}/{path}") as file:
            found[path] = file.read()
    return found


def parse(page, text):
    """The blocks of a page, and its text with them left out: as many lines, so that numbers stay."""
    blocks, prose, inside = [], [], None
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"\s*```+\s*(\S*)\s*(.*?)\s*$", line)
        if fence and inside is None:
            inside = Block(page, number, fence[1], fence[2], "")
        elif fence:
            blocks.append(inside)
            inside = None
        elif inside:
            inside.text += line + "\n"
        prose.append("" if inside or fence else line)
    assert inside is None, f"{page}: a block without an end"
    return blocks, prose


def blocks(*languages):
    return [block for page, text in pages().items() for block in parse(page, text)[0] if block.language in languages]


def statements(text):
    """A script's commands, each with the lines that belong to it."""
    found, lines = [], text.splitlines()
    while lines:
        statement = lines.pop(0)
        while lines and (statement.endswith("\\") or subprocess.run(["bash", "-n", "-c", statement], capture_output=True).returncode):
            statement += "\n" + lines.pop(0)
        if heredoc := re.search(r"<<-?\s*'?(\w+)'?", statement):
            while lines and lines[0].strip() != heredoc[1]:
                statement += "\n" + lines.pop(0)
            statement += "\n" + lines.pop(0)
        if statement.strip() and not statement.lstrip().startswith("#"):
            found.append(statement)
    return found


def slug(title):
    return re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()).replace(" ", "-")


def headings(prose):
    """(level, title) of each heading."""
    return [(len(found[1]), found[2]) for line in prose if (found := re.match(r"(#+) (.*)", line))]


def section(text, title):
    """The lines of a section, down to the next heading of its level."""
    lines, level = [], 0
    for line in text.splitlines():
        heading = re.match(r"(#+) (.*)", line)
        if level and heading and len(heading[1]) <= level:
            break
        if level:
            lines.append(line)
        elif heading and heading[2] == title:
            level = len(heading[1])
    return lines


def options_in(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text))
