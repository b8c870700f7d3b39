// What reads got, over the time shown, and what preloading has to do with it.

import { fromZero, shares } from "/assets/scale.js";
import { TimeChart } from "/assets/chart.js";
import { html, part, setText } from "/assets/dom.js";
import { bytes, count, mark, milliseconds, NONE, percent, perSecond } from "/assets/format.js";
import { hitRatio, hitRatioWithout, Samples } from "/assets/samples.js";
import { view } from "/assets/view.js";

/** A budget this many times above all values would press them to the ground; its number is told all the same. */
const BUDGET_FITS = 3;

const most = (values) => Math.max(0, ...values);
const rate = { show: perSecond, mark: (value) => `${mark(value)}/s` };

const hits = new TimeChart({
  name: "Hit ratio",
  axis: (values) => shares(values.length > 0 ? Math.min(...values) : 0),
  show: percent,
  mark: (value) => `${mark(value * 100)}\u00a0%`,
  shade: true,
  lines: [
    { name: "with preloading", look: "blue", of: hitRatio },
    { name: "without", look: "grey dashed", of: hitRatioWithout },
  ],
  about:
    "Reads that did not wait for the source. Without preloading, the first read of each preloaded value would have waited.",
});

const waits = new TimeChart({
  name: "Reads that waited",
  axis: (values) => fromZero(most(values)),
  ...rate,
  shade: true,
  lines: [
    {
      name: "without preloading",
      look: "grey dashed",
      of: ({ waited, preload_hits }) => waited + preload_hits,
    },
    { name: "with", look: "blue", of: ({ waited }) => waited },
  ],
  about:
    "Reads that waited for the source, per second. What lies between the lines are waits that preloading has spared.",
});

const loads = new TimeChart({
  name: "Loads",
  axis: (values, { budget }) =>
    fromZero(most([...values, budget?.rate <= BUDGET_FITS * most(values) ? budget.rate : 0])),
  ...rate,
  lines: [
    { name: "all loads", look: "grey", of: (point) => point.loads },
    { name: "preloads", look: "blue", of: (point) => point.preloads },
    { name: "budget", look: "amber dotted", limit: true, of: () => loads.data.budget?.rate ?? null },
    { name: "extra loads allowed", look: "violet dotted", limit: true, of: (point) => extraAllowed(point) },
  ],
  about:
    "Keys asked of the source and keys loaded ahead, per second, against what the policies allow; a budget far above is told, not drawn.",
});

const times = new TimeChart({
  name: "Load time",
  axis: (values) => fromZero(most(values)),
  show: milliseconds,
  mark: (value) => `${mark(value)}\u00a0ms`,
  lines: [{ name: "95 of 100 within", look: "blue", of: ({ load_p95_ms }) => load_p95_ms }],
  about:
    "The time within which 95 of 100 of the latest loads ended, of whatever reason; of all resources, that of the slowest. No line where nothing was loaded.",
});

/** The most loads beyond those of demand, where the policies say so. */
function extraAllowed({ loads: all, preloads }) {
  const extra = loads.data.budget?.extra ?? null;
  return extra === null ? null : extra * Math.max(0, all - preloads);
}

/** What the policies of the resources that are looked at allow together. */
function budgetOf(resources) {
  const seen = Object.values(resources).filter(({ name }) => view.resource === "" || view.resource === name);
  const active = seen
    .map(({ preload }) => preload)
    .filter(({ mode }) => mode !== "off" && mode !== "observe");
  const extras = new Set(active.map(({ extra_loads }) => extra_loads));
  return {
    rate: active.reduce((sum, { loads_per_second }) => sum + loads_per_second, 0),
    // Shares of different things have no sum.
    extra: extras.size === 1 ? [...extras][0] : null,
  };
}

