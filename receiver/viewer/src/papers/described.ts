/** What an object says of itself, and that it is of the patient whose study is open. */

import { request } from "../api";
import { within, type ReadingContext } from "../context";
import { text, type DataSet } from "../radiology/dataset";

/** It says another patient or study than the list: it must not be shown. */
export class OtherPatient extends Error {}

/** Which object of a study. */
export interface Paper {
  readonly sop_uid: string;
  readonly series_uid: string;
  readonly kind: "pdf" | "cda" | "other" | "video";
  /** It came with the request, 依頼票. */
  readonly form: boolean;
  readonly state: string;
  readonly state_ja: string;
  readonly state_en: string;
  readonly title: string;
  readonly date: string;
  readonly number: number | null;
  readonly media: string;
  readonly syntax: string;
  readonly container: string;
}

const of = (context: ReadingContext): string => `/api/studies/${encodeURIComponent(context.key)}/papers`;

export async function papers(context: ReadingContext): Promise<readonly Paper[]> {
  const answer = await within(context, request(of(context), { signal: context.signal }));
  return (await within(context, answer.json() as Promise<{ papers: Paper[] }>)).papers;
}

/** Where the bytes of one are. */
export const address = (context: ReadingContext, paper: Paper): string =>
  `${of(context)}/${paper.sop_uid}/${paper.kind === "video" ? "video" : "document"}`;

export async function described(context: ReadingContext, paper: Paper): Promise<DataSet> {
  const { study, patient } = context;
  const place = `${study.dicomweb}/studies/${study.study_uid}/series/${paper.series_uid}`;
  const asked = { headers: { Accept: "application/dicom+json" }, signal: context.signal };
  const answer = await within(context, request(`${place}/instances/${paper.sop_uid}/metadata`, asked));
  const [data] = await within(context, answer.json() as Promise<DataSet[]>);
  if (
    !data ||
    text(data, "00080018") !== paper.sop_uid ||
    text(data, "0020000D") !== study.study_uid ||
    text(data, "00100020") !== (patient.id ?? "").trim()
  ) {
    throw new OtherPatient();
  }
  return data;
}
