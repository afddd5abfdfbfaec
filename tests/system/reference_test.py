#!/usr/bin/env python3
"""The reference book against results worked out by hand, and the comparison of reports against planted differences."""

import gzip
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import compare_report  # noqa: E402
import reference_book  # noqa: E402


def book(*messages, ids=None, depth=50, mid_window=10):
    books = reference_book.Books(ids, mid_window)
    for message in messages:
        books.take(message if isinstance(message, bytes) else json.dumps(message).encode())
    return books.report(depth)


def snapshot(bids, asks, id="BTC-USD", **more):
    return {"type": "snapshot", "product_id": id, "bids": bids, "asks": asks, **more}


def update(*changes, id="BTC-USD", **more):
    return {"type": "l2update", "product_id": id, "changes": [list(change) for change in changes], **more}


START = snapshot([["100.00", "1.50"], ["99", "2"]], [["101", "3"], ["102.5", "4.0"]])


class Reference(unittest.TestCase):
    def test_a_snapshot_and_updates_give_the_numbers_worked_out_by_hand(self):
        report = book(START, update(("buy", "100.00", "0"), ("sell", "100.5", "7"), ("buy", "99", "2.25"), ("buy", "1", "0")))
        product = report["products"]["BTC-USD"]
        self.assertEqual(
            {key: product[key] for key in ("best_bid", "best_bid_size", "best_ask", "best_ask_size", "spread", "max_spread", "mid", "mid_average")},
            {"best_bid": "99", "best_bid_size": "2.25", "best_ask": "100.5", "best_ask_size": "7", "spread": "1.5", "max_spread": "1.5",
             "mid": "99.75", "mid_average": "100.125"})
        self.assertEqual((product["snapshots"], product["updates"], product["changes"], product["unknown_removals"]), (1, 1, 4, 1))
        self.assertEqual(product["bids"], [["99", "2.25"]])
        self.assertEqual(product["asks"], [["100.5", "7"], ["101", "3"], ["102.5", "4"]])

    def test_a_crossed_book_has_a_negative_spread_and_a_positive_max_spread(self):
        # The extremes of the sample snapshot that this project grew from.
        product = book(snapshot([["49832.53", "3.03"], ["30908.2", "1"]], [["30589.98", "3.43"], ["48516.32", "3.78"]]))["products"]["BTC-USD"]
        self.assertEqual((product["best_bid"], product["best_ask"], product["spread"], product["max_spread"], product["mid"], product["crossed"]),
                         ("49832.53", "30589.98", "-19242.55", "19242.55", "40211.255", 1))

    def test_the_average_is_of_the_last_ten_mids_and_without_end_rounded_half_even(self):
        mids_100_5_and_101_and_102 = [START, update(("buy", "101", "1")), update(("buy", "103", "1"))]
        self.assertEqual(book(*mids_100_5_and_101_and_102)["products"]["BTC-USD"]["mid_average"], "101.1666666667")
        self.assertEqual(book(*mids_100_5_and_101_and_102, mid_window=2)["products"]["BTC-USD"]["mid_average"], "101.5")
        window = [snapshot([[str(n), "1"]], [[str(n), "1"]]) for n in range(1, 13)]
        self.assertEqual(book(*window)["products"]["BTC-USD"]["mid_average"], "7.5")

    def test_a_bad_message_changes_no_book_and_the_product_is_stale_until_the_next_snapshot(self):
        bad = {
            "bad_number": [update(("buy", "100", size)) for size in ("", "-1", "1e3", "NaN", "0.-10000", "007", ".5", "5.", "1" * 41)] +
            [update(("buy", "0.00", "1"))],
            "wrong_type": [update(("buy", "100", 1)), update(("buy", "100")), snapshot({}, []), dict(update(), time=5)],
            "unknown_side": [update(("bid", "100", "1"))],
            "missing_field": [{"type": "l2update", "product_id": "BTC-USD"}, {"type": "snapshot", "product_id": "BTC-USD", "bids": []}],
            "bad_time": [update(time="2026-13-01T00:00:00Z"), update(time="yesterday")],
            "number_range": [update(("buy", "0.0000000000000000001", "1")), update(("buy", "9" * 30, "1"))],
            "bad_json": [b'{"type":"l2update","product_id":"BTC-USD","changes":[["buy","100","7"]]',
                         b'{"type":"l2update","type":"l2update","product_id":"BTC-USD","changes":[["buy","100","7"]]}'],
            "bad_utf8": [b'{"type":"l2update","product_id":"BTC-USD","x":"\xff","changes":[["buy","100","7"]]}'],
        }
        other = dict(START, product_id="ETH-USD")
        for reason, messages in bad.items():
            for message in messages:
                with self.subTest(reason=reason, message=message):
                    report = book(START, other, update(("buy", "100", "5")), message, update(("buy", "100", "9")))
                    product = report["products"]["BTC-USD"]
                    self.assertEqual(report["rejected"], {reason: 1})
                    self.assertEqual((product["state"], product["best_bid_size"], product["updates"]), ("stale", "5", 1))
                    self.assertEqual(report["products"]["ETH-USD"]["state"], "live")
                    again = book(START, message, START, update(("buy", "100", "9")))["products"]["BTC-USD"]
                    self.assertEqual((again["state"], again["best_bid_size"], again["snapshots"]), ("live", "9", 2))

    def test_a_message_of_no_product_makes_every_book_stale_but_one_of_an_unknown_product_none(self):
        for message in (b"{", b"[]", b'{"type":"l2update","changes":[]}'):
            states = [p["state"] for p in book(START, dict(START, product_id="ETH-USD"), message)["products"].values()]
            self.assertEqual(states, ["stale", "stale"])
        report = book(START, update(id="ETH-USD"), ids=["BTC-USD"])
        self.assertEqual((report["rejected"], report["products"]["BTC-USD"]["state"]), ({"unknown_product": 1}, "live"))

    def test_a_malformed_ticker_or_match_is_counted_and_makes_no_book_stale(self):
        ticker = {"type": "ticker", "product_id": "BTC-USD", "sequence": 1, "best_bid": "1", "best_ask": "2"}
        report = book(START, ticker, dict(ticker, best_bid=1), dict(ticker, best_ask_size="1"), {"type": "match"})
        self.assertEqual(report["rejected"], {"missing_field": 2, "wrong_type": 1})
        self.assertEqual((report["products"]["BTC-USD"]["state"], report["products"]["BTC-USD"]["rejected"]), ("live", 2))

    def test_channels_beside_level_2_are_read_as_strictly_and_make_no_book_stale(self):
        ticker = {"type": "ticker", "product_id": "BTC-USD", "sequence": 1, "best_bid": "1", "best_ask": "2"}
        auction = {"type": "auction", "product_id": "BTC-USD", "sequence": 1, "auction_state": "opening"}
        rfq = {"type": "rfq_match", "product_id": "BTC-USD", "trade_id": 1, "price": "1", "size": "1", "side": "buy"}
        row = {"id": "BTC-USD", "base_increment": "1", "quote_increment": "0.01"}
        good = [ticker, dict(ticker, price=None, trade_id=None, side=None), dict(ticker, price="1", volume_30d="2"), auction,
                dict(auction, can_open="yes", open_price=None, timestamp="2026-08-02T20:46:03.511254Z"), rfq, dict(rfq, sequence=5), {"type": "status", "products": []},
                {"type": "status", "products": [row, {"id": "X-USD"}, dict(row, min_market_funds=1, post_only=True, status=None)]}]
        self.assertEqual(book(START, *good)["rejected"], {})
        bad = {"bad_number": [dict(ticker, price="x"), dict(auction, open_size="-1"), dict(rfq, price="0"),
                              {"type": "status", "products": [dict(row, base_increment="0")]}],
               "wrong_type": [dict(ticker, last_size=1), dict(auction, can_open=True), dict(rfq, side=1), {"type": "status", "products": [7]},
                              {"type": "status", "products": [dict(row, post_only=1)]}],
               "bad_time": [dict(auction, timestamp="never"), dict(rfq, time="never")],
               "unknown_side": [dict(ticker, side="BUY"), dict(rfq, side="up")],
               "missing_field": [{"type": "status"}, {"type": "status", "products": [{"id": "BTC-USD", "base_increment": "1"}]}]}
        for reason, messages in bad.items():
            for message in messages:
                with self.subTest(reason=reason, message=message):
                    report = book(START, message)
                    self.assertEqual((report["rejected"], report["products"]["BTC-USD"]["state"]), ({reason: 1}, "live"))

    def test_legal_oddities_are_taken(self):
        odd = b' { "time" : "0001-01-01T00:00:00.000000Z", "changes":[["\\u0062uy","100","7"]], "new":[1], "product_id":"BTC-USD","type":"l2update"}\t'
        report = book(START, odd, {"type": "open", "product_id": 5}, {"type": "unheard"}, update())
        self.assertEqual((report["rejected"], report["unknown"], report["products"]["BTC-USD"]["best_bid_size"]), ({}, 1, "7"))
        self.assertEqual(report["products"]["BTC-USD"]["updates"], 2)

    def test_the_program_reads_plain_and_gzip_recordings_with_and_without_times(self):
        with tempfile.TemporaryDirectory() as folder:
            lines = [json.dumps(START), "", json.dumps(update(("buy", "100", "5")))]
            Path(folder, "a").write_text("\n".join(lines) + "\n")
            Path(folder, "b").write_text("\r\n".join("1618677817.061845\t" + line if line else "" for line in lines))
            Path(folder, "c").write_bytes(gzip.compress(b"".join(b"1618677817061845000: " + line.encode() + b"\n" for line in lines if line)))
            outputs = [subprocess.run([sys.executable, HERE / "reference_book.py", Path(folder, name)], capture_output=True, text=True, check=True).stdout
                       for name in "abc"]
        self.assertEqual(json.loads(outputs[0])["products"]["BTC-USD"]["best_bid_size"], "5")
        self.assertEqual(outputs, [outputs[0]] * 3)


