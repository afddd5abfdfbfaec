#!/usr/bin/env python3
"""Products: chosen from a list, many of them, over several connections, added and removed while the node runs. `test_products.py [NAME...]`."""

import datetime
import http.server
import json
import os
import signal
import socket
import subprocess
import threading

from harness import LIMIT, Program, load, logged, main, mock, node, reported, same, wait_until
from peer import Client

BOOK = [f"--field={name}" for name in "best_bid best_bid_size best_ask best_ask_size bid_levels ask_levels bids asks".split()]


class Rest:
    """A REST API on 127.0.0.1 that answers every GET with one text; .asked are the paths and who asked."""

    def __init__(self, text, status=200):
        rest = self
        rest.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                rest.asked.append((self.path, self.headers.get("User-Agent")))
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/products"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def row(id, price="0.01", size="0.00000001", status="online", **more):
    base, quote = id.split("-", 1)
    return {"id": id, "base_currency": base, "quote_currency": quote, "quote_increment": price, "base_increment": size, "status": status, **more}


class Watched:
    """A node that listens at a control socket, and whose report is asked for again and again."""

    def __init__(self, directory, url, *words, **options):
        self.path, self.control = f"{directory}/report.json", f"{directory}/control/ctl"
        os.makedirs(f"{directory}/control", exist_ok=True)
        self.program = node(url, directory, "--control", self.control, *words, **options)
        self.program.wait_for("layout")

    def report(self):
        return reported(self.program, self.path)

    def until(self, condition, what):
        def holds():
            self.last = self.report()
            return condition(self.last)
        wait_until(holds, what)
        return self.last

    def live(self, count):
        return self.until(lambda report: sum(product["state"] == "live" for product in report["products"].values()) == count, f"{count} live books")

    def ctl(self, *words, code=0):
        return Program("ctl", "--control", self.control, *words).ends(code).out["stdout"].splitlines()

    def end(self, exchange):
        """The exchange ends first, so that the books are what it sent last."""
        exchange.signal(signal.SIGINT)
        exchange.ends(0)
        self.until(lambda report: all(line["state"] != "live" for line in report["lines"]), "the end of every connection")
        self.program.signal(signal.SIGINT)
        self.program.ends(0)
        return load(self.path)


def replayed(directory, products):
    Program("replay", "--product", products, "--depth", 1000, "--console", "off", "--report", f"{directory}/replay.json", f"{directory}/data").ends(0)
    return load(f"{directory}/replay.json")


def ids_of(count):
    return [f"P{i}-USD" for i in range(count)]


# ------------------------------------------------------------------------------------------------ chosen from a list


def a_list_over_rest_chooses_products_and_says_their_units(directory):
    rest = Rest(json.dumps([row("BTC-USD"), row("ETH-USD", size="0.000000001"), row("OLD-USD", status="delisted"), row("DOGE-USD"), row("ETH-EUR")]))
    exchange = mock("--product", "BTC,ETH,DOGE,ETH-EUR,OLD", "--rate", 100)
    watched = Watched(directory, exchange.url, "--product", "*-USD,!DOGE-*", "--products-from", rest.url)
    report = watched.live(2)
    assert list(report["products"]) == ["BTC-USD", "ETH-USD"], list(report["products"])
    assert len(rest.asked) == 1 and rest.asked[0][1].startswith("wirebook/"), rest.asked
    watched.end(exchange)
    rest.close()


