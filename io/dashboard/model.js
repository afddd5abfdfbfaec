// What the page knows: the node's last status, what changed since the one before, and the last minutes of it. Knows nothing of the document.

import { decimals } from "./text.js";

export const HISTORY_SECONDS = 900;
const STATUS_SECONDS_MIN = 0.5; // a stream begins with a status: what comes sooner after another makes no rate
const ALARMS_MAX = 300;
const TRADES_MAX = 60;
const BARS_MAX = 600;

// Ring holds the last rows of so many numbers each; null where there was none. columns() gives each column, oldest first.
export class Ring {
  #columns;
  #next = 0;
  length = 0;

  constructor(capacity, width) {
    this.capacity = capacity;
    this.#columns = Array.from({ length: width }, () => new Float64Array(capacity));
  }

  push(...row) {
    row.forEach((value, i) => (this.#columns[i][this.#next] = value ?? NaN));
    this.#next = (this.#next + 1) % this.capacity;
    if (this.length < this.capacity) this.length++;
  }

  columns() {
    const begin = (this.#next - this.length + this.capacity) % this.capacity;
    return this.#columns.map((column) =>
      Array.from({ length: this.length }, (_, i) => {
        const value = column[(begin + i) % this.capacity];
        return Number.isNaN(value) ? null : value;
      }),
    );
  }
}

const number = (text) => (text === null || text === undefined ? null : Number(text));
const delta = (now, before) => (now ?? 0) - (before ?? 0);
const why = (state, reason) => (reason ? `${state}: ${reason}` : state);

class Product {
  constructor(id) {
    this.id = id;
    this.history = new Ring(HISTORY_SECONDS, 4); // UTC seconds, mid, spread, messages a second
    this.trades = []; // newest first
    this.bars = new Map(); // of the first series by time: start -> bar
    this.book = null;
    this.places = 0; // decimals of its prices and sizes, as many as any had so far: columns of them stand still
    this.sizePlaces = 0;
    this.rate = null;
    this.state = null;
    this.reason = "";
    this.sinceMs = null;
    this.told = false; // something of its state, since the last status
  }

  widen(price, size) {
    if (price) this.places = Math.max(this.places, decimals(price));
    if (size) this.sizePlaces = Math.max(this.sizePlaces, decimals(size));
  }
}

export class Model {
  report = null;
  products = new Map();
  alarms = []; // newest first: { atMs, level: "bad" | "warn" | "good", about, text }
  #numbered = 0;
  rate = null;
  byteRate = null;
  history = new Ring(HISTORY_SECONDS, 2); // UTC seconds, messages a second
  latencies = { wire_to_book: new Ring(HISTORY_SECONDS, 5), exchange_to_book: new Ring(HISTORY_SECONDS, 5) }; // and p50, p99, p99_9, max

  alarm(atMs, level, about, text) {
    this.alarms.unshift({ number: ++this.#numbered, atMs, level, about, text });
    this.alarms.length = Math.min(this.alarms.length, ALARMS_MAX);
  }

  product(id) {
    let product = this.products.get(id);
    if (!product) this.products.set(id, (product = new Product(id)));
    return product;
  }

  // event takes what the stream brings. Events and products that it does not know are passed by.
  event(name, object, nowMs) {
    if (name === "status") this.#status(object, nowMs);
    else if (name === "state") this.#state(this.product(object.product_id), object.state, object.reason ?? "", Date.parse(object.since), nowMs);
    else if (name === "book") this.#book(this.product(object.product_id), object);
    else if (name === "trade") {
      const { trades } = this.product(object.product_id);
      trades.unshift(object);
      trades.length = Math.min(trades.length, TRADES_MAX);
    }
  }

  // gone: the node says nothing any more. What comes after is not held against what was before.
  gone(nowMs, reason) {
    this.alarm(nowMs, "bad", "node", `does not answer: ${reason}`);
    const at = nowMs / 1000;
    this.rate = this.byteRate = null;
    this.history.push(at, null);
    for (const ring of Object.values(this.latencies)) ring.push(at, null, null, null, null);
    for (const product of this.products.values()) product.history.push(at, null, null, (product.rate = null));
  }

  #book(product, book) {
    product.book = book;
    for (const [price, size] of [...book.bids, ...book.asks]) product.widen(price, size);
  }

  #state(product, state, reason, sinceMs, nowMs) {
    if (product.state === state && product.reason === reason) {
      if (Number.isFinite(sinceMs) && !(Math.abs(product.sinceMs - sinceMs) < 2000)) product.sinceMs = sinceMs;
      return;
    }
    const first = product.state === null;
    product.state = state;
    product.reason = reason;
    product.sinceMs = Number.isFinite(sinceMs) ? sinceMs : first ? null : nowMs;
    if (first && state === "live") return;
    product.told = true;
    const level = state === "live" ? "good" : state === "stale" ? "bad" : "warn";
    this.alarm(product.sinceMs ?? nowMs, level, product.id, why(state, reason));
  }

  #status(report, nowMs) {
    const started = this.report?.started_utc;
    const before = started === report.started_utc ? this.report : null;
    if (before && report.elapsed_s - before.elapsed_s < STATUS_SECONDS_MIN) return;
    if (started && !before) this.alarm(nowMs, "warn", "node", "was started anew");
    this.report = report;
    const seconds = before ? report.elapsed_s - before.elapsed_s : 0;
    const rate = (n) => (seconds > 0 ? Math.max(0, n) / seconds : null);
    const at = nowMs / 1000;

    this.rate = before ? rate(delta(report.messages, before.messages)) : null;
    this.byteRate = before ? rate(delta(report.bytes, before.bytes)) : null;
    this.history.push(at, this.rate);
    for (const [name, ring] of Object.entries(this.latencies)) {
      const recent = report.latency_recent_ns?.[name];
      const { p50, p99, p99_9, max } = recent?.count ? recent : {};
      ring.push(at, p50, p99, p99_9, max);
    }

    const refused = Object.keys(report.rejected ?? {}).filter((reason) => delta(report.rejected[reason], before?.rejected?.[reason]) > 0);
    const products = report.products ?? {};
    for (const id of this.products.keys()) if (!(id in products)) this.products.delete(id);
    for (const [id, now] of Object.entries(products)) {
      const product = this.product(id);
      const was = before?.products?.[id];
      this.#state(product, now.state, now.reason ?? "", nowMs - now.for_s * 1000, nowMs);
      product.report = now;
      product.widen(now.best_bid, now.best_bid_size);
      product.widen(now.best_ask, now.best_ask_size);
      product.rate = was ? rate(delta(now.snapshots, was.snapshots) + delta(now.updates, was.updates)) : null;
      product.history.push(at, number(now.mid), number(now.spread), product.rate);
      this.#bars(product, now.bars);
      if (was) this.#compare(product, now, was, refused, nowMs);
      product.told = false;
    }
    if (before) this.#node(report, before, nowMs);
  }

  #bars(product, series) {
    const timed = series?.find(({ kind }) => kind === "time");
    for (const bar of timed?.last ?? []) product.bars.set(bar.start, bar);
    for (const start of product.bars.keys()) {
      if (product.bars.size <= BARS_MAX) break;
      product.bars.delete(start);
    }
  }

