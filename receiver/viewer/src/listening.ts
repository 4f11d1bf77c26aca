/** Tells the receiver, with each heartbeat that this page hears, that somebody listens here. */

import * as api from "./api";
import * as events from "./events";
import * as sound from "./sound";

const page = crypto.getRandomValues(new Uint32Array(4)).join("-"); // tells this tab from others

/** Answer heartbeats while somebody is signed in. */
export function watchListening(signedIn: () => boolean): void {
  const say = (): void => {
    if (signedIn() && events.isLive()) void api.listening(page, sound.audible()).catch(() => undefined);
  };
  events.listen({ heartbeat: say });
  sound.onSound(say);
}
