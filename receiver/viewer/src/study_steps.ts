/** 引受け, 照会, 完了 of the study that is open: what the list offers, by the same rules. */

import * as api from "./api";
import { within, type ReadingContext } from "./context";
import { h, put, writing } from "./dom";
import * as events from "./events";
import { localTime } from "./frame";
import { isLocked } from "./lock";
import { claim, finish, query, refusalOf } from "./reading";
import { persist } from "./trouble";
import type { Study } from "./types";
import { inLanguage, onLanguage, say, word, type Word } from "./words";

const SOON_MS = 150;

type Step = (study: Study) => Promise<void>;

export class StudySteps {
  private study: Study;
  private soon = 0;
  private readonly standing = h("span", { class: "standing", role: "status", "data-role": "reading-state" });
  private readonly said = h("span", { class: "said", role: "alert" });
  private readonly ends: (() => void)[];
  readonly element: HTMLElement;
  /** By the place of a key; what changes a study takes two keys, never one (VIEWING 3). */
  private readonly keys: Readonly<Record<string, Step>> = {
    KeyT: claim,
    KeyC: (study) => query(study),
    Enter: (study) => finish(study, () => this.hint()),
  };

  constructor(
    private readonly context: ReadingContext,
    /** Told of the study as it is now. */
    private readonly news: (study: Study) => void = () => undefined,
  ) {
    this.study = context.study;
    const button = (key: string, label: Word, title: string): HTMLElement =>
      h("button", { type: "button", "data-step": key, title, onclick: () => this.take(key) }, word(label));
    this.element = h(
      "div",
      { class: "study-steps" },
      this.standing,
      button("KeyT", "step.claim", "Shift+T"),
      button("KeyC", "step.query", "Shift+C"),
      button("Enter", "step.done", "Shift+Enter"),
      this.said,
    );
    const pressed = (event: KeyboardEvent): void => this.key(event);
    document.addEventListener("keydown", pressed);
    this.ends = [
      () => document.removeEventListener("keydown", pressed),
      events.listen({ study: (key) => (key === "" || key === context.key ? this.hint() : undefined) }),
      onLanguage(() => this.draw()),
      () => window.clearTimeout(this.soon),
    ];
    this.draw();
    this.hint(); // opening it has changed its state
  }

  close(): void {
    for (const end of this.ends) end();
    document.querySelector<HTMLDialogElement>("dialog.question[open]")?.close(); // a question about this study
  }

  private key(event: KeyboardEvent): void {
    if (!event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
    if (writing(event) || isLocked() || document.querySelector("dialog[open], .ask-panel")) return;
    if (!(event.code in this.keys)) return;
    event.preventDefault();
    this.take(event.code);
  }

  private take(key: string): void {
    put(this.said, "");
    this.keys[key]?.(this.study)
      .then(() => this.hint())
      .catch((error: unknown) => put(this.said, refusalOf(error) || say("net.lost")));
  }

  private hint(): void {
    if (this.soon !== 0) return;
    this.soon = window.setTimeout(() => {
      this.soon = 0;
      const { context } = this;
      void persist(context, async () => {
        this.study = await within(context, api.study(context.key, context.signal));
        this.draw();
        this.news(this.study);
      });
    }, SOON_MS);
  }

  private draw(): void {
    const { reading } = this.study;
    const state = inLanguage() === "ja" ? reading.state_ja : reading.state_en;
    const at = reading.at ? localTime(reading.at).replace(/:\d\d$/, "") : "";
    put(this.standing, reading.state === "unopened" ? "" : [state, reading.display, at].filter(Boolean).join(" "));
  }
}
