/**
 * A series as a volume, and planes cut out of it.
 *
 * Samples are taken from the slices as they lie in the cache: nothing is copied, nothing is
 * resampled twice. Slices must be parallel and evenly spaced; others are refused, since a picture
 * through them would be bent.
 */

import { dot, minus, parallel, along, type Plane, type Vector } from "./geometry";

export interface Slice {
  readonly plane: Plane;
  readonly pixels: ArrayLike<number>;
  readonly slope: number;
  readonly intercept: number;
}

export interface Volume {
  readonly slices: readonly Slice[];
  readonly columns: number;
  readonly rows: number;
  readonly origin: Vector;
  readonly right: Vector;
  readonly down: Vector;
  /** From slice to slice, of length 1. A tilted gantry makes it differ from the planes' normal. */
  readonly step: Vector;
  readonly dx: number;
  readonly dy: number;
  readonly dz: number;
}

/** A plane to be cut: where its first pixel lies, its directions, its size; all in mm. */
export interface Cut {
  readonly origin: Vector;
  readonly right: Vector;
  readonly down: Vector;
  /** Millimetres per pixel, both ways. */
  readonly pixel: number;
  readonly columns: number;
  readonly rows: number;
}

const EVEN = 0.02; // of a distance: what devices round
const LEAST = 3;

/** Put slices together, or null where they make no volume. */
export function volumeOf(given: readonly Slice[]): Volume | null {
  const first = given[0]?.plane;
  if (!first || given.length < LEAST) return null;
  const same = given.every(
    ({ plane }) =>
      parallel(first, plane) &&
      dot(first.right, plane.right) > 0.9999 &&
      plane.columns === first.columns &&
      plane.rows === first.rows &&
      Math.abs(plane.dx - first.dx) < 1e-4 &&
      Math.abs(plane.dy - first.dy) < 1e-4 &&
      plane.frameOfReference === first.frameOfReference,
  );
  if (!same) return null;
  const at = (slice: Slice): number => dot(slice.plane.origin, first.normal);
  const slices = [...given].sort((a, b) => at(a) - at(b));
  const [low, high] = [slices[0] as Slice, slices.at(-1) as Slice];
  const whole = minus(high.plane.origin, low.plane.origin);
  const dz = Math.hypot(...whole) / (slices.length - 1);
  if (!(dz > 1e-3)) return null;
  const step = whole.map((part) => part / (dz * (slices.length - 1))) as unknown as Vector;
  const even = slices.every(({ plane }, i) => {
    const wished = along(low.plane.origin, step, i * dz);
    return Math.hypot(...minus(plane.origin, wished)) < Math.max(0.05, EVEN * dz);
  });
  if (!even) return null;
  const { right, down, dx, dy, columns, rows, origin } = low.plane;
  return { slices, columns, rows, origin, right, down, step, dx, dy, dz };
}

/** Index coordinates (column, row, slice; pixel middles are whole numbers) of a place. */
export function indexOf(volume: Volume, place: Vector): Vector {
  return invert(volume, minus(place, volume.origin));
}

/** Index step of a step in the patient. The three directions need not be at right angles. */
function invert({ right, down, step, dx, dy, dz }: Volume, v: Vector): Vector {
  const det = (a: Vector, b: Vector, c: Vector): number =>
    a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0]);
  const whole = det(right, down, step);
  return [
    det(v, down, step) / whole / dx,
    det(right, v, step) / whole / dy,
    det(right, down, v) / whole / dz,
  ];
}

/** Place in the patient of index coordinates. */
export function placeOf(volume: Volume, [i, j, k]: Vector): Vector {
  const { origin, right, down, step, dx, dy, dz } = volume;
  return along(along(along(origin, right, i * dx), down, j * dy), step, k * dz);
}

/** Value of everything outside the volume. */
export const OUTSIDE = Number.NEGATIVE_INFINITY;

/**
 * Values of a cut, trilinear between pixels; with a slab the largest of planes through its
 * thickness (maximum intensity projection), at most `dz`, `dx` or `dy` apart.
 */
export function sample(volume: Volume, cut: Cut, slab = 0): Float32Array {
  const out = new Float32Array(cut.columns * cut.rows).fill(OUTSIDE);
  const start = indexOf(volume, cut.origin);
  const across = invert(volume, cut.right.map((part) => part * cut.pixel) as unknown as Vector);
  const downwards = invert(volume, cut.down.map((part) => part * cut.pixel) as unknown as Vector);
  const normal = normalOf(cut);
  const finest = Math.min(volume.dx, volume.dy, volume.dz);
  const layers = slab > 0 ? Math.max(1, Math.round(slab / finest)) : 0;
  const depth = invert(volume, normal);
  for (let layer = 0; layer <= layers; layer += 1) {
    const away = layers === 0 ? 0 : (layer / layers - 0.5) * slab;
    plane(volume, along(start, depth, away), across, downwards, cut, out);
  }
  return out;
}

