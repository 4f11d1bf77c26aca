/** Documents and videos of the study that is open, over its pictures: those stay as they were. */

import * as api from "../api";
import { isCurrent, within, type ReadingContext } from "../context";
import { h, onControl } from "../dom";
import type { Frame } from "../frame";
import { forward } from "../forward";
import { isLocked } from "../lock";
import { dashed } from "../names";
import { accept, accepted, complete } from "../radiology/arriving";
import type { DataSet } from "../radiology/dataset";
import { persist, tellOpened } from "../trouble";
import type { Study, User } from "../types";
import { inLanguage, onLanguage, say, word } from "../words";
import { address, described, OtherPatient, papers, type Paper } from "./described";
import { refusal, type Pane } from "./pane";
import { TextPane } from "./text";

const HERE = new Set(["stored", "verified"]);
/** Keys with Shift that the study has on every page: they go on to it. */
const STUDYS = new Set(["KeyT", "KeyC", "KeyF", "KeyD", "Enter", "Slash"]);

/** What the room is told and asked. */
export interface Papers {
  take(study: Study): void;
  close(): void;
}

export function showPapers(frame: Frame, context: ReadingContext, user: User, alone: () => boolean, leave: () => void): Papers {
  return new PapersRoom(frame, context, user, alone, leave);
}

class PapersRoom implements Papers {
  private list: readonly Paper[] = [];
  private chosen: Paper | null = null;
  private pane: Pane | null = null;
  private turn = 0;
  private told = false;
  private study: Study;
  private readonly entries = h("nav", { class: "paper-list" });
  private readonly body = h("div", { class: "paper-body" });
  private readonly back: HTMLButtonElement;
  private readonly element: HTMLElement;
  private drawn = "";
  private readonly ends: (() => void)[];

  constructor(
    private readonly frame: Frame,
    private readonly context: ReadingContext,
    private readonly user: User,
    /** The study has no picture: there is nothing to go back to. */
    private readonly alone: () => boolean,
    private readonly leave: () => void,
  ) {
    this.study = context.study;
    this.back = h("button", { type: "button", class: "back", onclick: leave }, "← ", word("paper.leave"));
    this.back.hidden = alone();
    const head = h("div", { class: "tools", role: "toolbar" }, this.back, h("h1", {}, word("paper.title")));
    this.element = h("section", { class: "papers", "data-role": "papers" }, head, this.entries, this.body);
    frame.stage.append(this.element);
    const steps = document.querySelector<HTMLElement>(".steps-of");
    const bar = steps?.parentElement;
    frame.adopt(head);
    this.below(true);
    const pressed = (event: KeyboardEvent): void => this.key(event);
    window.addEventListener("keydown", pressed, true);
    this.ends = [
      () => window.removeEventListener("keydown", pressed, true),
      () => this.below(false),
      () => void (steps && bar?.isConnected && bar.append(steps)), // back to where the study has them
      onLanguage(() => this.draw()),
    ];
    void this.refresh();
  }

  close(): void {
    this.turn += 1;
    for (const end of this.ends) end();
    this.pane?.close();
    this.element.remove();
  }

  /** What came meanwhile. */
  take(study: Study): void {
    this.study = study;
    this.back.hidden = this.alone();
    void this.refresh();
  }

  /** The pictures under the room take neither keys nor hands. */
  private below(covered: boolean): void {
    for (const child of this.frame.stage.children) {
      if (child !== this.element) child.toggleAttribute("inert", covered);
    }
  }

  private async refresh(): Promise<void> {
    await persist(this.context, async () => {
      this.list = await papers(this.context);
      const print = JSON.stringify(this.list);
      if (print !== this.drawn) this.draw(); // an entry that has the focus keeps it
      this.drawn = print;
      const now = this.list.find((one) => one.sop_uid === this.chosen?.sop_uid);
      const waits = this.chosen !== null && now !== undefined && now.state !== this.chosen.state && this.pane === null;
      if (this.chosen === null || waits) this.choose(now ?? this.first());
    }).catch((error: unknown) => this.say(refusal(error)));
  }

  /** Where there is no picture a video is what the study is about; else what was asked comes first. */
  private first(): Paper | undefined {
    const here = this.list.filter((one) => HERE.has(one.state));
    return (this.alone() ? here.find((one) => one.kind === "video") : undefined) ?? here[0] ?? this.list[0];
  }

