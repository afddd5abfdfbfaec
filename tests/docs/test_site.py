"""The site that tools/docs makes: whole, without a dead link, of use without a network."""

import html.parser
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
import xml.etree.ElementTree as tree

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"), os.path.dirname(os.path.abspath(__file__))]
import harness  # noqa: E402
import pages  # noqa: E402
from pages import ROOT  # noqa: E402

SITE = os.environ.get("WIREBOOK_SITE", f"{ROOT}/build/docs")
HEADERS = ("io/wirebook.h", "io/wirebook_shm.h")
LOADED = {"script": "src", "img": "src", "iframe": "src", "object": "data", "embed": "src", "source": "src"}


def functions_of(header):
    """The names that a C header declares or defines as functions, found by looking at its text alone."""
    with open(f"{ROOT}/{header}") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    return set(re.findall(r"^(?:WIREBOOK_API|static inline)\s[^;{]*?\b(wirebook_\w+)\(", text, re.M))


def words(element):
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def every_function_of_the_public_headers_is_there_with_its_text(directory):
    told = {}
    for name in os.listdir(f"{SITE}/xml"):
        if name.endswith(".xml") and name != "Doxyfile.xml":
            for member in tree.parse(f"{SITE}/xml/{name}").getroot().iter("memberdef"):
                if member.get("kind") == "function":
                    told[member.findtext("name")] = f"{words(member.find('briefdescription'))} {words(member.find('detaileddescription'))}".strip()
    for header in HEADERS:
        names = functions_of(header)
        assert len(names) > 9, f"{header}: only {names}"
        missing = sorted(names - told.keys())
        silent = sorted(name for name in names & told.keys() if len(told[name]) < 10)
        assert not missing and not silent, f"{header}: not on the site {missing}; without a text {silent}"
    # Words of a comment arrive as they are, those of a block at each of its functions.
    assert "reserves everything, connects to nothing yet" in told["wirebook_open"], told["wirebook_open"]
    assert told["wirebook_out_update"].startswith("Where a codec puts what a frame says"), told["wirebook_out_update"]
    assert "or -1" in told["wirebook_product_find"], told["wirebook_product_find"]


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        here = dict(attributes)
        self.ids |= {here[key] for key in ("id", "name") if here.get(key)}
        if tag == "a" and here.get("href"):
            self.links.append(here["href"])
        if tag == "link" and here.get("rel") != "search" and here.get("href"):
            self.loads.append(here["href"])
        if here.get(LOADED.get(tag, "")):
            self.loads.append(here[LOADED[tag]])


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def dead(folder):
    """What is wrong with the links of the HTML in a folder."""
    site = {name: Page(read(f"{folder}/{name}")) for name in os.listdir(folder) if name.endswith(".html")}
    wrong = []
    for name, page in site.items():
        for target in page.links + page.loads:
            if re.match(r"[a-z]+:|//", target):
                if target in page.loads and not target.startswith("javascript:"):
                    wrong.append(f"{name} loads {target}")
                continue
            path, _, anchor = target.partition("#")
            path = urllib.parse.unquote(path.partition("?")[0]) or name
            if not os.path.exists(f"{folder}/{path}"):
                wrong.append(f"{name}: no {path}")
            elif anchor and path in site and anchor not in site[path].ids:
                wrong.append(f"{name}: {path} has no #{anchor}")
    # What the navigation and the search lead to stands in scripts.
    for base, _, names in os.walk(folder):
        for script in (name for name in names if name.endswith((".js", ".css"))):
            text = read(f"{base}/{script}")
            for path, anchor in re.findall(r"""["']((?:\.\./)?[\w-]+\.html)(?:#(\w+))?["']""", text) if script.endswith(".js") else ():
                path = os.path.normpath(os.path.join(os.path.relpath(base, folder), path)) if path.startswith("../") else path
                if path not in site or anchor and anchor not in site[path].ids:
                    wrong.append(f"{script}: no {path}#{anchor}")
            wrong += [f"{script} loads {found}" for found in re.findall(r"""(?:url\(["']?|@import\s+["'])((?:https?:)?//[^"')]+)""", text)]
    return wrong, len(site), sum(len(page.links) for page in site.values())


def every_link_of_the_site_leads_to_a_place_on_it_and_nothing_is_loaded_from_elsewhere(directory):
    wrong, count, links = dead(f"{SITE}/html")
    assert count > 40 and links > 1000, f"only {count} pages with {links} links"
    assert not wrong, "\n".join(wrong[:40])
    for planted in ('<a href="nowhere.html">', '<a href="#nowhere">', '<script src="https://example.com/x.js">', '<img src="nowhere.png">'):
        with open(f"{directory}/index.html", "w") as file:
            file.write(planted)
        assert dead(directory)[0], f"{planted} was let pass"


def every_page_is_in_the_navigation_and_names_are_found_by_search(directory):
    beneath = {name: set() for name in ("README.md", "docs/adr/README.md")}
    for name, title in zip(beneath, ("Documentation", "Decisions")):
        section = "\n".join(pages.section(read(f"{ROOT}/{name}"), title))
        beneath[name] = {os.path.normpath(os.path.join(os.path.dirname(name), target)) for target in re.findall(r"\]\(([^)#]+)\)", section)}
    lost = pages.pages().keys() - {"README.md"} - set.union(*beneath.values())
    assert not lost, f"neither in the README's section Documentation nor among the decisions: {sorted(lost)}"
    entries = "".join(read(f"{SITE}/html/{name}") for name in os.listdir(f"{SITE}/html") if name.endswith(".js"))
    ids = {page: "page_" + re.sub(r"\W", "_", page.removesuffix(".md")) for page in pages.pages() if page != "README.md"}
    missing = [page for page, name in ids.items() if f"{name}.html" not in entries]
    assert len(ids) > 15 and not missing, f"not in the navigation: {missing}"
    found = "".join(read(f"{SITE}/html/search/{name}") for name in os.listdir(f"{SITE}/html/search") if name.endswith(".js"))
    for word in ("wirebook_open", "wirebook_shm_view_read", "wb_codec", "wb_frame"):
        assert f"'{word}_" in found or f"'{word}'" in found, f"search knows no {word}"


def a_link_to_nowhere_fails_the_build(directory):
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "CMakeLists.txt"):
        shutil.copy(f"{ROOT}/{name}", directory)
    for name in ("docs", "tools", "engine", "io", "bench"):
        shutil.copytree(f"{ROOT}/{name}", f"{directory}/{name}")
    with open(f"{directory}/docs/embedding.md", "a") as file:
        file.write("\n[A page that is not there](nowhere.md)\n")
    done = subprocess.run([f"{directory}/tools/docs"], capture_output=True, text=True)
    assert done.returncode != 0 and "page_docs_nowhere" in done.stdout + done.stderr, f"{done.returncode}\n{done.stdout}{done.stderr}"


if __name__ == "__main__":
    harness.main(globals())
