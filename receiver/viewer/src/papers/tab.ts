/** 文書・動画 of the study that is open: one button and one key, and the room behind them. */

import { isCurrent, within, type ReadingContext } from "../context";
import { h, writing } from "../dom";
import type { Frame } from "../frame";
import { isLocked } from "../lock";
import type { Study, User } from "../types";
import { word } from "../words";
import { papersOf, pictured } from "./kinds";
import type { Papers } from "./room";

export class PapersTab {
  readonly button = h("button", { type: "button", "data-role": "papers-tab", title: "Q", hidden: true, onclick: () => this.toggle() });
  private room: Papers | null = null;
  private study: Study;
  private asked = false;
  private readonly pressed = (event: KeyboardEvent): void => this.key(event);

  constructor(
    private readonly frame: Frame,
    private readonly context: ReadingContext,
    private readonly user: User,
  ) {
    this.study = context.study;
    document.addEventListener("keydown", this.pressed);
    this.take(context.study);
  }

  /** Nothing for an image viewport: the room is the study's page. */
  get alone(): boolean {
    return papersOf(this.study).length > 0 && this.study.series.every((series) => pictured(series) === null);
  }

  take(study: Study): void {
    this.study = study;
    const count = papersOf(study).length;
    this.button.hidden = count === 0;
    this.button.replaceChildren(word("paper.tab", { n: count }));
    this.room?.take(study);
  }

  close(): void {
    document.removeEventListener("keydown", this.pressed);
    this.asked = false;
    this.room?.close();
    this.room = null;
  }

  private key(event: KeyboardEvent): void {
    if (event.code !== "KeyQ" || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
    if (writing(event) || isLocked() || this.button.hidden || document.querySelector("dialog[open], .ask-panel")) return;
    event.preventDefault();
    this.toggle();
  }

  toggle(): void {
    if (this.asked) return this.leave();
    this.asked = true;
    this.button.setAttribute("aria-pressed", "true");
    void this.open();
  }

  private leave(): void {
    if (this.alone) return;
    this.asked = false;
    this.button.setAttribute("aria-pressed", "false");
    this.room?.close();
    this.room = null;
    this.frame.stage.querySelector<HTMLElement>(".pane.active .picture, .slide-area")?.focus({ preventScroll: true });
  }

  private async open(): Promise<void> {
    const { showPapers } = await within(this.context, import("./room"));
    if (!this.asked || this.room || !isCurrent(this.context)) return;
    this.room = showPapers(this.frame, this.context, this.user, () => this.alone, () => this.leave());
  }
}
