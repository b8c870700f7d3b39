// The keys that are read most. The service does not remember how that changes; this page does.

import { get } from "/assets/api.js";
import { html, keyText, part, setText } from "/assets/dom.js";
import { amount, count } from "/assets/format.js";
import { sparkline } from "/assets/sparkline.js";
import { Table } from "/assets/table.js";
import { view } from "/assets/view.js";

const KEYS_MAX = 100;
export const SAMPLE_MS = 2_000;
/** Three minutes. */
const SAMPLES_MAX = 90;

const name = ({ resource, key }) => `${resource}\n${key}`;

const rates = new Map();
let rows = [];
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
      { title: "Last 3 min", cell: (row) => sparkline(rates.get(name(row)) ?? [], SAMPLES_MAX, told(row)) },
      { title: "Score", number: true, cell: ({ score }) => amount(score) },
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

function told(row) {
  const known = (rates.get(name(row)) ?? []).filter((rate) => rate !== null);
  if (known.length === 0) return "read once";
  return `${amount(Math.min(...known))} to ${amount(Math.max(...known))} reads/s in the last minutes`;
}

/** Takes a sample of the rates, and shows it. */
export async function sample() {
  const resource = view.resource === "" ? "" : `&resource=${encodeURIComponent(view.resource)}`;
  const known = [...part("explain-resource").options].some(({ value }) => value === view.resource);
  rows = view.resource === "" || known ? await get(`/admin/hot-keys?limit=${KEYS_MAX}${resource}`) : [];
  remember();
  show();
}

function remember() {
  const now = new Map(rows.map((row) => [name(row), row.rate]));
  for (const key of now.keys()) {
    if (!rates.has(key)) rates.set(key, []);
  }
  for (const [key, past] of rates) {
    past.push(now.get(key) ?? null);
    if (past.length > SAMPLES_MAX) past.shift();
    // What has not been among the first for that long is forgotten.
    if (past.every((rate) => rate === null) && !now.has(key)) rates.delete(key);
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
