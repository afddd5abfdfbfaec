// What of the dashboard knows nothing of a document, held against slow models: `node dashboard_model.mjs FOLDER SEED`, FOLDER is io/dashboard.

import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

const [folder, seed] = [process.argv[2], Number(process.argv[3])];
const load = (name) => import(pathToFileURL(`${folder}/${name}`));
const { EventReader } = await load("source.js");
const { Model, Ring } = await load("model.js");
const text = await load("text.js");

let state = seed;
const random = (below) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};

// --- the reader of events: whole, byte by byte, by random cuts; against one that reads whole texts alone

function slowly(stream) {
  const events = [], fields = { event: "", data: [] };
  const lines = stream.replaceAll("\r\n", "\n").replaceAll("\r", "\n").split("\n");
  lines.pop();
  for (const line of lines) {
    if (line === "") {
      if (fields.data.length) events.push({ event: fields.event || "message", data: fields.data.join("\n") });
      fields.event = "";
      fields.data = [];
    } else {
      const [, name, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
      if (name === "data") fields.data.push(value);
      else if (name === "event") fields.event = value;
    }
  }
  return events;
}

function read(stream, cuts) {
  const reader = new EventReader(), events = [];
  let begin = 0;
  for (const end of [...cuts, stream.length]) {
    events.push(...reader.push(stream.slice(begin, end)));
    begin = end;
  }
  return events;
}

const pieces = ["event: status", "event:book", "data: {\"a\":1}", "data:", "data:  two", ": alive", "id: 7", "id", "retry: 1000", "retry: x", "data", "other: x", "", "", ""];
const ends = ["\n", "\r\n", "\r"];
for (let round = 0; round < 2000; round++) {
  let stream = "";
  for (let i = random(20); i > 0; i--) stream += pieces[random(pieces.length)] + ends[random(3)];
  stream += "\n"; // a \r alone at the end is held back: it may be half of \r\n
  const expected = slowly(stream);
  assert.deepEqual(read(stream, []), expected, `whole, round ${round}`);
  assert.deepEqual(read(stream, Array.from(stream, (_, i) => i)), expected, `by characters, round ${round}`);
  const cuts = Array.from({ length: random(6) }, () => random(stream.length)).sort((a, b) => a - b);
  assert.deepEqual(read(stream, cuts), expected, `cut at ${cuts}, round ${round}`);
}
const endless = new EventReader();
assert.throws(() => {
  for (let i = 0; i < 100; i++) endless.push("data: " + "x".repeat(1 << 20));
}, /without end/, "a line without end is given up");
const lines = new EventReader();
assert.throws(() => {
  for (let i = 0; i < 100; i++) lines.push("data: " + "x".repeat(1 << 20) + "\n");
}, /without end/, "an event without end is given up");

// --- rings against arrays

for (let round = 0; round < 200; round++) {
  const capacity = 1 + random(10), ring = new Ring(capacity, 2), all = [];
  for (let i = random(40); i > 0; i--) {
    const row = [random(100), random(2) ? random(100) : null];
    ring.push(...row);
    all.push(row);
  }
  const last = all.slice(-capacity);
  assert.deepEqual(ring.columns(), [last.map(([a]) => a), last.map(([, b]) => b)]);
}

// --- texts

assert.equal(text.padded("37480", 2), "37480.00");
assert.equal(text.padded("0.5", 8), "0.50000000");
assert.equal(text.padded("-0.123", 2), "-0.123", "nothing is cut off");
assert.equal(text.padded(null, 2), "–");
assert.equal(text.nanoseconds(999), "999 ns");
assert.equal(text.nanoseconds(7871), "7.87 µs");
assert.equal(text.nanoseconds(125000000), "125 ms");
assert.equal(text.bytes(1536), "1.5 KiB");
assert.equal(text.bytes(undefined), "–");
assert.equal(text.duration(3725), "1 h 2 min");
assert.equal(text.duration(-1), "0 s");

// --- the model: rates, and what becomes an alarm

const product = (more = {}) => ({ state: "live", reason: "", snapshots: 1, updates: 0, resyncs: 0, lost_trades: 0, alarms: {}, mid: "1.5", spread: "1", ...more });
const status = (elapsed_s, products, more = {}) => ({ started_utc: "a", elapsed_s, messages: 0, bytes: 0, rejected: {}, lines: [], products, ...more });
const said = (model) => model.alarms.map(({ level, about, text: what }) => `${level} ${about} ${what}`);

let model = new Model();
model.event("status", status(1, { A: product(), B: product({ state: "waiting", reason: "no snapshot yet" }) }), 1000);
assert.deepEqual(said(model), ["warn B waiting: no snapshot yet"], "what is live from the start is no alarm");
assert.equal(model.products.get("A").rate, null, "no rate of one status alone");
model.event("status", status(3, { A: product({ updates: 100 }), B: product({ updates: 10 }) }, { messages: 220, bytes: 2048 }), 3000);
assert.equal(model.products.get("A").rate, 50);
assert.equal(model.rate, 110);
assert.equal(model.byteRate, 1024);
assert.equal(said(model)[0], "good B live");
model.event("status", status(3.1, { A: product({ updates: 100 }), B: product({ updates: 10 }) }, { messages: 220, bytes: 2048 }), 3100);
assert.equal(model.rate, 110, "a status that comes at once after another says nothing of rates");

// A state that came as an event is told once, and a resync that it told of is not told again.
model.event("state", { product_id: "A", state: "resyncing", reason: "message rejected: bad_number", since: "1970-01-01T00:00:03.5Z" }, 3500);
model.event("state", { product_id: "A", state: "live", reason: "", since: "1970-01-01T00:00:03.6Z" }, 3600);
model.event("state", { product_id: "A", state: "live", reason: "", since: "1970-01-01T00:00:03.6Z" }, 3600);
assert.deepEqual(said(model).slice(0, 2), ["good A live", "warn A resyncing: message rejected: bad_number"]);
assert.equal(model.products.get("A").sinceMs, 3600);
model.event("status", status(3.7, { A: product({ updates: 120, resyncs: 1, for_s: 0.2 }), B: product({ updates: 12, for_s: 500 }) }), 3700);
assert.equal(model.products.get("A").sinceMs, 3600, "what differs by less than two clocks may is left");
assert.equal(model.products.get("B").sinceMs, 3700 - 500000);
model.event("status", status(4.2, { A: product({ updates: 150, resyncs: 1 }), B: product({ updates: 20, alarms: { ticker: 2 }, lost_trades: 1 }) },
  { rejected: { bad_number: 1 }, lines: [{ line: "A", state: "live", reconnects: 0, stalls: 0 }], store: { dropped_frames: 0 } }), 4000);
assert.deepEqual(said(model).slice(0, 4),
  ["bad node a message was rejected: bad_number", "warn B a trade is missing", "warn B witness ticker: 2 alarms", "good A live"]);
model.event("status", status(5, { A: product({ updates: 150, resyncs: 3, rejected: 2 }), B: product({ updates: 20, alarms: { ticker: 2 }, lost_trades: 1 }) },
  { rejected: { bad_number: 1, bad_json: 2 }, lines: [{ line: "A", state: "connecting", reconnects: 1, stalls: 2 }], store: { dropped_frames: 7 } }), 5000);
assert.deepEqual(said(model).slice(0, 5),
  ["bad log 7 frames were dropped: the disk is behind", "warn line A stopped receiving 2 times", "bad line A connecting", "bad node 2 messages were rejected: bad_json",
    "warn A was fetched anew 2 times: message rejected: bad_json"]);

// A node that was started anew begins at nothing; a product that is no longer there goes.
model.gone(6000, "refused");
assert.equal(said(model)[0], "bad node does not answer: refused");
model.event("status", status(0.5, { A: product({ updates: 1 }) }, { started_utc: "b", messages: 5 }), 7000);
assert.equal(said(model)[0], "warn node was started anew");
assert.equal(model.rate, null, "counts of two runs are not compared");
assert.deepEqual([...model.products.keys()], ["A"]);
assert.equal(model.products.get("A").history.columns()[1].at(-2), null, "a hole while it was gone");

// Unknown events are passed by, and nothing grows without a limit.
model.event("weather", { sunny: true }, 7000);
for (let i = 0; i < 2000; i++) {
  model.event("trade", { product_id: "A", price: "1", size: "1", side: "buy" }, i);
  model.alarm(i, "warn", "A", "x");
}
assert.ok(model.products.get("A").trades.length <= 100 && model.alarms.length <= 500);

console.log(`seed ${seed}: all holds`);
