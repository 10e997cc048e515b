// What redis-sessions does, done with the REST API. An app's sessions are { token, id } here: the
// token opens the session, the id names it.

import http from "node:http";
import { createInterface } from "node:readline";
import { it } from "node:test";

const key = process.argv[2];
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const base = async () => (await lines.next()).value;

let root = await base();
let agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

// call returns the status and the body of an answer.
export function call(method, path, body) {
  const text = body === undefined ? "" : JSON.stringify(body);
  const headers = { Authorization: "Bearer " + key };
  if (text) Object.assign(headers, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) });
  return new Promise((resolve, reject) => {
    http.request(root + "/v1/" + path, { method, agent, headers }, async (response) => {
      let answer = "";
      for await (const chunk of response.setEncoding("utf8")) answer += chunk;
      resolve({ status: response.statusCode, ...(answer ? JSON.parse(answer) : {}) });
    }).on("error", reject).end(text);
  });
}

// wait lets the time of the server pass. It comes back at another address.
export async function wait(seconds) {
  agent.destroy();
  agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  console.log(seconds);
  root = await base();
}

export function quit() {
  agent.destroy();
  process.stdin.destroy();
}

// differs is a case in which this library deliberately does something else.
export function differs(name, reason, run) {
  it(name, async (t) => {
    t.diagnostic("differs: " + reason);
    await run(t);
  });
}

const at = (app, path) => encodeURIComponent(app) + "/" + path;

export const create = async (app, user, ip, ttl, more = {}) => {
  const made = await call("POST", at(app, "sessions"), { user, addr: ip, ttl, ...more });
  return { status: made.status, token: made.token, id: made.session?.id, field: made.field };
};
export const get = (app, token) => call("POST", at(app, "sessions/resolve"), { token });
export const set = (app, id, d) => call("PATCH", at(app, `sessions/${id}/data`), d);
export const kill = (app, token) => call("POST", at(app, "sessions/logout"), { token });
export const soid = (app, user) => call("POST", at(app, "sessions/search"), { user });
export const killsoid = (app, user) => call("POST", at(app, "sessions/destroy-user"), { user });
export const soapp = (app, seconds) => call("GET", at(app, `sessions?limit=0&activeWithin=${seconds}`));
export const activity = (app, seconds) => call("GET", at(app, `activity?within=${seconds}`));
export const killall = (app) => call("POST", at(app, "sessions/destroy-all"));
export const ping = (app) => call("GET", at(app, "ping"));
