/** Frames asked for together: those of a view in a few requests, where one each takes longer to ask than to come. */

import { request } from "../api";
import { arrived } from "../line";
import { partsOf } from "./parts";

/** Frames of one request: a slow line shows the first of a view while the rest are on their way. */
const MOST = 16;
/** Of several frames, whatever they are coded in (PS3.18 8.7.3.3). */
export const PARTS = 'multipart/related; type="application/octet-stream"';

/** Return the address of several frames of one instance; numbers from 0, in their order. */
export const addressOf = (
  address: (sop: string, frame: number) => string,
  sop: string,
  numbers: readonly number[],
): string => [address(sop, numbers[0]!), ...numbers.slice(1).map((number) => number + 1)].join(",");

/** What one caller wants, and how it is told. */
export interface Wanted {
  readonly sop: string;
  readonly number: number;
  readonly accept: string;
  readonly signal: AbortSignal;
  done(body: Response): void;
  failed(error: unknown): void;
}

export class Together {
  private wanted: Wanted[] = [];

  constructor(private readonly address: (sop: string, frame: number) => string) {}

  /** Fetch a frame; what is asked for in the same task goes with it. */
  fetch(sop: string, number: number, accept: string, signal: AbortSignal): Promise<Response> {
    return new Promise((done, failed) => {
      this.wanted.push({ sop, number, accept, signal, done, failed });
      if (this.wanted.length === 1) queueMicrotask(() => this.send());
    });
  }

  private send(): void {
    const wanted = this.wanted;
    this.wanted = [];
    for (const some of grouped(wanted)) void (some.length > 1 ? this.several(some) : this.each(some));
  }

  private async several(some: readonly Wanted[]): Promise<void> {
    const { sop } = some[0]!;
    const signal = allOf(some.map((one) => one.signal));
    try {
      const url = addressOf(this.address, sop, some.map(({ number }) => number));
      const response = await request(url, { headers: { Accept: PARTS }, signal });
      const parts = partsOf(response.headers.get("Content-Type") ?? "", await arrived(response));
      if (parts.length !== some.length) return await this.each(some);
      some.forEach((one, place) => one.done(new Response(parts[place]!)));
    } catch {
      await this.each(some); // which of them it is about only an answer of its own says
    }
  }

  private async each(some: readonly Wanted[]): Promise<void> {
    await Promise.all(
      some.map(({ sop, number, accept, signal, done, failed }) =>
        request(this.address(sop, number), { headers: { Accept: accept }, signal })
          .then(async (response) => new Response(await arrived(response)))
          .then(done, failed),
      ),
    );
  }
}

/** Those of an instance in as many groups as it takes, of about one size. */
export function grouped(wanted: readonly Wanted[]): Wanted[][] {
  const of = new Map<string, Wanted[]>();
  for (const one of wanted) of.set(one.sop, [...(of.get(one.sop) ?? []), one]);
  return [...of.values()].flatMap((some) => {
    const count = Math.ceil(some.length / MOST);
    const size = Math.ceil(some.length / count);
    return Array.from({ length: count }, (_, i) => some.slice(i * size, (i + 1) * size));
  });
}

/** A signal that is given when each of these has been. */
function allOf(signals: readonly AbortSignal[]): AbortSignal {
  const gone = new AbortController();
  let left = signals.length;
  const one = (): void => {
    left -= 1;
    if (left === 0) gone.abort();
  };
  for (const signal of signals) {
    if (signal.aborted) one();
    else signal.addEventListener("abort", one, { once: true });
  }
  return gone.signal;
}
