#!/usr/bin/env python3
"""The node as a WebSocket client, held to RFC 6455 as the cases of the Autobahn fuzzing server do it. `test_websocket.py [NAME...]`.

A text is legal here as a message of the feed that no book needs; what an echo shows there, the node's log shows here."""

import os
import struct

from harness import all_at_once, load, logged, main, node
from peer import Listener, frame

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
SNAPSHOT = b'{"type":"snapshot","product_id":"BTC-USD","asks":[["101","2"]],"bids":[["100","1"]]}'


def filler(pad=b""):
    return b'{"type":"filler","pad":"' + pad + b'"}'


def sized(count):
    return filler(b"*" * (count - len(filler())))


def masked(payload, opcode=TEXT):
    head = bytearray(frame(payload, opcode))
    head[1] |= 0x80
    return bytes(head[:2]) + b"\1\2\3\4" + bytes(b ^ (1, 2, 3, 4)[i % 4] for i, b in enumerate(payload))


def closing(code, reason=b""):
    return frame(struct.pack(">H", code) + reason, CLOSE)


def fragments(payload, size, opcode=TEXT):
    pieces = [payload[i:i + size] for i in range(0, len(payload), size)] or [b""]
    return [frame(piece, opcode=0 if i else opcode, fin=i + 1 == len(pieces)) for i, piece in enumerate(pieces)]


def begin(directory, *words):
    """A node, and the connection it has just subscribed on. It ends when that does."""
    os.makedirs(directory, exist_ok=True)
    with Listener() as listener:
        program = node(listener.url, directory, "--once", "--max-message", "1M", "--journal", "4M", *words)
        client = listener.meet()
    client.upgrade()
    client.subscribed()
    return program, client


def frames_until_close(client):
    """What the node sends until it hangs up, but its subscriptions and pings."""
    got = []
    while True:
        opcode, payload = client.read()
        if opcode is None:
            return got
        if opcode not in (TEXT, PING):
            got.append((opcode, payload))


# ---------------------------------------------------------------------------------------------- what is accepted

GOOD = sized(40)


def accepted(directory, cases, *words, apart=True):
    """One connection for all cases (name, writes, texts, pongs): each text is in the log as sent, each ping is answered in its turn.
    apart: of several writes each is read by itself."""
    program, client = begin(directory, *words)
    client.send(frame(SNAPSHOT))  # or the node would ask for it again after a while
    for name, writes, _, pongs in cases:
        for data in writes:
            client.send(data)
            if apart and len(writes) > 1:
                client.taken()
        for pong in pongs:
            got = client.read()
            while got[0] in (TEXT, PING):
                got = client.read()
            assert got == (PONG, pong), f"{name}: {got}, not the pong of {pong}"
    client.send(closing(1000))
    assert frames_until_close(client) == [(CLOSE, struct.pack(">H", 1000))]
    client.hang_up()
    program.ends(0)
    report = load(f"{directory}/report.json")
    assert report["rejected"] == {}, report["rejected"]
    expected = [("snapshot", SNAPSHOT)] + [(name, text) for name, _, texts, _ in cases for text in texts]
    stored = logged(directory, "text")
    assert len(stored) == len(expected), f"{len(stored)} texts, not {len(expected)}"
    for (name, text), got in zip(expected, stored):
        assert got == text, f"{name}: {len(got)} bytes {got[:200]}, not {len(text)} bytes {text[:200]}"


def messages_of_every_form_of_length_arrive_whole_however_they_are_chopped(directory):
    """Autobahn 1.1."""
    cases = []
    for count in [40, 124, 125, 126, 127, 128, 65535, 65536, 65537]:
        data, text = frame(sized(count)), [sized(count)]
        cases.append((f"{count} bytes", [data], text, []))
        for chop in [1] if count in (125, 126) else [2] if count < 200 else [997, 4095]:
            cases.append((f"{count} bytes by {chop}", [data[i:i + chop] for i in range(0, len(data), chop)], text, []))
    cases.append(("all in one", [b"".join(frame(sized(count)) for count in range(40, 300))], [sized(count) for count in range(40, 300)], []))
    accepted(directory, cases)


