// Books by ccxt pro, as it is, but for where its exchange is: books_ccxt.mjs MODULES HOST:PORT PRODUCT...
// Says its books and last trades as a line of JSON for each line that it reads, and ends with its input. Its numbers are binary fractions.
import { createInterface } from "node:readline";

const [modules, where, ...products] = process.argv.slice(2);
const { default: ccxt } = await import(`${modules}/ccxt/js/ccxt.js`);
const exchange = new ccxt.pro.coinbaseexchange({ apiKey: "key", secret: "c2VjcmV0", password: "passphrase" });
await exchange.loadHttpProxyAgent(); // ccxt asks for it where a URL is ws://
exchange.urls.api = { public: `http://${where}`, private: `http://${where}`, ws: `ws://${where}` };
const books = {};
const trades = {};
const wrong = [];

async function watch(product) {
  const symbol = product.replace("-", "/");
  for (;;) {
    const book = await exchange.watchOrderBook(symbol);
    books[product] = { bids: book.bids.slice(), asks: book.asks.slice() };
  }
}

async function follow(product) {
  for (;;) for (const trade of await exchange.watchTrades(product.replace("-", "/"))) trades[product] = trade;
}

for (const work of [watch, follow]) for (const product of products) work(product).catch((error) => wrong.push(String(error)));

createInterface({ input: process.stdin })
  .on("line", () => console.log(JSON.stringify({ books, trades, wrong })))
  .on("close", () => process.exit(0));
