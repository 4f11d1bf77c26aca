/** Pathology: a slide, or up to four of one case in step, each with its label and true scale. */

import * as api from "../api";
import { within, type ReadingContext } from "../context";
import { h, onControl, put, writing } from "../dom";
import * as events from "../events";
import { arrival, studyLine, type Frame } from "../frame";
import { publishView, type Shown } from "../hook";
import type { View } from "../pages/study";
import { onLock } from "../lock";
import { persist, tellOpened } from "../trouble";
import type { Series, Study } from "../types";
import { onLanguage, say, word } from "../words";
import { Coverage } from "./coverage";
import { watchGamepad } from "./gamepad";
import { Marks } from "./marking";
import { Pane, type Around, type SlideSeries } from "./pane";
import { magnification, STEPS, type Pyramid } from "./pyramid";
import { askRescan } from "./rescan";
import { snapshotOf } from "./snapshot";
import { InStep, posesOf } from "./in_step";
import { trayItem } from "./tray";
import { Viewed } from "./viewed";

const COVERAGE_MS = 500;
/** The same while a reader waits for something in view. */
const WAITED_MS = 120;
const LAYOUTS = [1, 2, 4] as const;

/** `gross` is what else the tray of the case offers: its photographs. */
export function showSlides(frame: Frame, context: ReadingContext, gross: HTMLElement): View {
  return new SlideView(frame, context, gross);
}

class SlideView implements View {
  private study: Study;
  private slides: readonly SlideSeries[] = [];
  private coverage = Coverage.from({ instances: {} });
  private panes: Pane[] = [];
  private active = 0;
  private readonly step = new InStep();
  private soon = 0;
  private reported = false;
  /** In the active pane; null once the keys have moved the field. */
  private pointer: { x: number; y: number } | null = null;
  private readonly known = new Map<string, Viewed>();
  private readonly marks: Marks;
  private readonly around: Around;
  private readonly tray = h("nav", { class: "tray" });
  private readonly grid = h("div", { class: "panes" });
  private readonly foot = h("div", { class: "slide-foot" });
  private readonly steps = h("div", { class: "steps", role: "group" });
  private readonly notice = h("div", { class: "slide-notice", role: "status", hidden: true });
  private readonly lockChip = h("b", { class: "lock-chip", "data-role": "lock", hidden: true });
  private readonly ends: (() => void)[];

  constructor(
    private readonly frame: Frame,
    private readonly context: ReadingContext,
    private readonly gross: HTMLElement,
  ) {
    this.study = context.study;
    this.marks = new Marks(context, () => this.sayAll(), () => this.tell(say("slide.unsaved")));
    this.around = {
      context,
      marks: this.marks,
      coverage: () => this.coverage,
      owns: (series) => this.slides.includes(series),
      base: (series) => this.base(series),
      viewed: (series, pyramid) => this.viewedOf(series, pyramid),
      moved: (pane) => this.moved(pane),
      grown: () => this.hint(this.context.key, false),
      touched: (pane) => this.activate(this.panes.indexOf(pane)),
    };
    const mark = context.study.test ? h("div", { class: "watermark" }, say("mark.test")) : null;
    this.foot.append(this.lockChip, this.steps);
    frame.stage.replaceChildren(
      h("section", { class: "pathology" }, this.tray, h("div", { class: "slide-column" }, h("div", { class: "panes-field" }, this.grid, this.notice, mark), this.foot)),
    );
    frame.adopt(this.foot);
    const keys = (event: KeyboardEvent): void => this.key(event);
    document.addEventListener("keydown", keys);
    this.grid.addEventListener("pointermove", (event) => this.point(event));
    this.ends = [
      () => document.removeEventListener("keydown", keys),
      events.listen({ study: (key) => this.hint(key, true), frames: ({ key }) => this.hint(key, false) }),
      onLanguage(() => this.redraw()),
      () => window.clearTimeout(this.soon),
      onLock({ clear: () => this.panes.forEach((pane) => pane.canvas?.anew()), back: () => undefined }),
      watchGamepad({
        pan: (x, y) => this.pan(x, y),
        zoom: (factor) => this.pane.canvas?.zoomBy(factor),
        mark: () => void this.mark(),
        slide: (by) => this.next(by),
      }),
    ];
    publishView(() => this.shown());
    this.layOut(1);
    this.take(context.study);
    void persist(this.context, () => this.refresh(false));
  }

