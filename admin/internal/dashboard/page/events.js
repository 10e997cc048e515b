// The stream of events.

import { follow } from "./api.js";
import { $, counted, element, link, number, short, table } from "./parts.js";

const kept = 500;
const shown = 200;
const types = ["session.set", "session.destroy", "cleanup", "conn.open", "conn.close", "failure", "credential.rejected"];

const events = []; // the newest first
let paused = false;
let drawing = false;
let open = () => {}; // shows the details of a session

function what(e) {
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

const clock = (e) => new Date(e.timestamp).toLocaleTimeString();

// historyTable shows the events of one session, the newest first.
export const historyTable = (list) => table(counted(list.length, "event"), ["Time", "Event", "What"], list.map((e) => [clock(e), e.type, what(e)]));

function wanted(e) {
  if (e.type === "missed") return true;
  const box = $("type-" + e.type);
  const query = $("event-query").value.trim();
  return (!box || box.checked) && (!query || [e.data.session, e.data.client, e.data.user, e.data.previousUser].includes(query));
}

export function drawEvents() {
  drawing = false;
  if (paused || $("events").hidden) return;
  const region = $("events-table");
  if (region.contains(document.activeElement) && region !== document.activeElement) return; // a button in it has the focus
  const list = events.filter(wanted).slice(0, shown);
  region.replaceChildren(table(counted(list.length, "event") + ", the newest first", ["Time", "Event", "Session", "User", "What"], list.map((e) => {
    const session = e.data.session;
    return [clock(e), e.type, session ? link(short(session), "Details of session " + session, () => open(session), "mono") : "", e.data.user || "", what(e)];
  })));
}

function scheduleDraw() {
  if (drawing) return;
  drawing = true;
  setTimeout(drawEvents, 250);
}

export function listen(stopped) {
  events.length = 0;
  follow("", stopped, (e) => {
    events.unshift(e);
    if (events.length > kept) events.pop();
    scheduleDraw();
  }, setLive);
}

export function setLive(on) {
  $("live").textContent = on ? "live" : "offline";
  $("live").classList.toggle("on", on);
}

export function setUpEvents(showSession) {
  open = showSession;
  $("event-types").append(...types.map((type) => element("label", {},
    element("input", { type: "checkbox", id: "type-" + type, checked: type !== "cleanup" }), type)));
  $("event-filter").addEventListener("submit", (e) => e.preventDefault());
  $("event-filter").addEventListener("input", scheduleDraw);
  $("events-table").addEventListener("focusout", scheduleDraw);
  $("pause").addEventListener("click", () => {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", String(paused));
    scheduleDraw();
  });
}
