/** Directions and lengths of a picture from its direction cosines and spacing. */

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
