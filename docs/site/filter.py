"""filter.py FILE: a file of this repository as Doxygen wants it, with as many lines, on standard output.

Headers have plain comments (`/* wb_ring_claim reserves ... */`); Doxygen gets them as documentation: of the group that a header is, of the parts into which
it is ruled, of the name that follows, or of the name in front of them on the line. Pages get ids for their headings, as links have them, and links
that lead to the pages and sources of the site.
"""

import os
import posixpath
import re
import sys

ROOT = os.getcwd()
PARENTS = {"Documentation", "Decisions"}  # sections whose links are what the navigation shows beneath the page
TOC_HEADINGS = 6  # a page with so many has a table of contents


# ------------------------------------------------------------------------------------------------ headers

def escaped(text):
    """A comment's words, none of which is a command; what is between backticks stays."""
    parts = re.split(r"(`[^`\n]*`)", text)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"[\\@#%*]", r"\\\g<0>", parts[i]).replace("--", "\\--").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(doubled(part) if i % 2 else part for i, part in enumerate(parts))


def doubled(code):
    return f"``{code[1:-1]}``"  # Doxygen takes an apostrophe for the end of what one backtick began


def comment_text(lines):
    """A comment's lines without its signs."""
    text = [re.sub(r"^\s*(/\*+|\*(?!/))? ?", "", line, count=1) for line in lines]
    text[-1] = re.sub(r"\s*\*/\s*$", "", text[-1])
    return text


def documented(lines, opening="/**"):
    """The same lines as a comment of Doxygen's."""
    text = [escaped(line) for line in comment_text(lines)]
    return [f"{opening if i == 0 else ' *'} {line}" + (" */" if i == len(text) - 1 else "") for i, line in enumerate(text)]


def head(lines, group):
    """The first comment: title, sentence, and the rest as it stands."""
    text = comment_text(lines)
    name, _, what = text[0].partition(" - ")
    body = [f"/** @defgroup {group} {name}"]
    if len(text) > 1:
        body += [f" * {escaped(what)}"]
    if len(text) > 2:
        body += [f" * @verbatim {text[2]}"] + [f" {line}" for line in text[3:]]
        body[-1] += " @endverbatim"
    body[-1] += " */ /** @{ */"
    return body


def header(path, lines):
    group = re.sub(r"\W", "_", posixpath.basename(path))
    out, at, parts = [], 0, 0
    block, first, body = "", False, False  # text of the comment above; whether the next declaration is its own; within a function
    while at < len(lines):
        line, end = lines[at], at
        if "/*" in line:
            while "*/" not in lines[end]:
                end += 1
        comment = lines[at:end + 1]
        if body:
            out += comment
            body = line != "}"
        elif at == 0:
            out += head(comment, group)
        elif re.match(r"/\* -{20,} ", line):
            parts += 1
            title = " ".join(comment_text(comment)).strip("- ").replace(",", "\\,")
            out += [f"/** @}} */ /** @part{{{group}_{parts},{group},{title}}} */"] + [""] * (end - at)
        elif re.match(r"\s*/\*", line):
            out += documented(comment)
            block, first = " ".join(escaped(text) for text in comment_text(comment)), True
        else:
            declares = re.match(r"[A-Za-z_].*\(", line) and not line.startswith(("typedef", "_Static", "#"))
            code, sign, _ = line.partition("/*")
            if sign and re.search(r"[;,\w]\s*$", code) and not code.endswith("*/"):
                begin = documented([line[len(code):], *comment[1:]], "/**<")
                comment = [code + begin[0], *begin[1:]]
            if declares and block and not first:
                comment[0] = f"/** {block} */ {comment[0]}"
            if line.strip():
                first = first and not re.search(r";\s*(/\*.*)?$|^}", lines[end])
            else:
                block = ""
            out += comment
            body = bool(declares and re.search(r"\{$", lines[end])) or (line.startswith("  ") and line.endswith(") {"))
        at = end + 1
    return out + ["/** @} */ /** @file */"]


# ------------------------------------------------------------------------------------------------ pages

def slug(title):
    """The id of a heading, as those who show Markdown make it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def label(path, anchor=""):
    if path == "README.md" and not anchor:
        return "index"
    name = re.sub(r"\W", "_", path.removesuffix(".md"))
    return f"{name}__{anchor.replace('-', '_')}" if anchor else f"page_{name}"


def link(path, text, target, parent):
    """A link of the page at path, as Doxygen has it."""
    if re.match(r"[a-z]+:", target):
        return f"[{text}]({target})"
    name, _, anchor = target.partition("#")
    full = posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) if name else path
    if os.path.isdir(os.path.join(ROOT, full)):
        full += "/README.md"
        if not os.path.exists(os.path.join(ROOT, full)):
            return text
    if full.endswith(".md"):
        return f'@{"subpage" if parent and not anchor else "ref"} {label(full, anchor)} "{text.replace("`", "")}"'
    if full.endswith((".h", ".c")):
        return f'@ref {full} "{text.replace("`", "")}"'
    return f"[{text}]({posixpath.basename(full)})"


def page(path, lines):
    out, fence, parent = [], "", False
    contents = sum(line.startswith("## ") for line in lines) >= TOC_HEADINGS
    for number, line in enumerate(lines):
        if mark := re.match(r"(```+)(\S*)", line):
            fence = "" if fence else mark[1]
            out.append(mark[0] if fence else line)
            continue
        if fence:
            out.append(line)
            continue
        if title := re.match(r"(#+) (.*)", line):
            parent = title[2] in PARENTS
            out.append(f"{title[1]} {title[2].replace('`', '')} {{#{label(path, slug(title[2])) if number else label(path)}}}".removesuffix(" {#index}"))
            continue
        if number == 1 and contents and not line:
            out.append("[TOC]")
            continue
        parts = re.split(r"(``.+?``|`[^`]*`)", line)
        whole = "".join(doubled(part) if i % 2 and not part.startswith("``") else part for i, part in enumerate(parts))
        whole = re.sub(r"!\[([^\]]*)\]\(([^)\s]+)\)", lambda m: f"![{m[1]}]({posixpath.basename(m[2])})", whole)
        out.append(re.sub(r"(?<!!)\[((?:[^\[\]`]|``.+?``)+)\]\(([^)\s]+)\)", lambda m: link(path, m[1], m[2], parent), whole))
    return out


def main(path):
    path = posixpath.relpath(os.path.abspath(path), ROOT)
    with open(path) as file:
        lines = file.read().splitlines()
    print("\n".join(page(path, lines) if path.endswith(".md") else header(path, lines)))


if __name__ == "__main__":
    main(sys.argv[1])
