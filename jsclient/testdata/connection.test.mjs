// The life of a connection: what the client does after each close code, and when.
import { test } from "node:test";
import assert from "node:assert/strict";
import { newest, pass, reset, settle, sleep, Socket, tab } from "./fakes.mjs";

const start = async options => {
  reset();
  const t = tab({ kept: false, ...options });
  await settle();
  return t;
};

test("a connection that is lost is replaced, after pauses that grow and are random", async () => {
  const t = await start();
  newest().accept();
  assert.deepEqual(t.take(), ["open"]);
  for (const pause of [250, 500, 1000, 2000, 4000, 8000, 15000, 15000]) { // half of the limit each
    newest().end(1006);
    const count = Socket.all.length;
    await pass(pause - 1);
    assert.equal(Socket.all.length, count, `${pause} ms`);
    await pass(1);
    assert.equal(Socket.all.length, count + 1, `${pause} ms`);
  }
  assert.deepEqual(t.take(), ["offline 1006"], "once");
  newest().accept();
  assert.deepEqual(t.take(), ["open", "online"]);
});

test("the pauses begin anew after a connection that was open for a while", async () => {
  const t = await start();
  const lose = async () => {
    newest().end(1006);
    const at = Date.now(), count = Socket.all.length;
    while (Socket.all.length == count) await pass(50);
    newest().accept();
    return Date.now() - at;
  };
  newest().accept();
  assert.equal(await lose(), 250);
  assert.equal(await lose(), 500);
  await pass(5999);
  assert.equal(await lose(), 1000, "a second until it counts, then five");
  await pass(6000);
  assert.equal(await lose(), 250);
  assert.equal(t.client.state, "open");
});

test("the pause in the reason of a close is followed, within limits", async () => {
  for (const [reason, pause] of [
    ["shutting down; retry after 1834 ms", 1834],
    ["shutting down; retry after 0 ms", 0],
    ["retry after 999999999 ms", 60000],
    ["retry after 9999999999999999999 ms", 250],
    ["retry after -5 ms", 250],
    ["retry after 1e3 ms", 250],
    ["retry after __proto__ ms", 250],
    ["x".repeat(1e6), 250],
  ]) {
    await start();
    newest().accept();
    newest().end(1012, reason);
    if (pause) await pass(pause - 1);
    assert.equal(Socket.all.length, 1, reason.slice(0, 50));
    await pass(1);
    assert.equal(Socket.all.length, 2, reason.slice(0, 50));
  }
});

test("each close code leads to its event and its state", async () => {
  for (const [code, reason, events, state] of [
    [1000, "", ["stop 1000"], "stopped"],
    [1001, "", ["offline 1001"], "waiting"],
    [1005, "", ["offline 1005"], "waiting"],
    [1006, "", ["offline 1006"], "waiting"],
    [1008, "too many messages", ["stop 1008"], "stopped"],
    [1008, "too slow for what it is sent", ["offline 1008"], "waiting"],
    [1009, "", ["stop 1009"], "stopped"],
    [1011, "", ["offline 1011"], "waiting"],
    [1012, "", ["offline 1012"], "waiting"],
    [1013, "", ["offline 1013"], "waiting"],
    [4000, "", ["offline 4000"], "waiting"],
    [4001, "", [], "waiting"],
    [4002, "idle", [], "idle"],
    [4002, "connection has reached its age", ["offline 4002"], "waiting"],
    [4499, "", ["offline 4499"], "waiting"],
    [4500, "logout", ["logout 4500"], "out"],
    [4501, "expired", ["logout 4501"], "out"],
    [4502, "no session", ["missing 4502"], "out"],
    [4503, "evicted", ["logout 4503"], "out"],
    [4504, "", ["stop 4504"], "stopped"],
    [4600, "", ["stop 4600"], "stopped"],
    [4999, "", ["stop 4999"], "stopped"],
  ]) {
    const t = await start();
    newest().accept();
    t.take();
    newest().end(code, reason);
    assert.deepEqual(t.take(), events, `${code} ${reason}`);
    assert.equal(t.client.state, state, `${code} ${reason}`);
    await pass(40000);
    assert.equal(Socket.all.length > 1, state == "waiting", `${code} ${reason}`);
  }
});

