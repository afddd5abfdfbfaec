// Books of a feed in the Exchange dialect, by the npm client `ws`: books_ws.mjs MODULES URL CHANNEL PRODUCT...
// Says its books as a line of JSON for each line that it reads, and ends with its input.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [modules, url, channel, ...products] = process.argv.slice(2);
const WebSocket = createRequire(`${modules}/`)("ws");
const books = {};
const counts = {};
const wrong = [];

const socket = new WebSocket(url);
socket.on("open", () => socket.send(JSON.stringify({ type: "subscribe", channels: [{ name: channel, product_ids: products }] })));
socket.on("error", (error) => wrong.push(String(error)));
socket.on("message", (data) => {
  const message = JSON.parse(data);
  counts[message.type] = (counts[message.type] ?? 0) + 1;
  if (message.type === "snapshot") books[message.product_id] = { buy: new Map(message.bids), sell: new Map(message.asks) };
  else if (message.type === "error") wrong.push(data.toString());
  else if (message.type === "l2update")
    for (const [side, price, size] of message.changes)
      if (Number(size) === 0) books[message.product_id][side].delete(price);
      else books[message.product_id][side].set(price, size);
});

createInterface({ input: process.stdin })
  .on("line", () => {
    const shown = {};
    for (const [product, { buy, sell }] of Object.entries(books))
      shown[product] = { bids: [...buy].sort(([a], [b]) => b - a), asks: [...sell].sort(([a], [b]) => a - b) };
    console.log(JSON.stringify({ books: shown, counts, wrong }));
  })
  .on("close", () => process.exit(0));
