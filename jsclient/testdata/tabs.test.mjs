// Several tabs that share one connection.
import { test } from "node:test";
import assert from "node:assert/strict";
import { Locks, newest, pass, reset, settle, Socket, tab } from "./fakes.mjs";

const share = { share: true };

// open opens tabs, the first of which gets the connection.
const open = async (count, options) => {
  let n = 0;
  reset(() => (n = (n + 0.0137) % 1)); // names of tabs and connections differ
  const locks = new Locks();
  const tabs = [];
  for (let i = 0; i < count; i++) tabs.push(tab({ ...share, ...options }, locks)), await settle();
  newest().accept();
  await settle();
  return { tabs, locks };
};
const all = (tabs, want) => {
  for (const [i, t] of tabs.entries()) assert.deepEqual(t.take(), want, `tab ${i}`);
};
const reconnected = async () => {
  const count = Socket.all.length;
  for (let i = 0; i < 1000 && Socket.all.length == count; i++) await pass(50);
  assert.equal(Socket.all.length, count + 1);
  newest().accept();
  await settle();
};

test("one connection serves all tabs, also one that is opened later", async () => {
  const { tabs, locks } = await open(3);
  assert.equal(Socket.all.length, 1);
  const late = tab(share, locks);
  await settle();
  assert.deepEqual(late.take(), ["open"]);
  tabs.push(late);
  for (const t of tabs) t.take();
  newest().message("\x1e1\nhello");
  newest().message(new ArrayBuffer(2));
  newest().message("\x1e1 gone\n");
  await settle();
  all(tabs, ["message hello", "message [object ArrayBuffer]", "gap"]);
  tabs[2].client.send("from two");
  late.client.send(new Uint8Array([1]));
  await settle();
  assert.deepEqual(newest().sent, ["from two", new Uint8Array([1])]);
  await pass(10000);
  assert.equal(Socket.all.length, 1);
});

test("each tab is ready once its messages are complete, also one that is opened later", async () => {
  const { tabs, locks } = await open(2);
  all(tabs, ["open"]);
  newest().message("\x1e1 ready\n");
  await settle();
  all(tabs, ["ready"]);
  const late = tab(share, locks);
  await settle();
  assert.deepEqual(late.take(), ["open", "ready"]);
  newest().end(1006);
  await reconnected();
  all([...tabs, late], ["offline 1006", "open", "online"]);
});

test("an answer goes to the tab that has asked", async () => {
  const { tabs } = await open(2);
  for (const t of tabs) t.take();
  const asked = tabs.map(t => t.client.request("who"));
  await settle();
  assert.equal(newest().requests.length, 2);
  newest().answer(0, "a"), newest().answer(1, "b");
  assert.deepEqual(await Promise.all(asked), ["a", "b"]);
  all(tabs, []);
});

test("each tab sees each close code, and keeps its own queue", async () => {
  const { tabs } = await open(2);
  const [one, two] = tabs;
  for (const t of tabs) t.take();
  const lost = two.client.request("once");
  await settle();
  newest().end(1006);
  await assert.rejects(lost, { code: "lost", sent: true });
  all(tabs, ["offline 1006"]);
  two.client.send("two");
  one.client.send("one");
  await reconnected();
  assert.deepEqual(newest().sent, ["one", "two"]);
  all(tabs, ["open", "online"]);
  newest().end(4001);
  await reconnected();
  all(tabs, ["open", "session"]);
  newest().end(4500, "logout");
  await settle();
  all(tabs, ["logout 4500"]);
  assert.equal(two.client.send("x"), false);
  two.show(false);
  await reconnected();
  newest().end(4502);
  await settle();
  all(tabs, []);
  two.client.reconnect();
  await settle();
  newest().accept();
  await settle();
  all(tabs, ["open", "session"]);
  newest().end(4600);
  await settle();
  all(tabs, ["stop 4600"]);
  two.client.reconnect();
  await settle();
  newest().accept();
  await settle();
  all(tabs, ["open"]);
});

test("when the tab with the connection is closed another takes over, at the same position", async () => {
  const { tabs } = await open(3);
  newest().message("\x1e4\nfour");
  await settle();
  for (const t of tabs) t.take();
  const again = tabs[1].client.request("again", { idempotent: true });
  const once = tabs[2].client.request("once");
  await settle();
  tabs[0].fire("pagehide", { persisted: false });
  await assert.rejects(once, { code: "lost" });
  await settle();
  assert.equal(Socket.all.length, 2);
  assert.ok(Socket.all[0].closed);
  assert.deepEqual(newest().protocols, ["sessionbridge.kept.4", "sessionbridge"]);
  newest().accept();
  await settle();
  assert.equal(newest().requests.length, 1);
  newest().answer(0, "done");
  assert.equal(await again, "done");
  newest().message("\x1e5\nfive");
  await settle();
  all(tabs.slice(1), ["open", "message five"]);
});

