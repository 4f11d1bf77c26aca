/** The table of keys of the work list. */

import { ask } from "../dialog";
import { h } from "../dom";
import { word, type Word } from "../words";

const KEYS: readonly [string, Word][] = [
  ["↑ ↓", "key.updown"],
  ["Enter", "key.enter"],
  ["Shift+T", "key.claim"],
  ["Shift+C", "key.query"],
  ["Shift+F", "key.forward"],
  ["Shift+Enter", "key.done"],
  ["← →", "key.tabs"],
  ["/", "key.search"],
  ["N", "key.new"],
  ["Q", "key.confirm"],
  ["?", "key.help"],
];

export function showKeys(): void {
  const rows = KEYS.map(([key, text]) => h("tr", {}, h("td", {}, h("kbd", {}, key)), h("td", {}, word(text))));
  ask("dialog.keys", h("table", {}, h("tbody", {}, ...rows)));
}
