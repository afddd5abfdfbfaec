#!/usr/bin/env python3
"""permessage-deflate (RFC 7692) between the node and peers that compress by themselves. `test_deflate.py [NAME...]`.

The node compresses nothing of its own, which is legal; what it makes of compressed messages is in its log and its books."""

import os
import random
import signal
import ssl
import struct
import subprocess
import time
import zlib

from harness import HERE, SLOW, all_at_once, certificates, load, logged, main, mock, node, same
from peer import Listener, Secure, frame
from test_confine import ON, SANITIZED, field
from test_node import BOOK, THREE, books_equal, replayed, secured
from test_upgrade import tries_again
from test_websocket import BINARY, CLOSE, GOOD, INVALID, PING, PONG, SNAPSHOT, closing, filler, frames_until_close

OFFERS = {"takeover": b"permessage-deflate", "no-takeover": b"permessage-deflate; server_no_context_takeover; client_no_context_takeover"}
ANSWERS = {"takeover": b"permessage-deflate", "no-takeover": b"permessage-deflate; server_no_context_takeover"}
TAIL = b"\0\0\xff\xff"
LIMIT = 1 << 20


class Packer:
    """What compresses for a server. Each call makes the payload of one message."""

    def __init__(self, takeover=True, level=6, bits=15, strategy=zlib.Z_DEFAULT_STRATEGY):
        self.takeover, self.words, self.z = takeover, (level, zlib.DEFLATED, -bits, 8, strategy), None

    def __call__(self, text, flush_every=None):
        if self.z is None or not self.takeover:
            self.z = zlib.compressobj(*self.words)
        step = flush_every or len(text) or 1
        out = b"".join(self.z.compress(text[i:i + step]) + self.z.flush(zlib.Z_SYNC_FLUSH) for i in range(0, len(text), step))
        assert out == b"" or out.endswith(TAIL)
        return out[:-4] or b"\0"


def packed(payload, opcode=1, size=None):
    """The frames of a compressed message, in fragments of size."""
    pieces = [payload[i:i + size] for i in range(0, len(payload), size)] if size else [payload]
    return [frame(piece, opcode=0 if i else opcode, fin=i + 1 == len(pieces), rsv=0 if i else 0x40) for i, piece in enumerate(pieces)]


def one(payload):
    return packed(payload)[0]


def agreeing(client, answer):
    return client.answer()[:-2] + b"Sec-WebSocket-Extensions: " + answer + b"\r\n\r\n"


def agree(client, answer):
    client.send(agreeing(client, answer))
    client.subscribed()


def begin(directory, mode="takeover", *words, answer=None, limit="1M", **options):
    """A node that offers compression, and the connection on which it was agreed. It ends when that does."""
    os.makedirs(directory, exist_ok=True)
    with Listener() as listener:
        program = node(listener.url, directory, "--once", "--deflate", mode, "--max-message", limit, *words, **options)
        client = listener.meet()
    agree(client, answer or ANSWERS[mode])
    return program, client


def accepted(directory, mode, cases, answer=None):
    """One connection for all cases (name, writes, text): each text is in the log as it was before it was compressed."""
    program, client = begin(directory, mode, answer=answer)
    client.send(frame(SNAPSHOT))  # or the node would ask for it again after a while
    for _, writes, _ in cases:
        for data in writes:
            client.send(data)
    client.send(closing(1000))
    assert frames_until_close(client) == [(CLOSE, struct.pack(">H", 1000))], program.out["stderr"]
    client.hang_up()
    program.ends(0)
    assert load(f"{directory}/report.json")["rejected"] == {}, program.out["stderr"]
    stored = logged(directory, "text")
    assert stored[0] == SNAPSHOT and len(stored) == 1 + len(cases), f"{len(stored) - 1} texts, not {len(cases)}"
    for (name, _, text), got in zip(cases, stored[1:]):
        assert got == text, f"{name}: {len(got)} bytes {got[:200]}, not {len(text)} bytes {text[:200]}"
    assert logged(directory, "partial,violation,oversize") == []