  close(): void {
    for (const end of this.ends) end();
    for (const pane of this.panes) pane.close();
    this.panes = [];
  }

  private get pane(): Pane { return this.panes[this.active] as Pane; }
  private viewedOf(series: SlideSeries, pyramid: Pyramid): Viewed {
    const known = this.known.get(series.series_uid) ?? new Viewed(pyramid.columns, pyramid.rows);
    this.known.set(series.series_uid, known);
    return known;
  }

  // --- what has arrived -------------------------------------------------------------------

  private again = false;

  private hint(key: string, whole: boolean): void {
    if (key !== "" && key !== this.context.key) return;
    this.again ||= whole;
    if (this.soon !== 0) return;
    this.soon = window.setTimeout(() => {
      this.soon = 0;
      const study = this.again;
      this.again = false;
      void persist(this.context, () => this.refresh(study));
    }, this.panes.some((pane) => pane.canvas?.waiting) ? WAITED_MS : COVERAGE_MS);
  }

  private async refresh(whole: boolean): Promise<void> {
    const { context } = this;
    if (whole) this.take(await within(context, api.study(context.key, context.signal)));
    this.coverage = Coverage.from(await within(context, api.coverage(context.key, context.signal)));
    for (const [index, pane] of this.panes.entries()) {
      const series = this.slides.find(({ series_uid: uid }) => uid === pane.series?.series_uid);
      if (!series) this.choose(Math.min(index, this.slides.length - 1), index);
      else pane.cover(series);
    }
    this.redraw();
  }

  private take(study: Study): void {
    this.study = study;
    this.slides = study.series.filter((series): series is SlideSeries => !!series.slide?.levels.length);
    this.redraw();
  }

  private base(series: Series): string {
    return `${this.study.dicomweb}/studies/${this.study.study_uid}/series/${series.series_uid}`;
  }

  private choose(index: number, place = this.active): void {
    const series = this.slides[index];
    const pane = this.panes[place];
    if (!pane) return;
    if (!series) {
      // levels in an order that this page does not know: better none than one in the wrong place
      const unordered = this.study.series.some((one) => one.slide?.sparse);
      if (this.slides.length === 0) pane.area.replaceChildren(h("p", { class: "notice" }, word(unordered ? "slide.sparse" : "study.none")));
      return;
    }
    this.step.forget();
    this.drawLock();
    if (!pane.show(series)) this.tell(say("slide.otherpatient"));
    this.pointer = null;
    this.redraw();
  }

  private index(place = this.active): number {
    const uid = this.panes[place]?.series?.series_uid;
    return this.slides.findIndex((series) => series.series_uid === uid);
  }

  private readonly next = (by: number): void => this.choose(this.index() + by);

  // --- panes ------------------------------------------------------------------------------

  private layOut(count: number): void {
    this.step.forget();
    while (this.panes.length > count) this.panes.pop()?.close();
    while (this.panes.length < count) this.panes.push(new Pane(this.around));
    this.grid.dataset["panes"] = String(count);
    this.grid.replaceChildren(...this.panes.map((pane) => pane.root));
    this.activate(Math.min(this.active, count - 1));
    for (const [place, pane] of this.panes.entries()) {
      if (!pane.series && this.slides.length > 0) this.choose(Math.min(this.index(0) + place, this.slides.length - 1), place);
      else pane.canvas?.resize();
    }
    this.redraw();
  }

  private compare(): void {
    this.layOut(LAYOUTS[LAYOUTS.indexOf(this.panes.length as 1 | 2 | 4) + 1] ?? 1);
  }

  private activate(place: number): void {
    if (place < 0 || (place === this.active && this.pane.root.classList.contains("active"))) return;
    this.active = place;
    for (const [index, pane] of this.panes.entries()) pane.root.classList.toggle("active", index === place && this.panes.length > 1);
    this.drawTray();
  }

  private lock(present: boolean): void {
    if (!present && this.step.locked) this.step.unlock();
    else if (!this.step.lock(this.panes, present)) this.tell(say("slide.nolock"));
    this.drawLock();
  }

  // --- what is said -----------------------------------------------------------------------

