// The dashboard of an admin API. It uses that API alone. The key is a variable of this module: it is
// never stored, and never in a URL.

const $ = (id) => document.getElementById(id);
const root = new URL("../v1/", location.href);
const pageSize = 100;
const shownEvents = 500;

let key = "";
let app = "";

// ---- The API ----

class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

function headers(more) {
  return key ? { Authorization: "Bearer " + key, ...more } : { ...more };
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
    if (response.status === 401) showLogin("");
    throw new Problem(response.status, answer.detail || answer.title || "Status " + response.status);
  }
  return answer;
}

const of = (path) => encodeURIComponent(app) + "/" + path;
const api = {
  apps: () => call("GET", "apps"),
  stats: () => call("GET", of("stats")),
  health: () => call("GET", of("health")),
  series: (after) => call("GET", of("series?after=" + after)),
  sessions: (cursor) => call("GET", of("sessions?limit=" + pageSize + (cursor ? "&cursor=" + encodeURIComponent(cursor) : ""))),
  sessionsOf: (user) => call("POST", of("sessions/search"), { user }),
  session: (id) => call("GET", of("sessions/" + encodeURIComponent(id))),
  destroy: (id) => call("DELETE", of("sessions/" + encodeURIComponent(id))),
  destroyUser: (user) => call("POST", of("sessions/destroy-user"), { user }),
  destroyAll: () => call("POST", of("sessions/destroy-all")),
  conns: () => call("GET", of("conns")),
};

// ---- Small parts ----

// element makes an element. Text is always text: nothing from the API is read as HTML.
function element(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (attribute === "onclick") e.addEventListener("click", value);
    else if (value === true) e.setAttribute(attribute, "");
    else if (value !== false && value !== undefined) e.setAttribute(attribute, value);
  }
  e.append(...children.filter((c) => c !== undefined && c !== null).map((c) => (c instanceof Node ? c : String(c))));
  return e;
}

const code = (text) => element("code", {}, text);
const short = (id) => (id ? id.slice(0, 8) : "");
const time = (text) => (text ? new Date(text).toLocaleString() : "");
const number = (n) => n.toLocaleString();

function ago(text) {
  if (!text) return "";
  const seconds = Math.max(0, Math.round((Date.now() - new Date(text)) / 1000));
  if (seconds < 60) return seconds + " s ago";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min ago";
  if (seconds < 86400) return Math.floor(seconds / 3600) + " h ago";
  return Math.floor(seconds / 86400) + " d ago";
}

function until(text) {
  if (!text) return "never";
  const seconds = Math.round((new Date(text) - Date.now()) / 1000);
  if (seconds < 60) return "in " + Math.max(0, seconds) + " s";
  if (seconds < 3600) return "in " + Math.floor(seconds / 60) + " min";
  if (seconds < 86400) return "in " + Math.floor(seconds / 3600) + " h";
  return "in " + Math.floor(seconds / 86400) + " d";
}

// table shows rows of cells. On a phone each row is a card, with the titles beside the cells.
function table(caption, titles, rows) {
  if (rows.length === 0) return element("p", { class: "empty" }, "None.");
  return element("table", { class: "cards" },
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...titles.map((t) => element("th", { scope: "col" }, t)))),
    element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map((cell, i) =>
      element(i === 0 ? "th" : "td", i === 0 ? { scope: "row", "data-label": titles[i] } : { "data-label": titles[i] }, cell))))));
}

let toastTimer;
function toast(text) {
  $("toast").textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").textContent = ""; }, 6000);
}

// attempt runs an action and shows its error.
async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof Problem && error.status === 401)) toast(error.message);
    return undefined;
  }
}

async function confirmed(title, text, yes) {
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  const dialog = $("confirm");
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  return dialog.returnValue === "yes";
}

// ---- Overview ----