def pings_are_answered_with_their_payload_and_pongs_nobody_asked_for_are_ignored(directory):
    """Autobahn 2."""
    ten = [b"payload-%d" % i for i in range(10)]
    cases = [
        ("2.1 no payload", [frame(b"", PING)], [], [b""]),
        ("2.2 a text", [frame(b"Hello, world!", PING)], [], [b"Hello, world!"]),
        ("2.3 no text", [frame(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", PING)], [], [b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"]),
        ("2.4 125 bytes", [frame(b"\xfe" * 125, PING)], [], [b"\xfe" * 125]),
        ("2.6 125 bytes, each on its own", [bytes([b]) for b in frame(b"\xfe" * 125, PING)], [], [b"\xfe" * 125]),
        ("2.7 a pong without payload", [frame(b"", PONG)], [], []),
        ("2.8 a pong with payload", [frame(b"unsolicited pong payload", PONG)], [], []),
        ("2.9 a pong, then a ping", [frame(b"unsolicited pong payload", PONG) + frame(b"ping payload", PING)], [], [b"ping payload"]),
        ("2.10 ten pings", [b"".join(frame(one, PING) for one in ten)], [], ten),
        ("2.11 ten pings byte by byte", [bytes([b]) for one in ten for b in frame(one, PING)], [], ten),
        ("a pong of 125 bytes that are no text", [frame(b"\xff" * 125, PONG)], [], []),
        ("a text behind them", [frame(GOOD)], [GOOD], []),
    ]
    accepted(directory, cases)
    pings = [payload for name, _, _, payloads in cases for payload in payloads]
    assert logged(directory, "ping") == pings
    assert len(logged(directory, "pong")) == 4


def fragments_are_put_together_in_every_order_the_rfc_allows_with_control_frames_between(directory):
    """Autobahn 5.3 to 5.8, 5.19, 5.20, 10.1."""
    half = len(GOOD) // 2
    one, two = frame(GOOD[:half], fin=False), frame(GOOD[half:], opcode=0)
    ping, pong = frame(b"ping", PING), frame(b"pong", PONG)
    empty, last = frame(b"", opcode=0, fin=False), frame(b"", opcode=0)
    cases = [
        ("5.3 two", [one, two], [GOOD], []),
        ("5.4 two in one segment", [one + two], [GOOD], []),
        ("5.5 two, byte by byte", [bytes([b]) for b in one + two], [GOOD], []),
        ("5.6 a ping between", [one, ping, two], [GOOD], [b"ping"]),
        ("5.7 a ping between, in one segment", [one + ping + two], [GOOD], [b"ping"]),
        ("5.8 a ping between, byte by byte", [bytes([b]) for b in one + ping + two], [GOOD], [b"ping"]),
        ("a ping between is answered before the message is whole", [one + ping], [], [b"ping"]),
        ("its rest", [two], [GOOD], []),
        ("a pong between", [one + pong + two], [GOOD], []),
        ("an empty first", [frame(b"", fin=False) + frame(GOOD, opcode=0)], [GOOD], []),
        ("an empty last", [frame(GOOD, fin=False) + last], [GOOD], []),
        ("empty ones between", [one + empty * 3 + two], [GOOD], []),
        ("one byte each", [b"".join(fragments(GOOD, 1))], [GOOD], []),
        ("one byte each, pings between all", [ping.join(fragments(GOOD, 1))], [GOOD], [b"ping"] * (len(GOOD) - 1)),
        ("10.1 65536 bytes by 1300", fragments(sized(65536), 1300), [sized(65536)], []),
        ("two messages", [one + two + one + two], [GOOD, GOOD], []),
        ("a whole one behind a fragmented one", [one + two + frame(GOOD)], [GOOD, GOOD], []),
        ("a frame of one and the first of the next", [frame(GOOD) + one, two], [GOOD, GOOD], []),
    ]
    for i in range(len(GOOD) + 1):
        cases.append((f"cut at {i}", [frame(GOOD[:i], fin=False) + frame(GOOD[i:], opcode=0)], [GOOD], []))
    accepted(directory, cases)


VALID = {
    "6.5": "κόσμε".encode(), "6.7 first of each length": b"\x7f\xc2\x80\xe0\xa0\x80\xf0\x90\x80\x80", "6.9 last of each length": b"\xdf\xbf\xef\xbf\xbf\xf4\x8f\xbf\xbf",
    "6.11 around the surrogates": b"\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbd", "6.11 last of all": b"\xf4\x8f\xbf\xbf", "6.22 no characters": b"\xef\xbf\xbe\xef\xbf\xbf\xf0\x9f\xbf\xbe\xf3\xbf\xbf\xbf",
    "6.23 specials": b"\xef\xbf\xb9\xef\xbf\xba\xef\xbf\xbb\xef\xbf\xbc\xef\xbf\xbd\xf0\x9f\xbf\xbe\xf4\x8f\xbf\xbe", "6.1 Hello": "Hello-µ@ßöäüàá-UTF-8!!".encode(),
}


def text_in_every_form_of_utf8_is_accepted_wherever_fragments_and_segments_cut_it(directory):
    """Autobahn 6.1, 6.2, 6.5, 6.7, 6.9, 6.11, 6.22, 6.23."""
    cases = []
    for name, value in VALID.items():
        text = filler(value)
        cases.append((name, [frame(text)], [text], []))
        for i in range(len(filler()) - 3, len(text)):
            cases.append((f"{name}, fragments cut at {i}", [frame(text[:i], fin=False) + frame(text[i:], opcode=0)], [text], []))
        cases.append((f"{name}, a fragment each byte", [b"".join(fragments(text, 1))], [text], []))
        cases.append((f"{name}, a segment each byte", [bytes([b]) for b in frame(text)], [text], []))
    accepted(directory, cases)


def large_messages_arrive_in_one_frame_in_many_and_in_small_chops(directory):
    """Autobahn 9."""
    cases = []
    for count in [65536, 1 << 18, 1 << 20, 1 << 22, 1 << 23, 1 << 24]:
        cases.append((f"9.1 {count} bytes", [frame(sized(count))], [sized(count)], []))
    text = sized(1 << 22)
    for size in [64, 256, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22]:
        cases.append((f"9.3 4 MiB in fragments of {size}", [b"".join(fragments(text, size))], [text], []))
    data, text = frame(sized(1 << 20)), sized(1 << 20)
    for chop in [64, 128, 256, 512, 1024, 2048]:
        cases.append((f"9.5 1 MiB in writes of {chop}", [data[i:i + chop] for i in range(0, len(data), chop)], [text], []))
    for count in [64, 256, 1024, 4096]:
        cases.append((f"9.7 a thousand of {count}", [frame(sized(count)) * 1000], [sized(count)] * 1000, []))
    accepted(directory, cases, "--max-message", "16M", "--journal", "64M", apart=False)


# ---------------------------------------------------------------------------------------------- what is refused


def refused(directory, cases, code, said, reason):
    """A connection each for cases (name, bytes before, bytes at fault, texts before): the node closes with the code, says why, and keeps every byte."""

    def one(number, case):
        name, good, bad, texts = case
        place = f"{directory}/{number}"
        program, client = begin(place)
        client.send(good + bad)
        got = client.wait_close()
        client.hang_up()
        program.ends(0)
        assert got == code, f"{name}: closed with {got}, not {code}\n{program.out['stderr']}"
        assert said in program.out["stderr"], f"{name}: {program.out['stderr']}"
        assert load(f"{place}/report.json")["rejected"] == {reason: 1}, f"{name}: {load(f'{place}/report.json')['rejected']}"
        assert logged(place, "text") == texts, f"{name}: {logged(place, 'text')}"
        rest = b"".join(logged(place, "violation,oversize,partial"))
        assert rest == bad, f"{name}: kept {rest}, not {bad}"

    all_at_once(one, cases)


def violates(directory, cases):
    refused(directory, cases, 1002, "closed with 1002", "protocol")


def reserved_bits_are_refused_with_1002_at_the_first_byte_that_shows_them(directory):
    """Autobahn 3. No extension was agreed on."""
    cases = []
    for bits in range(0x10, 0x80, 0x10):
        cases.append((f"{bits:#x}, one byte", b"", bytes([0x81 | bits]), []))
        cases.append((f"{bits:#x} behind a text", frame(GOOD), frame(GOOD, rsv=bits), [GOOD]))
        cases.append((f"{bits:#x} in a ping", frame(GOOD) * 2, frame(b"x", PING, rsv=bits) + frame(GOOD), [GOOD] * 2))
    cases.append(("0x40 in a close", frame(GOOD), frame(struct.pack(">H", 1000), CLOSE, rsv=0x40), [GOOD]))
    cases.append(("0x40 in a binary frame", b"", frame(GOOD, BINARY, rsv=0x40), []))
    cases.append(("0x40 in a continuation", b"", frame(GOOD, fin=False) + frame(b"", opcode=0, rsv=0x40), []))
    cases.append(("0x10 in a pong", b"", frame(b"", PONG, rsv=0x10), []))
    violates(directory, cases)


def reserved_opcodes_are_refused_with_1002(directory):
    """Autobahn 4."""
    cases = []
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]:
        cases.append((f"{opcode}, one byte", b"", bytes([0x80 | opcode]), []))
        cases.append((f"{opcode}, empty, a ping behind", b"", frame(b"", opcode) + frame(b"", PING), []))
        cases.append((f"{opcode} behind a text", frame(GOOD), frame(GOOD, opcode) + frame(GOOD), [GOOD]))
    violates(directory, cases)


