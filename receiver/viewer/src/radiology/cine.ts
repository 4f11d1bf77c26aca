/** Cine: one image after the other, at the rate of the device where it says one. */

import { number } from "./dataset";
import type { Pane } from "./pane";

const DEFAULT_RATE = 10;

export class Cine {
  private timer = 0;
  private pane: Pane | null = null;

  constructor(
    private readonly active: () => Pane,
    private readonly changed: () => void,
  ) {}

  get running(): boolean {
    return this.timer !== 0;
  }

  toggle(): void {
    if (this.running) return this.stop();
    this.pane = this.active();
    const data = this.pane.ground()?.data ?? {};
    const time = number(data, "00181063"); // Frame Time, ms
    const said = number(data, "00082144") ?? number(data, "00180040");
    const rate = said ?? (time && time > 0 ? 1000 / time : DEFAULT_RATE);
    this.timer = window.setInterval(() => this.next(), 1000 / Math.min(60, Math.max(1, rate)));
    this.changed();
  }

  stop(): void {
    if (!this.running) return;
    window.clearInterval(this.timer);
    this.timer = 0;
    this.pane = null;
    this.changed();
  }

  private next(): void {
    const pane = this.pane;
    const stack = pane?.stack;
    if (!pane || !stack) return this.stop();
    // an image is drawn before the next is asked for: no frame is skipped unseen
    if (stack.drawn()?.place !== stack.place && pane.slots()[stack.place]?.here) return;
    const count = pane.slots().length;
    if (count > 0) void stack.show((stack.place + 1) % count);
  }
}
