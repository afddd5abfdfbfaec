// The chosen product: touch and state, book, trades.

import { attribute, by, rows, text } from "./dom.js";
import { clock, count, duration, padded, rate } from "./text.js";

const shown = (value) => value ?? "–";

export function drawProduct(product, nowMs) {
  const { report } = product;
  text(by("product-title"), product.id);
  const since = product.sinceMs ? `, ${product.state === "live" ? "for" : "since"} ${product.state === "live" ? duration((nowMs - product.sinceMs) / 1000) : `${clock(product.sinceMs)} UTC`}` : "";
  text(by("product-state"), `${shown(product.state)}${product.reason ? `: ${product.reason}` : ""}${since}`);
  attribute(by("product-state"), "data-state", product.state ?? "waiting");
  if (!report) return;
  text(by("best-bid"), padded(report.best_bid, product.places));
  text(by("best-ask"), padded(report.best_ask, product.places));
  text(by("spread"), padded(report.spread, product.places));
  text(by("max-spread"), padded(report.max_spread, product.places));
  text(by("mid"), shown(report.mid));
  text(by("mid-average"), shown(report.mid_average));
  text(by("product-rate"), product.rate === null ? "–" : `${rate(product.rate)}/s`);
  text(by("levels"), `${count(report.bid_levels)}, ${count(report.ask_levels)}`);
  text(by("imbalance"), shown(report.measures?.imbalance));
  text(by("troubles"), `${count(report.resyncs)}, ${count(report.rejected)}`);
}

// drawBook shows the book as the node sent it, with a bar behind each size: its share of the largest.
export function drawBook(product, levels) {
  const { bids = [], asks = [] } = product.book ?? {};
  const shownBids = bids.slice(0, levels), shownAsks = asks.slice(0, levels);
  let largest = 0;
  for (const [, size] of [...shownBids, ...shownAsks]) largest = Math.max(largest, Number(size));
  const price = ([text]) => ({ text: padded(text, product.places), class: "n" });
  const size = ([, text]) => ({ text: padded(text, product.sizePlaces), class: "n" });
  const side = (id, these, cells, sizeAt) => {
    const body = by(id).tBodies[0];
    rows(body, these, cells);
    these.forEach(([, size], i) => {
      const share = `${largest ? ((Number(size) / largest) * 100).toFixed(1) : 0}%`;
      const cell = body.rows[i].cells[sizeAt];
      if (cell.style.getPropertyValue("--share") !== share) cell.style.setProperty("--share", share);
    });
  };
  side("bids", shownBids, (level) => [size(level), price(level)], 0);
  side("asks", shownAsks, (level) => [price(level), size(level)], 1);
}

export function drawTrades(product) {
  const sums = product.report?.trades;
  by("trades-panel").hidden = !sums && !product.trades.length;
  text(by("trades-sums"), sums ? `${count(sums.count)} since start · volume ${sums.volume} · bought less sold ${sums.signed_flow} · vwap ${sums.vwap ?? "–"}` : "");
  const n = (value) => ({ text: value, class: "n" });
  rows(by("trades").tBodies[0], product.trades, ({ time, side, price, size }) => {
    const taker = side === "buy" ? "sell" : "buy"; // side is the maker's, as in the exchange's feed
    return [(time ?? "").slice(11, 23), { text: taker, class: taker === "buy" ? "bid" : "ask" }, n(padded(price, product.places)), n(padded(size, product.sizePlaces))];
  });
}
