/**
 * The line to the receiver: what a reader waits for goes before all else, and a slow line is said.
 */

import { bodyOf, Rate, type Flow } from "./flow";

/** Bits a second below which a line that a reader waits for is called slow ... */
export const SLOW = 5e6;
/** ... and above which it is so no more. */
export const RECOVERED = 7.5e6;
/** So long a wait for what is in view is told of. */
const WAITED_MS = 3_000;
/** Without such a wait for so long the line is nobody's trouble. */
const QUIET_MS = 10_000;
/** After so long what is not in view has to give way, though it is on its way already. */
const PATIENCE_MS = 1_000;
const LOOK_MS = 500;

interface Wait {
  readonly id: string;
  readonly since: number;
}

export class Line {
  private readonly rate: Rate;
  private readonly waits = new Set<Wait>();
  private readonly freed: (() => void)[] = [];
  private readonly once: (() => void)[] = [];
  private readonly yields = new Set<(visible: ReadonlySet<string>) => void>();
  private slow = false;
  private waitedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly now: () => number = () => performance.now()) {
    this.rate = new Rate(now);
  }

  /** A reader waits for something in view, known by an address or by nothing; call when no more. */
  waitFor(id = ""): () => void {
    const wait = { id, since: this.now() };
    this.waits.add(wait);
    return () => {
      if (!this.waits.delete(wait) || !this.free) return;
      for (const action of this.once.splice(0)) action();
      for (const action of this.freed) if (this.free) action();
    };
  }

  /** True while a reader waits for nothing. */
  get free(): boolean {
    return this.waits.size === 0;
  }

  /** Say what goes on each time the line is free again. */
  onFree(action: () => void): void {
    this.freed.push(action);
  }

  /** Do something as soon as the line is free. */
  whenFree(action: () => void): void {
    if (this.free) action();
    else this.once.push(action);
  }

  /** Say what gives way when a wait is long, but for what is waited for; the answer ends it. */
  onLong(action: (visible: ReadonlySet<string>) => void): () => void {
    this.yields.add(action);
    return () => this.yields.delete(action);
  }

  /** An answer with pictures begins to arrive. */
  flow(): Flow {
    return this.rate.flow();
  }

  /** Look at the line: bits a second while it is to be called slow, null otherwise. */
  look(): number | null {
    const now = this.now();
    const longest = Math.max(0, ...[...this.waits].map(({ since }) => now - since));
    if (longest > PATIENCE_MS) {
      const visible = new Set([...this.waits].map(({ id }) => id));
      for (const action of this.yields) action(visible);
    }
    if (longest > WAITED_MS) this.waitedAt = now;
    const { bits } = this.rate;
    if (bits === null || bits >= RECOVERED || now - this.waitedAt > QUIET_MS) this.slow = false;
    else if (bits < SLOW && longest > WAITED_MS) this.slow = true;
    return this.slow ? bits : null;
  }
}

/** The line of this page. */
export const line = new Line();

/** The body of an answer with pictures, counted as it comes. */
export const arrived = (response: Response): Promise<ArrayBuffer> => bodyOf(response, line.flow());

/** Look at the line of this page from now on. */
export function watchLine(tell: (bits: number | null) => void): void {
  window.setInterval(() => tell(line.look()), LOOK_MS);
}
