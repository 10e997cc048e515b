// Messages, requests and kept messages, also hostile ones.
import { test } from "node:test";
import assert from "node:assert/strict";
import { RequestError } from "../npm/bridge.js";
import { newest, pass, reset, settle, Socket, tab } from "./fakes.mjs";

const start = async options => {
  reset();
  const t = tab(options);
  await settle();
  return t;
};
const open = async options => {
  const t = await start(options);
  newest().accept();
  t.take();
  return t;
};
const lose = async (code = 1006, reason = "") => {
  const count = Socket.all.length, at = Date.now();
  newest().end(code, reason);
  while (Socket.all.length == count) await pass(50);
  newest().accept();
  return Date.now() - at;
};

test("messages wait for the connection, in order, up to a limit", async () => {
  const t = await start({ maxQueue: 3 });
  assert.ok(t.client.send("a"));
  assert.ok(t.client.send({ b: 1 }));
  assert.ok(t.client.send(new Uint8Array([1])));
  assert.equal(t.client.send("d"), false);
  await assert.rejects(t.client.request("e"), { code: "full", sent: false });
  newest().accept();
  assert.deepEqual(newest().sent, ["a", '{"b":1}', new Uint8Array([1])]);
  assert.ok(t.client.send("f"));
  assert.equal(newest().sent.length, 4);
  await lose();
  assert.deepEqual(newest().sent, [], "what was sent is not sent again");
});

test("a request is answered with a value, or refused with a status", async () => {
  const t = await open();
  const sum = t.client.request({ add: 1 }), bad = t.client.request(undefined), odd = t.client.request(0);
  assert.deepEqual(newest().requests.map(r => r[1]), ['{"add":1}', "null", "0"]);
  const [a, b, c] = newest().requests.map(r => r[0]);
  assert.equal(new Set([a, b, c]).size, 3);
  newest().message(`\x1f${b} 422\nThe change is not allowed.`);
  newest().message(`\x1f${c} 200\nnot JSON`);
  newest().answer(0, { total: 7 });
  assert.deepEqual(await sum, { total: 7 });
  await assert.rejects(bad, e => e instanceof RequestError && e instanceof Error && e.status == 422 &&
    e.code == "refused" && e.sent && e.message == "The change is not allowed.");
  await assert.rejects(odd, { code: "invalid" });
  assert.deepEqual(t.take(), [], "an answer is no message");
});

test("a request that was sent and not answered is rejected, or sent again if it may be", async () => {
  const t = await open();
  const once = t.client.request("once"), again = t.client.request("again", { idempotent: true });
  const other = t.client.request("other", { idempotent: true });
  newest().end(1006);
  await assert.rejects(once, { code: "lost", sent: true });
  const later = t.client.request("later");
  await pass(500);
  newest().accept();
  assert.deepEqual(newest().requests.map(r => r[1]), ['"again"', '"other"', '"later"'], "in their order");
  [1, 2, 3].forEach((n, i) => newest().answer(i, n));
  assert.deepEqual(await Promise.all([again, other, later]), [1, 2, 3]);
});

test("a request that takes too long is rejected, and not sent any more", async () => {
  const t = await open();
  const sent = t.client.request("sent", { timeout: 100 });
  await Promise.all([pass(100), assert.rejects(sent, { code: "timeout", sent: true })]);
  newest().answer(0, 1); // has no effect
  newest().end(1006);
  const waiting = t.client.request("waiting", { timeout: 100 });
  await Promise.all([pass(100), assert.rejects(waiting, { code: "timeout", sent: false })]);
  await pass(500);
  newest().accept();
  assert.deepEqual(newest().sent, []);
  const patient = t.client.request("patient", { timeout: 0 });
  await pass(4000);
  newest().answer(0, "at last");
  assert.equal(await patient, "at last");
  await assert.rejects(t.client.request(1n), TypeError);
});

test("nothing of a session that has ended is sent in the next one", async () => {
  const t = await open();
  const asked = t.client.request("asked", { idempotent: true });
  newest().end(1006);
  t.client.send("secret");
  const waiting = t.client.request("waiting", { idempotent: true });
  await pass(500);
  newest().end(4501, "expired");
  await assert.rejects(asked, { code: "session" });
  await assert.rejects(waiting, { code: "session", sent: false });
  assert.equal(t.client.send("more"), false);
  await assert.rejects(t.client.request("more"), { code: "session", sent: false });
  t.client.reconnect();
  await settle();
  newest().accept();
  assert.deepEqual(newest().sent, []);
});

