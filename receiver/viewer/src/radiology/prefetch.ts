/** Fetch a series ahead of the reader's hand: here first, then the ends, then outward. */

import * as core from "@cornerstonejs/core";
import { isCurrent, type ReadingContext } from "../context";
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
      await core.imageLoader
        .loadAndCacheImage(data.imageId(slot), {
          requestType: core.Enums.RequestType.Prefetch,
          priority: 5,
        } as never)
        .catch(() => undefined); // shown in words when the reader comes to it
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
