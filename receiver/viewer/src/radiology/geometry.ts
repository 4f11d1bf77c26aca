/** Directions and lengths of a picture from its direction cosines and spacing. */

import { number, numbers, text, type DataSet } from "./dataset";

export type Vector = readonly [number, number, number];

const AXES = [
  { plus: { ja: "左", en: "L" }, minus: { ja: "右", en: "R" } },
  { plus: { ja: "後", en: "P" }, minus: { ja: "前", en: "A" } },
  { plus: { ja: "頭", en: "H" }, minus: { ja: "足", en: "F" } },
] as const;

/**
 * Where a vector of the patient's coordinate system points (LPS, PS3.3 C.7.6.2.1.1), strongest
 * direction first; at most two, the second only when it is no mere tilt.
 */
export function direction(vector: Vector, language: "ja" | "en"): string {
  const length = Math.hypot(...vector);
  if (length === 0) return "";
  const parts = AXES.map((axis, i) => ({ axis, share: (vector[i] ?? 0) / length }))
    .filter((part) => Math.abs(part.share) > 0.25)
    .sort((a, b) => Math.abs(b.share) - Math.abs(a.share));
  return parts
    .slice(0, 2)
    .map(({ axis, share }) => (share > 0 ? axis.plus : axis.minus)[language])
    .join("");
}

const WRITTEN: Readonly<Record<string, string>> = { L: "左", R: "右", A: "前", P: "後", H: "頭", F: "足" };
const OTHER: Readonly<Record<string, string>> = { L: "R", R: "L", A: "P", P: "A", H: "F", F: "H" };

/** Directions as Patient Orientation writes them (PS3.3 C.7.6.1.1.1), in the reader's language. */
export function written(letters: string, language: "ja" | "en", reversed = false): string {
  return [...letters]
    .map((letter) => (reversed ? (OTHER[letter] ?? letter) : letter))
    .map((letter) => (language === "ja" ? (WRITTEN[letter] ?? letter) : letter))
    .join("");
}

/** Patient Orientation along a direction of the image, of its two axes the nearer. */
export function facing(
  orientation: readonly string[],
  [x, y]: Point,
  language: "ja" | "en",
  reversed = false,
): string {
  const rows = Math.abs(x) >= Math.abs(y);
  const letters = orientation[rows ? 0 : 1] ?? "";
  return written(letters, language, (rows ? x : y) < 0 !== reversed);
}

export const opposite = ([x, y, z]: Vector): Vector => [-x, -y, -z];

/** Place of a slice along the normal of its plane, mm (Image Position and Orientation). */
export function slicePosition(
  position: readonly number[] | null,
  orientation: readonly number[] | null,
): number | null {
  if (position?.length !== 3 || orientation?.length !== 6) return null;
  const [a, b, c, d, e, f] = orientation as [number, number, number, number, number, number];
  const normal = [b * f - c * e, c * d - a * f, a * e - b * d];
  return normal.reduce((sum, part, i) => sum + part * (position[i] ?? 0), 0);
}

/** The plane of an image in the patient's coordinate system (PS3.3 C.7.6.2.1.1), mm. */
export interface Plane {
  /** Centre of the first pixel. */
  readonly origin: Vector;
  /** Along a row and down a column, of length 1. */
  readonly right: Vector;
  readonly down: Vector;
  readonly normal: Vector;
  /** Millimetres from pixel to pixel along a row, down a column. */
  readonly dx: number;
  readonly dy: number;
  readonly columns: number;
  readonly rows: number;
  readonly frameOfReference: string;
}

export type Point = readonly [x: number, y: number];

export const dot = (a: Vector, b: Vector): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const minus = (a: Vector, b: Vector): Vector => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const cross = (a: Vector, b: Vector): Vector => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
/** `a + s b`. */
export const along = (a: Vector, b: Vector, s: number): Vector => [
  a[0] + s * b[0],
  a[1] + s * b[1],
  a[2] + s * b[2],
];

