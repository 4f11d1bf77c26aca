/**
 * Several windows and monitors show one patient (VIEWING 9.2).
 *
 * A window that opens a patient tells the others of the same browser, which take another patient
 * off their screens. The message stays in the browser's memory.
 */

import type { Row } from "./types";

const identity = ({ institution, patient }: Row): string =>
  JSON.stringify([institution.code, patient.id, patient.birth_date, patient.sex]);

const channel = new BroadcastChannel("todoke-patient");
let shown: string | null = null;

/** Call as a patient comes onto this screen, or with null as one leaves it. */
export function showsPatient(row: Row | null): void {
  shown = row && identity(row);
  if (shown !== null) channel.postMessage(shown);
}

/** Say what takes the patient off this screen; it is called when another window opens another. */
export function onOtherPatient(leave: () => void): void {
  channel.addEventListener("message", (event: MessageEvent<unknown>) => {
    if (shown !== null && event.data !== shown) leave();
  });
}
