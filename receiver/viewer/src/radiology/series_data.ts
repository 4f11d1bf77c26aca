/** The data sets of a series, fetched for one reading context and checked against it. */

import dicomImageLoader from "@cornerstonejs/dicom-image-loader";
import { request } from "../api";
import { isCurrent, within, type ReadingContext } from "../context";
import { passing, pause } from "../trouble";
import type { Series } from "../types";
import { forRenderer as coloured } from "./colours";
import { framed, inlined, text, type DataSet } from "./dataset";
import { addressed } from "./pixels";
import type { Slot } from "./slots";

const DICOM_JSON = { headers: { Accept: "application/dicom+json" } };

/** An image that says another patient or study than the list: it must not be drawn. */
export class OtherPatient extends Error {}

export class SeriesData {
  private readonly sets = new Map<string, DataSet>();
  private readonly frames = new Map<string, DataSet>();
  private readonly bulk = new Map<string, Promise<Uint8Array>>();
  private readonly base: string;
  /** Addresses that the renderer has been told of. */
  readonly registered = new Set<string>();

  constructor(
    private readonly context: ReadingContext,
    series: Series,
  ) {
    const { study } = context;
    this.base = `${study.dicomweb}/studies/${study.study_uid}/series/${series.series_uid}`;
  }

  /**
   * Address by which the renderer knows a slot, as stored or through one of its shapes of grey;
   * it holds identifiers of images, no patient's.
   */
  imageId(slot: Slot, shape: number | null = null): string {
    return addressed(`${location.origin}${this.base}/instances/${slot.sop}/frames/${slot.frame}`, shape);
  }

  thumbnail(slot: Slot): string {
    return `${this.base}/instances/${slot.sop}/thumbnail`;
  }

  /** The data set as the slot's frame has it. */
  get(slot: Slot): DataSet | null {
    const whole = this.sets.get(slot.sop);
    if (!whole) return null;
    const id = `${slot.sop}/${slot.frame}`;
    const known = this.frames.get(id);
    if (known) return known;
    const made = framed(whole, slot.frame);
    this.frames.set(id, made);
    return made;
  }

  /** The slot's data set; one instance at a time until the series' has come. */
  async need(slot: Slot): Promise<DataSet> {
    const known = this.get(slot);
    if (known) return known;
    await this.fetch(`${this.base}/instances/${slot.sop}/metadata`);
    const fetched = this.get(slot);
    if (!fetched) throw new Error("the receiver has no data set for this image");
    return fetched;
  }

  /** All that are here, in one answer. */
  async fetchSeries(): Promise<void> {
    await this.fetch(`${this.base}/metadata`);
  }

  private async fetch(path: string): Promise<void> {
    const response = await within(
      this.context,
      request(path, { ...DICOM_JSON, signal: this.context.signal }),
    );
    const answer = await within(this.context, response.json() as Promise<DataSet[]>);
    for (const data of answer) this.take(data);
  }

  private take(data: DataSet): void {
    const sop = text(data, "00080018");
    const { study, patient } = this.context;
    if (text(data, "0020000D") !== study.study_uid || text(data, "00100020") !== (patient.id ?? "").trim()) {
      throw new OtherPatient();
    }
    this.sets.set(sop, data);
    for (const kept of [this.frames, this.bulk]) {
      for (const id of kept.keys()) if (id.startsWith(`${sop}/`)) kept.delete(id);
    }
  }

  /** A large binary value of a data set, by its own address; asked for until there is an answer. */
  async bits(sop: string, data: DataSet, tag: string): Promise<Uint8Array> {
    const here = inlined(data, tag);
    if (here) return here;
    const id = `${sop}/${tag}`;
    const known = this.bulk.get(id);
    if (known) return known;
    const fetched = this.fetchBits(`${this.base}/instances/${sop}/bulkdata/${tag}`);
    this.bulk.set(id, fetched);
    fetched.catch(() => this.bulk.delete(id));
    return fetched;
  }

  private async fetchBits(path: string): Promise<Uint8Array> {
    const options = { headers: { Accept: "application/octet-stream" }, signal: this.context.signal };
    for (let tries = 0; ; tries += 1) {
      try {
        const response = await within(this.context, request(path, options));
        return new Uint8Array(await within(this.context, response.arrayBuffer()));
      } catch (error) {
        if (!isCurrent(this.context) || !passing(error)) throw error;
      }
      await new Promise((done) => setTimeout(done, pause(tries)));
    }
  }

  /** Forget binary values, as the decoded pictures are forgotten while the page is locked. */
  forget(): void {
    this.bulk.clear();
  }

  /** Make the frame's data set known to the renderer under the slot's address. */
  register(slot: Slot): void {
    const data = this.get(slot);
    if (!data) return;
    const id = this.imageId(slot);
    if (this.registered.has(id)) return;
    this.registered.add(id);
    dicomImageLoader.wadors.metaDataManager.add(id, forRenderer(data) as never);
  }
}

/** Kinds for which the renderer has windows and scales of its own. */
const SPECIAL = new Set(["PT", "RTDOSE"]);

/**
 * A frame's data set without what would make the renderer decide for itself: it would look for
 * other frames, turn MONOCHROME1 over on one of its paths alone, and give PET another window.
 */
function forRenderer(data: DataSet): DataSet {
  const plain = coloured(data);
  delete plain["00280008"];
  if (text(data, "00280004") === "MONOCHROME1") plain["00280004"] = { vr: "CS", Value: ["MONOCHROME2"] };
  if (SPECIAL.has(text(data, "00080060")) || text(data, "00080060") === "") plain["00080060"] = { vr: "CS", Value: ["OT"] };
  return plain;
}
