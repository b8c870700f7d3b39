// The last minutes, second by second.

import { heard, instant } from "/assets/clock.js";

/** As many seconds as the service remembers. */
const SECONDS_MAX = 600;
const FIELDS = ["reads", "hits", "preload_hits", "waited", "errors", "loads", "preloads", "wasted"];

/** What each second has brought. */
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

  /** The sums over the last seconds, of a resource or of all. */
  sum(resource, seconds) {
    return summed(this.#last(seconds), resource);
  }

  /** Averages per second over the last seconds, in steps that are long enough to be smooth. */
  points(resource, seconds) {
    const step = 1000 * (seconds <= 60 ? 1 : seconds <= 300 ? 3 : 5);
    const groups = Map.groupBy(this.#last(seconds), ({ at }) => Math.floor(at / step));
    return [...groups.values()].map((samples) => {
      const { seconds: count, wait_p95_ms, ...sums } = summed(samples, resource);
      const point = { at: samples.at(-1).at, wait_p95_ms };
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

const timed = (sample) => ({ ...sample, at: instant(sample.at) });

function summed(samples, resource) {
  const sum = { seconds: samples.length, wait_p95_ms: 0 };
  for (const field of FIELDS) sum[field] = 0;
  for (const sample of samples) {
    const figures = resource === "" ? sample.total : sample.resources[resource];
    if (figures === undefined) continue;
    for (const field of FIELDS) sum[field] += figures[field];
    sum.wait_p95_ms = Math.max(sum.wait_p95_ms, figures.wait_p95_ms);
  }
  return sum;
}

/** The share of reads that did not wait. */
export const hitRatio = ({ reads, hits }) => (reads > 0 ? hits / reads : null);

/** What it would be if no key had been loaded ahead: the first read of each would have waited. */
export const hitRatioWithout = ({ reads, hits, preload_hits }) =>
  reads > 0 ? Math.max(0, hits - preload_hits) / reads : null;
