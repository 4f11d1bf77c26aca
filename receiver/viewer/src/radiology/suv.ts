/**
 * Standardised uptake by body weight (SUVbw) of PET, or a word why there is none (PS3.3 C.8.9.1).
 *
 * Computed only where every figure of it is in the object and none has to be guessed: activity in
 * Bq/ml that is corrected for attenuation, and for decay to the start of the scan.
 */

import { items, number, text, type DataSet } from "./dataset";

/** Why no SUV is shown; the words are `suv.…`. */
export type Lacking = "units" | "corrections" | "decay" | "weight" | "dose" | "time";

/** SUV of a value is the value times `factor` (g/ml per Bq/ml). */
export type Uptake = { readonly factor: number } | { readonly lacking: Lacking };

const TAG = {
  modality: "00080060",
  units: "00541001",
  corrected: "00280051",
  decay: "00541102",
  weight: "00101030",
  tracer: "00540016",
  dose: "00181074",
  halfLife: "00181075",
  startTime: "00181072",
  startDateTime: "00181078",
} as const;
const MOST_HALF_LIVES = 10; // later than that nobody scans: one of the times is wrong

/** Null for what is no PET. */
export function uptakeOf(data: DataSet): Uptake | null {
  if (text(data, TAG.modality) !== "PT") return null;
  if (text(data, TAG.units) !== "BQML") return { lacking: "units" };
  const corrected = (data[TAG.corrected]?.Value ?? []).map(String);
  if (!corrected.includes("ATTN") || !corrected.includes("DECY")) return { lacking: "corrections" };
  if (text(data, TAG.decay) !== "START") return { lacking: "decay" };
  const weight = number(data, TAG.weight); // kg
  if (weight === null || !(weight > 0)) return { lacking: "weight" };
  const tracers = items(data, TAG.tracer);
  const [tracer] = tracers;
  if (!tracer || tracers.length > 1) return { lacking: "dose" }; // of which of two the picture is, nobody says
  const dose = number(tracer, TAG.dose); // Bq
  const halfLife = number(tracer, TAG.halfLife); // s
  if (dose === null || halfLife === null || !(dose > 0) || !(halfLife > 0)) return { lacking: "dose" };
  const elapsed = elapsedOf(data, tracer);
  if (elapsed === null || elapsed > MOST_HALF_LIVES * halfLife) return { lacking: "time" };
  return { factor: (weight * 1000) / (dose * 2 ** (-elapsed / halfLife)) };
}

/** Seconds from the dose to the time to which decay is corrected: the start of the series. */
function elapsedOf(data: DataSet, tracer: DataSet): number | null {
  const scan = moment(text(data, "00080021"), text(data, "00080031"));
  const taken = moment(text(data, "00080022"), text(data, "00080032"));
  // a series that was made anew carries a later time: that of the scan is then not known
  if (scan === null || taken === null || scan > taken) return null;
  const whole = text(tracer, TAG.startDateTime);
  const given = whole
    ? moment(whole.slice(0, 8), whole.slice(8).replace(/[+-]\d{4}$/, ""))
    : moment(text(data, "00080021"), text(tracer, TAG.startTime));
  if (given === null || given > scan || otherZone(whole, text(data, "00080201"))) return null;
  return scan - given;
}

/** Where only one of two times says its zone, both are taken to be of one wall. */
function otherZone(dose: string, scan: string): boolean {
  const zone = /[+-]\d{4}$/;
  const [a, b] = [zone.exec(dose)?.[0], zone.exec(scan)?.[0]];
  return a !== undefined && b !== undefined && a !== b;
}

/** Seconds of a date (DA) and a time (TM), to be subtracted from another of the same zone. */
function moment(date: string, time: string): number | null {
  const day = /^(\d{4})(\d{2})(\d{2})$/.exec(date);
  const clock = /^(\d{2})(\d{2})(\d{2}(?:\.\d{1,6})?)$/.exec(time);
  if (!day || !clock) return null;
  const midnight = Date.UTC(Number(day[1]), Number(day[2]) - 1, Number(day[3])) / 1000;
  return midnight + Number(clock[1]) * 3600 + Number(clock[2]) * 60 + Number(clock[3]);
}

const UNITS: Readonly<Record<string, string>> = { BQML: "Bq/ml", GML: "g/ml", CNTS: "counts", CPS: "counts/s", PROPCNTS: "prop. counts" };

/** The unit of the values of PET as its device has it; empty where it says none. */
export const petUnit = (data: DataSet): string => {
  const said = text(data, TAG.units);
  return text(data, TAG.modality) === "PT" ? (UNITS[said] ?? said) : "";
};
