// Changing the values of a session.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { s } from "./create.mjs";
import { call, differs, get, set } from "./client.mjs";

const app1 = "test";
const app2 = "TEST";

describe("SET", () => {
  const invalid = (name, status, d) => it(name, async () => assert.equal((await set(app1, s.four.id, d)).status, status));
  invalid("Set some params for token1 with no d: should fail", 415, undefined);
  invalid("Set some params for token1 with d being an array", 400, [12, "bla"]);
  invalid("Set some params for token1 with d being a string: should fail", 400, "someString");
  for (const [type, d] of [["array", { arr: [1, 2, 3] }], ["object", { obj: { bla: 1 } }]]) {
    differs(`Set some params for token1 with forbidden type (${type}): should fail`, "a value is any JSON", async () => {
      const { status, data } = await set(app1, s.four.id, d);
      assert.equal(status, 200);
      assert.deepEqual({ ...data, ...d }, data);
    });
  }
  differs("Set some params for token1 with an empty object: should fail", "it changes nothing, and is answered with the session", async () => {
    const before = await call("GET", `test/sessions/${s.four.id}`);
    const { status, data, revision } = await set(app1, s.four.id, {});
    assert.deepEqual([status, data, revision], [200, before.data, before.revision]);
  });
  it("Set some params for token1: should fail as token1 was killed", async () =>
    assert.equal((await set(app1, s.one.id, { str: "haha" })).status, 404));

  const sets = (name, d, want) => it(name, async () => {
    const { status, user, data } = await set(app2, s.three.id, d);
    assert.deepEqual([status, user, data], [200, "user1", want]);
  });
  const has = (name, want) => it(name, async () => {
    const { session } = await get(app2, s.three.token);
    assert.deepEqual([session.user, session.data], ["user1", want]);
  });
  sets("Set some params for token3: should work", { hi: "ho", count: 120, premium: true, nix: null }, { hi: "ho", count: 120, premium: true });
  has("Get the session for token3: should work and contain new values", { hi: "ho", count: 120, premium: true });
  sets("Remove a param from token3: should work", { hi: null }, { count: 120, premium: true });
  has("Get the session for token3: should work and contain modified values", { count: 120, premium: true });
  sets("Remove all remaining params from token3: should work", { count: null, premium: null }, {});
  has("Get the session for token3: should work and not contain the d key", {});
  sets("Remove all remaining params from token3 again: should work", { count: null, premium: null }, {});
  has("Get the session for token3: should work and not contain the d key", {});
  sets("Set some params for token3: should work", { a: "sometext", b: 20, c: true, d: false }, { a: "sometext", b: 20, c: true, d: false });
  const modified = { a: false, b: "some_text", c: 20, d: true, e: 20.212 };
  sets("Modify some params for token3: should work", modified, modified);
  has("Get the params for token3: should work", modified);
});
