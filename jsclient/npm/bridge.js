// sessionbridge's client for browsers; see bridge.d.ts.
// @ts-check

const header = /^\x1e(?:([\w!#$%&'*+.^`|~-]{1,200})( ready| gone)?)?\n/;
const answer = /^\x1f([\w-]{1,64}) (\d{3})\n/;

export class RequestError extends Error {
  constructor(code, sent = false, status = 0, message = code) {
    super(message);
    Object.assign(this, { name: "RequestError", code, sent, status });
  }
}

/** @type {typeof import("./bridge.js").connect} */
export const connect = (url, options) => {
  const o = {
    protocols: [], kept: true, timeout: 3e4, maxQueue: 100, minDelay: 500, maxDelay: 3e4, connectTimeout: 1e4,
    stableAfter: 5e3, sleepAfter: 45e3, ...options,
  };
  const { document, navigator, location, BroadcastChannel } = globalThis;
  const href = new URL(url, location?.href).href.replace(/^http/, "ws");
  const name = "sessionbridge " + href, share = o.share && navigator?.locks && BroadcastChannel;
  const random = () => Math.random().toString(36).slice(2);
  const tab = random(), ended = new AbortController(), events = new EventTarget(), requests = new Map();
  let queue = [], count = 0, attempt = 0, position = "", conn = "", state = "connecting";
  let leader = false, online = true, out = false, changed = false, refresh = true, sure = false;
  let socket, dialing, election, release, bell, line, last, seen, beat, timer, steal;

  // Messages and requests.

  const emit = (type, detail) => events.dispatchEvent(Object.assign(new Event(type), detail));
  const end = (r, error, value) => {
    clearTimeout(r.timer);
    requests.delete(r.id);
    queue = queue.filter(q => q != r);
    if (error) r.reject(error); else r.resolve(value);
  };
  const fail = (r, code) => end(r, new RequestError(code, r.sent));
  const dead = () => state == "out" || state == "stopped";
  const transmit = q => {
    q.sent = true;
    if (leader) socket.send(q.frame); else line.postMessage({ type: "send", conn, frame: q.frame });
  };
  const put = q => {
    if (state == "open") transmit(q);
    else if (dead() || queue.length >= o.maxQueue) return false;
    else queue.push(q);
    if (state == "idle") wake();
    return true;
  };
  const discard = code => {
    queue = [];
    for (const r of requests.values()) fail(r, code);
  };
  // It is unknown whether the server has handled what was sent.
  const lost = () => {
    const again = [];
    for (const r of requests.values()) {
      if (!r.sent) continue;
      if (r.idempotent) again.push(r), r.sent = false; else fail(r, "lost");
    }
    queue = [...again, ...queue];
  };
  const deliver = data => {
    if (data == null) return emit(data === null ? "gap" : "ready");
    const m = typeof data == "string" && answer.exec(data);
    if (!m) return emit("message", { data });
    const r = requests.get(m[1]), body = data.slice(m[0].length);
    if (!r) return;
    if (m[2] != "200") return end(r, new RequestError("refused", true, +m[2], body));
    let value;
    try { value = JSON.parse(body); } catch { return fail(r, "invalid"); }
    end(r, null, value);
  };

  // The state of the connection, in every tab.

  const up = () => {
    state = "open";
    out = false;
    emit("open");
    if (!online) online = true, emit("online");
    if (changed) changed = false, emit("session");
    while (state == "open" && queue.length) transmit(queue.shift());
  };
  const down = (code, reason) => {
    const detail = { code, reason }, known = out;
    lost();
    if (!code) {
      state = "connecting";
    } else if (code >= 4500 && code <= 4503) {
      state = "out";
      out = changed = true;
      position = "";
      discard("session");
      if (!known) emit(code == 4502 ? "missing" : "logout", detail);
    } else if (code >= 4500 || code == 1000 || code == 1009 || code == 1008 && !reason.startsWith("too slow")) {
      state = "stopped";
      discard("stopped");
      emit("stop", detail);
    } else if (out) {
      state = "out"; // it has only looked for a session
    } else {
      state = code == 4002 && reason == "idle" ? "idle" : "waiting";
      if (code == 4001) changed = true;
      else if (online && state == "waiting") online = false, emit("offline", detail);
    }
  };

  // The tab that has the connection.

  const tell = m => {
    last = { ...m, at: position, id: random() };
    line?.postMessage(last);
  };
  const pass = data => { // null for a gap, undefined when ready
    line?.postMessage({ type: "frame", conn, at: position, data });
    deliver(data);
  };
  const receive = data => {
    const start = typeof data == "string" ? data.slice(0, 256) : String.fromCharCode(...new Uint8Array(data.slice(0, 256)));
    if (!o.kept || start[0] != "\x1e") return pass(data);
    const m = header.exec(start);
    if (!m) return pass(null);
    position = m[1] ?? position;
    pass(m[2] ? m[2] == " gone" ? null : undefined : data.slice(m[0].length));
  };
  const after = (delay, then) => {
    clearTimeout(timer);
    timer = setTimeout(then, delay);
  };
  const drop = () => {
    clearTimeout(timer);
    dialing?.abort();
    socket?.close();
    socket = dialing = null;
  };
  const over = (code, reason = "") => {
    const known = out;
    refresh = state != "open" || code == 4001;
    drop();
    tell({ type: "down", code, reason });
    down(code, reason);
    if (out && !known) bell?.postMessage("out");
    if (state != "waiting") return;
    const hint = /retry after (\d{1,9}) ms/.exec(reason);
    if (code == 1008) attempt = 9;
    const limit = Math.min(o.maxDelay, (code == 4001 ? 100 : o.minDelay) * 2 ** attempt++);
    after(hint ? Math.min(+hint[1], 6e4) : Math.random() * limit, dial);
  };
  const opened = () => {
    if (state == "open") return;
    tell({ type: "up", conn });
    up();
  };
  // A message, or a second without a close, shows that the server accepts the session.
  const prove = () => {
    sure = true;
    after(o.stableAfter, () => { attempt = 0; });
    bell?.postMessage("in");
    opened();
  };
  const call = async (what, method, signal) => {
    if (typeof what == "function") return what(signal);
    const r = await fetch(what, { method, signal, cache: "no-store" });
    if (!r.ok) throw r;
    return r.text();
  };
  const dial = async () => {
    if (!leader || dialing) return;
    const { signal } = dialing = new AbortController(), offers = [...o.protocols];
    conn = "";
    if (!out) state = "connecting";
    after(o.connectTimeout, () => over(1006));
    try {
      if (o.refresh && refresh && !out) await call(o.refresh, "GET", signal);
      if (o.ticket) offers.push("sessionbridge.ticket." + await call(o.ticket, "POST", signal));
      if (o.kept) offers.push("sessionbridge.kept" + (position && "." + position));
      if (o.kept || o.ticket) offers.push("sessionbridge");
      if (signal.aborted) return;
      socket = new WebSocket(href, offers);
      socket.binaryType = "arraybuffer";
      listen(socket, "open", () => {
        conn = random();
        sure = false;
        after(1e3, prove);
        if (!out) opened();
      }, signal);
      listen(socket, "message", e => {
        if (!sure) prove();
        receive(e.data);
      }, signal);
      listen(socket, "close", e => over(e.code, e.reason), signal);
      listen(socket, "error", () => conn || over(1006), signal); // node 20 has no close then
    } catch (e) {
      if (!signal.aborted) over(e?.status == 401 ? 4502 : 1006);
    }
  };

  // Several tabs, sleep, bfcache.

  const ask = type => {
    if (!line) return;
    line.postMessage({ type });
    clearTimeout(steal);
    steal = setTimeout(elect, 2e3, true); // from a tab that is suspended
  };
  const wake = () => {
    if (!leader) ask("wake");
    else if (!dialing && state != "stopped") after(Math.random() * o.minDelay, dial);
  };
  const check = () => leader && state == "open" ? over(1006) : wake();
  const reset = () => {
    drop();
    down(0);
    if (leader) tell({ type: "down", code: 0 });
  };
  const begin = () => {
    out = false;
    attempt = 0;
    refresh = true;
    reset();
    if (leader) return dial();
    last = null;
    ask("start");
  };
  const lead = done => {
    clearTimeout(steal);
    release = done;
    leader = true;
    if (!dead()) reset(), dial();
  };
  const elect = force => {
    election?.abort();
    const me = election = new AbortController();
    navigator.locks.request(name, force ? { steal: true } : { signal: me.signal }, () => new Promise(done => {
      if (me == election) lead(done); else done();
    })).catch(() => {
      if (me != election) return;
      if (!leader) return lead(); // locks are forbidden
      leader = false; // stolen
      reset();
      elect();
      ask("wake");
    });
  };
  const hear = ({ data: m }) => {
    if (leader) {
      if (m.type == "send" && m.conn == conn && state == "open") socket.send(m.frame);
      if (m.type != "wake" && m.type != "start") return;
      if (m.type == "start" && dead()) return begin();
      line.postMessage({ ...last, at: position });
      wake();
    } else if (m.type == "frame") {
      if (m.conn != conn || state != "open") return;
      position = m.at;
      deliver(m.data);
    } else if (m.id) {
      clearTimeout(steal);
      if (m.id == last?.id) return;
      last = m;
      if (m.type == "down") return down(m.code, m.reason);
      lost();
      conn = m.conn;
      const news = m.at == position ? "" : position ? "gap" : "ready";
      position = m.at;
      up();
      if (news) emit(news);
    }
  };
  const enter = () => {
    if (!dead()) last = null;
    seen = Date.now();
    beat = setInterval(() => {
      const slept = Date.now() - seen;
      seen += slept;
      if (slept > o.sleepAfter + (document?.hidden ? 1e5 : 0)) check(); // timers of hidden tabs are slow
    }, 5e3);
    if (BroadcastChannel) {
      bell = new BroadcastChannel("sessionbridge");
      bell.onmessage = e => leader && (e.data == "in" ? out : state == "waiting") && wake();
    }
    if (!share) return lead();
    line = new BroadcastChannel(name);
    line.onmessage = hear;
    elect();
    ask("start");
  };
  const leave = () => {
    if (dead()) drop(); else reset();
    clearInterval(beat);
    clearTimeout(steal);
    bell?.close();
    line?.close();
    election?.abort();
    release?.();
    leader = false;
    bell = line = election = release = null;
  };
  const listen = (target, type, react, signal = ended.signal) => target?.addEventListener?.(type, react, { signal });
  listen(globalThis, "online", check);
  listen(document, "visibilitychange", () => document.hidden || wake());
  listen(globalThis, "pagehide", leave);
  listen(globalThis, "pageshow", e => e.persisted && enter());
  enter();

  return {
    get state() { return /** @type {any} */ (state); },
    on(type, listener) {
      events.addEventListener(type, listener);
      return () => this.off(type, listener);
    },
    off(type, listener) { events.removeEventListener(type, listener); },
    send(/** @type {any} */ data) {
      return put({ frame: typeof data == "string" || data?.byteLength >= 0 ? data : JSON.stringify(data) });
    },
    request(data, { timeout = o.timeout, idempotent = false } = {}) {
      return new Promise((resolve, reject) => {
        const id = tab + "-" + ++count;
        const r = { id, frame: `\x1f${id}\n${JSON.stringify(data ?? null)}`, idempotent, resolve, reject };
        requests.set(id, r);
        if (!put(r)) return fail(r, !dead() ? "full" : out ? "session" : state);
        if (timeout) r.timer = setTimeout(fail, timeout, r, "timeout");
      });
    },
    reconnect() { ended.signal.aborted || begin(); },
    close() {
      ended.abort();
      leave();
      state = "stopped";
      discard("stopped");
    },
  };
};
