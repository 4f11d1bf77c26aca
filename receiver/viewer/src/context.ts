/**
 * Whose study is on the screen: one immutable context, and nothing drawn outside it.
 *
 * Each opening has a generation. Whatever comes back from the receiver is kept only while its
 * generation is the present one; a late answer of the study before is dropped.
 */

import type { Identity, Patient, PriorPair, Row, Study } from "./types";

export interface ReadingContext {
  readonly key: string;
  readonly generation: number;
  readonly signal: AbortSignal;
  readonly study: Study;
  readonly patient: Patient;
}

/** An opening that has begun: it has no patient until the receiver has said which. */
export interface Opening {
  readonly key: string;
  readonly generation: number;
  readonly signal: AbortSignal;
}

export class Late extends Error {
  constructor() {
    super("an answer for a study that is no longer on the screen");
  }
}

let generation = 0;
let controller = new AbortController();

/** End the present generation: requests are given up, their answers will be late. */
export function leave(): void {
  generation += 1;
  controller.abort();
  controller = new AbortController();
}

export function begin(key: string): Opening {
  leave();
  return Object.freeze({ key, generation, signal: controller.signal });
}

export function isCurrent(of: { readonly generation: number }): boolean {
  return of.generation === generation;
}

/** Await something for a generation; throws `Late` when that generation is over by then. */
export async function within<T>(of: { readonly generation: number }, answer: Promise<T>): Promise<T> {
  try {
    const value = await answer;
    if (!isCurrent(of)) throw new Late();
    return value;
  } catch (error) {
    if (!isCurrent(of)) throw new Late();
    throw error;
  }
}

export function settle(opening: Opening, study: Study): ReadingContext {
  if (!isCurrent(opening) || study.key !== opening.key) throw new Late();
  return Object.freeze({
    ...opening,
    study: Object.freeze(study),
    patient: Object.freeze(study.patient),
  });
}

/** Two studies are one person's only where institution, identifier and birth date agree. */
export function samePatient(a: Study | Row, b: Study | Row): boolean {
  return (
    a.institution.code === b.institution.code &&
    a.patient.id !== null &&
    a.patient.id.trim() !== "" &&
    a.patient.id === b.patient.id &&
    a.patient.birth_date === b.patient.birth_date &&
    a.patient.sex === b.patient.sex
  );
}

/** Whether two studies are the very ones, of the very identities, that a reader has confirmed. */
export function confirmedBy(pair: PriorPair | null, now: Study | Row, before: Study | Row): boolean {
  return pair?.state === "linked" && pair.prior === before.key && says(now, pair.identities[0]) && says(before, pair.identities[1]);
}

const SAID = ["id", "ideographic", "phonetic", "alphabetic", "birth_date", "sex"] as const;

function says({ institution, patient }: Study | Row, identity: Identity): boolean {
  return institution.code === identity.institution.code && SAID.every((name) => (patient[name] ?? "") === identity[name]);
}

/** An earlier study beside the one that is read: of the same person, and gone with it. */
export function beside(context: ReadingContext, study: Study, confirmed: PriorPair | null = null): ReadingContext {
  const same = samePatient(context.study, study) || confirmedBy(confirmed, context.study, study);
  if (!isCurrent(context) || !same) throw new Late();
  return Object.freeze({
    ...context,
    key: study.key,
    study: Object.freeze(study),
    patient: Object.freeze(study.patient),
  });
}
