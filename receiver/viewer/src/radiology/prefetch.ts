/** Fetch a series ahead of the reader's hand: here first, then the ends, then outward. */

import { isCurrent, type ReadingContext } from "../context";
import { load } from "./engine";
import type { SeriesData } from "./series_data";
import { fetchOrder, type Slot } from "./slots";

const AT_ONCE = 4;
const MOST = 1500; // images; more are fetched as the reader comes to them

/** Runs until all that is here is held, the context ends or `stopped` says so. */
export async function prefetch(
  context: ReadingContext,
  data: SeriesData,
  slots: readonly Slot[],
  from: number,
  stopped: () => boolean,
): Promise<void> {
  const waiting = fetchOrder(slots.length, from)
    .map((place) => slots[place])
    .filter((slot): slot is Slot => slot?.here === true)
    .slice(0, MOST);
  const worker = async (): Promise<void> => {
    for (let slot = waiting.shift(); slot; slot = waiting.shift()) {
      if (stopped() || !isCurrent(context)) return;
      const known = data.get(slot) ?? (await data.need(slot));
      if (!known) continue;
      data.register(slot);
      await load(data.imageId(slot), true).catch(() => undefined); // said when the reader is there
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