test("kept messages: the position is offered, and counts from its message on", async () => {
  const t = await open();
  const offers = () => newest().protocols;
  assert.deepEqual(offers(), ["sessionbridge.kept", "sessionbridge"]);
  newest().message("\x1e7.a ready\n");
  assert.deepEqual(t.take(), ["ready"]);
  await lose();
  assert.deepEqual(offers(), ["sessionbridge.kept.7.a", "sessionbridge"]);
  t.take();
  newest().message("\x1e8.a\none");
  newest().message(new TextEncoder().encode("\x1e9.a\ntwo\n2").buffer);
  newest().message("plain");
  newest().message("\x1e\n\x1eescaped");
  newest().message(new TextEncoder().encode("\x1e\n\x1eescaped").buffer);
  newest().message(new ArrayBuffer(0));
  newest().message("");
  const got = t.take();
  assert.deepEqual(got.slice(0, 1), ["message one"]);
  assert.deepEqual(got.slice(2, 4), ["message plain", "message \x1eescaped"]);
  assert.equal(got.length, 7);
  await lose();
  assert.deepEqual(offers(), ["sessionbridge.kept.9.a", "sessionbridge"]);
  t.take();
  newest().message("\x1e12.b gone\n");
  assert.deepEqual(t.take(), ["gap"]);
  await lose(4001);
  assert.deepEqual(offers(), ["sessionbridge.kept.12.b", "sessionbridge"]);
  newest().end(4500);
  t.client.reconnect();
  await settle();
  assert.deepEqual(offers(), ["sessionbridge.kept", "sessionbridge"], "the next session begins anew");
});

test("binary kept messages have their content", async () => {
  const t = await open();
  const got = [];
  t.client.on("message", e => got.push(Buffer.from(e.data).toString()));
  newest().message(new TextEncoder().encode("\x1e9.a\ntwo\n2").buffer);
  newest().message(new TextEncoder().encode("\x1e\n\x1eescaped").buffer);
  newest().message(new TextEncoder().encode("plain").buffer);
  assert.deepEqual(got, ["two\n2", "\x1eescaped", "plain"]);
});

test("without kept messages a frame is what it is", async () => {
  const t = await open({ kept: false });
  assert.deepEqual(newest().protocols, []);
  newest().message("\x1e8\none");
  assert.deepEqual(t.take(), ["message \x1e8\none"]);
});

test("an answer may be kept, too", async () => {
  const t = await open();
  const asked = t.client.request(1);
  newest().message(`\x1e5\n\x1f${newest().requests[0][0]} 200\n2`);
  assert.equal(await asked, 2);
});

test("hostile frames are a gap at most, and change nothing", async () => {
  const t = await open();
  newest().message("\x1e5\nfive");
  t.take();
  for (const head of [
    "\x1e", "\x1e" + "x".repeat(1e6), "\x1e a\nx", "\x1ea b\nx", "\x1e" + "a".repeat(201) + "\nx", "\x1ea  ready\n",
    "\x1ea,b\nx", "\x1ea ready ready\n", "\x1eé\nx", "\x1e\r\nx", "\x1ea\r\nx", "\x1e(x)\n", "\x1e\x00\n",
  ]) {
    for (const frame of [head, new TextEncoder().encode(head).buffer]) {
      newest().message(frame);
      assert.deepEqual(t.take(), ["gap"], JSON.stringify(head.slice(0, 20)));
    }
  }
  const asked = t.client.request(1);
  const id = newest().requests[0][0];
  for (const frame of [
    "\x1f__proto__ 200\n1", "\x1fconstructor 200\n1", "\x1fnone 200\n1", `\x1f${id.slice(1)} 200\n1`,
  ]) {
    newest().message(frame);
    assert.deepEqual(t.take(), [], "an answer to nothing: " + frame);
  }
  for (const frame of ["\x1f", "\x1f\n", `\x1f${id} 20\n1`, `\x1f${id} 200`, `\x1f${"a".repeat(65)} 200\n1`, `\x1f${id}  200\n1`]) {
    newest().message(frame);
    assert.deepEqual(t.take(), ["message " + frame], "no answer: " + JSON.stringify(frame));
  }
  newest().message(`\x1f${id} 200\n{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}`);
  const value = await asked;
  assert.equal(value.polluted, undefined);
  assert.equal({}.polluted, undefined);
  await lose();
  assert.deepEqual(newest().protocols, ["sessionbridge.kept.5", "sessionbridge"], "the position is that of the last message");
});

test("a server that closes at once with an endless reason is asked less and less", async () => {
  await open();
  const pauses = [];
  for (let i = 0; i < 12; i++) pauses.push(await lose(4001, "retry after ms ".repeat(1e4)));
  assert.deepEqual(pauses, [50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 15000, 15000, 15000]);
});
