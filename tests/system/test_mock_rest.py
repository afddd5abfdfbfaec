#!/usr/bin/env python3
"""The mock's REST side and its limits, asked by clients of the standard library. `test_mock_rest.py [NAME...]`."""

import http.client
import json
import socket
import ssl
import time

from feed import LOGIN, Closed, Feed, Refused, get, place
from harness import LIMIT, certificates, load, main, mock

PRODUCT_KEYS = {"id", "base_currency", "quote_currency", "quote_increment", "base_increment", "display_name", "min_market_funds", "margin_enabled", "post_only",
                "limit_only", "cancel_only", "status", "status_message", "trading_disabled", "fx_stablecoin", "max_slippage_percentage", "auction_mode",
                "high_bid_limit_percentage"}


def ended(exchange, path):
    exchange.signal()
    exchange.ends()
    return load(path)


def raw(url, data, pieces=1):
    """What comes back, up to the end, for bytes that are sent in so many pieces."""
    with socket.create_connection(place(url), LIMIT) as sock:
        step = max(1, len(data) // pieces)
        for at in range(0, len(data), step):
            sock.sendall(data[at:at + step])
        return b"".join(iter(lambda: sock.recv(1 << 16), b""))


def products_books_tickers_and_the_time_have_the_shape_of_the_real_ones(directory):
    exchange = mock("--product", "BTC,ETH-BTC,BTC-USDC,SKL-USD", "--levels", 30, "--rest-limit", 0, "--auction", "ETH-BTC")
    products = {each["id"]: each for each in get(exchange.url, "/products")[2]}
    assert list(products) == ["BTC-USD", "ETH-BTC", "BTC-USDC", "SKL-USD"] and all(set(each) == PRODUCT_KEYS for each in products.values())
    assert (products["BTC-USD"]["quote_increment"], products["BTC-USD"]["base_increment"]) == ("0.01", "0.00000001")
    assert (products["SKL-USD"]["quote_increment"], products["SKL-USD"]["base_increment"]) == ("0.0001", "0.1")
    assert [products[id]["auction_mode"] for id in products] == [False, True, False, False]
    assert get(exchange.url, "/products/ETH-BTC")[2] == products["ETH-BTC"]
    best, levels, orders = (get(exchange.url, f"/products/BTC-USD/book?level={n}")[2] for n in (1, 2, 3))
    assert get(exchange.url, "/products/BTC-USD/book")[2]["bids"] == best["bids"]
    for key in ("bids", "asks"):
        assert best[key] == levels[key][:1] and len(levels[key]) == 30
        assert all(not text.endswith(("0", ".")) for _, text, _ in levels[key] if "." in text)
        assert [price for price, _, count in levels[key] for _ in range(count)] == [price for price, _, _ in orders[key]]
    assert best["sequence"] == levels["sequence"] == orders["sequence"] and set(best) == {"bids", "asks", "sequence", "auction_mode", "auction", "time"}
    ticker = get(exchange.url, "/products/BTC-USD/ticker")[2]
    assert (ticker["bid"], ticker["ask"]) == (best["bids"][0][0], best["asks"][0][0]) and isinstance(ticker["trade_id"], int)
    now = get(exchange.url, "/time")[2]
    assert abs(now["epoch"] - time.time()) < LIMIT and now["iso"].endswith("Z")
    advanced = get(exchange.url, "/api/v3/brokerage/market/products")[2]
    aliases = {each["product_id"]: (each["alias"], each["alias_to"]) for each in advanced["products"]}
    assert advanced["num_products"] == 4 and aliases["BTC-USD"] == ("", ["BTC-USDC"]) and aliases["BTC-USDC"] == ("BTC-USD", [])
    assert get(exchange.url, "/api/v3/brokerage/market/products/SKL-USD")[2]["price_increment"] == "0.0001"


def trades_over_rest_are_those_of_the_feed_newest_first(directory):
    exchange = mock("--rate", 500, "--levels", 20, "--messages", 500)
    get(exchange.url, "/products/BTC-USD/book?level=3")
    matches = [message for message in Feed(exchange.url).subscribe(["matches", "level2_batch"]).all() if message["type"] == "match"]
    trades = get(exchange.url, "/products/BTC-USD/trades?limit=5")[2]
    keys = ("trade_id", "side", "time")
    assert len(matches) > 5 and [[each[key] for key in keys] for each in trades] == [[each[key] for key in keys] for each in matches[:-6:-1]]
    assert all(float(each["price"]) == float(match["price"]) for each, match in zip(trades, matches[::-1]))


def what_there_is_not_is_refused_with_a_message(directory):
    exchange = mock("--rest-limit", 0)
    for path in ("/", "/product", "/products/", "/products/NO-USD", "/products/BTC-USD/", "/products/BTC-USD/books", "/products/NO-USD/book", "/timer",
                 "/products/" + "X" * 900):
        status, _, body = get(exchange.url, path)
        assert (status, body) == (404, {"message": "NotFound"}), path
    for query in ("level=0", "level=4", "level=", "level=3x", "level=99999999999", "level=-1"):
        assert get(exchange.url, f"/products/BTC-USD/book?{query}")[0] == 400, query
    for request, status in ((b"POST /time HTTP/1.1\r\nHost: h\r\n\r\n", b"405"), (b"GET /time HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}", b"400"),
                            (b"GET /time HTTP/1.0\r\nHost: h\r\n\r\n", b"400"), (b"GET /time HTTP/1.1\r\n\r\n", b"400"), (b"nonsense\r\n\r\n", b"400"),
                            (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"426")):
        assert raw(exchange.url, request).startswith(b"HTTP/1.1 " + status), request


def a_connection_is_kept_until_it_is_asked_to_close_however_requests_are_cut(directory):
    exchange = mock("--rest-limit", 0)
    connection = http.client.HTTPConnection(*place(exchange.url), timeout=LIMIT)
    connection.connect()
    sock = connection.sock
    for _ in range(3):
        connection.request("GET", "/products")
        answer = connection.getresponse()
        assert answer.status == 200 and len(answer.read()) == int(answer.headers["Content-Length"]) and connection.sock is sock
    connection.close()
    requests = b"GET /products HTTP/1.1\r\nHost: h\r\n\r\n" * 3 + b"GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + b"GET /time HTTP/1.1\r\n\r\n"
    for pieces in (1, 7, len(requests) - 10):
        answer = raw(exchange.url, requests, pieces)
        assert answer.count(b"HTTP/1.1 200 OK") == 3 and answer.count(b"HTTP/1.1 404") == 1 and answer.endswith(b'{"message":"NotFound"}'), pieces


def a_client_that_asks_and_never_reads_is_left_before_it_fills_the_memory(directory):
    exchange = mock("--rest-limit", 0, "--levels", 3000, "--client-buffer", "1M", "--report", f"{directory}/mock.json")
    sock = socket.create_connection(place(exchange.url), LIMIT)
    try:
        for _ in range(2000):
            sock.sendall(b"GET /products/BTC-USD/book?level=3 HTTP/1.1\r\nHost: h\r\n\r\n" * 50)
        raise AssertionError("100,000 books of a megabyte were taken in")
    except (BrokenPipeError, ConnectionResetError):
        pass
    client = ended(exchange, f"{directory}/mock.json")["clients"][0]
    assert client["ending"] == "asks more than it reads" and client["requests"] < 100, client


def rest_is_there_over_tls_too(directory):
    certificates(directory)
    exchange = mock("--tls", "--cert", f"{directory}/server.pem", "--key", f"{directory}/server.key", "--levels", 2000)
    context = ssl.create_default_context(cafile=f"{directory}/ca.pem")
    connection = http.client.HTTPSConnection(*place(exchange.url), timeout=LIMIT, context=context)
    for _ in range(2):
        connection.request("GET", "/products/BTC-USD/book?level=3")
        book = json.loads(connection.getresponse().read())
        assert len({price for price, _, _ in book["bids"]}) == 2000


def more_than_ten_requests_a_second_get_429_and_are_counted(directory):
    exchange = mock("--report", f"{directory}/mock.json")
    begun = time.monotonic()
    answer = raw(exchange.url, b"GET /time HTTP/1.1\r\nHost: h\r\n\r\n" * 60 + b"GET /time HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    took = time.monotonic() - begun
    statuses = [line.split()[1] for line in answer.replace(b"}HTTP", b"}\r\nHTTP").split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    served, refused = statuses.count(b"200"), statuses.count(b"429")
    assert len(statuses) == 61 and statuses[:15] == [b"200"] * 15 and served <= 16 + 10 * took and served + refused == 61
    assert refused and answer.count(b"Retry-After: 1\r\n") == refused and answer.count(b'{"message":"Public rate limit exceeded"}') == refused
    assert ended(exchange, f"{directory}/mock.json")["breaches"]["requests"] == refused


def a_held_answer_is_that_of_when_it_was_asked_for(directory):
    exchange = mock("--rest-delay-ms", 400, "--rate", 500, "--levels", 20)
    feed = Feed(exchange.url).subscribe(["full"], **LOGIN)
    before = feed.until(lambda message: message["type"] == "open")["sequence"]
    begun = time.monotonic()
    book = get(exchange.url, "/products/BTC-USD/book?level=3")[2]
    assert time.monotonic() - begun >= 0.4
    feed.send({"type": "unsubscribe", "channels": ["full"]})
    last = [before]
    feed.until(lambda message: message["type"] == "subscriptions" or last.append(message["sequence"]))
    assert before <= book["sequence"] and last[-1] - book["sequence"] > 100, (before, book["sequence"], last[-1])


def a_rest_book_fails_once_in_the_way_asked_for_and_is_good_the_next_time(directory):
    for name, status in (("rest500", 500), ("rest429", 429)):
        exchange = mock("--scenario", name)
        got, headers, body = get(exchange.url, "/products/BTC-USD/book?level=3")
        assert got == status and "message" in body and headers.get("Retry-After") == ("1" if status == 429 else None)
        assert get(exchange.url, "/products/BTC-USD/book?level=3")[0] == 200
    exchange = mock("--scenario", "restcut")
    try:
        get(exchange.url, "/products/BTC-USD/book?level=3")
        raise AssertionError("a body that was cut is not whole")
    except http.client.IncompleteRead as cut:
        assert abs(cut.expected - len(cut.partial)) <= 1
    assert get(exchange.url, "/products/BTC-USD/book?level=3")[0] == 200
    exchange = mock("--scenario", "oldbook")
    old, new = (get(exchange.url, "/products/BTC-USD/book?level=3")[2] for _ in range(2))
    assert new["sequence"] - old["sequence"] == 1000 and new["bids"] == old["bids"]


def connections_beyond_the_limit_are_counted_and_refused_where_it_is_enforced(directory):
    for words, enforced in (([], False), (["--limits", "enforce"], True)):
        exchange = mock("--report", f"{directory}/mock.json", *words)
        begun, feeds, refused = time.monotonic(), [], 0
        for _ in range(40):
            try:
                feeds.append(Feed(exchange.url))
            except Refused as answer:
                assert answer.head[0] == "HTTP/1.1 429 Too Many Requests" and "Retry-After: 1" in answer.head
                refused += 1
        allowed = 20 + 8 * (time.monotonic() - begun) + 1
        breaches = ended(exchange, f"{directory}/mock.json")["breaches"]["connections"]
        assert 40 - allowed <= breaches <= 20 and refused == (breaches if enforced else 0), (breaches, refused)


def messages_that_are_too_many_or_too_big_end_the_connection_where_it_is_enforced(directory):
    many = ['{"type":"unsubscribe","channels":["heartbeat"]}'] * 150
    for messages, key, code, reason in ((many, "messages", 1008, "ErrSlowRead"), (['"' + "x" * 70000 + '"'], "size", 1009, "Message too big")):
        for words, enforced in (([], False), (["--limits", "enforce"], True)):
            exchange = mock("--report", f"{directory}/mock.json", *words)
            feed = Feed(exchange.url).subscribe(["heartbeat"])
            feed.read()
            try:
                for message in messages:
                    feed.send(message)
                for _ in messages:
                    feed.until(lambda message: message["type"] != "heartbeat")
                assert not enforced
            except Closed as closed:
                assert enforced and (closed.code, closed.reason) == (code, reason), closed
            except (BrokenPipeError, ConnectionResetError):
                assert enforced
            breaches = ended(exchange, f"{directory}/mock.json")["breaches"]
            assert breaches[key] >= 1 and all(count == 0 for name, count in breaches.items() if name != key), breaches


def the_eleventh_subscription_of_an_account_is_counted_and_rejected_where_it_is_enforced(directory):
    for words, enforced in (([], False), (["--limits", "enforce"], True)):
        exchange = mock("--product", "BTC,ETH", "--report", f"{directory}/mock.json", *words)
        feeds = [Feed(exchange.url).subscribe(["heartbeat"], **LOGIN) for _ in range(10)]
        for feed in feeds:
            assert feed.read()["type"] == "subscriptions"
        other = Feed(exchange.url).subscribe(["heartbeat"], **{**LOGIN, "key": "another"})
        assert other.read()["type"] == "subscriptions"
        last = Feed(exchange.url).subscribe(["heartbeat"], products=["BTC-USD", "ETH-USD"], **LOGIN)
        first = last.read()
        if enforced:
            assert first["type"] == "error" and first["reason"].startswith("BTC-USD has 10 subscriptions"), first
            first = last.read()
        assert first["channels"][0]["product_ids"] == (["ETH-USD"] if enforced else ["BTC-USD", "ETH-USD"])
        feeds[0].close()
        assert ended(exchange, f"{directory}/mock.json")["breaches"]["subscriptions"] == 1


if __name__ == "__main__":
    main(globals())
