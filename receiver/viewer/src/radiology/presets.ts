/** Windows of the digit keys (HU, so for CT only) and what comes without a key. */

import type { Word } from "../words";
import type { Uptake } from "./suv";

export interface Window {
  readonly width: number;
  readonly center: number;
  readonly name: Word;
}

/** Digit 1 to 9; a digit keeps its meaning whatever the body part. */
export const PRESETS: readonly Window[] = [
  { width: 80, center: 40, name: "win.brain" },
  { width: 200, center: 75, name: "win.subdural" },
  { width: 40, center: 40, name: "win.stroke" },
  { width: 400, center: 40, name: "win.soft" },
  { width: 1500, center: -600, name: "win.lung" },
  { width: 350, center: 40, name: "win.abdomen" },
  { width: 150, center: 90, name: "win.liver" },
  { width: 2000, center: 350, name: "win.bone" },
  { width: 600, center: 170, name: "win.vessel" },
];

/** SUV from 0 to so much, by digit 1 to 3, for PET whose uptake is known. */
export const UPTAKES: readonly { readonly most: number; readonly name: Word }[] = [
  { most: 5, name: "win.suv5" },
  { most: 6, name: "win.suv6" },
  { most: 10, name: "win.suv10" },
];

/** The preset of a key, or null where it means nothing for this modality. */
export function preset(digit: number, modality: string | null, uptake: Uptake | null = null): Window | null {
  if (modality === "CT") return PRESETS[digit - 1] ?? null;
  const range = UPTAKES[digit - 1];
  if (modality !== "PT" || !range || !uptake || !("factor" in uptake)) return null;
  const width = range.most / uptake.factor;
  return { width, center: width / 2, name: range.name };
}

/** Window and level after a drag: right is wider, down is brighter (IHE BIR). */
export function dragged(window: Window, dx: number, dy: number): Window {
  const step = Math.max(window.width / 400, 0.25);
  return {
    width: Math.max(1, window.width + dx * step),
    center: window.center - dy * step,
    name: "win.manual",
  };
}

/** A window over the 1st to 99th percentile of the values. */
export function automatic(values: ArrayLike<number>): Window {
  const sample: number[] = [];
  const stride = Math.max(1, Math.floor(values.length / 20_000));
  for (let i = 0; i < values.length; i += stride) sample.push(values[i] ?? 0);
  sample.sort((a, b) => a - b);
  const at = (share: number): number => sample[Math.floor(share * (sample.length - 1))] ?? 0;
  const [low, high] = [at(0.01), at(0.99)];
  return { width: Math.max(1, high - low + 1), center: (low + high + 1) / 2, name: "win.auto" };
}

/** Bounds of the linear window function, PS3.3 C.11.2.1.2.1 (LINEAR) and .2 (LINEAR_EXACT). */
export function bounds(window: Window, exact = false): { lower: number; upper: number } {
  if (exact) return { lower: window.center - window.width / 2, upper: window.center + window.width / 2 };
  const width = Math.max(1, window.width);
  const half = (width - 1) / 2;
  return { lower: window.center - 0.5 - half, upper: window.center - 0.5 + half };
}

/** The figure for the eye, read back from the bounds that the renderer holds. */
export function figure(lower: number, upper: number, exact = false): { width: number; center: number } {
  if (exact) return { width: upper - lower, center: (lower + upper) / 2 };
  return { width: upper - lower + 1, center: (lower + upper + 1) / 2 };
}
