#!/usr/bin/env python3
"""The dashboard, in a real browser, of a real node. `test_dashboard.py [NAME...]`. Pictures of it go to build/dashboard."""

import gzip
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import urllib.parse

from harness import HERE, LIMIT, Program, main, mock, reported

ROOT = os.path.abspath(f"{HERE}/../..")
PAGES = f"{ROOT}/io/dashboard"
MODULES = f"{ROOT}/build/npm/node_modules"
PICTURES = f"{os.environ.get('WIREBOOK_BUILD', ROOT + '/build')}/dashboard"
GONE = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET")  # what a browser complains of when its peer ends
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
    program.wait_for("listening at http")
    program.page = program.out["stderr"].split("listening at ")[1].split()[0].rstrip("/") + "/"
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
    pages = shutil.copytree(PAGES, f"{directory}/pages")
    with open(f"{pages}/package.json", "w") as file:
        file.write('{"type": "module"}')  # as the page's <script> says
    subprocess.run(["node", f"{HERE}/clients/dashboard_model.mjs", pages, str(seed)], check=True)

def fetch(page, path, method="GET", **headers):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(page).netloc, timeout=LIMIT)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def every_file_of_the_dashboard_is_served_as_it_lies_here_with_strict_headers(directory):
    program, _ = served(directory, "--listen-rate", 10000, exchange=STILL)
    names = [os.path.relpath(os.path.join(folder, name), PAGES) for folder, _, files in os.walk(PAGES) for name in files if name != "embed.cmake"]
    assert len(names) > 15
    for name in names:
        with open(f"{PAGES}/{name}", "rb") as file:
            expected = file.read()
        path = "/" if name == "index.html" else f"/dashboard/{name}"
        answer, body = fetch(program.page, path)
        assert answer.status == 200 and body == expected and not answer.getheader("Content-Encoding"), (name, answer.status)
        policy = answer.getheader("Content-Security-Policy")
        assert "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy, policy
        assert answer.getheader("X-Content-Type-Options") == "nosniff" and answer.getheader("Cache-Control") == "no-cache"
        kind = {"html": "text/html", "css": "text/css", "js": "text/javascript", "mjs": "text/javascript", "svg": "image/svg+xml"}.get(name.split(".")[-1], "text/plain")
        assert answer.getheader("Content-Type").startswith(kind), (name, answer.getheader("Content-Type"))
        zipped, body = fetch(program.page, path, Accept_Encoding="deflate, GZIP , br")
        assert zipped.getheader("Content-Encoding") == "gzip" and gzip.decompress(body) == expected, name
        assert not fetch(program.page, path, Accept_Encoding="gzip;q=0, identity")[0].getheader("Content-Encoding")
        assert zipped.getheader("ETag") != answer.getheader("ETag")
        for tag in (answer.getheader("ETag"), zipped.getheader("ETag"), "W/" + answer.getheader("ETag"), '"other" , ' + answer.getheader("ETag"), "*"):
            same, body = fetch(program.page, path, If_None_Match=tag)
            assert same.status == 304 and not body, (name, tag, same.status)
        for tag in ('"other"', "", ",,", '"'):
            assert fetch(program.page, path, If_None_Match=tag)[0].status == 200, (name, tag)
        head, body = fetch(program.page, path, "HEAD")
        assert head.status == 200 and not body and int(head.getheader("Content-Length")) == len(expected)


def what_is_no_file_of_the_dashboard_is_not_found(directory):
    program, _ = served(directory, exchange=STILL)
    for path in ("/dashboard/", "/dashboard/nothing.js", "/dashboard/embed.cmake", "/dashboard/vendor/", "/dashboard/../dashboard.h", "/dashboard/%2e%2e/dashboard.h",
                 "/dashboard/vendor/../../../etc/passwd", "/dashboard/%00", "/dashboard/vendor/" + "x" * 200, "/dashboard/app.js/", "/dashboard"):
        answer, _ = fetch(program.page, path)
        assert answer.status == 404, (path, answer.status)
    assert fetch(program.page, "/", "POST")[0].status == 405


# ---------------------------------------------------------------------------------------------- what it shows