def pad(kind, count, dice):
    """A text of that many bytes: like the feed, all the same, or as good as incompressible."""
    room = count - len(filler())
    if kind == "like the feed":
        words = "".join(f'[\\"buy\\",\\"{dice.randrange(10**7) / 100}\\",\\"{dice.randrange(10**8) / 10**8}\\"],' for _ in range(room // 20 + 1)).encode()
        words = words.replace(b"\\", b"")
        return filler(words[:room].replace(b'"', b"'"))
    return filler(b"*" * room if kind == "all the same" else bytes(dice.choice(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") for _ in range(room)))


SIZES = [32, 64, 125, 126, 127, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072]
KINDS = ["like the feed", "all the same", "as good as incompressible"]

# ---------------------------------------------------------------------------------------------- what is offered, and what may be answered


def compression_is_offered_only_on_request_and_in_the_words_that_were_asked_for(directory):
    """RFC 7692 5.1, 7.1; flag and environment."""
    for number, (words, environment, offered) in enumerate([
            ([], {}, None), (["--deflate", "off"], {"WIREBOOK_DEFLATE": "takeover"}, None), (["--deflate", "takeover"], {}, OFFERS["takeover"]),
            (["--deflate", "no-takeover"], {}, OFFERS["no-takeover"]), ([], {"WIREBOOK_DEFLATE": "no-takeover"}, OFFERS["no-takeover"])]):
        with Listener() as listener:
            program = node(listener.url, f"{directory}/{number}", "--once", *words, env=environment)
            client = listener.meet()
            client.upgrade()
            lines = [line for line in client.request if line.lower().startswith(b"sec-websocket-extensions")]
            assert lines == ([b"Sec-WebSocket-Extensions: " + offered + b"\r\n"] if offered else []), lines
            client.subscribed()
            client.send(closing(1000))
            assert client.wait_close() == 1000
            client.hang_up()
            program.ends(0)
    program = node("ws://127.0.0.1:1/", directory, "--deflate", "yes").ends(2)
    assert "--deflate: 'yes' is not off|takeover|no-takeover" in program.out["stderr"], program.out["stderr"]


def a_server_that_declines_is_listened_to_uncompressed_and_may_not_compress(directory):
    """RFC 7692 5; RFC 6455 5.2: RSV1 means nothing then."""
    with Listener() as listener:
        program = node(listener.url, directory, "--once", "--deflate", "takeover")
        client = listener.meet()
    client.upgrade()
    client.subscribed()
    client.send(frame(SNAPSHOT) + frame(GOOD) + one(Packer()(GOOD)))
    assert client.wait_close() == 1002
    client.hang_up()
    program.ends(0)
    assert "permessage-deflate declined" in program.out["stderr"], program.out["stderr"]
    assert logged(directory, "text") == [SNAPSHOT, GOOD] and load(f"{directory}/report.json")["rejected"] == {"protocol": 1}


def an_answer_that_does_not_follow_from_the_offer_is_refused_in_words_and_tried_again(directory):
    """RFC 7692 5, 7.1.1 to 7.1.2: one extension, parameters once, of legal values, and none that was not offered."""
    wrong = {
        b"x-made-up": "the one extension", b"permessage-deflate, permessage-deflate": "the one extension", b"permessage-deflate; x": "nobody knows",
        b"permessage-deflate; server_no_context_takeover; server_no_context_takeover": "twice", b"permessage-deflate; server_max_window_bits=7": "not 8 to 15",
        b"permessage-deflate; server_max_window_bits=16": "not 8 to 15", b"permessage-deflate; server_max_window_bits=\"09\"": "not 8 to 15",
        b"permessage-deflate; server_max_window_bits": "without a value", b"permessage-deflate; client_max_window_bits=15": "was not offered",
        b"permessage-deflate; server_no_context_takeover=0": "a value where none belongs", b"permessage-deflate; ;": "no list of extensions",
        b"permessage-deflate\r\nSec-WebSocket-Extensions: permessage-deflate": "more than once",
    }
    soon = (0.125, 0.25)
    tries_again(f"{directory}/takeover", [(lambda client, answer=answer: agreeing(client, answer), ["Sec-WebSocket-Extensions", words], *soon)
                                          for answer, words in wrong.items()], "--deflate", "takeover")
    tries_again(f"{directory}/no-takeover", [(lambda client: agreeing(client, b"permessage-deflate"), ["no server_no_context_takeover, which was asked for"], *soon)],
                "--deflate", "no-takeover")


def every_legal_answer_is_kept_to(directory):
    """Autobahn 13: takeover or not, windows of 2^9 to 2^15, in any order of words; a server may do without the context although nobody asked."""
    answers = [("takeover", b"permessage-deflate", True, 15), ("takeover", b"permessage-deflate; server_no_context_takeover", False, 15),
               ("takeover", b"permessage-deflate; client_no_context_takeover", True, 15), ("takeover", b"permessage-deflate ; server_max_window_bits = \"10\"", True, 10),
               ("no-takeover", b"permessage-deflate; client_no_context_takeover; server_max_window_bits=9; server_no_context_takeover", False, 9)]
    answers += [("takeover", b"permessage-deflate; server_max_window_bits=%d" % bits, True, bits) for bits in range(9, 16)]

    def each(number, case):
        mode, answer, takeover, bits = case
        dice, pack = random.Random(number), Packer(takeover, bits=bits)
        texts = [pad(KINDS[i % 3], 70 + 997 * i, dice) for i in range(40)]
        accepted(f"{directory}/{number}", mode, [(f"{answer} {i}", [one(pack(text))], text) for i, text in enumerate(texts)], answer)

    all_at_once(each, answers)


# ---------------------------------------------------------------------------------------------- messages


def messages_of_every_size_arrive_as_they_were_with_and_without_takeover(directory):
    """Autobahn 12.1 to 12.5: .1 to .10 whole, .11 to .18 in fragments of 256 to 32768 bytes; many of each."""

    def each(number, case):
        mode, kind, size = case
        dice, pack, cases = random.Random(number), Packer(mode == "takeover"), []
        for count in SIZES:
            for repeat in range(3 if count < 16384 else 1):
                text = pad(kind, count, dice)
                cases.append((f"{kind}, {count} bytes, {repeat}", packed(pack(text), size=size), text))
        accepted(f"{directory}/{number}", mode, cases)

    all_at_once(each, [(mode, kind, size) for mode in OFFERS for kind in KINDS for size in (None, 1, 256, 1024, 4096, 32768) if size != 1 or kind == KINDS[1]])


def every_kind_of_block_and_every_end_of_a_message_is_read(directory):
    """RFC 7692 7.2.3: stored, fixed and dynamic blocks, flushes within, a block that says it is the last, no compression for some messages."""
    dice, cases, pack = random.Random(5), [], Packer()
    for level, strategy in [(0, zlib.Z_DEFAULT_STRATEGY), (1, zlib.Z_FIXED), (9, zlib.Z_HUFFMAN_ONLY), (6, zlib.Z_RLE), (9, zlib.Z_DEFAULT_STRATEGY)]:
        for count in (40, 3000, 70000):
            text = pad(KINDS[count % 3], count, dice)
            cases.append((f"level {level} strategy {strategy}", [one(Packer(level=level, strategy=strategy)(text))], text))
            cases.append((f"level {level}, flushed often", packed(Packer(level=level, strategy=strategy)(text, 17), size=100), text))
    final = zlib.compressobj(6, zlib.DEFLATED, -15)
    cases.append(("7.2.3.4 a last block", [one(final.compress(GOOD) + final.flush() + b"\0")], GOOD))
    cases.append(("empty blocks around it", [one(b"\0" + TAIL + b"\2\0" + TAIL + Packer()(GOOD) + TAIL + b"\0")], GOOD))
    cases.append(("uncompressed between", [frame(GOOD)], GOOD))
    cases.append(("uncompressed in fragments", [frame(GOOD[:9], fin=False), frame(GOOD[9:], opcode=0)], GOOD))
    for i in range(20):  # the context goes on past messages that were not compressed
        cases.append(("in turns", [one(pack(GOOD))] if i % 3 else [frame(GOOD)], GOOD))
    accepted(directory, "takeover", cases)


def control_frames_come_between_the_fragments_of_a_compressed_message(directory):
    """RFC 7692 6.1: they are never compressed, and the message is the same."""
    program, client = begin(directory)
    pieces = packed(Packer()(SNAPSHOT), size=7)
    for i, piece in enumerate(pieces):
        client.send(piece + frame(b"ping %d" % i, PING) + frame(b"", PONG))
        if i + 1 < len(pieces):
            assert client.read() == (PONG, b"ping %d" % i)
    client.until(PONG, b"ping %d" % (len(pieces) - 1))
    client.send(closing(1000))
    assert client.wait_close() == 1000
    client.hang_up()
    program.ends(0)
    assert logged(directory, "text") == [SNAPSHOT] and logged(directory, "ping") == [b"ping %d" % i for i in range(len(pieces))]
    assert load(f"{directory}/report.json")["products"]["BTC-USD"]["snapshots"] == 1


def a_compressed_stream_may_be_cut_anywhere(directory):
    """Byte by byte, at random, and each segment read by itself; with the answer to the upgrade in one piece with frames."""
    pack = Packer()
    stream = b"".join(one(pack(text)) for text in [SNAPSHOT, GOOD, GOOD, filler(b"x" * 300)]) + frame(b"taken", PING)

    def each(number, size):
        place = f"{directory}/{number}"
        os.makedirs(place)
        with Listener() as listener:
            program = node(listener.url, place, "--once", "--deflate", "takeover", "--max-message", "1M", "--journal", "4M")
            client = listener.meet()
        data = agreeing(client, ANSWERS["takeover"]) + stream
        dice, at = random.Random(size), 0
        while at < len(data):
            step = size if size else dice.randrange(1, 60)
            client.send(data[at:at + step])
            client.taken()
            at += step
        client.until(PONG, b"taken")
        client.send(closing(1000))
        assert client.wait_close() == 1000
        client.hang_up()
        program.ends(0)
        assert logged(place, "text") == [SNAPSHOT, GOOD, GOOD, filler(b"x" * 300)], size

    all_at_once(each, [1, 2, 3, 0, 1000])


def snapshot_of(size):
    levels, dice = [], random.Random(size)
    for i in range(size // 26):
        levels.append(f'["{500000 - i}.{dice.randrange(100):02}","{dice.randrange(1, 10**9) / 10**8:.8f}"]')
    half = len(levels) // 2
    asks = [f'["{600000 + i}","{dice.randrange(1, 1000)}"]' for i in range(half)]
    return f'{{"type":"snapshot","product_id":"BTC-USD","asks":[{",".join(asks)}],"bids":[{",".join(levels[:half])}]}}'.encode()


def snapshots_of_1_and_5_mb_make_the_same_book_compressed_or_not_and_in_a_replay(directory):
    for size in (1 << 20, 5 << 20):
        text, books = snapshot_of(size), []
        for name, data in [("plain", frame(text)), ("whole", one(Packer()(text))), ("fragments", b"".join(packed(Packer()(text), size=4000)))]:
            place = f"{directory}/{size}{name}"
            program, client = begin(place, limit="8M")
            client.send(data + frame(b"taken", PING))
            client.until(PONG, b"taken")
            client.send(closing(1000))
            assert client.wait_close() == 1000
            client.hang_up()
            program.ends(0)
            report = load(f"{place}/report.json")
            assert report["rejected"] == {} and report["products"]["BTC-USD"]["snapshots"] == 1, report["rejected"]
            assert logged(place, "text") == [text] and report["bytes"] == len(text)
            replayed(place, "BTC-USD")
            books.append({key: report["products"]["BTC-USD"][key] for key in ("best_bid", "best_ask", "bid_levels", "ask_levels", "bids", "asks")})
        assert books[0] == books[1] == books[2] and books[0]["bid_levels"] > 1000, size


# ---------------------------------------------------------------------------------------------- what is refused


def refused(directory, cases, code, said, reason, mode="takeover"):
    """A connection each for cases (name, bytes before, bytes at fault, texts before)."""

    def each(number, case):
        name, good, bad, texts = case
        place = f"{directory}/{number}"
        program, client = begin(place, mode)
        client.send(good + bad)
        got = client.wait_close()
        client.hang_up()
        program.ends(0)
        assert got == code, f"{name}: closed with {got}, not {code}\n{program.out['stderr']}"
        assert said in program.out["stderr"], f"{name}: {program.out['stderr']}"
        assert load(f"{place}/report.json")["rejected"] == {reason: 1}, f"{name}: {load(f'{place}/report.json')['rejected']}"
        assert logged(place, "text") == texts, f"{name}: {logged(place, 'text')}"

    all_at_once(each, cases)


def what_is_no_deflate_is_refused_with_1007(directory):
    """RFC 7692 names no code; RFC 6455 7.4.1: 1007 is for data that is not consistent with the type of its message."""
    good, pack = Packer()(GOOD), Packer()
    first, second = pack(GOOD), pack(GOOD)
    cases = [("a reserved block", one(good), one(b"\6\0"), [GOOD]), ("a stored block whose lengths differ", b"", one(b"\0\5\0\xfa\xfeHello\0"), []),
             ("no bytes at all", one(good), one(b""), [GOOD]), ("bytes that are a text", one(good), one(GOOD), [GOOD]),
             ("text before the first", b"", one(second), []), ("a last block and no more", b"", one(b"\xf3\x48\xcd\xc9\xc9\7\0"), []),
             ("in the second fragment", one(first), frame(second[:2], fin=False, rsv=0x40) + frame(b"\xff" * 40, opcode=0), [GOOD])]
    cases += [(f"cut by {cut}", one(good), one(good[:-cut]), [GOOD]) for cut in range(1, len(good), 7)]
    refused(f"{directory}/takeover", cases, 1007, "damaged compressed data, closed with 1007", "protocol")
    refused(f"{directory}/no-takeover", [("text of the message before", one(first), one(second), [GOOD])], 1007, "damaged compressed data", "protocol", "no-takeover")


def the_bit_is_refused_with_1002_wherever_it_does_not_belong(directory):
    """RFC 7692 6: on the first frame of a data message alone; RFC 6455 5.2 for the other two."""
    payload = Packer()(GOOD)
    cases = [("a ping", one(payload), frame(b"x", PING, rsv=0x40), [GOOD]), ("a pong", b"", frame(b"", PONG, rsv=0x40), []),
             ("a close", one(payload), frame(struct.pack(">H", 1000), CLOSE, rsv=0x40), [GOOD]),
             ("a continuation", one(payload), frame(payload[:9], fin=False, rsv=0x40) + frame(payload[9:], opcode=0, rsv=0x40), [GOOD]),
             ("a continuation of a plain message", b"", frame(GOOD[:9], fin=False) + frame(GOOD[9:], opcode=0, rsv=0x40), []),
             ("RSV2 besides", one(payload), frame(payload, rsv=0x60), [GOOD]), ("RSV3 besides", b"", frame(payload, rsv=0x50), []), ("RSV2 alone", b"", frame(GOOD, rsv=0x20), [])]
    refused(directory, cases, 1002, "closed with 1002", "protocol")


def inflated_text_that_is_no_utf8_is_kept_and_refused_with_1007(directory):
    """RFC 6455 8.1 holds for the text, not for its compressed form (RFC 7692 6.2)."""
    cases = [(name, b"", one(Packer()(filler(value))), [filler(value)]) for name, value in list(INVALID.items())[::3]]
    refused(directory, cases, 1007, "bad_utf8 at byte", "bad_utf8")


def compressed_binary_messages_are_kept_and_refused_with_1003(directory):
    program, client = begin(directory)
    client.send(packed(Packer()(b"\xfe" * 1000), BINARY)[0])
    assert client.wait_close() == 1003
    client.hang_up()
    program.ends(0)
    assert logged(directory, "binary") == [b"\xfe" * 1000] and load(f"{directory}/report.json")["rejected"] == {"binary": 1}


def a_message_is_too_large_by_one_byte_however_it_is_sent(directory):
    """--max-message limits the text, and what is sent of it: by the header where that shows it, else as the text grows."""
    fits, over = [filler(b"*" * (LIMIT + more - len(filler()))) for more in (0, 1)]
    flushes = b"\0" + TAIL
    refused(directory, [
        ("compressed", one(Packer()(fits)), one(Packer()(over)), [fits]), ("in fragments", b"", b"".join(packed(Packer()(over), size=50)), []),
        ("plain, by its header", frame(fits), frame(over)[:10], [fits]), ("compressed form, by its header", b"", frame(b"*" * (LIMIT + 1), rsv=0x40)[:10], []),
        ("no text at all, without end", b"", frame(flushes * 1000, fin=False, rsv=0x40) + frame(flushes * 1000, opcode=0, fin=False) * 210, []),
    ], 1009, "closed with 1009", "too_large")


def bomb_of(total):
    """A compressed message of that many zeros, and no more than a thousandth of it: the same MiB again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return (piece * (total >> 20))[:-4]


def a_bomb_of_4_gb_ends_soon_in_bounded_memory_and_the_product_comes_back(directory):
    """4 MB on the wire. Refused as its text grows past --max-message, whole or in fragments; then the next connection is served."""
    bomb = bomb_of(4 << 30)
    assert len(bomb) < 5 << 20
    with Listener() as listener:
        program = node(listener.url, directory, "--deflate", "takeover", "--max-message", "16M", "--no-store")
        for data in [one(bomb), b"".join(packed(bomb, size=1000))]:
            client = listener.meet()
            agree(client, ANSWERS["takeover"])
            client.send(one(Packer()(SNAPSHOT)) + frame(b"taken", PING))
            client.until(PONG, b"taken")
            began, used = time.monotonic(), cpu_seconds(program)
            try:
                client.send(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the node has hung up on the rest
            program.wait_for("closed with 1009", times=1 if data[1] == 127 else 2)
            assert time.monotonic() - began < 30 * SLOW and cpu_seconds(program) - used < 2 * SLOW, "too much work"
            client.hang_up()
        client = listener.meet()
        agree(client, ANSWERS["takeover"])
        client.send(one(Packer()(SNAPSHOT)) + frame(b"taken", PING))
        client.until(PONG, b"taken")
        peak = int(field(program, "VmHWM").split()[0]) << 10
        program.signal()
        assert client.wait_close() == 1000
        client.close()
    program.ends(0)
    assert SLOW > 1 or peak < 160 << 20, f"{peak >> 20} MiB"
    report = load(f"{directory}/report.json")
    assert report["rejected"] == {"too_large": 2} and report["products"]["BTC-USD"]["state"] == "live" and report["products"]["BTC-USD"]["snapshots"] == 3, report


def cpu_seconds(program):
    with open(f"/proc/{program.child.pid}/stat") as file:
        words = file.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def what_came_of_a_bomb_is_kept_as_an_oversize_record(directory):
    program, client = begin(directory)
    client.send(one(Packer()(SNAPSHOT)) + one(bomb_of(64 << 20)))
    assert client.wait_close() == 1009
    client.hang_up()
    program.ends(0)
    kept = logged(directory, "oversize")
    assert len(kept) == 1 and kept[0].startswith(bytes(LIMIT + 1)), [len(one) for one in kept]
    subprocess.run([os.environ["WIREBOOK_BINARY"], "inspect", "--verify", f"{directory}/data"], check=True, capture_output=True)


def a_connection_that_ends_within_a_compressed_message_leaves_its_text_so_far(directory):
    """Or, of a header that is not whole, the bytes as they came."""
    text = pad("as good as incompressible", 5000, random.Random(1))
    payload = Packer()(text)
    for cut in (1, 2, 3, 1000, len(one(payload)) - 1):
        program, client = begin(f"{directory}/{cut}")
        client.send(one(Packer()(GOOD)) + one(payload)[:cut])
        client.hang_up()
        program.ends(0)
        assert "hung up without a close frame" in program.out["stderr"], program.out["stderr"]
        partial = b"".join(logged(f"{directory}/{cut}", "partial"))
        assert logged(f"{directory}/{cut}", "text") == [GOOD]
        assert partial == one(payload)[:cut] if cut <= 3 else text.startswith(partial) and len(partial) > 100, (cut, partial[:100])


def the_node_outlives_one_fault_of_each_kind_while_compressed_and_ends_up_live(directory):
    faults = [(one(b"\6\0"), 1007), (frame(b"x", PING, rsv=0x40), 1002), (one(Packer()(filler(b"\xff"))), 1007), (one(bomb_of(64 << 20)), 1009), (closing(1005), 1002)]
    with Listener() as listener:
        program = node(listener.url, directory, "--deflate", "takeover", "--max-message", "1M", "--journal", "4M")
        for data, code in faults:
            client = listener.meet()
            agree(client, ANSWERS["takeover"])
            client.send(one(Packer()(SNAPSHOT)) + data)
            assert client.wait_close() == code, (data[:20], program.out["stderr"])
            client.hang_up()
        client = listener.meet()  # and a server that has changed its mind
        client.upgrade()
        client.subscribed()
        client.send(frame(SNAPSHOT) + frame(b"still there", PING))
        client.until(PONG, b"still there")
        program.signal()
        assert client.wait_close() == 1000
        client.close()
    program.ends(0)
    report = load(f"{directory}/report.json")
    assert report["reconnects"] == len(faults) and report["rejected"] == {"protocol": 3, "bad_utf8": 1, "too_large": 1}, report
    assert report["products"]["BTC-USD"]["state"] == "live" and report["products"]["BTC-USD"]["snapshots"] == 6, report["products"]


def compressed_messages_over_tls_may_be_cut_into_records_anywhere(directory):
    certificates(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{directory}/server.pem", f"{directory}/server.key")
    with Listener("wss") as listener:
        program = node(listener.url, directory, "--once", "--deflate", "takeover", "--ca", f"{directory}/ca.pem", "--max-message", "1M", "--journal", "4M")
        client = Secure(listener.accept(), context)
    client.shake()
    agree(client, ANSWERS["takeover"])
    pack, dice = Packer(), random.Random(3)
    texts = [SNAPSHOT] + [pad(KINDS[i % 3], 40 + 211 * i, dice) for i in range(60)]
    stream, at = b"".join(b"".join(packed(pack(text), size=300)) for text in texts), 0
    while at < len(stream):
        step = dice.choice([1, 2, 50, 5000])
        client.send(stream[at:at + step])
        at += step
    client.send(frame(b"taken", PING))
    client.until(PONG, b"taken")
    client.send(closing(1000))
    assert client.wait_close() == 1000
    client.sock.close()
    program.ends(0)
    assert logged(directory, "text") == texts


# ---------------------------------------------------------------------------------------------- whole exchanges


def books_stored_frames_and_replay_equal_what_the_mock_sent_compressed_with_takeover(directory):
    books_equal(directory, ["--deflate", "takeover"], ["--deflate", "takeover"])


def books_stored_frames_and_replay_equal_what_the_mock_sent_compressed_without_takeover(directory):
    books_equal(directory, ["--deflate", "takeover"], ["--deflate", "no-takeover"])


def books_equal_over_wss_compressed_pipelined(directory):
    mock_words, node_words = secured(directory)
    books_equal(directory, [*mock_words, "--deflate", "no-takeover"], [*node_words, "--deflate", "takeover", "--layout", "pipelined", "--wait", "yield"])


def the_mocks_faults_of_compression_are_survived(directory):
    said = {"rsv1": "damaged compressed data, closed with 1007", "baddeflate": "damaged compressed data, closed with 1007", "bomb": "closed with 1009",
            "badextension": "a window that is not 8 to 15", "fragments": "permessage-deflate with context takeover"}

    def each(number, scenario):
        place = f"{directory}/{scenario}"
        os.makedirs(place)
        exchange = mock("--deflate", "takeover", "--scenario", scenario, "--messages", 500, "--rate", "max", "--levels", 100, "--once", "--depth", 1000, "--report",
                        f"{place}/mock.json", "--clients", 1 if scenario in ("badextension", "fragments") else 2)
        program = node(exchange.url, place, "--deflate", "takeover")
        exchange.ends(0)
        program.wait_for("all messages sent")
        program.signal()
        program.ends(0)
        assert said[scenario] in program.out["stderr"], program.out["stderr"]
        same(f"{place}/report.json", f"{place}/mock.json", *BOOK)

    all_at_once(each, list(said))


def rsv1_of_the_mock_without_negotiation_is_refused_with_1002(directory):
    exchange = mock("--scenario", "rsv1", "--messages", 500, "--rate", "max", "--once", "--clients", 2)
    program = node(exchange.url, directory)
    exchange.ends(0)
    program.wait_for("all messages sent")
    program.signal()
    program.ends(0)
    assert "protocol violation, closed with 1002" in program.out["stderr"], program.out["stderr"]


def a_confined_node_takes_compressed_messages(directory):
    exchange = mock("--deflate", "takeover", "--product", THREE, "--messages", 500, "--rate", "max", "--once", "--levels", 100, "--depth", 1000, "--report",
                    f"{directory}/mock.json")
    program = node(exchange.url, directory, *ON, "--product", THREE, "--once", "--deflate", "takeover", env=SANITIZED).ends(0)
    exchange.ends(0)
    assert "permessage-deflate with context takeover" in program.out["stderr"]
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)


def an_independent_server_agrees_on_compression_and_is_understood(directory):
    """Python's websockets, in its own process: it chooses its answer and compresses by itself, over ws and wss."""
    certificates(directory)
    for mode in OFFERS:
        for scheme in ("ws", "wss"):
            place = f"{directory}/{mode}{scheme}"
            os.makedirs(place)
            # Debian's python, whose package it is, whatever python runs the tests.
            server = subprocess.Popen(["/usr/bin/python3", f"{HERE}/peer_websockets.py", *([f"{directory}/server.pem", f"{directory}/server.key"] if scheme == "wss" else [])],
                                      stdout=subprocess.PIPE, text=True)
            port = server.stdout.readline().strip()
            program = node(f"{scheme}://127.0.0.1:{port}/", place, "--once", "--deflate", mode, "--ca", f"{directory}/ca.pem").ends(0)
            said = server.communicate()[0].split("\n")
            assert server.returncode == 0 and said[0].startswith("permessage-deflate"), said
            assert ("server_no_context_takeover" in said[0]) == (mode == "no-takeover"), said
            words = {"takeover": "with context", "no-takeover": "without context"}[mode]
            assert f"permessage-deflate {words} takeover" in program.out["stderr"], program.out["stderr"]
            report = load(f"{place}/report.json")
            assert report["rejected"] == {} and report["products"]["BTC-USD"]["updates"] == 1000, report
            assert report["products"]["BTC-USD"]["best_bid"] == "999.5" and report["messages"] == 1002, report
            replayed(place, "BTC-USD")


if __name__ == "__main__":
    main(globals())
