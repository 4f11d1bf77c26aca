/** Earlier studies of the same person that are here. */

import * as api from "../api";
import { samePatient, within, type ReadingContext } from "../context";
import type { Row } from "../types";

/** Newest first, those of the same modality before others. */
export async function priorsOf(context: ReadingContext): Promise<Row[]> {
  const { rows } = await within(context, api.worklist());
  const { study } = context;
  const time = (row: Row): string => `${row.study_date ?? ""}${row.study_time ?? ""}`;
  const alike = (row: Row): number =>
    row.modalities.some((modality) => study.modalities.includes(modality)) ? 0 : 1;
  return rows
    .filter((row) => row.key !== study.key && row.kind === "dicom" && samePatient(row, study))
    .filter((row) => time(row) !== "" && time(row) <= time(study))
    .sort((a, b) => alike(a) - alike(b) || time(b).localeCompare(time(a)));
}
