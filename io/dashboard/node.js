// What is not of one product: head of the page, lines, latencies, log and disk, alarms.

import { attribute, by, make, rows, text } from "./dom.js";
import { bytes, clock, count, duration, nanoseconds, plural, rate } from "./text.js";

const n = (value) => ({ text: value, class: "n" });

export function drawHead(model) {
  const { report } = model;
  text(by("feed"), report.feed ?? "–");
  text(by("up"), duration(report.elapsed_s));
  text(by("messages"), rate(model.rate ?? NaN));
  text(by("bytes"), bytes(model.byteRate ?? NaN));
  const states = [...model.products.values()].map(({ state }) => state).filter((state) => state !== "removed");
  text(by("live"), `${count(states.filter((state) => state === "live").length)} of ${count(states.length)}`);
}

export function drawLines(report) {
  rows(by("lines").tBodies[0], report.lines ?? [], (line) => [
    line.line,
    { text: line.state ?? "–", "data-state": line.state === "live" ? "live" : "stale" },
    ...[line.wins, line.duplicates, line.late].map((value) => n(count(value))),
    ...[line.lag_ns?.p50, line.lag_ns?.p99].map((value) => n(nanoseconds(value))),
    ...[line.messages, line.products, line.reconnects].map((value) => n(count(value))),
    line.url ?? "–",
  ], true);
}

export function drawLatencies(report) {
  const names = { wire_to_book: "wire, book", exchange_to_book: "exchange, book" };
  const there = Object.entries(names).filter(([name]) => report.latency_ns?.[name]?.count);
  by("latency-panel").hidden = there.length === 0;
  rows(by("latency").tBodies[0], there, ([name, shown]) => {
    const from = report.latency_ns[name];
    return [shown, ...["p50", "p90", "p99", "p99_9", "p99_99", "max"].map((point) => n(nanoseconds(from[point]))), n(count(from.count))];
  }, true);
}

export function drawStore(report) {
  const { store, disk, archive } = report;
  const facts = {
    Folder: disk?.folder,
    Written: disk && `${bytes(disk.written_bytes)}, ${plural(disk.segments, "segment")}`,
    "Free on disk": disk && bytes(disk.free_bytes),
    "Frames stored": count(report.stored_frames),
    "Not yet synced": count(report.stored_frames - report.synced_frames),
    Dropped: store && `${plural(store.dropped_frames, "frame")}, ${bytes(store.dropped_bytes)}`,
    Gaps: store && count(store.gaps),
    "Spill at most": store && bytes(store.spill_bytes_max),
    "Disk errors": disk && count(disk.errors),
    Compressed: archive && plural(archive.compressed, "segment"),
  };
  const bad = { Dropped: store?.dropped_frames, Gaps: store?.gaps, "Disk errors": disk?.errors };
  const shown = store ? Object.entries(facts).filter(([, value]) => value !== undefined) : [["Log", "off"]];
  const list = by("store");
  while (list.children.length > shown.length) list.lastChild.remove();
  shown.forEach(([name, value], i) => {
    const tile = list.children[i] ?? list.appendChild(make("div", {}, make("dt"), make("dd")));
    text(tile.firstChild, name);
    text(tile.lastChild, String(value));
    attribute(tile.lastChild, "class", bad[name] ? "ask" : "");
  });
}

// Alarms come in at the top. What is new is said in words, all of one moment at once.
export class Alarms {
  #body = by("alarms").tBodies[0];
  #said = 0;

  draw(alarms) {
    const fresh = alarms.filter(({ number }) => number > this.#said);
    if (!fresh.length) return;
    this.#said = fresh[0].number;
    by("alarms-none").hidden = true;
    this.#body.prepend(...fresh.map(({ atMs, level, about, text: what }) => {
      const row = make("tr", {}, make("td", {}, make("time", { dateTime: new Date(atMs).toISOString(), textContent: clock(atMs) })),
        make("td", { textContent: about }), make("td", { textContent: what }));
      row.dataset.level = level;
      return row;
    }));
    while (this.#body.rows.length > alarms.length) this.#body.deleteRow(-1);
    text(by("alarms-sums"), plural(alarms.length, "entry", "entries"));
    const words = fresh.length > 3 ? `${fresh.length} alarms, the last: ${fresh[0].about} ${fresh[0].text}` : fresh.map(({ about, text: what }) => `${about} ${what}`).join("; ");
    text(by("said"), words);
  }
}
