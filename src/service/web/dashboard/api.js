// Asks the service, with the token if there is one.

const NAME = "forewarm.token";

/** That the service did not do what it was asked. */
export class Refusal extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** The token of this tab; nothing else remembers it. */
export const token = {
  get: () => sessionStorage.getItem(NAME),
  set: (text) => sessionStorage.setItem(NAME, text),
  forget: () => sessionStorage.removeItem(NAME),
};

/** The answer to a request, unread. Throws a `Refusal`, or what `fetch` does. */
export async function send(path, { method = "GET", signal, as = token.get() } = {}) {
  const headers = as ? { authorization: `Bearer ${as}` } : {};
  // No form of another site's page can say so, which the service relies on.
  if (method !== "GET") headers["content-type"] = "application/json";
  const options = { method, headers, signal, cache: "no-store", credentials: "omit", redirect: "error" };
  const answer = await fetch(path, options);
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

async function refusal(answer) {
  const problem = await answer.json().catch(() => ({}));
  return new Refusal(answer.status, problem.detail ?? problem.error ?? `status ${answer.status}`);
}

/** What is at a path. */
export const get = async (path, options) => (await send(path, options)).json();

/** Has something done. */
export const post = async (path) => (await send(path, { method: "POST" })).json();

/** A path with a name in the middle, whatever that name is made of. */
export const path = (parts, ...names) => String.raw({ raw: parts }, ...names.map(encodeURIComponent));

/** For answers that may overtake each other: `const isLatest = ask()`, and later whether nobody has asked again. */
export function turns() {
  let latest = 0;
  return () => {
    latest += 1;
    const mine = latest;
    return () => mine === latest;
  };
}

/** What went wrong, for people. */
export function complaint(error) {
  if (!(error instanceof Refusal)) return "The service does not answer.";
  const scope = error.status === 403 && /scope `(\w+)`/.exec(error.message);
  if (scope) return `Your token may not do this: it lacks the scope \u201c${scope[1]}\u201d.`;
  return (
    error.message.charAt(0).toUpperCase() + error.message.slice(1) + (/[.!?]$/.test(error.message) ? "" : ".")
  );
}
