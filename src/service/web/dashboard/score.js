// What came of preloading, and how good the predictions are.

import { badge, html, part } from "/assets/dom.js";
import { count, fine, NONE, percent } from "/assets/format.js";
import { curve, figures, merged } from "/assets/reliability.js";
import { chooser, Table } from "/assets/table.js";
import { toggle, view } from "/assets/view.js";

const share = (of, whole) => (whole > 0 ? of / whole : null);
const number = (title, field) => ({ title, number: true, cell: ({ stats }) => count(stats[field]) });

/** As `/admin/resources/{name}/score-card` has it. */
const precision = ({ preload_hits, preloads_wasted }) => share(preload_hits, preload_hits + preloads_wasted);
const coverage = ({ preload_hits, misses }) => share(preload_hits, preload_hits + misses);

let table;

export function begin() {
  table = new Table("score", {
    caption: "What came of keys that were loaded ahead, by resource",
    key: ({ stats }) => stats.resource,
    empty: "There are no resources.",
    columns: [
      chooser({
        title: "Resource",
        text: ({ stats }) => stats.resource,
        isChosen: ({ stats }) => stats.resource === view.resource,
        choose: ({ stats }) => toggle(stats.resource),
      }),
      { title: "Mode", cell: mode },
      { title: "Precision", number: true, cell: ({ stats }) => percent(precision(stats)) },
      { title: "Coverage", number: true, cell: ({ stats }) => percent(coverage(stats)) },
      number("Preloads", "preload_count"),
      number("Useful", "preload_hits"),
      number("Wasted", "preloads_wasted"),
      number("Late", "preloads_late"),
      number("Failed", "preloads_failed"),
      number("Refused", "preloads_refused"),
    ],
  });
}

function mode({ stats, policy }) {
  if (stats.predictions.is_muted) return badge("degraded", "muted");
  if (!policy) return NONE;
  return policy.mode === "predicted"
    ? `predicted, from ${percent(policy.threshold)}`
    : String(policy.mode?.classic ? "classic" : policy.mode);
}

/** Shows the latest figures. */
export function show(stats, resources) {
  table.show(stats.resources.map((stats) => ({ stats, policy: resources[stats.resource]?.preload })));
  const seen = stats.resources.filter(({ resource }) => view.resource === "" || resource === view.resource);
  showCalibration(merged(seen.map(({ predictions }) => predictions)));
}

function showCalibration(predictions) {
  const box = part("calibration");
  const isOpen = box.querySelector("details")?.open ?? false;
  const focused = box.contains(document.activeElement);
  const { scored, brier_score, calibration_error } = predictions;
  const title = html("h3", {}, `Calibration of ${view.resource === "" ? "all resources" : view.resource}`);
  if (scored === 0) {
    box.replaceChildren(title, html("p", { class: "hint" }, "No prediction has been judged yet."));
    return;
  }
  const about =
    `${count(scored)} predictions; Brier score ${fine(brier_score)}, where 0 is perfect and 0.25 a tossed coin; ` +
    `what was promised is off by ${percent(calibration_error)} on average.`;
  const details = figures(predictions);
  details.open = isOpen;
  box.replaceChildren(title, curve(predictions), html("p", { class: "hint" }, about), details);
  if (focused) details.firstChild.focus();
}
