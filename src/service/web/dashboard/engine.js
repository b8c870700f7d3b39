// Tiers, sources, components and nodes.

import { get } from "/assets/api.js";
import { badge, html, part, setText } from "/assets/dom.js";
import { bytes, count, milliseconds, percent, seconds, span } from "/assets/format.js";
import { countsBytes } from "/assets/overview.js";
import { bar } from "/assets/sparkline.js";
import { chooser, Table } from "/assets/table.js";
import { toggle, view } from "/assets/view.js";

const BREAKERS = {
  closed: ["up", "asked"],
  half_open: ["degraded", "being tried"],
  open: ["down", "left alone"],
};

const ANSWERS = [
  ["l1_hits", "memory", "blue"],
  ["l1_stale", "memory, stale", "sky"],
  ["l2_hits", "L2", "green"],
  ["misses", "the source", "amber"],
];

let tiers;
let components;
let nodes;

export function begin() {
  const number = (title, field) => ({ title, number: true, cell: ({ stats }) => count(stats[field]) });
  tiers = new Table("tiers", {
    caption: "Where reads were answered, what memory holds, and whether sources are asked, by resource",
    key: ({ stats }) => stats.resource,
    empty: "There are no resources.",
    columns: [
      chooser({
        title: "Resource",
        text: ({ stats }) => stats.resource,
        isChosen: ({ stats }) => stats.resource === view.resource,
        choose: ({ stats }) => toggle(stats.resource),
      }),
      number("Reads", "total_accesses"),
      { title: "Answered by", cell: ({ stats }) => answers(stats) },
      ...ANSWERS.map(([field, title]) => ({
        title: title[0].toUpperCase() + title.slice(1),
        number: true,
        cell: ({ stats }) => part_of(stats, field),
      })),
      number("Errors", "errors"),
      number("Entries", "entries"),
      { title: "Memory used", number: true, cell: used },
      number("Queued for L2", "queued_invalidations"),
      { title: "Load, 95 of 100", number: true, cell: ({ stats }) => milliseconds(stats.load_time_p95_ms) },
      {
        title: "Source",
        cell: ({ stats }) => badge(...(BREAKERS[stats.breaker] ?? ["unknown", stats.breaker])),
      },
    ],
  });
  part("tiers").prepend(
    html(
      "ul",
      { class: "legend" },
      ANSWERS.map(([, name, look]) => html("li", {}, bar([{ share: 1, look }], name, 12), name)),
    ),
  );
  components = new Table("components", {
    caption: "The components of the service, and how they are doing",
    key: ({ name }) => name,
    empty: "Nothing is known yet.",
    tall: true,
    columns: [
      { title: "Component", cell: ({ name }) => name },
      { title: "State", cell: ({ state }) => badge(state, state) },
      { title: "Detail", class: "wraps", cell: ({ detail }) => detail },
    ],
  });
  nodes = new Table("nodes", {
    caption: "The nodes that share L2",
    key: ({ node }) => node,
    empty: "There is no L2 that nodes could share.",
    columns: [
      {
        title: "Node",
        cell: ({ node, is_self }) =>
          html("span", {}, html("code", {}, node), is_self ? html("small", {}, " this one") : null),
      },
      {
        title: "Seen",
        cell: ({ is_self, seen_ago }) => (is_self ? "now" : `${span(seconds(seen_ago))} ago`),
      },
    ],
  });
}

const share = (stats, field) => (stats.total_accesses > 0 ? stats[field] / stats.total_accesses : 0);
const part_of = (stats, field) => (stats.total_accesses > 0 ? percent(share(stats, field)) : "\u2013");

function answers(stats) {
  const told = ANSWERS.map(([field, name]) => `${name} ${percent(share(stats, field))}`).join(", ");
  return bar(
    ANSWERS.map(([field, , look]) => ({ share: share(stats, field), look })),
    told,
    140,
  );
}

function used({ stats, resources }) {
  const { weight, capacity } = stats;
  const show = countsBytes(stats, resources) ? bytes : count;
  const text = `${show(weight)} of ${show(capacity)}`;
  return html(
    "span",
    { class: "with-bar long" },
    bar([{ share: Math.min(1, weight / (capacity || 1)), look: "blue" }], text, 48),
    html("span", {}, text),
  );
}

/** Shows the latest figures. */
export function showTiers(stats, resources) {
  tiers.show(stats.resources.map((stats) => ({ stats, resources })));
}

/** Asks how the components are doing. */
export async function refreshHealth() {
  const { state, ready, components: rows } = await get("/admin/health");
  // What is not well comes first.
  const rank = ({ state }) => ["down", "degraded", "up"].indexOf(state);
  components.show(rows.toSorted((one, other) => rank(one) - rank(other)));
  const health = part("health");
  health.dataset.state = ready ? state : "down";
  setText(health, ready ? state : "not ready");
}

/** Says that nobody knows any more how the service is doing. */
export function forgetHealth() {
  const health = part("health");
  health.dataset.state = "unknown";
  setText(health, "unknown");
}

/** Asks which nodes there are. */
export async function refreshNodes() {
  nodes.show(await get("/admin/nodes"));
}
