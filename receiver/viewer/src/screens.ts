/**
 * A second window of the reading room, on a screen of its own: images alone, of the same patient.
 *
 * Where it stands is remembered by the workstation. A browser that has the Window Management API
 * and is allowed to use it is asked for another screen; any other keeps a window on the screen of
 * its opener, so there a person puts it where it belongs and says so once (「この画面に置く」).
 * Which study is shown goes to the second window through the browser's memory, by the list's key:
 * nothing of a patient leaves the page.
 */

export interface Place {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

interface Detailed extends EventTarget {
  readonly availLeft: number;
  readonly availTop: number;
  readonly availWidth: number;
  readonly availHeight: number;
}

interface Details {
  readonly screens: readonly Detailed[];
  readonly currentScreen: Detailed;
}

type Manages = Window & { getScreenDetails?: () => Promise<Details> };

const NAME = "todoke-second";
const KEPT = "todoke-second-place"; // of the workstation, nothing of a person
const channel = new BroadcastChannel("todoke-screens");

/** This window is the one for images alone. */
export const isSecond = (): boolean => window.name === NAME;

export function remembered(): Place | null {
  try {
    const said = JSON.parse(localStorage.getItem(KEPT) ?? "null") as Partial<Place> | null;
    const figures = [said?.left, said?.top, said?.width, said?.height];
    if (!figures.every((one) => typeof one === "number" && Number.isFinite(one))) return null;
    const place = said as Place;
    return place.width >= 200 && place.height >= 200 ? place : null;
  } catch {
    return null; // written by something else
  }
}

function keep(place: Place): void {
  localStorage.setItem(KEPT, JSON.stringify(place));
}

/** 「この画面に置く」: the second window stands where it shall stand from now on. */
export function putHere(): void {
  keep({ left: window.screenX, top: window.screenY, width: window.outerWidth, height: window.outerHeight });
}

/** The other screen, if this browser has one and tells of it. */
async function otherScreen(): Promise<Place | null> {
  const { getScreenDetails } = window as Manages;
  if (!getScreenDetails) return null;
  try {
    const { screens, currentScreen } = await getScreenDetails.call(window);
    const other = screens.find((one) => one !== currentScreen);
    return other ? { left: other.availLeft, top: other.availTop, width: other.availWidth, height: other.availHeight } : null;
  } catch {
    return null; // not allowed
  }
}

const features = ({ left, top, width, height }: Place): string =>
  `popup,left=${Math.round(left)},top=${Math.round(top)},width=${Math.round(width)},height=${Math.round(height)}`;

/** Open the second window, or bring it to the front; false where the browser lets none open. */
export async function openSecond(path: string): Promise<boolean> {
  // asked in any case: without the permission a place on another screen is not honoured
  const other = await otherScreen();
  const place = remembered() ?? other;
  const opened = window.open(path, NAME, place ? features(place) : "popup");
  if (opened === null) return false;
  if (place) {
    opened.moveTo(place.left, place.top);
    opened.resizeTo(place.width, place.height);
  }
  opened.focus();
  return true;
}

/** Tell the second window which page this one shows; null for none with a study. */
export function tellSecond(path: string | null): void {
  if (!isSecond()) channel.postMessage({ path });
}

/** In the second window: go where the first one goes. */
export function follow(go: (path: string) => void): void {
  if (!isSecond()) return;
  channel.addEventListener("message", (event: MessageEvent<{ path: string | null }>) => {
    const { path } = event.data;
    go(path !== null && /^\/study\/[0-9A-Za-z]+$/.test(path) ? path : "/");
  });
}
