/** Which frames of each level have arrived: one bit per frame, least significant bit first. */

import type { Coverage as Answer, Slide, SlideLevel, Study } from "../types";
import type { Frame } from "./pyramid";

/** Why a frame is not shown: it has not come, it was found damaged, nothing here can decode it. */
export type Why = "missing" | "damaged" | "undecodable";

export class Coverage {
  private readonly bits = new Map<string, Uint8Array>();
  private readonly broken = new Set<string>();
  private readonly refused = new Set<string>();

  static from(answer: Answer): Coverage {
    const coverage = new Coverage();
    for (const [sop, { bitmap, damaged }] of Object.entries(answer.instances)) {
      coverage.bits.set(sop, decode(bitmap));
      if (damaged) coverage.broken.add(sop);
    }
    return coverage;
  }

  has(sop: string, frame: number): boolean {
    const bytes = this.bits.get(sop);
    return bytes !== undefined && ((bytes[frame >> 3] ?? 0) & (1 << (frame & 7))) !== 0;
  }

  /** Whether a tile is here: there is a frame for it, and it has arrived. */
  holds(frame: Frame | null): boolean {
    return frame !== null && this.has(frame.sop, frame.number);
  }

  /** Take a frame as here: the receiver has just given it. */
  hold(sop: string, frame: number): void {
    const bytes = this.bits.get(sop);
    const at = frame >> 3;
    if (bytes?.[at] !== undefined) bytes[at] |= 1 << (frame & 7);
  }

  /** Take a frame away: the receiver has just said that it is not there. */
  clear(sop: string, frame: number): void {
    const bytes = this.bits.get(sop);
    const at = frame >> 3;
    if (bytes?.[at] !== undefined) bytes[at] &= ~(1 << (frame & 7));
  }

  /** Take a frame away that is here but cannot be shown. */
  refuse(sop: string, frame: number, why: "damaged" | "undecodable"): void {
    this.clear(sop, frame);
    this.refused.add(`${sop} ${frame} ${why}`);
  }

  why(sop: string, frame: number): Why {
    if (this.refused.has(`${sop} ${frame} undecodable`)) return "undecodable";
    const damaged = this.broken.has(sop) || this.refused.has(`${sop} ${frame} damaged`);
    return damaged ? "damaged" : "missing";
  }

  count(sop: string): number {
    let n = 0;
    for (let byte of this.bits.get(sop) ?? []) for (; byte; byte &= byte - 1) n += 1;
    return n;
  }

  /** Frames of the pyramid that have arrived. */
  here(slide: Slide): number {
    const instances = sent(slide).flatMap<{ sop_uid: string }>((level) => level.parts ?? [level]);
    return instances.reduce((sum, one) => sum + this.count(one.sop_uid), 0);
  }

  /** Share of all frames of the pyramid, 0 to 1. */
  share(slide: Slide): number {
    const total = sent(slide).reduce((sum, level) => sum + level.frames, 0);
    return total === 0 ? 0 : this.here(slide) / total;
  }

  /** A study as it has come by now: it counts when something of it changes, tiles come in between. */
  counted(study: Study): Study {
    const here = study.series.reduce((sum, { slide }) => sum + (slide ? this.here(slide) : 0), 0);
    return { ...study, arrived: Math.max(study.arrived, here) };
  }
}

/** The levels that were sent, none of those that were made here. */
const sent = (slide: Slide): readonly SlideLevel[] => slide.levels.filter((level) => !level.derived);

function decode(base64: string): Uint8Array {
  const binary = atob(base64);
  return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
}
