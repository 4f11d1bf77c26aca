/** Tells the receiver, with each heartbeat that this page hears, that somebody listens here. */

import * as api from "./api";
import * as events from "./events";
import * as sound from "./sound";

const page = crypto.getRandomValues(new Uint32Array(4)).join("-"); // tells this tab from others

const LEAVING_MS = 300; // neither lock nor sign-out waits longer for a line that is slow

/** Say that nobody is here now: the sender need not wait for our silence to show it. */
export async function leaves(): Promise<void> {
  const said = api.listensNoMore(page).catch(() => undefined);
  await Promise.race([said, new Promise((done) => setTimeout(done, LEAVING_MS))]);
}

/** Answer heartbeats while somebody is signed in. */
export function watchListening(signedIn: () => boolean): void {
  const say = (): void => {
    if (signedIn() && events.isLive()) void api.listening(page, sound.audible()).catch(() => undefined);
  };
  events.listen({ heartbeat: say });
  sound.onSound(say);
}
