// The dashboard of an admin API: its views, and the login. It uses that API alone.

import { api, hasKey, onRefused, setApp, setKey } from "./api.js";
import { drawEvents, listen, setLive, setUpEvents } from "./events.js";
import { drawCharts, resetOverview, tick } from "./overview.js";
import { $, element, setUpParts } from "./parts.js";
import { listConns, refreshSessions, resetSessions, setUpSessions, showSession } from "./sessions.js";

const every = 5000; // ms between two looks at the app
const views = [...document.querySelectorAll("[data-view]")];
const draw = { overview: () => { drawCharts(); tick(); }, sessions: refreshSessions, connections: listConns, events: drawEvents };

let running = null; // aborts what runs for the app; null without one
let ticking = 0;

function showView() {
  if (!running) return;
  const name = views.some((v) => "#" + v.id === location.hash) ? location.hash.slice(1) : "overview";
  for (const view of views) view.hidden = view.id !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === "#" + name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = name[0].toUpperCase() + name.slice(1) + " – Sessions";
  draw[name]();
}

function stop() {
  if (running) running.abort();
  running = null;
  clearInterval(ticking);
  setLive(false);
}

function openApp(name) {
  stop();
  setApp(name);
  resetOverview();
  resetSessions();
  running = new AbortController();
  listen(running.signal);
  showView();
  tick();
  ticking = setInterval(tick, every);
}

function showLogin(error) {
  stop();
  setKey("");
  $("confirm").close();
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
  $("leave").hidden = !hasKey();
  $("app").replaceChildren(...apps.map((name) => element("option", {}, name)));
  $("appchoice").hidden = apps.length < 2;
  openApp(apps[0]);
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  const other = name === "dark" ? "light" : "dark";
  $("theme").textContent = other === "dark" ? "Dark theme" : "Light theme";
  $("theme").onclick = () => setTheme(other);
  if (!$("overview").hidden) drawCharts();
}

onRefused(() => showLogin(""));
setUpParts();
setUpSessions();
setUpEvents(showSession);
$("login-form").addEventListener("submit", async (e) => {
  e.preventDefault();
  setKey($("key").value.trim());
  try {
    await begin();
    $("main").focus();
  } catch (error) {
    showLogin(error.status === 401 ? "The API doesn't accept this key." : error.message);
  }
});
$("leave").addEventListener("click", () => showLogin(""));
$("app").addEventListener("change", (e) => openApp(e.target.value));
addEventListener("hashchange", () => {
  showView();
  $("main").focus({ preventScroll: true });
  scrollTo({ top: 0, behavior: "instant" }); // the browser has scrolled to the view, past the header
});
let resizing = 0;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => { if (!$("overview").hidden) drawCharts(); }, 200);
});

setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
begin().catch((error) => showLogin(error.status === 401 ? "" : error.message));
