"""Reads the books of a running node from shared memory (`wirebook run --shm NAME`); standard library only, a copy of this file is enough.

    from wirebook_shm import Shm
    with Shm("books") as shm:
        touch = shm.view("BTC-USD")
        print(touch["state"], touch["best_bid"], touch["best_ask"])
        bids, asks = shm.depth("BTC-USD", 10)
        for change in shm.changes():      # those since the last call; .lost counts what was overwritten before it was read
            ...

Prices and sizes are decimal.Decimal, exact. The layout is that of io/wirebook_shm.h, version 1. A copy is taken between two looks at a sequence; Python reads
aligned words whole on the machines that wirebook runs on, but gives no order of its own to them: x86-64 keeps it; elsewhere read with C.
"""

import mmap
import os
import struct
import time
from decimal import Context, Decimal

MAGIC, VERSION, DEAD_NS, TIME_NONE = 0x4D48534B4F4F4257, 1, 3_000_000_000, -(2**63)
STATES = ("waiting", "live", "stale", "resyncing", "removed")
KINDS = {1: "change", 2: "snapshot", 3: "trade", 4: "state"}
HEAD = struct.Struct("<QIIQQQQQIIQ4Q4Q")
HEAD_NAMES = ("magic version depth bytes generation writer_pid alive_ns ended product_max product_count ring_records products_at views_at depths_at ring_at "
              "product_bytes view_bytes depth_bytes record_bytes").split()
RING_NEXT_AT = 192
VIEW = struct.Struct("<IIQQQQQqQQQQQQQQQQQQQqq8I8B")
VIEW_NAMES = ("bid_levels ask_levels updates changes unknown crossed recv_ns time_ns best_bid best_bid_size best_ask best_ask_size mid2_sum_low mid2_sum_high max_spread "
              "mid_held snapshots rejected resyncs state_since_ns lost_trades added_utc_ns removed_utc_ns").split()
DEPTH = struct.Struct("<QQqII4B4x16x")
CHANGE = struct.Struct("<QQqQQQHBBBBBx")
EXACT = Context(prec=64)


def number(value, decimals):
    return Decimal(value).scaleb(-decimals, EXACT)


class Shm:
    def __init__(self, name):
        if not name or "/" in name:
            raise ValueError("not a name of shared memory")
        with open(f"/dev/shm/{name}", "rb") as file:
            if os.fstat(file.fileno()).st_size < 256:
                raise ValueError("no shared memory of wirebook")
            self.map = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
        self.head = dict(zip(HEAD_NAMES, HEAD.unpack_from(self.map, 0)))
        if self.head["magic"] != MAGIC or self.head["version"] != VERSION or self.head["bytes"] != len(self.map):
            raise ValueError("no shared memory of this version of wirebook")
        self.next = self.word(RING_NEXT_AT)
        self.lost = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.map.close()

    def word(self, at):
        return struct.unpack_from("<Q", self.map, at)[0]

    def alive(self):
        """Whether the writer runs: it neither ended, nor has it been silent for three seconds."""
        head = HEAD.unpack_from(self.map, 0)
        return not head[7] and time.monotonic_ns() - head[6] < DEAD_NS

    def products(self):
        """The ids, by index."""
        count = HEAD.unpack_from(self.map, 0)[9]
        at, step = self.head["products_at"], self.head["product_bytes"]
        return [self.map[at + i * step:at + (i + 1) * step].split(b"\0", 1)[0].decode() for i in range(count)]

    def index(self, product):
        return product if isinstance(product, int) else self.products().index(product)

    def copy(self, at, count):
        """count bytes behind the sequence at `at`, all of one moment."""
        for _ in range(100000):
            before = self.word(at)
            data = self.map[at + 8:at + 8 + count]
            if not before & 1 and self.word(at) == before:
                return data
        raise RuntimeError("the writer died in the middle of it")

    def view(self, product):
        """What is known of a product as of its last message. None where a side is empty."""
        values = VIEW.unpack(self.copy(self.head["views_at"] + self.index(product) * self.head["view_bytes"], VIEW.size))
        view = dict(zip(VIEW_NAMES, values))
        view["alarms"] = values[23:31]
        state, view["reason"], view["reject"], price, size, connected, view["last_alarm"], _ = values[31:]
        view.update(state=STATES[state], connected=bool(connected), price_decimals=price, size_decimals=size)
        for side in ("bid", "ask"):
            there = view[f"best_{side}_size"] != 0
            view[f"best_{side}"] = number(view[f"best_{side}"], price) if there else None
            view[f"best_{side}_size"] = number(view[f"best_{side}_size"], size) if there else None
        view["max_spread"] = number(view["max_spread"], price)
        view["time_ns"] = None if view["time_ns"] == TIME_NONE else view["time_ns"]
        both = view["best_bid"] is not None and view["best_ask"] is not None
        view["spread"] = view["best_ask"] - view["best_bid"] if both else None
        view["mid"] = (view["best_bid"] + view["best_ask"]) / 2 if both else None
        return view

    def depth(self, product, most=1000):
        """(bids, asks): lists of (price, size), best first."""
        levels = self.head["depth"]
        data = self.copy(self.head["depths_at"] + self.index(product) * self.head["depth_bytes"], 56 + 32 * levels)
        _, _, _, bids, asks, price, size, _, _ = DEPTH.unpack_from(data, 0)

        def side(at, count):
            words = struct.unpack_from(f"<{2 * count}Q", data, at)
            return [(number(words[2 * i], price), number(words[2 * i + 1], size)) for i in range(min(count, most))]

        return side(56, bids), side(56 + 16 * levels, asks)

    def changes(self):
        """The changes that came since the last call (at first: since open), as dicts."""
        mask, at, step = self.head["ring_records"] - 1, self.head["ring_at"], self.head["record_bytes"]
        names = None
        while True:
            slot, whole = at + (self.next & mask) * step, 2 * self.next + 2
            sequence = self.word(slot)
            if sequence < whole:
                return
            data = self.map[slot + 8:slot + step]
            if sequence == whole and self.word(slot) == whole:
                price, size, time_ns, recv_ns, frame, trade_id, product, kind, side, last, price_decimals, size_decimals = CHANGE.unpack_from(data, 0)
                self.next += 1
                names = names or self.products()
                yield {"product": names[product], "kind": KINDS.get(kind, kind), "side": "ask" if side else "bid", "price": number(price, price_decimals),
                       "size": number(size, size_decimals), "time_ns": None if time_ns == TIME_NONE else time_ns, "recv_ns": recv_ns, "number": frame,
                       "trade_id": trade_id, "last": bool(last)}
                continue
            tail = self.word(RING_NEXT_AT) - self.head["ring_records"] // 2
            if tail > self.next:
                self.lost += tail - self.next
                self.next = tail