def what_cannot_be_chosen_is_refused_before_anything_is_opened(directory):
    with open(f"{directory}/list.json", "w") as file:
        json.dump({"products": [{"product_id": "BTC-USD", "price_increment": "0.01", "base_increment": "0.00000001", "quote_currency_id": "USD", "status": "online"}]}, file)
    with open(f"{directory}/none.json", "w") as file:
        file.write('{"message":"not today"}')
    refusing = Rest("{}", status=503)
    for words, hint in [(["--product", "all", "--url", "ws://127.0.0.1:1/"], "--products-from"),
                        (["--product", "BTX", "--products-from", f"{directory}/list.json"], "did you mean BTC-USD?"),
                        (["--product", "*-EUR", "--products-from", f"{directory}/list.json"], "chooses none of the 1 products"),
                        (["--product", "all", "--products-from", f"{directory}/none.json"], "no list of products"),
                        (["--product", "all", "--products-from", f"{directory}/nowhere"], "cannot read"),
                        (["--product", "all", "--products-from", refusing.url], "answered 503"),
                        (["--product", "all", "--products-from", "http://127.0.0.1:1/products"], "127.0.0.1:1"),
                        (["--connections", "0"], "must be auto or 1 to 1"), (["--connections", "2"], "must be auto or 1 to 1"),
                        (["--connections", "3", "--lines", "8", "--product", "A,B,C,D"], "must be auto or 1 to 2"), (["--connections", "x"], "must be auto"),
                        (["--product", "A,B", "--connections", "2", "--weights", f"{directory}/none.json"], "is no report"),
                        (["--shard", "1"], "is not N/M"), (["--shard", "2/2"], "is not N/M"), (["--shard", "0/256"], "is not N/M"), (["--shard", "-1/2"], "is not N/M"),
                        (["--shard", "0/2x"], "is not N/M"), (["--shard", "1/2"], "has none of the 1 products"),
                        (["--product-room", "5000"], "must be 0 to 4096"), (["--control", "x" * 200], "is no path")]:
        program = Program("run", "--no-store", "--once", "--url", "ws://127.0.0.1:1/", *words, cwd=directory).ends(2)
        assert hint in program.out["stderr"], (words, program.out["stderr"])
    refusing.close()


# ------------------------------------------------------------------------------------------------ over several connections


def messages_over(directory, frames, seconds=1.0):
    """The most of these frames that the node sent or made within any so many seconds."""
    shown = subprocess.run([os.environ["WIREBOOK_BINARY"], "inspect", "--frames", "--json", "--kind", frames, f"{directory}/data"], capture_output=True, check=True)
    times = sorted(datetime.datetime.fromisoformat(json.loads(line)["utc"][:26]).timestamp() for line in shown.stdout.splitlines())
    assert times, f"no frames of kind {frames}"
    return max(sum(1 for t in times[i:] if t < start + seconds) for i, start in enumerate(times))


def asked_for(directory):
    """The products that level 2 was asked for, in either dialect, as often as it was."""
    for text in logged(directory, "sent"):
        message = json.loads(text)
        assert message["type"] == "subscribe", message
        for channel in message.get("channels", [{"name": message.get("channel"), "product_ids": message.get("product_ids")}]):
            if channel["name"].startswith("level2"):
                yield from channel["product_ids"]


