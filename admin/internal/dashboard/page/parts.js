// Small parts of the page.

export const $ = (id) => document.getElementById(id);

// element makes an element. Text is always text: nothing from the API is read as HTML.
export function element(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (attribute === "onclick") e.addEventListener("click", value);
    else if (value === true) e.setAttribute(attribute, "");
    else if (value !== false && value !== undefined) e.setAttribute(attribute, value);
  }
  e.append(...children.filter((c) => c !== undefined && c !== null).map((c) => (c instanceof Node ? c : String(c))));
  return e;
}

export const code = (text) => element("code", {}, text);
export const short = (id) => (id ? id.slice(0, 8) : "");
export const number = (n) => n.toLocaleString();
export const counted = (n, one) => number(n) + " " + one + (n === 1 ? "" : "s");
export const time = (text) => (text ? new Date(text).toLocaleString() : "");
export const empty = (text) => element("p", { class: "empty" }, text);

const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

// span returns a duration in its greatest unit.
function span(seconds) {
  const [size, name] = units.find(([size]) => seconds >= size) || [1, "s"];
  return Math.floor(seconds / size) + " " + name;
}

export const ago = (text) => (text ? span(Math.max(0, (Date.now() - new Date(text)) / 1000)) + " ago" : "");
export const until = (text) => (text ? "in " + span(Math.max(0, (new Date(text) - Date.now()) / 1000)) : "never");

// link makes a button that looks like a link.
export function link(text, label, onclick, style = "") {
  return element("button", { type: "button", class: "link " + style, "aria-label": label, onclick }, text);
}

// table shows rows of cells. On a phone each row is a card, with the titles beside the cells.
export function table(caption, titles, rows) {
  if (rows.length === 0) return empty("None.");
  const cell = (content, i) => element(i === 0 ? "th" : "td", { scope: i === 0 ? "row" : undefined, "data-label": titles[i] }, element("span", {}, content));
  return element("table", { class: "cards" },
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...titles.map((title) => element("th", { scope: "col" }, title)))),
    element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map(cell)))));
}

// note shows a message: in the open dialog, above whose backdrop nothing else can be read, or else at
// the bottom of the page for a while.
let fading;
export function note(text) {
  if ($("detail").open) {
    $("detail-error").textContent = text;
    return;
  }
  $("toast").textContent = text;
  clearTimeout(fading);
  fading = setTimeout(() => { $("toast").textContent = ""; }, 6000);
}

// attempt runs an action and shows its error. After a 401 the page asks for a key instead.
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    if (error.status !== 401) note(error.message);
    return undefined;
  }
}

let answer = () => {}; // to the question that is open

// confirmed asks before an action that can't be undone. Cancel has the focus. The event close is not
// the answer: it comes later, when the next question may be open.
export function confirmed(title, text, yes = "Sign out") {
  answer(false);
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  $("confirm").showModal();
  return new Promise((resolve) => { answer = resolve; });
}

export function setUpParts() {
  const dialog = $("confirm");
  dialog.addEventListener("submit", (e) => answer(e.submitter.value === "yes"));
  dialog.addEventListener("cancel", () => answer(false));
  dialog.addEventListener("close", () => { if (!dialog.open) answer(false); });
}
