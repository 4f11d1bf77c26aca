/** Hanging: how many panes, and which picture in which. */

import type { Series } from "../types";
import type { Slot } from "./slots";

export type Layout = "1x1" | "1x2" | "2x2";
export const LAYOUTS: readonly Layout[] = ["1x1", "1x2", "2x2"];
export const PANES: Readonly<Record<Layout, number>> = { "1x1": 1, "1x2": 2, "2x2": 4 };
export const isLayout = (said: unknown): said is Layout => LAYOUTS.includes(said as Layout);

/** A series shorter than this is a scout or a single picture: not what is opened first. */
const MORE_THAN_SCOUTS = 4;
const SINGLE = new Set(["CR", "DX", "MG", "RG", "IO", "PX"]);

export interface Hung {
  readonly series: number;
  /** Null: where a stack begins. */
  readonly place: number | null;
}

/** What the screen begins with: radiographs beside each other, stacks alone; upright one, or R beside L. */
export function firstLayout(
  series: readonly Series[],
  slots: readonly (readonly Slot[])[],
  upright = false,
): Layout {
  const pictures = series
    .map((one, i) => (SINGLE.has(one.modality ?? "") ? (slots[i]?.length ?? 0) : 0))
    .reduce((sum, count) => sum + count, 0);
  const only = series.every((one) => SINGLE.has(one.modality ?? ""));
  if (!only || pictures < 2) return "1x1";
  if (upright) return areBreasts(series) ? "1x2" : "1x1";
  return pictures >= 4 && series.some((one) => one.modality === "MG") ? "2x2" : "1x2";
}

/** Nothing but radiographs of the breast. */
export const areBreasts = (series: readonly Series[]): boolean =>
  series.length > 0 && series.every((one) => one.modality === "MG");

/** Which series is opened first: the first that is no scout, else the first with an image. */
export function firstSeries(slots: readonly (readonly Slot[])[]): number {
  const from = (least: number): number =>
    slots.findIndex((own) => own.length >= least && own.some((slot) => slot.here));
  const stack = from(MORE_THAN_SCOUTS);
  return stack >= 0 ? stack : from(1);
}

/** Pictures for so many panes: single pictures one by one, stacks a series each. */
export function hang(
  count: number,
  series: readonly Series[],
  slots: readonly (readonly Slot[])[],
  first: number,
): Hung[] {
  const all: Hung[] = series.flatMap((one, index): Hung[] => {
    const own = slots[index] ?? [];
    if (own.length === 0) return [];
    if (!SINGLE.has(one.modality ?? "")) return [{ series: index, place: null }];
    return own.map((_, place) => ({ series: index, place }));
  });
  const start = Math.max(0, all.findIndex((one) => one.series === first));
  const turned = [...all.slice(start), ...all.slice(0, start)];
  return turned.slice(0, count);
}