const charts = [
  { title: "Writes per second", columns: [["writes", "stored"], ["touches", "touched"], ["conflicts", "conflicts"]] },
  { title: "Connections per second", columns: [["connects", "opened"], ["disconnects", "closed"], ["refused", "refused"]] },
  { title: "Logins and ends per second", columns: [["logins", "logins"], ["destroys", "ends"]] },
  { title: "Failures per second", columns: [["failures", "failures"], ["storeErrors", "store errors"]] },
  { title: "Connections now", columns: [["connections", "connections"]] },
  { title: "Milliseconds", scale: 1000, columns: [["storePing", "store answers"], ["revocation50", "revocation, median"], ["revocation99", "revocation, p99"]] },
];
const strokes = { light: ["#1f5fbf", "#b3261e", "#17693a"], dark: ["#8ab4f8", "#ff9d94", "#7bd69f"] };

let plots = [];
let samples = null; // the table of the API, which grows

function theme() { return document.documentElement.dataset.theme === "dark" ? "dark" : "light"; }

function chartData(chart) {
  return [samples.times, ...chart.columns.map(([name]) =>
    (samples.columns[name] || samples.times.map(() => null)).map((v) => (v === null || !chart.scale ? v : v * chart.scale)))];
}

function drawCharts() {
  for (const plot of plots) plot.destroy();
  plots = [];
  $("charts").replaceChildren();
  if (!samples || typeof uPlot === "undefined") return;
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--soft").trim();
  const line = getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
  const figures = charts.map((chart) => element("figure", {}, element("figcaption", {}, chart.title)));
  $("charts").append(...figures); // all of them first, since the width of one depends on the others
  for (const [n, chart] of charts.entries()) {
    const figure = figures[n];
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
    const plot = new uPlot({
      width: Math.max(200, figure.clientWidth - 24), height: 170,
      scales: { y: { range: (_, __, max) => [0, Math.max(max || 0, chart.scale ? 1 : 0.5) * 1.1] } },
      axes: [axis, { ...axis, size: 56 }],
      cursor: { points: { size: 6 } },
      series: [{ label: "time" }, ...chart.columns.map(([, label], i) => ({
        label, stroke: strokes[theme()][i], width: 2, points: { show: samples.times.length < 3 },
        value: (_, v) => (v === null || v === undefined ? "–" : v.toPrecision(3)),
      }))],
    }, chartData(chart), figure);
    plot.chart = chart;
    plots.push(plot);
  }
}

async function updateSeries() {
  const after = samples && samples.times.length ? samples.times.at(-1) : 0;
  const more = await attempt(() => api.series(after));
  if (!more) return;
  const first = !samples;
  if (first) samples = more;
  else {
    samples.times.push(...more.times);
    for (const name of Object.keys(more.columns)) samples.columns[name].push(...more.columns[name]);
    while (samples.times.length > 720) {
      samples.times.shift();
      for (const values of Object.values(samples.columns)) values.shift();
    }
  }
  if (first) drawCharts();
  else if (more.times.length) for (const plot of plots) plot.setData(chartData(plot.chart));
}

function lastSample(column) {
  const values = samples && samples.columns[column];
  return values && values.length ? values.at(-1) : null;
}

// healthOf says how the app is. A store that fails is an answer, not an error of this page.
async function healthOf() {
  try {
    const health = await api.health();
    return health.nodes ? "good" : "nodes don't hear each other";
  } catch (error) {
    return error.status === 503 ? "the store fails" : "unknown";
  }
}

