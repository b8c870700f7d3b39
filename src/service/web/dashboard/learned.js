// What was learned of reads that follow each other.

import { get } from "/assets/api.js";
import { html, keyText } from "/assets/dom.js";
import { amount, percent } from "/assets/format.js";
import { bar } from "/assets/sparkline.js";
import { Table } from "/assets/table.js";

const PAIRS_MAX = 50;

let pairs;
let rules;

const confident = (confidence) => {
  const text = percent(confidence);
  return html(
    "span",
    { class: "with-bar" },
    bar([{ share: confidence, look: "blue" }], text, 56),
    html("span", {}, text),
  );
};

const named = (key, resource) => html("span", {}, keyText(key), html("small", {}, ` ${resource}`));

export function begin() {
  pairs = new Table("pairs", {
    caption: "Keys that are read soon after each other",
    key: ({ resource, key, related }) => [resource, key, related.resource, related.key].join("\n"),
    empty: "No association has been learned yet.",
    tall: true,
    columns: [
      { title: "After", cell: ({ resource, key }) => named(key, resource) },
      { title: "Then", cell: ({ related }) => named(related.key, related.resource) },
      { title: "Confidence", number: true, cell: ({ related }) => confident(related.confidence) },
      { title: "Times", number: true, cell: ({ related }) => amount(related.weight) },
    ],
  });
  rules = new Table("rules", {
    caption: "Resources whose reads follow each other with the same id",
    key: ({ from, to }) => `${from}\n${to}`,
    empty: "No rule has been learned yet.",
    columns: [
      { title: "After", cell: ({ from }) => from },
      { title: "Then", cell: ({ to }) => to },
      { title: "Confidence", number: true, cell: ({ confidence }) => confident(confidence) },
    ],
  });
}

export async function refresh() {
  const [learnedPairs, learnedRules] = await Promise.all([
    get(`/admin/associations?limit=${PAIRS_MAX}`),
    get("/admin/rules"),
  ]);
  pairs.show(learnedPairs);
  rules.show(learnedRules);
}
