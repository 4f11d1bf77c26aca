/**
 * Which images of a study were on this screen, for the question before 完了 (VIEWING 7, done.ask).
 *
 * In the memory of the page alone: a page that was loaded anew has shown nothing.
 */

import type { Slot } from "./slots";

const shown = new Map<string, Map<string, Set<number>>>();
const whole = new Map<string, Set<string>>();

/** An image of a study has been drawn, one of `slots`. */
export function saw(key: string, { sop, frame }: Slot, slots: readonly Slot[]): void {
  let images = shown.get(key);
  if (!images) shown.set(key, (images = new Map<string, Set<number>>()));
  let frames = images.get(sop);
  if (!frames) images.set(sop, (frames = new Set()));
  if (frames.has(frame)) return;
  frames.add(frame);
  if (frames.size < slots.filter((one) => one.sop === sop).length) return; // frames are left to see
  const done = whole.get(key) ?? new Set<string>();
  whole.set(key, done.add(sop));
}

/** How many images were shown, each with all its frames. */
export const seen = (key: string): number => whole.get(key)?.size ?? 0;

/** Nobody is signed in: who comes next has seen nothing. */
export function forget(): void {
  shown.clear();
  whole.clear();
}
