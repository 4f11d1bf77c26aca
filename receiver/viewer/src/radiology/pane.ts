/** One viewport of the screen with its own name, corners, marks and rail. */

import { isCurrent, within } from "../context";
import { h } from "../dom";
import { line } from "../line";
import { dashed } from "../names";
import { passing, pause, persist } from "../trouble";
import { say, word } from "../words";
import { engine, withoutGpu } from "./engine";
import { planeOf, type Plane, type Point } from "./geometry";
import { WrongGrey } from "./grey";
import type { MarkKind } from "./marks";
import { MarksLayer, type Ground } from "./marks_layer";
import { Overlay } from "./overlay";
import { PlanesLayer } from "./planes";
import { Ahead } from "./prefetch";
import { OtherPatient } from "./series_data";
import { ShutterLayer } from "./shutter";
import { firstPlace, type Slot } from "./slots";
import { Stack, type Drawn } from "./stack";
import { Rail } from "./strip";
import type { StudyData } from "./study_data";
import { uptakeOf, type Uptake } from "./suv";

export interface PaneHost {
  /** A picture has been drawn. */
  drawn(pane: Pane): void;
  /** An image says another patient: nothing may stay on the screen. */
  alien(): void;
  /** The reader's hand is here now. */
  taken(pane: Pane): void;
  /** Whether the reader's hand is here. */
  inHand(pane: Pane): boolean;
  isKey(slot: Slot): boolean;
}

/** What a pane is asked to show. */
export interface Shows {
  readonly of: StudyData;
  readonly series: number;
  readonly place?: number;
}

export class Pane {
  readonly area = h("div", { class: "picture", "data-role": "picture", tabindex: "0" });
  readonly rail = new Rail(
    (place) => void this.stack?.show(place),
    () => this.slots().length,
  );
  readonly element = h("div", { class: "pane" }, this.area, this.rail.element);
  stack: Stack | null = null;
  private ahead: Ahead | null = null;
  layer: MarksLayer | null = null;
  of: StudyData | null = null;
  series = -1;
  overlay: Overlay | null = null;
  private readonly shutter = new ShutterLayer();
  private readonly planes = new PlanesLayer(() => this.redraw());
  /** Shutters cover, as the image says. */
  private covered = true;
  /** Overlay planes lie over the picture. */
  private overlaid = true;
  private seconds = 0;
  private tries = 0;
  /** The reader is at a place whose image is not here. */
  private empty = false;

  constructor(private readonly host: PaneHost) {
    this.element.addEventListener("pointerdown", () => host.taken(this), { capture: true });
    this.area.addEventListener("focus", () => host.taken(this));
    this.clear();
  }

  close(): void {
    this.clear();
    this.element.remove();
  }

  /** Picture and text off the screen together. */
  clear(notice: HTMLElement = word("pane.empty")): void {
    window.clearTimeout(this.seconds);
    this.ahead?.end();
    this.ahead = null;
    this.stack?.close();
    this.stack = null;
    this.layer = null;
    this.overlay = null;
    this.of = null;
    this.series = -1;
    this.planes.draw(null, null, false);
    this.element.classList.remove("prior");
    this.area.replaceChildren(h("p", { class: "notice" }, notice));
    this.rail.draw([], 0);
  }

  slots(): readonly Slot[] {
    return this.of?.at(this.series) ?? [];
  }

  modality(): string | null {
    return this.of?.series[this.series]?.modality ?? null;
  }

  /** A fresh stack under a fresh overlay: nothing of the series before can be drawn on it. */
  show({ of, series, place }: Shows): void {
    if (!of.series[series] || !isCurrent(of.context)) return;
    this.clear();
    this.of = of;
    this.series = series;
    this.overlay = new Overlay(of.study);
    this.layer = new MarksLayer(of.book);
    this.element.classList.toggle("prior", of.prior);
    this.shutter.draw(null);
    this.area.replaceChildren(
      this.shutter.element,
      this.planes.element, // what a device writes beside the picture lies over the cover
      this.layer.element,
      this.overlay.element,
    );
    if (of.prior) {
      const { arrived, expected, study_date: date } = of.study;
      const partly = expected === null || arrived < expected;
      const tag = h("div", { class: "prior-tag", "data-role": "prior-tag" });
      tag.append(say("prior.of", { d: dashed(date) }));
      if (partly) tag.append(" ", say("prior.partly", { a: arrived, e: expected ?? "?" }));
      const { confirmed: d } = of;
      if (d !== null) tag.append(h("div", { "data-role": "id-confirmed" }, word("prior.confirmed", { d })));
      this.overlay.element.append(tag);
    }
    const opened = line.waitFor(); // for the first picture, before anything is asked for
    this.start(place, opened)
      .catch((error: unknown) => this.failed(-1, error))
      .finally(opened);
  }

