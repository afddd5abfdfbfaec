#!/usr/bin/env python3
"""What only a witness finds: each fault of the mock against the real node. `test_witness.py [NAME...]`."""

import glob
import json
import os
import re

from harness import HERE, SLOW, Program, load, logged, main, mock, node, same

CHANNELS = ["--channel", "level2_batch,heartbeat,ticker,matches"]
BOOK = [f"--field={name}" for name in "best_bid best_bid_size best_ask best_ask_size bid_levels ask_levels bids asks".split()]
RATE = 300


def watched(directory, scenario, seconds, *node_words, rate=RATE, after=2 * RATE, mock_words=()):
    """A run of that many seconds against a mock that does one thing wrong; its report, which agrees with the mock's and with a replay's."""
    products = "BTC-USD"
    exchange = mock("--product", products, "--levels", 50, "--rate", rate, "--messages", rate * seconds, "--once", "--scenario", scenario, "--scenario-after",
                    after, "--depth", 1000, "--report", f"{directory}/mock.json", *mock_words)
    running = node(exchange.url, directory, "--product", products, "--once", *CHANNELS, *node_words)
    running.ends(0)
    exchange.ends(0)
    report = load(f"{directory}/report.json")
    same(f"{directory}/report.json", f"{directory}/mock.json", *BOOK)
    Program("replay", "--product", products, "--depth", 1000, "--console", "off", "--report", f"{directory}/replay.json", *node_words, f"{directory}/data").ends(0)
    same(f"{directory}/report.json", f"{directory}/replay.json", "--state", "--rejected")
    for id, product in load(f"{directory}/replay.json")["products"].items():
        for key in ("alarms", "last_alarm", "lost_trades", "resyncs"):
            assert product[key] == report["products"][id][key], (key, product[key], report["products"][id][key])
    assert report["reconnects"] == 0 and report["rejected"] == {}, report
    return report, running


def found(directory, scenario, kind, reason, seconds=6, *node_words, **options):
    """The alarm is counted under its name, on record with what was seen, said in words; the product was fetched anew, once, and is right."""
    report, running = watched(directory, scenario, seconds, *node_words, **options)
    product = report["products"]["BTC-USD"]
    assert product["alarms"] == {kind: 1} and product["last_alarm"] == kind, product["alarms"]
    assert product["resyncs"] == report["resyncs"] == 1 and product["snapshots"] == 2, product
    gaps = [json.loads(text) for text in logged(directory, "gap")]
    assert [(gap["event"], gap["product"], gap["witness"], gap["reason"]) for gap in gaps] == [("gap", "BTC-USD", kind, reason)], gaps
    resyncs = [json.loads(text) for text in logged(directory, "resync")]
    assert [(resync["product"], resync["reason"]) for resync in resyncs] == [("BTC-USD", reason)], resyncs
    assert f"BTC-USD: {reason} (" in running.out["stderr"], running.out["stderr"]
    return gaps[0], product


def a_lost_update_is_found_by_the_ticker_and_the_book_fetched_anew(directory):
    gap, _ = found(directory, "lost", "ticker", "ticker contradicts the book", 14, "--witness", "crossed=off,unknown=off", rate=40, after=80)
    assert gap["seen"] != gap["expected"], gap


def an_update_from_the_past_is_found(directory):
    gap, _ = found(directory, "backwards", "time", "time went backwards")
    assert 0.9 < float(gap["expected"]) - float(gap["seen"]) < 1.5, gap


def a_removal_of_an_unknown_level_is_counted_and_fetched_anew_only_if_so_asked(directory):
    os.mkdir(f"{directory}/counted")
    report, _ = watched(f"{directory}/counted", "unknownlevel", 4)
    product = report["products"]["BTC-USD"]
    assert product["alarms"] == {"unknown": 1} and product["unknown_removals"] == 1 and report["resyncs"] == 0, product
    found(directory, "unknownlevel", "unknown", "removal of a level that was not there", 5, "--witness", "unknown=resync")