  private redraw(): void {
    const line = h("span", { class: "study-line" }, h("span", {}, studyLine(this.study)), arrival(this.coverage.counted(this.study)));
    this.frame.progress(line);
    this.drawTray();
    const button = (label: Node, role: string, action: () => void): HTMLElement =>
      h("button", { type: "button", "data-role": role, onclick: action }, label);
    this.steps.replaceChildren(
      h("button", { type: "button", onclick: () => this.pane.canvas?.whole() }, word("slide.whole")),
      ...STEPS.map((times, index) =>
        h("button", { type: "button", "data-times": times, onclick: () => this.pane.canvas?.magnify(times) }, h("kbd", {}, index + 1), `${times}x`),
      ),
      button(word("slide.before"), "before", () => this.walk(-1)),
      button(word("slide.next"), "next", () => this.walk(1)),
      button(word("slide.measure"), "measure", () => void this.measure()),
      button(word("slide.mark"), "mark", () => void this.mark()),
      button(word("slide.snapshot"), "snapshot", () => void this.snapshot()),
      button(word("slide.compare"), "compare", () => this.compare()),
      button(word("slide.rescan"), "rescan", () => this.rescan()),
    );
    this.drawLock();
    this.sayAll();
  }

  private drawLock(): void {
    this.lockChip.hidden = this.panes.length < 2;
    this.lockChip.classList.toggle("inverse", !this.step.locked);
    put(this.lockChip, say(this.step.locked ? "slide.locked" : "slide.unlocked"));
  }

  private drawTray(): void {
    this.tray.replaceChildren(
      h("button", { type: "button", class: "back", onclick: () => this.frame.home() }, "← ", word("back")),
      ...this.slides.map((series, index) =>
        trayItem({
          series,
          title: [series.number ?? index + 1, series.description].filter(Boolean).join(" "),
          base: this.base(series),
          chosen: index === this.index(),
          share: this.coverage.share(series.slide),
          choose: () => this.choose(index),
        }),
      ),
      this.gross,
    );
  }

  /** All panes say anew what they show. */
  private sayAll(): void {
    for (const pane of this.panes) pane.said();
  }

  private moved(pane: Pane): void {
    this.step.moved(this.panes, pane);
    if (pane === this.panes[this.active]) {
      const um = pane.canvas?.umPerDevicePixel() ?? null;
      for (const button of this.steps.querySelectorAll<HTMLElement>("[data-times]")) {
        const near = um !== null && Math.abs(magnification(um) / Number(button.dataset["times"]) - 1) < 0.025;
        button.setAttribute("aria-pressed", String(near));
      }
    }
    if (this.reported || !pane.canvas?.settled) return;
    this.reported = true;
    tellOpened(this.context);
  }

  private tell(text: string): void {
    put(this.notice, text);
    this.notice.hidden = text === "";
  }

  private readonly snapshot = (): Promise<void> => snapshotOf(this.pane, this.study);

  // --- hands ------------------------------------------------------------------------------

  private point(event: PointerEvent): void {
    const box = this.pane.area.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    this.pointer = x >= 0 && y >= 0 && x <= box.width && y <= box.height ? { x, y } : null;
    this.aim();
  }

  /** The keys have moved the field: a mark is put in its middle, and shown where that is. */
  private byKeys(): void {
    this.pointer = null;
    this.aim();
  }

  private aim(): void {
    const { pane } = this;
    const aim = pane.begun !== null && this.pointer === null;
    if (aim !== pane.aim) {
      pane.aim = aim;
      pane.said();
    }
  }

  private pan(x: number, y: number): void {
    this.pane.canvas?.pan(x, y);
    this.byKeys();
  }

  private walk(by: 1 | -1): void {
    this.byKeys();
    this.tell(this.pane.walk(by) ? "" : say(by > 0 ? "slide.last" : "slide.first"));
  }

  private async measure(): Promise<void> {
    const { pane } = this;
    const place = pane.at(this.pointer);
    if (!place || !pane.series) return;
    const { begun } = pane;
    pane.begun = begun ? null : place;
    this.tell(begun ? "" : say("slide.lengthfrom"));
    this.aim();
    pane.said();
    if (begun) await this.marks.add({ series: pane.series.series_uid, kind: "length", unit: pane.unit, points: [begun, place] });
  }

  private async mark(): Promise<void> {
    const { pane } = this;
    const place = pane.at(this.pointer);
    if (place && pane.series) await this.marks.add({ series: pane.series.series_uid, kind: "point", unit: pane.unit, points: [place] });
  }

