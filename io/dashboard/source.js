// Where the page's data comes from: the node's server-sent events, read by fetch, since an EventSource can send no token but in its URL.

const LINE_CHARS_MAX = 32 << 20; // far above a status of 400 products; what is longer is no status

// EventReader takes the text of a stream in pieces cut anywhere and gives its whole events: { event, data }, data not yet parsed.
export class EventReader {
  #rest = "";
  #event = "";
  #data = [];
  #held = 0;

  push(text) {
    const events = [];
    // A piece that ends with \r may be half a \r\n: the \r waits for what follows.
    this.#rest += text;
    if (this.#rest.length + this.#held > LINE_CHARS_MAX) throw new Error("an event without end");
    let begin = 0;
    for (;;) {
      const found = /\r\n|\n|\r(?!$)/g;
      found.lastIndex = begin;
      const end = found.exec(this.#rest);
      if (!end) break;
      this.#line(this.#rest.slice(begin, end.index), events);
      begin = found.lastIndex;
    }
    this.#rest = this.#rest.slice(begin);
    return events;
  }

  #line(line, events) {
    if (line === "") {
      if (this.#data.length) events.push({ event: this.#event || "message", data: this.#data.join("\n") });
      this.#event = "";
      this.#data = [];
      this.#held = 0;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (name === "event") this.#event = value;
    else if (name === "data") this.#data.push(value), (this.#held += value.length);
  }
}

const QUIET_MS = 6000; // the node says its status once a second
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 5000;

// The token, as long as the tab is open; where storage is off, as long as the page.
const kept = {
  get() {
    try {
      return sessionStorage.getItem("wirebook.token") ?? "";
    } catch {
      return "";
    }
  },
  set(token) {
    try {
      sessionStorage.setItem("wirebook.token", token);
    } catch {
      // it is asked for again
    }
  },
};

// Source keeps one stream open and opens it again when it ends. handlers: event(name, object), up(), down(why), unknown(): the node has no such product,
// token(wrong): promise of a token.
export class Source {
  #handlers;
  #query = "";
  #abort = null;
  #wake = null;
  #token = kept.get();

  constructor(handlers) {
    this.#handlers = handlers;
  }

  // watch asks for this product from now on. The stream that is open ends; the next one begins at once.
  watch(query) {
    this.#query = new URLSearchParams(query).toString();
    this.#abort?.abort("watch");
    this.#wake?.();
  }

  async run() {
    let wait = RETRY_MS_MIN;
    for (;;) {
      const abort = (this.#abort = new AbortController());
      try {
        await this.#stream(abort, () => (wait = RETRY_MS_MIN));
        this.#handlers.down("the node ended the stream");
      } catch (error) {
        if (abort.signal.reason === "watch") continue;
        this.#handlers.down(abort.signal.reason === "quiet" ? "the node says nothing any more" : error instanceof TypeError ? "it cannot be reached" : error.message);
      }
      await new Promise((done) => {
        const timer = setTimeout(done, wait);
        this.#wake = () => (clearTimeout(timer), done());
      });
      this.#wake = null;
      wait = Math.min(wait * 2, RETRY_MS_MAX);
    }
  }

  async #open(signal, alive, asking) {
    for (;;) {
      alive();
      const headers = { Accept: "text/event-stream" };
      if (this.#token) headers.Authorization = `Bearer ${this.#token}`;
      const options = { headers, signal, cache: "no-store", credentials: "omit", redirect: "error" };
      const response = await fetch(new URL(`api/v1/events?${this.#query}`, document.baseURI), options);
      if (response.status !== 401) return response;
      response.body?.cancel();
      asking();
      this.#token = await this.#handlers.token(this.#token !== "");
      kept.set(this.#token);
      if (signal.aborted) throw signal.reason;
    }
  }

  async #stream(abort, came) {
    let quiet;
    const alive = () => {
      clearTimeout(quiet);
      quiet = setTimeout(() => abort.abort("quiet"), QUIET_MS);
    };
    try {
      const response = await this.#open(abort.signal, alive, () => clearTimeout(quiet));
      if (response.status === 404) this.#handlers.unknown();
      if (!response.ok) throw new Error(`the node answered ${response.status}`);
      alive();
      const events = new EventReader(), text = new TextDecoder(), body = response.body.getReader();
      for (let first = true; ; ) {
        const { done, value } = await body.read();
        if (done) return;
        alive();
        for (const { event, data } of events.push(text.decode(value, { stream: true }))) {
          if (first) this.#handlers.up(), came(), (first = false);
          this.#handlers.event(event, JSON.parse(data));
        }
      }
    } finally {
      clearTimeout(quiet);
      abort.abort("over");
    }
  }
}
