#!/usr/bin/env python3
"""Compares the products of two reports; prints what differs and exits 1, or says how much was compared and exits 0.

    compare_report.py A B [--state] [--rejected] [--field NAME...]

--state also compares the state of the products (resyncing counts as stale), --rejected the messages rejected, by reason, and those of unknown types. --field compares
these fields alone. The texts of reasons are for people and never compared.
"""

import argparse
import json
import sys

# What every report must have; what both have besides is compared too.
FIELDS = """snapshots updates changes best_bid best_bid_size best_ask best_ask_size mid spread max_spread mid_average bid_levels ask_levels
    bids asks""".split()
IF_BOTH = ["rejected", "unknown_removals", "crossed"]


def state(product):
    return "stale" if product.get("state") == "resyncing" else product.get("state")


def first_difference(a, b):
    """Where two lists of levels part, in a few words."""
    for index in range(max(len(a), len(b))):
        ours, theirs = (levels[index] if index < len(levels) else None for levels in (a, b))
        if ours != theirs:
            return f"level {index}: {ours} and {theirs}"
    return ""


def differences(a, b, fields, with_state, with_rejected):
    for id in sorted(set(a["products"]) | set(b["products"])):
        ours, theirs = a["products"].get(id), b["products"].get(id)
        if ours is None or theirs is None:
            yield f"{id}: only in the {'second' if ours is None else 'first'} report"
            continue
        wanted = fields or FIELDS + [field for field in IF_BOTH if field in ours and field in theirs]
        for field in wanted:
            if field not in ours or field not in theirs:
                yield f"{id}: {field} missing in the {'first' if field not in ours else 'second'} report"
            elif ours[field] != theirs[field]:
                both_lists = isinstance(ours[field], list) and isinstance(theirs[field], list)
                yield f"{id}: {field}: {first_difference(ours[field], theirs[field]) if both_lists else f'{ours[field]} and {theirs[field]}'}"
        if with_state and state(ours) != state(theirs):
            yield f"{id}: state: {state(ours)} ({ours.get('reason')}) and {state(theirs)} ({theirs.get('reason')})"
    if with_rejected and a.get("rejected") != b.get("rejected"):
        yield f"rejected: {a.get('rejected')} and {b.get('rejected')}"
    if with_rejected and a.get("unknown", 0) != b.get("unknown", 0):
        yield f"unknown: {a.get('unknown')} and {b.get('unknown')}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--state", action="store_true")
    parser.add_argument("--rejected", action="store_true")
    parser.add_argument("--field", action="append")
    parser.add_argument("a")
    parser.add_argument("b")
    options = parser.parse_args()
    reports = []
    for path in (options.a, options.b):
        with open(path, encoding="utf-8") as file:
            reports.append(json.load(file))
    found = list(differences(*reports, options.field, options.state, options.rejected))
    print("\n".join(found) if found else f"{len(reports[0]['products'])} products are equal")
    return 1 if found or not reports[0]["products"] else 0


if __name__ == "__main__":
    sys.exit(main())