def updates_withheld_while_heartbeats_go_on_are_found(directory):
    gap, product = found(directory, "withhold", "silent", "updates are withheld", 18, "--witness", "ticker=off")
    assert int(gap["seen"]) >= 100, gap
    assert product["updates"] < RATE * 18, "some never came"


def heartbeats_that_stop_are_found(directory):
    gap, _ = found(directory, "nobeats", "heartbeat", "heartbeats stopped", 13)
    assert float(gap["seen"]) >= 5, gap


def a_ticker_that_says_another_best_ask_is_found(directory):
    found(directory, "wrongticker", "ticker", "ticker contradicts the book", 12)


def a_lost_trade_is_found_and_named(directory):
    gap, product = found(directory, "lostmatch", "trades", "trades are missing")
    assert gap["first"] == gap["last"] and product["lost_trades"] == 1, (gap, product)


def a_book_that_stays_crossed_is_on_record(directory):
    gap, _ = found(directory, "crossed", "crossed", "book stayed crossed", 6, "--witness", "ticker=off")
    assert float(gap["seen"]) > float(gap["expected"]), gap


def an_exchange_that_alarms_again_and_again_is_not_asked_again_and_again(directory):
    report, _ = watched(directory, "backwards", 10, after=RATE // 15, mock_words=["--scenario-repeat"])
    product = report["products"]["BTC-USD"]
    assert product["alarms"]["time"] >= 10 and list(product["alarms"]) == ["time"], product["alarms"]
    assert 2 <= product["resyncs"] <= 5, product


def witnesses_that_are_off_see_nothing(directory):
    report, _ = watched(directory, "backwards", 4, "--witness", "off")
    assert report["products"]["BTC-USD"]["alarms"] == {} and report["resyncs"] == 0, report
    assert logged(directory, "gap") == []


def a_word_that_names_no_witness_is_a_wrong_configuration(directory):
    for command in (["run", "--no-store"], ["replay", directory]):
        program = Program(*command, "--witness", "tickers=off").ends(2)
        assert "KIND of time, unknown, silent" in program.out["stderr"], program.out["stderr"]


def a_clean_feed_of_all_channels_raises_no_alarm(directory):
    products = "BTC-USD,ETH-USD,LTC-USD"
    for number, pace in enumerate((["--rate", "max", "--messages", int(40000 / SLOW)], ["--rate", 500, "--messages", 3000, "--batch-ms", 50])):
        exchange = mock("--product", products, "--levels", 200, "--once", *pace)
        folder = f"{directory}/{number}"
        os.mkdir(folder)
        node(exchange.url, folder, "--product", products, "--once", *CHANNELS).ends(0)
        exchange.ends(0)
        report = load(f"{folder}/report.json")
        assert report["resyncs"] == 0 and report["rejected"] == {}, report
        for product in report["products"].values():
            assert product["alarms"] == {} and product["lost_trades"] == 0, product
        assert logged(folder, "gap") == []


def recorded_sessions_raise_no_alarm(directory):
    """Those of a folder that WIREBOOK_RECORDINGS names; golden frames always."""
    paths = [f"{HERE}/../golden/case_study/messages.jsonl"]
    more = os.environ.get("WIREBOOK_RECORDINGS")
    paths += sorted(glob.glob(f"{more}/*.jsonl") + glob.glob(f"{more}/*.tsv")) if more else []
    for path in paths:
        with open(path, "rb") as file:
            ids = sorted(set(id.decode() for id in re.findall(rb'"product_id"\s*:\s*"([A-Z0-9-]+)"', file.read())))
        if not ids:
            continue
        Program("replay", path, "--product", ",".join(ids), "--console", "off", "--report", f"{directory}/report.json").wait()
        for id, product in load(f"{directory}/report.json")["products"].items():
            assert set(product["alarms"]) <= {"unknown"}, (path, id, product["alarms"])  # some were cut down by hand, with their snapshots


if __name__ == "__main__":
    main(globals())