def many_products(directory, connections, dialect):
    """400 products, all live within seconds, none asked for twice, no more connections or messages a second than an exchange allows."""
    ids = ids_of(400)
    exchange = mock("--dialect", dialect, "--product", ",".join(ids), "--levels", 50, "--rate", 2, "--limits", "enforce", "--report", f"{directory}/mock.json", "--depth", 1000)
    watched = Watched(directory, exchange.url, "--feed", dialect, "--product", ",".join(ids), "--connections", connections, "--journal", "2M", "--max-message", "100k")
    watched.live(400)
    report = watched.end(exchange)
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)
    assert report["rejected"] == {} and report["resyncs"] == 0, (report["rejected"], report["resyncs"])
    assert [line["products"] for line in report["lines"]] == [400 // connections] * connections, report["lines"]
    assert abs(sum(line["share"] for line in report["lines"]) - 1) < 0.001, report["lines"]
    assert sorted(asked_for(directory)) == sorted(ids), "each product is asked for once"
    assert messages_over(directory, "sent") <= 8 and messages_over(directory, "connect") <= 8
    breaches = load(f"{directory}/mock.json")["breaches"]
    assert breaches and not any(breaches.values()), breaches
    Program("replay", "--feed", dialect, "--product", ",".join(ids), "--depth", 1000, "--console", "off", "--report", f"{directory}/replay.json", f"{directory}/data").ends(0)
    same(f"{directory}/report.json", f"{directory}/replay.json", "--rejected", *BOOK)
    assert load(f"{directory}/replay.json")["messages"] == report["messages"]


def four_hundred_products_over_one_connection_are_live_within_seconds(directory):
    many_products(directory, 1, "coinbase-exchange")


def four_hundred_products_over_four_connections_are_live_within_seconds(directory):
    many_products(directory, 4, "coinbase-exchange")


def four_hundred_products_of_advanced_trade_over_one_connection_are_live_within_seconds(directory):
    many_products(directory, 1, "coinbase-advanced")


def four_hundred_products_of_advanced_trade_over_four_connections_are_live_within_seconds(directory):
    many_products(directory, 4, "coinbase-advanced")


def connections_are_as_many_as_the_products_need_and_dealt_by_an_earlier_runs_messages(directory):
    ids = ids_of(250)
    exchange = mock("--product", ",".join(ids), "--levels", 20, "--rate", 1)
    with open(f"{directory}/before.json", "w") as file:
        json.dump({"products": {id: {"updates": 1000 if i < 3 else 1, "snapshots": 0} for i, id in enumerate(ids)}}, file)
    watched = Watched(directory, exchange.url, "--product", ",".join(ids), "--connections", "auto", "--weights", f"{directory}/before.json", "--journal", "2M", "--max-message", "100k")
    report = watched.live(250)
    assert [line["line"] for line in report["lines"]] == ["A1", "A2", "A3"], report["lines"]
    watched.end(exchange)
    carried = [set(), set(), set()]
    for text in logged(directory, "products"):
        note = json.loads(text)
        assert note["change"] == "carried", note
        carried[note["line"]] |= set(note["products"])
    assert sorted(id for part in carried for id in part) == sorted(ids)
    assert all(len(part & set(ids[:3])) == 1 for part in carried), "the three heavy ones are apart"


def nodes_that_share_products_have_each_once_and_the_busiest_apart(directory):
    ids = [f"P{n:02}-USD" for n in range(11)]
    exchange = mock("--product", ",".join(ids), "--rate", 50)
    with open(f"{directory}/before.json", "w") as file:
        json.dump({"products": {id: {"snapshots": 1, "updates": 1000 if n in (2, 5, 7) else n} for n, id in enumerate(ids)}}, file)
    had = []
    for shard in range(3):
        os.makedirs(f"{directory}/{shard}")
        watched = Watched(f"{directory}/{shard}", exchange.url, "--product", ",".join(ids), "--shard", f"{shard}/3", "--weights", f"{directory}/before.json",
                          "--connections", 2)
        report = watched.until(lambda report: all(product["state"] == "live" for product in report["products"].values()), "all live")
        had.append(list(report["products"]))
        watched.program.signal()
        watched.program.ends(0)
    exchange.signal()
    assert sorted(id for share in had for id in share) == ids and all(share == sorted(share) for share in had), had
    assert all(len({"P02-USD", "P05-USD", "P07-USD"} & set(share)) == 1 for share in had), had


def a_connection_that_ends_takes_its_own_products_with_it_and_no_others(directory):
    exchange = mock("--product", "BTC,ETH,LTC,SOL", "--levels", 100, "--rate", 300, "--scenario", "close", "--scenario-after", 900, "--report", f"{directory}/mock.json", "--depth", 1000)
    watched = Watched(directory, exchange.url, "--product", "BTC,ETH,LTC,SOL", "--connections", 2)
    report = watched.until(lambda report: report["reconnects"] == 1 and sum(product["snapshots"] for product in report["products"].values()) >= 6 and
                           all(product["state"] == "live" for product in report["products"].values()), "a connection lost and made again")
    snapshots = sorted(product["snapshots"] for product in report["products"].values())
    assert snapshots == [1, 1, 2, 2], snapshots
    watched.end(exchange)
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)
    replayed(directory, "BTC,ETH,LTC,SOL")
    same(f"{directory}/report.json", f"{directory}/replay.json", "--state", "--rejected")


