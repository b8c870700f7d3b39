// What the service knows of a key, in sentences.

import { get, path, turns } from "/assets/api.js";
import { badge, html, keyText, part, Scrolling } from "/assets/dom.js";
import { amount, bytes, count, percent, perSecond, seconds, span } from "/assets/format.js";
import { attempt } from "/assets/poll.js";
import { bar } from "/assets/sparkline.js";

const FRESHNESS = { fresh: "up", stale: "degraded", expired: "down" };

const REASONS = {
  expiry: "it was about to expire",
  classic: "the classic rule said so",
  requested: "somebody asked for it to be loaded",
  association: "another key was read after which it is usually read",
  rule: "a key of another resource with the same id was read",
  relation: "a key to which it is related was read",
  elsewhere: "it is read much on other nodes",
  restored: "it was read much before the restart",
  seeded: "it is wanted at the start",
};

const ORIGINS = { demand: "somebody waited for it", refresh: "a value that was served had to be renewed" };

let resources = () => ({});
const ask = turns();

/** `latest` gives the resources as they were last told. */
export function begin(latest) {
  resources = latest;
  part("explain-form").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(show);
  });
}

/** Explains a key, where the form is. */
export function explain(resource, key) {
  part("explain-resource").value = resource;
  part("explain-key").value = key;
  part("explain").scrollIntoView({ block: "nearest" });
  attempt(show);
}

async function show() {
  const [resource, key] = [part("explain-resource").value, part("explain-key").value];
  const isLatest = ask();
  const query = `?key=${encodeURIComponent(key)}`;
  const [known, related] = await Promise.all([
    get(path`/admin/resources/${resource}/explain` + query),
    get(path`/admin/resources/${resource}/related` + query),
  ]);
  if (!isLatest()) return;
  const title = html("h4", {}, keyText(key), ` of ${resource}`);
  const summary = known.summary.charAt(0).toUpperCase() + known.summary.slice(1);
  part("explained").replaceChildren(
    title,
    html("p", { class: "summary" }, `${summary}.`),
    facts(known),
    followers(related),
  );
}

function facts(known) {
  return html(
    "dl",
    { class: "facts" },
    fact("In memory", held(known)),
    known.held && !known.held.is_absent ? fact("Loaded because", because(known.held)) : null,
    fact("Reads", `${perSecond(known.rate)} now; score ${amount(known.score)}`),
    fact("Read again within a ttl", chance(known)),
  );
}

const fact = (title, content) => html("div", {}, html("dt", {}, title), html("dd", {}, content));

function held({ held, is_loading, resource }) {
  const loading = is_loading ? ", loading now" : "";
  if (held === null) return `nothing${loading}`;
  const size = typeof resources()[resource]?.policy.capacity === "string" ? `, ${bytes(held.weight)}` : "";
  const left = seconds(held.fresh_for);
  const what = held.is_absent ? "that the source has no such thing" : `a value${size}`;
  const rest = `${what}, ${span(seconds(held.age))} old${left > 0 ? `, fresh for ${span(left)}` : ""}${loading}`;
  return [badge(FRESHNESS[held.freshness] ?? "unknown", held.freshness), `: ${rest}`];
}

function because({ origin, reason, predicted, is_unread }) {
  const why = origin === "preload" ? (REASONS[reason] ?? reason) : (ORIGINS[origin] ?? origin);
  const promised =
    predicted === null || predicted === undefined ? "" : `; a read was ${percent(predicted)} probable`;
  return `${why}${promised}${is_unread ? "; nobody has read it since" : ""}`;
}

function chance({ probability, threshold }) {
  const told = `${percent(probability)} probable, loaded ahead from ${percent(threshold)}`;
  return [
    bar([{ share: probability, look: probability >= threshold ? "blue" : "grey" }], told, 96),
    ` ${told}`,
  ];
}

function followers(related) {
  if (related.length === 0) return html("p", { class: "hint" }, "No key is known to be read after it.");
  const rows = related.map(({ resource, key, confidence, weight }) =>
    html(
      "tr",
      {},
      html("th", { scope: "row" }, keyText(key)),
      html("td", {}, resource),
      numbers(percent(confidence)),
      numbers(amount(weight)),
    ),
  );
  const titles = [["Key"], ["Resource"], ["Confidence", "number"], ["Times", "number"]];
  const head = html(
    "tr",
    {},
    titles.map(([title, look]) => html("th", { scope: "col", class: look }, title)),
  );
  const caption = html(
    "caption",
    { class: "shown" },
    `Usually read after it: ${count(related.length)} ${related.length === 1 ? "key" : "keys"}`,
  );
  const table = html("table", {}, caption, html("thead", {}, head), html("tbody", {}, rows));
  return new Scrolling("Keys that are read after it", table).box;
}

const numbers = (text) => html("td", { class: "number" }, text);
