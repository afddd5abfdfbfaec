// ccxt - ccxt pro as its users use it: watchOrderBook of coinbaseexchange in a loop, on node; books and sockets are ccxt's own.
// Usage: node ccxt.mjs CCXT_JS PORT CYCLES PRODUCT[,PRODUCT...] [STORE_FILE]
//
// watchOrderBook shows a book as it is when its caller gets round to it, so what must be seen of every message (counts, analytics) is taken where
// ccxt hands messages to the exchange. Its prices and sizes are doubles; those of this feed come back exactly when they are rounded to their
// decimals. It answers a Close when its socket has it, up to 1,024 messages before its books have them.
import { createWriteStream } from "node:fs";
import { pathToFileURL } from "node:url";

const [ccxtPath, port, cycles, ids, store] = process.argv.slice(2);
const { pro } = (await import(pathToFileURL(ccxtPath))).default;

const file = store ? createWriteStream(store, { highWaterMark: 256 * 1024 }) : null;
const products = new Map(ids.split(",").map((id) => [id, { symbol: id.replace("-", "/"), maxSpread: 0, mids: [], updates: 0, snapshots: 0 }]));
let messages = 0, changes = 0, start;

const plain = (value, decimals) => {
  const digits = String(value).padStart(decimals + 1, "0");
  return `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
};
const cents = (price) => Math.round(price * 100);

function sideReport(name, side) {
  let sum = 0n;
  const shown = [];
  for (const [price, size] of side) {
    const units = Math.round(size * 1e8);
    sum += BigInt(cents(price)) * BigInt(units);
    if (shown.length < 50) shown.push([plain(cents(price), 2), plain(units, 8)]);
  }
  return { [`${name}_levels`]: side.length, [`${name}_sum`]: String(BigInt.asUintN(64, sum)), [`${name}s`]: shown };
}

class Exchange extends pro.coinbaseexchange {
  client(url) {
    const client = super.client(url);
    if (client.watched) return client;
    client.watched = true;
    const onMessage = client.onMessage.bind(client), deliverLoop = client.deliverLoop.bind(client);
    client.onMessage = (event) => {
      if (file) file.write(event.data);
      onMessage(event);
    };
    client.deliverLoop = () => deliverLoop().then(end);
    return client;
  }
  handleMessage(client, message) {
    start ??= process.hrtime.bigint();
    super.handleMessage(client, message);
    messages++;
    const product = products.get(message.product_id);
    if (!product) return;
    if (message.type === "l2update") changes += message.changes.length, product.updates++;
    else product.snapshots++;
    const { bids, asks } = this.orderbooks[product.symbol];
    if (!bids.length || !asks.length) return;
    const bid = cents(bids[0][0]), ask = cents(asks[0][0]);
    product.maxSpread = Math.max(product.maxSpread, Math.abs(ask - bid));
    product.mids.push(bid + ask);
    if (product.mids.length > 10) product.mids.shift();
    product.liveNs ??= process.hrtime.bigint();
  }
}

// The exchange is told its products instead of asking for them, and any key: this feed does not look at it.
const exchange = new Exchange({ apiKey: "bench", secret: "YmVuY2g=", password: "bench", urls: { api: { ws: `ws://127.0.0.1:${port}/${cycles}` } } });
exchange.setMarkets([...products].map(([id, { symbol }]) => {
  const [base, quote] = id.split("-");
  return { id, symbol, base, quote, baseId: base, quoteId: quote, type: "spot", spot: true, active: true, precision: {}, limits: {} };
}));

await exchange.loadHttpProxyAgent(); // what ccxt wants before any ws:// without TLS: an agent of node, no proxy

let shown = 0;
async function watch(symbol) {
  try {
    for (;;) {
      const book = await exchange.watchOrderBook(symbol);
      if (book.bids.length) shown++;
    }
  } catch (error) {
    if (!messages) {
      console.error(error);
      process.exit(1);
    }
  }
}

function end() {
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const report = () => {
    const books = {};
    for (const [id, p] of products) {
      const { bids, asks } = exchange.orderbooks[p.symbol];
      books[id] = { snapshots: p.snapshots, updates: p.updates, max_spread: plain(p.maxSpread, 2), mid2_sum: String(p.mids.reduce((a, b) => a + b, 0)),
        live_ns: Number(p.liveNs), ...sideReport("bid", bids), ...sideReport("ask", asks) };
    }
    console.log(JSON.stringify({ messages, changes, shown, seconds, messages_per_second: messages / seconds, products: books }));
    process.exit(0);
  };
  if (file) file.end(report);
  else report();
}

for (const { symbol } of products.values()) watch(symbol);
