/** Asking for frames that have not come: the sender is told to hurry, the answer brings them. */

import * as api from "../api";
import { Late, within, type ReadingContext } from "../context";
import { arrived } from "../line";
import { partsOf } from "./parts";
import { addressOf, PARTS } from "./together";

const AT_ONCE = 256; // frames that one request asks for, so that they come first
const AGAIN_MS = 20_000;
const WAITING_MS = 5000; // that one looks for what was asked for as often as one can
const WAIT = "wait=5"; // seconds that the answer may wait for the last of them (RFC 7240)

export interface Place {
  readonly sop: string;
  readonly number: number;
}

export class Asking {
  private readonly asked = new Map<string, number>();
  private readonly brought = new Map<string, Uint8Array<ArrayBuffer>>();
  private askedAt = -WAITING_MS;

  /**
   * @param address of a frame.
   * @param came is told what an answer brought; with nothing, that something has come unheard.
   */
  constructor(
    private readonly context: ReadingContext,
    private readonly address: (sop: string, frame: number) => string,
    private readonly came: (frames: readonly Place[]) => void,
  ) {}

  /** True for a while after something was asked for. */
  get recently(): boolean {
    return performance.now() - this.askedAt < WAITING_MS;
  }

  /** The bytes of a frame that an answer brought, once. */
  take(address: string): Uint8Array<ArrayBuffer> | null {
    const bytes = this.brought.get(address) ?? null;
    this.brought.delete(address);
    return bytes;
  }

  /** All of an instance in one request: a browser has six connections, and more would wait. */
  ask(missing: readonly Place[]): void {
    const now = performance.now();
    const wanted = new Map<string, number[]>();
    missing
      .filter(({ sop, number }) => now - (this.asked.get(this.address(sop, number)) ?? -AGAIN_MS) >= AGAIN_MS)
      .slice(0, AT_ONCE)
      .forEach(({ sop, number }) => {
        this.asked.set(this.address(sop, number), now);
        wanted.set(sop, [...(wanted.get(sop) ?? []), number]);
      });
    if (wanted.size > 0) {
      this.askedAt = now;
      this.brought.clear(); // what nobody took is of a view that is left
    }
    for (const [sop, numbers] of wanted) void this.fetch(sop, numbers);
  }

  private async fetch(sop: string, numbers: readonly number[]): Promise<void> {
    const { context, address } = this;
    const url = addressOf(address, sop, numbers);
    const headers = { Accept: PARTS, Prefer: WAIT };
    try {
      const response = await within(context, api.request(url, { headers, signal: context.signal }));
      const parts = partsOf(response.headers.get("Content-Type") ?? "", await within(context, arrived(response)));
      if (parts.length !== numbers.length) return this.came([]);
      numbers.forEach((number, place) => this.brought.set(address(sop, number), parts[place]!));
      this.came(numbers.map((number) => ({ sop, number })));
    } catch (error) {
      if (error instanceof api.Refused || error instanceof Late) return; // not yet: it is heard when they come
      for (const number of numbers) this.asked.delete(address(sop, number));
    }
  }
}
