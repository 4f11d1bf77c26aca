/** Series of a study that hold no pictures for a viewport: said by name and number, never left out silently. */

import { h } from "../dom";
import type { Instance, Series, Study } from "../types";
import { word } from "../words";

/** SR, PR, KO, REG and SEG are kinds of objects, whatever their class is called (PS3.3 C.7.3.1.1.1). */
const NO_PICTURE = new Set(["SR", "PR", "KO", "DOC", "REG", "SEG"]);

/**
 * Storage classes without pictures (PS3.4 B.5), after 1.2.840.10008.5.1.4.1.1: waveforms 9,
 * presentation states 11, raw data, registrations and segmentations 66, real world values 67,
 * surfaces 68, measurements 78 to 80, reports 88, annotations 91, documents 104, protocols 200,
 * and of radiotherapy all but images and doses 481.
 */
const NOT_PICTURED = /^(9|11|66|67|68|78|79|80|88|91|104|200|481\.[3-9])(\.|$)/;
const STORAGE = "1.2.840.10008.5.1.4.1.1.";
/** Documents have a place of their own. */
const DOCUMENT = /^104\./;

const partOf = ({ sop_class }: Instance): string =>
  sop_class.startsWith(STORAGE) ? sop_class.slice(STORAGE.length) : "";

export const isOther = (series: Series): boolean =>
  NO_PICTURE.has(series.modality ?? "") ||
  (series.instances.length > 0 && series.instances.every((one) => NOT_PICTURED.test(partOf(one))));

/** How many objects without pictures there are, by modality: "SR 2, SEG 1"; empty for none. */
export function othersOf(study: Study): string {
  const counts = new Map<string, number>();
  for (const series of study.series.filter(isOther)) {
    const count = series.instances.filter((one) => !DOCUMENT.test(partOf(one))).length;
    const name = series.modality ?? "?";
    if (count > 0) counts.set(name, (counts.get(name) ?? 0) + count);
  }
  return [...counts].map(([name, count]) => `${name} ${count}`).join(", ");
}

/** The same in words, or null for none. */
export function othersNote(study: Study): HTMLElement | null {
  const list = othersOf(study);
  return list === "" ? null : h("p", { class: "no-pictures", "data-role": "no-pictures" }, word("others.list", { l: list }));
}
