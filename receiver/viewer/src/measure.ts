/** Round lengths for scale bars. */

/** A round length (1, 2 or 5 times a power of ten) whose bar is near the wished length. */
export function roundLength(perPixel: number, wishedPixels: number): number {
  if (!(perPixel > 0) || !(wishedPixels > 0)) return 0;
  const target = perPixel * wishedPixels;
  const power = 10 ** Math.floor(Math.log10(target));
  const factor = [5, 2, 1].find((step) => step * power <= target * (1 + 1e-9)) ?? 1;
  return factor * power;
}
