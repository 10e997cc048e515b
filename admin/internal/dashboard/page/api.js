// The API, as far as the dashboard uses it. The key is a variable of this module: it is never stored,
// and never in a URL.

const root = new URL("../v1/", location.href);
const pageSize = 100;

let key = "";
let app = ""; // whose sessions are shown
let refused = () => {}; // called when the API doesn't accept the key

export const setKey = (text) => { key = text; };
export const hasKey = () => key !== "";
export const setApp = (name) => { app = name; };
export const appName = () => app;
export const onRefused = (call) => { refused = call; };

export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

function headers(more) {
  return key ? { Authorization: "Bearer " + key, ...more } : more;
}

async function call(method, path, body) {
  const response = await fetch(new URL(path, root), {
    method,
    headers: headers(body === undefined ? {} : { "Content-Type": "application/json" }),
    body: body === undefined ? undefined : JSON.stringify(body),
    credentials: "omit",
    cache: "no-store",
    redirect: "error",
  });
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    if (response.status === 401) refused();
    throw new Problem(response.status, answer.detail || answer.title || "Status " + response.status);
  }
  return answer;
}

const of = (path) => encodeURIComponent(app) + "/" + path;

export const api = {
  apps: () => call("GET", "apps"),
  stats: () => call("GET", of("stats")),
  nodes: () => call("GET", of("nodes")),
  health: () => call("GET", of("health")),
  activity: (seconds) => call("GET", of("activity?within=" + seconds)),
  series: (after) => call("GET", of("series?after=" + after)),
  sessions: (cursor) => call("GET", of("sessions?limit=" + pageSize + (cursor ? "&cursor=" + encodeURIComponent(cursor) : ""))),
  search: (filter) => call("POST", of("sessions/search"), { limit: pageSize, ...filter }),
  session: (id) => call("GET", of("sessions/" + encodeURIComponent(id))),
  destroy: (id) => call("DELETE", of("sessions/" + encodeURIComponent(id))),
  destroyUser: (user) => call("POST", of("sessions/destroy-user"), { user }),
  destroyAll: () => call("POST", of("sessions/destroy-all")),
  conns: () => call("GET", of("conns")),
  connsOf: (session) => call("POST", of("conns/search"), { session }),
};

// follow reads a stream of events until it is stopped: first what the API remembers, then what
// happens. It goes on where it was if the connection breaks. EventSource can't send a key, so the
// stream is read with fetch.
export async function follow(filter, stopped, take, connected = () => {}) {
  let lastID = "start";
  for (let failures = 0; !stopped.aborted;) {
    try {
      const response = await fetch(new URL(of("events" + filter), root), {
        headers: headers({ Accept: "text/event-stream", "Last-Event-ID": lastID }), signal: stopped, credentials: "omit", cache: "no-store",
      });
      if (response.status === 401) {
        refused();
        return;
      }
      if (!response.ok) throw new Problem(response.status, "");
      failures = 0;
      connected(true);
      for await (const { id, data } of blocks(response.body)) {
        if (stopped.aborted) return;
        lastID = id || lastID;
        if (data) take(JSON.parse(data));
      }
    } catch {
      failures++;
    }
    if (stopped.aborted) return;
    connected(false);
    const longest = Math.min(30000, 500 * 2 ** failures);
    await new Promise((again) => setTimeout(again, longest / 2 + Math.random() * longest / 2));
  }
}

// blocks splits a stream of server-sent events.
async function* blocks(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const complete = (rest + value).split("\n\n");
    rest = complete.pop();
    for (const block of complete) {
      const field = (name) => block.split("\n").filter((line) => line.startsWith(name)).map((line) => line.slice(name.length)).join("\n");
      yield { id: field("id: "), data: field("data: ") };
    }
  }
}
