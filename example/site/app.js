import { connect } from "/bridge.js";

const $ = id => document.getElementById(id);

// post sends a request over HTTP and shows the session that it is answered with.
async function post(path, body) {
  const response = await fetch(path, { method: "POST", body: new URLSearchParams(body) });
  if (!response.ok) throw new Error(await response.text());
  show(await response.json());
}

// Only HTTP can set cookies, so the session begins there. The lock keeps two tabs that are opened
// together from beginning one each.
const begin = () => navigator.locks?.request("session", () => post("/api/session")) ?? post("/api/session");

const client = connect("/ws", { refresh: begin });

client.on("open", async () => {
  status("Live");
  show(await client.request("get", { idempotent: true }));
});
client.on("message", e => show(JSON.parse(e.data))); // after each change of the session
client.on("offline", () => status("Reconnecting…"));
client.on("logout", e => over(e.code === 4501 ? "Session expired" : "Logged out"));
client.on("missing", () => over("There is no session"));
client.on("stop", e => over(`Closed with ${e.code}`));

function show({ user, count }) {
  $("count").textContent = count.toLocaleString();
  $("user").textContent = user;
  $("login").hidden = !!user;
  $("logout").hidden = !user;
}

function status(text) {
  $("status").textContent = text;
  $("ws").disabled = $("wsLogout").disabled = text !== "Live";
  $("again").hidden = true;
}

function over(text) {
  status(text);
  $("again").hidden = false;
  show({ user: "", count: 0 });
}

// run does something when a button is pressed, and shows why it fails.
function run(id, type, action) {
  $(id).addEventListener(type, async e => {
    e.preventDefault();
    try {
      await action();
    } catch (error) {
      $("status").textContent = error.message;
    }
  });
}

run("http", "click", () => post("/api/increment"));
run("ws", "click", async () => show(await client.request("increment")));
run("login", "submit", () => post("/api/login", { user: $("name").value.trim() }));
run("httpLogout", "click", () => post("/api/logout"));
run("wsLogout", "click", () => client.request("logout"));
run("again", "click", () => client.reconnect());
