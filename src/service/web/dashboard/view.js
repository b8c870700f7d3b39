// What of the service is looked at: one resource or all, and how many seconds.

import { html, part } from "/assets/dom.js";

export const view = { resource: "", seconds: 300 };

const listeners = new Set();

/** Calls `listener` when something else is looked at. */
export const onChange = (listener) => listeners.add(listener);

const changed = () => listeners.forEach((listener) => listener());

/** Looks at a resource; at all if it is the one looked at. */
export function toggle(resource) {
  view.resource = view.resource === resource ? "" : resource;
  part("resource").value = view.resource;
  changed();
}

/** Offers resources to be chosen, in both places where they are. */
export function offer(resources, keyed) {
  fill(part("resource"), ["", ...resources]);
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
  part("resource").addEventListener("change", (event) => {
    view.resource = event.target.value;
    changed();
  });
  part("window").addEventListener("change", (event) => {
    view.seconds = Number(event.target.value);
    changed();
  });
}