def control_frames_that_are_long_or_fragmented_are_refused_with_1002(directory):
    """Autobahn 2.5, 5.1, 5.2, 7.3.6."""
    cases = []
    for name, opcode in ("ping", PING), ("pong", PONG), ("close", CLOSE):
        payload = struct.pack(">H", 1000) if opcode == CLOSE else b"x"
        cases.append((f"a {name} of 126 bytes", frame(GOOD), frame(payload + b"x" * (126 - len(payload)), opcode), [GOOD]))
        cases.append((f"a {name} of 65536 bytes, two bytes of it", b"", frame(b"x" * 65536, opcode)[:2], []))
        cases.append((f"a {name} that goes on", frame(GOOD), frame(payload, opcode, fin=False) + frame(payload, opcode=0), [GOOD]))
        cases.append((f"a {name} that goes on, within a message", b"", frame(GOOD, fin=False) + frame(payload, opcode, fin=False), []))
    violates(directory, cases)


def fragments_out_of_order_are_refused_with_1002(directory):
    """Autobahn 5.9 to 5.18."""
    on, end = frame(GOOD, opcode=0, fin=False), frame(GOOD, opcode=0)
    whole = frame(GOOD[:9], fin=False) + frame(GOOD[9:], opcode=0)
    violates(directory, [
        ("5.9 a last one first", b"", end + frame(GOOD), []),
        ("5.10 its first byte", b"", end[:1], []),
        ("5.12 a middle one first", b"", on + frame(GOOD), []),
        ("5.13 its first byte", b"", on[:1], []),
        ("5.15 a middle one behind a message of two", whole, on + frame(GOOD), [GOOD]),
        ("a last one behind a message of two", whole, end, [GOOD]),
        ("5.16 two times a middle one", b"", on + end + on + end, []),
        ("5.18 a text within a text", b"", frame(GOOD, fin=False) + frame(GOOD), []),
        ("the first of a text within a text", b"", frame(GOOD, fin=False) + frame(GOOD, fin=False), []),
        ("a binary within a text", b"", frame(GOOD, fin=False) + frame(GOOD, BINARY), []),
        ("a text within a binary", b"", frame(GOOD, BINARY, fin=False) + frame(GOOD), []),
        ("a text between two fragments and a ping", b"", frame(GOOD, fin=False) + frame(b"", PONG) + frame(GOOD)[:1], []),
    ])


