// Every second of the service, as it happens: read by `fetch`, since an `EventSource` sends no token.

import { complaint, get, Refusal, send } from "/assets/api.js";
import { isLocked, lock } from "/assets/login.js";
import { Complaint } from "/assets/messages.js";
import { view } from "/assets/view.js";

/** A second without a sample is late; so many mean that the line is dead. */
const SILENT_MAX_MS = 6_000;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 10_000;

/** What ends the present line. */
let broken = new AbortController();

/** Listens to what is looked at now, and no more to what was before. */
export const listenAnew = () => broken.abort();

/** Listens without end to what is looked at. `on` has `history`, `sample` and `state`. */
export async function listen(on) {
  const refused = new Complaint();
  let wait = RETRY_MIN_MS;
  for (;;) {
    await until(() => !document.hidden && !isLocked());
    const { resource } = view;
    try {
      await listenOnce(resource, on, () => {
        wait = RETRY_MIN_MS;
        refused.settle();
      });
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) lock(complaint(error));
      else if (error instanceof Refusal) refused.warn(complaint(error));
      // A line that breaks is no mistake; all else is one of ours.
      else if (!["AbortError", "TypeError"].includes(error.name)) console.error(error);
    }
    if (resource !== view.resource) continue;
    on.state(document.hidden ? "paused" : "reconnecting");
    await pause(wait * (0.5 + Math.random() / 2));
    wait = Math.min(wait * 2, RETRY_MAX_MS);
  }
}

/** Listens until the line breaks, falls silent, or nobody looks any more. */
async function listenOnce(resource, on, heard) {
  broken = new AbortController();
  const leave = () => document.hidden && broken.abort();
  document.addEventListener("visibilitychange", leave);
  let silence = setTimeout(listenAnew, SILENT_MAX_MS);
  try {
    const { signal } = broken;
    const whose = resource === "" ? "" : `?resource=${encodeURIComponent(resource)}`;
    const answer = await send(`/admin/events${whose}`, { signal });
    on.history((await get(`/admin/history${whose}`, { signal })).samples);
    for await (const event of events(answer.body)) {
      clearTimeout(silence);
      silence = setTimeout(listenAnew, SILENT_MAX_MS);
      if (event.name !== "sample") continue;
      heard();
      on.sample(JSON.parse(event.data));
      on.state("live");
    }
  } finally {
    clearTimeout(silence);
    document.removeEventListener("visibilitychange", leave);
    broken.abort();
  }
}

/** The events of a stream, of which a piece may end anywhere. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    yield* blocks.map(event);
  }
}

function event(block) {
  const fields = { name: "message", data: "" };
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) fields.name = line.slice(6).trim();
    if (line.startsWith("data:")) fields.data += line.slice(5).trim();
  }
  return fields;
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

async function until(condition) {
  while (!condition()) await pause(200);
}