/** The plane of a data set of one frame, or null where it does not say. */
export function planeOf(data: DataSet): Plane | null {
  const position = numbers(data, "00200032");
  const orientation = numbers(data, "00200037");
  const spacing = numbers(data, "00280030");
  const [rows, columns] = [number(data, "00280010"), number(data, "00280011")];
  if (position?.length !== 3 || orientation?.length !== 6 || spacing?.length !== 2) return null;
  const [dy, dx] = spacing as [number, number];
  if (!rows || !columns || !(dx > 0) || !(dy > 0)) return null;
  const right = orientation.slice(0, 3) as unknown as Vector;
  const down = orientation.slice(3) as unknown as Vector;
  return {
    origin: position as unknown as Vector,
    right,
    down,
    normal: cross(right, down),
    dx,
    dy,
    columns,
    rows,
    frameOfReference: text(data, "00200052"),
  };
}

/**
 * Place in the patient of a point of an image.
 *
 * Points of an image are counted from the outer corner of its first pixel, so that the middle of
 * that pixel is (0.5, 0.5).
 */
export const toPatient = (plane: Plane, [x, y]: Point): Vector =>
  along(along(plane.origin, plane.right, (x - 0.5) * plane.dx), plane.down, (y - 0.5) * plane.dy);

/** Point of an image under a place in the patient (the place's foot on the plane). */
export function toPlane(plane: Plane, place: Vector): Point {
  const from = minus(place, plane.origin);
  return [dot(from, plane.right) / plane.dx + 0.5, dot(from, plane.down) / plane.dy + 0.5];
}

/** Cosine below which planes count as crossing: 5 degrees. */
const PARALLEL = Math.cos((5 * Math.PI) / 180);

export const parallel = (a: Plane, b: Plane): boolean => Math.abs(dot(a.normal, b.normal)) > PARALLEL;

/**
 * Where another image's plane cuts this one: both ends inside both images, or null where they do
 * not meet, lie nearly parallel or belong to different frames of reference.
 */
export function cut(plane: Plane, other: Plane): readonly [Point, Point] | null {
  if (!plane.frameOfReference || plane.frameOfReference !== other.frameOfReference) return null;
  if (parallel(plane, other)) return null;
  const line = lineIn(plane, other);
  const mirrored = lineIn(other, plane);
  if (!line || !mirrored) return null;
  // the part of the line that lies inside this image and inside the other
  const ends = mirrored.map((point) => toPlane(plane, toPatient(other, point)));
  const [p, q] = line;
  const length = Math.hypot(q[0] - p[0], q[1] - p[1]);
  const at = ([x, y]: Point): number =>
    ((x - p[0]) * (q[0] - p[0]) + (y - p[1]) * (q[1] - p[1])) / length ** 2;
  const [a, b] = ends.map(at).sort((one, two) => one - two) as [number, number];
  const [from, to] = [Math.max(0, a), Math.min(1, b)];
  if (!(to > from)) return null;
  const on = (share: number): Point => [p[0] + share * (q[0] - p[0]), p[1] + share * (q[1] - p[1])];
  return [on(from), on(to)];
}

/** The other's infinite plane within the rectangle of this image. */
function lineIn(plane: Plane, other: Plane): readonly [Point, Point] | null {
  // distance of the image's point (x, y) from the other plane: a x + b y + c
  const a = dot(plane.right, other.normal) * plane.dx;
  const b = dot(plane.down, other.normal) * plane.dy;
  const c = dot(minus(toPatient(plane, [0, 0]), other.origin), other.normal);
  const { columns, rows } = plane;
  const hits: Point[] = [];
  if (Math.abs(b) > 1e-9) for (const x of [0, columns]) hits.push([x, -(a * x + c) / b]);
  if (Math.abs(a) > 1e-9) for (const y of [0, rows]) hits.push([-(b * y + c) / a, y]);
  const inside = hits.filter(([x, y]) => x >= -1e-6 && y >= -1e-6 && x <= columns + 1e-6 && y <= rows + 1e-6);
  const first = inside[0];
  const far = (point: Point): number => (first ? Math.hypot(point[0] - first[0], point[1] - first[1]) : 0);
  const second = inside.slice(1).sort((one, two) => far(two) - far(one))[0];
  return first && second && far(second) > 1e-6 ? [first, second] : null;
}
