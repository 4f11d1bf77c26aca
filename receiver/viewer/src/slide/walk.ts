/** Field by field over the tissue, there and back like an ox ploughs: no field is missed. */

import { Turned } from "./turned";
import type { Viewed } from "./viewed";

const OVERLAP = 0.05; // of a field with its neighbour

/**
 * Centres of the fields that cover the tissue, in order.
 *
 * The rows lie along the screen, whichever way the slide is turned. `field` gives the size and
 * the turn; its centre does not matter.
 */
export function walk(viewed: Viewed, field: Turned): [number, number][] {
  const { across, side, tissue } = viewed;
  const from = new Turned(0, 0, field.width, field.height, field.degrees);
  const step = [field.width * (1 - OVERLAP), field.height * (1 - OVERLAP)] as const;
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  const places: [number, number][] = [];
  for (let cell = 0; cell < tissue.length; cell += 1) {
    if (!tissue[cell]) continue;
    const place = from.onScreen(((cell % across) + 0.5) * side, (Math.floor(cell / across) + 0.5) * side);
    places.push(place);
    [left, right] = [Math.min(left, place[0]), Math.max(right, place[0])];
    [top, bottom] = [Math.min(top, place[1]), Math.max(bottom, place[1])];
  }
  if (places.length === 0) return [];
  const columns = Math.max(1, Math.ceil((right - left) / step[0]));
  const rows = Math.max(1, Math.ceil((bottom - top) / step[1]));
  // the fields stand evenly over the tissue, not with half a field beyond its edge
  const margin = [(columns * step[0] - (right - left)) / 2, (rows * step[1] - (bottom - top)) / 2] as const;
  const filled = new Set<number>();
  for (const [x, y] of places) {
    const column = Math.min(columns - 1, Math.floor((x - left + margin[0]) / step[0]));
    filled.add(Math.min(rows - 1, Math.floor((y - top + margin[1]) / step[1])) * columns + column);
  }
  const found: [number, number][] = [];
  for (let row = 0; row < rows; row += 1) {
    for (let i = 0; i < columns; i += 1) {
      const column = row % 2 === 0 ? i : columns - 1 - i;
      if (!filled.has(row * columns + column)) continue;
      const x = left - margin[0] + (column + 0.5) * step[0];
      const y = top - margin[1] + (row + 0.5) * step[1];
      found.push(from.onSlide(x, y));
    }
  }
  return found;
}

/** The field to go to from a place: the next or the one before of the field there, else the nearest. */
export function nextOf(fields: readonly (readonly [number, number])[], x: number, y: number, by: 1 | -1, near: number): number {
  let [best, least] = [-1, Infinity];
  for (const [index, [fx, fy]] of fields.entries()) {
    const away = Math.hypot(fx - x, fy - y);
    if (away < least) [best, least] = [index, away];
  }
  if (best < 0) return -1;
  return least > near ? best : Math.min(fields.length - 1, Math.max(0, best + by));
}