def redundant_lines_in_parts_make_one_book(directory):
    exchange = mock("--product", "BTC,ETH,LTC", "--levels", 100, "--rate", 500, "--report", f"{directory}/mock.json", "--depth", 1000)
    watched = Watched(directory, exchange.url, "--product", "BTC,ETH,LTC", "--lines", 2, "--connections", 2)
    watched.until(lambda report: all(product["updates"] > 500 for product in report["products"].values()), "updates")
    report = watched.end(exchange)
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)
    a1, a2, b1, b2 = report["lines"]
    assert [line["line"] for line in report["lines"]] == ["A1", "A2", "B1", "B2"] and report["rejected"] == {} and report["resyncs"] == 0
    assert a1["duplicates"] == b1["wins"] and b1["duplicates"] == a1["wins"] and a2["duplicates"] == b2["wins"] and b2["duplicates"] == a2["wins"], report["lines"]
    replayed(directory, "BTC,ETH,LTC")
    same(f"{directory}/report.json", f"{directory}/replay.json", "--state", "--rejected")


# ------------------------------------------------------------------------------------------------ added and removed


def products_come_and_go(directory, *words):
    exchange = mock("--product", "BTC,ETH,LTC,SOL,ADA", "--levels", 100, "--rate", 300, "--report", f"{directory}/mock.json", "--depth", 1000)
    watched = Watched(directory, exchange.url, "--product", "BTC,ETH,LTC", *words)
    watched.live(3)
    assert watched.ctl("add", "SOL,ada", "BTC") == ["added SOL-USD", "added ADA-USD", "unchanged BTC-USD"]
    watched.live(5)
    assert watched.ctl("remove", "ETH", "SOL") == ["removed ETH-USD", "removed SOL-USD"]
    report = watched.until(lambda report: report["products"]["SOL-USD"]["state"] == "removed", "a product removed")
    assert report["products"]["ETH-USD"]["bids"] == [] and report["products"]["ETH-USD"]["removed_utc"], report["products"]["ETH-USD"]
    updates = report["products"]["ETH-USD"]["updates"]
    assert watched.ctl("add", "SOL") == ["added SOL-USD"]
    watched.live(4)
    report = watched.end(exchange)
    sent = load(f"{directory}/mock.json")["products"]
    for id in ("BTC-USD", "LTC-USD"):  # untouched
        product = report["products"][id]
        assert product["snapshots"] == 1 and "added_utc" not in product and product["bids"] == sent[id]["bids"], id
    for id in ("SOL-USD", "ADA-USD"):
        product = report["products"][id]
        assert product["added_utc"] and "removed_utc" not in product and product["bids"] == sent[id]["bids"] and product["asks"] == sent[id]["asks"], id
    assert report["products"]["ETH-USD"]["updates"] == updates and report["rejected"] == {} and report["resyncs"] == 0, report
    again = replayed(directory, "BTC,ETH,LTC,SOL,ADA")
    same(f"{directory}/report.json", f"{directory}/replay.json", "--rejected", *BOOK)
    for id, product in report["products"].items():
        for key in ("state", "updates", "snapshots", "added_utc", "removed_utc"):
            assert product.get(key) == again["products"][id].get(key), (id, key, product.get(key), again["products"][id].get(key))


