/** How long what is on its way will take: by what came since the page was opened. */

const LEAST_MS = 3_000; // a shorter while says nothing

interface Came {
  readonly at: number;
  readonly arrived: number;
}

/** Minutes and seconds as `m:ss`, or "" where it is not known. */
export function left(from: Came, now: Came, expected: number | null): string {
  const [came, took] = [now.arrived - from.arrived, now.at - from.at];
  if (expected === null || came <= 0 || took < LEAST_MS) return "";
  const seconds = Math.ceil(((expected - now.arrived) * took) / came / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
