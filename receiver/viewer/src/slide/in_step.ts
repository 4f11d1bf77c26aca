/** The lock between panes: where one goes, the others go. */

import type { Pane } from "./pane";
import { follow, reversed, TOGETHER, type Pair } from "./step";

export class InStep {
  locked = false;
  /** By pane: what of the first pane belongs to what of this one. */
  private pairs: Pair[] = [];
  private following = false;

  /**
   * Lock by the offset that was set last, or by the present one. False where it cannot be: a
   * slide whose pixels have no size has no place in µm.
   */
  lock(panes: readonly Pane[], present: boolean): boolean {
    const [first] = panes;
    if (!first || panes.length < 2) return true;
    const poses = panes.map((pane) => pane.canvas?.pose() ?? null);
    const [lead] = poses;
    if (!lead || poses.includes(null)) return false;
    if (present) this.pairs = poses.map((pose) => ({ lead, follow: pose ?? lead }));
    else if (this.pairs.length !== panes.length) this.pairs = panes.map(() => TOGETHER);
    this.locked = true;
    this.moved(panes, first);
    return true;
  }

  /** The offset stays, for the next lock. */
  unlock(): void {
    this.locked = false;
  }

  /** Other slides or panes: the offset was between those before. */
  forget(): void {
    this.locked = false;
    this.pairs = [];
  }

  /** Bring the other panes to where one of them has gone. */
  moved(panes: readonly Pane[], one: Pane): void {
    const from = panes.indexOf(one);
    const pose = one.canvas?.pose();
    const pair = this.pairs[from];
    if (!this.locked || this.following || !pose || !pair) return;
    this.following = true;
    try {
      const lead = from === 0 ? pose : follow(reversed(pair), pose);
      for (const [place, pane] of panes.entries()) {
        const other = this.pairs[place];
        if (pane !== one && other) pane.canvas?.take(place === 0 ? lead : follow(other, lead));
      }
    } finally {
      this.following = false;
    }
  }
}

/** x, y, µm per device pixel and turn of each pane, one after the other. */
export function posesOf(panes: readonly Pane[]): number[] {
  return panes.flatMap((pane) => {
    const pose = pane.canvas?.pose();
    return pose ? [pose.x, pose.y, pose.um, pose.turn] : [];
  });
}