def a_product_of_advanced_trade_comes_and_goes_and_the_connections_heartbeats_stay(directory):
    exchange = mock("--dialect", "coinbase-advanced", "--product", "BTC,ETH", "--levels", 100, "--rate", 300)
    watched = Watched(directory, exchange.url, "--feed", "coinbase-advanced", "--product", "BTC")
    watched.live(1)
    assert watched.ctl("add", "ETH") == ["added ETH-USD"]
    watched.live(2)
    assert watched.ctl("remove", "ETH") == ["removed ETH-USD"]
    watched.until(lambda report: report["products"]["ETH-USD"]["state"] == "removed", "a product removed")
    assert watched.ctl("add", "ETH") == ["added ETH-USD"]
    watched.live(2)
    report = watched.end(exchange)
    assert report["products"]["BTC-USD"]["snapshots"] == 1 and report["rejected"] == {} and report["resyncs"] == 0, report
    left = [json.loads(text) for text in logged(directory, "sent") if b'"unsubscribe"' in text]
    assert left and all(message["channel"] == "level2" and message["product_ids"] == ["ETH-USD"] for message in left), left


def products_come_and_go_while_the_others_books_go_on_untouched(directory):
    products_come_and_go(directory)


def products_come_and_go_pipelined_over_redundant_lines_in_parts(directory):
    products_come_and_go(directory, "--layout", "pipelined", "--wait", "block", "--lines", 2, "--connections", 2)


def trades_of_a_product_that_came_later_are_its_own(directory):
    exchange = mock("--product", "BTC,ETH", "--levels", 100, "--rate", 200)
    watched = Watched(directory, exchange.url, "--product", "BTC", "--channel", "level2_batch,heartbeat,matches")
    traded = lambda id: lambda report: report["products"][id].get("trades", {}).get("count", 0) > 3
    watched.until(traded("BTC-USD"), "trades")
    assert watched.ctl("add", "ETH") == ["added ETH-USD"]
    watched.live(2)
    watched.until(traded("ETH-USD"), "trades of the other")
    report = watched.end(exchange)
    btc, eth = (report["products"][id] for id in ("BTC-USD", "ETH-USD"))
    assert float(eth["trades"]["vwap"]) < 2 * float(eth["best_bid"]) < float(btc["best_bid"]) / 2 < float(btc["trades"]["vwap"]), (btc["trades"], eth["trades"])
    assert btc["trades"]["missing"] == eth["trades"]["missing"] == btc["trades"]["restarts"] == eth["trades"]["restarts"] == 0, report["products"]
    assert all(bar["low"] and float(bar["high"]) < 2 * float(eth["best_bid"]) for series in eth["bars"] for bar in series["last"]), eth["bars"]
    again = replayed(directory, "BTC,ETH")
    for id in ("BTC-USD", "ETH-USD"):
        assert report["products"][id]["trades"] == again["products"][id]["trades"], id


def a_product_added_while_the_line_is_down_comes_with_the_line(directory):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(LIMIT)
    watched = Watched(directory, f"ws://127.0.0.1:{listener.getsockname()[1]}/", "--product", "BTC")
    first = Client(listener.accept()[0])
    first.upgrade()
    assert "BTC-USD" in json.dumps(first.subscribed())
    first.hang_up()
    watched.program.wait_for("disconnected")
    assert watched.ctl("add", "ETH") == ["added ETH-USD"]
    assert watched.ctl("remove", "BTC") == ["removed BTC-USD"]
    second = Client(listener.accept()[0])
    second.upgrade()
    asked = second.subscribed()
    assert asked["type"] == "subscribe" and all(channel["product_ids"][-1] == "ETH-USD" for channel in asked["channels"]), asked
    second.text(json.dumps({"type": "snapshot", "product_id": "ETH-USD", "bids": [["10", "1"]], "asks": [["11", "1"]]}))
    report = watched.live(1)
    assert report["products"]["BTC-USD"]["state"] == "removed", report["products"]
    assert watched.ctl("remove", "ETH") == ["removed ETH-USD"]
    left = second.subscribed()
    assert left["type"] == "unsubscribe" and {channel["name"] for channel in left["channels"]} == {"level2_batch", "heartbeat"}, left
    watched.program.signal(signal.SIGINT)
    second.wait_close()
    second.close()
    watched.program.ends(0)
    listener.close()


