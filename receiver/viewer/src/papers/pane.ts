/** What shows one document or one video. */

import { h } from "../dom";
import { refusalOf } from "../reading";
import { say } from "../words";

export interface Pane {
  readonly element: HTMLElement;
  close(): void;
  focus(): void;
  /** True where the key was its own. */
  key(event: KeyboardEvent): boolean;
}

/** The receiver's own words for what it refuses. */
export const refusal = (error: unknown): HTMLElement => h("span", {}, refusalOf(error) || say("net.lost"));
