/** The table of keys of the page that is open. */

import { ask } from "./dialog";
import { h } from "./dom";
import { word } from "./words";
import { PAPER_KEYS, RADIOLOGY_KEYS, SLIDE_KEYS, STUDY_KEYS, type KeyRow } from "./words/keys";

/** Show a table; Esc takes it away again. */
export function keyTable(...groups: readonly (readonly KeyRow[])[]): void {
  const line = ([, written, does]: KeyRow): HTMLElement =>
    h("tr", {}, h("td", {}, h("kbd", {}, written)), h("td", {}, word(does)));
  const tables = groups.map((rows) => h("table", {}, h("tbody", {}, ...rows.map(line))));
  const { element } = ask("dialog.keys", h("div", { class: "key-tables" }, ...tables));
  element.classList.add("keys-of-page");
  element.querySelector("button.plain")?.replaceChildren(word("keys.close"));
}

/** The table of what is on the screen now. */
export function keysHere(): void {
  if (document.querySelector("[data-role='papers']")) keyTable(PAPER_KEYS, STUDY_KEYS);
  else if (document.querySelector(".pathology")) keyTable(SLIDE_KEYS, STUDY_KEYS);
  else keyTable(RADIOLOGY_KEYS, STUDY_KEYS);
}

/** Whether a key asks for the table: by its place, as an input method may be on. */
export const asksForKeys = (event: KeyboardEvent): boolean =>
  event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey && (event.code === "Slash" || event.key === "?");