def masked_frames_of_a_server_are_refused_with_1002(directory):
    """RFC 6455 5.1."""
    violates(directory, [
        ("a text", frame(GOOD), masked(GOOD), [GOOD]), ("an empty text, two bytes", b"", b"\x81\x80", []), ("a ping", b"", masked(b"x", PING), []),
        ("a close", b"", masked(struct.pack(">H", 1000), CLOSE), []), ("a binary", b"", masked(GOOD, BINARY), []),
        ("the second fragment", b"", frame(GOOD, fin=False) + masked(GOOD, 0), []), ("a long text", b"", b"\x81\xfe\x01\x00", []),
    ])


def lengths_that_are_not_the_shortest_form_or_have_the_top_bit_are_refused_with_1002(directory):
    """RFC 6455 5.2."""
    violates(directory, [
        ("0 in 16 bits", b"", b"\x81\x7e\x00\x00", []), ("125 in 16 bits", frame(GOOD), b"\x81\x7e\x00\x7d" + b"*" * 125, [GOOD]),
        ("40 in 64 bits", b"", b"\x81\x7f" + struct.pack(">Q", 40) + GOOD, []), ("65535 in 64 bits", b"", b"\x81\x7f" + struct.pack(">Q", 65535), []),
        ("the top bit", b"", b"\x81\x7f" + struct.pack(">Q", 1 << 63), []), ("all bits", frame(GOOD), b"\x81\x7f" + b"\xff" * 8, [GOOD]),
    ])


