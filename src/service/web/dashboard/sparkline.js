// A line in a cell, and bars: how something goes at a glance.

import { svg } from "/assets/dom.js";
import { linear } from "/assets/scale.js";

const WIDTH = 96;
const HEIGHT = 20;

/** A line of `{ at, value }` up to now, from 0 up, parted where none came for the time of `gap`. Told in words too. */
export function sparkline(points, { end, span, gap }, told) {
  const most = Math.max(...points.map(({ value }) => value), 0);
  const x = linear([end - span, end], [1, WIDTH - 4]);
  const y = linear([0, most || 1], [HEIGHT - 2, 3]);
  let line = "";
  let before = -Infinity;
  let last = null;
  for (const { at, value } of points) {
    last = [x(at).toFixed(1), y(value).toFixed(1)];
    line += `${at - before > gap ? "M" : "L"}${last.join(" ")}`;
    before = at;
  }
  // Where it has ended before now, it ends without a mark.
  if (end - before > gap) last = null;
  return svg(
    "svg",
    { class: "sparkline", width: WIDTH, height: HEIGHT, role: "img", "aria-label": told },
    svg("title", {}, told),
    svg("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT - 1.5, y2: HEIGHT - 1.5 }),
    svg("path", { class: "line blue", d: line }),
    last && svg("circle", { class: "dot blue", cx: last[0], cy: last[1], r: 2.2 }),
  );
}

/** A bar of parts, each with a share of the whole, a look and a name. Told in words too. */
export function bar(parts, told, width = 120) {
  let start = 0;
  const shapes = parts.map(({ share, look }) => {
    const shape = svg("rect", {
      class: `fill ${look}`,
      x: start * width,
      y: 0,
      width: Math.max(share * width, 0),
      height: 10,
    });
    start += share;
    return shape;
  });
  return svg(
    "svg",
    { class: "bar-of-parts", width, height: 10, role: "img", "aria-label": told },
    svg("title", {}, told),
    svg("rect", { class: "empty", width, height: 10 }),
    shapes,
  );
}
