/** Reading values out of the DICOM JSON model (PS3.18 Annex F). */

export interface Element {
  readonly vr?: string;
  readonly Value?: readonly unknown[];
  /** Base64 of a binary value that is small. */
  readonly InlineBinary?: string;
}
export type DataSet = Readonly<Record<string, Element | undefined>>;

/** A binary value that came with its data set; null where it did not. */
export function inlined(data: DataSet, tag: string): Uint8Array | null {
  const said = data[tag]?.InlineBinary;
  return said ? Uint8Array.from(atob(said), (one) => one.charCodeAt(0)) : null;
}

export function value(data: DataSet, tag: string): unknown {
  return data[tag]?.Value?.[0];
}

export function text(data: DataSet, tag: string): string {
  const first = value(data, tag);
  return typeof first === "string" || typeof first === "number" ? String(first).trim() : "";
}

export function number(data: DataSet, tag: string): number | null {
  const first = value(data, tag);
  const read = typeof first === "string" ? Number.parseFloat(first) : first;
  return typeof read === "number" && Number.isFinite(read) ? read : null;
}

export function numbers(data: DataSet, tag: string): number[] | null {
  const all = data[tag]?.Value;
  if (!all?.length) return null;
  const read = all.map((one) => (typeof one === "string" ? Number.parseFloat(one) : Number(one)));
  return read.every(Number.isFinite) ? read : null;
}

export interface PersonName {
  readonly ideographic: string | null;
  readonly phonetic: string | null;
  readonly alphabetic: string | null;
}

export function personName(data: DataSet, tag: string): PersonName {
  const name = (value(data, tag) ?? {}) as Record<string, string | undefined>;
  return {
    ideographic: name["Ideographic"] ?? null,
    phonetic: name["Phonetic"] ?? null,
    alphabetic: name["Alphabetic"] ?? null,
  };
}

/** Photographs: their grey is that of the camera. */
const VISIBLE_LIGHT = new Set(["GM", "XC"]);
const AS_STORED = { center: 128, width: 256 };

/**
 * Windows that the image itself brings, PS3.3 C.11.2.
 *
 * Colours have none: they are shown as stored, since a stretch would make other colours of them.
 */
export function ownWindows(data: DataSet): { width: number; center: number }[] {
  const colours = (number(data, "00280002") ?? 1) > 1;
  if (colours && number(data, "00280100") === 8) return [AS_STORED];
  const centers = numbers(data, "00281050") ?? [];
  const widths = numbers(data, "00281051") ?? [];
  const own = centers
    .map((center, i) => ({ center, width: widths[i] ?? Number.NaN }))
    .filter((window) => window.width >= 1 || (window.width > 0 && isExact(data)));
  return own.length === 0 && VISIBLE_LIGHT.has(text(data, "00080060")) ? [AS_STORED] : own;
}

export const isExact = (data: DataSet): boolean => text(data, "00281056") === "LINEAR_EXACT";

/** True when the pixel data have been lossy at any time, PS3.3 C.7.6.1.1.5. */
export const isLossy = (data: DataSet): boolean => text(data, "00282110") === "01";

const GROUPS = { shared: "52009229", perFrame: "52009230" } as const;

/**
 * The data set as one frame has it: what its functional groups say, shared and its own, laid over
 * the top level (PS3.3 C.7.6.16). A data set without functional groups is given back as it is.
 */
export function framed(data: DataSet, frame: number): DataSet {
  const shared = value(data, GROUPS.shared) as DataSet | undefined;
  const own = data[GROUPS.perFrame]?.Value?.[frame - 1] as DataSet | undefined;
  if (!shared && !own) return data;
  const laid: Record<string, Element | undefined> = { ...data };
  for (const group of [shared, own]) {
    for (const macro of Object.values(group ?? {})) {
      const item = macro?.Value?.[0];
      if (macro?.vr === "SQ" && item && typeof item === "object") Object.assign(laid, item);
    }
  }
  delete laid[GROUPS.shared];
  delete laid[GROUPS.perFrame];
  return laid;
}

/** Items of a sequence. */
export const items = (data: DataSet, tag: string): readonly DataSet[] =>
  (data[tag]?.Value ?? []) as readonly DataSet[];
