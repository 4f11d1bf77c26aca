/**
 * From stored pixels to grey: Modality LUT (PS3.3 C.11.1), VOI LUT (C.11.2), MONOCHROME1.
 *
 * The renderer is given stored values and a linear window, and nothing else to decide: its two
 * paths (card and processor) differ in every further step. What is no line is looked up here.
 */

import type { Types } from "@cornerstonejs/core";
import { items, number, numbers, ownWindows, text, value, type DataSet } from "./dataset";

export interface Lut {
  readonly first: number;
  readonly bits: number;
  readonly entries: Uint16Array;
  readonly name: string;
}

/** A VOI transformation that is no line: a table, or the sigmoid of a window. */
export type Shape =
  | { readonly kind: "lut"; readonly lut: Lut }
  | { readonly kind: "sigmoid"; readonly width: number; readonly center: number };

/** Pixels of an image and the line from them to values after the Modality LUT. */
export interface Truth {
  readonly pixels: ArrayLike<number>;
  readonly slope: number;
  readonly intercept: number;
}

/** The picture would have other greys than its maker meant. */
export class WrongGrey extends Error {}

const TAG = {
  modality: "00283000",
  voi: "00283010",
  descriptor: "00283002",
  explanation: "00283003",
  data: "00283006",
  function: "00281056",
  slope: "00281053",
  intercept: "00281052",
  photometric: "00280004",
} as const;
/** X-ray angiography: its Modality LUT is not for the screen (PS3.3 C.8.7.1.1.2). */
const NOT_FOR_DISPLAY = new Set(["1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.12.2"]);
const FULL = 65535;

/** A table of LUT Descriptor and LUT Data (C.11.1.1.1), or null where its parts do not agree. */
export function lutOf(item: DataSet): Lut | null {
  const [count = Number.NaN, first = Number.NaN, bits = Number.NaN] = numbers(item, TAG.descriptor) ?? [];
  const length = (count & 0xffff) || 0x10000;
  const words = numbers(item, TAG.data) ?? binary(item[TAG.data] as { InlineBinary?: string } | undefined, length);
  if (!Number.isFinite(first) || !(bits >= 8 && bits <= 16) || !words || words.length < length) return null;
  const mask = 2 ** bits - 1;
  const entries = Uint16Array.from({ length }, (_, i) => (words[i] ?? 0) & mask);
  return { first, bits, entries, name: text(item, TAG.explanation) };
}

/** Little-endian words, or bytes where there are no more of them than entries. */
function binary(element: { InlineBinary?: string } | undefined, length: number): ArrayLike<number> | null {
  if (!element?.InlineBinary) return null;
  const bytes = Uint8Array.from(atob(element.InlineBinary), (one) => one.charCodeAt(0));
  if (bytes.length < 2 * length) return bytes;
  const view = new DataView(bytes.buffer);
  return Uint16Array.from({ length }, (_, i) => view.getUint16(2 * i, true));
}

/** Entry of a table for a value; values beyond its ends take the entry at the end. */
export function entryOf({ entries, first }: Lut, of: number): number {
  const place = Math.min(entries.length - 1, Math.max(0, Math.floor(of - first)));
  return entries[place] as number;
}

export const isMonochrome1 = (data: DataSet): boolean => text(data, TAG.photometric) === "MONOCHROME1";

/** Values of an image after its Modality LUT; `stored` are its pixels as they were decoded. */
export function truthOf(stored: ArrayLike<number>, data: DataSet): Truth {
  const [item] = items(data, TAG.modality);
  if (item && !NOT_FOR_DISPLAY.has(text(data, "00080016"))) {
    const lut = lutOf(item);
    if (!lut) throw new WrongGrey();
    return { pixels: Uint16Array.from(stored, (one) => entryOf(lut, one)), slope: 1, intercept: 0 };
  }
  const slope = number(data, TAG.slope) ?? 1;
  if (slope === 0) throw new WrongGrey();
  return { pixels: stored, slope, intercept: number(data, TAG.intercept) ?? 0 };
}

/** What the image brings beside linear windows: its tables, then its sigmoids. */
export function shapesOf(data: DataSet): Shape[] {
  const luts = items(data, TAG.voi).map(lutOf).filter((lut) => lut !== null);
  const tables = luts.map((lut): Shape => ({ kind: "lut", lut }));
  if (text(data, TAG.function) !== "SIGMOID") return tables;
  return [...tables, ...ownWindows(data).map((window): Shape => ({ kind: "sigmoid", ...window }))];
}

/** True where the image has a table of grey that is of no use. */
export const hasBadTable = (data: DataSet): boolean => items(data, TAG.voi).some((item) => lutOf(item) === null);

/** VOI LUT Functions other than those of C.11.2.1.3 are not known here. */
export function hasUnknownFunction(data: DataSet): boolean {
  const name = text(data, TAG.function);
  return value(data, TAG.function) !== undefined && !["", "LINEAR", "LINEAR_EXACT", "SIGMOID"].includes(name);
}

/** The highest level that a shape gives. */
export const topOf = (shape: Shape): number => (shape.kind === "lut" ? 2 ** shape.lut.bits - 1 : FULL);

/** Level of a value, 0 to `topOf`: a table's entry, or C.11.2.1.3.1 (SIGMOID). */
export function levelOf(shape: Shape, of: number): number {
  if (shape.kind === "lut") return entryOf(shape.lut, of);
  return Math.round(FULL / (1 + Math.exp((-4 * (of - shape.center)) / shape.width)));
}

/** The line nearest to a shape: where the hand begins when it leaves the shape. */
export function lineOf(shape: Shape): { width: number; center: number } {
  if (shape.kind === "sigmoid") return { width: shape.width, center: shape.center };
  const width = shape.lut.entries.length;
  return { width, center: shape.lut.first + width / 2 };
}

/** At most some 20,000 values, evenly out of the image. */
export function sampled({ pixels, slope, intercept }: Truth): number[] {
  const stride = Math.max(1, Math.floor(pixels.length / 20_000));
  const found: number[] = [];
  for (let i = 0; i < pixels.length; i += stride) found.push((pixels[i] as number) * slope + intercept);
  return found;
}

const truths = new WeakMap<Types.IImage, Truth>();
const shapes = new WeakMap<Types.IImage, Shape>();

/** Values of an image of ours; null for colours. */
export const truthIn = (image: Types.IImage): Truth | null => truths.get(image) ?? null;

/** Through which shape the pixels of an image have gone; null for stored values. */
export const shapeIn = (image: Types.IImage): Shape | null => shapes.get(image) ?? null;

export const keepTruth = (image: Types.IImage, truth: Truth): void => void truths.set(image, truth);

/** From the numbers that the renderer holds to values. */
export interface Line {
  readonly slope: number;
  readonly intercept: number;
}
const lines = new WeakMap<Types.IImage, Line>();
export const keepLine = (image: Types.IImage, line: Line): void => void lines.set(image, line);
export const lineIn = (image: Types.IImage): Line => lines.get(image) ?? { slope: 1, intercept: 0 };
export const keepShape = (image: Types.IImage, shape: Shape): void => void shapes.set(image, shape);
