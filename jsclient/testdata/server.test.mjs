// The client in node's own WebSocket, against a server of this library.
import { after, beforeEach, test } from "node:test";
import assert from "node:assert/strict";
import { Browser, control } from "./site.mjs";

globalThis.BroadcastChannel = undefined; // each client here is a browser of its own
const open = [];
const start = async (path = "/ws", options) => {
  const browser = new Browser();
  await browser.fetch("/session");
  const t = browser.open(path, options);
  open.push(t.client);
  return { browser, ...t };
};
beforeEach(() => { for (const client of open.splice(0)) client.close(); });
after(() => { for (const client of open) client.close(); });

test("messages and requests", async () => {
  const { client, until } = await start();
  client.send("early");
  assert.deepEqual(await until("message echo early"), ["open", "message echo early"]);
  client.send({ n: 1 });
  await until('message echo {"n":1}');
  assert.equal(await client.request({ do: "add", n: 2 }), 2);
  assert.equal(await client.request({ do: "add", n: 3 }), 5);
  await assert.rejects(client.request({ do: "refuse" }), { code: "refused", status: 422, message: "not today" });
  await assert.rejects(client.request(7), { status: 400 });
  assert.equal(await client.request({ do: "add", n: 0 }), 5, "a request that is refused changes nothing");
  assert.equal(client.state, "open");
});

test("a fault of the program is a 500, and the client reconnects", async () => {
  const { client, until } = await start();
  await until("open");
  await assert.rejects(client.request({ do: "crash" }), { code: "refused", status: 500, message: "Internal Server Error" });
  await until("offline 1011");
  await until("online");
  assert.equal(await client.request({ do: "add", n: 1 }), 1);
});

test("a restart: the connection comes back, and what was under way is rejected or repeated", async () => {
  const { client, until } = await start();
  await until("open");
  const once = client.request({ do: "wait" });
  await client.request({ do: "user" }, { timeout: 50 }).catch(() => {}); // waits behind it
  const again = client.request({ do: "add", n: 1 }, { idempotent: true });
  await Promise.all([control("stop"), assert.rejects(once, e => e.sent)]);
  await until("offline 1012");
  client.send("meanwhile");
  await control("resume");
  await until("online");
  await until("message echo meanwhile");
  assert.equal(await again, 1);
});

test("a network that fails: 1006, and back", async () => {
  const { client, until } = await start();
  await until("open");
  await control("cut");
  await until("offline 1006");
  const asked = client.request({ do: "add", n: 1 });
  await control("heal");
  assert.deepEqual(await until("online"), ["open", "online"]);
  assert.equal(await asked, 1);
});

test("a login: the client comes back as the user", async () => {
  const { browser, client, until } = await start();
  await until("open");
  assert.equal(await client.request({ do: "user" }), "");
  await browser.post("/login", { user: "ada" });
  assert.deepEqual(await until("session"), ["open", "session"]);
  assert.equal(await client.request({ do: "user" }), "ada");
});

test("a logout ends it, and a login after it begins anew", async () => {
  const { browser, client, until } = await start();
  await until("open");
  await browser.post("/logout");
  await until("logout 4500");
  assert.equal(client.state, "out");
  client.reconnect();
  await until("missing 4502");
  await browser.post("/login", { user: "ada" });
  client.reconnect();
  await until("session");
  assert.equal(await client.request({ do: "user" }), "ada");
});

test("an expiry", async () => {
  const { client, until } = await start();
  await until("open");
  assert.equal(await client.request({ do: "expire" }), null);
  await until("logout 4501");
});

test("a refresh begins the session, and a ticket opens the connection", async () => {
  const browser = new Browser();
  const { client, until } = browser.open("/ws", { refresh: "/session", ticket: "/ticket" });
  open.push(client);
  await until("open");
  assert.equal(await client.request({ do: "user" }), "");
  await browser.post("/login", { user: "ada" });
  await until("session");
  assert.equal(await client.request({ do: "user" }), "ada", "with a ticket of the new session");
});

test("without a session there is no ticket", async () => {
  const { client, until } = new Browser().open("/ws", { ticket: "/ticket" });
  open.push(client);
  await until("missing 4502");
});

test("kept messages: none is missed and none comes twice, over cuts and restarts", async () => {
  const { client, until } = await start("/kept", { kept: true });
  const got = [];
  client.on("message", e => got.push(e.data));
  await until("ready");
  let n = 0;
  const publish = async count => { for (let i = 0; i < count; i++) await control("publish?text=" + ++n); };
  await publish(5);
  await control("cut");
  await until("offline 1006");
  await publish(5);
  await control("heal");
  await until("online");
  await publish(2);
  await control("stop");
  await until("offline 1012");
  const loss = Number(process.env.LOSS_MS ?? 300); // LOSS_MS=30000 for the real thing
  for (let i = 0; i < 3; i++) await publish(1), await new Promise(resolve => setTimeout(resolve, loss / 3));
  await control("resume");
  await until("online");
  await publish(1);
  await until("message 16");
  assert.deepEqual(got, Array.from({ length: 16 }, (_, i) => String(i + 1)));
});

test("200 clients come back after a deployment, none before it was told to", async () => {
  const crowd = await Promise.all(Array.from({ length: 200 }, () => start()));
  await Promise.all(crowd.map(t => t.until("open")));
  const early = [], pauses = [];
  const back = crowd.map(({ client, until }) => {
    let told = 0, at = 0;
    client.on("offline", e => {
      at = Date.now();
      if (e.code == 1012) told = Number(/retry after (\d+) ms/.exec(e.reason)[1]);
    });
    return until("online").then(() => {
      pauses.push(told);
      if (Date.now() - at < told - 1) early.push([told, Date.now() - at]); // clocks of whole milliseconds
    });
  });
  await control("stop");
  await control("resume");
  await Promise.all(back);
  assert.deepEqual(early, []);
  const quarters = [0, 1, 2, 3].map(i => pauses.filter(p => p >= i * 500 && p < (i + 1) * 500).length);
  assert.ok(quarters.every(n => n >= 20), `${quarters}`); // 50 expected
  await Promise.all(crowd.map(({ client }) => client.request({ do: "user" }))); // the server has all, and has them still
  assert.equal(await control("conns"), "200");
});