test("a slow client comes back late", async () => {
  await start();
  newest().accept();
  newest().end(1008, "too slow for what it is sent");
  await pass(14999);
  assert.equal(Socket.all.length, 1);
  await pass(1);
  assert.equal(Socket.all.length, 2);
});

test("a changed session is announced when the connection is back", async () => {
  const t = await start();
  newest().accept();
  t.take();
  newest().end(4001, "session changed");
  assert.deepEqual(t.take(), []);
  await pass(50);
  newest().accept();
  assert.deepEqual(t.take(), ["open", "session"]);
});

test("an idle connection comes back when there is something to send, or the page is looked at", async () => {
  const t = await start();
  newest().accept();
  newest().end(4002, "idle");
  await pass(100000);
  assert.equal(Socket.all.length, 1);
  assert.ok(t.client.send("one"));
  await pass(250);
  newest().accept();
  assert.deepEqual(newest().sent, ["one"]);
  newest().end(4002, "idle");
  t.show(false);
  await pass(250);
  assert.equal(Socket.all.length, 3);
});

test("a handshake that fails with an error alone is repeated, an error later is not the end", async () => {
  const t = await start();
  newest().emit("error");
  assert.equal(t.client.state, "waiting");
  await pass(250);
  newest().accept();
  newest().emit("error");
  assert.equal(t.client.state, "open");
});

test("a handshake that takes too long is given up", async () => {
  const t = await start();
  await pass(9999);
  assert.equal(newest().closed, false);
  await pass(1);
  assert.ok(newest().closed);
  assert.deepEqual(t.take(), ["offline 1006"]);
  const late = newest();
  await pass(250);
  late.accept(); // has no effect
  assert.equal(t.client.state, "connecting");
});

test("after a logout the client is quiet, looks for a session when it may be back, and says so once", async () => {
  const t = await start();
  newest().accept();
  t.take();
  newest().end(4500, "logout");
  assert.deepEqual(t.take(), ["logout 4500"]);
  await pass(1e6);
  assert.equal(Socket.all.length, 1, "no attempt by itself");
  for (const look of [() => t.show(false), () => t.fire("online")]) {
    const count = Socket.all.length;
    look();
    await pass(250);
    assert.equal(Socket.all.length, count + 1);
    newest().accept();
    newest().end(4502, "no session");
    assert.deepEqual(t.take(), [], "still logged out");
    assert.equal(t.client.state, "out");
  }
  t.show(true);
  await pass(1e6);
  assert.equal(Socket.all.length, 3, "not when it is hidden");
  t.show(false);
  await pass(250);
  newest().end(1006);
  assert.equal(t.client.state, "out", "a server that is away is not asked again and again");
  t.show(false);
  await pass(250);
  newest().accept();
  assert.deepEqual(t.take(), [], "perhaps it is closed at once");
  newest().message("hello");
  assert.deepEqual(t.take(), ["open", "session", "message hello"]);
  newest().end(4501, "expired");
  assert.deepEqual(t.take(), ["logout 4501"]);
  t.client.reconnect();
  await settle();
  newest().accept();
  assert.deepEqual(t.take(), ["open", "session"]);
  newest().end(4502);
  assert.deepEqual(t.take(), ["missing 4502"], "it was asked to");
});