const normalOf = ({ right, down }: Cut): Vector => [
  right[1] * down[2] - right[2] * down[1],
  right[2] * down[0] - right[0] * down[2],
  right[0] * down[1] - right[1] * down[0],
];

/** One plane into `out`, keeping the larger. The inner loop: no calls, no objects. */
function plane(volume: Volume, start: Vector, across: Vector, downwards: Vector, cut: Cut, out: Float32Array): void {
  const { columns, rows, slices } = volume;
  const depth = slices.length;
  const pixels = slices.map((slice) => slice.pixels);
  const slopes = Float64Array.from(slices, (slice) => slice.slope);
  const intercepts = Float64Array.from(slices, (slice) => slice.intercept);
  const edge = 1e-6;
  for (let y = 0; y < cut.rows; y += 1) {
    let i = start[0] + y * downwards[0];
    let j = start[1] + y * downwards[1];
    let k = start[2] + y * downwards[2];
    for (let x = 0; x < cut.columns; x += 1, i += across[0], j += across[1], k += across[2]) {
      if (i < -edge || j < -edge || k < -edge || i > columns - 1 + edge || j > rows - 1 + edge || k > depth - 1 + edge) continue;
      const i0 = Math.min(columns - 2, Math.max(0, Math.floor(i)));
      const j0 = Math.min(rows - 2, Math.max(0, Math.floor(j)));
      const k0 = Math.min(depth - 2, Math.max(0, Math.floor(k)));
      const [fi, fj, fk] = [i - i0, j - j0, k - k0];
      const at = j0 * columns + i0;
      const a = pixels[k0] as ArrayLike<number>;
      const b = pixels[k0 + 1] as ArrayLike<number>;
      const a0 = (a[at] as number) * (1 - fi) + (a[at + 1] as number) * fi;
      const a1 = (a[at + columns] as number) * (1 - fi) + (a[at + columns + 1] as number) * fi;
      const b0 = (b[at] as number) * (1 - fi) + (b[at + 1] as number) * fi;
      const b1 = (b[at + columns] as number) * (1 - fi) + (b[at + columns + 1] as number) * fi;
      const low = (a0 * (1 - fj) + a1 * fj) * (slopes[k0] as number) + (intercepts[k0] as number);
      const high = (b0 * (1 - fj) + b1 * fj) * (slopes[k0 + 1] as number) + (intercepts[k0 + 1] as number);
      const found = low * (1 - fk) + high * fk;
      const place = y * cut.columns + x;
      if (found > (out[place] as number)) out[place] = found;
    }
  }
}

export type Face = "axial" | "coronal" | "sagittal";
export const FACES: readonly Face[] = ["axial", "coronal", "sagittal"];

/** Directions of the three faces as they are looked at (LPS): feet first, from the front, from the left. */
const DIRECTIONS: Readonly<Record<Face, readonly [right: Vector, down: Vector]>> = {
  axial: [[1, 0, 0], [0, 1, 0]],
  coronal: [[1, 0, 0], [0, 0, -1]],
  sagittal: [[0, 1, 0], [0, 0, -1]],
};

/** The cut of a face through a place: it holds the whole volume. */
export function cutThrough(volume: Volume, face: Face, place: Vector): Cut {
  const [right, down] = DIRECTIONS[face];
  const corners = [0, 1, 2, 3, 4, 5, 6, 7].map((n) =>
    placeOf(volume, [
      n & 1 ? volume.columns - 1 : 0,
      n & 2 ? volume.rows - 1 : 0,
      n & 4 ? volume.slices.length - 1 : 0,
    ]),
  );
  const span = (axis: Vector): readonly [number, number] => {
    const found = corners.map((corner) => dot(corner, axis));
    return [Math.min(...found), Math.max(...found)];
  };
  const [x, y] = [span(right), span(down)];
  const pixel = Math.min(volume.dx, volume.dy);
  const normal = normalOf({ right, down } as Cut);
  const origin = along(along(along([0, 0, 0], right, x[0]), down, y[0]), normal, dot(place, normal));
  return {
    origin,
    right,
    down,
    pixel,
    columns: Math.round((x[1] - x[0]) / pixel) + 1,
    rows: Math.round((y[1] - y[0]) / pixel) + 1,
  };
}
