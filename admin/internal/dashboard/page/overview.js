// The overview: numbers now, and charts of the last hour.

import { api } from "./api.js";
import { $, ago, attempt, code, counted, element, number, table } from "./parts.js";

const within = 600; // seconds in which a user or a session counts as active
const every = 3; // ticks between two questions to all nodes, whose cost grows with what is active

const charts = [
  { title: "Writes per second", columns: [["writes", "stored"], ["touches", "touched"], ["conflicts", "conflicts"]] },
  { title: "Logins and ends per second", columns: [["logins", "logins"], ["destroys", "ends"]] },
  { title: "Connections per second", columns: [["connects", "opened"], ["disconnects", "closed"]] },
  { title: "Connections and sessions in use here", columns: [["connections", "connections"], ["sessions", "sessions"]] },
  { title: "Failures per second", columns: [["failures", "failures"], ["storeErrors", "store errors"], ["refused", "refused credentials"]] },
  { title: "Milliseconds", scale: 1000, columns: [["storePing", "store answers"], ["revocation50", "revocation, median"], ["revocation99", "revocation, p99"]] },
];
const strokes = { light: ["#1f5fbf", "#b3261e", "#17693a"], dark: ["#8ab4f8", "#ff9d94", "#7bd69f"] };
const kept = 720; // samples: an hour
const narrowest = 300; // seconds that a chart shows at least

let plots = [];
let samples = null; // the table of the API, which grows
let active = null; // what was active lately
let ticks = 0;
let opened = 0; // how many apps have been shown: an answer about an earlier one comes too late
let busy = false;

export function resetOverview() {
  samples = active = null;
  ticks = 0;
  opened++;
  busy = false;
  $("tiles").replaceChildren();
  $("nodes").replaceChildren();
}

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// valueAt returns the value where the pointer is, or else the last one: not everyone has a pointer.
const valueAt = (plot, series, i) => (i === null || i === undefined ? plot.data[series].findLast((v) => v !== null) : plot.data[series][i]);

const rounded = (v) => (v === null || v === undefined ? "–" : Number(v.toPrecision(3)).toLocaleString());

// chartData returns the times and the values. Few samples begin with one of no values: uPlot would
// show years around a single one.
function chartData(chart) {
  const { times, columns } = samples;
  const few = times.length > 0 && times.at(-1) - times[0] < narrowest;
  const values = (name) => columns[name].map((v) => (v === null || !chart.scale ? v : v * chart.scale));
  return [
    few ? [times.at(-1) - narrowest, ...times] : times,
    ...chart.columns.map(([name]) => (few ? [null, ...values(name)] : values(name))),
  ];
}

const hour = (v) => new Date(v * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export function drawCharts() {
  for (const plot of plots) plot.destroy();
  plots = [];
  $("charts").replaceChildren();
  if (!samples || typeof uPlot === "undefined") return;
  const theme = document.documentElement.dataset.theme;
  const axis = { stroke: style("--soft"), grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line") } };
  const figures = charts.map((chart) => element("figure", {}, element("figcaption", {}, chart.title)));
  $("charts").append(...figures); // all of them first, since the width of one depends on the others
  for (const [n, chart] of charts.entries()) {
    const plot = new uPlot({
      width: Math.max(200, figures[n].clientWidth - 24), height: 170,
      scales: { y: { range: (_, __, max) => [0, Math.max(max || 0, chart.scale ? 1 : 0.5) * 1.1] } },
      axes: [{ ...axis, space: 80, size: 30, values: (_, splits) => splits.map(hour) }, { ...axis, size: 56 }],
      cursor: { points: { size: 6 } },
      series: [{ label: "time", value: (u, v, n, i) => new Date(valueAt(u, n, i) * 1000).toLocaleTimeString() }, ...chart.columns.map(([, label], i) => ({
        label, stroke: strokes[theme][i], width: 2, points: { show: samples.times.length < 3 },
        value: (u, v, n, i) => rounded(valueAt(u, n, i)),
      }))],
    }, chartData(chart), figures[n]);
    plot.chart = chart;
    plots.push(plot);
  }
}

async function updateSeries() {
  const asked = opened;
  const more = await attempt(() => api.series(samples && samples.times.length ? samples.times.at(-1) : 0));
  if (!more || asked !== opened) return;
  if (!samples) {
    samples = more;
    if (!$("overview").hidden) drawCharts();
    return;
  }
  samples.times.push(...more.times);
  samples.times.splice(0, samples.times.length - kept);
  for (const [name, values] of Object.entries(samples.columns)) {
    values.push(...more.columns[name]);
    values.splice(0, values.length - kept);
  }
  if (more.times.length) for (const plot of plots) plot.setData(chartData(plot.chart));
}

// quantile returns the smallest of the sorted values that is at least as great as the share q of them.
const quantile = (sorted, q) => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];

// storeTimes says how long the store took to answer in the last hour.
function storeTimes() {
  const answers = samples ? samples.columns.storePing.filter((v) => v !== null).sort((a, b) => a - b) : [];
  if (answers.length === 0) return "–";
  const ms = (q) => quantile(answers, q) * 1000;
  return [0.5, 0.99].map((q) => (ms(q) < 0.1 ? "<\u00a00.1" : rounded(ms(q)))).join(" / ") + "\u00a0ms";
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

async function updateTiles(ask) {
  const asked = opened;
  const [stats, health, now] = await Promise.all([attempt(api.stats), healthOf(), ask ? api.activity(within).catch(() => null) : active]);
  if (!stats || asked !== opened) return;
  active = now;
  const atLeast = active && !active.complete ? "≥ " : ""; // a node has not answered
  const lately = (name) => (active ? atLeast + number(active[name]) : "–");
  const tiles = [
    ["Active users", lately("users")],
    ["Active sessions", lately("sessions")],
    ["Their connections", lately("conns")],
    ["Connections here", number(stats.conns)],
    ["Refused credentials", number(stats.refused)],
    ["Store errors", number(stats.storeErrors)],
    ["Store, median / p99", storeTimes()],
    ["Health", health],
  ];
  $("tiles").replaceChildren(...tiles.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

// updateNodes lists the processes on the store. One that doesn't answer is missing.
async function updateNodes() {
  const asked = opened;
  const page = await api.nodes().catch(() => null);
  if (!page || asked !== opened) return;
  $("nodes").replaceChildren(table(
    counted(page.nodes.length, "node") + (page.complete ? "" : "; another has not answered"),
    ["Node", "Began", "Connections", "Sessions in use", "Store errors", "Health"],
    page.nodes.map(({ node, started, stats }) => [node ? code(node) : "this one", ago(started), number(stats.conns),
      number(stats.attached), number(stats.storeErrors), stats.healthy ? "good" : "doesn't hear the others"])));
}

// tick brings the overview up to date.
export async function tick() {
  if (document.hidden || busy) return;
  const asked = opened;
  busy = true;
  await updateSeries();
  if (!$("overview").hidden) {
    const ask = ticks++ % every === 0;
    await Promise.all([updateTiles(ask), ask ? updateNodes() : null]);
  }
  if (asked === opened) busy = false;
}
