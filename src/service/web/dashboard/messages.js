// What has just happened, in the corner of the page.

import { html, part } from "/assets/dom.js";

const SHOWN_FOR_MS = 8_000;
const SHOWN_MAX = 4;

/** Says that something was done; goes by itself. */
export function tell(text) {
  const message = show(text, "done");
  setTimeout(() => message.remove(), SHOWN_FOR_MS);
}

/** Says that something went wrong; stays until it is dismissed. */
export function warn(text) {
  return show(text, "problem");
}

/** What is wrong with something that is tried again and again: said once, and no more when it works again. */
export class Complaint {
  #text = null;
  #message = null;

  warn(text) {
    // What was dismissed is not said again for being still so.
    if (text === this.#text) return;
    this.settle();
    this.#text = text;
    this.#message = warn(text);
  }

  settle() {
    this.#message?.remove();
    this.#text = this.#message = null;
  }
}

function show(text, kind) {
  const box = part("messages");
  for (const old of box.children) {
    // The same again is no news, and is not read out again.
    if (old.firstChild.textContent === text && kind === "problem") return old;
    if (old.firstChild.textContent === text) old.remove();
  }
  const dismiss = html("button", { type: "button", click: () => message.remove() }, "Dismiss");
  const message = html("p", { class: `message ${kind}` }, html("span", {}, text), dismiss);
  box.append(message);
  while (box.children.length > SHOWN_MAX) box.firstChild.remove();
  return message;
}
