/** Telling a passing failure from a lasting one, and trying again while it still matters. */

import { opened, Refused } from "./api";
import { isCurrent, Late, type ReadingContext } from "./context";

const AGAIN_MS = [500, 1000, 2000, 5000] as const;

/** How browsers word that a request had no answer; other errors of this type are a program's own. */
const UNANSWERED = /fetch|network|load failed/i;

/** True where the same request may well succeed later: no answer, or the server's own trouble. */
export function passing(error: unknown): boolean {
  if (error instanceof Late) return false;
  if (error instanceof Refused) return error.status >= 500 || error.status === 429;
  if (error instanceof XMLHttpRequest) return error.status === 0 || error.status >= 500;
  const inner = (error as { error?: unknown } | null)?.error; // as the image loader wraps it
  return (error instanceof TypeError && UNANSWERED.test(error.message)) || (inner !== undefined && passing(inner));
}

/** Milliseconds before the next try, after `tries` that failed. */
export const pause = (tries: number): number =>
  AGAIN_MS[Math.min(tries, AGAIN_MS.length - 1)] ?? 5000;

/** Do something until it succeeds, fails for good, or the study leaves the screen. */
export async function persist(context: ReadingContext, what: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; isCurrent(context); tries += 1) {
    try {
      await what();
      return;
    } catch (error) {
      if (!isCurrent(context) || error instanceof Late) return;
      if (!passing(error)) throw error;
    }
    await new Promise((done) => setTimeout(done, pause(tries)));
  }
}

/** Tell the receiver, and through it the sender, that this study has been opened. */
export function tellOpened(context: ReadingContext): void {
  void persist(context, () => opened(context.key));
}