def the_page_shows_the_book_that_the_report_has(directory):
    program, _ = served(directory, "--lines", 2, exchange=STILL)
    with Browser(program.page) as page:
        page.live()
        report = reported(program, f"{directory}/report.json")
        for product in ("BTC-USD", "ETH-USD"):
            page.evaluate(f"document.querySelector('tr[data-product={product}]').click()")
            expected = report["products"][product]
            page.wait(f"document.querySelector('#product-title').textContent === '{product}' && document.querySelectorAll('#bids tbody tr').length === 20 && "
                      f"Number(document.querySelector('#bids tbody td:last-child').textContent) === {expected['best_bid']}")
            for where, key in {"#best-bid": "best_bid", "#best-ask": "best_ask", "#spread": "spread", "#mid": "mid", "#mid-average": "mid_average",
                               f"tr[data-product={product}] td:nth-child(2)": "best_bid", f"tr[data-product={product}] td:nth-child(3)": "best_ask"}.items():
                assert plain(page.text(where)) == plain(expected[key]), (product, where, page.text(where), expected[key])
            for side, order in {"bids": (1, 0), "asks": (0, 1)}.items():
                rows = page.evaluate(f"[...document.querySelectorAll('#{side} tbody tr')].map(({{ cells }}) => [...cells].map(({{ textContent }}) => textContent))")
                shown = [[plain(row[at]) for at in order] for row in rows]
                assert shown == [[plain(text) for text in level] for level in expected[side][:20]], (product, side)
        page.evaluate("document.querySelector('#depth').value = '50', document.querySelector('#depth').dispatchEvent(new Event('change'))")
        page.wait("document.querySelectorAll('#asks tbody tr').length === 50")
        page.wait("/bids 50 levels/.test(document.querySelector('#depth-chart').ariaLabel)")


def lines_and_log_and_latencies_stand_as_the_report_has_them(directory):
    program, _ = served(directory, "--lines", 2, exchange=("--rate", 50))
    with Browser(program.page) as page:
        page.live()
        page.wait("document.querySelector('#lines tbody').rows.length === 2 && !document.querySelector('#wire-panel').hidden && !document.querySelector('#exchange-panel').hidden")
        page.wait("Number(document.querySelector('#messages').textContent) > 50")
        lines = page.evaluate("[...document.querySelectorAll('#lines tbody tr')].map(({ cells }) => [...cells].map(({ textContent }) => textContent))")
        assert [line[:2] for line in lines] == [["A", "live"], ["B", "live"]], lines
        report = reported(program, f"{directory}/report.json")
        number = lambda text: int(text.replace(",", ""))
        for line, there in zip(lines, report["lines"]):
            assert 0 <= number(line[2]) <= there["wins"] and 0 <= number(line[3]) <= there["duplicates"] and 0 < number(line[7]) <= there["messages"], (line, there)
            assert line[10] == there["url"]
        store = page.evaluate("Object.fromEntries([...document.querySelectorAll('#store div')].map(({ children: [name, value] }) => [name.textContent, value.textContent]))")
        assert store["Folder"] == f"{directory}/data" and store["Dropped"] == "0 frames, 0 B" and store["Gaps"] == "0" and store["Disk errors"] == "0", store
        assert "iB" in store["Free on disk"] and 0 < number(store["Frames stored"]) <= report["stored_frames"], store
        said = page.evaluate("document.querySelector('#wire-chart').ariaLabel")
        assert "p50" in said and "max" in said and "s" in said, said


def trades_and_bars_are_shown_where_the_node_has_them(directory):
    program, source = served(directory, "--channel", "level2_batch,heartbeat,matches", "--bars", "time=1", exchange=("--rate", 100))
    without = listening(source.url, f"{directory}/without", "--product", "BTC,ETH", "--no-store")
    with Browser(program.page) as page:
        page.live()
        page.wait("document.querySelector('#trades tbody').rows.length >= 3 && !document.querySelector('#trades-panel').hidden")
        for row in page.evaluate("[...document.querySelectorAll('#trades tbody tr')].map(({ cells }) => [...cells].map(({ textContent }) => textContent))"):
            assert row[1] in ("buy", "sell") and float(row[2]) > 0 and float(row[3]) > 0 and row[0].count(":") == 2, row
        last = reported(program, f"{directory}/report.json")["products"]["BTC-USD"]["trades"]
        page.wait(f"[...document.querySelectorAll('#trades tbody tr')].some(({{ cells: [time, taker, price, size] }}) => time.textContent === '{last['last_time'][11:23]}' && "
                  f"taker.textContent === '{last['last_side']}' && Number(price.textContent) === {last['last_price']} && Number(size.textContent) === {last['last_size']})")
        page.wait("!document.querySelector('#price-choice').hidden")
        page.evaluate("document.querySelector('#price-kind').value = 'bars', document.querySelector('#price-kind').dispatchEvent(new Event('change'))")
        page.wait("/^Bars of trades of BTC-USD.*[0-9]+ bars?, from/.test(document.querySelector('#price').ariaLabel)")
        page.open(without.page)
        page.live()
        assert page.evaluate("document.querySelector('#trades-panel').hidden && document.querySelector('#price-choice').hidden"), "no trades, no panel"


