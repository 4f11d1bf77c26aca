/** Pathology: one slide at a time, its label beside it, its true magnification on the screen. */

import * as api from "../api";
import { within, type ReadingContext } from "../context";
import { h, put, writing } from "../dom";
import * as events from "../events";
import { arrival, studyLine, type Frame } from "../frame";
import { publishView } from "../hook";
import { roundLength } from "../measure";
import type { View } from "../pages/study";
import { persist, tellOpened } from "../trouble";
import type { Associated, Series, Slide, Study } from "../types";
import { onLanguage, say, word } from "../words";
import { SlideCanvas, type Field } from "./canvas";
import { Coverage } from "./coverage";
import { GROUND } from "./hatch";
import { magnification, Pyramid, STEPS } from "./pyramid";
import { draw, save } from "./snapshot";

const COVERAGE_MS = 500;
/** The same while a reader waits for something in view. */
const WAITED_MS = 120;
/** Coarser scans are said to be so (WSI-06). */
const COARSE_UM = 0.5;
const CHIPS = { missing: "tile.missing", damaged: "tile.repair", undecodable: "img.decode" } as const;
type SlideSeries = Series & { readonly slide: Slide };

export function showSlides(frame: Frame, context: ReadingContext): View {
  return new SlideView(frame, context);
}

class SlideView implements View {
  private study: Study;
  private slides: readonly SlideSeries[] = [];
  private current = -1;
  private canvas: SlideCanvas | null = null;
  private coverage = Coverage.from({ instances: {} });
  private laidOut = "";
  private soon = 0;
  private reported = false;
  private readonly tray = h("nav", { class: "tray" });
  private readonly area = h("div", { class: "slide-area", "data-role": "picture" });
  private readonly overview = h("div", { class: "overview" });
  private readonly facts = h("div", { class: "facts" });
  private readonly steps = h("div", { class: "steps", role: "group" });
  private readonly bar = h("div", { class: "scale-bar", "data-role": "scale-bar" }, h("i"), h("span"));
  private readonly chips = h("div", { class: "slide-chips", role: "status" });
  private readonly ends: (() => void)[];

  constructor(
    private readonly frame: Frame,
    private readonly context: ReadingContext,
  ) {
    this.study = context.study;
    const mark = context.study.test ? h("div", { class: "watermark" }, say("mark.test")) : null;
    frame.stage.replaceChildren(
      h(
        "section",
        { class: "pathology" },
        this.tray,
        h(
          "div",
          { class: "slide-column" },
          this.facts,
          h("div", { class: "slide-field" }, this.area, this.overview, this.chips, mark),
          h("div", { class: "slide-foot" }, this.bar, this.steps),
        ),
      ),
    );
    const keys = (event: KeyboardEvent): void => this.key(event);
    document.addEventListener("keydown", keys);
    this.ends = [
      () => document.removeEventListener("keydown", keys),
      events.listen({ study: (key) => this.hint(key, true), frames: ({ key }) => this.hint(key, false) }),
      onLanguage(() => this.redraw()),
      () => window.clearTimeout(this.soon),
    ];
    publishView(() => this.shown());
    this.take(context.study);
    void persist(this.context, () => this.refresh(false));
  }

