/** The places of a series: one per image, from the instance list, whether it is here or not. */

import type { Instance, Series } from "../types";

export interface Slot {
  readonly sop: string;
  /** 1-based frame in its instance. */
  readonly frame: number;
  readonly here: boolean;
  /** It was here, and the disk holds it no longer as it came. */
  readonly damaged: boolean;
}

const isHere = (instance: Instance): boolean =>
  instance.state === "stored" || instance.state === "verified";

/** Slots in the list's order; a multi-frame instance has one per frame. */
export function slotsOf(series: Series): Slot[] {
  return series.instances.flatMap((instance) =>
    Array.from({ length: Math.max(1, instance.frames ?? 1) }, (_, index) => ({
      sop: instance.sop_uid,
      frame: index + 1,
      here: isHere(instance),
      damaged: instance.state === "damaged",
    })),
  );
}

/** Expected number of images in the series; null where nobody has said. */
export function expectedOf(series: Series, slots: readonly Slot[]): number | null {
  if (series.expected === null) return null;
  return Math.max(series.expected, slots.length);
}

/** Which place to show first: the middle if it is here, else the nearest that is. */
export function firstPlace(slots: readonly Slot[]): number {
  const middle = Math.floor(slots.length / 2);
  const nearest = fetchOrder(slots.length, middle).find((place) => slots[place]?.here);
  return nearest ?? middle;
}

/** Places in the order in which they are fetched: this one, the ends, then outward. */
export function fetchOrder(count: number, from: number): number[] {
  const order: number[] = [];
  const seen = new Set<number>();
  const take = (place: number): void => {
    if (place < 0 || place >= count || seen.has(place)) return;
    seen.add(place);
    order.push(place);
  };
  take(from);
  for (let step = 1; step <= 3; step += 1) {
    take(from + step);
    take(from - step);
  }
  take(0);
  take(count - 1);
  for (let step = 4; step < count; step += 1) {
    take(from + step);
    take(from - step);
  }
  return order;
}

/** Runs of equal presence along the rail, as shares of its length. */
export function runs(slots: readonly Slot[]): { here: boolean; from: number; to: number }[] {
  const result: { here: boolean; from: number; to: number }[] = [];
  slots.forEach((slot, place) => {
    const last = result.at(-1);
    if (last && last.here === slot.here) last.to = place + 1;
    else result.push({ here: slot.here, from: place, to: place + 1 });
  });
  return result;
}
