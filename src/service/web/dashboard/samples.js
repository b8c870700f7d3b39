// The last minutes, second by second.

import { heard, instant } from "/assets/clock.js";

/** As many seconds as the service remembers. */
const SECONDS_MAX = 600;
const FIELDS = ["reads", "hits", "preload_hits", "waited", "errors", "loads", "preloads", "wasted"];

/** What each second has brought to what is looked at. */
export class Samples {
  #samples = [];

  /** Begins anew. */
  reset(samples) {
    this.#samples = samples.map(timed);
  }

  add(sample) {
    const next = timed(sample);
    heard(next.at);
    // What comes while the history is asked for stands in both.
    if (this.#samples.length > 0 && next.at <= this.#samples.at(-1).at) return;
    this.#samples.push(next);
    if (this.#samples.length > SECONDS_MAX) this.#samples.shift();
  }

  /** The end of the last second; `null` before the first. */
  get end() {
    return this.#samples.at(-1)?.at ?? null;
  }

  /** The sums over the last seconds. */
  sum(seconds) {
    return summed(this.#last(seconds));
  }

  /** Averages per second over the last seconds, in steps that are long enough to be smooth. */
  points(seconds) {
    const step = 1000 * (seconds <= 60 ? 1 : seconds <= 300 ? 3 : 5);
    const groups = new Map();
    for (const sample of this.#last(seconds)) {
      const nth = Math.floor(sample.at / step);
      if (!groups.has(nth)) groups.set(nth, []);
      groups.get(nth).push(sample);
    }
    return [...groups.values()].map((samples) => {
      const { seconds: count, load_p95_ms, ...sums } = summed(samples);
      const point = { at: samples.at(-1).at, load_p95_ms };
      for (const field of FIELDS) point[field] = sums[field] / count;
      return point;
    });
  }

  /** The longest distance of points that belong together. */
  static gap(seconds) {
    return seconds <= 60 ? 3_500 : 11_000;
  }

  #last(seconds) {
    const since = (this.end ?? 0) - seconds * 1000;
    return this.#samples.filter(({ at }) => at > since);
  }
}

const timed = ({ at, figures }) => ({ at: instant(at), figures });

/** Sums; and of the time that loads take, which has no sum, the latest and the worst. */
function summed(samples) {
  const sum = { seconds: samples.length, load_p95_ms: null, worst_load_p95_ms: null };
  for (const field of FIELDS) sum[field] = 0;
  for (const { figures } of samples) {
    for (const field of FIELDS) sum[field] += figures[field];
    sum.load_p95_ms = figures.load_p95_ms ?? sum.load_p95_ms;
    sum.worst_load_p95_ms = Math.max(sum.worst_load_p95_ms, figures.load_p95_ms) || sum.load_p95_ms;
  }
  return sum;
}

/** The share of reads that did not wait. */
export const hitRatio = ({ reads, hits }) => (reads > 0 ? hits / reads : null);

/** What it would be if no key had been loaded ahead: the first read of each would have waited. */
export const hitRatioWithout = ({ reads, hits, preload_hits }) =>
  reads > 0 ? Math.max(0, hits - preload_hits) / reads : null;
