// The query has the options: ?path=/ws&share=1.
import { connect } from "/bridge.js";

const query = new URLSearchParams(location.search);
const options = { refresh: "/session" };
for (const [name, value] of query) if (name != "path") options[name] = JSON.parse(value);
window.events = [];
window.post = (path, body) => fetch(path, { method: "POST", body: new URLSearchParams(body) });
window.client = connect(query.get("path") ?? "/ws", options);
for (const type of ["open", "message", "session", "logout", "missing", "online", "offline", "gap", "stop"]) {
  client.on(type, e => window.events.push([type, e.data ?? e.code].filter(x => x !== undefined).join(" ")));
}
