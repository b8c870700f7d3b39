// What of the service is looked at: one resource or all, and how many seconds.

import { html, part } from "/assets/dom.js";

export const view = { resource: "", seconds: 300 };

const listeners = new Set();

/** Calls `listener` when something else is looked at. */
export const onChange = (listener) => listeners.add(listener);

const changed = () => listeners.forEach((listener) => listener());

function look(resource) {
  view.resource = resource;
  part("resource").value = resource;
  changed();
}

/** Looks at a resource; at all if it is the one looked at. */
export const toggle = (resource) => look(view.resource === resource ? "" : resource);

/** Offers resources to be chosen, in both places where they are. */
export function offer(resources, keyed) {
  fill(part("resource"), ["", ...resources]);
  // What is looked at has gone.
  if (part("resource").value !== view.resource) look(part("resource").value);
  fill(part("explain-resource"), keyed);
}

function fill(select, names) {
  const offered = [...select.options].map((option) => option.value);
  if (offered.join("\n") === names.join("\n")) return;
  const chosen = select.value;
  select.replaceChildren(...names.map((name) => html("option", { value: name }, name === "" ? "all" : name)));
  select.value = names.includes(chosen) ? chosen : names[0];
}

/** Listens to the choices. */
export function begin() {
  part("resource").addEventListener("change", (event) => look(event.target.value));
  part("window").addEventListener("change", (event) => {
    view.seconds = Number(event.target.value);
    changed();
  });
}
