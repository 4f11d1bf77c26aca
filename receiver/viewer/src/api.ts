/** Talking with the receiver: one way out, so that a lost session is noticed everywhere. */

import type { KeptMarks } from "./radiology/kept";
import type { Asks } from "./reading";
import type { Call, Coverage, Forward, History, MonitorStanding, PriorPair, Purge, Session, SlideMark, Study, Worklist } from "./types";

export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly ja: string,
    readonly en: string,
    readonly number: string | null,
  ) {
    super(`HTTP ${status}`);
  }
}

/** E-1311: the session is locked, not ended. */
const LOCKED = "E-1311";

/** Who this page is of: what it asks is refused where the browser's session is another's by now. */
let acting: string | null = null;

export function actAs(user: string | null): void {
  acting = user;
}

let lost: () => void = () => undefined;
let locked: () => Promise<void> = () => Promise.resolve();

/** Say what happens when the receiver has locked this session; resolves once it is unlocked. */
export function onSessionLocked(action: () => Promise<void>): void {
  locked = action;
}

/** Say what happens when the receiver no longer knows this browser. */
export function onSessionLost(action: () => void): void {
  lost = action;
}

async function refusal(response: Response): Promise<Refused> {
  let said: { number?: string | number; ja?: string; en?: string } = {};
  try {
    said = ((await response.json()) as { error?: typeof said }).error ?? {};
  } catch {
    // a body without words (a proxy's page): the status alone must do
  }
  const number = said.number === undefined ? null : String(said.number);
  return new Refused(response.status, said.ja ?? "", said.en ?? "", number);
}

export async function request(
  path: string,
  options: RequestInit = {},
  session = true,
  as = session ? acting : null,
): Promise<Response> {
  const headers = new Headers(options.headers);
  if (as !== null) headers.set("X-Todoke-As", encodeURIComponent(as));
  const response = await fetch(path, { credentials: "same-origin", ...options, headers });
  if (response.ok) return response;
  const refused = await refusal(response);
  if (refused.number === LOCKED) {
    await locked();
    return request(path, options, session, as); // what was asked for is still wanted
  }
  if (response.status === 401 && session) lost();
  throw refused;
}

async function get<T>(path: string, signal?: AbortSignal, as = acting): Promise<T> {
  const options: RequestInit = { headers: { Accept: "application/json" } };
  if (signal) options.signal = signal;
  return (await (await request(path, options, true, as)).json()) as T;
}

export function post(path: string, body?: unknown, session = true): Promise<Response> {
  return request(
    path,
    {
      method: "POST",
      headers: { "X-Todoke": "1", "Content-Type": "application/json" },
      body: JSON.stringify(body ?? {}),
    },
    session,
  );
}

/** The present session, or null without one. */
export async function session(): Promise<Session | null> {
  try {
    return (await (await request("/api/session", {}, false)).json()) as Session;
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return null;
    throw error;
  }
}

export async function signOut(): Promise<void> {
  await post("/api/sign-out", {}, false);
}

export const worklist = (): Promise<Worklist> => get("/api/worklist");

export const study = (key: string, signal: AbortSignal): Promise<Study> =>
  get(`/api/studies/${encodeURIComponent(key)}`, signal);

export const coverage = (key: string, signal: AbortSignal): Promise<Coverage> =>
  get(`/api/studies/${encodeURIComponent(key)}/coverage`, signal);

const of = (key: string): string => `/api/studies/${encodeURIComponent(key)}`;

/** One of the steps that a reader takes: claim, take-over, release, done, messages, prior-links. */
export async function act(key: string, step: string, said?: unknown): Promise<void> {
  await post(`${of(key)}/${step}`, said);
}

/** Keep a study from being purged; what is told of its purge from now on. */
export async function hold(key: string, reason: string): Promise<Purge | null> {
  return ((await (await post(`${of(key)}/hold`, { reason })).json()) as { purge: Purge | null }).purge;
}

export const asks = (key: string): Promise<Asks> => get(`${of(key)}/asks`);

export const history = (key: string): Promise<History> => get(`${of(key)}/history`);

/** Earlier studies that may be of the same person under another ID, and what readers said of them. */
export const possiblePriors = (key: string, signal: AbortSignal): Promise<{ readonly priors: readonly PriorPair[] }> =>
  get(`${of(key)}/possible-priors`, signal);

/** Urgent studies that nobody has opened, in the words that tell one call from another. */
export const calls = (): Promise<{ readonly server_time: string; readonly calls: readonly Call[] }> => get("/api/calls");