  private async unmark(last: boolean): Promise<void> {
    const { canvas, layer, series } = this.pane;
    if (!canvas?.ready || !layer || !series) return;
    const mine = this.marks.all.filter((mark) => mark.series === series.series_uid);
    const { width, height } = canvas.lie();
    const meant = last ? mine.at(-1) : layer.nearest(canvas, mine, this.pointer ?? { x: width / 2, y: height / 2 });
    if (meant) await this.marks.drop(meant);
  }

  private cancel(): void {
    this.pane.begun = null;
    this.tell("");
    this.aim();
    this.pane.said();
  }

  private rescan(): void {
    const { series } = this.pane;
    if (series) askRescan(this.context, series.series_uid, this.grid, (text) => this.tell(text));
  }

  private key(event: KeyboardEvent): void {
    if (writing(event) || event.altKey || event.metaKey) return;
    const { canvas } = this.pane;
    const shift = event.shiftKey;
    if (!canvas || document.querySelector(".ask-panel") || (shift && event.code === "KeyD")) return; // dims the page
    if (event.ctrlKey) {
      if (event.code !== "KeyZ") return;
      event.preventDefault();
      void this.unmark(true);
      return;
    }
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
    const share = shift ? 0.9 : 0.1;
    const table: Record<string, () => void> = {
      ArrowLeft: () => this.pan(-share, 0),
      ArrowRight: () => this.pan(share, 0),
      ArrowUp: () => this.pan(0, -share),
      ArrowDown: () => this.pan(0, share),
      NumpadAdd: () => canvas.zoomBy(Math.SQRT2),
      NumpadSubtract: () => canvas.zoomBy(Math.SQRT1_2),
      Semicolon: () => canvas.zoomBy(Math.SQRT2), // where JIS has its +
      Equal: () => canvas.zoomBy(Math.SQRT2),
      Minus: () => canvas.zoomBy(Math.SQRT1_2),
      PageDown: () => this.walk(1),
      PageUp: () => this.walk(-1),
      KeyA: () => void this.mark(),
      KeyB: () => void this.grid.classList.toggle("big-labels"),
      KeyD: () => void this.measure(),
      KeyJ: () => canvas.zoomTo(1),
      KeyK: () => void this.snapshot(),
      KeyO: () => { for (const pane of this.panes) pane.overview.toggleAttribute("hidden"); },
      KeyR: () => (shift ? this.rescan() : canvas.rotate(15)),
      KeyS: () => this.lock(shift),
      KeyV: () => { for (const pane of this.panes) pane.toggleSeen(); },
      KeyX: () => this.compare(),
      F6: () => this.tray.querySelector("button")?.focus(), // from where Tab walks the controls
      Delete: () => void this.unmark(false),
      Escape: () => this.cancel(),
      Comma: () => this.next(-1),
      Period: () => this.next(1),
      Digit0: () => canvas.whole(),
      Numpad0: () => canvas.whole(),
    };
    if (this.panes.length > 1 && !onControl(event)) table["Tab"] = () => this.activate((this.active + (shift ? this.panes.length - 1 : 1)) % this.panes.length);
    const times = digit === undefined || shift ? undefined : STEPS[Number(digit) - 1];
    const action = times === undefined ? table[event.code] : () => canvas.magnify(times);
    if (!action) return;
    event.preventDefault();
    action();
  }

  private shown(): Shown {
    const { canvas, pyramid } = this.pane;
    if (!canvas?.ready || !pyramid) return { kind: "slide", ready: false };
    const lie = canvas.lie();
    const field = canvas.turned();
    return {
      kind: "slide",
      ready: true,
      settled: this.panes.every((pane) => pane.settled),
      missing: canvas.missingInView,
      damaged: canvas.gaps().filter(({ why }) => why === "damaged").length,
      derived: canvas.derived,
      level: canvas.level(),
      scale: canvas.devicePerFull(),
      um: canvas.umPerDevicePixel(),
      origin: [lie.x, lie.y],
      centre: [field.x, field.y],
      turn: field.degrees,
      plane: pyramid.plane,
      seen: this.pane.seenShare(),
      tissue: this.pane.viewed?.found ?? false,
      panes: this.panes.length,
      active: this.active,
      locked: this.step.locked,
      poses: posesOf(this.panes),
      marks: this.marks.all.length,
    };
  }
}
