/**
 * The scanner's colours on this screen: a cube of sRGB values that the receiver made of the
 * slide's ICC profile (PS3.3 C.11.15), read between its points by tetrahedra.
 */

/** Points along each axis: a step of 5, so that each lies on a whole value. */
export const POINTS = 52;
const STEP = 255 / (POINTS - 1);

export interface Lut {
  readonly id: number;
  /** Red outermost, three bytes a point. */
  readonly cube: Uint8Array;
}

/** Replace the colours of RGBA in place. */
export function apply(cube: Uint8Array, rgba: Uint8ClampedArray): void {
  const [R, G, B] = [POINTS * POINTS * 3, POINTS * 3, 3];
  for (let at = 0; at < rgba.length; at += 4) {
    const [r, g, b] = [(rgba[at] as number) / STEP, (rgba[at + 1] as number) / STEP, (rgba[at + 2] as number) / STEP];
    const [i, j, k] = [Math.min(r | 0, POINTS - 2), Math.min(g | 0, POINTS - 2), Math.min(b | 0, POINTS - 2)];
    const [x, y, z] = [r - i, g - j, b - k];
    const low = i * R + j * G + k * B;
    // the walk from the lowest corner to the highest goes along the greatest fraction first
    let [first, second] = [0, 0];
    let [one, two, three] = [0, 0, 0];
    if (x >= y) {
      if (y >= z) [first, second, one, two, three] = [R, R + G, x, y, z];
      else if (x >= z) [first, second, one, two, three] = [R, R + B, x, z, y];
      else [first, second, one, two, three] = [B, B + R, z, x, y];
    } else if (z > y) [first, second, one, two, three] = [B, B + G, z, y, x];
    else if (z > x) [first, second, one, two, three] = [G, G + B, y, z, x];
    else [first, second, one, two, three] = [G, G + R, y, x, z];
    const high = low + R + G + B;
    for (let c = 0; c < 3; c += 1) {
      rgba[at + c] =
        (1 - one) * (cube[low + c] as number) +
        (one - two) * (cube[low + first + c] as number) +
        (two - three) * (cube[low + second + c] as number) +
        three * (cube[high + c] as number);
    }
  }
}