  private key(event: KeyboardEvent): void {
    if (isLocked() || document.querySelector("dialog[open], .ask-panel")) return;
    if (event.shiftKey && STUDYS.has(event.code)) return;
    // the views below listen on the document: no key of theirs may reach them unseen
    event.stopImmediatePropagation();
    if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey || event.code === "Tab") return;
    const slider = event.target instanceof Element && event.target.matches("input[type=range]");
    if (slider && /^(Arrow|Home|End|Page)/.test(event.code)) return;
    if (onControl(event) && (event.code === "Space" || event.code === "Enter")) return;
    if (event.code === "KeyQ" || event.code === "Escape") {
      event.preventDefault();
      if (!this.alone()) this.leave();
      return;
    }
    const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1];
    if (digit !== undefined && !event.shiftKey) {
      event.preventDefault();
      return this.choose(this.list[Number(digit) - 1]);
    }
    if (this.pane?.key(event)) event.preventDefault();
  }

  // --- the list ---------------------------------------------------------------------------

  private draw(): void {
    this.entries.setAttribute("aria-label", say("paper.title"));
    this.entries.replaceChildren(
      ...this.list.map((paper, place) => {
        const here = HERE.has(paper.state);
        const state = inLanguage() === "ja" ? paper.state_ja : paper.state_en;
        return h(
          "button",
          {
            type: "button",
            class: here ? "paper-entry" : "paper-entry hatched",
            "data-paper": paper.sop_uid,
            "aria-pressed": String(paper.sop_uid === this.chosen?.sop_uid),
            onclick: () => this.choose(paper),
          },
          h("kbd", {}, place < 9 ? place + 1 : ""),
          h("b", {}, word(paper.form ? "paper.form" : `paper.kind.${paper.kind}`)),
          h("span", { class: "paper-name", lang: "ja" }, paper.title),
          h("span", { class: "second" }, here ? dashed(paper.date) : state),
        );
      }),
    );
  }

  // --- what is shown ----------------------------------------------------------------------

  private say(words: HTMLElement, ...more: Node[]): void {
    this.pane?.close();
    this.pane = null;
    this.body.replaceChildren(h("div", { class: "notice", role: "alert", "data-role": "refused" }, h("p", {}, words), ...more));
  }

  private choose(paper: Paper | undefined): void {
    if (!paper) return;
    this.turn += 1;
    this.chosen = paper;
    this.pane?.close();
    this.pane = null;
    this.body.replaceChildren();
    this.element.dataset["sop"] = paper.sop_uid;
    this.draw();
    if (!HERE.has(paper.state)) return this.say(word(paper.state === "damaged" ? "damaged" : "missing"));
    if (paper.kind === "video" && !this.mayPlay()) return this.ask(paper);
    this.show(paper, this.turn).catch((error: unknown) => {
      if (!isCurrent(this.context) || this.chosen !== paper) return;
      if (error instanceof OtherPatient) this.say(word("id.differs"));
      else this.say(refusal(error), this.handOff());
    });
  }

  private handOff(): HTMLElement {
    return h("button", { type: "button", onclick: () => void forward(this.study) }, word("forward.key"));
  }

  /** A video is an image of a study: of one that is incomplete the reader is asked first (RAD-09). */
  private mayPlay(): boolean {
    return complete(this.study) || accepted(this.user.name, this.study);
  }

  private ask(paper: Paper): void {
    const { arrived: a, expected: e } = this.study;
    const see = (): void => {
      accept(this.user.name, this.study);
      void persist(this.context, () => api.acceptedIncomplete(this.context.key));
      this.choose(paper);
    };
    const button = h("button", { type: "button", class: "main", "data-role": "view-incomplete", onclick: see }, word("part.ask"));
    this.say(word("part.arriving", { a, e: e ?? "?" }), button);
  }

  private async show(paper: Paper, turn: number): Promise<void> {
    const { context } = this;
    const data = await described(context, paper);
    const pane = await this.made(paper, data);
    if (turn !== this.turn || !isCurrent(context)) return pane.close();
    this.pane = pane;
    const test = this.study.test && paper.kind !== "video"; // a video bears its own, over its picture
    this.body.replaceChildren(pane.element, ...(test ? [h("div", { class: "watermark" }, word("mark.test"))] : []));
    pane.focus();
    if (this.told || !this.alone()) return;
    this.told = true;
    tellOpened(context);
  }

  private async made(paper: Paper, data: DataSet): Promise<Pane> {
    const { context } = this;
    if (paper.kind === "video") {
      const { VideoPane } = await within(context, import("./video"));
      return new VideoPane(context, paper, data);
    }
    const answer = await within(context, api.request(address(context, paper), { signal: context.signal }));
    const bytes = await within(context, answer.arrayBuffer());
    if (paper.kind === "cda") return new TextPane(bytes);
    const { PdfPane } = await within(context, import("./pdf"));
    return new PdfPane(context, bytes, paper.title || say("paper.kind.pdf"));
  }
}
