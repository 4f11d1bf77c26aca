/**
 * What a test may read: which study and instance the screen shows and how.
 *
 * Read-only and nothing that is not on the screen; no test can change anything through it.
 */

import type { ReadingContext } from "./context";

export interface Shown {
  readonly [name: string]: string | number | boolean | null | readonly number[];
}

let context: ReadingContext | null = null;
let read: (() => Shown) | null = null;

export function publish(present: ReadingContext | null): void {
  context = present;
  read = null;
}

/** Hand in what reads the state of the present view. */
export function publishView(reader: () => Shown): void {
  read = reader;
}

export function expose(): void {
  const hook = Object.freeze({
    get context() {
      return context && { key: context.key, generation: context.generation };
    },
    get view() {
      return read ? read() : null;
    },
  });
  Object.defineProperty(window, "__todoke", { value: hook, writable: false });
}
