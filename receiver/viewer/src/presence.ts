/**
 * Whether there is a hand on the page: without one it is hidden after a while.
 *
 * Windows of one browser are one session: a hand on one keeps all, the lock of one hides all.
 */

import * as api from "./api";

const EVERY = 60_000; // ms; the receiver need not know more exactly
const LOOK_MS = 1_000;
const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel"] as const;

type Said = "here" | "locked" | "unlocked" | "out" | `in ${string}`;

export interface Watched {
  /** Whether a session is open and not locked. */
  open(): boolean;
  idle(): void;
  locked(): void;
  unlocked(): void;
  ended(): void;
  /** Somebody is signed in in this browser, whose session there is but one of. */
  signedIn(name: string): void;
}

const others = new BroadcastChannel("todoke.presence");
let lastHand = Date.now();
let idleMs = 15 * 60_000;

export const tellOthers = (said: Said): void => others.postMessage(said);

export function idleAfter(seconds: number): void {
  idleMs = seconds * 1000;
  lastHand = Date.now();
}

export function watchPresence(watched: Watched): void {
  let asked = Date.now();
  let told = 0;
  const here = (): void => {
    if (!watched.open()) return;
    const now = Date.now();
    if (now - lastHand > idleMs) return watched.idle(); // woken from sleep: the hand may be another's
    lastHand = now;
    if (now - told > LOOK_MS) {
      told = now;
      tellOthers("here");
    }
    if (now - asked < Math.min(EVERY, idleMs / 4)) return;
    asked = now;
    api.session().then(
      (session) => {
        if (session === null) watched.ended();
        else if (session.stage === "locked") watched.locked();
        else watched.signedIn(session.user.name);
      },
      () => undefined, // a lost line is told elsewhere
    );
  };
  for (const sign of SIGNS) window.addEventListener(sign, here, { passive: true, capture: true });
  window.setInterval(() => {
    if (watched.open() && Date.now() - lastHand > idleMs) watched.idle();
  }, LOOK_MS);
  others.addEventListener("message", (event: MessageEvent<Said>) => {
    if (event.data === "here") lastHand = Date.now();
    else if (event.data === "locked") watched.locked();
    else if (event.data === "unlocked") watched.unlocked();
    else if (event.data === "out") watched.ended();
    else watched.signedIn(event.data.slice("in ".length));
  });
}
