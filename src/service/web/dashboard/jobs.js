// Jobs: when they are due, what came of them, and having one run now.

import { get, path, post } from "/assets/api.js";
import { instant } from "/assets/clock.js";
import { badge, html, part, setText, svg } from "/assets/dom.js";
import { count, dayAndTime, distance, NONE, timeOfDay, words } from "/assets/format.js";
import { tell } from "/assets/messages.js";
import { attempt } from "/assets/poll.js";
import { chooser, Table } from "/assets/table.js";

const RUNS_MAX = 20;
const STRIP = 10;
/** How long a run that was asked for is looked for. */
const LOOKS_MAX = 60;
const LOOK_MS = 500;
/** Other nodes run jobs too: the chosen one is asked for its runs so often. */
const RUNS_LAST_MS = 10_000;

/** What failed, and what did not come to a verdict. */
const OUTCOMES = { succeeded: "up", failed: "down", deadline: "down", panicked: "down" };

let jobs = [];
let chosen = null;
let list;
let table;
/** The runs of jobs, how a job was when they were asked for, and when that was. */
const runs = new Map();
/** Jobs whose runs are looked for, since somebody has had them run. */
const looked = new Set();

export function begin() {
  list = new Table("job-list", {
    caption: "Jobs, when they are due, and how they are doing",
    key: ({ name }) => name,
    empty: "No job is declared.",
    tall: true,
    columns: [
      chooser({
        title: "Job",
        text: ({ name }) => name,
        isChosen: ({ name }) => name === chosen,
        choose: ({ name }) => choose(name),
      }),
      { title: "Due", class: "wraps", cell: ({ triggers }) => triggers.join("; ") || "by hand" },
      { title: "Next run", cell: next },
      { title: "State", cell: state },
      { title: "Last runs", cell: ({ name }) => strip(runs.get(name)?.rows ?? []) },
      { title: "", control: buttons },
    ],
  });
  table = new Table("runs", {
    caption: "The latest runs of the job, newest first",
    key: ({ run_id }) => run_id,
    empty: "It has not been run.",
    tall: true,
    columns: [
      { title: "Due", cell: ({ scheduled }) => time(scheduled) },
      { title: "Reason", cell: ({ reason }) => words(reason) },
      { title: "Outcome", class: "wraps", cell: ended },
      {
        title: "Took",
        number: true,
        cell: ({ took }) => (took ? took.split(" ").slice(0, 2).join(" ") : NONE),
      },
      { title: "Attempts", number: true, cell: ({ attempts }) => count(attempts) },
    ],
  });
}

const time = (text) =>
  html("time", { datetime: text, title: dayAndTime(instant(text)) }, timeOfDay(instant(text)));

function next({ next_run, is_paused }) {
  if (next_run === null) return is_paused ? "when resumed" : NONE;
  return html(
    "time",
    { datetime: next_run, title: dayAndTime(instant(next_run)) },
    distance(instant(next_run)),
  );
}

function state({ is_paused, running, waiting, consecutive_failures: failures, last_success }) {
  if (running > 0) return badge("waiting", waiting > 0 ? `running, ${count(waiting)} wait` : "running");
  if (waiting > 0) return badge("waiting", "waiting");
  if (failures > 0) return badge("down", `failed ${failures === 1 ? "once" : `${count(failures)} times`}`);
  if (is_paused) return badge("degraded", "paused");
  return last_success
    ? badge("up", `done ${distance(instant(last_success))}`)
    : badge("unknown", "not yet run");
}

const ended = (run) =>
  html("span", {}, outcome(run), run.error === null ? null : html("small", {}, run.error));

function outcome({ outcome, started }) {
  if (outcome === null) return badge("waiting", started ? "running" : "waiting");
  return badge(OUTCOMES[outcome] ?? "degraded", words(outcome));
}

/** The last runs as marks, oldest first; failures are low as well as red. */
function strip(rows) {
  const marks = rows.slice(0, STRIP).toReversed();
  const good = marks.filter(({ outcome }) => outcome === "succeeded").length;
  const told = marks.length === 0 ? "no runs" : `${good} of the last ${marks.length} runs succeeded`;
  const shapes = marks.map(({ outcome }, nth) => {
    const look = outcome === null ? "grey" : outcome === "succeeded" ? "green" : "red";
    const [y, height] = look === "green" ? [2, 12] : look === "red" ? [9, 7] : [6, 4];
    return svg("rect", { class: `fill ${look}`, x: nth * 8, y, width: 6, height });
  });
  return svg(
    "svg",
    { width: STRIP * 8, height: 18, role: "img", "aria-label": told },
    svg("title", {}, told),
    shapes,
  );
}

function buttons() {
  let job = null;
  const trigger = html(
    "button",
    { type: "button", class: "small", click: () => looked.has(job.name) || attempt(() => run(job.name)) },
    "Run now",
  );
  const pause = html("button", { type: "button", class: "small", click: () => attempt(() => hold(job)) });
  const update = (next) => {
    job = next;
    trigger.setAttribute("aria-label", `Run ${job.name} now`);
    // A button that cannot be used would lose the focus.
    trigger.setAttribute("aria-disabled", looked.has(job.name));
    setText(pause, job.is_paused ? "Resume" : "Pause");
    pause.setAttribute("aria-label", `${job.is_paused ? "Resume" : "Pause"} ${job.name}`);
  };
  return { element: html("span", { class: "buttons" }, trigger, pause), update };
}

/** Has a job run now, and looks how that goes. */
async function run(name) {
  looked.add(name);
  show();
  try {
    const { message, run_id } = await post(path`/admin/jobs/${name}/trigger`);
    tell(`${message}.`);
    chosen = name;
    await follow(name, run_id);
  } finally {
    looked.delete(name);
    show();
  }
  await refresh();
}

/** Looks for a run until it has ended, but not for ever. */
async function follow(name, wanted) {
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    await load(name);
    show();
    if (runs.get(name).rows.some(({ run_id, ended }) => run_id === wanted && ended !== null)) return;
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}

async function hold({ name, is_paused }) {
  const { message } = await post(
    is_paused ? path`/admin/jobs/${name}/resume` : path`/admin/jobs/${name}/pause`,
  );
  tell(`${message}.`);
  await refresh();
}

function choose(name) {
  chosen = name;
  show();
  attempt(async () => {
    await load(name);
    show();
  });
}

/** Asks how the jobs are doing; and for runs only of those that are shown and have moved, since those may be in L2. */
export async function refresh() {
  jobs = await get("/admin/jobs");
  if (!jobs.some(({ name }) => name === chosen)) chosen = jobs[0]?.name ?? null;
  list.show(jobs);
  const shown = new Set(list.inView()).add(chosen);
  const moved = jobs.filter((job) => shown.has(job.name) && isOld(job));
  await Promise.all(moved.map(async (job) => load(job.name, mark(job))));
  show();
}

function isOld(job) {
  const known = runs.get(job.name);
  return known?.as !== mark(job) || (job.name === chosen && Date.now() - known.at > RUNS_LAST_MS);
}

const mark = ({ last_success, consecutive_failures, running, waiting, next_run }) =>
  [last_success, consecutive_failures, running, waiting, next_run].join();

async function load(name, as = null) {
  const rows = await get(path`/admin/jobs/${name}/runs` + `?limit=${RUNS_MAX}`);
  runs.set(name, { as, rows, at: Date.now() });
}

function show() {
  list.show(jobs);
  setText(part("runs-title"), chosen === null ? "Runs" : `Runs of ${chosen}`);
  const known = runs.get(chosen);
  if (known || chosen === null) table.show(known?.rows ?? []);
}
