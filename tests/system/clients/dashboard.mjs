// A browser that does what it is told, a line of JSON each way: `node dashboard.mjs MODULES`, MODULES is where playwright-core lies.
//   [name, ...arguments] -> {"value": ...} or {"error": "..."}
// Keeps every request that was made and everything that a page complained of.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { chromium } = createRequire(`${process.argv[2]}/`)("playwright-core");
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--force-color-profile=srgb"],
});
const requests = [], complaints = [];
let page;

const told = {
  async open(url, options = {}) {
    await page?.context().close();
    page = await (await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options })).newPage();
    page.on("request", (request) => requests.push(request.url()));
    page.on("websocket", (socket) => requests.push(socket.url()));
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(`${message.text()} (${message.location().url})`));
    page.on("pageerror", (error) => complaints.push(String(error.stack)));
    await page.goto(url);
  },
  reload: () => page.reload(),
  // Looks at each frame; not by the browser's own way, which the page's policy forbids.
  wait: (expression, ms) =>
    page.evaluate(`(async () => {
      for (const end = performance.now() + ${ms}; ; await new Promise((done) => requestAnimationFrame(done))) {
        const value = (${expression});
        if (value) return value;
        if (performance.now() > end) throw new Error("never happened");
      }
    })()`),
  evaluate: (expression) => page.evaluate(expression),
  press: (key) => page.keyboard.press(key),
  type: (text) => page.keyboard.type(text),
  size: (width, height) => page.setViewportSize({ width, height }),
  media: (options) => page.emulateMedia(options),
  picture: (path, fullPage = false) => page.screenshot({ path, fullPage }).then(() => null),
  seen: () => ({ requests: requests.splice(0), complaints: complaints.splice(0) }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...words] = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await told[name](...words)) ?? null };
  } catch (error) {
    answer = { error: String(error.message) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