def what_would_be_too_large_is_refused_with_1009_by_its_header_alone(directory):
    limit = 1 << 20
    first = frame(b"*" * 1000, fin=False)
    refused(directory, [
        ("one byte more", frame(GOOD), frame(b"*" * (limit + 1))[:10], [GOOD]),
        ("the largest there is", b"", b"\x81\x7f" + struct.pack(">Q", (1 << 63) - 1), []),
        ("over two fragments", b"", first + frame(b"*" * (limit - 999), opcode=0)[:10], []),
        ("binary", b"", frame(b"*" * (limit + 1), BINARY)[:10], []),
    ], 1009, "closed with 1009", "too_large")


def fragments_without_end_are_refused_before_they_fill_the_memory(directory):
    program, client = begin(f"{directory}/empty")
    client.send(frame(b"", fin=False) + frame(b"", opcode=0, fin=False) * 600000)
    assert client.wait_close() == 1009
    client.hang_up()
    program.ends(0)
    assert "cut into too many pieces" in program.out["stderr"], program.out["stderr"]
    violates(f"{directory}/pings", [("65 pings within a message", b"", frame(b"", fin=False) + frame(b"", PING) * 65, [])])


def binary_messages_are_kept_and_refused_with_1003(directory):
    """Autobahn 1.2: the feed speaks text."""

    def one(number, count):
        place = f"{directory}/{number}"
        program, client = begin(place)
        payload = b"\xfe" * count
        client.send(b"".join(fragments(payload, 1000, BINARY)))
        assert client.wait_close() == 1003, count
        client.hang_up()
        program.ends(0)
        assert "rejected message: binary" in program.out["stderr"], program.out["stderr"]
        assert load(f"{place}/report.json")["rejected"] == {"binary": 1} and logged(place, "binary") == [payload], count

    all_at_once(one, [0, 125, 126, 127, 128, 65535, 65536])


def texts_of_any_length_that_are_no_message_are_kept_and_end_the_connection(directory):
    """Autobahn 1.1.1: an empty text is a message, which the feed does not know."""

    def one(number, text):
        place = f"{directory}/{number}"
        program, client = begin(place)
        client.send(frame(text))
        assert client.wait_close() == 1000, text
        client.hang_up()
        program.ends(0)
        assert load(f"{place}/report.json")["rejected"] == {"bad_json": 1} and logged(place, "text") == [text], text

    all_at_once(one, [b"", b"*", b"*" * 125, b"*" * 126, b"*" * 65536])


# ---------------------------------------------------------------------------------------------- UTF-8