  close(): void {
    for (const end of this.ends) end();
    this.canvas?.close();
    this.canvas = null;
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
    }, this.canvas?.waiting ? WAITED_MS : COVERAGE_MS);
  }

  private async refresh(whole: boolean): Promise<void> {
    const { context } = this;
    if (whole) this.take(await within(context, api.study(context.key, context.signal)));
    this.coverage = Coverage.from(await within(context, api.coverage(context.key, context.signal)));
    const series = this.slides[this.current];
    if (!this.canvas || !series) this.choose(0);
    // a level was laid out that was only announced, or one was made here: another pyramid now
    else if (layout(series.slide) !== this.laidOut) this.choose(this.current, this.canvas.field());
    else this.canvas.cover(this.coverage);
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

  /** All levels lie in an order that this page does not know: better none than one in the wrong place. */
  private get unordered(): boolean {
    return this.study.series.some((series) => series.slide?.sparse);
  }

  private address(series: SlideSeries, sop: string, frame: number): string {
    const derived = series.slide.levels.find((level) => level.sop_uid === sop)?.derived;
    if (!derived) return `${this.base(series)}/instances/${sop}/frames/${frame + 1}`;
    return `/api/studies/${this.context.key}/derived/${derived.of}/${derived.factor}/${frame + 1}`;
  }

  private choose(index: number, field: Field | null = null): void {
    const series = this.slides[index];
    if (!series) {
      if (this.slides.length === 0) this.area.replaceChildren(h("p", { class: "notice" }, word(this.unordered ? "slide.sparse" : "study.none")));
      return;
    }
    this.canvas?.close();
    this.area.replaceChildren();
    // one of its own for each: the renderer takes the element away with itself
    const overview = h("div", { class: "overview-map" });
    this.overview.replaceChildren(overview);
    this.current = index;
    this.laidOut = layout(series.slide);
    this.canvas = new SlideCanvas({
      field,
      context: this.context,
      pyramid: new Pyramid(series.slide),
      coverage: this.coverage,
      address: (sop, frame) => this.address(series, sop, frame),
      area: this.area,
      overview,
      changed: () => this.moved(),
      grown: () => this.hint(this.context.key, false),
    });
    this.redraw();
  }

  // --- what is said -----------------------------------------------------------------------

  private redraw(): void {
    const line = h("span", { class: "study-line" }, h("span", {}, studyLine(this.study)), arrival(this.study));
    this.frame.progress(line);
    this.tray.replaceChildren(
      h("button", { type: "button", class: "back", onclick: () => this.frame.home() }, "← ", word("back")),
      ...this.slides.map((series, index) => this.trayItem(series, index)),
    );
    this.steps.replaceChildren(
      h("button", { type: "button", onclick: () => this.canvas?.whole() }, word("slide.whole")),
      ...STEPS.map((times, index) =>
        h(
          "button",
          { type: "button", "data-times": times, onclick: () => this.canvas?.magnify(times) },
          h("kbd", {}, index + 1),
          `${times}x`,
        ),
      ),
      h("button", { type: "button", "data-role": "snapshot", onclick: () => void this.snapshot() }, word("slide.snapshot")),
    );
    this.moved();
  }

  private trayItem(series: SlideSeries, index: number): HTMLElement {
    const { associated } = series.slide;
    const label = associated.find((one) => one.flavor === "LABEL");
    // without its label a slide is told from the others of its case by what lies on the glass
    const shown = label ?? associated.find((one) => one.flavor === "THUMBNAIL");
    const picture = shown?.arrived
      ? h("img", {
          class: "label-picture",
          alt: say(label ? "slide.label" : "slide.whole"),
          src: `${this.base(series)}/instances/${shown.sop_uid}/rendered`,
        })
      : h("span", { class: shown ? "label-picture hatched" : "label-picture" }, say(noLabel(shown)));
    const title = [series.number ?? index + 1, series.description].filter(Boolean).join(" ");
    const share = this.coverage.share(series.slide);
    const button = h(
      "button",
      { type: "button", class: "thumb", "aria-pressed": String(index === this.current) },
      picture,
      h("span", { class: "thumb-title" }, title),
      share < 1 ? h("span", { class: "thumb-title" }, word("slide.arrived", { p: Math.floor(100 * share) })) : null,
    );
    button.addEventListener("click", () => this.choose(index));
    return button;
  }

  private moved(): void {
    const series = this.slides[this.current];
    const { canvas } = this;
    if (!series || !canvas?.ready) return;
    const um = canvas.umPerDevicePixel();
    this.facts.replaceChildren(...this.factLine(series.slide, canvas, um));
    this.drawBar(um);
    this.drawChips(canvas);
    for (const button of this.steps.querySelectorAll<HTMLElement>("[data-times]")) {
      const near = um !== null && Math.abs(magnification(um) / Number(button.dataset["times"]) - 1) < 0.025;
      button.setAttribute("aria-pressed", String(near));
    }
    if (this.reported || !canvas.settled) return;
    this.reported = true;
    tellOpened(this.context);
  }

  private factLine(slide: Slide, canvas: SlideCanvas, um: number | null): HTMLElement[] {
    const full = new Pyramid(slide).spacing;
    const scanned = slide.objective_power ? `${slide.objective_power}x` : "";
    const parts: (HTMLElement | null)[] = [];
    if (um === null || full === null) parts.push(h("b", {}, word("slide.nospacing")));
    else {
      parts.push(h("b", { "data-role": "magnification" }, `${round(magnification(um))}x`));
      parts.push(word("slide.screen", { u: um.toFixed(um < 1 ? 3 : 2) }));
      parts.push(word("slide.scan", { x: scanned, u: full.toFixed(3) }));
    }
    if (full !== null && full > COARSE_UM * 1.01) parts.push(h("b", { class: "inverse" }, word("slide.coarse", { u: COARSE_UM })));
    parts.push(word(slide.icc ? "slide.icc" : "slide.noicc"));
    const ratio = slide.ratio === null ? "" : `${round(slide.ratio)}:1`;
    if (slide.lossy === false) parts.push(word("img.lossless"));
    else parts.push(h("span", { class: "inverse" }, word("img.lossy", { r: ratio })));
    if (slide.reencoded) parts.push(h("b", { "data-role": "reencoded" }, word("slide.reencoded")));
    if (slide.focus) parts.push(word(slide.focus === "AUTO" ? "slide.autofocus" : "slide.manualfocus"));
    if (canvas.derived) parts.push(h("b", { class: "inverse", "data-role": "derived" }, word("slide.derived")));
    if (slide.scanner) parts.push(h("span", {}, slide.scanner));
    parts.push(word("slide.arrived", { p: Math.floor(1000 * this.coverage.share(slide)) / 10 }));
    const zoomed = canvas.devicePerFull();
    if (zoomed > 1.001) parts.push(h("b", { class: "inverse" }, word("img.upscale", { z: round(zoomed) })));
    return parts.filter((part): part is HTMLElement => part !== null);
  }

  private snapshot(): Promise<void> {
    const { canvas } = this;
    if (!canvas?.ready) return Promise.resolve();
    const said = [...this.facts.children].map((part) => part.textContent).join("　");
    const [line, text] = this.bar.children as unknown as [HTMLElement, HTMLElement];
    const length = Number.parseFloat(line.style.width) * devicePixelRatio;
    const { study } = this;
    const whose = [study.test ? say("mark.test") : "", study.patient.id, studyLine(study)].filter(Boolean).join("　");
    const picture = draw({
      layers: canvas.layers(),
      ground: GROUND,
      lines: [whose, [said, this.chips.textContent].filter(Boolean).join("　")],
      scale: this.bar.hidden ? null : { length, words: text.textContent },
    });
    return save(picture);
  }

  private drawBar(um: number | null): void {
    this.bar.hidden = um === null;
    if (um === null) return;
    const perCss = um * devicePixelRatio;
    const length = roundLength(perCss, 180);
    const [line, text] = this.bar.children as unknown as [HTMLElement, HTMLElement];
    line.style.width = `${length / perCss}px`;
    this.bar.dataset["um"] = String(length);
    put(text, length >= 1000 ? `${length / 1000} mm` : `${length} µm`);
  }

  private drawChips(canvas: SlideCanvas): void {
    const why = new Set(canvas.gaps().map((gap) => gap.why));
    const words = (["damaged", "undecodable", "missing"] as const).filter((one) => why.has(one)).map((one) => say(CHIPS[one]));
    const said = words.length > 0 ? words.join("　") : canvas.settled ? "" : say("img.low");
    put(this.chips, said);
    this.chips.hidden = said === "";
  }

  // --- hands ------------------------------------------------------------------------------

  private key(event: KeyboardEvent): void {
    if (writing(event) || event.ctrlKey || event.altKey || event.metaKey) return;
    const { canvas } = this;
    if (!canvas) return;
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
    const share = event.shiftKey ? 0.9 : 0.1;
    const table: Record<string, () => void> = {
      ArrowLeft: () => canvas.pan(-share, 0),
      ArrowRight: () => canvas.pan(share, 0),
      ArrowUp: () => canvas.pan(0, -share),
      ArrowDown: () => canvas.pan(0, share),
      NumpadAdd: () => canvas.zoomBy(Math.SQRT2),
      NumpadSubtract: () => canvas.zoomBy(Math.SQRT1_2),
      KeyJ: () => canvas.zoomTo(1),
      KeyK: () => void this.snapshot(),
      KeyO: () => void this.overview.toggleAttribute("hidden"),
      Comma: () => this.choose(this.current - 1),
      Period: () => this.choose(this.current + 1),
      Digit0: () => canvas.whole(),
      Numpad0: () => canvas.whole(),
    };
    const times = digit === undefined ? undefined : STEPS[Number(digit) - 1];
    const action = times === undefined ? table[event.code] : () => canvas.magnify(times);
    if (!action) return;
    event.preventDefault();
    action();
  }

  private shown(): Record<string, string | number | boolean | null | readonly number[]> {
    const { canvas } = this;
    if (!canvas?.ready) return { kind: "slide", ready: false };
    const lie = canvas.lie();
    return {
      kind: "slide",
      ready: true,
      settled: canvas.settled,
      missing: canvas.missingInView,
      damaged: canvas.gaps().filter(({ why }) => why === "damaged").length,
      derived: canvas.derived,
      level: canvas.level(),
      scale: canvas.devicePerFull(),
      um: canvas.umPerDevicePixel(),
      origin: [lie.x, lie.y],
    };
  }
}

/** What a pyramid is built of: by name, as a level may go in the moment in which another comes. */
function layout(slide: Slide): string {
  return slide.levels.flatMap(({ sop_uid: sop, parts }) => [sop, ...(parts ?? []).map((part) => part.sop_uid)]).join(" ");
}

function noLabel(label: Associated | undefined): "missing" | "tile.damaged" | "slide.nolabel" {
  if (!label) return "slide.nolabel";
  return label.state === "damaged" ? "tile.damaged" : "missing";
}

const round = (figure: number): string => String(Math.round(figure * 100) / 100);
