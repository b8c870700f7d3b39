// Numbers, spans and times as people read them.

import { now } from "/assets/clock.js";

/** Stands where there is nothing to say. */
export const NONE = "\u2013";
const SPACE = "\u00a0";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const hundredths = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const thousandths = new Intl.NumberFormat("en", { minimumFractionDigits: 3, maximumFractionDigits: 3 });

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** A number of things. */
export const count = (value) => (isNumber(value) ? whole.format(value) : NONE);

/** A number with three places behind the point. */
export const fine = (value) => (isNumber(value) ? thousandths.format(value) : NONE);

/** A number that need not be whole, in about three digits. */
export function amount(value) {
  if (!isNumber(value)) return NONE;
  if (value === 0 || value >= 100) return whole.format(value);
  return value >= 10 ? tenths.format(value) : hundredths.format(value);
}

/** A number as a mark of an axis has it. */
export const mark = (value) => Number(value.toPrecision(4)).toLocaleString("en");

/** So many a second. */
export const perSecond = (value) => (isNumber(value) ? `${amount(value)}/s` : NONE);

/** A share of 1. */
export function percent(value) {
  if (!isNumber(value)) return NONE;
  const hundred = value * 100;
  return `${hundred === 0 || hundred >= 99.995 ? whole.format(hundred) : tenths.format(hundred)}${SPACE}%`;
}

/** Milliseconds. */
export function milliseconds(value) {
  if (!isNumber(value)) return NONE;
  return value < 1000 ? `${amount(value)}${SPACE}ms` : `${amount(value / 1000)}${SPACE}s`;
}

/** Bytes. */
export function bytes(value) {
  if (!isNumber(value)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? whole.format(value) : tenths.format(value)}${SPACE}${units[unit]}`;
}

/** Seconds, in the unit that fits. */
export function span(seconds) {
  if (!isNumber(seconds)) return NONE;
  if (seconds < 1) return milliseconds(seconds * 1000);
  for (const [size, unit] of [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
  ]) {
    if (seconds >= 2 * size) return `${whole.format(Math.floor(seconds / size))}${SPACE}${unit}`;
  }
  return `${whole.format(seconds)}${SPACE}s`;
}

/** The seconds of a span as the service writes it. */
export const seconds = (duration) => (duration ? duration.secs + duration.nanos / 1e9 : null);

/** How long ago an instant was, or how long it takes until it comes. */
export function distance(at) {
  if (at === null) return NONE;
  const away = (at - now()) / 1000;
  if (Math.abs(away) < 1) return "now";
  return away > 0 ? `in ${span(away)}` : `${span(-away)} ago`;
}

/** The time of day. */
export const timeOfDay = (at, withSeconds = true) =>
  new Date(at).toLocaleTimeString("en-GB", withSeconds ? {} : { hour: "2-digit", minute: "2-digit" });

/** Day and time of day. */
export const dayAndTime = (at) =>
  at === null ? NONE : `${new Date(at).toLocaleDateString("en-CA")} ${timeOfDay(at)}`;

/** A word of the service, as in a sentence: `half_open` is `half open`. */
export const words = (name) => name.replaceAll("_", " ");