  private async start(place: number | undefined, opened: () => void): Promise<void> {
    const { of, series } = this;
    if (!of) return;
    const renderer = await within(of.context, engine());
    if (of !== this.of || series !== this.series || this.stack) return;
    const data = of.of(series);
    const stack = new Stack(of.context, renderer, data, this.slots(), {
      drawn: (drawn) => this.drawn(stack, drawn),
      asked: (asked) => this.asked(asked),
      failed: (failed, error) => stack === this.stack && this.failed(failed, error),
    });
    this.stack = stack;
    this.area.prepend(stack.element);
    await stack.show(place ?? firstPlace(this.slots()));
    opened();
    await persist(of.context, () => data.fetchSeries());
    if (stack !== this.stack) return;
    this.ahead = new Ahead({
      context: of.context,
      stack,
      data,
      slots: () => this.slots(),
      standing: () => (of.prior ? "prior" : this.host.inHand(this) ? "in hand" : "beside"),
      alien: (error) => this.failed(-1, error),
    });
    this.ahead.begin();
  }

  /** Fetch anew what the lock has made the page forget. */
  async refetch(): Promise<void> {
    const { stack } = this;
    if (!stack) return;
    await stack.show(stack.place);
    if (stack === this.stack) this.ahead?.begin();
  }

  /** Places have been filled or added. */
  grown(): void {
    const { stack } = this;
    if (!stack) return;
    const drawn = stack.drawn();
    const missing = this.empty;
    stack.update(this.slots());
    const place = drawn ? this.slots().findIndex((slot) => slot.sop === drawn.slot.sop && slot.frame === drawn.slot.frame) : -1;
    // a place that was looked at while it was empty fills in; any other picture stays still
    if (missing || !stack.ready) void stack.show(stack.place);
    else if (place >= 0 && drawn && place !== drawn.place) stack.place = place;
    this.ahead?.begin();
  }

  private asked(place: number): void {
    const slot = this.slots()[place];
    this.rail.draw(this.slots(), place);
    window.clearTimeout(this.seconds);
    this.overlay?.chip("");
    this.area.classList.remove("late");
    if (slot?.here) {
      this.seconds = window.setTimeout(() => {
        this.overlay?.chip(say("img.loading"));
        this.area.classList.add("late"); // the image before stays, dimmed, under its own text
        this.seconds = window.setTimeout(() => this.awaits(place, 3), 2700);
      }, 300);
    } else {
      this.overlay?.missing(place, this.of?.expected(this.series) ?? null, slot?.damaged ? "damaged" : "missing");
      this.layer?.draw(null);
      this.shutter.draw(null);
      this.planes.draw(null, null, false);
    }
    this.empty = !slot?.here;
  }

  /** What is awaited and how long already, now and then: it is read aloud. */
  private awaits(place: number, s: number): void {
    this.overlay?.chip(say("img.wait", { n: place + 1, s }));
    this.seconds = window.setTimeout(() => this.awaits(place, s + 5), 5000);
  }