test("a tab that is logged out wakes when another one has a session, and tells it when it has none", async () => {
  reset();
  const one = tab({ kept: false }), two = tab({ kept: false });
  await settle();
  const [a, b] = Socket.all;
  a.accept(), b.accept();
  await pass(1000);
  a.end(4500), b.end(1006);
  await settle();
  await pass(250);
  assert.equal(Socket.all.length, 3);
  newest().accept();
  newest().end(4502);
  await pass(1e5);
  assert.equal(Socket.all.length, 3, "two that are out don't keep each other awake");
  assert.deepEqual(one.take(), ["open", "logout 4500"]);
  assert.deepEqual(two.take(), ["open", "offline 1006", "open", "online", "missing 4502"]);
  two.client.reconnect();
  await settle();
  newest().accept();
  await pass(1000);
  await pass(250);
  assert.equal(Socket.all.length, 5, "the other one looks");
  newest().accept();
  await pass(1000);
  assert.deepEqual(one.take(), ["open", "session"]);
});

test("sleep is noticed by its missing time, and the connection replaced", async () => {
  const t = await start();
  newest().accept();
  await pass(60000);
  t.take();
  sleep(30000);
  await pass(5000);
  assert.deepEqual(t.take(), [], "the connection survives that");
  sleep(45000);
  await pass(5000);
  assert.deepEqual(t.take(), ["offline 1006"]);
  await pass(250);
  newest().accept();
  assert.deepEqual(t.take(), ["open", "online"]);
});

test("a network that is back is used at once", async () => {
  const t = await start();
  for (let i = 0; i < 9; i++) newest().end(1006), await pass(20000);
  const count = Socket.all.length;
  newest().end(1006);
  t.fire("online");
  await pass(250);
  assert.equal(Socket.all.length, count + 1);
  newest().accept();
  t.fire("online");
  assert.ok(Socket.all.at(-1).closed, "what was open before is replaced");
});

test("a page in the back/forward cache has no connection", async () => {
  const t = await start();
  newest().accept();
  const question = t.client.request(1, { timeout: 0 });
  t.fire("pagehide", { persisted: true });
  assert.ok(newest().closed);
  await assert.rejects(question, { code: "lost", sent: true });
  assert.equal(t.channels.length, 1);
  assert.ok(t.client.send("later"));
  await pass(1e6);
  assert.equal(Socket.all.length, 1);
  t.fire("pageshow", { persisted: true });
  await settle();
  newest().accept();
  assert.deepEqual(newest().sent, ["later"]);
  t.fire("pageshow", { persisted: false });
  await settle();
  assert.equal(Socket.all.length, 2);
});

test("a client that was closed stays closed", async () => {
  const t = await start();
  newest().accept();
  const question = t.client.request(1);
  t.client.close();
  await assert.rejects(question, { code: "lost" });
  await assert.rejects(t.client.request(1), { code: "stopped", sent: false });
  assert.equal(t.client.send("x"), false);
  t.client.reconnect();
  t.fire("online"), t.show(false), t.fire("pageshow", { persisted: true });
  await pass(1e6);
  assert.equal(Socket.all.length, 1);
  assert.equal(t.client.state, "stopped");
});

test("the address is that of the page", async () => {
  reset();
  const { connect } = await import("../npm/bridge.js");
  for (const [page, url, want] of [
    ["https://site.test/a/b", "/ws", "wss://site.test/ws"],
    ["http://site.test:81/", "ws?x=1", "ws://site.test:81/ws?x=1"],
    ["https://site.test/", "wss://live.test/ws", "wss://live.test/ws"],
  ]) {
    globalThis.location = { href: page };
    connect(url, { kept: false });
    await settle();
    assert.equal(newest().url, want);
  }
});

test("cookies are refreshed first at the start, after a changed session, and after a failed handshake", async () => {
  let refreshed = 0;
  const t = await start({ refresh: async () => { refreshed++; } });
  assert.equal(refreshed, 1);
  newest().accept();
  newest().end(1006);
  await pass(250);
  assert.equal(refreshed, 1, "an ordinary loss costs no request");
  newest().end(1006);
  await pass(500);
  assert.equal(refreshed, 2);
  newest().accept();
  newest().end(4001);
  await pass(1000);
  assert.equal(refreshed, 3);
  newest().accept();
  newest().end(4500);
  t.show(false);
  await pass(250);
  assert.equal(refreshed, 3, "to look for a session must not begin one");
  t.client.reconnect();
  await settle();
  assert.equal(refreshed, 4);
});

