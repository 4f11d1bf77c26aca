/** Marks, key images and layout of one reader for one study, kept at the receiver. */

import * as api from "../api";
import { isCurrent, within, type ReadingContext } from "../context";
import { h } from "../dom";
import { persist } from "../trouble";
import { word } from "../words";
import { isLayout, type Layout } from "./layout";
import * as unsent from "./unsent";
import type { Mark } from "./marks";

const PAUSE_MS = 300; // a hand that goes on marking is not one request a mark

export interface KeyImage {
  readonly sop: string;
  readonly frame: number;
}

export interface KeptMarks {
  readonly marks: readonly Mark[];
  readonly keys: readonly KeyImage[];
  readonly layout: string | null;
}

interface Told extends Omit<KeptMarks, "layout"> {
  readonly key: string;
}

/** Windows of one browser are one reader's: what one keeps the others know, or they would undo it. */
const windows = new BroadcastChannel("todoke-marks");

export class Kept {
  /** Shown while what was marked is not at the receiver. */
  readonly bar = h("div", { class: "bar unsaved", role: "status", hidden: true }, "▲ ", word("marks.unsaved"));
  marks: readonly Mark[] = [];
  layout: Layout | null = null;
  private keys: readonly KeyImage[] = [];
  private loaded = false;
  private soon = 0;
  private waiting = false;
  private sending = false;
  private over = false;
  /** What is on its way to the receiver. */
  private flight: Promise<unknown> = Promise.resolve();
  /** What another window kept before this one's own answer came. */
  private before: Told | null = null;
  private readonly told = ({ data }: MessageEvent<Told>): void => {
    if (data.key !== this.context.key || !isCurrent(this.context)) return;
    if (!this.loaded) this.before = data;
    else this.adopt(data);
  };
  private readonly hidden = (): void => {
    if (this.loaded && this.waiting && !this.sending) void api.keepMarks(this.context.key, this.now()).catch(() => undefined);
  };

  constructor(
    private readonly context: ReadingContext,
    private readonly restored: () => void,
  ) {
    window.addEventListener("pagehide", this.hidden); // a window that is closed has no second chance
    windows.addEventListener("message", this.told);
  }

  private adopt({ marks, keys }: Told): void {
    this.marks = marks;
    this.keys = keys;
    this.restored();
  }

  get saved(): boolean {
    return this.loaded && !this.waiting && !this.sending;
  }

  async load(): Promise<void> {
    const { context } = this;
    const mine = await unsent.reclaim(context.key);
    if (mine) {
      this.marks = [...mine.kept.marks, ...this.marks];
      this.keys = [...mine.kept.keys, ...this.keys];
      this.layout ??= isLayout(mine.kept.layout) ? mine.kept.layout : null;
      this.waiting = true;
      this.loaded = mine.whole;
      if (this.over) return this.hand(); // the reader was here for a moment only
      if (mine.whole) {
        this.restored();
        return this.changed();
      }
    }
    await persist(context, async () => {
      const kept = await within(context, api.keptMarks(context.key, context.signal));
      // what the reader has done before the answer came stands
      this.marks = [...kept.marks, ...this.marks];
      this.keys = [...kept.keys, ...this.keys];
      this.layout ??= isLayout(kept.layout) ? kept.layout : null;
      this.loaded = true;
      if (this.before) this.adopt(this.before);
      else this.restored();
    });
    if (this.waiting && !this.over) this.changed();
  }

  close(): void {
    window.clearTimeout(this.soon);
    window.removeEventListener("pagehide", this.hidden);
    windows.removeEventListener("message", this.told);
    this.over = true;
    unsent.says(this, false);
    // what is not known to have come is sent on after the study has left the screen
    if (this.waiting || this.sending) this.hand();
  }

  private hand(): void {
    unsent.leave(this.context.key, this.now(), this.loaded, this.flight);
  }

  isKey(sop: string, frame: number): boolean {
    return this.keys.some((key) => key.sop === sop && key.frame === frame);
  }

  toggleKey(sop: string, frame: number): void {
    const others = this.keys.filter((key) => key.sop !== sop || key.frame !== frame);
    this.keys = others.length < this.keys.length ? others : [...others, { sop, frame }];
    this.changed();
  }

  setMarks(marks: readonly Mark[]): void {
    this.marks = marks;
    this.changed();
  }

  setLayout(layout: Layout): void {
    if (layout === this.layout) return;
    this.layout = layout;
    this.changed();
  }

  private now(): KeptMarks {
    const { marks, keys, layout } = this;
    return { marks, keys, layout };
  }

  private changed(): void {
    this.waiting = true;
    windows.postMessage({ key: this.context.key, marks: this.marks, keys: this.keys } satisfies Told);
    if (this.soon === 0) this.soon = window.setTimeout(() => void this.send(), PAUSE_MS);
  }

  private async send(): Promise<void> {
    const { context } = this;
    this.soon = 0;
    if (!this.loaded || this.sending) {
      this.soon = window.setTimeout(() => void this.send(), PAUSE_MS);
      return;
    }
    this.waiting = false;
    this.sending = true;
    let tries = 0;
    await persist(context, async () => {
      this.failing(tries > 0);
      tries += 1;
      const flight = api.keepMarks(context.key, this.now());
      this.flight = flight;
      await flight;
    }).catch(() => {
      this.failing(true);
      this.waiting = true;
    });
    this.sending = false;
    if (isCurrent(context) && !this.waiting) this.failing(false);
  }

  private failing(fails: boolean): void {
    if (this.over) return;
    this.bar.hidden = !fails;
    unsent.says(this, fails);
  }
}
