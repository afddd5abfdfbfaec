// Puts the page together: events into the model, what changed onto the screen at the next frame.

import { DepthChart, LatencyChart, PriceChart, RateChart } from "./charts.js";
import { by, text } from "./dom.js";
import { Model } from "./model.js";
import { Alarms, drawHead, drawLatencies, drawLines, drawStore } from "./node.js";
import { drawBook, drawProduct, drawTrades } from "./product.js";
import { ProductList } from "./products.js";
import { Source } from "./source.js";

const model = new Model();
const alarms = new Alarms();
const charts = {
  price: new PriceChart(),
  depth: new DepthChart(),
  product: new RateChart("product-rate-chart"),
  rate: new RateChart("rate-chart"),
  wire: new LatencyChart("wire-chart", "wire-panel"),
  exchange: new LatencyChart("exchange-chart", "exchange-panel"),
};
const intervalMs = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : 250;
const dirty = new Set(); // what has to be drawn: "status", "book", "trades"
let frame = 0;
let paused = false;
let goneSince = null;

const asked = () => {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
};
const chosen = () => model.products.get(list.chosen);

function draw() {
  frame = 0;
  const now = Date.now();
  const product = chosen();
  alarms.draw(model.alarms);
  if (model.report && dirty.has("status")) {
    drawHead(model);
    list.draw(model.products, now);
    drawLines(model.report);
    drawLatencies(model.report);
    drawStore(model.report);
    charts.rate.draw(...model.history.columns());
    charts.wire.draw(model.latencies.wire_to_book);
    charts.exchange.draw(model.latencies.exchange_to_book);
  }
  if (product) {
    if (dirty.has("book")) {
      drawBook(product, Number(by("depth").value));
      charts.depth.draw(product.book ?? { bids: [], asks: [] });
    }
    if (dirty.has("status")) {
      drawProduct(product, now);
      by("price-choice").hidden = !product.bars.size;
      charts.price.draw(product, product.bars.size ? by("price-kind").value : "mid");
      const [times, , , rates] = product.history.columns();
      charts.product.draw(times, rates);
    }
    if (dirty.has("status") || dirty.has("trades")) drawTrades(product);
  }
  dirty.clear();
}

function soon(...what) {
  for (const each of what) dirty.add(each);
  if (!frame && !paused) frame = requestAnimationFrame(draw);
}

function link(state, said) {
  by("link").dataset.state = state;
  text(by("link-text"), said);
}

function choose(id) {
  if (list.chosen === id) return;
  list.choose(id);
  if (id) history.replaceState(null, "", `#${encodeURIComponent(id)}`);
  document.title = id ? `${id} – wirebook` : "wirebook";
  watch();
  soon("status", "book", "trades");
}

function watch() {
  source.watch({ ...(list.chosen ? { product: list.chosen } : {}), depth: by("depth").value, interval_ms: intervalMs });
}

const list = new ProductList(choose);

const source = new Source({
  event(name, object) {
    const nowMs = Date.now();
    model.event(name, object, nowMs);
    if (name === "status" && !chosen()) {
      choose(model.products.has(asked()) ? asked() : ([...model.products.keys()].sort()[0] ?? null));
    }
    soon(name === "book" ? "book" : name === "trade" ? "trades" : "status");
  },
  up() {
    goneSince = null;
    by("gone").hidden = true;
    link("up", "connected");
  },
  down(reason) {
    const nowMs = Date.now();
    if (goneSince === null) {
      goneSince = nowMs;
      model.gone(nowMs, reason);
      soon("status");
    }
    link("down", "not connected");
    by("gone").hidden = false;
    text(by("gone"), `The node has not answered since ${new Date(goneSince).toISOString().slice(11, 19)} UTC: ${reason}. What is shown is what it said last; the page tries again by itself.`);
  },
  unknown() {
    if (list.chosen) choose(null); // the first status tells what there is
  },
  token(wrong) {
    link("waiting", "waiting for a token");
    text(by("token-wrong"), wrong ? "The node does not take that token." : "");
    by("token").value = "";
    by("token-dialog").showModal();
    return new Promise((given) => {
      by("token-form").addEventListener("submit", () => given(by("token").value.trim()), { once: true });
    });
  },
});

by("token-dialog").addEventListener("cancel", (event) => event.preventDefault()); // without a token there is nothing to show
by("depth").addEventListener("change", () => (watch(), soon("book")));
by("price-kind").addEventListener("change", () => soon("status"));
by("pause").addEventListener("click", () => {
  paused = !paused;
  by("pause").setAttribute("aria-pressed", String(paused));
  if (!paused) soon("status", "book", "trades");
});
by("theme").value = wirebookTheme.chosen();
by("theme").addEventListener("change", () => wirebookTheme.choose(by("theme").value));
document.addEventListener("themechange", () => {
  for (const chart of Object.values(charts)) chart.theme();
  soon("status", "book");
});
addEventListener("hashchange", () => {
  if (model.products.has(asked())) choose(asked());
});

watch();
source.run();
