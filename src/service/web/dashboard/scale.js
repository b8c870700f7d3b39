// Axes: from values to places, and where the marks stand.

/** Steps that people count in. */
const NICE = [1, 2, 2.5, 5, 10];

/** The lower ends of an axis of shares: as close as the values allow. */
const FLOORS = [0.99, 0.98, 0.95, 0.9, 0.8, 0.6, 0.5, 0];

/** Marks in seconds. */
const SPANS = [5, 10, 15, 30, 60, 120, 300];

/** The marks of an axis that begins at 0 and holds `most`. */
export function fromZero(most, marks = 4) {
  if (most <= 0) return [0, 1];
  const rough = most / marks;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = size * NICE.find((nice) => nice * size >= rough * 0.999);
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, nth) => nth * step);
}

/** The marks of an axis of shares that holds `least` and ends at 1. */
export function shares(least) {
  const floor = FLOORS.find((floor) => floor <= least) ?? 0;
  return Array.from({ length: 5 }, (_, nth) => floor + ((1 - floor) * nth) / 4);
}

/** The whole instants between two at which marks stand that are `width` apart or more. */
export function instants(start, end, length, width) {
  const step =
    1000 * (SPANS.find((span) => ((span * 1000) / (end - start)) * length >= width) ?? SPANS.at(-1));
  const marks = [];
  for (let at = Math.ceil(start / step) * step; at <= end; at += step) marks.push(at);
  return marks;
}

/** From a range of values to a range of places. */
export const linear =
  ([from, to], [start, end]) =>
  (value) =>
    start + ((value - from) / (to - from || 1)) * (end - start);