  // What a product went through between two statuses, and no state tells.
  #compare(product, now, was, refused, nowMs) {
    for (const [kind, n] of Object.entries(now.alarms ?? {})) {
      const more = delta(n, was.alarms?.[kind]);
      if (more > 0) this.alarm(nowMs, "warn", product.id, `witness ${kind}: ${more === 1 ? "an alarm" : `${more} alarms`}`);
    }
    const resyncs = delta(now.resyncs, was.resyncs);
    if (resyncs > 0 && !product.told) {
      const times = resyncs === 1 ? "" : ` ${resyncs} times`;
      const because = delta(now.rejected, was.rejected) > 0 ? `: message rejected: ${refused.join(" or ")}` : "";
      this.alarm(nowMs, "warn", product.id, `was fetched anew${times}${because}`);
    }
    const lost = delta(now.lost_trades, was.lost_trades);
    if (lost > 0) this.alarm(nowMs, "warn", product.id, lost === 1 ? "a trade is missing" : `${lost} trades are missing`);
  }

  #node(report, before, nowMs) {
    for (const [reason, n] of Object.entries(report.rejected ?? {})) {
      const more = delta(n, before.rejected?.[reason]);
      if (more > 0) this.alarm(nowMs, "bad", "node", `${more === 1 ? "a message was" : `${more} messages were`} rejected: ${reason}`);
    }
    const lines = new Map((before.lines ?? []).map((line) => [line.line, line]));
    for (const line of report.lines ?? []) {
      const was = lines.get(line.line);
      if (was && was.state !== line.state) this.alarm(nowMs, line.state === "live" ? "good" : "bad", `line ${line.line}`, line.state);
      else if (was && line.reconnects > was.reconnects) this.alarm(nowMs, "warn", `line ${line.line}`, "was connected anew");
      const stalls = delta(line.stalls, was?.stalls);
      if (was && stalls > 0) this.alarm(nowMs, "warn", `line ${line.line}`, stalls === 1 ? "stopped receiving once" : `stopped receiving ${stalls} times`);
    }
    const dropped = delta(report.store?.dropped_frames, before.store?.dropped_frames);
    if (dropped > 0) this.alarm(nowMs, "bad", "log", `${dropped === 1 ? "a frame was" : `${dropped} frames were`} dropped: the disk is behind`);
  }
}
