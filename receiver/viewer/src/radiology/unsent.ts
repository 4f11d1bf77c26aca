/**
 * Marks of studies that were left before the receiver had them.
 *
 * They wait in the memory of this page alone (no patient's data in a browser's storage), are sent
 * until they have come, and are said on the screen meanwhile. They belong to the reader who made
 * them: another who signs in here does not get them, and cannot send them as his own.
 */

import * as api from "../api";
import { ask } from "../dialog";
import { h } from "../dom";
import { passing, pause } from "../trouble";
import { word } from "../words";
import type { KeptMarks } from "./kept";

interface Left {
  readonly kept: KeptMarks;
  /** False where what the receiver has was never read: the marks are added to it. */
  readonly whole: boolean;
  /** The attempt that is on its way: a later one must not overtake it. */
  busy: Promise<unknown>;
  /** It has failed once, or has not come for a while: said on the screen. */
  late: boolean;
}

const LATE_MS = 1500;

const left = new Map<string, Left>();
const failing = new Set<object>();
let owner = "";
let refused = false;

/** Said on every page while something waits. */
export const bar = h("div", { class: "bar inverse", role: "alert", "data-role": "unsent", hidden: true });

export const waiting = (): number => left.size;

/** A study leaves the screen with marks that are not known to have come; `busy` is what was begun. */
export function leave(key: string, kept: KeptMarks, whole: boolean, busy: Promise<unknown>): void {
  const one: Left = { kept, whole, busy, late: false };
  left.set(key, one);
  window.setTimeout(() => delay(one), LATE_MS);
  void send(key, one);
}

/** A study comes back to the screen: its marks go with it, once nothing of them is on its way. */
export async function reclaim(key: string): Promise<{ kept: KeptMarks; whole: boolean } | null> {
  const one = left.get(key);
  if (!one) return null;
  left.delete(key);
  draw();
  await one.busy.catch(() => undefined);
  return one;
}

/** A view whose marks cannot be sent says so here, and when they can again. */
export function says(view: object, fails: boolean): void {
  if (fails) failing.add(view);
  else failing.delete(view);
}

/** Somebody has signed in: what waits is sent on, or belongs to somebody else and goes. */
export function signedIn(user: string): void {
  if (user !== owner) left.clear();
  owner = user;
  for (const [key, one] of left) void send(key, one);
  draw();
}

/** Nothing of a reader's marks stays in this page. */
export function forget(): void {
  left.clear();
  refused = false;
  draw();
}

/** Ask before marks are lost by signing out; true where there are none any more, or they may go. */
export async function mayLose(): Promise<boolean> {
  const end = performance.now() + LATE_MS;
  while (left.size > 0 && performance.now() < end) await new Promise((done) => setTimeout(done, 20));
  if (left.size === 0) return true;
  return new Promise((answer) => {
    const out = h("button", { type: "button", "data-role": "lose" }, word("marks.lose.out"));
    const question = ask("marks.lose.title", h("p", {}, word("marks.lose", { n: left.size })), out);
    out.addEventListener("click", () => {
      answer(true);
      question.close();
    });
    question.element.addEventListener("close", () => answer(false));
    question.element.querySelector("button.plain")?.addEventListener("click", () => answer(false));
  });
}

function delay(one: Left): void {
  one.late = true;
  draw();
}

async function send(key: string, one: Left): Promise<void> {
  await one.busy.catch(() => undefined);
  for (let tries = 0; left.get(key) === one; tries += 1) {
    try {
      one.busy = deliver(key, one);
      await one.busy;
      if (left.get(key) === one) left.delete(key);
      return draw();
    } catch (error) {
      // without a session they wait for their reader
      if (error instanceof api.Refused && error.status === 401) return draw();
      if (!passing(error)) {
        if (left.get(key) === one) left.delete(key);
        refused = true;
        return draw();
      }
    }
    delay(one);
    await new Promise((done) => setTimeout(done, pause(tries)));
  }
}

async function deliver(key: string, { kept, whole }: Left): Promise<void> {
  const as = owner; // by the time it goes, another may be signed in
  if (whole) return api.keepMarks(key, kept, as);
  const there = await api.keptMarks(key, new AbortController().signal, as);
  const all: KeptMarks = {
    marks: [...there.marks, ...kept.marks],
    keys: [...there.keys, ...kept.keys],
    layout: kept.layout ?? there.layout,
  };
  await api.keepMarks(key, all, as);
}

function draw(): void {
  const late = [...left.values()].filter((one) => one.late).length;
  bar.hidden = late === 0 && !refused;
  const seen = h("button", { type: "button", onclick: () => ((refused = false), draw()) }, word("marks.seen"));
  bar.replaceChildren(
    ...(late > 0 ? ["▲ ", word("marks.leaving", { n: late })] : []),
    ...(refused ? ["✕ ", word("marks.refused"), " ", seen] : []),
  );
}

if (typeof window !== "undefined") {
  window.addEventListener("beforeunload", (event) => {
    if (left.size > 0 || failing.size > 0) event.preventDefault();
  });
}
