/**
 * Which images are fetched ahead and which are let go, where a cache cannot hold them all: those
 * nearest to the reader stay.
 *
 * One for the page, since the panes share one cache. Nothing of it runs in rounds: an image is let
 * go only for one that is nearer, and fetched at most once for a place at which the reader is.
 */

import { fetchOrder } from "./slots";

const AT_ONCE = 4;
const MOST = 1500; // images of a series; more are fetched as the reader comes to them

/** The cache, as it is counted here. */
export interface Store {
  /** Bytes that may be held. */
  readonly budget: number;
  /** Bytes that are held. */
  bytes(): number;
  /** Images that are held, by their address, with their bytes. */
  readonly held: ReadonlyMap<string, number>;
  drop(id: string): void;
}

/** A series in a pane. */
export interface Run {
  readonly count: number;
  /** Where the reader is. */
  readonly place: number;
  /** How far its images count beside those of the pane in hand, whose own count once. */
  readonly weight: number;
  /** Whether there is an image to fetch. */
  here(place: number): boolean;
  id(place: number): string;
  /** The place of an image by its address, in whichever way it is drawn; null for another's. */
  placeOf(id: string): number | null;
  fetch(place: number): Promise<void>;
  failed(error: unknown): void;
}

interface Ranks {
  readonly place: number;
  readonly order: readonly number[];
  /** Place to its number in the order. */
  readonly rank: Uint32Array;
  /** Of the order, how far it has been fetched for this place of the reader. */
  from: number;
}

interface Wanted {
  readonly run: Run;
  readonly rank: number;
  readonly place: number;
  readonly cost: number;
}

export class Nearest {
  private readonly runs = new Map<Run, Set<number>>(); // with the places that failed
  private readonly ranks = new WeakMap<Run, Ranks>();
  private running = 0;
  private coming = 0;

  /**
   * @param may whether anything may be fetched ahead now; `go` is called when that changes.
   * @param full is told when not all can be held.
   */
  constructor(
    private readonly store: Store,
    private readonly may: () => boolean,
    private readonly full: () => void,
  ) {}

  /** Fetch ahead in a series; what failed is tried again. */
  add(run: Run): void {
    this.runs.set(run, new Set());
    this.ranks.delete(run);
    this.go();
  }

  remove(run: Run): void {
    this.runs.delete(run);
  }

  /** The reader has moved, or more may be fetched. */
  go(): void {
    while (this.running < AT_ONCE && this.may()) {
      const next = this.next();
      if (!next || !this.makeRoom(next)) return;
      void this.fetch(next);
    }
  }

  /** Let go of the farthest until no more is held than may be; for what others have loaded. */
  trim(): void {
    while (this.store.bytes() > this.store.budget) {
      const far = this.farthest(0);
      if (far === null) return;
      this.full();
      this.store.drop(far);
    }
  }

  private async fetch({ run, rank, place }: Wanted): Promise<void> {
    const size = this.sizeOf(run);
    this.running += 1;
    this.coming += size;
    this.ranksOf(run).from = rank + 1;
    try {
      await run.fetch(place);
    } catch (error) {
      if (this.may()) this.runs.get(run)?.add(place);
      else this.ranksOf(run).from = 0; // it has given way: its turn comes again
      run.failed(error);
    }
    this.running -= 1;
    this.coming -= size;
    this.go();
  }

  /** The nearest image that is not held; null where there is none. */
  private next(): Wanted | null {
    let best: Wanted | null = null;
    for (const [run, failed] of this.runs) {
      const ranks = this.ranksOf(run);
      const passed = (place: number): boolean =>
        failed.has(place) || !run.here(place) || this.store.held.has(run.id(place));
      const end = Math.min(MOST, ranks.order.length);
      while (ranks.from < end && passed(ranks.order[ranks.from] as number)) ranks.from += 1;
      const [rank, cost] = [ranks.from, ranks.from * run.weight];
      if (rank < end && (!best || cost < best.cost)) best = { run, rank, place: ranks.order[rank] as number, cost };
    }
    return best;
  }

  /** Let go of what is farther than an image until that has its place; false where nothing is. */
  private makeRoom({ run, cost }: Wanted): boolean {
    const size = this.sizeOf(run);
    while (this.store.bytes() + this.coming + size > this.store.budget) {
      this.full();
      const far = this.farthest(cost);
      if (far === null) return false;
      this.store.drop(far);
    }
    return true;
  }

  /** The held image that is farthest of all, beyond a cost; null without one. */
  private farthest(beyond: number): string | null {
    let found: string | null = null;
    let most = beyond;
    for (const id of this.store.held.keys()) {
      const cost = this.costOf(id);
      if (cost > most) [found, most] = [id, cost];
      if (cost === Number.POSITIVE_INFINITY) break; // of no pane: the first is the oldest
    }
    return found;
  }

  private costOf(id: string): number {
    let cost = Number.POSITIVE_INFINITY;
    for (const run of this.runs.keys()) {
      const place = run.placeOf(id);
      if (place !== null) cost = Math.min(cost, (this.ranksOf(run).rank[place] ?? 0) * run.weight);
    }
    return cost;
  }

  /** Bytes of one image of a series, by the nearest that is held. */
  private sizeOf(run: Run): number {
    for (const place of this.ranksOf(run).order) {
      const size = this.store.held.get(run.id(place));
      if (size !== undefined) return size;
    }
    return 0;
  }

  private ranksOf(run: Run): Ranks {
    const { place, count } = run;
    const known = this.ranks.get(run);
    if (known?.place === place && known.order.length === count) return known;
    const order = fetchOrder(count, place);
    const rank = new Uint32Array(count);
    order.forEach((one, i) => (rank[one] = i));
    const made = { place, order, rank, from: 0 };
    this.ranks.set(run, made);
    return made;
  }
}
