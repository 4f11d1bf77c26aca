/** Marks, key images and layout of one reader for one study, kept at the receiver. */

import * as api from "../api";
import { isCurrent, within, type ReadingContext } from "../context";
import { h } from "../dom";
import { persist } from "../trouble";
import { word } from "../words";
import { isLayout, type Layout } from "./layout";
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

  constructor(
    private readonly context: ReadingContext,
    private readonly restored: () => void,
  ) {}

  get saved(): boolean {
    return this.loaded && !this.waiting && !this.sending;
  }

  async load(): Promise<void> {
    const { context } = this;
    await persist(context, async () => {
      const kept = await within(context, api.keptMarks(context.key, context.signal));
      // what the reader has done before the answer came stands
      this.marks = [...kept.marks, ...this.marks];
      this.keys = [...kept.keys, ...this.keys];
      this.layout ??= isLayout(kept.layout) ? kept.layout : null;
      this.loaded = true;
      this.restored();
    });
  }

  close(): void {
    window.clearTimeout(this.soon);
    // what has not been sent goes now: the page that leaves a study keeps its marks
    if (this.loaded && this.waiting) void api.keepMarks(this.context.key, this.now()).catch(() => undefined);
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
      this.bar.hidden = tries === 0;
      tries += 1;
      await api.keepMarks(context.key, this.now());
    }).catch(() => {
      this.bar.hidden = false;
      this.waiting = true;
    });
    this.sending = false;
    if (isCurrent(context) && !this.waiting) this.bar.hidden = true;
  }
}
