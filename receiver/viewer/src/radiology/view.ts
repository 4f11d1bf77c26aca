/** CT and MR: series strip, one stack, tools; grows while images arrive. */

import * as api from "../api";
import { isCurrent, within, type ReadingContext } from "../context";
import { h } from "../dom";
import * as events from "../events";
import { arrival, studyLine, type Frame } from "../frame";
import { publishView } from "../hook";
import type { View } from "../pages/study";
import { passing, pause, persist, tellOpened } from "../trouble";
import type { Series, Study, User } from "../types";
import { onLanguage, say, word } from "../words";
import { Arriving } from "./arriving";
import { engine, forget, withoutGpu } from "./engine";
import { bind, type Actions, type Tool } from "./input";
import { Overlay } from "./overlay";
import { prefetch } from "./prefetch";
import { dragged, preset } from "./presets";
import { OtherPatient, SeriesData } from "./series_data";
import { expectedOf, firstPlace, slotsOf, type Slot } from "./slots";
import { Stack, type Drawn } from "./stack";
import { Rail, Strip } from "./strip";
import { ToolBar } from "./tools";

/** A series shorter than this is a scout or a single picture: not what is opened first. */
const MORE_THAN_SCOUTS = 4;
const NO_PICTURE = new Set(["SR", "PR", "KO", "DOC", "REG", "SEG"]);

/** `narrow` leaves of a study what is to be shown: of a case of pathology, its photographs. */
export function showRadiology(
  frame: Frame,
  context: ReadingContext,
  user: User,
  narrow: (study: Study) => Study = (study) => study,
): View {
  return new RadiologyView(frame, context, user, narrow);
}

/** Make the renderer ready before there is anything to draw. */
export const warmUp = (): void => void engine();

class RadiologyView implements View {
  private study: Study;
  private series: readonly Series[] = [];
  private slots: Slot[][] = [];
  private current = -1;
  private data: SeriesData[] = [];
  private readonly everyData: SeriesData[] = [];
  private stack: Stack | null = null;
  private overlay: Overlay;
  private tool: Tool = "window";
  private reported = false;
  private seconds = 0;
  private tries = 0;
  /** The reader is at a place whose image is not here. */
  private empty = false;
  private soon = 0;
  private readonly area = h("div", { class: "picture", "data-role": "picture" });
  private readonly strip = new Strip((index) => this.choose(index));
  private readonly rail = new Rail(
    (place) => void this.stack?.show(place),
    () => this.here().length,
  );
  private readonly arriving: Arriving;
  private readonly tools: ToolBar;
  private readonly ends: (() => void)[];

  constructor(
    private readonly frame: Frame,
    private readonly context: ReadingContext,
    user: User,
    private readonly narrow: (study: Study) => Study,
  ) {
    this.study = context.study;
    this.overlay = new Overlay(context.study);
    const actions = this.actions();
    this.tools = new ToolBar(() => frame.home(), actions);
    this.arriving = new Arriving(context.study, user.name, () => this.begin());
    frame.stage.replaceChildren(
      h(
        "section",
        { class: "radiology" },
        this.tools.element,
        this.arriving.bar,
        h("div", { class: "reading" }, this.strip.element, this.area, this.rail.element),
        this.arriving.panel,
      ),
    );
    const sized = new ResizeObserver(() => void engine().then((renderer) => renderer.resize()));
    sized.observe(this.area);
    const ticking = window.setInterval(() => this.arriving.draw(), 5000);
    this.ends = [
      bind(this.area, () => this.tool, actions),
      events.listen({ study: (key) => this.hint(key) }),
      onLanguage(() => this.redraw()),
      () => sized.disconnect(),
      () => window.clearInterval(ticking),
      () => window.clearTimeout(this.soon),
      () => window.clearTimeout(this.seconds),
    ];
    publishView(() => this.shown());
    this.take(context.study);
    if (this.arriving.isOpen) this.begin();
  }

  close(): void {
    for (const end of this.ends) end();
    this.stack?.close();
    this.stack = null;
    forget(this.everyData.flatMap((data) => [...data.registered]));
  }

  private here(): Slot[] {
    return this.slots[this.current] ?? [];
  }

  private expected(): number | null {
    const series = this.series[this.current];
    return series ? expectedOf(series, this.here()) : null;
  }

  // --- what has arrived -------------------------------------------------------------------

  private hint(key: string): void {
    if ((key !== "" && key !== this.context.key) || this.soon !== 0) return;
    this.soon = window.setTimeout(() => {
      this.soon = 0;
      void persist(this.context, () => this.refresh());
    }, 300);
  }

