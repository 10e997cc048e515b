// Creating, finding, counting and ending sessions.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { activity, call, create, differs, get, kill, killsoid, ping, soapp, soid, wait } from "./client.mjs";

const app1 = "test";
const app2 = "TEST";

// Sessions that several cases use.
export const s = {};
export const bulk = [];

async function users(app, n) {
  const now = await activity(app, 60);
  assert.deepEqual([now.users, now.complete], [n, true]);
}

describe("GET: Part 1", () => {
  it("Ping the redis server", async () => assert.equal((await ping(app1)).ok, true));
  it("Get a Session with invalid app format: no app supplied", async () =>
    assert.equal((await get("", "x")).status, 404));
  it("Get a Session with invalid app format: too short", async () => assert.equal((await get("a", "x")).status, 404));
  it("Get a Session with invalid token format: no token at all", async () => {
    const answer = await call("POST", "test/sessions/resolve", {});
    assert.deepEqual([answer.status, answer.field], [400, "token"]);
  });
  const format = "a token that opens nothing is not told from one that never could: both are answered with 404";
  const hex = "0123456789012345678901234567890123456789012345678901234567891234";
  for (const [name, token] of [
    ["token shorter than 64 chars", "lsdkjfslkfjsldfkj"],
    ["token longer than 64 chars", hex + "567890"],
    ["token with invalid character", "!" + hex.slice(1)],
  ]) {
    differs("Get a Session with invalid token format: " + name, format, async () => assert.equal((await get(app1, token)).status, 404));
  }
  it("Get a Session with valid token format but token should not exist", async () =>
    assert.equal((await get(app1, hex)).status, 404));
});

describe("CREATE: Part 1", () => {
  it("Create a session with invalid data: no app supplied", async () =>
    assert.equal((await create("", "user1", "127.0.0.1", 30)).status, 404));

  // What was made in spite of the original is ended again, for the numbers that follow.
  const makes = async (...args) => {
    const made = await create(...args);
    assert.equal(made.status, 201);
    assert.equal((await kill(args[0], made.token)).status, 200);
  };
  differs("Create a session with invalid data: no id supplied", "a session without a user is that of a guest, who may log in later",
    () => makes(app1, undefined, "127.0.0.1", 30));
  differs("Create a session with invalid data: no ip supplied", "the address is for the list of a user's devices, and optional",
    () => makes(app1, "user1", undefined, 30));
  for (const [name, ip] of [["Longer than 39 chars", "1234567890123456789012345678901234567890"], ["zero length", ""]]) {
    it(`Create a session with invalid data: ${name} ip supplied`, async () => {
      const made = await create(app1, "user1", ip, 30);
      assert.deepEqual([made.status, made.field], [400, "addr"]);
    });
  }
  differs("Create a session with invalid data: ttl too short", "a ttl is from 0.001 s to 100 years, also with fractions; 0 is refused", async () => {
    await makes(app1, "user1", "127.0.0.1", 4);
    const made = await create(app1, "user1", "127.0.0.1", 0);
    assert.deepEqual([made.status, made.field], [400, "ttl"]);
  });

  const makesOne = (name, as, ...args) => it(name, async () => {
    const made = await create(...args);
    assert.equal(made.status, 201);
    assert.ok(made.token);
    s[as] = made;
  });
  makesOne("Create a session with valid data: should return a token", "one", app1, "user1", "127.0.0.1", 30);
  it("Activity should show 1 user", () => users(app1, 1));
  makesOne("Create another session for user1: should return a token", "other", app1, "user1", "127.0.0.2", 30);
  makesOne("Create yet another session for user1 with a `d` object: should return a token", "four", app1, "user1", "127.0.0.2", 30,
    { data: { foo: "bar", nu: null, hi: 123, lo: -123, boo: true, boo2: false } });
  const again = "Create yet another session for user1 with an invalid `d` object: should throw error";
  const ip6 = "2001:0000:1234:0000:0000:C1C0:ABCD:0876";
  differs(again, "a value is any JSON, arrays and objects, too", () => makes(app1, "user1", ip6, 30, { data: { inv: [] } }));
  differs(again, "a session without values is one", () => makes(app1, "user1", ip6, 30, { data: {} }));
  it("Activity should STILL show 1 user", () => users(app1, 1));
  makesOne("Create another session with valid data: should return a token", "two", app1, "user2", "127.0.0.1", 10);
  it("Activity should show 2 users", () => users(app1, 2));
  it("Sessions of App should return 4 users", async () => assert.equal((await soapp(app1, 60)).sessions.length, 4));
  makesOne("Create a session with `no_resave`", "five", app1, "user5noresave", "127.0.0.1", 10, { fixed: true });
  it("Wait 6s", () => wait(6));
  makesOne("Create a session for another app with valid data: should return a token", "three", app2, "user1", "127.0.0.1", 30);
  it("Activity should show 1 user", () => users(app2, 1));

  it("Create 1000 sessions for app2: succeed", async () => {
    const made = await Promise.all(Array.from({ length: 1000 }, (_, i) => create(app2, "bulkuser_" + i, "127.0.0.1", 7200)));
    assert.ok(made.every((one) => one.status === 201 && one.token));
    bulk.push(...made);
  });
  it("Activity should show 1001 user", () => users(app2, 1001));
  it("Get 1000 sessions for app2: succeed", async () => {
    const all = await Promise.all(bulk.map(({ token }) => get(app2, token)));
    assert.deepEqual(all.map(({ session }) => session.user), bulk.map((_, i) => "bulkuser_" + i));
  });
  makesOne("Create a session for bulkuser_999 with valid data: should return a token", "last", app2, "bulkuser_999", "127.0.0.2", 30);
  it("Check if we have 2 sessions for bulkuser_999", async () =>
    assert.deepEqual((await soid(app2, "bulkuser_999")).sessions.map(({ user }) => user), ["bulkuser_999", "bulkuser_999"]));
  it("Remove those 2 sessions for bulkuser_999", async () => assert.equal((await killsoid(app2, "bulkuser_999")).ended, 2));
  it("Check if we have still have sessions for bulkuser_999: should return 0", async () =>
    assert.equal((await killsoid(app2, "bulkuser_999")).ended, 0));
  for (const [what, user] of [
    ["utf8 (딸기 필드 영원히) chars", "딸기 필드 영원히"], ["email", "abcde1-284h1ah37@someDomain-with-dash.co.uk"],
  ]) {
    it(`Create a session with ${what} for the id: should return a token`, async () => {
      const { token } = await create(app1, user, "127.0.0.1", 30);
      assert.equal((await get(app1, token)).session.user, user);
    });
  }
});

