#!/usr/bin/env python3
"""The dashboard, in a real browser, of a real node. `test_dashboard.py [NAME...]`. Pictures of it go to build/dashboard."""

import gzip
import hashlib
import http.client
import json
import os
import random
import signal
import subprocess
import time
import urllib.parse

from harness import HERE, LIMIT, SLOW, Program, main, mock, reported, wait_until

ROOT = os.path.abspath(f"{HERE}/../..")
PAGES = f"{ROOT}/io/dashboard"
MODULES = f"{ROOT}/build/npm/node_modules"
PICTURES = f"{os.environ.get('WIREBOOK_BUILD', ROOT + '/build')}/dashboard"
TOKEN = "a-token-of-the-tests-0123456789"
STILL = ("--rate", 0.001)  # a mock that sends a snapshot, and then nothing for a long time


def modules():
    subprocess.run([f"{ROOT}/tools/npm/fetch"], check=True)
    return MODULES


class Browser:
    """A page in Chromium, driven by clients/dashboard.mjs. At the end nothing was asked of another machine, and nothing was complained of."""

    def __init__(self, url, allowed=(), **options):
        self.child = subprocess.Popen(["node", f"{HERE}/clients/dashboard.mjs", modules()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        Program.all.append(self.child)
        self.allowed = allowed
        self.open(url, **options)

    def __getattr__(self, name):
        return lambda *words: self.tell(name, *words)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.blameless()
        self.child.stdin.close()
        self.child.wait(LIMIT)

    def tell(self, name, *words):
        self.child.stdin.write(json.dumps([name, *words]) + "\n")
        self.child.stdin.flush()
        answer = json.loads(self.child.stdout.readline() or '{"error": "the browser ended"}')
        if "error" in answer:
            said = "" if name in ("open", "seen") else f"\nthe page says: {self.tell('evaluate', 'document.body.innerText')[:3000]}\n{self.tell('seen')}"
            raise AssertionError(f"{name} {words}: {answer['error']}{said}")
        return answer["value"]

    def open(self, url, **options):
        self.tell("open", url, options)

    def wait(self, expression):
        return self.tell("wait", expression, LIMIT * 1000)

    def text(self, selector):
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).textContent")

    def live(self):
        self.wait("document.querySelector('#link').dataset.state === 'up' && document.querySelector('#bids tbody tr')")

    def blameless(self):
        seen = self.seen()
        elsewhere = [url for url in seen["requests"] if urllib.parse.urlsplit(url).hostname not in (None, "127.0.0.1")]
        complaints = [text for text in seen["complaints"] if not any(part in text for part in self.allowed)]
        assert not elsewhere and not complaints, (elsewhere, complaints)
        return seen["requests"]


def served(directory, *words, products="BTC,ETH", exchange=(), port=0, env=None):
    """A node with a face, and the mock it reads; .page is where its dashboard is."""
    source = mock("--product", products, "--levels", 200, *exchange)
    program = listening(source.url, directory, "--product", products, *words, port=port, env=env)
    return program, source


def listening(url, directory, *words, port=0, env=None):
    program = Program("run", "--url", url, "--data", f"{directory}/data", "--report", f"{directory}/report.json", "--console", "off", "--listen",
                      f"127.0.0.1:{port}", *words, env=env)
    program.wait_for("listening on http")
    program.page = program.out["stderr"].split("listening on ")[1].split()[0].rstrip("/") + "/"
    return program


def plain(text):
    """A decimal without the zeros that a column is filled with."""
    return text.rstrip("0").rstrip(".") if "." in text else text


# ---------------------------------------------------------------------------------------------- files


def the_libraries_of_the_dashboard_are_what_npm_pins_byte_by_byte(directory):
    def bytes_of(path):
        with open(path, "rb") as file:
            return file.read()
    at = modules()
    with open(f"{PAGES}/vendor/NOTICE") as file:
        notice = file.read()
    for package, names in {"uplot": ("dist/uPlot.iife.min.js", "dist/uPlot.min.css", "LICENSE"),
                           "lightweight-charts": ("dist/lightweight-charts.standalone.production.mjs", "LICENSE")}.items():
        with open(f"{at}/{package}/package.json") as file:
            version = json.load(file)["version"]
        for name in names:
            here = {"uplot": "uPlot.LICENSE", "lightweight-charts": "lightweight-charts.LICENSE"}[package] if name == "LICENSE" else os.path.basename(name)
            assert bytes_of(f"{PAGES}/vendor/{here}") == bytes_of(f"{at}/{package}/{name}"), f"{here} is not {package} {version}'s"
        assert f"version {version}" in notice, f"NOTICE does not say {package} {version}"
    expected = {"uPlot.iife.min.js", "uPlot.min.css", "uPlot.LICENSE", "lightweight-charts.standalone.production.mjs", "lightweight-charts.LICENSE", "NOTICE"}
    assert set(os.listdir(f"{PAGES}/vendor")) == expected


def what_the_dashboard_makes_of_events_holds_against_slow_models(directory):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    subprocess.run(["node", f"{HERE}/clients/dashboard_model.mjs", PAGES, str(seed)], check=True)


if __name__ == "__main__":
    main(globals())
