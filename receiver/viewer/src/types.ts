/** What the receiver's web room says (JSON), as types. */

export interface Patient {
  readonly id: string | null;
  readonly issuer: string | null;
  readonly ideographic: string | null;
  readonly phonetic: string | null;
  readonly alphabetic: string | null;
  readonly birth_date: string | null;
  readonly sex: string | null;
  readonly age: string | number | null;
  readonly guessed: boolean;
  /** What the request said otherwise than the images. */
  readonly differs?: Readonly<Partial<Record<"id" | "name" | "birth_date" | "sex", string>>>;
}

export interface Row {
  readonly key: string;
  readonly institution: { readonly code: string; readonly name: string };
  readonly study_uid: string;
  readonly kind: "dicom" | "slide";
  readonly patient: Patient;
  readonly modalities: readonly string[];
  readonly description: string | null;
  readonly study_date: string | null;
  readonly study_time: string | null;
  readonly accession_number: string | null;
  readonly body_part: string | null;
  readonly priority: "urgent" | "soon" | "routine";
  readonly purpose: "diagnosis" | "advice";
  readonly arrived: number;
  readonly expected: number | null;
  readonly damaged: number;
  readonly state: string;
  readonly state_ja: string;
  readonly state_en: string;
  readonly arrived_at: string | null;
  readonly test: boolean;
  /** Text that may name the patient stands in the pixels: said so, or nothing said of it. */
  readonly burned_in?: "burned-in" | "maybe-burned-in" | null;
  /** Slides whose tiles the sender coded again, as they could not go as they were stored. */
  readonly encoded_again?: "lossless" | "lossy" | null;
  readonly request: Readonly<Record<string, unknown>> | null;
  /** What is asked, in the order in which it is shown. */
  readonly request_items: readonly {
    readonly key: string;
    readonly ja: string;
    readonly en: string;
    readonly text: string;
  }[];
  /** Addresses of the request forms (PDF). */
  readonly request_forms: readonly string[];
  readonly requested: boolean;
  /** Its images are for comparison only, 過去画像. */
  readonly prior: boolean;
  readonly dicomweb: string;
  /** How far readers are: who, and when. */
  readonly reading: {
    readonly state: "unopened" | "opened" | "reading" | "done";
    readonly state_ja: string;
    readonly state_en: string;
    readonly by: string;
    readonly display: string;
    readonly at: string | null;
    readonly late: number;
  };
  readonly intraoperative: boolean;
  /** Questions, of both sides, that wait for an answer. */
  readonly queries: number;
  readonly forward?: Forward | null;
  /** What its sender took back; the rest stands. */
  readonly recalled?: { readonly images: number; readonly reason: string; readonly at: string | null } | null;
  /** Targets that have what was taken back, and nobody has seen to it. */
  readonly recalled_at_targets?: readonly { readonly target: string; readonly instances: number }[];
  readonly alarm: { readonly step: number; readonly minutes: number; readonly at: string } | null;
}

/** What a reader compares of a patient, and of which study it is. */
export interface Identity {
  readonly id: string;
  readonly issued_by: string;
  readonly ideographic: string;
  readonly phonetic: string;
  readonly alphabetic: string;
  readonly birth_date: string;
  readonly sex: string;
  readonly guessed: boolean;
  readonly institution: { readonly code: string; readonly name: string };
  readonly study_date: string | null;
  readonly modalities: readonly string[];
  readonly description: string | null;
}

/** The study that is read and an earlier one that may be of the same person under another ID. */
export interface PriorPair {
  readonly prior: string;
  readonly state: "possible" | "linked" | "dismissed";
  /** What an answer repeats: it is of these two identities and of no others. */
  readonly seen: string;
  readonly by: string;
  readonly display: string;
  readonly at: string | null;
  /** Of the study that is read, and of the earlier one. */
  readonly identities: readonly [Identity, Identity];
}

/** A hand-off to the certified viewer. */
export interface Forward {
  readonly id: string;
  /** Images that were taken back and are still at the target; nobody has seen to it. */
  readonly to_settle?: number;
  /** What the target promised to keep (PS3.4 annex J). */
  readonly commitment?: { readonly state: string; readonly state_ja: string; readonly state_en: string; readonly failed: number } | null;
  readonly target: string;
  readonly state: "waiting" | "sending" | "done" | "failed";
  readonly state_ja: string;
  readonly state_en: string;
  readonly sent: number;
  readonly total: number;
  readonly by: string;
  readonly display: string;
  readonly at: string;
  readonly finished_at: string | null;
  readonly error: { readonly number: string; readonly ja: string; readonly en: string } | null;
}

/** A check of a monitor, as it was recorded. */
export interface MonitorCheck {
  readonly passed: boolean;
  readonly due_on: string;
  readonly at: string;
  readonly display: string;
}

export interface MonitorStanding {
  readonly serial: string;
  readonly daily: MonitorCheck | null;
  readonly constancy: MonitorCheck | null;
  readonly warnings: readonly ("daily-due" | "daily-failed" | "changed" | "constancy-due" | "constancy-failed")[];
}

export interface History {
  readonly advice: boolean;
  readonly messages: readonly {
    readonly id: string;
    readonly kind: string;
    readonly way: "in" | "out";
    readonly text: string;
    readonly display: string;
    readonly at: string;
  }[];
}

