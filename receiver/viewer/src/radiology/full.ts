/** That not all images of a study can be held: said once, as long as the study is on the screen. */

import { h } from "../dom";
import { word } from "../words";

/** Stands among the bars of the page. */
export const bar = h("div", { class: "bar", role: "status", "data-role": "mem-full", hidden: true });

export function sayFull(): void {
  if (!bar.hidden) return;
  bar.replaceChildren("ℹ ", word("mem.full"));
  bar.hidden = false;
}

/** Another study, or none. */
export function sayNothing(): void {
  bar.hidden = true;
}
