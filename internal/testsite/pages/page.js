// The query has the options, as in ?path=/ws&share=true, and tell=1 to tell the server of each pageshow.
import { connect } from "/bridge.js";

const query = new URLSearchParams(location.search);
const options = { refresh: "/session" };
for (const [name, value] of query) if (name != "path" && name != "tell") options[name] = JSON.parse(value);
window.events = [];
window.post = (path, body) => fetch(path, { method: "POST", body: new URLSearchParams(body) });
window.client = connect(query.get("path") ?? "/ws", options);
for (const type of ["open", "message", "session", "logout", "missing", "online", "offline", "ready", "gap", "stop"]) {
  client.on(type, e => window.events.push([type, e.data ?? e.code].filter(x => x !== undefined).join(" ")));
}
if (query.has("tell")) addEventListener("pageshow", e => window.client.send(e.persisted ? "restored" : "loaded"));