async function updateTiles() {
  const [stats, health] = await Promise.all([attempt(api.stats), healthOf()]);
  if (!stats) return;
  const ping = lastSample("storePing");
  const tiles = [
    ["Connections here", number(stats.conns)],
    ["Sessions in use here", number(stats.attached)],
    ["Stored", number(stats.writes)],
    ["Refused credentials", number(stats.refused)],
    ["Store errors", number(stats.storeErrors)],
    ["Store answers", ping === null ? "–" : (ping * 1000).toPrecision(2) + " ms"],
    ["Health", health],
  ];
  $("tiles").replaceChildren(...tiles.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

// ---- Sessions ----

let found = [];
let cursor = "";

function sessionRows(list) {
  return list.map((s) => [
    element("button", { type: "button", class: "link mono", onclick: () => showSession(s.id), "aria-label": "Details of session " + s.id }, short(s.id)),
    s.user || "guest", s.addr || "", ago(s.seen), until(s.expires), s.connsHere ? number(s.connsHere) : "",
  ]);
}

function drawSessions(note) {
  $("sessions-note").textContent = note;
  $("sessions-table").replaceChildren(table(found.length + " sessions", ["Session", "User", "Address", "Active", "Ends", "Connections here"], sessionRows(found)));
  $("more").hidden = !cursor;
}

async function listSessions(more) {
  const page = await attempt(() => api.sessions(more ? cursor : ""));
  if (!page) return;
  found = more ? found.concat(page.sessions) : page.sessions;
  cursor = page.next || "";
  $("sessions-actions").replaceChildren();
  drawSessions(cursor ? "There are more." : "");
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

async function find(query) {
  if (uuid.test(query)) {
    await showSession(query);
    return;
  }
  const page = await attempt(() => api.sessionsOf(query));
  if (!page) return;
  found = page.sessions;
  cursor = "";
  drawSessions("Sessions of the user " + query + ".");
  $("sessions-actions").replaceChildren(...(found.length === 0 ? [] : [
    element("button", { type: "button", class: "danger", onclick: () => signOutUser(query) }, "Sign out " + query + "…"),
  ]));
}

let shown = null;

async function showSession(id) {
  const s = await attempt(() => api.session(id));
  if (!s) return;
  shown = s;
  const facts = [
    ["ID", code(s.id)], ["User", s.user || "guest"], ["Client", code(s.client)], ["Address", s.addr || ""], ["Browser", s.userAgent || ""],
    ["Created", time(s.created)], ["Logged in", time(s.loggedIn)], ["Active", time(s.seen) + " (" + ago(s.seen) + ")"],
    ["Ends", (s.expires ? time(s.expires) + ", " : "") + until(s.expires)], ["Written", number(s.writes) + " times, " + number(s.bytes) + " bytes"],
  ];
  const history = events.filter((e) => e.data.session === s.id);
  $("detail-body").replaceChildren(
    element("dl", {}, ...facts.filter(([, v]) => v !== "").flatMap(([k, v]) => [element("dt", {}, k), element("dd", {}, v)])),
    element("h3", {}, "Values"),
    s.data && Object.keys(s.data).length ? element("pre", { tabindex: "0" }, JSON.stringify(s.data, null, 2)) : element("p", { class: "empty" }, "None."),
    element("h3", {}, "Its last events"),
    history.length === 0 ? element("p", { class: "empty" }, "None since this page was opened.")
      : table(history.length + " events", ["Time", "Event", "What"], history.map(eventCells)));
  $("detail-user").hidden = !s.user;
  if (!$("detail").open) $("detail").showModal();
}

async function signOutSession(id) {
  if (!await confirmed("Sign out this session?", "It ends, and its connections are closed.", "Sign out")) return;
  await attempt(async () => {
    await api.destroy(id);
    toast("The session has ended.");
    $("detail").close();
    await listSessions(false);
  });
}

async function signOutUser(user) {
  if (!await confirmed("Sign out " + user + "?", "All sessions of this user end, and their connections are closed.", "Sign out")) return;
  await attempt(async () => {
    const { ended } = await api.destroyUser(user);
    toast(number(ended) + " sessions of " + user + " have ended.");
    $("detail").close();
    await listSessions(false);
  });
}

async function signOutEveryone() {
  if (!await confirmed("Sign out everyone?", "Every session of " + app + " ends, and all connections are closed. This can't be undone.", "Sign out everyone")) return;
  await attempt(async () => {
    const { ended } = await api.destroyAll();
    toast(number(ended) + " sessions have ended.");
  });
}

// ---- Connections ----

async function listConns() {
  const page = await attempt(api.conns);
  if (!page) return;
  $("connections-note").textContent = page.complete === false ? "A node has not answered: its connections are missing." : "";
  const list = page.conns.slice(0, 500);
  $("connections-table").replaceChildren(table(
    page.conns.length > list.length ? "The first 500 of " + number(page.conns.length) + " connections" : list.length + " connections",
    ["Session", "User", "Address", "Open since", "Active", "Received", "Sent", "Node"],
    list.map((c) => [
      c.session ? element("button", { type: "button", class: "link mono", onclick: () => showSession(c.session), "aria-label": "Details of session " + c.session }, short(c.session)) : "none",
      c.user || "guest", c.addr || "", ago(c.connected), ago(c.active), number(c.received.messages), number(c.sent.messages), c.node || "here",
    ])));
}

// ---- Events ----

const types = ["session.set", "session.destroy", "cleanup", "conn.open", "conn.close", "failure", "credential.rejected"];
const events = []; // the newest first
let paused = false;
let drawing = false;

function whatOf(e) {
  const d = e.data;
  switch (e.type) {
    case "session.set": return [d.new && "new", d.login && "login", d.rotated && "new token", d.keys && d.keys.join(", "), "via " + d.via].filter(Boolean).join(" · ");
    case "session.destroy": return d.reason + " · via " + d.via;
    case "cleanup": return number(d.cleared) + " removed in " + d.seconds.toPrecision(2) + " s";
    case "conn.open": return d.addr || "";
    case "conn.close": return "code " + d.code + (d.reason ? " · " + d.reason : "") + " · open for " + Math.round(d.seconds) + " s";
    case "failure": return d.doing + ": " + d.error;
    case "credential.rejected": return d.credential + " · " + d.reason + (d.addr ? " · " + d.addr : "");
    case "missed": return d.events ? number(d.events) + " events are missing here" : "events are missing here";
  }
  return "";
}

const eventCells = (e) => [new Date(e.timestamp).toLocaleTimeString(), e.type, whatOf(e)];

function wanted(e) {
  if (e.type === "missed") return true;
  const box = $("type-" + e.type);
  const query = $("event-query").value.trim();
  return (!box || box.checked) && (!query || [e.data.session, e.data.client, e.data.user, e.data.previousUser].includes(query));
}

function drawEvents() {
  drawing = false;
  if (paused || $("events").hidden) return;
  const list = events.filter(wanted).slice(0, 200);
  $("events-table").replaceChildren(table(list.length + " events, the newest first", ["Time", "Event", "Session", "User", "What"], list.map((e) => {
    const [when, type, what] = eventCells(e);
    const session = e.data.session;
    return [when, type,
      session ? element("button", { type: "button", class: "link mono", onclick: () => showSession(session), "aria-label": "Details of session " + session }, short(session)) : "",
      e.data.user || "", what];
  })));
}

function scheduleDraw() {
  if (drawing) return;
  drawing = true;
  setTimeout(drawEvents, 250);
}

function take(e) {
  events.unshift(e);
  if (events.length > shownEvents) events.pop();
  scheduleDraw();
}

// listen reads the stream of events until it ends, and goes on where it was. EventSource can't send a
// key, so the stream is read with fetch.
async function listen(stopped) {
  let lastID = "";
  for (let failures = 0; !stopped.aborted;) {
    try {
      const response = await fetch(new URL(of("events"), root), {
        headers: headers({ Accept: "text/event-stream", "Last-Event-ID": lastID || "start" }), signal: stopped, credentials: "omit", cache: "no-store",
      });
      if (response.status === 401) { showLogin(""); return; }
      if (!response.ok) throw new Error("status " + response.status);
      failures = 0;
      setLive(true);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; ;) {
        const { value, done } = await reader.read();
        if (done) break;
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) {
          let data = "";
          for (const lineOfBlock of block.split("\n")) {
            if (lineOfBlock.startsWith("id: ")) lastID = lineOfBlock.slice(4);
            if (lineOfBlock.startsWith("data: ")) data += lineOfBlock.slice(6);
          }
          if (data) take(JSON.parse(data));
        }
      }
    } catch {
      failures++;
    }
    setLive(false);
    if (stopped.aborted) return;
    const longest = Math.min(30000, 500 * 2 ** failures);
    await new Promise((again) => setTimeout(again, longest / 2 + Math.random() * longest / 2));
  }
}

function setLive(on) {
  $("live").textContent = on ? "live" : "offline";
  $("live").classList.toggle("on", on);
}

// ---- Views ----

const views = [...document.querySelectorAll("[data-view]")];
let running = null; // aborts what runs for the app
let ticking = null;

function showView() {
  if (!app) return;
  const name = views.some((v) => "#" + v.id === location.hash) ? location.hash.slice(1) : "overview";
  for (const view of views) view.hidden = view.id !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === "#" + name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = name[0].toUpperCase() + name.slice(1) + " – Sessions";
  if (name === "overview") drawCharts();
  if (name === "sessions") listSessions(false);
  if (name === "connections") listConns();
  if (name === "events") drawEvents();
}

async function tick() {
  await updateSeries();
  if (!$("overview").hidden) await updateTiles();
}

function openApp(name) {
  if (running) running.abort();
  clearInterval(ticking);
  app = name;
  samples = null;
  events.length = 0;
  running = new AbortController();
  listen(running.signal);
  showView();
  tick();
  ticking = setInterval(tick, 5000);
}

function showLogin(error) {
  if (running) running.abort();
  clearInterval(ticking);
  app = key = "";
  $("detail").close();
  for (const view of views) view.hidden = true;
  $("views").hidden = $("appchoice").hidden = $("leave").hidden = true;
  $("login").hidden = false;
  $("login-error").textContent = error;
  $("key").value = "";
  $("key").focus();
}

async function begin() {
  const { apps } = await api.apps();
  $("login").hidden = true;
  $("views").hidden = false;
  $("leave").hidden = !key;
  $("app").replaceChildren(...apps.map((name) => element("option", {}, name)));
  $("appchoice").hidden = apps.length < 2;
  openApp(apps[0]);
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  $("theme").textContent = name === "dark" ? "Light" : "Dark";
  $("theme").setAttribute("aria-label", "Switch to the " + (name === "dark" ? "light" : "dark") + " theme");
  if (!$("overview").hidden) drawCharts();
}

$("event-types").append(...types.map((type) => element("label", {},
  element("input", { type: "checkbox", id: "type-" + type, checked: type !== "cleanup" }), type)));
$("login-form").addEventListener("submit", async (e) => {
  e.preventDefault();
  key = $("key").value.trim();
  try {
    await begin();
  } catch (error) {
    showLogin(error.status === 401 ? "The API doesn't accept this key." : error.message);
  }
});
$("find").addEventListener("submit", (e) => {
  e.preventDefault();
  const query = $("query").value.trim();
  if (query) find(query);
});
$("all").addEventListener("click", () => { $("query").value = ""; listSessions(false); });
$("more").addEventListener("click", () => listSessions(true));
$("refresh").addEventListener("click", listConns);
$("destroy-all").addEventListener("click", signOutEveryone);
$("detail-destroy").addEventListener("click", () => signOutSession(shown.id));
$("detail-user").addEventListener("click", () => signOutUser(shown.user));
$("detail-close").addEventListener("click", () => $("detail").close());
$("leave").addEventListener("click", () => showLogin(""));
$("theme").addEventListener("click", () => setTheme(theme() === "dark" ? "light" : "dark"));
$("app").addEventListener("change", (e) => openApp(e.target.value));
$("event-filter").addEventListener("submit", (e) => e.preventDefault());
$("event-filter").addEventListener("input", scheduleDraw);
$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  $("pause").textContent = paused ? "Go on" : "Pause";
  scheduleDraw();
});
addEventListener("hashchange", () => { showView(); $("main").focus(); });
let resizing;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => { if (!$("overview").hidden) drawCharts(); }, 200);
});

setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
begin().catch((error) => showLogin(error.status === 401 ? "" : error.message));
