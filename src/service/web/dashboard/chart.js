// Lines over time. A pointer or the arrow keys choose an instant, in all charts of the page at once.

import { html, setText, svg } from "/assets/dom.js";
import { NONE, timeOfDay } from "/assets/format.js";
import { instants, linear } from "/assets/scale.js";

const HEIGHT = 168;
const MARGIN = { top: 10, right: 10, bottom: 22, left: 56 };
/** Between two marks of the time. */
const MARK_WIDTH = 76;

/** The instant that is chosen; `null` is the present. */
export const cursor = { at: null, charts: new Set() };

function choose(at) {
  cursor.at = at;
  for (const chart of cursor.charts) chart.draw();
}

/**
 * A chart. `name` says what it is of; `axis` gives the marks for all values, `show` the text of a value and
 * `mark` that of a mark, both with their unit. A line has `name`, `look` and `of`, which takes its value from a point;
 * `shade: true` fills what is between the first two lines, and `limit: true` is a line that the axis need not hold.
 */
export class TimeChart {
  constructor({ name, axis, show, mark, lines, shade = false, about }) {
    Object.assign(this, { name, axis, show, mark, shade });
    this.lines = lines.map(withEntry);
    this.title = html("h3", {}, name);
    this.drawing = svg("svg", { class: "drawing", height: HEIGHT, "aria-hidden": "true" });
    this.plot = html(
      "div",
      { class: "plot", tabindex: "0", role: "slider", "aria-label": `${name}: instant` },
      this.drawing,
    );
    this.time = html("span", { class: "at" });
    const legend = html(
      "ul",
      { class: "legend" },
      this.lines.map(({ entry }) => entry),
      html("li", {}, this.time),
    );
    this.figure = html(
      "figure",
      { class: "card" },
      this.title,
      legend,
      this.plot,
      html("figcaption", { class: "hint" }, about),
    );
    this.data = { points: [], start: 0, end: 1, gap: 0 };
    this.#listen();
    cursor.charts.add(this);
  }

  /** Shows points between two instants, under a title that says what they are about. */
  set(data, title) {
    this.data = data;
    setText(this.title, title);
    this.draw();
  }

  draw() {
    const { points, start, end } = this.data;
    const width = this.plot.clientWidth;
    if (width === 0) return;
    this.drawing.setAttribute("width", width);
    const x = linear([start, end], [MARGIN.left, width - MARGIN.right]);
    const marks = this.axis(this.#values(), this.data);
    const y = linear([marks[0], marks.at(-1)], [HEIGHT - MARGIN.bottom, MARGIN.top]);
    this.x = x;
    const top = marks.at(-1);
    const chosen = this.#chosen();
    this.drawing.replaceChildren(
      ...this.#frame(x, y, marks, width),
      ...(this.shade ? [this.#shadow(x, y)] : []),
      ...this.lines.map((line) => this.#line(line, x, (value) => y(Math.min(value, top * 1.5)))),
      ...(cursor.at !== null && chosen ? this.#cursor(x(chosen.at), y, chosen, top) : []),
    );
    this.#say(chosen ?? points.at(-1));
  }

  #values() {
    const held = this.lines.filter((line) => !line.limit);
    return this.data.points
      .flatMap((point) => held.map((line) => line.of(point)))
      .filter((value) => value !== null);
  }

  #frame(x, y, marks, width) {
    const { start, end } = this.data;
    const rows = marks.map((mark) => [
      svg("line", {
        class: mark === marks[0] ? "base" : "grid",
        x1: MARGIN.left,
        x2: width - MARGIN.right,
        y1: y(mark),
        y2: y(mark),
      }),
      svg("text", { class: "mark end", x: MARGIN.left - 6, y: y(mark) + 4 }, this.mark(mark)),
    ]);
    const times = instants(start, end, width - MARGIN.left - MARGIN.right, MARK_WIDTH);
    const whole = times.every((at) => at % 60_000 === 0);
    const columns = times
      .filter((at) => x(at) > MARGIN.left + 14 && x(at) < width - MARGIN.right - 14)
      .map((at) => svg("text", { class: "mark middle", x: x(at), y: HEIGHT - 6 }, timeOfDay(at, !whole)));
    return [...rows.flat(), ...columns];
  }

  #line({ look, of }, x, y) {
    const parts = this.#runs(of).map(
      (run) => `M${run.map(([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("L")}`,
    );
    return svg("path", { class: `line ${look}`, d: parts.join("") });
  }

  /** What lies between the first two lines. */
  #shadow(x, y) {
    const [upper, lower] = this.lines.map(({ of }) => this.#runs(of));
    const shapes = upper.map((run, nth) => {
      const back = (lower[nth] ?? []).toReversed();
      return `M${[...run, ...back].map(([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("L")}Z`;
    });
    return svg("path", { class: "shade", d: shapes.join("") });
  }

  /** The points of a line, parted where there are none. */
  #runs(of) {
    const runs = [];
    let before = null;
    for (const point of this.data.points) {
      const value = of(point);
      if (value === null) continue;
      if (before === null || point.at - before > this.data.gap) runs.push([]);
      runs.at(-1).push([point.at, value]);
      before = point.at;
    }
    return runs;
  }

