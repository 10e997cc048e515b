// What node lacks of a browser: cookies, and an origin, for tests against a real server.
import { connect } from "../npm/bridge.js";

const site = process.env.SITE, NativeSocket = globalThis.WebSocket, nativeFetch = globalThis.fetch;

// Browser is one browser: its cookies go with its requests and its sockets.
export class Browser {
  cookies = new Map();
  header() { return [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; "); }
  async fetch(path, init = {}) {
    const r = await nativeFetch(new URL(path, site), { ...init, headers: { ...init.headers, cookie: this.header() } });
    for (const line of r.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (/max-age=0|1970/i.test(line)) this.cookies.delete(name); else this.cookies.set(name, value);
    }
    return r;
  }
  async post(path, body) {
    const r = await this.fetch(path, { method: "POST", body: new URLSearchParams(body) });
    if (!r.ok) throw new Error(`${path}: ${r.status}`);
    return r;
  }
  // open connects a client. Events are collected as texts; until waits for one.
  open(path, options) {
    const browser = this;
    globalThis.WebSocket = class extends NativeSocket {
      constructor(url, protocols) { super(url, { protocols, headers: { cookie: browser.header(), origin: site } }); }
    };
    globalThis.fetch = (path, init) => browser.fetch(path, init);
    const client = connect(site.replace("http", "ws") + path, { kept: false, minDelay: 50, ...options });
    const events = [], waiting = new Set();
    for (const type of ["open", "message", "session", "logout", "missing", "online", "offline", "ready", "gap", "stop"]) {
      client.on(type, e => {
        events.push([type, e.data ?? e.code].filter(x => x !== undefined).join(" "));
        for (const look of [...waiting]) look();
      });
    }
    const until = text => new Promise(resolve => {
      const look = () => {
        const i = events.indexOf(text);
        if (i < 0) return void waiting.add(look);
        waiting.delete(look);
        resolve(events.splice(0, i + 1));
      };
      look();
    });
    return { client, events, until };
  }
}

export const control = async name => {
  const r = await nativeFetch(`${process.env.CONTROL}/${name}`, { method: "POST" });
  if (!r.ok) throw new Error(`${name}: ${r.status}`);
  return r.text();
};
