// Builds elements. What is given as text stays text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; those that are `null` or `undefined` are left out. */
export function html(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** As `html`, of a drawing. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(name, value);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** The element of the page with that id. */
export const part = (id) => document.getElementById(id);

/** Sets a text if it is another one, so that what listens to the page is not told for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A box that scrolls if it has to. Then it can be reached, so that it can be scrolled without a pointer. */
export class Scrolling {
  constructor(name, content, look = "") {
    this.box = html("div", { class: `scroll ${look}`.trim(), role: "group", "aria-label": name }, content);
    const watcher = new ResizeObserver(() => this.#mark());
    watcher.observe(this.box);
    watcher.observe(content);
  }

  #mark() {
    const { box } = this;
    const scrolls = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
    if (scrolls) box.setAttribute("tabindex", "0");
    else if (document.activeElement !== box) box.removeAttribute("tabindex");
  }
}

/** What is heard, and not seen. */
export const unseen = (text) => html("span", { class: "unseen" }, text);

/** A key, in which nothing changes the direction of what stands around it. */
export function keyText(key) {
  return key === ""
    ? html("em", {}, "empty")
    : html("code", { class: "key", title: key }, html("bdi", {}, key));
}

/** A word with a mark before it, whose colour says how good that is. */
export function badge(state, text) {
  return html("span", { class: "state", "data-state": state }, text);
}