def a_product_that_is_fetched_anew_shows_its_reason(directory):
    program, _ = served(directory, exchange=("--rate", 50, "--scenario", "badnumber", "--scenario-repeat"))
    with Browser(program.page) as page:
        page.live()
        page.wait("[...document.querySelectorAll('#alarms tbody tr')].some(({ cells }) => /^(BTC|ETH)-USD$/.test(cells[1].textContent) && /^(stale|resyncing|was fetched anew): .*bad_number/.test(cells[2].textContent))")
        page.wait("[...document.querySelectorAll('#alarms tbody tr')].some(({ cells }) => cells[1].textContent === 'node' && /rejected: bad_number/.test(cells[2].textContent))")
        page.wait("Number(document.querySelector('#troubles').textContent.split(',')[1]) >= 1")
        page.wait("document.querySelector('#said').textContent.length > 5")


def a_product_that_never_came_shows_its_state_and_reason_and_since_when(directory):
    program, _ = served(directory, products="BTC,ETH", exchange=("--rate", 20, "--scenario", "errorproduct", "--scenario-repeat"))
    with Browser(program.page) as page:
        page.live()
        row = "tr[data-product=ETH-USD]"
        page.wait(f"/^(waiting|stale|resyncing): .+ · /.test(document.querySelector('{row} .why').textContent)")
        report = reported(program, f"{directory}/report.json")["products"]["ETH-USD"]
        assert report["state"] != "live"
        page.evaluate(f"document.querySelector('{row}').click()")
        page.wait("/^(waiting|stale|resyncing): .+, since [0-9:]+ UTC$/.test(document.querySelector('#product-state').textContent)")
        page.evaluate("document.querySelector('#find').value = 'live', document.querySelector('#find').dispatchEvent(new Event('input'))")
        assert page.evaluate("[...document.querySelectorAll('#products tbody tr')].filter(({ hidden }) => !hidden).map(({ dataset }) => dataset.product)") == ["BTC-USD"]


# ---------------------------------------------------------------------------------------------- when the node goes, or hangs, or asks


def the_page_says_when_the_node_goes_and_comes_back_by_itself(directory):
    program, source = served(directory, exchange=STILL)
    with Browser(program.page, allowed=GONE) as page:
        page.live()
        port = urllib.parse.urlsplit(program.page).port
        program.signal()
        program.ends(0)
        page.wait("!document.querySelector('#gone').hidden && document.querySelector('#link').dataset.state === 'down'")
        assert "has not answered since" in page.text("#gone")
        assert page.text("#best-bid") != "–", "what it said last is still there"
        listening(source.url, directory, "--product", "BTC,ETH", port=port)
        page.wait("document.querySelector('#gone').hidden && document.querySelector('#link').dataset.state === 'up'")
        for said in ("does not answer: ", "was started anew"):
            page.wait(f"[...document.querySelectorAll('#alarms tbody td:last-child')].some(({{ textContent }}) => textContent.startsWith('{said}'))")
        page.wait("document.querySelector('#live').textContent === '2 of 2'")


def a_node_that_comes_back_with_other_products_is_shown(directory):
    program, _ = served(directory, products="BTC,ETH", exchange=STILL)
    other = mock("--product", "LTC,SOL", *STILL)
    with Browser(program.page, allowed=(*GONE, "404")) as page:
        page.live()
        program.signal()
        program.ends(0)
        listening(other.url, directory, "--product", "LTC,SOL", port=urllib.parse.urlsplit(program.page).port)
        page.wait("document.querySelector('#product-title').textContent === 'LTC-USD' && document.querySelectorAll('#products tbody tr').length === 2 && "
                  "document.querySelectorAll('#bids tbody tr').length === 20 && document.querySelector('#gone').hidden")


def the_page_says_when_the_node_hangs(directory):
    program, _ = served(directory, exchange=STILL)
    with Browser(program.page) as page:
        page.live()
        program.signal(signal.SIGSTOP)
        page.wait("/says nothing/.test(document.querySelector('#gone').textContent) && !document.querySelector('#gone').hidden")
        program.signal(signal.SIGCONT)
        page.wait("document.querySelector('#gone').hidden && document.querySelector('#link').dataset.state === 'up'")