describe("GET: Part 2", () => {
  for (const [name, reads] of [["Get the Session for token1: should work", 1], ["Get the Session for token1 again: should work", 2]]) {
    it(name, async () => {
      const { session } = await get(app1, s.one.token);
      assert.deepEqual([session.user, session.idle, session.addr, session.readsHere], ["user1", 30, "127.0.0.1", reads]);
    });
  }
  it("Get the Session for token5: should nave `no_resave` parameter set.", async () => {
    const listed = (await soapp(app1, 60)).sessions.find(({ user }) => user === "user5noresave");
    assert.equal(Date.parse(listed.expires) - Date.parse(listed.seen), 10000); // before it is read
    const { session } = await get(app1, s.five.token);
    assert.deepEqual([session.lifetime, session.idle, session.readsHere], [10, undefined, 1]); // idle: no limit
    assert.equal(session.expires, listed.expires);
  });
  it("Wait 6s", () => wait(6));
  it("Get the Session for token2: Should be gone", async () => assert.equal((await get(app1, s.two.token)).status, 404));
  it("Get the Session for token5: should no longer be there", async () => {
    const gone = await get(app1, s.five.token);
    assert.deepEqual([gone.status, gone.reason], [404, "expired"]);
  });
  it("Sessions of App should return 5 users", async () => assert.equal((await soapp(app1, 60)).sessions.length, 5));
  it("Kill the Session for token1: should work", async () => assert.equal((await kill(app1, s.one.token)).status, 200));
  it("Get the Session for token1: should fail", async () => assert.equal((await get(app1, s.one.token)).status, 404));
  differs("Activity for app1 should show 5 users still", "only users with a session count: that of user2 and that of user5noresave have expired",
    () => users(app1, 3));
  it("Get the Session for token4", async () => {
    const { session } = await get(app1, s.four.token);
    assert.deepEqual([session.user, session.idle, session.data.foo], ["user1", 30, "bar"]);
  });
});
