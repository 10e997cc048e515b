// 200 clients that lose their connection at the same moment.
import { test } from "node:test";
import assert from "node:assert/strict";
import { pass, reset, settle, Socket, tab } from "./fakes.mjs";

const count = 200;

// random is a generator with a fixed seed (mulberry32), so that the test is the same each time.
const random = seed => () => {
  seed = seed + 0x6d2b79f5 | 0;
  let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
  t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
  return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
};

// arrivals returns when each of the clients dials again, after their servers have ended as told.
const arrivals = async (end, span) => {
  reset(random(7));
  for (let i = 0; i < count; i++) tab({ kept: false });
  await settle();
  const sockets = [...Socket.all];
  for (const s of sockets) s.accept();
  sockets.forEach(end);
  const bins = [];
  for (let i = 0; i < 10; i++) {
    const before = Socket.all.length;
    await pass(span / 10);
    bins.push(Socket.all.length - before);
  }
  assert.equal(Socket.all.length, 2 * count, "each once");
  return bins;
};

test("after a crash they come back spread over the pause", async () => {
  const bins = await arrivals(s => s.end(1006), 500);
  for (const n of bins) assert.ok(n >= 8 && n <= 40, `${bins}`); // 20 expected, 4.2 the standard deviation
});

test("after a deployment they come back when each was told to", async () => {
  const bins = await arrivals((s, i) => s.end(1012, `shutting down; retry after ${i * 10} ms`), 2000);
  assert.deepEqual(bins.slice(1, 9), Array(8).fill(20), `${bins}`);
});