  private async refresh(): Promise<void> {
    const { context } = this;
    this.take(this.narrow(await within(context, api.study(context.key, context.signal))));
    const first = this.here().some((slot) => slot.here) && !this.stack;
    if (this.arriving.isOpen && (this.current < 0 || first)) this.begin();
    else if (this.stack) this.grown(this.stack);
  }

  private take(study: Study): void {
    this.study = study;
    const uid = this.series[this.current]?.series_uid;
    const pictures = study.series.filter((series) => !NO_PICTURE.has(series.modality ?? ""));
    const kept = new Map(this.series.map((series, i) => [series.series_uid, this.data[i]]));
    this.series = pictures;
    this.slots = pictures.map(slotsOf);
    this.data = pictures.map((series) => kept.get(series.series_uid) ?? this.newData(series));
    this.current = pictures.findIndex((series) => series.series_uid === uid);
    this.arriving.update(study);
    this.redraw();
  }

  private newData(series: Series): SeriesData {
    const made = new SeriesData(this.context, series);
    this.everyData.push(made);
    return made;
  }

  private grown(stack: Stack): void {
    const drawn = stack.drawn();
    const missing = this.empty;
    stack.update(this.here());
    const place = drawn ? this.here().findIndex((slot) => slot.sop === drawn.slot.sop) : -1;
    // a place that was looked at while it was empty fills in; any other picture stays still
    if (missing || !stack.ready) void stack.show(stack.place);
    else if (place >= 0 && drawn && place !== drawn.place) stack.place = place;
    prefetch(this.context, this.dataNow(), this.here(), stack.place, () => stack !== this.stack).catch(
      (error: unknown) => this.failed(-1, error),
    );
  }

  private dataNow(): SeriesData {
    return this.data[this.current] as SeriesData;
  }

  // --- one series -------------------------------------------------------------------------

  private begin(): void {
    const here = (least: number): number =>
      this.slots.findIndex((slots) => slots.length >= least && slots.some((slot) => slot.here));
    const stack = here(MORE_THAN_SCOUTS);
    const first = stack >= 0 ? stack : here(1);
    if (first >= 0) this.choose(first);
    else this.area.replaceChildren(h("p", { class: "notice" }, word("study.none")));
  }

  private choose(index: number): void {
    if (!this.series[index] || !this.arriving.isOpen) return;
    this.stack?.close();
    this.stack = null;
    this.current = index;
    this.overlay = new Overlay(this.study);
    this.area.replaceChildren(this.overlay.element);
    this.redraw();
    this.startStack(index).catch((error: unknown) => this.failed(-1, error));
  }

  private async startStack(index: number): Promise<void> {
    const renderer = await within(this.context, engine());
    if (index !== this.current || this.stack) return;
    const data = this.dataNow();
    const stack = new Stack(this.context, renderer, data, this.here(), {
      drawn: (drawn) => this.drawn(drawn),
      asked: (place) => this.asked(place),
      failed: (place, error) => this.failed(place, error),
    });
    this.stack = stack;
    this.area.prepend(stack.element);
    await stack.show(firstPlace(this.here()));
    await persist(this.context, () => data.fetchSeries());
    await prefetch(this.context, data, this.here(), stack.place, () => stack !== this.stack);
  }

  private asked(place: number): void {
    this.rail.draw(this.here(), place);
    window.clearTimeout(this.seconds);
    this.overlay.chip("");
    this.area.classList.remove("late");
    if (this.here()[place]?.here) {
      this.seconds = window.setTimeout(() => {
        this.overlay.chip(say("img.loading"));
        this.area.classList.add("late"); // the image before stays, dimmed, under its own text
        this.seconds = window.setTimeout(() => this.overlay.chip(say("img.slow")), 2700);
      }, 300);
    } else {
      const why = this.here()[place]?.damaged ? "damaged" : "missing";
      this.overlay.missing(place, this.expected(), why);
    }
    this.empty = !this.here()[place]?.here;
  }

