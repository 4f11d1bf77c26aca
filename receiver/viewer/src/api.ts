/** Talking with the receiver: one way out, so that a lost session is noticed everywhere. */

import type { Coverage, Session, SlideMark, Study, User, Worklist } from "./types";

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

let lost: () => void = () => undefined;

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
): Promise<Response> {
  const response = await fetch(path, { credentials: "same-origin", ...options });
  if (response.ok) return response;
  if (response.status === 401 && session) lost();
  throw await refusal(response);
}

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const options: RequestInit = { headers: { Accept: "application/json" } };
  if (signal) options.signal = signal;
  return (await (await request(path, options)).json()) as T;
}

function post(path: string, body?: unknown, session = true): Promise<Response> {
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

export async function signIn(name: string, password: string): Promise<User> {
  const response = await post("/api/sign-in", { name, password }, false);
  return ((await response.json()) as { user: User }).user;
}

export async function signOut(): Promise<void> {
  await post("/api/sign-out", {}, false);
}

export const worklist = (): Promise<Worklist> => get("/api/worklist");

export const study = (key: string, signal: AbortSignal): Promise<Study> =>
  get(`/api/studies/${encodeURIComponent(key)}`, signal);

export const coverage = (key: string, signal: AbortSignal): Promise<Coverage> =>
  get(`/api/studies/${encodeURIComponent(key)}/coverage`, signal);

export async function opened(key: string): Promise<void> {
  await post(`/api/studies/${encodeURIComponent(key)}/opened`);
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

/** The cube of a slide's colours; null where they are sRGB already. */
export async function colours(key: string, sop: string, signal: AbortSignal): Promise<Uint8Array | null> {
  const response = await request(`/api/studies/${encodeURIComponent(key)}/colours/${sop}`, { signal });
  return response.status === 204 ? null : new Uint8Array(await response.arrayBuffer());
}
