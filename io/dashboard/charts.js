// The charts: uPlot for what has a scale of its own (depth, rates, latencies), Lightweight Charts for prices. Each says in words what it
// shows; all take their colours from the style sheet and are drawn anew when the theme changes.

import { CandlestickSeries, HistogramSeries, LineSeries, createChart } from "./vendor/lightweight-charts.standalone.production.mjs";
import { attribute, by } from "./dom.js";
import { clock, nanoseconds, plural, rate } from "./text.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const FONT = '11px system-ui, "DejaVu Sans", sans-serif';

const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");

// A chart of uPlot in an element: make() gives its options without sizes. Made anew by theme(). Sizes are told by an observer: to ask for them
// while others write would lay out the page each time.
class Plot {
  #make;
  #plot = null;
  #data = null;
  #width = 0;
  #height = 0;
  #legend = 0;
  #observer = new ResizeObserver((entries) => this.#sized(entries));

  constructor(id, make) {
    this.element = by(id);
    this.#make = make;
    this.#observer.observe(this.element);
  }

  theme() {
    this.#plot?.destroy();
    this.#plot = null;
    if (this.#data) this.draw(this.#data);
  }

  draw(data) {
    this.#data = data;
    if (!this.#width) return; // in a panel that is hidden
    if (this.#plot) this.#plot.setData(data);
    else this.#begin();
    this.#last();
  }

  #begin() {
    const options = { width: this.#width, height: this.#height - this.#legend, ...this.#make() };
    const axis = { stroke: colour("soft"), font: FONT, grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
    options.axes = options.axes.map((each) => ({ ...axis, ...each, grid: { ...axis.grid, ...each.grid } }));
    this.#plot = new uPlot(options, this.#data, this.element);
    this.#plot.over.addEventListener("mouseleave", () => this.#last());
    const legend = this.element.querySelector(".u-legend");
    if (legend) this.#observer.observe(legend);
  }

  // The legend tells the last values while nothing points at others.
  #last() {
    if (this.#plot.cursor.left < 0) this.#plot.setLegend({ idx: this.#data[0].length - 1 });
  }

  #sized(entries) {
    for (const { target, borderBoxSize: [{ inlineSize, blockSize }] } of entries) {
      if (target === this.element) [this.#width, this.#height] = [Math.floor(inlineSize), Math.floor(blockSize)];
      else if (target.isConnected) this.#legend = Math.ceil(blockSize);
    }
    const width = this.#width, height = this.#height - this.#legend;
    if (!this.#plot) this.#data && this.draw(this.#data);
    else if (width && (this.#plot.width !== width || this.#plot.height !== height)) this.#plot.setSize({ width, height });
  }
}

const overTime = { tzDate: utc, cursor: { drag: { x: false, y: false } } };
const timeAxis = { space: 70, values: (_, ticks) => ticks.map((at) => clock(at * 1000)) };
const timeSeries = { label: "UTC", value: (_, at) => (at === null ? "–" : clock(at * 1000)) };

export class RateChart {
  #plot;

  constructor(id) {
    this.#plot = new Plot(id, () => ({
      ...overTime,
      legend: { show: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(1, (high ?? 0) * 1.1)] } },
      axes: [timeAxis, { size: 50, values: (_, ticks) => ticks.map(rate) }],
      series: [timeSeries, { label: "messages/s", stroke: colour("series-1"), fill: `${colour("series-1")}26`, width: 1.5, points: { show: false } }],
    }));
  }

  theme() {
    this.#plot.theme();
  }

  draw(times, values) {
    this.#plot.draw([times, values]);
    const there = values.filter((value) => value !== null);
    const said = there.length ? `now ${rate(there.at(-1))}, at most ${rate(Math.max(...there))} in ${plural(there.length, "second")}` : "nothing yet";
    attribute(this.#plot.element, "aria-label", `Messages a second: ${said}`);
  }
}

export class LatencyChart {
  #plot;
  #panel;
  #names = ["p50", "p99", "p99.9", "max"];

  constructor(id, panel) {
    this.#panel = by(panel);
    const decades = (low, high) => {
      const from = Math.floor(Math.log10(Math.max(1, low ?? 1))), to = Math.ceil(Math.log10(Math.max(10, high ?? 10)));
      return [10 ** from, 10 ** Math.max(to, from + 1)];
    };
    const whole = (_, ticks) => ticks.map((at) => (Number.isInteger(Math.log10(at)) ? at : null));
    this.#plot = new Plot(id, () => ({
      ...overTime,
      scales: { y: { distr: 3, range: (_, low, high) => decades(low, high) } },
      axes: [timeAxis, { size: 60, filter: whole, grid: { filter: whole }, values: (_, ticks) => ticks.map((at) => (at === null ? "" : nanoseconds(at).replace(/\.0+ /, " "))) }],
      series: [
        timeSeries,
        ...this.#names.map((label, i) => ({
          label,
          stroke: colour(`series-${i + 1}`),
          width: 1.5,
          dash: [[], [6, 3], [2, 3], [8, 3, 2, 3]][i],
          points: { show: false },
          value: (_, ns) => (ns === null ? "–" : nanoseconds(ns)),
        })),
      ],
    }));
  }

  theme() {
    this.#plot.theme();
  }

  draw(ring) {
    const [times, ...columns] = ring.columns();
    const last = times.findLastIndex((_, i) => columns[0][i] !== null);
    const hidden = last < 0;
    if (this.#panel.hidden !== hidden) this.#panel.hidden = hidden;
    if (hidden) return;
    this.#plot.draw([times, ...columns]);
    const said = this.#names.map((name, i) => `${name} ${nanoseconds(columns[i][last])}`).join(", ");
    attribute(this.#plot.element, "aria-label", `Latency through time, on a scale of powers of ten: ${said}`);
  }
}

export class DepthChart {
  #plot;

  constructor() {
    const side = (label, name) => ({
      label,
      stroke: colour(name),
      fill: `${colour(name)}33`,
      width: 1.5,
      points: { show: false },
      paths: uPlot.paths.stepped({ align: name === "bid" ? -1 : 1 }),
    });
    this.#plot = new Plot("depth-chart", () => ({
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      scales: { x: { time: false }, y: { range: (_, low, high) => [0, (high ?? 0) * 1.05 || 1] } },
      axes: [{ space: 70 }, { size: 60 }],
      series: [{ label: "price" }, side("bids", "bid"), side("asks", "ask")],
    }));
  }

  theme() {
    this.#plot.theme();
  }

  draw(book) {
    const sums = (levels) => {
      let sum = 0;
      return levels.map(([price, size]) => [Number(price), (sum += Number(size))]);
    };
    const bids = sums(book.bids).reverse(), asks = sums(book.asks);
    const points = [...bids.map(([price, sum]) => [price, sum, null]), ...asks.map(([price, sum]) => [price, null, sum])].sort((a, b) => a[0] - b[0]);
    if (points.length) this.#plot.draw([0, 1, 2].map((column) => points.map((point) => point[column])));
    const said = (levels, sum) => (levels.length ? `${plural(levels.length, "level")}, ${Number(sum.toPrecision(6))} in all` : "none");
    attribute(this.#plot.element, "aria-label",
      `Depth: bids ${said(bids, bids[0]?.[1] ?? 0)}; asks ${said(asks, asks.at(-1)?.[1] ?? 0)}`);
  }
}

