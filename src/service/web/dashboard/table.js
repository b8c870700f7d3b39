// Tables that are shown again and again: a row stays the same element, so that a focus or a selection in it
// is not lost.

import { html, part, Scrolling, setText, unseen } from "/assets/dom.js";

/**
 * A table within the element `id`. A column has a `title`, whether it holds numbers, and either `cell`, which
 * gives the text or the element of a row, or `control`, which makes an element once and gives `{ element, update }`.
 * The first column names the row; `key` tells rows apart. A column without a title is of actions.
 */
export class Table {
  #rows = new Map();

  constructor(id, { caption, columns, key, empty, tall = false }) {
    Object.assign(this, { columns, key });
    const titles = columns.map(({ title, number }) =>
      html("th", { scope: "col", class: number && "number" }, title === "" ? unseen("Actions") : title),
    );
    this.caption = html("caption", {}, caption);
    this.body = html("tbody");
    this.table = html("table", {}, this.caption, html("thead", {}, html("tr", {}, titles)), this.body);
    this.box = new Scrolling(caption, this.table, tall ? "tall" : "").box;
    /** What is said where there are no rows; before the first are shown, it is not known. */
    this.nothing = empty;
    this.empty = html("p", { class: "hint nothing" }, "Not loaded yet.");
    part(id).append(this.box, this.empty);
    this.#tellWhetherEmpty(0);
  }

  /** Shows these rows, in this order; while somebody is at the table, new ones come last. */
  show(rows) {
    setText(this.empty, this.nothing);
    const wanted = new Map(rows.map((row) => [this.key(row), row]));
    for (const [key, shown] of this.#rows) {
      if (!wanted.has(key)) {
        shown.element.remove();
        this.#rows.delete(key);
      }
    }
    const isHeld = this.body.matches(":hover, :focus-within");
    let before = null;
    for (const [key, row] of wanted) {
      const isNew = !this.#rows.has(key);
      if (isNew) this.#rows.set(key, this.#build());
      const { element, cells } = this.#rows.get(key);
      cells.forEach((update) => update(row));
      if (isNew && isHeld) this.body.append(element);
      else if (!isHeld) place(this.body, element, before);
      before = element;
    }
    this.#tellWhetherEmpty(wanted.size);
  }

  /** The keys of the rows that its box shows. */
  inView() {
    const { top, bottom } = this.box.getBoundingClientRect();
    const isIn = ({ element }) => {
      const row = element.getBoundingClientRect();
      return row.bottom > top && row.top < bottom;
    };
    return [...this.#rows].filter(([, shown]) => isIn(shown)).map(([key]) => key);
  }

  #build() {
    const cells = this.columns.map((column, nth) => {
      const attributes = { class: column.number ? "number" : column.class };
      const element = html(nth === 0 ? "th" : "td", nth === 0 ? { scope: "row", ...attributes } : attributes);
      return { element, update: column.control ? controlled(element, column) : filled(element, column) };
    });
    return {
      element: html(
        "tr",
        {},
        cells.map(({ element }) => element),
      ),
      cells: cells.map(({ update }) => update),
    };
  }

  #tellWhetherEmpty(rows) {
    this.empty.hidden = rows > 0;
    this.box.hidden = rows === 0;
  }
}

function controlled(element, { control }) {
  const made = control();
  element.append(made.element);
  return made.update;
}

function filled(element, { cell }) {
  return (row) => {
    const content = cell(row);
    if (typeof content === "string") setText(element, content);
    // What looks the same stays, and what is selected in it.
    else if (!element.firstChild?.isEqualNode(content)) element.replaceChildren(content);
  };
}

/** Puts a row after another one, if it is not there. */
function place(body, element, before) {
  const next = before === null ? body.firstChild : before.nextSibling;
  if (next !== element) body.insertBefore(element, next);
}

/** A column of names that choose something, such as a resource for all of the page. */
export function chooser({ title, text, isChosen, choose }) {
  const control = () => {
    let row = null;
    const element = html("button", { type: "button", class: "link", click: () => choose(row) });
    const update = (next) => {
      row = next;
      setText(element, text(row));
      element.setAttribute("aria-pressed", isChosen(row));
    };
    return { element, update };
  };
  return { title, control };
}
