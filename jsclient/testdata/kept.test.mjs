// Kept messages of a user, from a server of this library.
import { test } from "node:test";
import assert from "node:assert/strict";
import { Browser, control } from "./site.mjs";

globalThis.BroadcastChannel = undefined; // each client here is a browser of its own

test("kept messages of a user, over a login, cuts, and a logout", async () => {
  const browser = new Browser();
  await browser.fetch("/session");
  await browser.post("/login", { user: "ada" });
  const { client, until } = browser.open("/ws", { kept: true });
  const got = [];
  client.on("message", e => got.push(e.data));
  client.on("gap", () => got.push("gap"));
  await until("open");
  assert.equal(await client.request({ do: "user" }), "ada");
  await control("keep?user=ada&text=1");
  await until("message 1");
  await control("cut");
  await until("offline 1006");
  await control("keep?user=ada&text=2");
  await control("keep?user=ada&text=3");
  await control("heal");
  await until("message 3");
  client.send("\x1eodd");
  await until("message echo \x1eodd");
  await browser.post("/login", { user: "ada" });
  await control("keep?user=ada&text=4");
  await until("session");
  await control("keep?user=ada&text=5");
  await until("message 5");
  assert.deepEqual(got, ["1", "2", "3", "echo \x1eodd", "4", "5"]);
  await browser.post("/logout");
  await until("logout 4500");
  await control("keep?user=ada&text=6");
  await browser.post("/login", { user: "grace" });
  client.reconnect();
  await until("session");
  await control("keep?user=grace&text=7");
  await until("message 7");
  assert.deepEqual(got.slice(6), ["7"]);
  client.close();
});