  private drawn(drawn: Drawn): void {
    const { stack } = this;
    const data = this.dataNow().get(drawn.slot);
    if (!stack || !data) return;
    // over an empty place nothing is shown but what belongs there
    if (this.empty && drawn.place !== stack.place) return;
    window.clearTimeout(this.seconds);
    this.tries = 0;
    this.area.classList.remove("late");
    this.overlay.chip("");
    this.overlay.image(data, {
      place: drawn.place,
      expected: this.expected(),
      window: stack.renderedWindow(),
      windowName: stack.currentWindow()?.name ?? "win.manual",
      scale: stack.scale(),
      inverted: stack.inverted,
      flipped: stack.flipped,
      onProcessor: withoutGpu(),
      axes: stack.axes(),
      perPixel: stack.perPixel(),
    });
    if (this.reported) return;
    this.reported = true;
    tellOpened(this.context);
  }

  private failed(place: number, error: unknown): void {
    if (!isCurrent(this.context)) return;
    window.clearTimeout(this.seconds);
    if (error instanceof OtherPatient) {
      this.stack?.close();
      this.stack = null;
      this.area.replaceChildren(h("p", { class: "notice", role: "alert" }, word("id.differs")));
      return;
    }
    if (passing(error)) return this.again(place);
    if (place < 0) return; // something ahead of the reader: said when the reader is there
    const syntax = this.series[this.current]?.instances[place]?.transfer_syntax ?? "";
    this.overlay.chip(`${say("img.decode")} ${place + 1} ${syntax}`.trim());
  }

  /** The receiver did not answer: the place that the reader waits for is asked for again. */
  private again(place: number): void {
    const { stack } = this;
    this.overlay.chip(say("img.slow"));
    this.tries += 1;
    this.seconds = window.setTimeout(() => {
      if (stack && stack === this.stack && stack.place === place) void stack.show(place);
    }, pause(this.tries));
  }

  private redraw(): void {
    this.frame.progress(progress(this.study));
    this.strip.draw(this.series, this.slots, this.current, (index, slot) =>
      (this.data[index] as SeriesData).thumbnail(slot),
    );
    const modality = this.series[this.current]?.modality ?? null;
    this.tools.draw(this.tool, modality, this.stack?.currentWindow()?.name ?? "win.original");
    if (this.stack) this.rail.draw(this.here(), this.stack.place);
    const drawn = this.stack?.drawn();
    if (drawn) this.drawn(drawn);
  }

  // --- hands ------------------------------------------------------------------------------

  private actions(): Actions {
    const step = (by: number): void => {
      const { stack } = this;
      if (!stack) return;
      void stack.show(Math.min(this.here().length - 1, Math.max(0, stack.place + by)));
    };
    let scrolled = 0;
    return {
      step,
      to: (end) => step(end === "first" ? -1e6 : 1e6),
      series: (by) => this.choose(this.current + by),
      zoom: (factor, at) => this.stack?.zoomTo((this.stack.scale() || 1) * factor, at),
      drag: (tool, dx, dy, at) => {
        const { stack } = this;
        const window = stack?.currentWindow();
        if (!stack || !window) return;
        if (tool === "window") stack.setWindow(dragged(window, dx, dy));
        else if (tool === "pan") stack.pan(dx, dy);
        else if (tool === "zoom") stack.zoomTo(stack.scale() * 1.01 ** dy, at);
        else {
          scrolled += dy;
          const by = Math.trunc(scrolled / 6);
          scrolled -= by * 6;
          if (by !== 0) step(by);
        }
      },
      tool: (tool) => {
        this.tool = tool;
        this.redraw();
      },
      preset: (digit) => {
        const window = preset(digit, this.series[this.current]?.modality ?? null);
        if (digit === 0) this.stack?.nextOriginal();
        else if (window) this.stack?.setWindow(window);
        this.redraw();
      },
      oneToOne: () => this.stack?.oneToOne(),
      fit: () => this.stack?.fit(),
      invert: () => this.stack?.invert(),
      flip: (axis) => this.stack?.flip(axis),
      lessText: () => this.overlay.less(),
      strip: () => void this.strip.element.toggleAttribute("hidden"),
    };
  }

  private shown(): Record<string, string | number | boolean | null> {
    const drawn = this.stack?.drawn() ?? null;
    const window = this.stack?.renderedWindow() ?? null;
    return {
      kind: "radiology",
      ready: this.stack?.ready ?? false,
      series: this.series[this.current]?.series_uid ?? null,
      sop: drawn?.slot.sop ?? null,
      place: drawn?.place ?? null,
      asked: this.stack?.place ?? null,
      width: window?.width ?? null,
      center: window?.center ?? null,
      scale: this.stack?.scale() ?? null,
      processor: withoutGpu(),
    };
  }
}

function progress(study: Study): HTMLElement {
  return h("span", { class: "study-line" }, h("span", {}, studyLine(study)), arrival(study));
}
