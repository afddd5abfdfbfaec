// Numbers and times as people read them. Prices and sizes are the node's exact decimal strings and stay strings: they are padded, never computed with.

const grouped = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const count = (n) => (Number.isFinite(n) ? grouped.format(n) : "–");

export const rate = (n) => (Number.isFinite(n) ? (n > 0 && n < 10 ? n.toFixed(1) : n < 1000 ? n.toFixed(0) : short.format(n)) : "–");

export function bytes(n) {
  if (!Number.isFinite(n)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) (n /= 1024), unit++;
  return `${unit && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

export function nanoseconds(n) {
  if (!Number.isFinite(n)) return "–";
  const units = ["ns", "µs", "ms", "s"];
  let unit = 0;
  while (Math.abs(n) >= 1000 && unit < units.length - 1) (n /= 1000), unit++;
  return `${unit && Math.abs(n) < 100 ? n.toPrecision(3) : Math.round(n)} ${units[unit]}`;
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export const clock = (ms) => new Date(ms).toISOString().slice(11, 19);

export const decimals = (text) => (text.includes(".") ? text.length - text.indexOf(".") - 1 : 0);

// padded fills an exact decimal with zeros to so many places, so that a column of them lines up.
export function padded(text, places) {
  if (text === null || text === undefined) return "–";
  const have = decimals(text);
  if (have >= places) return text;
  return (have ? text : `${text}.`) + "0".repeat(places - have);
}

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