class Compare(unittest.TestCase):
    def test_equal_reports_are_equal_and_every_field_that_differs_is_found(self):
        report = book(START, update(("buy", "100", "5")))
        self.assertEqual(list(compare_report.differences(report, book(START, update(("buy", "100", "5"))), None, True, True)), [])
        for field in compare_report.FIELDS + compare_report.IF_BOTH + ["state"]:
            planted = json.loads(json.dumps(report))
            planted["products"]["BTC-USD"][field] = [["1", "1"]] if field in ("bids", "asks") else "other"
            self.assertEqual(len(list(compare_report.differences(report, planted, None, True, True))), 1, field)
        for field in compare_report.FIELDS:
            planted = json.loads(json.dumps(report))
            del planted["products"]["BTC-USD"][field]
            self.assertEqual(len(list(compare_report.differences(report, planted, None, False, False))), 1, field)

    def test_a_missing_product_and_other_rejects_are_found(self):
        report, other = book(START), book(START, dict(START, product_id="ETH-USD"))
        self.assertEqual(len(list(compare_report.differences(report, other, None, False, False))), 1)
        self.assertEqual(len(list(compare_report.differences(report, dict(report, rejected={"bad_json": 1}), None, False, True))), 1)


if __name__ == "__main__":
    unittest.main()
