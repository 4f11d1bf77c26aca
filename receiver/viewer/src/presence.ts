/** The receiver ends a session after 15 minutes without its reader; a hand on the page is one. */

import * as api from "./api";

const EVERY = 60_000; // ms; the receiver need not know more exactly
const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel"] as const;

/** Ask after the session while there is a hand; tell once it has ended. */
export function watchPresence(signedIn: () => boolean, ended: () => void): void {
  let asked = Date.now();
  const here = (): void => {
    if (!signedIn() || Date.now() - asked < EVERY) return;
    asked = Date.now();
    api.session().then(
      (session) => {
        if (session === null) ended();
      },
      () => undefined, // a lost line is told elsewhere
    );
  };
  for (const sign of SIGNS) window.addEventListener(sign, here, { passive: true, capture: true });
}
