/** Series are fetched ahead of the reader's hand: here first, then the ends, then outward. */

import { isCurrent, type ReadingContext } from "../context";
import { line } from "../line";
import { isLocked } from "../lock";
import { load, onHeld, store } from "./engine";
import { sayFull } from "./full";
import { Nearest, type Run } from "./nearest";
import { OtherPatient, type SeriesData } from "./series_data";
import type { Slot } from "./slots";
import type { Stack } from "./stack";

const nearest = new Nearest(store, () => !isLocked() && line.free, sayFull);
onHeld(() => nearest.trim());
line.onFree(() => nearest.go());

/** What a pane says of the series in it. */
export interface InPane {
  readonly context: ReadingContext;
  readonly stack: Stack;
  readonly data: SeriesData;
  slots(): readonly Slot[];
  /** Whose images these are beside those of the other panes: the cache is one. */
  standing(): "in hand" | "beside" | "prior";
  /** An image says another patient. */
  alien(error: OtherPatient): void;
}

const WEIGHTS = { "in hand": 1, beside: 2, prior: 4 } as const;

/** One pane's series, fetched ahead until it is ended. */
export class Ahead implements Run {
  constructor(private readonly pane: InPane) {}

  /** Begin, or try again what failed. */
  begin(): void {
    nearest.add(this);
  }

  end(): void {
    nearest.remove(this);
  }

  get count(): number {
    return this.pane.slots().length;
  }

  get place(): number {
    return this.pane.stack.place;
  }

  get weight(): number {
    return WEIGHTS[this.pane.standing()];
  }

  here(place: number): boolean {
    return this.pane.slots()[place]?.here === true;
  }

  id(place: number): string {
    const slot = this.pane.slots()[place];
    return slot ? this.pane.data.imageId(slot) : "";
  }

  placeOf(id: string): number | null {
    return this.pane.stack.placeOf(id);
  }

  async fetch(place: number): Promise<void> {
    const { data } = this.pane;
    const slot = this.pane.slots()[place];
    if (!slot || !isCurrent(this.pane.context)) return;
    await data.need(slot);
    data.register(slot);
    await load(data.imageId(slot), true);
  }

  failed(error: unknown): void {
    // anything else is said when the reader is there
    if (error instanceof OtherPatient) this.pane.alien(error);
  }
}
