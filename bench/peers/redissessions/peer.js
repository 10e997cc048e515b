// Runs redis-sessions as its users do: one process, as many promises at once as it is told to. Each line of standard input is a task, {"op", "n", "width"}, and is
// answered with a line {"ns", "met"}: how long it took, and how many sessions it has met; or {"error"}. The time is taken here, so that what the measuring program
// says to this one isn't in it.
"use strict";

const readline = require("node:readline");
const RedisSessions = require("redis-sessions").default;

const [, , port, perUser, size] = process.argv;
const app = "bench";
const server = { host: "127.0.0.1", port: Number(port), wipe: 0 }; // it is wiped when it is told to be
const sessions = new RedisSessions(server);
let caching; // made when it is needed: with it, each change is told to whoever has a cache

let tokens = [];
const data = (letter) => ({ cart: letter.repeat(Number(size) - '{"cart":""}'.length) });
const user = (i) => `user-${Math.floor(i / Number(perUser))}`;
const any = (i) => tokens[(i * 7919) % tokens.length];

// spread calls task(0) to task(n - 1), width of them at once, and returns the sum of what they say.
async function spread(n, width, task) {
  let next = 0;
  let met = 0;
  const worker = async () => {
    while (next < n) {
      const got = await task(next++);
      met += got;
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, n) }, worker));
  return met;
}

const found = (session) => (session && session.d.cart.length === data("x").cart.length ? 1 : 0);

// What is done before the time is taken.
const before = {
  create: () => {
    tokens = [];
  },
  cached: async (n, width) => {
    caching ??= new RedisSessions({ ...server, cachetime: 3600, cachemax: 1000000 });
    await spread(tokens.length, width, async (i) => found(await caching.get({ app, token: tokens[i] })));
  },
  sweep: () => sessions.redis.sendCommand(["ZUNIONSTORE", "rs:SESSIONS", "1", "rs:SESSIONS", "WEIGHTS", "0"]), // they are due
};

const ops = {
  create: (n, width) =>
    spread(n, width, async (i) => {
      const { token } = await sessions.create({ app, id: user(i), ip: "192.0.2.1", ttl: 86400, d: data("x") });
      tokens[i] = token;
      return 1;
    }),
  get: (n, width) => spread(n, width, async (i) => found(await sessions.get({ app, token: any(i) }))),
  set: (n, width) => spread(n, width, async (i) => found(await sessions.set({ app, token: any(i), d: data("y") }))),
  destroy: (n, width) => spread(n, width, async (i) => (await sessions.kill({ app, token: tokens[i] })).kill),
  cached: (n, width) => spread(n, width, async (i) => found(await caching.get({ app, token: any(i) }))),
  user: (n, width) =>
    spread(n, width, async (i) => (await sessions.soid({ app, id: user((i * 7919) % tokens.length) })).sessions.length),
  active: (n, width) => spread(n, width, async () => (await sessions.activity({ app, deltaTime: 3600 })).activity),
  lately: (n, width) => spread(n, width, async () => (await sessions.soapp({ app, deltaTime: 3600 })).sessions.length),
  "destroy all": async () => (await sessions.killall({ app })).kill,
  sweep: async () => {
    const had = await sessions.redis.zCard(`rs:${app}:_sessions`);
    await sessions._wipe();
    return had - (await sessions.redis.zCard(`rs:${app}:_sessions`));
  },
};

async function run({ op, n, width }) {
  if (before[op]) {
    await before[op](n, width);
  }
  const start = process.hrtime.bigint();
  const met = await ops[op](n, width);
  return { ns: Number(process.hrtime.bigint() - start), met };
}

async function main() {
  await sessions.ping();
  console.log(JSON.stringify({ ns: 0, met: 0 })); // ready
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let answer;
    try {
      answer = await run(JSON.parse(line));
    } catch (err) {
      answer = { error: String((err && err.stack) || err) };
    }
    console.log(JSON.stringify(answer));
  }
  process.exit(0);
}

main().catch((err) => {
  console.log(JSON.stringify({ error: String((err && err.stack) || err) }));
  process.exit(1);
});
