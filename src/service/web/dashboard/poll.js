// Asks again and again, as long as somebody looks.

import { complaint, Refusal } from "/assets/api.js";
import { isLocked, lock } from "/assets/login.js";
import { Complaint, warn } from "/assets/messages.js";

const SLOWER_MAX = 8;

/** Calls `ask` every so many milliseconds, one call after the other; more seldom while it fails. */
export function every(milliseconds, ask) {
  const refused = new Complaint();
  let slower = 1;
  async function turn() {
    if (!document.hidden && !isLocked()) {
      const works = await attempt(ask, refused);
      slower = works ? 1 : Math.min(slower * 2, SLOWER_MAX);
      if (works) refused.settle();
    }
    setTimeout(turn, milliseconds * slower);
  }
  turn();
}

/**
 * Does something, and says so if it does not work. What is done again and again, and nobody has asked for, has a
 * complaint of its own; that nobody answers is not said of it.
 */
export async function attempt(action, refused = null) {
  try {
    await action();
    return true;
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) {
      lock(complaint(error));
    } else if (error instanceof Refusal) {
      if (refused) refused.warn(complaint(error));
      else warn(complaint(error));
    } else if (!(error instanceof TypeError && /fetch|network|load/i.test(error.message))) {
      // Such an error is not of the connection: it is ours.
      console.error(error);
    } else if (refused === null) {
      warn(complaint(error));
    }
    return false;
  }
}
