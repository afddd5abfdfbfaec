#!/usr/bin/env python3
"""The order book of Coinbase's Exchange feed once more, slow and obvious, to compare wirebook's reports with.

    reference_book.py [--product ID[,ID...]] [--depth N] [--mid-window N] RECORDING...

Reads text recordings (one JSON message a line, plain or .gz, a receive time in front or not) and prints the `rejected`, `unknown` and
`products` parts of the report. Shares nothing with wirebook but the rules of docs/operations.md: exact decimals, a dictionary for each side. Without
--product it takes every product that a snapshot or an update names.
"""

import argparse
import bisect
import collections
import gzip
import json
import re
import sys
from decimal import Decimal, getcontext
from fractions import Fraction

getcontext().prec = 200

QUANTITY_MAX = 2**62 - 1  # in units of the finest decimals that the product has needed
DECIMALS_MAX = 18
NUMBER = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?")
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,9})?Z")
RECEIVED = re.compile(rb"(\d{12,}|\d{1,11}(\.\d+)?):?[ \t]+")
NAMED = re.compile(r'"product_id"[ \t\r\n]*:[ \t\r\n]*"([^"\\]*)"')


# Types of which no message changes a book, and those that nobody here reads.
HARMLESS = ("ticker", "match", "last_match", "status", "auction", "rfq_match")
PASSED_BY = ("error", "received", "open", "done", "change", "activate", "noop", "level3", "balance")


class Reject(Exception):
    """The message breaks the schema. str() is the reason."""


# ---------------------------------------------------------------------------------------------------------- numbers


def number(text):
    if not isinstance(text, str):
        raise Reject("wrong_type")
    if len(text) > 40 or not NUMBER.fullmatch(text):
        raise Reject("bad_number")
    return Decimal(text)


def price_of(text):
    value = number(text)
    if value == 0:
        raise Reject("bad_number")
    return value


def decimals_of(value):
    """Digits behind the point that are needed to write value exactly."""
    return max(0, -value.normalize().as_tuple().exponent)


