// A line in a cell, and bars: how something goes at a glance.

import { svg } from "/assets/dom.js";
import { linear } from "/assets/scale.js";

const WIDTH = 96;
const HEIGHT = 20;

/** A line of the last values, from 0 up; `null` where there is none. Told in words too. */
export function sparkline(values, places, told) {
  const most = Math.max(...values.filter((value) => value !== null), 0);
  const x = linear([0, places - 1], [1, WIDTH - 4]);
  const y = linear([0, most || 1], [HEIGHT - 2, 3]);
  const from = places - values.length;
  let line = "";
  let last = null;
  values.forEach((value, nth) => {
    if (value !== null) {
      const [px, py] = [x(from + nth).toFixed(1), y(value).toFixed(1)];
      line += `${last === null ? "M" : "L"}${px} ${py}`;
      last = [px, py];
    } else {
      last = null;
    }
  });
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
