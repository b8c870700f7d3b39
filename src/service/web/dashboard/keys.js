// The keys that are read most. The service does not remember how that changes; this page does.

import { get, turns } from "/assets/api.js";
import { html, keyText, part, setText } from "/assets/dom.js";
import { amount, count } from "/assets/format.js";
import { sparkline } from "/assets/sparkline.js";
import { Table } from "/assets/table.js";
import { view } from "/assets/view.js";

const KEYS_MAX = 100;
export const SAMPLE_MS = 2_000;
const SPAN_MS = 180_000;
/** Without a sample for so long, a line is parted. */
const GAP_MS = 3.5 * SAMPLE_MS;

const name = ({ resource, key }) => `${resource}\n${key}`;

/** The rates of each key as they were at their times. */
const rates = new Map();
const ask = turns();
let rows = [];
let sampledAt = 0;
let table;

/** `explain` is called with the resource and the key that somebody wants explained. */
export function begin(explain) {
  table = new Table("hot", {
    caption: "The keys in memory that are read most",
    key: name,
    empty: "No key matches.",
    tall: true,
    columns: [
      { title: "Key", cell: ({ key }) => keyText(key) },
      { title: "Resource", cell: ({ resource }) => resource },
      { title: "Reads/s", number: true, cell: ({ rate }) => amount(rate) },
      { title: "Last 3 min", cell: line },
      { title: "Heat", number: true, cell: ({ heat }) => amount(heat) },
      { title: "", control: () => explainer(explain) },
    ],
  });
  part("filter").addEventListener("input", show);
}

function explainer(explain) {
  let row = null;
  const element = html(
    "button",
    { type: "button", class: "small", click: () => explain(row.resource, row.key) },
    "Explain",
  );
  return {
    element,
    update(next) {
      row = next;
      element.setAttribute("aria-label", `Explain ${row.key} of ${row.resource}`);
    },
  };
}

function line(row) {
  const points = rates.get(name(row)) ?? [];
  return sparkline(points, { end: sampledAt, span: SPAN_MS, gap: GAP_MS }, told(points));
}

function told(points) {
  const known = points.map(({ value }) => value);
  if (known.length === 0) return "read once";
  return `${amount(Math.min(...known))} to ${amount(Math.max(...known))} reads/s in the last minutes`;
}

/** Takes a sample of the rates, and shows it. */
export async function sample() {
  const resource = view.resource === "" ? "" : `&resource=${encodeURIComponent(view.resource)}`;
  const known = [...part("explain-resource").options].some(({ value }) => value === view.resource);
  const isLatest = ask();
  const answer = view.resource === "" || known ? await get(`/admin/hot-keys?limit=${KEYS_MAX}${resource}`) : [];
  if (!isLatest()) return;
  rows = answer;
  remember();
  show();
}

function remember() {
  sampledAt = Date.now();
  for (const row of rows) {
    if (row.rate === null) continue;
    if (!rates.has(name(row))) rates.set(name(row), []);
    rates.get(name(row)).push({ at: sampledAt, value: row.rate });
  }
  for (const [key, past] of rates) {
    while (past.length > 0 && past[0].at < sampledAt - SPAN_MS) past.shift();
    if (past.length === 0) rates.delete(key);
  }
}

function show() {
  const wanted = part("filter").value.trim().toLowerCase();
  const shown = rows.filter(({ resource, key }) => `${resource} ${key}`.toLowerCase().includes(wanted));
  setText(
    part("filtered"),
    wanted === "" ? `${count(rows.length)} keys` : `${count(shown.length)} of ${count(rows.length)} keys`,
  );
  table.nothing = rows.length === 0 ? "No key has been read yet." : "No key matches.";
  table.show(shown);
}
