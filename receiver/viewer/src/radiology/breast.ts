/**
 * Radiographs of the breast as they are hung: right beside left, chest walls touching.
 *
 * Which picture is where comes from Image Laterality and View Position; where the chest wall lies
 * comes from Patient Orientation (PS3.3 C.7.6.1.1.1: the first value is the direction of the rows).
 * A picture that does not say so, or says something else, is neither turned over nor moved.
 */

import { persist } from "../trouble";
import { number, text, type DataSet } from "./dataset";
import { areBreasts, hang, type Hung } from "./layout";
import type { Pane } from "./pane";
import type { Stack } from "./stack";
import type { StudyData } from "./study_data";

export type Side = "left" | "right";

/** CC above MLO; what is neither comes after both. */
const VIEWS = ["CC", "MLO"];

const laterality = (data: DataSet): string => text(data, "00200062") || text(data, "00200060");

function view(data: DataSet): number {
  const found = VIEWS.indexOf(text(data, "00185101"));
  return found < 0 ? VIEWS.length : found;
}

/** Right before left, view by view; pictures without a side stand behind, in their order. */
export function inOrder<T extends Hung>(hung: readonly T[], of: (one: T) => DataSet | null): T[] {
  const rank = (one: T): number => {
    const data = of(one) ?? {};
    const side = ["R", "L"].indexOf(laterality(data));
    return side < 0 ? Number.MAX_SAFE_INTEGER : view(data) * 2 + side;
  };
  return hung
    .map((one, place) => ({ one, place, rank: rank(one) }))
    .sort((a, b) => a.rank - b.rank || a.place - b.place)
    .map(({ one }) => one);
}

/** On which side of the stored picture the chest wall lies; null where nobody says. */
export function wallOf(data: DataSet): Side | null {
  const rows = String(data["00200020"]?.Value?.[0] ?? "");
  if (rows.startsWith("A")) return "left"; // the rows run away from the chest
  return rows.startsWith("P") ? "right" : null;
}

/** Where a pane of two columns has its neighbour: there the chest wall belongs. */
export const inner = (place: number): Side => (place % 2 === 0 ? "right" : "left");

/** All pictures of a study in the order in which they are hung, once it is known which is which. */
export async function breastsOf(study: StudyData): Promise<Hung[]> {
  const { context, series, slots } = study;
  const fetched = series.flatMap((_, index) =>
    // what cannot be had is said by the pane that shows it; here it stands behind the others
    study.at(index).some((slot) => slot.here) ? [persist(context, () => study.of(index).fetchSeries()).catch(() => undefined)] : [],
  );
  await Promise.all(fetched);
  const all = hang(Number.MAX_SAFE_INTEGER, series, slots, 0);
  return inOrder(all, ({ series: index, place }) => {
    const slot = study.at(index)[place ?? 0];
    return slot ? study.of(index).get(slot) : null;
  });
}

/** At which size of its pane a picture was put against its neighbour; a reader's hand stands. */
const put = new WeakMap<Stack, string>();

/** Put the chest wall against the pane beside; `anew` after the reader has taken the view back. */
export function touch(panes: readonly Pane[], pane: Pane, anew = false): void {
  const { stack, area } = pane;
  const data = pane.ground()?.data;
  if (!stack || !data || panes.length < 2 || !pane.of || !areBreasts(pane.of.series)) return;
  const size = `${area.clientWidth}x${area.clientHeight}`;
  if (!anew && put.get(stack) === size) return;
  put.set(stack, size);
  const wall = wallOf(data);
  if (wall === null || wall !== inner(panes.indexOf(pane))) return;
  const edge = wall === "left" ? 0 : (number(data, "00280011") ?? 0);
  const [x] = stack.toCanvas([edge, 0]);
  if (Number.isFinite(x)) stack.pan((wall === "left" ? 0 : area.clientWidth) - x, 0);
}
