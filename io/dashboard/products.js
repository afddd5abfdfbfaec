// The list of products: one row each, made once; what a status leaves as it was is not touched. Focus moves by keys, Enter chooses.

import { attribute, by, make, text } from "./dom.js";
import { duration, padded, rate } from "./text.js";

export class ProductList {
  #body = by("products").tBodies[0];
  #find = by("find");
  #rows = new Map(); // id -> row
  #order = "";
  #words = [];
  #choose;
  chosen = null;

  constructor(choose) {
    this.#choose = choose;
    this.#body.addEventListener("click", (event) => this.#pick(event.target.closest("tr")));
    this.#body.addEventListener("keydown", (event) => this.#key(event));
    this.#find.addEventListener("input", () => {
      this.#words = this.#find.value.toLowerCase().split(/\s+/).filter(Boolean);
      this.#filter();
    });
  }

  draw(products, nowMs) {
    const ids = [...products.keys()].sort();
    for (const [id, row] of this.#rows) if (!products.has(id)) row.remove(), this.#rows.delete(id);
    for (const id of ids) this.#draw(this.#rows.get(id) ?? this.#make(id), products.get(id), nowMs);
    const order = ids.join();
    if (order !== this.#order) {
      this.#body.append(...ids.map((id) => this.#rows.get(id)));
      this.#order = order;
    }
    this.#filter();
  }

  choose(id) {
    this.chosen = id;
    for (const [name, row] of this.#rows) attribute(row, "aria-selected", String(name === id));
    this.#reach(this.#rows.get(id));
  }

  #make(id) {
    const name = make("th", { scope: "row" }, make("span", { textContent: id }), make("span", { className: "why" }));
    const row = make("tr", { tabIndex: -1 }, name, ...Array.from({ length: 4 }, () => make("td", { className: "n" })));
    row.dataset.product = id;
    row.setAttribute("aria-selected", "false");
    this.#rows.set(id, row);
    return row;
  }

  #draw(row, product, nowMs) {
    const { report } = product;
    const [name, bid, ask, spread, messages] = row.cells;
    const why = name.lastChild;
    const since = product.sinceMs ? ` · ${duration((nowMs - product.sinceMs) / 1000)}` : "";
    text(why, product.state === "live" ? "live" : `${product.state}${product.reason ? `: ${product.reason}` : ""}${since}`);
    attribute(why, "data-state", product.state ?? "waiting");
    text(bid, padded(report?.best_bid, product.places));
    text(ask, padded(report?.best_ask, product.places));
    text(spread, padded(report?.spread, product.places));
    text(messages, rate(product.rate ?? NaN));
  }

  #filter() {
    let shown = 0;
    for (const [id, row] of this.#rows) {
      const said = `${id} ${row.cells[0].lastChild.textContent}`.toLowerCase();
      const hidden = !this.#words.every((word) => said.includes(word));
      if (row.hidden !== hidden) row.hidden = hidden;
      if (!hidden) shown++;
    }
    by("products-none").hidden = shown > 0 || this.#rows.size === 0;
    this.#reach(this.#body.querySelector("tr[tabindex='0']"));
  }

  // One row alone can be reached by Tab: the one that had the focus last, or the chosen one, or the first.
  #reach(row) {
    if (!row || row.hidden) row = [...this.#body.rows].find((each) => !each.hidden);
    for (const each of this.#body.querySelectorAll("tr[tabindex='0']")) if (each !== row) each.tabIndex = -1;
    if (row && row.tabIndex !== 0) row.tabIndex = 0;
  }

  #pick(row) {
    if (row) this.#choose(row.dataset.product);
  }

  #key(event) {
    const row = event.target.closest("tr");
    const shown = [...this.#body.rows].filter((each) => !each.hidden);
    const at = shown.indexOf(row);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 10, PageUp: at - 10, Home: 0, End: shown.length - 1 }[event.key];
    if (to !== undefined) {
      const next = shown[Math.max(0, Math.min(to, shown.length - 1))];
      this.#reach(next);
      next.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      this.#pick(row);
    } else {
      return;
    }
    event.preventDefault();
  }
}
