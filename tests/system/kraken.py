"""Kraken's side of its book channel, slowly, from the documentation alone: https://docs.kraken.com/api/docs/websocket-v2/book and the guide to its checksum.
Shares nothing with the engine; numbers are decimal.Decimal."""

import json
import random
import zlib
from decimal import Decimal

TIME = "2026-09-07T01:57:%02d.%06dZ"


def checksum(bids, asks):
    """Of (price, qty) texts, best first."""
    bare = lambda number: number.replace(".", "").lstrip("0")
    return zlib.crc32("".join(bare(price) + bare(qty) for side in (asks, bids) for price, qty in side[:10]).encode())


class Market:
    """One product: more levels than anybody is told of, and what a subscriber of some depth is sent of their changes."""

    def __init__(self, symbol, price_precision, qty_precision, middle, seed, levels=40, depth=10):
        self.symbol, self.depth, self.levels = symbol, depth, levels
        self.precision = (price_precision, qty_precision)
        self.random = random.Random(f"{symbol} {seed}")
        self.tick, self.lot = Decimal(1).scaleb(-price_precision), Decimal(1).scaleb(-qty_precision)
        self.middle = Decimal(middle)
        self.side = ({}, {})  # bids, asks: price to qty
        self.told = None  # what a subscriber has by the rules given to him
        self.count = 0
        self.plain = False
        for side in (0, 1):
            while len(self.side[side]) < levels:
                self.add(side)

    def qty(self):
        return self.lot * self.random.randrange(1, 10 ** self.random.randrange(1, self.precision[1] + 3))

    def add(self, side):
        away = self.tick * self.random.randrange(1, 4 * self.levels)
        self.side[side][self.middle - away if side == 0 else self.middle + away] = self.qty()

    def best(self, side, count):
        return sorted(self.side[side].items(), reverse=side == 0)[:count]

    def text(self, number, which):
        """A JSON number at the product's precision, as Kraken sends it; or, unless they are to be plain, one of the same decimals in another form."""
        shown = f"{number:.{self.precision[which]}f}"
        form = 0 if self.plain else self.random.randrange(12)
        if form == 1 and self.precision[which]:
            return f"{int(number.scaleb(self.precision[which]))}e-{self.precision[which]}"
        return f'"{shown}"' if form == 2 else shown

    def said(self, kind, changes):
        shown = ["[" + ",".join('{"price":%s,"qty":%s}' % (self.text(p, 0), self.text(q, 1)) for p, q in changes[side]) + "]" for side in (0, 1)]
        self.count += 1
        at = TIME % (self.count // 1000000 % 60, self.count % 1000000)
        return '{"channel":"book","type":"%s","data":[{"symbol":"%s","bids":%s,"asks":%s,"checksum":%d,"timestamp":"%s"}]}' % (
            kind, self.symbol, *shown, self.checksum(), at)

    def shown(self, side):
        return [(f"{p:.{self.precision[0]}f}", f"{q:.{self.precision[1]}f}") for p, q in self.best(side, self.depth)]

    def checksum(self):
        return checksum(self.shown(0), self.shown(1))

    def snapshot(self):
        self.told = [dict(self.best(side, self.depth)) for side in (0, 1)]
        return self.said("snapshot", [self.best(side, self.depth) for side in (0, 1)])

    def step(self):
        """Some orders come and go; the update that tells a subscriber, or None if he sees nothing of it."""
        for _ in range(self.random.randrange(1, 5)):
            side, doing = self.random.randrange(2), self.random.random()
            book = self.side[side]
            if doing < 0.4 and len(book) > self.levels // 2:
                del book[self.random.choice([p for p, _ in self.best(side, self.depth + 5)])]
            elif doing < 0.7:
                book[self.random.choice(list(book))] = self.qty()
            else:
                self.add(side)
        return self.update()

    def update(self):
        changes = ([], [])
        for side in (0, 1):
            now, before = dict(self.best(side, self.depth)), self.told[side]
            changes[side].extend((p, Decimal(0)) for p in before if p not in self.side[side])
            changes[side].extend((p, q) for p, q in now.items() if before.get(p) != q)
            self.random.shuffle(changes[side])
            for price, qty in changes[side]:
                before[price] = qty
            kept = sorted(((p, q) for p, q in before.items() if q), reverse=side == 0)[:self.depth]
            self.told[side] = dict(kept)
            assert self.told[side] == now, (self.symbol, side)
        return self.said("update", changes) if changes[0] or changes[1] else None

    def levels_of_report(self):
        """Both sides as a report has them: without zeros at the end."""
        plain = lambda number: f"{number.normalize():f}"
        return [[[plain(p), plain(q)] for p, q in self.best(side, self.depth)] for side in (0, 1)]


def acknowledged(method, symbol, depth):
    return json.dumps({"method": method, "result": {"channel": "book", "depth": depth, "snapshot": True, "symbol": symbol}, "success": True,
                       "time_in": TIME % (0, 0), "time_out": TIME % (0, 1)})


def refused(symbol):
    return json.dumps({"error": f"Currency pair not supported {symbol}", "method": "subscribe", "success": False, "symbol": symbol,
                       "time_in": TIME % (0, 0), "time_out": TIME % (0, 1)})


def instruments(*markets):
    pairs = [{"symbol": "EUR/CHF", "status": "online", "price_precision": 5, "qty_precision": 8}]
    pairs += [{"symbol": m.symbol, "status": "online", "price_precision": m.precision[0], "qty_precision": m.precision[1]} for m in markets]
    return json.dumps({"channel": "instrument", "type": "snapshot", "data": {"assets": [], "pairs": pairs}})


STATUS = '{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2","connection_id":12072546403441331453}]}'
HEARTBEAT = '{"channel":"heartbeat"}'