test("a tab that comes back from the back/forward cache is told that it has missed something", async () => {
  const { tabs } = await open(2);
  newest().message("\x1e4\nfour");
  await settle();
  tabs[1].fire("pagehide", { persisted: true });
  newest().message("\x1e5\nfive");
  await settle();
  for (const t of tabs) t.take();
  tabs[1].fire("pageshow", { persisted: true });
  await settle();
  assert.deepEqual(tabs[1].take(), ["open", "gap"]);
  tabs[1].fire("pagehide", { persisted: true });
  tabs[1].fire("pageshow", { persisted: true });
  await settle();
  assert.deepEqual(tabs[1].take(), ["open"]);
  assert.equal(Socket.all.length, 1);
});

test("a tab that crashes leaves the connection to another", async () => {
  const { tabs, locks } = await open(2);
  for (const t of tabs) t.take();
  for (const channel of tabs[0].channels) channel.close(); // it says nothing
  locks.held.run = null;
  const next = locks.waiting.shift();
  locks.grant(next);
  await settle();
  newest().accept();
  await settle();
  assert.deepEqual(tabs[1].take(), ["open"]);
});

test("the connection is taken from a tab that is suspended, which follows when it is back", async () => {
  const { tabs } = await open(2);
  newest().message("\x1e4\nfour");
  await settle();
  for (const t of tabs) t.take();
  for (const channel of tabs[0].channels) channel.frozen = true;
  tabs[1].show(false);
  await pass(1999);
  assert.equal(Socket.all.length, 1, "it has two seconds to answer");
  await pass(1);
  assert.equal(Socket.all.length, 2);
  assert.deepEqual(newest().protocols, ["sessionbridge.kept.4", "sessionbridge"]);
  for (const channel of tabs[0].channels) channel.frozen = false;
  newest().accept();
  await settle();
  newest().message("\x1e5\nfive");
  await settle();
  assert.deepEqual(tabs[1].take(), ["open", "message five"]);
  assert.deepEqual(tabs[0].take(), ["open", "message five"]);
  assert.ok(Socket.all[0].closed);
  await pass(10000);
  assert.equal(Socket.all.length, 2);
  const asked = tabs[0].client.request("still here?");
  await settle();
  newest().answer(0, "yes");
  assert.equal(await asked, "yes");
});

test("a tab that is closed by its page leaves the others alone", async () => {
  const { tabs } = await open(2);
  for (const t of tabs) t.take();
  tabs[0].client.close();
  await settle();
  newest().accept();
  await settle();
  assert.equal(Socket.all.length, 2);
  assert.deepEqual(tabs[0].take(), []);
  assert.deepEqual(tabs[1].take(), ["open"]);
});

test("tabs that are logged out stay so when one is closed, and wake together", async () => {
  const { tabs, locks } = await open(3);
  newest().end(4500);
  await settle();
  for (const t of tabs) t.take();
  tabs[0].fire("pagehide", { persisted: false });
  await pass(10000);
  assert.equal(Socket.all.length, 1);
  assert.equal(tabs[1].client.state, "out");
  tabs[2].show(false);
  await reconnected();
  newest().message("hello");
  await settle();
  all(tabs.slice(1), ["open", "session", "message hello"]);
  newest().end(4500);
  await settle();
  for (const t of tabs) t.take();
  const login = tab(share, locks); // the page after a login
  await settle();
  newest().accept();
  await settle();
  assert.deepEqual(login.take(), ["open"]);
  all(tabs.slice(1), ["open", "session"]);
});

test("other addresses have connections of their own, and so have browsers without locks", async () => {
  const { locks } = await open(1);
  tab({ share: true }, undefined), await settle();
  assert.equal(Socket.all.length, 2);
  const forbidden = new Locks();
  forbidden.request = async () => { throw new Error("SecurityError"); };
  const t = tab(share, forbidden);
  await settle();
  assert.equal(Socket.all.length, 3);
  newest().accept();
  assert.equal(t.client.state, "open");
  assert.ok(locks.held);
});

test("messages of another origin's making disturb nothing", async () => {
  const { tabs } = await open(2);
  for (const t of tabs) t.take();
  const line = tabs[0].channels.find(c => c.name != "sessionbridge");
  const stranger = new line.constructor(line.name);
  for (const m of [{}, { type: "__proto__" }, { type: "frame", conn: "other", data: "x" }, { type: "send", conn: "other", frame: "x" }]) {
    stranger.postMessage(m);
  }
  await settle();
  all(tabs, []);
  assert.deepEqual(newest().sent, []);
});
