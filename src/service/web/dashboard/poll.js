// Asks again and again, as long as somebody looks.

import { complaint, Refusal } from "/assets/api.js";
import { isLocked, lock } from "/assets/login.js";
import { warn } from "/assets/messages.js";

const SLOWER_MAX = 8;

/** Calls `ask` every so many milliseconds, one call after the other; more seldom while it fails. */
export function every(milliseconds, ask) {
  let slower = 1;
  async function turn() {
    if (!document.hidden && !isLocked()) {
      slower = (await attempt(ask, true)) ? 1 : Math.min(slower * 2, SLOWER_MAX);
    }
    setTimeout(turn, milliseconds * slower);
  }
  turn();
}

/** Does something, and says so if it does not work; of what nobody has asked for, not that nobody answers. */
export async function attempt(action, isQuiet = false) {
  try {
    await action();
    return true;
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) {
      lock(complaint(error));
    } else if (error instanceof Refusal) {
      warn(complaint(error));
    } else if (!(error instanceof TypeError && /fetch|network|load/i.test(error.message))) {
      // Such an error is not of the connection: it is ours.
      console.error(error);
    } else if (!isQuiet) {
      warn(complaint(error));
    }
    return false;
  }
}
