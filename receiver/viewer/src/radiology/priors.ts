/** Earlier studies of the same person that are here. */

import * as api from "../api";
import { samePatient, within, type ReadingContext } from "../context";
import type { PriorPair, Row } from "../types";
import type { PossiblePriors } from "./possible";

/** One of them; where it is under another Patient ID, with what a reader has confirmed. */
export interface Prior {
  readonly key: string;
  readonly confirmed: PriorPair | null;
}

/** Newest first, those of the same modality before others. */
export async function priorsOf(context: ReadingContext, possible: PossiblePriors): Promise<Prior[]> {
  const { key, study } = context;
  const [{ rows }] = await within(context, Promise.all([api.worklist(), possible.ready]));
  const linked = possible.linked();
  const time = (row: Row): string => `${row.study_date ?? ""}${row.study_time ?? ""}`;
  const alike = (row: Row): number =>
    row.modalities.some((modality) => study.modalities.includes(modality)) ? 0 : 1;
  return rows
    .filter((row) => row.key !== key && row.kind === "dicom" && (samePatient(row, study) || linked.has(row.key)))
    .filter((row) => time(row) !== "" && time(row) <= time(study))
    .sort((a, b) => alike(a) - alike(b) || time(b).localeCompare(time(a)))
    .map((row) => ({ key: row.key, confirmed: samePatient(row, study) ? null : (linked.get(row.key) ?? null) }));
}
