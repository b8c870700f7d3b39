// The time of day of the service, which the clock of this machine need not agree with.

let ahead = 0;

/** Notes what time it is there. */
export function heard(at) {
  ahead = at - Date.now();
}

/** The time there, in milliseconds. */
export const now = () => Date.now() + ahead;

/** The instant of a text, in milliseconds; `null` of `null`. */
export function instant(text) {
  // Not every browser reads more than milliseconds.
  return text ? Date.parse(text.replace(/(\.\d{3})\d+/, "$1")) : null;
}