def plain(value):
    """Exact text of a Decimal without trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def mean_text(values, decimals):
    """Mean of Decimals: exact where it can be written, rounded half-even to `decimals` places where it has no end."""
    mean = sum(map(Fraction, values), Fraction(0)) / len(values)
    rest = mean.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest == 1:
        return plain(Decimal(mean.numerator) / Decimal(mean.denominator))
    return plain(Decimal(round(mean * 10**decimals)).scaleb(-decimals))  # round() of a Fraction is half-even


# ---------------------------------------------------------------------------------------------------------- one product


class Side:
    def __init__(self, best_last):
        self.size, self.prices, self.best_last = {}, [], best_last

    def set(self, price, size):
        """Sets a level; returns whether a removal found nothing to remove."""
        known = price in self.size
        if size == 0:
            if known:
                del self.size[price]
                del self.prices[bisect.bisect_left(self.prices, price)]
            return not known
        if not known:
            bisect.insort(self.prices, price)
        self.size[price] = size
        return False

    def best(self):
        return None if not self.prices else self.prices[-1 if self.best_last else 0]

    def levels(self, depth):
        ordered = reversed(self.prices) if self.best_last else self.prices
        return [[plain(price), plain(self.size[price])] for price, _ in zip(ordered, range(depth))]


class Product:
    def __init__(self, mid_window):
        self.state, self.reason = "waiting", "no snapshot yet"
        self.bids, self.asks = Side(True), Side(False)
        self.mids = collections.deque(maxlen=mid_window)
        self.max_spread = None
        self.decimals = [0, 0]
        self.snapshots = self.updates = self.changes = self.rejected = self.unknown = self.crossed = 0
        self.complained = False

    def suspect(self, reason):
        if self.state == "live":
            self.state = "stale"
        self.reason = reason

    def fit(self, levels, decimals):
        """Decimals that hold all of levels [(price, size)] and are at least `decimals`; Reject where none do."""
        need = list(decimals)
        for level in levels:
            need = [max(n, decimals_of(value)) for n, value in zip(need, level)]
        if max(need) > DECIMALS_MAX or any(value.scaleb(n) > QUANTITY_MAX for level in levels for value, n in zip(level, need)):
            raise Reject("number_range")
        return need

    def snapshot(self, bids, asks):
        self.decimals = self.fit(bids + asks, [0, 0])
        self.bids, self.asks = Side(True), Side(False)
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, size in levels:
                side.set(price, size)
        self.snapshots += 1
        self.state, self.reason = "live", ""
        self.applied()

    def update(self, changes):
        need = self.fit([(price, size) for _, price, size in changes], self.decimals)
        if self.state == "waiting":
            if self.complained:
                return
            self.complained = True
            raise Reject("no_snapshot")
        if self.state != "live":
            return
        if need != self.decimals:
            self.fit([level for side in (self.bids, self.asks) for level in side.size.items()], need)
            self.decimals = need
        for side, price, size in changes:
            self.unknown += (self.bids if side == "buy" else self.asks).set(price, size)
        self.updates += 1
        self.changes += len(changes)
        self.applied()

    def applied(self):
        bid, ask = self.bids.best(), self.asks.best()
        if bid is None or ask is None:
            return
        self.crossed += bid >= ask
        self.mids.append((bid + ask) / 2)
        self.max_spread = max(self.max_spread or Decimal(0), abs(ask - bid))

    def report(self, depth):
        bid, ask = self.bids.best(), self.asks.best()
        both = bid is not None and ask is not None
        return {
            "state": self.state,
            "reason": self.reason,
            "snapshots": self.snapshots,
            "updates": self.updates,
            "changes": self.changes,
            "rejected": self.rejected,
            "unknown_removals": self.unknown,
            "crossed": self.crossed,
            "best_bid": None if bid is None else plain(bid),
            "best_bid_size": None if bid is None else plain(self.bids.size[bid]),
            "best_ask": None if ask is None else plain(ask),
            "best_ask_size": None if ask is None else plain(self.asks.size[ask]),
            "mid": plain((bid + ask) / 2) if both else None,
            "spread": plain(ask - bid) if both else None,
            "max_spread": None if self.max_spread is None else plain(self.max_spread),
            "mid_average": mean_text(self.mids, max(10, self.decimals[0])) if self.mids else None,
            "bid_levels": len(self.bids.prices),
            "ask_levels": len(self.asks.prices),
            "bids": self.bids.levels(depth),
            "asks": self.asks.levels(depth),
        }


# ---------------------------------------------------------------------------------------------------------- one message


class Twice(dict):
    """An object with what it said more than once."""

    twice = frozenset()


def no_constant(name):
    raise ValueError(name)


def pairs(items):
    found = Twice(items)
    if len(found) < len(items):
        counts = collections.Counter(key for key, _ in items)
        found.twice = {key for key in counts if counts[key] > 1}
    return found


def field(message, key, kind):
    if key not in message:
        raise Reject("missing_field")
    if key in message.twice:
        raise Reject("bad_json")
    if not isinstance(message[key], kind) or isinstance(message[key], bool):
        raise Reject("wrong_type")
    return message[key]


def check_time(message, key="time"):
    if key not in message:
        return
    text = field(message, key, str)
    match = TIME.fullmatch(text)
    if not text or text.startswith("0001-") and match:
        return
    if not match:
        raise Reject("bad_time")
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    if not (1678 <= year <= 2261 and 1 <= month <= 12 and 1 <= day <= days[month - 1] and hour <= 23 and minute <= 59
            and (second <= 59 or second == 60 and (hour, minute) == (23, 59))):
        raise Reject("bad_time")


def rows(message, key, width):
    for row in field(message, key, list):
        if not isinstance(row, list) or len(row) != width:
            raise Reject("wrong_type")
        yield row


def changes_of(message):
    for side, price, size in rows(message, "changes", 3):
        if not isinstance(side, str):
            raise Reject("wrong_type")
        if side not in ("buy", "sell"):
            raise Reject("unknown_side")
        yield side, price_of(price), number(size)


def check_subscriptions(message):
    for channel in field(message, "channels", (list, type(None))) or []:
        if isinstance(channel, str):
            continue
        if not isinstance(channel, dict):
            raise Reject("wrong_type")
        if field(channel, "name", str) in ("level2", "level2_batch", "level2_50") and channel.get("product_ids") is not None:
            if not all(isinstance(id, str) for id in field(channel, "product_ids", list)):
                raise Reject("wrong_type")


def check_counts(message, *keys):
    for key in keys:
        if not 0 <= field(message, key, int) < 2**64:
            raise Reject("bad_number")


def check_ticker(message):
    check_counts(message, "sequence")
    sizes = "best_bid_size" in message or "best_ask_size" in message
    for side in ("best_bid", "best_ask"):
        number(field(message, side, str))
        if sizes:
            number(field(message, side + "_size", str))
    check_numbers(message, "price", "last_size", "open_24h", "low_24h", "high_24h", "volume_24h", "volume_30d")
    if says(message, "trade_id"):
        check_counts(message, "trade_id")
    if says(message, "side"):
        check_side(message)


def says(message, key):
    """Whether a key that may be missing, or null, says something; one that comes twice does, and is then refused."""
    return message.get(key) is not None or key in message and key in message.twice


def check_numbers(message, *keys):
    for key in keys:
        if says(message, key):
            number(field(message, key, str))


def check_side(message):
    if field(message, "side", str) not in ("buy", "sell"):
        raise Reject("unknown_side")


def check_trade(message):
    check_counts(message, *(["sequence"] if message["type"] != "rfq_match" or says(message, "sequence") else []), "trade_id")
    price, size = number(field(message, "price", str)), number(field(message, "size", str))
    if max(decimals_of(price), decimals_of(size)) > DECIMALS_MAX:
        raise Reject("number_range")
    if price == 0:
        raise Reject("bad_number")
    check_side(message)


def check_auction(message):
    check_counts(message, "sequence")
    field(message, "auction_state", str)
    check_numbers(message, *(f"{what}_{unit}" for what in ("best_bid", "best_ask", "open") for unit in ("price", "size")))
    check_time(message, "timestamp")
    if says(message, "can_open") and field(message, "can_open", str) not in ("yes", "no"):
        raise Reject("wrong_type")


TEXTS = ["base_currency", "base_currency_id", "quote_currency", "quote_currency_id", "status", "product_type", "alias"]
FLAGS = ["post_only", "limit_only", "cancel_only", "auction_mode", "trading_disabled", "is_disabled", "view_only", "fx_stablecoin"]


def id_of(row):
    id = row.get("id", row.get("product_id")) if isinstance(row, dict) else None
    return id if isinstance(id, str) else None


def check_row(row, known):
    """Of a product that nobody asked for only the name is looked at."""
    if not isinstance(row, dict):
        raise Reject("wrong_type")
    if id_of(row) is None:
        raise Reject("missing_field" if row.get("id", row.get("product_id")) is None else "wrong_type")
    if id_of(row) not in known:
        return
    for key in ("base_increment", "price_increment" if says(row, "price_increment") else "quote_increment"):
        if not says(row, key):
            raise Reject("missing_field")
        price_of(field(row, key, str))
    for key in TEXTS:
        if says(row, key):
            field(row, key, str)
    if any(not isinstance(row.get(key, False), (bool, type(None))) for key in FLAGS):
        raise Reject("wrong_type")
    if says(row, "min_market_funds"):
        number(str(row["min_market_funds"]))


class Books:
    def __init__(self, ids, mid_window):
        self.mid_window = mid_window
        self.asked = ids
        self.products = {id: Product(mid_window) for id in ids or []}
        self.rejected = collections.Counter()
        self.messages = self.unknown = 0

    def find(self, id):
        if id not in self.products and self.asked is None and isinstance(id, str):
            self.products[id] = Product(self.mid_window)
        return self.products.get(id)

    def take(self, line):
        """One message. Whatever is wrong with it changes no book, and makes the book that it was meant for stale."""
        self.messages += 1
        product = None
        harmless = False  # whatever is wrong with it, no book can be
        text = line.decode("utf-8", errors="surrogateescape")
        broken_utf8 = bool(re.search("[\udc80-\udcff]", text))
        try:
            try:
                message = json.loads(text, object_pairs_hook=pairs, parse_constant=no_constant)
            except (ValueError, RecursionError) as error:
                named = NAMED.search(text, 0, getattr(error, "pos", 0))
                product = self.products.get(named.group(1)) if named else None
                raise Reject("bad_utf8" if broken_utf8 else "bad_json") from None
            if isinstance(message, dict) and "product_id" not in message.twice and isinstance(message.get("product_id"), str):
                product = self.products.get(message["product_id"])
                if product is None and message.get("type") in ("snapshot", "l2update"):
                    product = self.find(message["product_id"])
            if broken_utf8:
                raise Reject("bad_utf8")
            if not isinstance(message, dict):
                raise Reject("wrong_type")
            kind = field(message, "type", str)
            harmless = kind in HARMLESS
            if harmless and kind != "status" or kind in ("snapshot", "l2update", "heartbeat"):
                field(message, "product_id", str)
                if product is None:
                    raise Reject("unknown_product")
                if not harmless:
                    check_time(message)
            if kind == "snapshot":
                sides = {key: [(price_of(price), number(size)) for price, size in rows(message, key, 2)] for key in ("bids", "asks")}
                product.snapshot(sides["bids"], sides["asks"])
            elif kind == "l2update":
                product.update(list(changes_of(message)))
            elif kind == "subscriptions":
                check_subscriptions(message)
            elif kind == "heartbeat":
                check_counts(message, "sequence", "last_trade_id")
            elif kind == "status":
                for row in field(message, "products", list):
                    product = self.products.get(id_of(row))
                    check_row(row, self.products)
            elif kind == "auction":
                check_auction(message)
            elif harmless:
                (check_ticker if kind == "ticker" else check_trade)(message)
                check_time(message)
            elif kind not in PASSED_BY:
                self.unknown += 1
        except Reject as reject:
            reason = str(reject)
            self.rejected[reason] += 1
            if product is not None:
                product.rejected += 1
                if not harmless:
                    product.suspect(reason)
            elif not harmless and reason != "unknown_product":
                for every in self.products.values():  # nobody can tell whose change was lost
                    every.suspect(reason)

    def report(self, depth):
        return {
            "messages": self.messages,
            "rejected": dict(sorted(self.rejected.items())),
            "unknown": self.unknown,
            "products": {id: self.products[id].report(depth) for id in self.products},
        }


def messages_of(path):
    with open(path, "rb") as plain_file:
        packed = plain_file.read(2) == b"\x1f\x8b"
    with (gzip.open if packed else open)(path, "rb") as file:
        for index, line in enumerate(file):
            line = line.rstrip(b"\n").removesuffix(b"\r")
            if index == 0:
                line = line.removeprefix(b"\xef\xbb\xbf")
            received = RECEIVED.match(line)
            line = line[received.end():] if received else line
            if line.strip(b" \t"):
                yield line


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--product", action="append", help="only these (repeat, or separate by commas)")
    parser.add_argument("--depth", type=int, default=50)
    parser.add_argument("--mid-window", type=int, default=10)
    parser.add_argument("recording", nargs="+")
    options = parser.parse_args()
    ids = None if options.product is None else [id if "-" in id else id + "-USD" for ids in options.product for id in ids.split(",")]
    books = Books(ids, options.mid_window)
    for path in options.recording:
        for line in messages_of(path):
            books.take(line)
    json.dump(books.report(options.depth), sys.stdout, indent=1)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
