/** The table of keys of the work list. */

import { keyTable } from "../keys";
import { LIST_KEYS } from "../words/keys";

export function showKeys(): void {
  keyTable(LIST_KEYS);
}
