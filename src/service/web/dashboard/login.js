// Asks for a token where one is needed.

import { complaint, get, Refusal, token } from "/assets/api.js";
import { part, setText } from "/assets/dom.js";

/** Whether the service has refused us, so that nothing is asked of it until somebody logs in. */
let locked = false;

export const isLocked = () => locked;

/** Stops asking, and asks for a token instead. */
export function lock(problem = "") {
  if (locked) return;
  locked = true;
  token.forget();
  setText(part("login-problem"), problem);
  part("log-out").hidden = true;
  part("log-in").hidden = false;
  open();
}

function open() {
  const dialog = part("login");
  if (!dialog.open) dialog.showModal();
  part("token").focus();
}

/** Sees whether we are let in, then calls `start`; after a login it does too. */
export async function enter(start) {
  part("log-in").addEventListener("click", open);
  part("login-cancel").addEventListener("click", () => part("login").close());
  part("log-out").addEventListener("click", logOut);
  part("login-form").addEventListener("submit", (event) => {
    event.preventDefault();
    logIn(start);
  });
  try {
    await get("/admin/health");
    part("log-out").hidden = token.get() === null;
    start();
  } catch (error) {
    if (!refuses(error)) {
      start();
    } else {
      lock(token.get() === null ? "" : complaint(error));
    }
  }
}

/** One request tells whether a token is good: a wrong one is held against the address it comes from. */
async function logIn(start) {
  const given = part("token").value.trim();
  try {
    await get("/admin/health", { as: given });
  } catch (error) {
    // A token that no header can hold is not one.
    const problem =
      error instanceof TypeError && /[^\x21-\x7e]/.test(given) ? "The token is not known." : complaint(error);
    setText(part("login-problem"), problem);
    part("token").select();
    return;
  }
  token.set(given);
  locked = false;
  part("token").value = "";
  setText(part("login-problem"), "");
  part("login").close();
  part("log-in").hidden = true;
  part("log-out").hidden = false;
  start();
}

/** A new page knows nothing of what the old one has shown. */
function logOut() {
  token.forget();
  location.reload();
}

/** Whether an answer is about the token, and no other token could make it worse. */
export const refuses = (error) => error instanceof Refusal && (error.status === 401 || error.status === 403);
