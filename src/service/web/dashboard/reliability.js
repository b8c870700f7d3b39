// What predictions promised, and what came true.

import { html, svg } from "/assets/dom.js";
import { count, percent } from "/assets/format.js";
import { linear } from "/assets/scale.js";

const SIZE = 236;
const MARGIN = { top: 8, right: 10, bottom: 36, left: 46 };
const RADIUS = { min: 3, max: 11 };

/** The figures of several resources as one. */
export function merged(all) {
  const reliability = Array.from({ length: 10 }, (_, tenth) => {
    const parts = all.map((predictions) => predictions.reliability[tenth]).filter((part) => part?.scored > 0);
    const scored = parts.reduce((sum, part) => sum + part.scored, 0);
    const mean = (field) => parts.reduce((sum, part) => sum + part[field] * part.scored, 0) / (scored || 1);
    return { scored, predicted: mean("predicted"), realised: mean("realised") };
  });
  const scored = reliability.reduce((sum, part) => sum + part.scored, 0);
  const weighted = (of) => all.reduce((sum, part) => sum + of(part) * part.scored, 0) / (scored || 1);
  const error = reliability.reduce(
    (sum, part) => sum + part.scored * Math.abs(part.predicted - part.realised),
    0,
  );
  return {
    reliability,
    scored,
    brier_score: weighted((part) => part.brier_score),
    calibration_error: error / (scored || 1),
  };
}

/** The curve: on the diagonal, things come true as often as was promised. */
export function curve({ reliability, scored }) {
  const x = linear([0, 1], [MARGIN.left, SIZE - MARGIN.right]);
  const y = linear([0, 1], [SIZE - MARGIN.bottom, MARGIN.top]);
  const known = reliability.filter((part) => part.scored > 0);
  const line = known
    .map(({ predicted, realised }, nth) => `${nth ? "L" : "M"}${x(predicted)} ${y(realised)}`)
    .join("");
  const discs = known.map(({ predicted, realised, scored: of }) =>
    svg(
      "circle",
      {
        class: "disc",
        cx: x(predicted),
        cy: y(realised),
        r: Math.max(RADIUS.min, RADIUS.max * Math.sqrt(of / scored)),
      },
      svg("title", {}, `promised ${percent(predicted)}, came true ${percent(realised)} of ${count(of)}`),
    ),
  );
  const told = `Of ${count(scored)} predictions, what was promised and what came true; the table has the figures.`;
  return svg(
    "svg",
    {
      class: "drawing reliability",
      viewBox: `0 0 ${SIZE} ${SIZE}`,
      width: SIZE,
      height: SIZE,
      role: "img",
      "aria-label": told,
    },
    [0, 0.25, 0.5, 0.75, 1]
      .map((mark) => [
        svg("line", { class: mark ? "grid" : "base", x1: x(0), x2: x(1), y1: y(mark), y2: y(mark) }),
        svg("line", { class: mark ? "grid" : "base", x1: x(mark), x2: x(mark), y1: y(0), y2: y(1) }),
        svg("text", { class: "mark end", x: x(0) - 6, y: y(mark) + 4 }, `${mark * 100}`),
        svg("text", { class: "mark middle", x: x(mark), y: y(0) + 15 }, `${mark * 100}`),
      ])
      .flat(),
    svg("text", { class: "mark middle", x: x(0.5), y: SIZE - 4 }, "promised, %"),
    svg("text", { class: "mark middle", transform: `translate(12 ${y(0.5)}) rotate(-90)` }, "came true, %"),
    svg("line", { class: "diagonal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    svg("path", { class: "line blue", d: line }),
    discs,
  );
}

/** The same as a table. */
export function figures({ reliability }) {
  const known = reliability.filter((part) => part.scored > 0);
  const cell = (text) => html("td", { class: "number" }, text);
  const rows = known.map((part) =>
    html("tr", {}, cell(percent(part.predicted)), cell(percent(part.realised)), cell(count(part.scored))),
  );
  const titles = ["Promised", "Came true", "Predictions"].map((title) =>
    html("th", { scope: "col", class: "number" }, title),
  );
  return html(
    "details",
    {},
    html("summary", {}, "The figures"),
    html(
      "table",
      {},
      html("caption", {}, "Predictions by what they promised"),
      html("thead", {}, html("tr", {}, titles)),
      html("tbody", {}, rows),
    ),
  );
}