export async function listening(page: string, sound: boolean): Promise<void> {
  await post("/api/listening", { page, sound });
}

/** Nobody listens on this page any more; said once, and never asked again once unlocked. */
export async function listensNoMore(page: string): Promise<void> {
  const headers = { "X-Todoke": "1", "Content-Type": "application/json" };
  const body = JSON.stringify({ page, gone: true });
  await fetch("/api/listening", { method: "POST", credentials: "same-origin", keepalive: true, headers, body });
}

export async function opened(key: string): Promise<void> {
  await post(`/api/studies/${encodeURIComponent(key)}/opened`);
}

const ofReader = (key: string): string => `/api/studies/${encodeURIComponent(key)}/marks`;

/** Marks of `as`, by whom they were made: whoever is signed in by then neither gets nor sends them. */
export const keptMarks = (key: string, signal: AbortSignal, as = acting): Promise<KeptMarks> =>
  get(ofReader(key), signal, as);

const MOST_KEPT_ALIVE = 60_000; // bytes that a browser sends on after its page has gone (Fetch, 64 KiB)

export async function keepMarks(key: string, kept: KeptMarks, as = acting): Promise<void> {
  const body = JSON.stringify(kept);
  const headers = { "X-Todoke": "1", "Content-Type": "application/json" };
  const keepalive = body.length < MOST_KEPT_ALIVE;
  await request(ofReader(key), { method: "POST", headers, body, keepalive }, true, as);
}

/** The reader has chosen to see a study of which images are missing (RAD-09). */
export async function acceptedIncomplete(key: string): Promise<void> {
  await post(`/api/studies/${encodeURIComponent(key)}/incomplete-accepted`);
}

/** Marks of the present user on a study. */
export const slideMarks = (key: string, signal: AbortSignal): Promise<{ readonly marks: readonly SlideMark[] }> =>
  get(`/api/studies/${encodeURIComponent(key)}/slide-marks`, signal);

export async function putSlideMark(key: string, mark: Omit<SlideMark, "id">): Promise<number> {
  const response = await post(`/api/studies/${encodeURIComponent(key)}/slide-marks`, mark);
  return ((await response.json()) as { id: number }).id;
}

export async function dropSlideMark(key: string, id: number): Promise<void> {
  const path = `/api/studies/${encodeURIComponent(key)}/slide-marks/${id}`;
  await request(path, { method: "DELETE", headers: { "X-Todoke": "1" } });
}

export async function askRescan(key: string, series: string, reason: string): Promise<void> {
  await post(`/api/studies/${encodeURIComponent(key)}/rescans`, { series, reason });
}

/** What the present user said of the labels of a study, by series. */
export async function labelsChecked(key: string, signal: AbortSignal): Promise<Readonly<Record<string, boolean>>> {
  const path = `/api/studies/${encodeURIComponent(key)}/labels`;
  return (await get<{ checked: Record<string, boolean> }>(path, signal)).checked;
}

export async function checkLabel(key: string, series: string, same: boolean): Promise<void> {
  await post(`/api/studies/${encodeURIComponent(key)}/labels`, { series, same });
}

/** The cube of a slide's colours; null where they are sRGB already. */
export async function colours(key: string, sop: string, signal: AbortSignal): Promise<Uint8Array | null> {
  const response = await request(`/api/studies/${encodeURIComponent(key)}/colours/${sop}`, { signal });
  return response.status === 204 ? null : new Uint8Array(await response.arrayBuffer());
}

/** Where studies may be handed to, by name alone. */
export async function forwardTargets(): Promise<readonly { readonly name: string }[]> {
  return (await get<{ targets: { name: string }[] }>("/api/forward-targets")).targets;
}

export async function forwards(key: string): Promise<readonly Forward[]> {
  return (await get<{ forwards: Forward[] }>(`/api/studies/${encodeURIComponent(key)}/forwards`)).forwards;
}

export async function forward(key: string, target: string, again: boolean): Promise<void> {
  await post(`/api/studies/${encodeURIComponent(key)}/forwards`, { target, again });
}

/** What was taken back is seen to at the target. */
export async function settled(key: string, forward: string): Promise<void> {
  await post(`/api/studies/${encodeURIComponent(key)}/forwards/${encodeURIComponent(forward)}/settled`);
}

export const monitor = (serial: string, screen: string): Promise<MonitorStanding> =>
  get(`/api/monitor?${new URLSearchParams({ serial, screen }).toString()}`);

export async function keepMonitor(said: unknown): Promise<MonitorStanding> {
  return (await (await post("/api/monitor", said)).json()) as MonitorStanding;
}
