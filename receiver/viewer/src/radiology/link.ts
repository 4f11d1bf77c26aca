/** Scrolling in step: by the place in the patient, not by the number of the image. */

import { dot, parallel, planeOf, type Plane } from "./geometry";
import type { Pane } from "./pane";

type Mode = "off" | "position" | "offset";

export class Link {
  mode: Mode = "off";
  private readonly offsets = new Map<Pane, number>();

  /** L: by position; Shift+L: the present difference is kept. The same again ends it. */
  toggle(offset: boolean, panes: readonly Pane[], active: Pane): void {
    const wished: Mode = offset ? "offset" : "position";
    this.mode = this.mode === wished ? "off" : wished;
    this.offsets.clear();
    const from = active.plane();
    for (const pane of panes) {
      const plane = pane.plane();
      if (pane === active || !plane || !from || !parallel(from, plane)) continue;
      // positions of different frames of reference say nothing about each other: only steps do
      const shared = from.frameOfReference !== "" && from.frameOfReference === plane.frameOfReference;
      const kept = offset || !shared;
      this.offsets.set(pane, kept ? position(plane, from) - position(from, from) : 0);
    }
    if (this.mode !== "off") this.follow(panes, active);
  }

  /** The others go where the reader's pane has gone. */
  follow(panes: readonly Pane[], active: Pane): void {
    const from = active.plane();
    if (this.mode === "off" || !from) return;
    for (const pane of panes) {
      const offset = this.offsets.get(pane);
      if (pane === active || offset === undefined || !pane.stack) continue;
      const place = nearest(pane, from, position(from, from) + offset);
      if (place !== null && place !== pane.stack.place) void pane.stack.show(place);
    }
  }

  /** A pane shows another series: it has no place in the link any more. */
  drop(pane: Pane): void {
    this.offsets.delete(pane);
  }
}

const position = (plane: Plane, along: Plane): number => dot(plane.origin, along.normal);

/** The place of a series nearest to a position, of what is known of it. */
function nearest(pane: Pane, along: Plane, wished: number): number | null {
  const data = pane.of?.of(pane.series);
  let best: { place: number; far: number } | null = null;
  pane.slots().forEach((slot, place) => {
    const set = data?.get(slot);
    const plane = set && planeOf(set);
    if (!plane) return;
    const far = Math.abs(position(plane, along) - wished);
    if (best === null || far < best.far) best = { place, far };
  });
  return (best as { place: number } | null)?.place ?? null;
}
