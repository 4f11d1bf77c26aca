/** Marks of a reader on an image, and what they measure. */

import { text, value, type DataSet } from "./dataset";
import type { Point } from "./geometry";
import { spacingAt } from "./spacing";
import { petUnit, uptakeOf } from "./suv";

export type MarkKind = "length" | "angle" | "ellipse" | "probe";

/** Points are in pixels of the image from the outer corner of its first pixel. */
export interface Mark {
  readonly id: string;
  readonly kind: MarkKind;
  readonly sop: string;
  readonly frame: number;
  readonly points: readonly Point[];
}

/** Points that make a mark. */
export const POINTS: Readonly<Record<MarkKind, number>> = { length: 2, angle: 3, ellipse: 2, probe: 1 };

/** Pixel values of an image after its Modality LUT. */
export interface Values {
  readonly columns: number;
  readonly rows: number;
  /** Null for colours. */
  at(column: number, row: number): number | null;
}

/** What a mark says; figures as they are, rounding is the label's affair. */
export interface Measured {
  readonly length?: number;
  readonly angle?: number;
  readonly value?: number;
  readonly mean?: number;
  readonly deviation?: number;
  readonly area?: number;
  readonly pixels?: number;
  /** Of lengths. */
  readonly unit: "mm" | "px";
  readonly detector: boolean;
  /** Of values: HU, or what Rescale Type says. */
  readonly of: string;
  /** Values times this are SUV by body weight. */
  readonly uptake?: number;
}

export function measure(mark: Mark, data: DataSet, values: Values | null): Measured {
  const { dx, dy, unit, detector } = spacingAt(data, mark.points);
  const uptake = uptakeOf(data);
  const base = { unit, detector, of: unitOf(data), ...(uptake && "factor" in uptake ? { uptake: uptake.factor } : {}) };
  const [a, b, c] = mark.points;
  const leg = (from: Point, to: Point): Point => [(to[0] - from[0]) * dx, (to[1] - from[1]) * dy];
  if (mark.kind === "length" && a && b) return { ...base, length: Math.hypot(...leg(a, b)) };
  if (mark.kind === "angle" && a && b && c) return { ...base, angle: angle(leg(b, a), leg(b, c)) };
  if (mark.kind === "probe" && a && values) {
    const found = values.at(Math.floor(a[0]), Math.floor(a[1]));
    return found === null ? base : { ...base, value: found };
  }
  if (mark.kind === "ellipse" && a && b) {
    const area = (Math.PI * Math.abs(b[0] - a[0]) * dx * Math.abs(b[1] - a[1]) * dy) / 4;
    return { ...base, area, ...within(a, b, values) };
  }
  return base;
}

function angle(a: Point, b: Point): number {
  const turned = Math.atan2(a[0] * b[1] - a[1] * b[0], a[0] * b[0] + a[1] * b[1]);
  return Math.abs((turned * 180) / Math.PI);
}

/** Mean and standard deviation (of all, not of a sample) of pixels whose middle lies inside. */
function within(a: Point, b: Point, values: Values | null): { mean?: number; deviation?: number; pixels?: number } {
  const [cx, cy] = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const [rx, ry] = [Math.abs(b[0] - a[0]) / 2, Math.abs(b[1] - a[1]) / 2];
  if (!values || rx === 0 || ry === 0) return {};
  const clip = (figure: number, most: number): number => Math.min(most - 1, Math.max(0, Math.floor(figure)));
  let [count, mean, spread] = [0, 0, 0];
  for (let row = clip(cy - ry, values.rows); row <= clip(cy + ry, values.rows); row += 1) {
    for (let column = clip(cx - rx, values.columns); column <= clip(cx + rx, values.columns); column += 1) {
      if (((column + 0.5 - cx) / rx) ** 2 + ((row + 0.5 - cy) / ry) ** 2 > 1) continue;
      const found = values.at(column, row);
      if (found === null) return {};
      count += 1; // Welford: no difference of large sums
      const step = found - mean;
      mean += step / count;
      spread += step * (found - mean);
    }
  }
  return count === 0 ? {} : { mean, deviation: Math.sqrt(spread / count), pixels: count };
}

/** Unit of values: Rescale Type (PS3.3 C.11.1.1.2); without one HU for CT that is no localizer. */
export function unitOf(data: DataSet): string {
  const said = text(data, "00281054");
  const pet = petUnit(data);
  if (pet) return pet;
  if (said) return said === "US" ? "" : said;
  const localizer = (data["00080008"]?.Value ?? []).includes("LOCALIZER");
  return text(data, "00080060") === "CT" && !localizer && value(data, "00281052") !== undefined ? "HU" : "";
}

/** The mark's figures as lines for the eye. */
export function said(measured: Measured, atDetector: string): string[] {
  const { unit, of, uptake } = measured;
  const end = measured.detector ? ` (${atDetector})` : "";
  const lines: string[] = [];
  if (measured.length !== undefined) lines.push(`${measured.length.toFixed(unit === "px" ? 0 : 1)} ${unit}${end}`);
  if (measured.angle !== undefined) lines.push(`${measured.angle.toFixed(1)}°`);
  if (measured.value !== undefined) {
    if (uptake !== undefined) lines.push(`SUV ${(measured.value * uptake).toFixed(2)}`);
    lines.push(`${plain(measured.value)} ${of}`.trim());
  }
  if (measured.mean !== undefined && measured.deviation !== undefined) {
    if (uptake !== undefined) {
      lines.push(`SUV ${(measured.mean * uptake).toFixed(2)} ± ${(measured.deviation * uptake).toFixed(2)}`);
    }
    lines.push(`${measured.mean.toFixed(1)} ± ${measured.deviation.toFixed(1)} ${of}`.trim());
  }
  if (measured.area !== undefined) {
    lines.push(`${measured.area.toFixed(unit === "px" ? 0 : 1)} ${unit}²${end}`);
  }
  return lines;
}

const plain = (figure: number): string => String(Math.round(figure * 100) / 100);

/** Marks of one study, with what came before for undoing. */
export class MarkBook {
  private now: readonly Mark[] = [];
  private readonly before: (readonly Mark[])[] = [];
  selected: string | null = null;

  constructor(private readonly changed: () => void) {}

  get all(): readonly Mark[] {
    return this.now;
  }

  of(sop: string, frame: number): Mark[] {
    return this.now.filter((mark) => mark.sop === sop && mark.frame === frame);
  }

  /** What has been kept from before: nothing to undo. */
  load(marks: readonly Mark[]): void {
    this.now = marks;
  }

  put(mark: Mark): void {
    this.set([...this.now.filter((one) => one.id !== mark.id), mark]);
    this.selected = mark.id;
  }

  /** The selected mark, or the last that was made on this image. */
  remove(sop: string, frame: number): void {
    const here = this.of(sop, frame);
    const gone = here.find((mark) => mark.id === this.selected) ?? here.at(-1);
    if (gone) this.set(this.now.filter((mark) => mark !== gone));
  }

  undo(): void {
    const last = this.before.pop();
    if (!last) return;
    this.now = last;
    this.changed();
  }

  private set(marks: readonly Mark[]): void {
    this.before.push(this.now);
    this.now = marks;
    this.changed();
  }
}

/** 128 random bits: also where a page is not served by https, unlike `randomUUID`. */
export const newId = (): string =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
