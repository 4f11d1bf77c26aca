/** Pixel values of an image that the renderer holds, after the Modality LUT (PS3.3 C.11.1). */

import type { Types } from "@cornerstonejs/core";
import { truthIn } from "./grey";
import type { Values } from "./marks";

/** Colours have no values of this kind. */
export function valuesOf(image: Types.IImage): Values | null {
  const { columns, rows } = image;
  if (columns * rows === 0) return null;
  const truth = truthIn(image);
  return {
    columns,
    rows,
    at: (column, row) => {
      if (!truth || column < 0 || row < 0 || column >= columns || row >= rows) return null;
      return (truth.pixels[row * columns + column] ?? Number.NaN) * truth.slope + truth.intercept;
    },
  };
}
