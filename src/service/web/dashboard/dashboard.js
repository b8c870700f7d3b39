// The dashboard: asks the service again and again, and shows what it says.

import { get } from "/assets/api.js";
import { part, setText } from "/assets/dom.js";
import * as engine from "/assets/engine.js";
import * as explain from "/assets/explain.js";
import * as jobs from "/assets/jobs.js";
import * as keys from "/assets/keys.js";
import * as learned from "/assets/learned.js";
import { listen, listenAnew } from "/assets/live.js";
import { enter } from "/assets/login.js";
import * as overview from "/assets/overview.js";
import { every } from "/assets/poll.js";
import * as records from "/assets/records.js";
import { Samples } from "/assets/samples.js";
import * as score from "/assets/score.js";
import * as view from "/assets/view.js";

/** How often is asked for what the events do not tell. */
const OFTEN_MS = 3_000;
const SELDOM_MS = 10_000;
const RARELY_MS = 30_000;

const samples = new Samples();
/** The latest figures of the resources since the start, and their policies. */
const latest = { stats: null, resources: null };

function showSamples() {
  overview.show(samples, latest.stats ?? {}, latest.resources ?? {});
}

function showFigures() {
  score.show(latest.stats, latest.resources);
  engine.showTiers(latest.stats, latest.resources);
}

async function refreshFigures() {
  latest.stats = await get("/admin/stats");
  showAll();
}

/** Policies change when somebody changes them. */
async function refreshResources() {
  latest.resources = await get("/admin/resources");
  showAll();
}

function showAll() {
  const { stats, resources } = latest;
  if (stats === null || resources === null) return;
  view.offer(
    stats.resources.map(({ resource }) => resource),
    Object.keys(resources),
  );
  showFigures();
}

const on = {
  history(past) {
    samples.reset(past);
    showSamples();
  },
  sample(sample) {
    samples.add(sample);
    showSamples();
  },
  state(state) {
    const live = part("live");
    live.dataset.state = { live: "up", reconnecting: "degraded" }[state] ?? "waiting";
    setText(live, state);
    // What is shown is of before the line broke.
    const isOld = state === "reconnecting";
    if (isOld) engine.forgetHealth();
    document.body.classList.toggle("old", isOld);
  },
};

/** Whether the asking has begun, which goes on after a login. */
let isStarted = false;

function start() {
  if (isStarted) return;
  isStarted = true;
  listen(on);
  every(OFTEN_MS, refreshFigures);
  every(RARELY_MS, refreshResources);
  every(keys.SAMPLE_MS, keys.sample);
  every(OFTEN_MS, jobs.refresh);
  every(OFTEN_MS, engine.refreshHealth);
  every(OFTEN_MS, records.refreshAudit);
  every(SELDOM_MS, learned.refresh);
  every(SELDOM_MS, records.refreshSnapshots);
  every(SELDOM_MS, engine.refreshNodes);
}

async function showVersion() {
  const { version } = await get("/healthz");
  setText(part("version"), version);
}

for (const section of [view, overview, score, learned, jobs, engine, records]) section.begin();
keys.begin(explain.explain);
explain.begin(() => latest.resources ?? {});
let { resource: heard } = view.view;
view.onChange(() => {
  const { resource } = view.view;
  if (resource !== heard) {
    heard = resource;
    samples.reset([]);
    listenAnew();
  }
  showSamples();
  showAll();
  keys.sample().catch(() => {});
});
showVersion().catch(() => {});
enter(start);
