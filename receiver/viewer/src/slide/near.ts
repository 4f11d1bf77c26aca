/** Tiles that a view has left behind. */

import type OpenSeadragon from "openseadragon";

/** So much of a view's size lies round it and still belongs to it. */
const ROUND = 0.1;

/**
 * True for what the view shows, and for what lies near it: the renderer chooses by its own
 * reckoning, and what it wants must never be taken for left behind.
 */
export function isNear(viewport: OpenSeadragon.Viewport, { bounds, level }: OpenSeadragon.Tile, wanted: number): boolean {
  const { x, y, width, height } = viewport.getBounds(true).getBoundingBox();
  const [right, down] = [ROUND * width, ROUND * height];
  return (
    level <= wanted + 1 &&
    bounds.x < x + width + right &&
    bounds.x + bounds.width > x - right &&
    bounds.y < y + height + down &&
    bounds.y + bounds.height > y - down
  );
}
