/** How long a pixel is, and where that length lies: in the body, at the detector, or nowhere. */

import { items, number, numbers, text, type DataSet } from "./dataset";
import type { Point } from "./geometry";

export interface Spacing {
  /** Millimetres along a row and down a column; 1 and 1 where the unit is the pixel. */
  readonly dx: number;
  readonly dy: number;
  readonly unit: "mm" | "px";
  /** The length is one at the detector, not in the body. */
  readonly detector: boolean;
}

export const IN_PIXELS: Spacing = { dx: 1, dy: 1, unit: "px", detector: false };

/** Pictures thrown by a point: what lies nearer to the source is larger on the detector. */
const PROJECTED = new Set(["CR", "DX", "MG", "RF", "XA", "IO", "PX", "RG"]);
const CENTIMETRES = 3; // PS3.3 C.8.5.5.1.5
const TWO_DIMENSIONAL = 1; // PS3.3 C.8.5.5.1.1

/**
 * Spacing for points of an image, PS3.3 10.7.1.3 (pixel spacing), C.8.5.5 (regions of ultrasound).
 *
 * Never a length of the body from Imager Pixel Spacing: it is said to be one at the detector, and
 * so is a Pixel Spacing of a projection that nobody has calibrated.
 */
export function spacingAt(data: DataSet, points: readonly Point[]): Spacing {
  const regions = items(data, "00186011");
  if (regions.length > 0) return ofRegion(regions, points);
  const own = pair(data, "00280030");
  const imager = pair(data, "00181164");
  if (!PROJECTED.has(text(data, "00080060"))) return own ? length(own, false) : IN_PIXELS;
  const calibrated = text(data, "00280A02") !== "" || (own && imager && !same(own, imager));
  if (own) return length(own, !calibrated);
  return imager ? length(imager, true) : IN_PIXELS;
}

/** Spacing of the image as a whole: what a scale bar may stand for. */
export const spacingOf = (data: DataSet): Spacing => spacingAt(data, []);

type Pair = readonly [row: number, column: number];

const length = ([dy, dx]: Pair, detector: boolean): Spacing => ({ dx, dy, unit: "mm", detector });

const same = (a: Pair, b: Pair): boolean =>
  Math.abs(a[0] - b[0]) < 1e-6 * a[0] && Math.abs(a[1] - b[1]) < 1e-6 * a[1];

function pair(data: DataSet, tag: string): Pair | null {
  const [row, column] = numbers(data, tag) ?? [];
  return row !== undefined && column !== undefined && row > 0 && column > 0 ? [row, column] : null;
}

/** All points must lie in one region, and that must be a picture measured in centimetres. */
function ofRegion(regions: readonly DataSet[], points: readonly Point[]): Spacing {
  const holding = regions.filter((region) => points.every((point) => within(region, point)));
  const region = holding.length === 1 || points.length > 0 ? holding[0] : undefined;
  if (!region || number(region, "00186012") !== TWO_DIMENSIONAL) return IN_PIXELS;
  const units = [number(region, "00186024"), number(region, "00186026")];
  if (units.some((unit) => unit !== CENTIMETRES)) return IN_PIXELS;
  const dx = Math.abs(number(region, "0018602C") ?? 0) * 10;
  const dy = Math.abs(number(region, "0018602E") ?? 0) * 10;
  return dx > 0 && dy > 0 ? { dx, dy, unit: "mm", detector: false } : IN_PIXELS;
}

function within(region: DataSet, [x, y]: Point): boolean {
  const [left, top] = [number(region, "00186018") ?? 0, number(region, "0018601A") ?? 0];
  const [right, bottom] = [number(region, "0018601C") ?? 0, number(region, "0018601E") ?? 0];
  return x >= left && y >= top && x <= right + 1 && y <= bottom + 1;
}