  private drawn(stack: Stack, drawn: Drawn): void {
    const data = this.of?.of(this.series).get(drawn.slot);
    if (stack !== this.stack || !data || !this.overlay) return;
    // over an empty place nothing is shown but what belongs there
    if (this.empty && drawn.place !== stack.place) return;
    if (drawn.place === stack.place) {
      window.clearTimeout(this.seconds);
      this.tries = 0;
      this.area.classList.remove("late");
      this.overlay.chip("");
    }
    const ground = this.ground();
    this.planes.draw(ground, this.of?.of(this.series) ?? null, this.overlaid);
    this.overlay.image(data, {
      place: drawn.place,
      expected: this.of?.expected(this.series) ?? null,
      window: stack.renderedWindow(),
      windowName: stack.currentWindow()?.name ?? "win.manual",
      scale: stack.scale(),
      shape: stack.shapeDrawn(),
      uncovered: !this.covered,
      planes: this.planes.state,
      inverted: stack.inverted,
      flipped: stack.flipped,
      onProcessor: withoutGpu(),
      axes: stack.axes(),
      turn: stack.turn(),
      perPixel: stack.perPixel(),
      key: this.host.isKey(drawn.slot),
    });
    this.shutter.draw(this.covered ? ground : null);
    this.layer?.draw(ground);
    this.area.setAttribute("aria-label", this.spoken(drawn));
    this.host.drawn(this);
  }

  /** The image in words: "CT S3 57/192 W400 L40". */
  private spoken(drawn: Drawn): string {
    const series = this.of?.series[this.series];
    const window = this.stack?.renderedWindow();
    const figures = window ? ` W${Math.round(window.width)} L${Math.round(window.center)}` : "";
    const number = `${drawn.place + 1}/${this.of?.expected(this.series) ?? "?"}`;
    return `${series?.modality ?? ""} S${series?.number ?? "?"} ${number}${figures}`.trim();
  }

  /** Draw the text and marks of the present picture again. */
  redraw(): void {
    const drawn = this.stack?.drawn();
    if (this.stack && drawn) this.drawn(this.stack, drawn);
    if (this.stack) this.rail.draw(this.slots(), this.stack.place);
  }

  /** What makes SUV of the present picture's values; null for what is no PET. */
  uptake(): Uptake | null {
    const ground = this.ground();
    return ground && uptakeOf(ground.data);
  }

  /** Shutters off, or on again. */
  uncover(): void {
    this.covered = !this.covered;
    this.redraw();
  }

  /** Overlay planes off, or on again. */
  planesOff(): void {
    this.overlaid = !this.overlaid;
    this.redraw();
  }

  forgetPlanes(): void {
    this.planes.draw(null, null, false);
  }

  ground(): Ground | null {
    const { stack } = this;
    const drawn = stack?.drawn();
    const data = drawn && this.of?.of(this.series).get(drawn.slot);
    if (!stack || !drawn || !data) return null;
    return {
      sop: drawn.slot.sop,
      frame: drawn.slot.frame,
      data,
      values: stack.values(),
      toCanvas: (point) => stack.toCanvas(point),
      toImage: (point) => stack.toImage(point),
    };
  }

  /** Plane of the picture on the screen. */
  plane(): Plane | null {
    const ground = this.ground();
    return ground && planeOf(ground.data);
  }

  press(kind: MarkKind, at: Point): boolean {
    return this.layer?.press(kind, at) ?? false;
  }

  private failed(place: number, error: unknown): void {
    if (!this.of || !isCurrent(this.of.context)) return;
    window.clearTimeout(this.seconds);
    if (error instanceof OtherPatient) return this.host.alien();
    if (passing(error)) return this.again(place);
    if (place >= 0 && error instanceof WrongGrey) return this.overlay?.chip(`${say("grey.none")} ${place + 1}`);
    if (place < 0) return; // something ahead of the reader: said when the reader is there
    const slot = this.slots()[place];
    const instances = this.of.series[this.series]?.instances ?? [];
    const syntax = instances.find((one) => one.sop_uid === slot?.sop)?.transfer_syntax ?? "";
    this.overlay?.chip(`${say("img.decode")} ${place + 1} ${syntax}`.trim());
  }

  /** The receiver did not answer: the place that the reader waits for is asked for again. */
  private again(place: number): void {
    const { stack } = this;
    this.overlay?.chip(say("img.slow"));
    this.tries += 1;
    this.seconds = window.setTimeout(() => {
      if (stack && stack === this.stack && stack.place === place) void stack.show(place);
    }, pause(this.tries));
  }
}