def a_token_is_asked_for_once_and_never_stands_in_a_url(directory):
    program, _ = served(directory, exchange=STILL, env={"WIREBOOK_LISTEN_TOKEN": TOKEN})
    with Browser(program.page, allowed=("401",)) as page:
        page.wait("document.querySelector('#token-dialog').open && document.activeElement.id === 'token'")
        page.press("Escape")
        assert page.evaluate("document.querySelector('#token-dialog').open"), "there is nothing to see without"
        page.type("not the token of this node")
        page.press("Enter")
        page.wait("/does not take/.test(document.querySelector('#token-wrong').textContent) && document.querySelector('#token-dialog').open")
        page.type(TOKEN)
        page.press("Enter")
        page.live()
        page.blameless()
        page.reload()
        page.live()
        assert not page.evaluate("document.querySelector('#token-dialog').open"), "it is asked for once a tab"
        seen = page.blameless()
        assert seen and not any("token" in url for url in seen), seen
        assert page.evaluate("localStorage.length") == 0 and TOKEN not in page.evaluate("document.documentElement.outerHTML + location.href + document.cookie")


# ---------------------------------------------------------------------------------------------- for everybody


def checks():
    with open(f"{HERE}/clients/dashboard_checks.js") as file:
        return file.read()


def settled(page):
    """Something of everything is on the page."""
    page.live()
    page.wait("document.querySelector('#lines tbody').rows.length === 2 && !document.querySelector('#wire-panel').hidden && document.querySelector('#alarms tbody').rows.length > 0 && "
              "document.querySelector('#trades tbody').rows.length > 0 && document.querySelector('#price canvas') && document.querySelector('#rate-chart canvas')")


def busy(at):
    """A node with two lines, trades, bars, and something to complain of now and then."""
    return served(at, "--lines", 2, "--channel", "level2_batch,heartbeat,matches", "--bars", "time=1", products="BTC,ETH,LTC",
                  exchange=("--rate", 50, "--scenario", "badnumber", "--scenario-repeat", "--scenario-after", 150))[0]


def dark_and_light_and_on_a_phone_all_can_be_read_and_named(directory):
    program = busy(directory)
    os.makedirs(PICTURES, exist_ok=True)
    with Browser(program.page) as page:
        for scheme in ("dark", "light"):
            for name, (width, height) in {"desk": (1400, 900), "tablet": (820, 1100), "phone": (360, 740)}.items():
                page.open(program.page, colorScheme=scheme, viewport={"width": width, "height": height})
                settled(page)
                assert page.evaluate("document.documentElement.dataset.theme") == scheme
                wrong = page.evaluate(checks())
                page.picture(f"{PICTURES}/{scheme}_{name}.png", True)
                assert not wrong, (scheme, name, wrong)
        page.evaluate("document.querySelector('#theme').value = 'dark', document.querySelector('#theme').dispatchEvent(new Event('change'))")
        page.wait("document.documentElement.dataset.theme === 'dark'")
        page.reload()
        page.live()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark", "the choice stays"
        page.media({"colorScheme": "light", "reducedMotion": "reduce"})
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.evaluate("document.querySelector('#theme').value = 'system', document.querySelector('#theme').dispatchEvent(new Event('change'))")
        page.wait("document.documentElement.dataset.theme === 'light'")


def the_checks_find_what_is_planted(directory):
    program, _ = served(directory, exchange=STILL)
    planted = {
        "contrast": "document.querySelector('#product-title').style.color = 'gray'",
        "control without a name": "document.querySelector('#pause').textContent = ''",
        "choice without a name": "document.querySelector('#depth').parentElement.firstChild.data = ''",
        "without a caption": "document.querySelector('#lines caption').remove()",
        "without scope": "document.querySelector('#bids th').removeAttribute('scope')",
        "says nothing in words": "document.querySelector('#price').removeAttribute('aria-label')",
        "wide in a window": "document.querySelector('main').style.width = '3000px'",
        "not by keys": "document.querySelector('#book').removeAttribute('tabindex'), document.querySelector('#book').style.maxHeight = '50px'",
        "names nothing": "document.querySelector('#store-title').remove()",
        "too small": "document.querySelector('#pause').style = 'min-height: 0; height: 10px'",
        "not one main": "document.querySelector('main').replaceWith(...document.querySelector('main').children)",
    }
    with Browser(program.page) as page:
        for what, plant in planted.items():
            page.open(program.page)
            page.live()
            page.evaluate("document.querySelector('#pause').click()")
            wrong = page.evaluate(checks())
            assert not wrong, wrong
            page.evaluate(f"void ({plant})")
            assert any(what in text for text in page.evaluate(checks())), f"{what} is not found"


