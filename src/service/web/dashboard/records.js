// Snapshots, and who has changed what.

import { get, path, post } from "/assets/api.js";
import { instant } from "/assets/clock.js";
import { badge, html } from "/assets/dom.js";
import { count, dayAndTime, distance, timeOfDay } from "/assets/format.js";
import { tell } from "/assets/messages.js";
import { attempt } from "/assets/poll.js";
import { Table } from "/assets/table.js";

const ROWS_MAX = 50;

let snapshots;
let audit;

const moment = (text) =>
  text === null
    ? "\u2013"
    : html("time", { datetime: text, title: dayAndTime(instant(text)) }, distance(instant(text)));

export function begin() {
  snapshots = new Table("snapshots", {
    caption: "Snapshots, and how they are doing",
    key: ({ name }) => name,
    empty: "No snapshot is declared.",
    columns: [
      { title: "Snapshot", cell: ({ name }) => name },
      { title: "State", cell: state },
      { title: "Loaded", cell: ({ last_updated_at }) => moment(last_updated_at) },
      { title: "Next", cell: ({ next_refresh_at }) => moment(next_refresh_at) },
      { title: "", control: renewer },
    ],
  });
  audit = new Table("audit-rows", {
    caption: "Changes that somebody has asked for, newest first",
    key: ({ at, action, subject }) => [at, action, subject].join("\n"),
    empty: "Nobody has changed anything.",
    tall: true,
    columns: [
      {
        title: "At",
        cell: ({ at }) =>
          html("time", { datetime: at, title: dayAndTime(instant(at)) }, timeOfDay(instant(at))),
      },
      { title: "By", cell: ({ by }) => by },
      { title: "Action", cell: ({ action }) => action },
      { title: "Subject", class: "wraps", cell: ({ subject }) => subject.replaceAll("`", "") },
    ],
  });
}

function state({ last_error, consecutive_failures, last_updated_at }) {
  if (last_error !== null) {
    return html(
      "span",
      { title: last_error },
      badge("down", `failed ${count(consecutive_failures)}\u00d7: ${last_error}`),
    );
  }
  return last_updated_at === null ? badge("waiting", "not loaded") : badge("up", "held");
}

function renewer() {
  let snapshot = null;
  const element = html(
    "button",
    { type: "button", class: "small", click: () => attempt(() => renew(snapshot.name)) },
    "Renew",
  );
  return {
    element,
    update(next) {
      snapshot = next;
      element.setAttribute("aria-label", `Renew ${snapshot.name}`);
    },
  };
}

async function renew(name) {
  await post(path`/admin/snapshots/${name}/refresh`);
  tell(`Snapshot ${name} renewed.`);
  await refreshSnapshots();
}

export async function refreshSnapshots() {
  snapshots.show(await get("/admin/snapshots"));
}

export async function refreshAudit() {
  audit.show(await get(`/admin/audit?limit=${ROWS_MAX}`));
}
