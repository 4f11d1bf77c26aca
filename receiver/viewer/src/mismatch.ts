/** Where a request names another person than the images do: said in the list and on the picture. */

import { h } from "./dom";
import { dashed, spaced } from "./names";
import type { Patient } from "./types";
import { say, word } from "./words";

const NAMES = ["id", "name", "birth_date", "sex"] as const;

function words(patient: Patient): string {
  const { differs = {} } = patient;
  const parts = NAMES.flatMap((name) => {
    const said = differs[name];
    if (!said) return [];
    return say(`id.of.${name}`, { v: name === "birth_date" ? dashed(said) : spaced(said) });
  });
  return parts.length > 0 ? say("id.mismatch", { w: parts.join("・") }) : "";
}

/** A chip for the list. */
export function mismatchChip(patient: Patient): HTMLElement[] {
  const said = words(patient);
  return said ? [h("span", { class: "chip inverse mismatch", title: said, "data-role": "mismatch" }, "⚠ ", word("id.differ"))] : [];
}

/** The whole of it, beside the patient's name. */
export function mismatch(patient: Patient): HTMLElement[] {
  const said = words(patient);
  return said ? [h("strong", { class: "chip inverse mismatch", role: "alert", "data-role": "mismatch" }, `⚠ ${said}`)] : [];
}