// Mid and spread, or bars of trades. Points are added as they come; another product, kind or theme sets all of them.
export class PriceChart {
  #element = by("price");
  #chart;
  #line;
  #spread;
  #bars;
  #shown = "";
  #last = 0;

  constructor() {
    this.#chart = createChart(this.#element, {
      autoSize: true,
      layout: { attributionLogo: false, panes: { enableResize: false } }, // named beside the chart: the logo would bring a style of its own
      timeScale: { timeVisible: true, secondsVisible: true, rightOffset: 2 },
      handleScale: { mouseWheel: false },
      handleScroll: { mouseWheel: false },
      kineticScroll: { touch: false, mouse: false },
    });
    const quiet = { priceLineVisible: false };
    this.#line = this.#chart.addSeries(LineSeries, { lineWidth: 2, title: "mid" });
    this.#bars = this.#chart.addSeries(CandlestickSeries, { visible: false });
    this.#spread = this.#chart.addSeries(HistogramSeries, { ...quiet, title: "spread" }, 1);
    this.#chart.panes()[0].setStretchFactor(3);
    this.#chart.panes()[1].setStretchFactor(1);
    this.theme();
  }

  theme() {
    const line = colour("line"), bid = colour("bid"), ask = colour("ask");
    this.#chart.applyOptions({
      layout: { background: { color: colour("panel") }, textColor: colour("soft"), fontFamily: 'system-ui, "DejaVu Sans", sans-serif', panes: { separatorColor: line } },
      grid: { vertLines: { color: line }, horzLines: { color: line } },
      rightPriceScale: { borderColor: line },
      timeScale: { borderColor: line },
    });
    this.#line.applyOptions({ color: colour("series-1") });
    this.#spread.applyOptions({ color: colour("series-3") });
    this.#bars.applyOptions({ upColor: bid, wickUpColor: bid, borderUpColor: bid, downColor: ask, wickDownColor: ask, borderDownColor: ask });
  }

  draw(product, kind) {
    const { places } = product;
    const format = (precision) => ({ priceFormat: { type: "price", precision, minMove: 10 ** -precision } });
    const shown = `${product.id} ${kind} ${places}`;
    if (shown !== this.#shown) {
      for (const series of [this.#line, this.#spread, this.#bars]) series.applyOptions(format(Math.min(places, 12))), series.setData([]);
      this.#line.applyOptions(format(Math.min(places + 1, 12))); // a mid may lie between two prices
      this.#line.applyOptions({ visible: kind === "mid" });
      this.#bars.applyOptions({ visible: kind === "bars" });
      this.#last = -1;
    }
    const points = kind === "mid" ? this.#mids(product) : this.#bars_of(product);
    const [series, side] = kind === "mid" ? [this.#line, this.#spread] : [this.#bars, null];
    if (shown !== this.#shown) {
      series.setData(points.map(([point]) => point));
      side?.setData(points.map(([, point]) => point));
      this.#chart.timeScale().resetTimeScale();
    } else {
      for (const [point, other] of points) {
        if (point.time < this.#last) continue;
        series.update(point);
        side?.update(other);
      }
    }
    this.#shown = shown;
    this.#last = points.at(-1)?.[0].time ?? -1;
    this.#say(product, kind, points);
  }

  // One point a second, which is the chart's grain; of several the last counts.
  #mids(product) {
    const [times, mids, spreads] = product.history.columns();
    const points = new Map();
    let last = 0;
    times.forEach((at, i) => {
      const time = Math.floor(at);
      if (time < last) return; // this machine's clock was set back
      last = time;
      points.set(time, mids[i] === null ? [{ time }, { time }] : [{ time, value: mids[i] }, spreads[i] === null ? { time } : { time, value: spreads[i] }]);
    });
    return [...points.values()];
  }

  #bars_of(product) {
    const bars = [...product.bars.values()].map(({ start, open, high, low, close }) =>
      ({ time: Math.floor(Date.parse(start) / 1000), open: Number(open), high: Number(high), low: Number(low), close: Number(close) }));
    return bars.filter(({ time }) => Number.isFinite(time)).sort((a, b) => a.time - b.time).map((bar) => [bar]);
  }

  #say(product, kind, points) {
    const values = points.flatMap(([point]) => (kind === "mid" ? (point.value ?? []) : point.close));
    const said = values.length
      ? `${plural(values.length, kind === "mid" ? "second" : "bar")}, from ${Math.min(...values)} to ${Math.max(...values)}, now ${values.at(-1)}`
      : "nothing yet";
    attribute(this.#element, "aria-label", `${kind === "mid" ? "Mid price and spread" : "Bars of trades"} of ${product.id} through time: ${said}`);
  }
}
