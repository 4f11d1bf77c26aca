/** Pixel values of an image that the renderer holds, after the Modality LUT (PS3.3 C.11.1). */

import type { Types } from "@cornerstonejs/core";
import type { Values } from "./marks";

interface Lut {
  readonly firstValueMapped: number;
  readonly lut: ArrayLike<number>;
}

/** Colours have no values of this kind. */
export function valuesOf(image: Types.IImage): Values | null {
  const stored = image.getPixelData() as ArrayLike<number> | undefined;
  const { columns, rows } = image;
  if (!stored || columns * rows === 0) return null;
  const through = image.color ? () => null : modality(image);
  return {
    columns,
    rows,
    at: (column, row) =>
      column < 0 || row < 0 || column >= columns || row >= rows
        ? null
        : through(stored[row * columns + column] ?? Number.NaN),
  };
}

function modality(image: Types.IImage): (stored: number) => number {
  const lut = (image as unknown as { modalityLUT?: Lut }).modalityLUT;
  if (lut?.lut.length) {
    const last = lut.lut.length - 1;
    return (stored) => lut.lut[Math.min(last, Math.max(0, stored - lut.firstValueMapped))] ?? Number.NaN;
  }
  if (image.preScale?.scaled === true) return (stored) => stored;
  return (stored) => stored * image.slope + image.intercept;
}