  #cursor(x, y, point, top) {
    const dots = this.lines
      .filter(({ of }) => of(point) !== null && of(point) <= top)
      .map(({ look, of }) => svg("circle", { class: `dot ${look}`, cx: x, cy: y(of(point)), r: 3.5 }));
    return [
      svg("line", { class: "cursor", x1: x, x2: x, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
      ...dots,
    ];
  }

  #chosen() {
    if (cursor.at === null) return null;
    const away = (point) => Math.abs(point.at - cursor.at);
    return this.data.points.reduce(
      (best, point) => (best === null || away(point) < away(best) ? point : best),
      null,
    );
  }

  #say(point) {
    const texts = this.lines
      .filter(({ limit }) => !limit)
      .map(({ name, of }) => [name, this.#text(point ? of(point) : null)]);
    for (const { value, entry, limit, of } of this.lines) {
      const number = point ? of(point) : null;
      setText(value, this.#text(number));
      // What is not limited has no limit to tell.
      if (limit) entry.hidden = number === null;
    }
    setText(this.time, cursor.at === null || !point ? "now" : timeOfDay(point.at));
    const { points } = this.data;
    const said = point
      ? `${timeOfDay(point.at)}: ${texts.map((text) => text.join(" ")).join(", ")}`
      : "no figures yet";
    const values = {
      min: 0,
      max: Math.max(points.length - 1, 0),
      now: Math.max(points.indexOf(point), 0),
      text: said,
    };
    for (const [name, value] of Object.entries(values)) this.plot.setAttribute(`aria-value${name}`, value);
  }

  #text(value) {
    return value === null ? NONE : this.show(value);
  }

  #listen() {
    new ResizeObserver(() => this.draw()).observe(this.plot);
    this.plot.addEventListener("pointermove", (event) => {
      const { start, end } = this.data;
      const left = event.clientX - this.plot.getBoundingClientRect().left;
      const [from, to] = [this.x?.(start) ?? 0, this.x?.(end) ?? 1];
      choose(start + ((left - from) / (to - from || 1)) * (end - start));
    });
    this.plot.addEventListener("pointerleave", () => choose(null));
    this.plot.addEventListener("blur", () => choose(null));
    this.plot.addEventListener("keydown", (event) => this.#step(event));
  }

  #step(event) {
    const { points } = this.data;
    const at = points.indexOf(this.#chosen() ?? points.at(-1));
    const next = {
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      Home: 0,
      End: points.length - 1,
    }[event.key];
    if (event.key === "Escape") choose(null);
    if (next === undefined) return;
    event.preventDefault();
    const point = points[Math.min(Math.max(next, 0), points.length - 1)];
    if (point) choose(point.at);
  }
}

/** A line with what stands for it in the legend. */
function withEntry(line) {
  const { name, look } = line;
  const value = html("b");
  const swatch = svg(
    "svg",
    { class: "swatch", width: 22, height: 10, "aria-hidden": "true" },
    svg("path", { class: `line ${look}`, d: "M1 5H21" }),
  );
  return { ...line, value, entry: html("li", {}, swatch, html("span", {}, name), value) };
}
