#!/usr/bin/env python3
"""tools/plot: pictures of a log. `test_plot.py [NAME...]`."""

import base64
import os
import re
import struct
import subprocess
import sys
import xml.etree.ElementTree
import zlib

from harness import HERE, SLOW, WIREBOOK, main, mock, node

PLOT = f"{HERE}/../../tools/plot"


def plot(*words, code=0):
    done = subprocess.run([sys.executable, PLOT, *words], capture_output=True, text=True, env={**os.environ, "WIREBOOK_BINARY": WIREBOOK})
    assert done.returncode == code, (words, done.returncode, done.stderr)
    return done.stderr


def recorded(directory, *words, clients=1):
    exchange = mock("--product", "BTC-USD,ETH-USD", "--rate", 400, "--messages", int(1600 / SLOW), "--levels", 200, "--once", "--clients", clients, *words)
    once = ["--once"] if clients == 1 else []
    program = node(exchange.url, directory, "--product", "BTC-USD,ETH-USD", *once)
    if clients > 1:
        exchange.ends(0)
        program.signal()
    program.ends(0)


def image_of(png):
    """(width, height, rows of pixels as bytes, bytes a pixel) of a PNG, by its description."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, data, head = 8, b"", None
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at:at + 8])
        body = png[at + 8:at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size:at + 12 + size])[0] == zlib.crc32(kind + body)
        head = struct.unpack(">IIBBBBB", body) if kind == b"IHDR" else head
        data += body if kind == b"IDAT" else b""
        at += 12 + size
    width, height, depth, colour, *_ = head
    assert depth == 8
    pixel = {0: 1, 2: 3, 3: 1, 6: 4}[colour]
    raw, rows, above = zlib.decompress(data), [], bytes(width * pixel)
    for y in range(height):
        kind, line = raw[y * (width * pixel + 1)], bytearray(raw[y * (width * pixel + 1) + 1:(y + 1) * (width * pixel + 1)])
        for x, value in enumerate(line):
            a, b, c = line[x - pixel] if x >= pixel else 0, above[x], above[x - pixel] if x >= pixel else 0
            near = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line[x] = value + (0, a, b, (a + b) // 2, near)[kind] & 255
        rows.append(bytes(line))
        above = rows[-1]
    return width, height, rows, pixel


def series_of(svg):
    """Titles of what is drawn, in order; each is a group of its own."""
    text = open(svg, encoding="utf-8").read()
    xml.etree.ElementTree.fromstring(text)
    return re.findall(r"<title>(?!Gnuplot<)([^<]*)</title>", text), text


def a_day_is_drawn_with_its_depth_its_mid_and_its_spread(directory):
    recorded(directory)
    assert plot(f"{directory}/data", "-o", f"{directory}/day.svg", "--columns", "200", "--rows", "80") == ""
    titles, text = series_of(f"{directory}/day.svg")
    drawn = [title for title in titles if title in ("mid", "most", "mean", "not known")]
    assert drawn == ["mid", "most", "mean"], titles
    pictures = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)", text)
    assert len(pictures) == 1, "the depth"
    width, height, rows, pixel = image_of(base64.b64decode(pictures[0]))
    assert (width, height) == (200, 80)
    assert len({row[at:at + pixel] for row in rows for at in range(0, len(row), pixel)}) > 20, "sizes of many kinds"
    assert "BTC-USD" in text and "price" in text and "spread" in text


def a_png_has_the_size_that_was_asked_for_and_colours_of_every_series(directory):
    recorded(directory)
    plot(f"{directory}/data", "-o", f"{directory}/day.png", "--product", "ETH-USD", "--size", "800x500")
    with open(f"{directory}/day.png", "rb") as file:
        width, height, rows, pixel = image_of(file.read())
    assert (width, height) == (800, 500)
    colours = {row[at:at + 3] for row in rows for at in range(0, len(row), pixel)}
    for wanted in ("e8710a", "2f78b7"):  # the mid, the mean spread
        assert bytes.fromhex(wanted) in colours, wanted


def where_a_line_was_down_the_book_is_not_known_and_nothing_is_drawn_across(directory):
    recorded(directory, "--scenario", "reset", "--scenario-after", int(600 / SLOW), clients=2)
    plot(f"{directory}/data", "-o", f"{directory}/day.svg")
    titles, text = series_of(f"{directory}/day.svg")
    assert [title for title in titles if title in ("mid", "most", "mean", "not known")] == ["mid", "not known", "most", "mean"], titles
    mid = text[text.index("<title>mid</title>"):]
    path = re.search(r"<path[^>]* d='(M[^']*)'", mid)[1]
    assert len(re.findall("M", mid[:mid.index("</g>")])) > 1 or "M" in path[1:], "the mid is broken in two"


def a_damaged_log_is_drawn_as_far_as_it_is_whole(directory):
    recorded(directory)
    segment = next(os.path.join(folder, name) for folder, _, names in os.walk(f"{directory}/data") for name in names)
    os.truncate(segment, os.path.getsize(segment) * 2 // 3 | 1)  # never where a chunk ends
    assert "left out" in plot(f"{directory}/data", "-o", f"{directory}/day.svg", code=1)
    assert "mid" in series_of(f"{directory}/day.svg")[0]


def what_cannot_be_drawn_is_told(directory):
    recorded(directory)
    assert "no quotes of LTC-USD" in plot(f"{directory}/data", "-o", f"{directory}/day.svg", "--product", "LTC-USD", code=1)
    assert "wirebook export failed" in plot(f"{directory}/data", "-o", f"{directory}/day.svg", "--from", "noon", code=1)
    assert "ends in .svg or .png" in plot(f"{directory}/data", "-o", f"{directory}/day.gif", code=2)
    assert "--size" in plot(f"{directory}/data", "-o", f"{directory}/day.png", "--size", "10x10", code=2)
    assert "--columns" in plot(f"{directory}/data", "-o", f"{directory}/day.png", "--columns", "1", code=2)
    assert plot(f"{directory}/data", "-o", f"{directory}/none/day.png", code=1)
    assert not os.path.exists(f"{directory}/day.svg")


if __name__ == "__main__":
    main(globals())