INVALID = {
    "6.3": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", "6.6 begun, two": b"\xce", "6.6 begun, three": b"\xe1\xbd", "6.6 begun, three, one": b"\xe1",
    "6.4 above the last": b"\xf4\x90\x80\x80", "6.8 five bytes": b"\xf8\x88\x80\x80\x80", "6.8 six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "6.10 five bytes": b"\xfb\xbf\xbf\xbf\xbf", "6.10 six bytes": b"\xfd\xbf\xbf\xbf\xbf\xbf", "6.11 f7": b"\xf7\xbf\xbf\xbf",
    "6.12 a continuation": b"\x80", "6.12 the last one": b"\xbf", "6.12 two": b"\x80\xbf", "6.12 seven": b"\x80\xbf" * 3 + b"\x80",
    "6.13 lonely, two": b"\xc2 \xdf ", "6.13 lonely, three": b"\xe0 \xef ", "6.13 lonely, four": b"\xf0 \xf4 ",
    "6.14 four, one missing": b"\xf0\x90\x80", "6.14 four, two missing": b"\xf0\x90", "6.14 four, three missing": b"\xf4", "6.14 three of the last": b"\xef\xbf",
    "6.15 all of them": b"\xc0\xe0\x80\xf0\x80\x80\xdf\xef\xbf\xf7\xbf\xbf", "6.16 fe": b"\xfe", "6.16 ff": b"\xff", "6.16 both": b"\xfe\xfe\xff\xff",
    "6.17 slash in two": b"\xc0\xaf", "6.17 slash in three": b"\xe0\x80\xaf", "6.17 slash in four": b"\xf0\x80\x80\xaf", "6.18 two": b"\xc1\xbf",
    "6.18 three": b"\xe0\x9f\xbf", "6.18 four": b"\xf0\x8f\xbf\xbf", "6.19 NUL in two": b"\xc0\x80", "6.19 NUL in three": b"\xe0\x80\x80",
    "6.19 NUL in four": b"\xf0\x80\x80\x80", "6.20 first high": b"\xed\xa0\x80", "6.20 last high": b"\xed\xaf\xbf", "6.20 first low": b"\xed\xb0\x80",
    "6.20 last low": b"\xed\xbf\xbf", "6.21 a pair": b"\xed\xa0\x80\xed\xb0\x80", "6.21 the last pair": b"\xed\xaf\xbf\xed\xbf\xbf",
}


def closed_with_1007(directory, cases):
    """A connection each for cases (name, writes, text): the text is kept, and its connection failed with 1007."""

    def one(number, case):
        name, writes, text = case
        place = f"{directory}/{number}"
        program, client = begin(place)
        for data in writes:
            client.send(data)
        got = client.wait_close()
        client.hang_up()
        program.ends(0)
        assert got == 1007, f"{name}: closed with {got}\n{program.out['stderr']}"
        assert "bad_utf8 at byte" in program.out["stderr"], f"{name}: {program.out['stderr']}"
        assert load(f"{place}/report.json")["rejected"] == {"bad_utf8": 1}, f"{name}: {load(f'{place}/report.json')['rejected']}"
        assert logged(place, "text") == [text], f"{name}: {logged(place, 'text')}"

    all_at_once(one, cases)


def text_that_is_no_utf8_is_kept_and_refused_with_1007(directory):
    """Autobahn 6.3, 6.4, 6.6 to 6.21, as a message of the feed and bare."""
    cases = []
    for name, value in INVALID.items():
        cases.append((name, [frame(filler(value))], filler(value)))
    for name in ["6.3", "6.6 begun, two", "6.4 above the last", "6.16 ff", "6.20 first high"]:
        cases.append((f"{name}, bare", [frame(INVALID[name])], INVALID[name]))
    closed_with_1007(directory, cases)


def one_byte_that_is_no_utf8_is_refused_with_1007_at_every_position_of_a_message(directory):
    text = filler(b"*" * 8)
    closed_with_1007(directory, [(f"at {i}", [frame(text[:i] + b"\xff" + text[i + 1:])], text[:i] + b"\xff" + text[i + 1:]) for i in range(len(text))])


def fragments_that_are_no_utf8_together_are_refused_with_1007(directory):
    """Autobahn 6.3, 6.4: each may be fine, or broken, by itself."""
    text = filler(b"\xf4\x90\x80\x80")
    at = text.index(b"\xf4")
    cases = [(f"cut at {i}", [frame(text[:i], fin=False), frame(text[i:], opcode=0)], text) for i in range(at, at + 5)]
    cases.append(("a fragment each byte", fragments(text, 1), text))
    cases.append(("a ping between", [frame(text[:at + 1], fin=False), frame(b"", PONG), frame(text[at + 1:], opcode=0)], text))
    closed_with_1007(directory, cases)


# ---------------------------------------------------------------------------------------------- closing