test("tickets and refreshes come from a URL", async () => {
  reset();
  const asked = [];
  let answer = { ok: true, text: async () => "abc" };
  globalThis.fetch = async (url, init) => {
    asked.push([url, init.method, init.cache]);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const t = tab({ ticket: "/ticket", refresh: "/refresh", protocols: ["chat.v1"] });
  await settle();
  assert.deepEqual(asked, [["/refresh", "GET", "no-store"], ["/ticket", "POST", "no-store"]]);
  assert.deepEqual(newest().protocols, ["chat.v1", "sessionbridge.ticket.abc", "sessionbridge.kept", "sessionbridge"]);
  answer = new TypeError("no network");
  newest().end(1006);
  await pass(250);
  assert.equal(Socket.all.length, 1);
  assert.equal(t.client.state, "waiting");
  answer = { ok: false, status: 503 };
  await pass(500);
  assert.equal(t.client.state, "waiting");
  answer = { ok: false, status: 401 };
  await pass(30000);
  assert.equal(t.client.state, "out");
  assert.deepEqual(t.take(), ["offline 1006", "missing 4502"]);
});

test("a listener can be removed", async () => {
  const t = await start();
  let heard = 0;
  const off = t.client.on("message", () => { heard++; });
  newest().accept();
  newest().message("x");
  off();
  newest().message("y");
  assert.equal(heard, 1);
  assert.deepEqual(t.take(), ["open", "message x", "message y"]);
});

test("while it looks for a session it is still logged out, and runs no refresh", async () => {
  let refreshed = 0;
  const t = await start({ refresh: async () => { refreshed++; } });
  newest().accept();
  newest().end(4500);
  for (let i = 0; i < 3; i++) {
    t.show(false);
    await pass(250);
    assert.equal(Socket.all.length, i + 2);
    assert.equal(t.client.state, "out");
    assert.equal(t.client.send("x"), false);
    newest().accept();
    newest().end(4502);
  }
  assert.equal(refreshed, 1);
});

test("a client that has stopped is woken by nothing but its page", async () => {
  const t = await start();
  newest().accept();
  newest().end(4600);
  t.show(false), t.fire("online");
  await pass(1e6);
  assert.equal(Socket.all.length, 1);
  t.client.reconnect();
  await settle();
  assert.equal(Socket.all.length, 2);
});

test("reconnect begins with short pauses again", async () => {
  const t = await start();
  for (let i = 0; i < 6; i++) {
    newest().end(1006);
    await pass(8000);
  }
  t.client.reconnect();
  await settle();
  const count = Socket.all.length;
  newest().end(1006);
  await pass(250);
  assert.equal(Socket.all.length, count + 1);
});

test("a refresh that comes too late opens nothing", async () => {
  const done = [];
  await start({ refresh: () => new Promise(resolve => done.push(resolve)) });
  await pass(10000 + 250);
  assert.equal(done.length, 2);
  done[0]();
  await settle();
  assert.equal(Socket.all.length, 0, "its attempt is over");
  done[1]();
  await settle();
  assert.equal(Socket.all.length, 1);
});

test("a tab that waits looks at once when another is logged out", async () => {
  reset();
  tab({ kept: false }), tab({ kept: false });
  await settle();
  const [a, b] = Socket.all;
  a.accept(), b.accept();
  b.end(1012, "retry after 60000 ms");
  await pass(5000);
  assert.equal(Socket.all.length, 2);
  a.end(4500);
  await settle();
  await pass(250);
  assert.equal(Socket.all.length, 3);
});

test("the slow timers of a hidden page are no sleep", async () => {
  const t = await start();
  newest().accept();
  t.document.hidden = true;
  sleep(100000);
  await pass(5000);
  assert.equal(t.client.state, "open");
  sleep(150000);
  await pass(5000);
  assert.notEqual(t.client.state, "open");
});
