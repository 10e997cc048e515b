// Sessions, their details and their ends, and connections.

import { api, appName, follow } from "./api.js";
import { historyTable } from "./events.js";
import { $, ago, attempt, code, confirmed, counted, element, empty, link, note, number, short, table, time, until } from "./parts.js";

const longestList = 500; // connections
const longestHistory = 200; // events of a session

let found = [];
let cursor = "";
let again = () => listSessions(false); // shows what was asked for, as it is now

export const refreshSessions = () => again();

export function resetSessions() {
  $("query").value = "";
  again = () => listSessions(false);
}

const sessionLink = (id) => link(short(id), "Details of session " + id, () => showSession(id), "mono");
const userLink = (user) => (user ? link(user, "Sessions of " + user, () => find(user)) : "guest");

function drawSessions(text) {
  $("sessions-note").textContent = text;
  $("sessions-table").replaceChildren(table(counted(found.length, "session"), ["Session", "User", "Address", "Active", "Ends", "Connections here"],
    found.map((s) => [sessionLink(s.id), userLink(s.user), s.addr || "", ago(s.seen), until(s.expires), s.connsHere ? number(s.connsHere) : ""])));
  $("more").hidden = !cursor;
}

async function listSessions(more) {
  const page = await attempt(() => api.sessions(more ? cursor : ""));
  if (!page) return;
  again = () => listSessions(false);
  found = more ? found.concat(page.sessions) : page.sessions;
  cursor = page.next || "";
  $("sessions-actions").replaceChildren();
  drawSessions(cursor ? "There are more." : "");
}

async function listFound(filter, title, user) {
  const page = await attempt(() => api.search(filter));
  if (!page) return;
  again = () => listFound(filter, title, user);
  found = page.sessions;
  cursor = "";
  drawSessions(title + (page.next ? " These are the last active ones." : ""));
  $("sessions-actions").replaceChildren(...(found.length === 0 || !user ? [] : [
    element("button", { type: "button", class: "danger", onclick: () => signOutUser(user) }, "Sign out " + user + "…"),
  ]));
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

// find shows what the query names: a session, a client or a user, whose ID may be a UUID, too.
export async function find(query) {
  $("query").value = query;
  if (uuid.test(query)) {
    const session = await api.session(query).catch(() => null);
    if (session) return show(session);
    const page = await attempt(() => api.search({ client: query }));
    if (!page) return undefined;
    if (page.sessions.length) return listFound({ client: query }, "Sessions of the client " + query + ".", "");
  }
  return listFound({ user: query }, "Sessions of the user " + query + ".", query);
}

// ---- Details ----

let shown = null;
let stopHistory = null; // ends the stream of its events

export async function showSession(id) {
  const session = await attempt(() => api.session(id));
  if (session) show(session);
}

function show(s) {
  shown = s;
  const facts = [
    ["ID", code(s.id)], ["User", s.user || "guest"], ["Client", code(s.client)], ["Address", s.addr || ""], ["Browser", s.userAgent || ""],
    ["Created", time(s.created)], ["Logged in", time(s.loggedIn)], ["Active", time(s.seen) + " (" + ago(s.seen) + ")"],
    ["Ends", (s.expires ? time(s.expires) + ", " : "") + until(s.expires)], ["Written", counted(s.writes, "time") + ", " + counted(s.bytes, "byte")],
  ];
  $("detail-facts").replaceChildren(...facts.filter(([, v]) => v !== "").flatMap(([k, v]) => [element("dt", {}, k), element("dd", {}, v)]));
  const values = s.data && Object.keys(s.data).length;
  $("detail-values").replaceChildren(values
    ? element("pre", { tabindex: "0", role: "region", "aria-label": "The session's values" }, JSON.stringify(s.data, null, 2))
    : empty("None."));
  $("detail-user").hidden = !s.user;
  $("detail-error").textContent = "";
  if (!$("detail").open) $("detail").showModal();
  $("detail").scrollTop = 0;
  showHistory(s.id);
  showConns(s.id);
}

// showHistory shows the events of the session that the API remembers, and those that follow.
function showHistory(id) {
  if (stopHistory) stopHistory.abort();
  stopHistory = new AbortController();
  const list = []; // the newest first
  let drawing = false;
  const draw = () => {
    drawing = false;
    $("detail-history").replaceChildren(list.length ? historyTable(list) : empty("None that the API remembers."));
  };
  draw();
  follow("?session=" + encodeURIComponent(id), stopHistory.signal, (e) => {
    list.unshift(e);
    list.splice(longestHistory);
    if (!drawing) setTimeout(draw, 50);
    drawing = true;
  });
}

async function showConns(session) {
  $("detail-conns").replaceChildren();
  const page = await attempt(() => api.connsOf(session));
  if (!page || shown.id !== session) return;
  $("detail-conns").replaceChildren(table(counted(page.conns.length, "connection"), ["Connection", "Address", "Open since", "Active", "Node"],
    page.conns.map((c) => [code(short(c.id)), c.addr || "", ago(c.connected), ago(c.active), c.node || "here"])));
}

// ---- Signing out ----

// end ends sessions if that is confirmed, and leaves the details, whose session may be one of them.
async function end(title, text, yes, action) {
  if (!await confirmed(title, text, yes)) return;
  const message = await attempt(action);
  if (message === undefined) return;
  $("detail").close();
  note(message);
  if (!$("sessions").hidden) {
    await again();
    $("main").focus(); // the button may be gone
  }
}

const signOutSession = (id) => end("Sign out this session?", "It ends, and its connections are closed.", "Sign out", async () => {
  await api.destroy(id);
  return "The session has ended.";
});

const signOutUser = (user) => end("Sign out " + user + "?", "All sessions of this user end, and their connections are closed.", "Sign out", async () => {
  const { ended } = await api.destroyUser(user);
  return counted(ended, "session") + " of " + user + " ended.";
});

const signOutEveryone = () => end("Sign out everyone?",
  "Every session of " + appName() + " ends, and all connections are closed. This can't be undone.", "Sign out everyone", async () => {
    const { ended } = await api.destroyAll();
    return counted(ended, "session") + " ended.";
  });

// ---- Connections ----

export async function listConns() {
  const page = await attempt(api.conns);
  if (!page) return;
  $("connections-note").textContent = page.complete === false ? "A node has not answered, or there are more: some are missing." : "";
  const list = page.conns.slice(0, longestList);
  $("connections-table").replaceChildren(table(
    page.conns.length > list.length ? "The first " + number(list.length) + " of " + counted(page.conns.length, "connection") : counted(list.length, "connection"),
    ["Session", "User", "Address", "Open since", "Active", "Received", "Sent", "Node"],
    list.map((c) => [c.session ? sessionLink(c.session) : "none", c.user || "guest", c.addr || "", ago(c.connected), ago(c.active),
      number(c.received.messages), number(c.sent.messages), c.node || "here"])));
}

export function setUpSessions() {
  $("find").addEventListener("submit", (e) => {
    e.preventDefault();
    const query = $("query").value.trim();
    if (query) find(query);
  });
  $("all").addEventListener("click", () => { resetSessions(); refreshSessions(); });
  $("more").addEventListener("click", () => listSessions(true));
  $("refresh").addEventListener("click", listConns);
  $("destroy-all").addEventListener("click", signOutEveryone);
  $("detail-destroy").addEventListener("click", () => signOutSession(shown.id));
  $("detail-user").addEventListener("click", () => signOutUser(shown.user));
  $("detail-close").addEventListener("click", () => $("detail").close());
  $("detail").addEventListener("close", () => stopHistory && stopHistory.abort());
}