def a_close_is_answered_with_its_code_and_its_reason_is_shown(directory):
    """Autobahn 7.3, 7.7, 7.9: every code that may be sent."""

    def one(number, case):
        payload, answer, said = case
        place = f"{directory}/{number}"
        program, client = begin(place)
        client.send(frame(GOOD) + frame(payload, CLOSE))
        got = client.wait_close()
        client.hang_up()
        program.ends(0)
        assert got == answer, f"{payload}: {got}"
        assert said in program.out["stderr"], f"{payload}: {program.out['stderr']}"
        assert load(f"{place}/report.json")["rejected"] == {} and logged(place, "text") == [GOOD] and logged(place, "close") == [payload], payload

    codes = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
    cases = [(struct.pack(">H", code), code, f"peer closed with {code}") for code in codes]
    cases.append((b"", 1000, "peer closed with 1005"))
    cases.append((struct.pack(">H", 1000) + b"Hello World!", 1000, "peer closed with 1000: Hello World!"))
    cases.append((struct.pack(">H", 1001) + b"*" * 123, 1001, "peer closed with 1001: " + "*" * 123))
    cases.append((struct.pack(">H", 4000) + "κόσμε".encode(), 4000, "peer closed with 4000: "))
    all_at_once(one, cases)


def a_close_with_a_code_that_must_not_be_sent_is_refused_with_1002(directory):
    """Autobahn 7.3.2, 7.9, 7.13.1 (65536, 7.13.2, fits no frame)."""
    cases = [("one byte", frame(GOOD), frame(b"*", CLOSE), [GOOD])]
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32768, 65535]:
        cases.append((str(code), frame(GOOD), closing(code), [GOOD]))
        cases.append((f"{code} with a reason", b"", closing(code, b"reason"), []))
    violates(directory, cases)


def a_close_whose_reason_is_no_utf8_is_refused_with_1007(directory):
    """Autobahn 7.5."""
    refused(directory, [(name, frame(GOOD), closing(1000, value), [GOOD]) for name, value in
                        list(INVALID.items())[:8] + [("at the end", b"*" * 122 + b"\xff"), ("cut short", b"*" * 122 + b"\xc3")]],
            1007, "closed with 1007", "protocol")


def whatever_follows_a_close_is_kept_but_neither_taken_nor_answered(directory):
    """Autobahn 7.1."""
    begun = frame(GOOD[:9], fin=False)
    cases = [("7.1.1 nothing", b"", closing(1000), b"", [GOOD]), ("7.1.2 a second close", b"", closing(1000), closing(1001), [GOOD]),
             ("7.1.3 a ping", b"", closing(1000), frame(b"late", PING), [GOOD]), ("7.1.4 a text", b"", closing(1000), frame(GOOD), [GOOD]),
             ("a text in fragments", b"", closing(1000), b"".join(fragments(GOOD, 9)), [GOOD]),
             ("a snapshot", b"", closing(1000), frame(SNAPSHOT), [GOOD]), ("what breaks the rules", b"", closing(1000), b"\xff" * 40, [GOOD]),
             ("7.1.5 the rest of a message", begun, closing(1000), frame(GOOD[9:], opcode=0), [GOOD]),
             ("7.1.6 a ping, behind a long text", frame(sized(262144)), closing(1000), frame(b"late", PING), [GOOD, sized(262144)])]

    def one(number, case):
        name, before, close, late, texts = case
        place = f"{directory}/{number}"
        program, client = begin(place)
        client.send(frame(GOOD) + before + close + late)
        got = frames_until_close(client)
        client.hang_up()
        program.ends(0)
        assert got == [(CLOSE, struct.pack(">H", 1000))], f"{name}: {got}"
        assert logged(place, "text") == texts, f"{name}: {logged(place, 'text')}"
        report = load(f"{place}/report.json")
        assert report["rejected"] == {} and report["products"]["BTC-USD"]["snapshots"] == 0, f"{name}: {report}"
        assert "peer closed with 1000" in program.out["stderr"], f"{name}: {program.out['stderr']}"
        assert late in b"".join(logged(place, "partial,violation")), f"{name}: not kept"

    all_at_once(one, cases)


