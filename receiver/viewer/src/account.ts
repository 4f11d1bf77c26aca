/** Talking with the receiver about people: sign-in, factors, the lock. */

import { post, request } from "./api";
import { askPasskey, makePasskey } from "./passkey";
import type { Factor, Person, SessionRow, User } from "./types";

/** How far a sign-in has come: whole, or what is asked for next. */
export interface Step {
  readonly user: User;
  readonly next?: "second" | "enrol";
  readonly factors?: readonly string[];
}

export interface Account {
  readonly user: User;
  readonly factors: readonly Factor[];
  readonly recovery_left: number;
  readonly sessions: readonly SessionRow[];
  readonly least: number;
}

export interface People {
  readonly people: readonly Person[];
  readonly sessions: readonly SessionRow[];
  readonly least: number;
  readonly partners: readonly Institution[];
}

/** Who may send. */
export interface Institution {
  readonly code: string;
  readonly name: string;
}

type Json = Record<string, unknown>;

async function asked<T>(path: string, body?: unknown): Promise<T> {
  return (await (await post(path, body, false)).json()) as T;
}

async function got<T>(path: string): Promise<T> {
  return (await (await request(path)).json()) as T;
}

export const signIn = (name: string, password: string): Promise<Step> =>
  asked("/api/sign-in", { name, password });

export const byCode = (kind: "totp" | "recovery", code: string): Promise<Step> =>
  asked(`/api/sign-in/${kind}`, { code });

export async function byPasskey(): Promise<Step> {
  const credential = await askPasskey(await asked<Json>("/api/sign-in/passkey/options"));
  return asked("/api/sign-in/passkey", { credential });
}

/** How one may sign in here besides name and password: what the service is called, null without. */
export async function service(): Promise<string | null> {
  return (await got<{ oidc: string | null }>("/api/sign-in/ways")).oidc;
}

/** Where the service is at which a sign-in begins, or a locked session's reader shows anew who it is. */
export async function toService(unlocking = false): Promise<string> {
  const path = unlocking ? "/api/session/unlock/oidc" : "/api/sign-in/oidc";
  return (await asked<{ address: string }>(path)).address;
}

export const lock = (): Promise<Response> => post("/api/session/lock", {}, false);

export const unlock = (password: string): Promise<Response> =>
  post("/api/session/unlock", { password }, false);

export async function unlockByPasskey(): Promise<void> {
  const credential = await askPasskey(await asked<Json>("/api/session/unlock/options"));
  await post("/api/session/unlock", { credential }, false);
}

/** Recovery codes come with the first factor only. */
export interface Added {
  readonly recovery?: readonly string[];
}

export const newTotp = (password = ""): Promise<{ secret: string }> =>
  asked("/api/account/totp", { password });

export const confirmTotp = (code: string): Promise<Added> =>
  asked("/api/account/totp/confirm", { code });

export async function addPasskey(password = ""): Promise<Added> {
  const options = await asked<Json>("/api/account/passkey/options", { password });
  const credential = await makePasskey(options);
  return asked("/api/account/passkey", { credential, label: location.hostname });
}

export const enrolled = (): Promise<Step> => asked("/api/account/enrolled");
export const account = (): Promise<Account> => got("/api/account");
export const people = (): Promise<People> => got("/api/people");

/** Do something with one's own account. */
export const change = (what: string, body: Json): Promise<Response> =>
  post(`/api/account/${what}`, body, false);

export const newRecovery = (password: string): Promise<Added> =>
  asked("/api/account/recovery", { password });

export const addPerson = (body: Json): Promise<Response> => post("/api/people", body);

export const changePerson = (name: string, what: string, body: Json = {}): Promise<Response> =>
  post(`/api/people/${encodeURIComponent(name)}/${what}`, body);
