/** That the line is slow, among the bars of the page. */

import { h, put } from "./dom";
import { watchLine } from "./line";
import { inLanguage, say } from "./words";

/** A figure is told anew where it differs by this share: it is read aloud each time. */
const TOLD = 0.2;

export const bar = h("div", { class: "bar", role: "status", "data-role": "net-slow", hidden: true });
let told = 0;
let language = "";

watchLine((bits) => {
  bar.hidden = bits === null;
  if (bits === null) return void (told = 0);
  if (Math.abs(bits - told) < TOLD * told && language === inLanguage()) return;
  [told, language] = [bits, inLanguage()];
  put(bar, `▲ ${say("net.slow", { r: (bits / 1e6).toFixed(1) })}`);
});
