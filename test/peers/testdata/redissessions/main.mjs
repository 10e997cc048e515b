// The 88 cases of the test suite of redis-sessions 4.0.0, by their names and in their order, against
// the REST API.

import assert from "node:assert/strict";
import { it } from "node:test";

import { call, differs } from "./client.mjs";

it("get a RedisSessions instance", async () => assert.deepEqual((await call("GET", "apps")).apps, ["TEST", "test"]));
for (const size of ["", " of two sessions"]) {
  differs("get a RedisSessions instance", `there is no cache${size} to configure: each answer is what the store has`, async () =>
    assert.equal((await call("GET", "test/stats")).status, 200));
}

await import("./create.mjs");
await import("./set.mjs");
await import("./reads.mjs");
