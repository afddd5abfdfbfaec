// node_ws - node with the ws package, sorted arrays, a file stream: what most JavaScript clients look like.
// Usage: node node_ws.mjs WS_PACKAGE PORT CYCLES PRODUCT[,PRODUCT...] [STORE_FILE]
// Prices are integers of 10^-2, sizes of 10^-8; both fit a double exactly.
import { createWriteStream } from "node:fs";
import { createRequire } from "node:module";

const [packagePath, port, cycles, ids, store] = process.argv.slice(2);
const WebSocket = createRequire(import.meta.url)(packagePath);

const units = (text, decimals) => {
  const dot = text.indexOf(".");
  if (dot < 0) return Number(text) * 10 ** decimals;
  const fraction = text.slice(dot + 1);
  if (fraction.length > decimals) throw new Error(`too many decimals: ${text}`);
  return Number(text.slice(0, dot) + fraction.padEnd(decimals, "0"));
};
const plain = (value, decimals) => {
  const digits = String(value).padStart(decimals + 1, "0");
  return `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
};

// Keys ascend towards the best at the end: prices of bids, negated prices of asks.
class Side {
  constructor(sign) {
    Object.assign(this, { sign, keys: [], sizes: [] });
  }
  set(price, size) {
    const key = this.sign * price;
    let low = 0, high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.keys[middle] < key) low = middle + 1;
      else high = middle;
    }
    const had = this.keys[low] === key;
    if (size && had) this.sizes[low] = size;
    else if (size) this.keys.splice(low, 0, key), this.sizes.splice(low, 0, size);
    else if (had) this.keys.splice(low, 1), this.sizes.splice(low, 1);
  }
  assign(levels) {
    const sorted = levels.map(([price, size]) => [this.sign * units(price, 2), units(size, 8)]).sort((a, b) => a[0] - b[0]);
    this.keys = sorted.map((level) => level[0]);
    this.sizes = sorted.map((level) => level[1]);
  }
  best() {
    return this.sign * this.keys[this.keys.length - 1];
  }
  report(name) {
    let sum = 0n;
    const shown = [];
    for (let i = this.keys.length - 1; i >= 0; i--) {
      const price = this.sign * this.keys[i];
      sum += BigInt(price) * BigInt(this.sizes[i]);
      if (shown.length < 50) shown.push([plain(price, 2), plain(this.sizes[i], 8)]);
    }
    return { [`${name}_levels`]: this.keys.length, [`${name}_sum`]: String(BigInt.asUintN(64, sum)), [`${name}s`]: shown };
  }
}

const products = new Map(ids.split(",").map((id) => [id, { bids: new Side(1), asks: new Side(-1), maxSpread: 0, mids: [], updates: 0, snapshots: 0 }]));
const file = store ? createWriteStream(store, { highWaterMark: 256 * 1024 }) : null;
let messages = 0, changes = 0, start;

function apply(text) {
  const message = JSON.parse(text);
  messages++;
  if (message.type === "subscriptions") return;
  const product = products.get(message.product_id);
  if (message.type === "l2update") {
    for (const [side, price, size] of message.changes) (side === "buy" ? product.bids : product.asks).set(units(price, 2), units(size, 8));
    changes += message.changes.length;
    product.updates++;
  } else if (message.type === "snapshot") {
    product.bids.assign(message.bids);
    product.asks.assign(message.asks);
    product.snapshots++;
  } else throw new Error(`unknown message ${message.type}`);
  if (!product.bids.keys.length || !product.asks.keys.length) return;
  const bid = product.bids.best(), ask = product.asks.best();
  product.maxSpread = Math.max(product.maxSpread, Math.abs(ask - bid));
  product.mids.push(bid + ask);
  if (product.mids.length > 10) product.mids.shift();
  product.liveNs ??= process.hrtime.bigint();
}

const socket = new WebSocket(`ws://127.0.0.1:${port}/${cycles}`, { perMessageDeflate: false, maxPayload: 32 << 20 });
socket.on("open", () => {
  start = process.hrtime.bigint();
  socket.send(JSON.stringify({ type: "subscribe", product_ids: [...products.keys()], channels: ["level2_batch"] }));
});
socket.on("message", (data) => {
  if (file) file.write(data);
  apply(data.toString());
});
socket.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
socket.on("close", () => {
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const report = () => {
    const books = {};
    for (const [id, p] of products)
      books[id] = { snapshots: p.snapshots, updates: p.updates, max_spread: plain(p.maxSpread, 2), mid2_sum: String(p.mids.reduce((a, b) => a + b, 0)), live_ns: Number(p.liveNs),
        ...p.bids.report("bid"), ...p.asks.report("ask") };
    console.log(JSON.stringify({ messages, changes, seconds, messages_per_second: messages / seconds, products: books }));
  };
  if (file) file.end(report);
  else report();
});