const TILES = [
  [
    "Hit ratio",
    ({ sum }) => percent(hitRatio(sum)),
    ({ sum }) => `${percent(hitRatioWithout(sum))} without preloading`,
  ],
  ["Reads", ({ each }) => perSecond(each("reads")), ({ sum }) => `${count(sum.errors)} got an error`],
  [
    "Waited",
    ({ each }) => perSecond(each("waited")),
    ({ each }) => `${perSecond(each("preload_hits"))} spared by preloading`,
  ],
  [
    "Load time, 95 of 100",
    ({ sum }) => milliseconds(sum.load_p95_ms),
    ({ sum }) => `${milliseconds(sum.worst_load_p95_ms)} at worst`,
  ],
  ["Loads", ({ each }) => perSecond(each("loads")), ({ each }) => `${perSecond(each("preloads"))} preloads`],
  [
    "Wasted preloads",
    ({ each }) => perSecond(each("wasted")),
    ({ sum }) => `${count(sum.preloads)} began, ${count(sum.preload_hits)} were read`,
  ],
  ["In memory", ({ held }) => held.entries, ({ held }) => held.weight],
];

const tiles = TILES.map(([name, value, more]) => ({
  name,
  value,
  more,
  shown: html("b", {}, NONE),
  below: html("span", {}, "\u00a0"),
}));

export function begin() {
  part("charts").append(...[hits, waits, loads, times].map(({ figure }) => figure));
  part("tiles").append(
    ...tiles.map(({ name, shown, below }) =>
      html("div", {}, html("dt", {}, name), html("dd", {}, shown, below)),
    ),
  );
}

/** Shows the samples; `stats` and `resources` are the latest answers, or empty. */
export function show(samples, stats, resources) {
  const { seconds } = view;
  const sum = samples.sum(seconds);
  const each = (field) => (sum.seconds > 0 ? sum[field] / sum.seconds : null);
  const held = inMemory(stats, resources);
  for (const { value, more, shown, below } of tiles) {
    setText(shown, value({ sum, each, held }));
    setText(below, more({ sum, each, held }));
  }
  const end = samples.end ?? Date.now();
  const budget = budgetOf(resources);
  const data = {
    points: samples.points(seconds),
    start: end - seconds * 1000,
    end,
    gap: Samples.gap(seconds),
    budget,
  };
  hits.set(data, hitTitle(sum));
  waits.set(data, `${perSecond(each("waited"))} waited, ${perSecond(each("preload_hits"))} were spared it`);
  loads.set(data, loadTitle(each("preloads"), budget.rate));
  times.set(data, timeTitle(sum));
}

function hitTitle(sum) {
  const [ratio, without] = [hitRatio(sum), hitRatioWithout(sum)];
  if (ratio === null) return "Hit ratio: nothing was read";
  if (percent(ratio) === percent(without)) return `${percent(ratio)} of reads did not wait`;
  return `${percent(ratio)} of reads did not wait; ${percent(without)} without preloading`;
}

function loadTitle(preloads, rate) {
  if (rate === 0) return "Loads: nothing is loaded ahead";
  return `Preloads use ${percent(preloads === null ? 0 : preloads / rate)} of their budget of ${perSecond(rate)}`;
}

function timeTitle({ load_p95_ms: latest, worst_load_p95_ms: worst }) {
  if (latest === null) return "Load time: nothing was loaded";
  return `95 of 100 of the latest loads ended within ${milliseconds(latest)}; ${milliseconds(worst)} at worst`;
}

function inMemory(stats, resources) {
  const seen = (stats.resources ?? []).filter(
    ({ resource }) => view.resource === "" || view.resource === resource,
  );
  if (seen.length === 0) return { entries: NONE, weight: "" };
  const weight = seen
    .filter((stats) => countsBytes(stats, resources))
    .reduce((sum, { weight }) => sum + weight, 0);
  return {
    entries: count(seen.reduce((sum, { entries }) => sum + entries, 0)),
    weight: `entries, ${bytes(weight)}`,
  };
}

/** Whether a capacity is in bytes: its policy says so; of what has none here, large ones are. */
export function countsBytes({ resource, capacity }, resources) {
  const policy = resources[resource]?.policy;
  return policy ? typeof policy.capacity === "string" : capacity >= 65_536;
}
