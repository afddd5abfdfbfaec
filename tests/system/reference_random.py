#!/usr/bin/env python3
"""wirebook replay against the reference book, on random recordings with broken messages among them.

    reference_random.py WIREBOOK [--seed N] [--recordings N] [--messages N] [--keep DIR]

Prints the seed of each recording that differs; --seed with --recordings 1 makes that one again.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import compare_report  # noqa: E402
import reference_book  # noqa: E402

PRODUCTS = ["BTC-USD", "ETH-USD", "SKL-BTC"]


class Writer:
    """Makes messages about books that it does not keep: prices near a drifting middle, some far away, some again and again."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.decimals = {id: (self.random.randrange(0, 9), self.random.randrange(0, 9)) for id in PRODUCTS}
        self.middle = {id: self.random.choice((50, 4000, 10**6)) for id in PRODUCTS}

    def number(self, value, decimals):
        text = f"{value:0{decimals + 1}d}"
        text = text[:len(text) - decimals] + ("." + text[len(text) - decimals:] if decimals else "")
        return text + ("0" * self.random.randrange(0, 3) if decimals and self.random.random() < 0.1 else "")

    def price(self, id, side):
        away = self.random.choice((3, 30, 300, 3 * 10**6))
        ticks = max(1, self.middle[id] + self.random.randrange(1, away) * (-1 if side == "buy" else 1) + (self.random.random() < 0.02) * 5)
        return self.number(ticks, self.decimals[id][0])

    def size(self, id):
        return self.number(0 if self.random.random() < 0.35 else self.random.randrange(0, 10**self.random.randrange(1, 9)), self.decimals[id][1])

    def time(self):
        return self.random.choice((None, None, "2026-08-02T05:43:52.535977Z", "2026-08-02T05:43:52Z", "0001-01-01T00:00:00.000000Z"))

    def snapshot(self, id):
        sides = {key: [[self.price(id, side), self.size(id)] for _ in range(self.random.choice((0, 1, 5, 40, 9000 if self.random.random() < 0.1 else 50)))]
                 for key, side in (("bids", "buy"), ("asks", "sell"))}
        return {"type": "snapshot", "product_id": id, **sides}

    def update(self, id):
        count = self.random.choice((0, 1, 1, 1, 1, 2, 3, 12, 60, 5000 if self.random.random() < 0.02 else 4))
        changes = []
        for _ in range(count):
            side = self.random.choice(("buy", "sell"))
            changes.append([side, self.price(id, side), self.size(id)])
        self.middle[id] = max(10, self.middle[id] + self.random.randrange(-2, 3))
        return {"type": "l2update", "product_id": id, "changes": changes}

    def other(self, id):
        return self.random.choice((
            {"type": "heartbeat", "product_id": id, "sequence": self.random.randrange(2**64), "last_trade_id": 0, "time": "2026-08-02T05:43:52.5Z"},
            {"type": "ticker", "product_id": id, "sequence": 1, "best_bid": "0", "best_ask": "1.5"},
            {"type": "ticker", "product_id": id, "sequence": 1, "best_bid": "1", "best_bid_size": "1", "best_ask": self.random.choice(("x", "2", 2))},
            {"type": "match", "product_id": id, "sequence": 1, "trade_id": 7, "price": self.random.choice(("1", "0", "-1")), "size": "1", "side": "buy"},
            {"type": "match", "size": -1}, {"type": "new", "product_id": "NO-ONE"},
            {"type": "subscriptions", "channels": [{"name": "level2_50", "product_ids": PRODUCTS, "account_ids": None}]},
            {"type": "error", "message": "Failed to subscribe", "reason": "no"}, {"type": "l2update", "product_id": "NO-ONE", "changes": []}))

    def spoil(self, message):
        """A message that is wrong in one place, as an object or as bytes."""
        wrong = json.loads(json.dumps(message))
        rows = wrong.get("changes") or wrong.get("bids") or wrong.get("asks") or []
        kind = self.random.randrange(10)
        if kind < 4 and rows:
            row = self.random.choice(rows)
            at = self.random.randrange(len(row))
            is_side = at == 0 and "changes" in wrong
            row[at] = self.random.choice(("Buy", "", "bid") if is_side else ("", "-1", "1e3", "+1", "0.-10000", "NaN", ".5", "5.", "00.5", "1,5", "0x1", " 1", "0.-0", "9" * 41, 5, None, []))
            return wrong
        if kind == 4 and rows:
            row = self.random.choice(rows)
            self.random.choice((row.pop, lambda: row.append("1")))()
            return wrong
        if kind == 5:
            del wrong[self.random.choice([key for key in wrong if key not in ("type", "time")])]
            return wrong
        if kind == 6:
            wrong["time"] = self.random.choice(("today", "2026-02-30T00:00:00Z", 5, None, "2026-08-02 05:43:52Z"))
            return wrong
        text = bytearray(self.text(message))
        if kind == 7:
            return bytes(text[:self.random.randrange(1, len(text))])
        if kind == 8:
            at = text.rindex(b'"')
            text[at:at] = self.random.choice((b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\x01"))
            return bytes(text)
        return self.random.choice((b"{}", b"[]", b"null", b"{", b'{"type":5}', bytes(text) + b"}", bytes(text) + b",", b"x" + bytes(text)))

    def text(self, message):
        """JSON in one of the ways in which it can be written."""
        if isinstance(message, bytes):
            return message
        keys = list(message)
        if self.random.random() < 0.3:
            self.random.shuffle(keys)
        blanks = self.random.choice(((",", ":"), (",", ":"), (", ", ": "), (" ,\t", " : ")))
        made = json.dumps({key: message[key] for key in keys}, separators=blanks).encode()
        return made.replace(b"buy", b"\\u0062uy", 1) if self.random.random() < 0.02 else made

    def rescale(self, id):
        """From here on the product's numbers have other decimals: finer ones widen its units, coarser ones do not."""
        price, size = (self.random.randrange(0, 11) for _ in range(2))
        self.middle[id] = max(10, self.middle[id] * 10**price // 10**self.decimals[id][0] % 10**9)
        self.decimals[id] = (price, size)

    def messages(self, count):
        for id in PRODUCTS[:2]:
            yield self.text(self.snapshot(id))
        for _ in range(count):
            id, dice = self.random.choice(PRODUCTS), self.random.random()
            if self.random.random() < 0.01:
                self.rescale(id)
            message = self.snapshot(id) if dice < 0.03 else self.other(id) if dice < 0.06 else self.update(id)
            time = self.time()
            if time and message["type"] in ("snapshot", "l2update"):
                message["time"] = time
            yield self.text(self.spoil(message) if self.random.random() < 0.015 else message)


def differ(wirebook, seed, count, folder):
    messages = [message.replace(b"\n", b" ") for message in Writer(seed).messages(count)]
    recording, report = folder / f"{seed}.jsonl", folder / f"{seed}.json"
    recording.write_bytes(b"\n".join(messages) + b"\n")
    books = reference_book.Books(PRODUCTS, 10)
    for message in messages:
        books.take(message)
    expected = books.report(1000)
    ran = subprocess.run([wirebook, "replay", recording, "--product", ",".join(PRODUCTS), "--depth", "1000", "--witness", "off", "--report", report, "--console", "off"],
                         capture_output=True, text=True, errors="replace", timeout=300)
    if ran.returncode != 0:
        return [f"replay ended with {ran.returncode}: {ran.stderr[-2000:]}"], expected
    found = json.loads(report.read_text())
    differences = list(compare_report.differences(expected, found, None, True, False))
    if sum(expected["rejected"].values()) != sum(found["rejected"].values()):
        differences.append(f"rejected: {expected['rejected']} and {found['rejected']}")
    if expected["messages"] != found["messages"]:
        differences.append(f"messages: {expected['messages']} and {found['messages']}")
    return differences, expected


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wirebook")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--recordings", type=int, default=12)
    parser.add_argument("--messages", type=int, default=400)
    parser.add_argument("--keep", help="folder for recordings and reports")
    options = parser.parse_args()
    wrong, applied, rejected = 0, 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.keep or temporary)
        folder.mkdir(exist_ok=True)
        for seed in range(options.seed, options.seed + options.recordings):
            differences, expected = differ(options.wirebook, seed, options.messages, folder)
            applied += sum(product["updates"] for product in expected["products"].values())
            rejected += sum(expected["rejected"].values())
            if differences:
                wrong += 1
                print(f"seed {seed}, {options.messages} messages (the reference first):", *differences[:12], sep="\n  ")
    print(f"seeds {options.seed}..{options.seed + options.recordings - 1}: {applied} updates, {rejected} rejects, {wrong} recordings differ")
    return 1 if wrong or not applied or not rejected else 0


if __name__ == "__main__":
    sys.exit(main())