def a_large_snapshot_that_is_cut_or_broken_at_its_end_changes_no_book(directory):
    """However much of it was looked at while it came."""
    levels = ",".join(f'["{500000 - i}","1"]' for i in range(40000))
    text = f'{{"type":"snapshot","product_id":"BTC-USD","asks":[],"bids":[{levels}]}}'.encode()
    broken = text[:-2] + b',["1x","1"]]}'

    def one(number, case):
        data, code, reason = case
        place = f"{directory}/{number}"
        program, client = begin(place, "--max-message", "2M", "--journal", "8M")
        client.send(frame(SNAPSHOT))
        for i in range(0, len(data), 200000):
            client.send(data[i:i + 200000])
            client.taken()
        if reason == "bad_number":
            assert client.subscribed()["type"] == "unsubscribe"
        elif code:
            assert client.wait_close() == code, program.out["stderr"]
        client.hang_up()
        program.ends(0)
        report = load(f"{place}/report.json")
        product = report["products"]["BTC-USD"]
        assert product["snapshots"] == 1 and product["best_bid"] == "100" and product["bid_levels"] == 1, f"{reason}: {product}"
        assert report["rejected"] == ({reason: 1} if reason else {}), report["rejected"]

    all_at_once(one, [
        (frame(text)[:-1], None, None), (frame(text)[:300000], None, None), (frame(text, fin=False), None, None),
        (frame(text, fin=False) + closing(1000), 1000, None), (frame(text, fin=False) + b"\x83", 1002, "protocol"),
        (frame(text, fin=False) + frame(b"x", opcode=0, rsv=0x40), 1002, "protocol"), (frame(broken), None, "bad_number"),
    ])


def a_large_snapshot_in_one_frame_after_which_anything_comes_is_taken(directory):
    text = SNAPSHOT[:-1] + b" " * 300000 + b"}"
    program, client = begin(directory)
    data = frame(text)
    for piece in data[:70000], data[70000:70001], data[70001:-1], data[-1:] + b"\x83":
        client.send(piece)
        client.taken()
    assert client.wait_close() == 1002
    client.hang_up()
    program.ends(0)
    report = load(f"{directory}/report.json")
    assert report["products"]["BTC-USD"]["snapshots"] == 1 and report["rejected"] == {"protocol": 1}, report


def a_connection_that_ends_in_the_middle_of_a_frame_is_told_and_its_bytes_are_kept(directory):
    for i in [1, 2, 3, 20]:
        place = f"{directory}/{i}"
        program, client = begin(place)
        cut = frame(sized(200))[:i]
        client.send(frame(GOOD) + cut)
        client.hang_up()
        program.ends(0)
        assert "hung up without a close frame" in program.out["stderr"], program.out["stderr"]
        assert logged(place, "text") == [GOOD] and logged(place, "partial") == [cut], i


# ---------------------------------------------------------------------------------------------- the process lives


def the_node_outlives_one_fault_of_each_kind_and_ends_up_with_a_live_book(directory):
    faults = [(frame(GOOD, rsv=0x40), 1002), (frame(filler(b"\xff")), 1007), (frame(b"*" * (1 << 20) + b"*")[:10], 1009), (closing(1005), 1002)]
    with Listener() as listener:
        program = node(listener.url, directory, "--max-message", "1M", "--journal", "4M")
        for data, code in faults:
            client = listener.meet()
            client.upgrade()
            client.subscribed()
            client.send(frame(SNAPSHOT) + data)
            assert client.wait_close() == code, (data, program.out["stderr"])
            client.hang_up()
        client = listener.meet()
        client.upgrade()
        client.subscribed()
        client.send(frame(SNAPSHOT) + frame(b"still there", PING))
        client.until(PONG, b"still there")
        program.signal()
        assert client.wait_close() == 1000
        client.close()
    program.ends(0)
    report = load(f"{directory}/report.json")
    assert report["reconnects"] == len(faults) and report["rejected"] == {"protocol": 2, "bad_utf8": 1, "too_large": 1}, report
    assert report["products"]["BTC-USD"]["state"] == "live" and report["products"]["BTC-USD"]["snapshots"] == 5, report["products"]


if __name__ == "__main__":
    main(globals())