def everything_can_be_done_by_keys(directory):
    program, _ = served(directory, products="BTC,ETH,LTC", exchange=STILL)
    focus = "document.activeElement.closest('tr')?.dataset.product ?? document.activeElement.id"
    with Browser(program.page) as page:
        page.live()
        page.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.wait("document.activeElement.getBoundingClientRect().top >= 0")
        page.press("Enter")
        assert page.evaluate(focus) == "product"
        page.evaluate("document.activeElement.blur()")
        page.open(program.page)
        page.live()
        reached = []
        while len(reached) < 40:
            page.press("Tab")
            at = page.evaluate("document.activeElement === document.body ? null : document.activeElement.closest('tr')?.dataset.product ?? (document.activeElement.id || document.activeElement.textContent)")
            if at is None or reached[:1] == [at]:
                break
            style = page.evaluate("(({ outlineStyle, outlineWidth }) => [outlineStyle, parseFloat(outlineWidth)])(getComputedStyle(document.activeElement))")
            assert style[0] != "none" and style[1] >= 1, f"the focus on {at} is not seen"
            reached.append(at)
        assert {"pause", "theme", "find", "BTC-USD", "depth", "book"} <= set(reached), reached
        assert "ETH-USD" not in reached, "one row of the list is enough to tab through"
        page.evaluate("document.querySelector('#find').focus()")
        page.press("Tab")
        for key, at in (("ArrowDown", "ETH-USD"), ("ArrowDown", "LTC-USD"), ("ArrowDown", "LTC-USD"), ("Home", "BTC-USD"), ("ArrowUp", "BTC-USD"), ("End", "LTC-USD"), ("ArrowUp", "ETH-USD")):
            page.press(key)
            assert page.evaluate(focus) == at, (key, page.evaluate(focus))
        assert page.text("#product-title") == "BTC-USD", "the focus alone chooses nothing"
        page.press("Enter")
        page.wait("document.querySelector('#product-title').textContent === 'ETH-USD' && document.title === 'ETH-USD – wirebook'")
        page.wait("document.querySelector('tr[data-product=ETH-USD]').ariaSelected === 'true' && document.querySelector('tr[data-product=BTC-USD]').ariaSelected === 'false'")
        assert page.evaluate(focus) == "ETH-USD", "choosing leaves the focus where it is"
        page.evaluate("document.querySelector('#find').focus()")
        page.type("ltc")
        page.press("Tab")
        page.press("Enter")
        page.wait("document.querySelector('#product-title').textContent === 'LTC-USD'")
        page.evaluate("document.querySelector('#pause').focus()")
        page.press("Space")
        assert page.evaluate("document.querySelector('#pause').ariaPressed") == "true"
        page.reload()
        page.wait("document.querySelector('#product-title').textContent === 'LTC-USD'")


def of_400_products_those_that_stand_still_are_not_drawn_again(directory):
    products = ",".join(f"P{number:03}-USD" for number in range(400))
    program, _ = served(directory, "--no-store", products=products, exchange=("--levels", 20, *STILL))
    with Browser(program.page) as page:
        page.live()
        page.wait("document.querySelectorAll('#products tbody tr').length === 400 && document.querySelector('#live').textContent === '400 of 400'")
        page.wait("[...document.querySelectorAll('#products tbody tr')].every(({ cells }) => cells[4].textContent === '0')")
        page.evaluate("window.changes = 0, window.was = document.querySelector('#up').textContent, void new MutationObserver((list) => (window.changes += list.length))"
                      ".observe(document.querySelector('#products tbody'), { subtree: true, childList: true, characterData: true, attributes: true })")
        for _ in range(3):
            page.wait("document.querySelector('#up').textContent !== window.was && ((window.was = document.querySelector('#up').textContent), true)")
        assert page.evaluate("window.changes") < 40, f"{page.evaluate('window.changes')} changes to a list in which an update comes every 2.5 s"
        page.evaluate("window.changes = 0, document.querySelector('tr[data-product=P399-USD]').click()")
        page.wait("document.querySelector('#product-title').textContent === 'P399-USD'")
        page.wait("window.changes > 0")
        assert page.evaluate("window.changes") < 40, f"choosing touches two rows, not {page.evaluate('window.changes')}"


if __name__ == "__main__":
    main(globals())
