/**
 * Urgent studies that nobody has opened: title, sound and a button, whatever page is shown.
 *
 * The work list says what it shows. Anywhere else the receiver is asked when something has
 * happened: a reader in the middle of a case hears the next urgent one as well.
 */

import * as api from "./api";
import { h, put } from "./dom";
import * as events from "./events";
import * as sound from "./sound";
import { speak } from "./spoken";
import type { Call } from "./types";
import { say, word } from "./words";

const SOON_MS = 1_500; // images arrive by hundreds, each with news
const AGAIN_MS = 2_000;
const EVERY_MS = 30_000; // what escalates does so without news

let waiting: readonly Call[] = [];
let asked = false;
const confirmed = new Set<string>();
/** What speaks for the calls: the work list while it is shown. */
let speaker: object | null = null;
const buttons: { readonly element: HTMLElement; readonly of: object | null }[] = [];
const drawn = (element: HTMLElement, of: object | null): HTMLElement => {
  buttons.push({ element, of });
  return element;
};

/** One call of a study: new images after it was done, or a step of its alarm, call again. */
const callOf = ({ key, arrived_at, late, step }: Call): string => `${key} ${arrived_at ?? ""} ${late} ${step}`;

const open = (): readonly Call[] => waiting.filter((one) => !confirmed.has(callOf(one)));

/** Say which urgent studies wait, while `by` speaks. */
export function call(by: object, calls: readonly Call[]): void {
  speaker = by;
  waiting = calls;
  draw();
}

/** `by` speaks no longer: from now on the receiver is asked. */
export function quiet(by: object): void {
  if (speaker === by) speaker = null;
  for (let at = buttons.length - 1; at >= 0; at -= 1) if (buttons[at]?.of === by) buttons.splice(at, 1);
  draw();
}

/** 確認: heard, which is not 開封. */
export function confirm(): void {
  // asked by the hand that confirms: from then on the desktop says so too, where it is wanted
  if ("Notification" in window && Notification.permission === "default") void Notification.requestPermission();
  for (const one of waiting) confirmed.add(callOf(one));
  draw();
}

/** Nobody is signed in: nothing calls. */
export function forget(): void {
  events.hasList(null);
  waiting = [];
  asked = false;
  confirmed.clear();
  noted.clear();
  draw();
}

/** The button of who speaks (`of`), or of all pages but the list. */
export function button(of: object | null = null): HTMLElement {
  return drawn(h("button", { class: "calling inverse", type: "button", hidden: true, onclick: confirm }), of);
}

/** What the desktop was told of already. */
const noted = new Set<string>();

/** A note of the desktop for who looks elsewhere: that something waits, and of nobody. */
function note(calling: readonly Call[]): void {
  const fresh = calling.map(callOf).filter((one) => !noted.has(one));
  for (const one of fresh) noted.add(one);
  if (fresh.length === 0 || document.hasFocus()) return;
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  const made = new Notification("todoke", { body: say("alarm.note"), tag: "todoke-urgent", silent: true });
  made.addEventListener("click", () => window.focus());
}

function draw(): void {
  const calling = open();
  note(calling);
  const title = waiting.length > 0 ? `(${waiting.length}) ${say("prio.urgent")} – todoke` : "todoke";
  put(document.head.querySelector("title") ?? document.body, title);
  for (const { element, of } of buttons) {
    element.hidden = calling.length === 0 || of !== speaker;
    element.replaceChildren("▲▲ ", word("alarm.confirm", { n: calling.length }));
  }
  sound.alarm(calling.length > 0);
  speak("assertive", calling.length > 0 ? say("list.urgent", { n: calling.length }) : "");
}

/** Ask while a reader is here and the list is not on the screen. */
export function watchCalls(here: () => boolean): void {
  let soon = 0;
  const ask = async (): Promise<void> => {
    if (!here() || speaker !== null) return;
    asked = true;
    events.asksList();
    const found = await api.calls().catch(() => null);
    if (speaker !== null || !here()) return;
    if (found === null) return void window.setTimeout(() => void ask(), AGAIN_MS); // told where it lasts
    events.hasList(found.server_time);
    waiting = found.calls;
    draw();
  };
  const hint = (): void => {
    if (soon !== 0 || speaker !== null) return;
    soon = window.setTimeout(() => {
      soon = 0;
      void ask();
    }, SOON_MS);
  };
  events.listen({ study: hint, heartbeat: () => (asked ? undefined : hint()) });
  window.setInterval(() => void ask(), EVERY_MS);
}
