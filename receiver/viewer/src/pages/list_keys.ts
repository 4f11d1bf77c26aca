/** The table of keys of the work list. */

import { keyTable, type KeyRow } from "../keys";

export const LIST_KEYS: readonly KeyRow[] = [
  [["ArrowUp", "ArrowDown"], "↑ ↓", "key.updown"],
  [["Enter"], "Enter", "key.enter"],
  [["KeyT"], "Shift+T", "key.claim"],
  [["KeyC"], "Shift+C", "key.query"],
  [["KeyF"], "Shift+F", "key.forward"],
  [["Enter"], "Shift+Enter", "key.done"],
  [["ArrowLeft", "ArrowRight"], "← →", "key.tabs"],
  [["Slash"], "/", "key.search"],
  [["Escape"], "Esc", "keys.leavesearch"],
  [["KeyN"], "N", "key.new"],
  [["KeyQ"], "Q", "key.confirm"],
  [["KeyD"], "Shift+D", "keys.dim"],
  [["Slash"], "?", "key.help"],
];

export function showKeys(): void {
  keyTable(LIST_KEYS);
}
