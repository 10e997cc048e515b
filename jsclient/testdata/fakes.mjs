// Fakes of what a browser gives to a page, the time included.
import { connect } from "../npm/bridge.js";

// settle lets everything run that doesn't wait for a timer.
export const settle = async () => {
  for (let i = 0; i < 5; i++) await new Promise(resolve => setImmediate(resolve));
};

const clock = { now: 0, slept: 0, timers: new Map(), ids: 0 };

const plan = (run, delay, every, args) => {
  clock.timers.set(++clock.ids, { due: clock.now + delay, every, run: () => run(...args) });
  return clock.ids;
};

// pass moves the time. What is due runs in order, and what it starts runs before what is due later.
export const pass = async ms => {
  const until = clock.now + ms;
  for (;;) {
    const [id, next] = [...clock.timers].sort(([, a], [, b]) => a.due - b.due)[0] ?? [];
    if (!next || next.due > until) break;
    clock.now = next.due;
    if (next.every) next.due += next.every; else clock.timers.delete(id);
    next.run();
    await settle();
  }
  clock.now = until;
};

// sleep is a time in which no timer advances.
export const sleep = ms => { clock.slept += ms; };

export class Socket extends EventTarget {
  static all = [];
  constructor(url, protocols) {
    super();
    Object.assign(this, { url, protocols, sent: [], closed: false });
    Socket.all.push(this);
  }
  send(data) { this.sent.push(data); }
  close() { this.closed = true; }
  emit(type, detail) { this.dispatchEvent(Object.assign(new Event(type), detail)); }
  accept() { this.emit("open"); }
  message(data) { this.emit("message", { data }); }
  end(code, reason = "") { this.emit("close", { code, reason }); }
  // requests returns the requests that were sent: [id, content].
  get requests() { return this.sent.filter(s => s[0] == "\x1f").map(s => s.slice(1).split("\n")); }
  answer(i, value) { this.message(`\x1f${this.requests[i][0]} 200\n${JSON.stringify(value)}`); }
}

export class Channel {
  static open = new Set();
  constructor(name) {
    this.name = name;
    Channel.open.add(this);
  }
  postMessage(data) {
    for (const other of Channel.open) {
      if (other == this || other.name != this.name) continue;
      const copy = structuredClone(data);
      setImmediate(() => { if (Channel.open.has(other) && !other.frozen) other.onmessage?.({ data: copy }); });
    }
  }
  close() { Channel.open.delete(this); }
}

// Locks are the Web Locks of an origin, as far as the client uses them.
export class Locks {
  held = null;
  waiting = [];
  request(name, { signal, steal }, run) {
    return new Promise((resolve, reject) => {
      const claim = { run, resolve, reject };
      if (steal) {
        const former = this.held;
        this.held = null;
        former?.reject(new Error("stolen"));
        return this.grant(claim);
      }
      signal?.addEventListener("abort", () => {
        this.waiting = this.waiting.filter(w => w != claim);
        reject(new Error("aborted"));
      });
      if (this.held) this.waiting.push(claim); else this.grant(claim);
    });
  }
  grant(claim) {
    this.held = claim;
    setImmediate(() => Promise.resolve(claim.run()).then(value => {
      if (this.held != claim) return;
      this.held = null;
      claim.resolve(value);
      if (this.waiting.length) this.grant(this.waiting.shift());
    }));
  }
}

// reset begins a test: at time 0, with nothing open, and with the same random numbers.
export const reset = (random = () => 0.5) => {
  Object.assign(clock, { now: 0, slept: 0, timers: new Map() });
  globalThis.setTimeout = (run, delay = 0, ...args) => plan(run, delay, 0, args);
  globalThis.setInterval = (run, delay, ...args) => plan(run, delay, delay, args);
  globalThis.clearTimeout = globalThis.clearInterval = id => clock.timers.delete(id);
  Date.now = () => clock.now + clock.slept;
  Math.random = random;
  Socket.all = [];
  Channel.open = new Set();
  globalThis.WebSocket = Socket;
  for (const name of ["document", "navigator", "BroadcastChannel", "addEventListener", "location"]) {
    Object.defineProperty(globalThis, name, { value: undefined, configurable: true, writable: true });
  }
};

const types = ["open", "message", "session", "logout", "missing", "online", "offline", "ready", "gap", "stop"];

// tab opens a page with a client. Its events are collected as texts: "open", "message x", "stop 1000".
export const tab = (options, locks) => {
  const page = new EventTarget(), document = new EventTarget();
  document.hidden = false;
  globalThis.addEventListener = page.addEventListener.bind(page);
  globalThis.document = document;
  globalThis.navigator = locks ? { locks } : undefined;
  globalThis.BroadcastChannel = Channel;
  const before = Channel.open.size;
  const client = connect("ws://site.test/ws", options);
  const channels = [...Channel.open].slice(before);
  const events = [];
  for (const type of types) {
    client.on(type, e => events.push([type, e.data ?? e.code].filter(x => x !== undefined).join(" ")));
  }
  return {
    client, events, page, document, channels,
    take: () => events.splice(0),
    show(hidden) {
      document.hidden = hidden;
      document.dispatchEvent(new Event("visibilitychange"));
    },
    fire: (type, detail) => page.dispatchEvent(Object.assign(new Event(type), detail)),
  };
};
export const newest = () => Socket.all.at(-1);