def who_asks_for_nonsense_is_told_so_and_disturbs_nobody(directory):
    exchange = mock("--product", "BTC,ETH", "--levels", 100, "--rate", 100)
    watched = Watched(directory, exchange.url, "--product", "BTC", "--product-room", 2)
    watched.live(1)
    assert oct(os.stat(watched.control).st_mode & 0o777) == "0o600"

    def ask(data):
        own = f"{directory}/own"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.bind(own)
            client.settimeout(LIMIT)
            client.sendto(data, watched.control)
            answer = client.recv(1 << 18).decode()
        os.unlink(own)
        return answer

    for data in (b"", b"\0", b"add", b"add ", b"destroy everything", b"\xff" * 100, b"remove", b"add\n\n"):
        assert ask(data).startswith("failed: "), data
    assert ask(b"x" * 40000).startswith("failed: more than"), "too long"
    for word in (b"btc-usd", b"BTC/USD", b"A" * 32, b"ETH-USD:19:8", b"ETH-USD:2", b"ETH-USD:2:8:1", b"ETH-USD:-1:8", b"ETH-USD::", b":2:8", b"%s%n"):
        assert ask(b"add " + word).startswith("failed "), (word, ask(b"add " + word))
    assert ask(b"remove NO-SUCH ETH-USD:2:8 BTC-USD\0ETH-USD").splitlines()[0] == "failed NO-SUCH: not one of the node's products"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:  # nobody to answer to
        nameless.sendto(b"add ETH-USD:2:9", watched.control)
    report = watched.until(lambda report: "ETH-USD" in report["products"] and report["products"]["ETH-USD"]["state"] == "live", "the product nobody heard of")
    assert ask(b"add X-USD Y-USD").splitlines() == ["added X-USD", "failed Y-USD: no room is left (--product-room)"]
    assert ask(b"add ETH-USD\n") == "unchanged ETH-USD\n"
    second = Program("run", "--no-store", "--url", exchange.url, "--control", watched.control, "--console", "off").ends(1)
    assert "cannot listen" in second.out["stderr"], second.out["stderr"]
    for words, code, hint in [(["add", "BTC"], 2, "--control"), (["--control", f"{directory}/nobody", "add", "BTC"], 1, "no node listens"), (["--control", watched.control], 2, "say `add"),
                              (["--control", watched.control, "sub", "BTC"], 2, "say `add"), (["--control", watched.control, "add", "B/C"], 2, "no product id"),
                              (["--control", watched.control, "remove", "NOPE"], 1, "")]:
        program = Program("ctl", *words).ends(code)
        assert hint in program.out["stderr"], (words, program.out["stderr"])
    assert report["products"]["BTC-USD"]["snapshots"] == 1
    watched.end(exchange)
    assert not os.path.exists(watched.control)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
        left.bind(watched.control)  # as a node that was killed leaves it
    exchange = mock("--product", "BTC", "--rate", 100)
    again = Watched(directory, exchange.url, "--product", "BTC")
    again.live(1)
    again.end(exchange)


def a_confined_node_takes_products_too(directory):
    rest = Rest(json.dumps([row("BTC-USD"), row("ETH-USD")]))
    exchange = mock("--product", "BTC,ETH", "--levels", 100, "--rate", 100)
    watched = Watched(directory, exchange.url, "--product", "BTC", "--confine", "on", "--report", f"{directory}/data/report.json",
                      env={"ASAN_OPTIONS": "detect_leaks=0"})  # the leak check of a sanitizer traces its own process, which no confined one may do
    watched.path = f"{directory}/data/report.json"
    watched.live(1)
    assert watched.ctl("add", "ETH-*", "--products-from", rest.url) == ["added ETH-USD"]
    watched.live(2)
    watched.end(exchange)
    rest.close()


if __name__ == "__main__":
    main(globals())
