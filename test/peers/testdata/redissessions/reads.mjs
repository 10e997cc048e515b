// The cases of the cache, which is not there: a read counts, and shows what is stored. Then the end.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { bulk, s } from "./create.mjs";
import { call, differs, get, killall, quit, set, wait } from "./client.mjs";

const app2 = "TEST";
const none = "there is no cache: each get reads the store, and counts";

// reads gets sessions, and checks that each has been read once more than before.
async function reads(sessions) {
  const before = await Promise.all(sessions.map(({ id }) => call("GET", `TEST/sessions/${id}`)));
  const all = await Promise.all(sessions.map(({ token }) => get(app2, token)));
  assert.deepEqual(all.map(({ session }) => [session.user, session.readsHere]), before.map(({ user, readsHere }) => [user, readsHere + 1]));
  return all[0].session;
}

describe("CACHE", () => {
  const three = async (c) => assert.equal((await reads([s.three])).data.c, c);
  const half = () => reads(bulk.slice(0, 500));
  it("Get token3: should work", () => three(20));
  differs("Get token3: should work, but from cache", none, () => three(20));
  it("Wait 2.1s", () => wait(2.1));
  it("Get token3: should work, not from cache", () => three(20));
  it("Modify the params for token3: should work, should flush cache", async () => {
    const { data } = await set(app2, s.three.id, { a: null, b: "some_text2", c: 30, d: false, e: 20.5 });
    assert.deepEqual(data, { b: "some_text2", c: 30, d: false, e: 20.5 });
  });
  it("Get token3: should work, not from cache", () => three(30));
  differs("Get token3: should work, from cache", none, () => three(30));
  it("Get 500 sessions for app2: succeed (cache is empty)", half);
  differs("Get 500 sessions for app2: succeed (from cache)", none, half);
  differs("Get 500 sessions for app2 again: succeed (from cache)", none, half);
  it("Wait 1.5s", () => wait(1.5));
  differs("Get 500 sessions for app2 again: succeed (from cache)", none, half);
  it("Wait 2s", () => wait(2));
  it("Get 500 sessions for app2: succeed (NOT from cache)", half);
  it("Get 3 sessions for app2: succeed ", () => reads(bulk.slice(0, 3)));
  it("Get first sessions for app2: succeed (not from cache)", () => reads(bulk.slice(0, 1)));
});

describe("CLEANUP", () => {
  for (const [n, app] of [[1, "test"], [2, "TEST"]]) {
    it(`Remove all sessions from app${n}`, async () => {
      assert.ok((await killall(app)).ended > 0);
      assert.equal((await killall(app)).ended, 0);
    });
  }
  differs("Issue the Quit Command.", "the API keeps nothing for its callers: there is nothing to quit but their own connections", async () => {
    assert.equal((await call("GET", "test/ping")).ok, true);
    quit();
  });
});