export interface Instance {
  readonly sop_uid: string;
  readonly number: number | null;
  readonly state: "expected" | "received" | "stored" | "verified" | "damaged";
  readonly frames: number | null;
  readonly rows: number | null;
  readonly columns: number | null;
  readonly sop_class: string;
  readonly transfer_syntax: string | null;
}

/** One of the instances that a level lies in. */
export interface Part {
  readonly sop_uid: string;
  readonly frames: number;
  /** Frames of the level before its first. */
  readonly first: number;
  /** Place of each frame, row by row: base64 of uint32 LE; null where frames are in that order. */
  readonly places: string | null;
}

export interface SlideLevel {
  readonly sop_uid: string;
  readonly columns: number;
  readonly rows: number;
  readonly tile_columns: number;
  readonly tile_rows: number;
  readonly frames: number;
  readonly spacing_um: number | null;
  readonly flavor: string;
  readonly arrived: number;
  /** There only where a tile's frame does not follow from its place in this one instance. */
  readonly parts?: readonly Part[];
  readonly transfer_syntax: string | null;
  readonly photometric: string | null;
  readonly samples: number | null;
  readonly bits: number | null;
  readonly planar: number | null;
  /** Focal planes (0048,0303); one where nobody says. */
  readonly planes?: number | null;
  /** Made at the receiver from this level, by so much smaller; never sent by anybody. */
  readonly derived?: { readonly of: string; readonly factor: number };
}

export interface Associated {
  readonly sop_uid: string;
  readonly flavor: string;
  readonly columns: number;
  readonly rows: number;
  readonly arrived: number;
  readonly state: string;
}

export interface Slide {
  readonly levels: readonly SlideLevel[];
  readonly associated: readonly Associated[];
  readonly objective_power: number | null;
  readonly icc: boolean;
  /** What the glass is called: Container Identifier (0040,0512). */
  readonly container?: string | null;
  /** Levels of another order of frames were left out. */
  readonly sparse?: boolean;
  readonly lossy: boolean | null;
  readonly focus: string | null;
  readonly ratio: number | null;
  readonly scanner: string | null;
  /** Its tiles were decoded and coded again by the sender. */
  readonly reencoded: boolean;
  /** With loss, as the sending site has decided. */
  readonly recoded?: boolean;
}

export interface Series {
  readonly series_uid: string;
  readonly modality: string | null;
  readonly number: number | null;
  readonly description: string | null;
  readonly expected: number | null;
  readonly instances: readonly Instance[];
  readonly slide?: Slide | null;
}

/** From which day on a study may be purged (Japan's, YYYY-MM-DD), or who holds it. */
export interface Purge {
  readonly on: string | null;
  readonly held: { readonly display: string; readonly reason: string; readonly at: string } | null;
}

export interface Study extends Row {
  /** Null: it is not purged, or not before long. */
  readonly purge?: Purge | null;
  /** When an image came last, by the receiver's clock. */
  readonly last_arrived_at?: string | null;
  readonly series: readonly Series[];
}

export interface Worklist {
  readonly server_time: string;
  readonly rows: readonly Row[];
}

export const ROLES = ["reader", "administrator", "auditor"] as const;
export type Role = (typeof ROLES)[number];

export interface User {
  readonly name: string;
  readonly display: string;
  readonly role: Role;
  readonly emergency?: boolean;
}

/** A second factor, without its secret; times in seconds since 1970. */
export interface Factor {
  readonly id: string;
  readonly kind: "totp" | "passkey";
  readonly label: string;
  readonly made_at: number;
  readonly used_at: number | null;
}

export interface SessionRow {
  readonly id: string;
  readonly user: string;
  readonly address: string;
  readonly made_at: number;
  readonly locked: boolean;
  readonly present: boolean;
}

export interface Person {
  readonly name: string;
  readonly display: string;
  readonly role: Role;
  readonly disabled: boolean;
  readonly factors: readonly ("totp" | "passkey" | "recovery")[];
  readonly seal?: "sealed" | "open" | "used";
  /** Codes of the institutions that the person is limited to. */
  readonly institutions?: readonly string[];
}

export interface Session {
  readonly user: User;
  readonly stage: "second" | "enrol" | "full" | "locked";
  /** What the sign-in service is called, if it knows this person. */
  readonly oidc?: string;
  readonly factors?: readonly string[];
  readonly lock_seconds?: number;
  readonly server_time?: string;
  readonly version?: string;
  readonly institution?: { readonly name: string; readonly code: string };
}

export interface Coverage {
  readonly instances: Readonly<
    Record<string, { readonly frames: number; readonly bitmap: string; readonly damaged?: boolean }>
  >;
}

export interface FramesHint {
  readonly key: string;
  readonly sop: string;
  readonly from: number;
  readonly count: number;
}

/** A mark on a slide: places in µm from its upper left corner (px where pixels have no size). */
export interface SlideMark {
  readonly id: number;
  readonly series: string;
  readonly kind: "point" | "length";
  readonly unit: "um" | "px";
  readonly points: readonly (readonly [number, number])[];
}

/** An urgent study that nobody has opened; whatever differs is another call. */
export interface Call {
  readonly key: string;
  readonly arrived_at: string | null;
  readonly late: number;
  readonly step: number;
}
