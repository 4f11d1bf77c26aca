/** What of a study is no still image: documents and videos, told by their own kind, never by a modality. */

import type { Instance, Series, Study } from "../types";

/** MPEG-2, MPEG-4 AVC and HEVC (PS3.5 8.2.5 to 8.2.11): all frames are one stream. */
const VIDEO = /^1\.2\.840\.10008\.1\.2\.4\.10[0-8](\.1)?$/;
/** Encapsulated PDF, CDA, STL, OBJ and MTL (PS3.4 B.5). */
const DOCUMENT = /^1\.2\.840\.10008\.5\.1\.4\.1\.1\.104\.[1-5]$/;

type Kinds = Pick<Instance, "sop_class" | "transfer_syntax">;

export const isPaper = (instance: Kinds): boolean =>
  DOCUMENT.test(instance.sop_class) || VIDEO.test(instance.transfer_syntax ?? "");

/** The series as image viewports may have it; null where nothing is left for them. */
export function pictured(series: Series): Series | null {
  const instances = series.instances.filter((one) => !isPaper(one));
  if (instances.length === series.instances.length) return series;
  if (instances.length === 0) return null;
  return { ...series, instances, expected: series.expected === null ? null : instances.length };
}

export const papersOf = (study: Study): readonly Instance[] =>
  study.series.flatMap((series) => series.instances.filter(isPaper));
