/** One slide in its place on the screen: picture, label, overview, scale and what is said of it. */

import * as api from "../api";
import { isCurrent, within, type ReadingContext } from "../context";
import { h, put } from "../dom";
import { DOUBT, isDoubtful } from "../jpeg";
import { roundLength } from "../measure";
import { persist } from "../trouble";
import type { Associated, Series, Slide } from "../types";
import { inLanguage, say, word } from "../words";
import { SlideCanvas, type Field } from "./canvas";
import type { Coverage } from "./coverage";
import type { Lut } from "./lut";
import { MarkLayer, type Marks } from "./marking";
import { magnification, Pyramid, STEPS } from "./pyramid";
import { Turned } from "./turned";
import { tissueOf, Viewed } from "./viewed";
import { nextOf, walk } from "./walk";

/** Coarser scans are said to be so (WSI-06). */
const COARSE_UM = 0.5;
/** A field counts as looked at when it has stood still and sharp for so long. */
const STOOD_MS = 150;
const MASK_TILES = 64;
const MASK_EDGE = 1024;
const CHIPS = { missing: "tile.missing", damaged: "tile.repair", undecodable: "img.decode" } as const;
export type SlideSeries = Series & { readonly slide: Slide };

export interface Around {
  readonly context: ReadingContext;
  coverage(): Coverage;
  /** The slide is one of the study that is open. */
  owns(series: SlideSeries): boolean;
  base(series: Series): string;
  viewed(series: SlideSeries, pyramid: Pyramid): Viewed;
  readonly marks: Marks;
  /** This pane has moved, or what it shows has changed. */
  moved(pane: Pane): void;
  grown(): void;
  touched(pane: Pane): void;
}

let cubes = 0;

export class Pane {
  readonly area = h("div", { class: "slide-area", "data-role": "picture" });
  readonly overview = h("div", { class: "overview" });
  readonly facts = h("div", { class: "facts" });
  readonly bar = h("div", { class: "scale-bar", "data-role": "scale-bar" }, h("i"), h("span"));
  readonly chips = h("div", { class: "slide-chips", role: "status" });
  private readonly below = h("div", { class: "below" });
  private readonly label = h("figure", { class: "pane-label", "data-role": "pane-label" });
  private readonly seenMap = h("canvas", { class: "viewed-map", "data-role": "viewed-map", "aria-hidden": "true" });
  readonly root: HTMLElement;
  series: SlideSeries | null = null;
  canvas: SlideCanvas | null = null;
  viewed: Viewed | null = null;
  layer: MarkLayer | null = null;
  pyramid: Pyramid | null = null;
  /** The first end of a length, in the unit of marks. */
  begun: [number, number] | null = null;
  aim = false;
  private laidOut = "";
  private colour: "applied" | "none" | "failed" | "waiting" = "none";
  private lut: Lut | null = null;
  private stood = 0;
  private seenAs = "";
  /** Of what the facts speak now: under a hand that drags they stay the same. */
  private factsAs = "";
  private factsOf: SlideSeries | null = null;
  private walked: { key: string; fields: [number, number][] } = { key: "", fields: [] };
  private over = new AbortController();

  constructor(private readonly around: Around) {
    this.root = h(
      "section",
      { class: "slide-pane" },
      this.facts,
      h("div", { class: "slide-field" }, this.area, this.overview, this.label, this.chips),
      h("div", { class: "pane-foot" }, this.bar, this.below),
    );
  }

  close(): void {
    this.over.abort();
    window.clearTimeout(this.stood);
    this.canvas?.close();
    this.canvas = null;
  }

  /** Show a slide of the study that is open; a slide of anything else is refused. */
  show(series: SlideSeries, field: Field | null = null): boolean {
    const { around } = this;
    if (!isCurrent(around.context) || !around.owns(series)) return false;
    this.close();
    this.over = new AbortController();
    this.area.replaceChildren();
    // one of its own for each: the renderer takes the element away with itself
    const map = h("div", { class: "overview-map" });
    this.overview.replaceChildren(map, this.seenMap);
    this.series = series;
    this.laidOut = layout(series.slide);
    this.pyramid = new Pyramid(series.slide);
    this.viewed = around.viewed(series, this.pyramid);
    this.layer = new MarkLayer(this.pyramid.spacing);
    this.begun = null;
    this.seenAs = "";
    this.findColours(series.slide);
    this.canvas = new SlideCanvas({
      field,
      context: around.context,
      pyramid: this.pyramid,
      coverage: around.coverage(),
      address: (sop, frame) => this.address(series, sop, frame),
      area: this.area,
      overview: map,
      colours: () => this.lut,
      changed: () => this.moved(),
      grown: () => around.grown(),
      focus: (by) => this.refocus(by),
      touched: () => around.touched(this),
    });
    this.area.append(this.layer.canvas);
    this.said();
    this.seekTissue(series);
    return true;
  }

  /** Take what has come; true where the slide is laid out in another way now. */
  cover(series: SlideSeries): void {
    this.series = series;
    // a level was laid out that was only announced, or one was made here: another pyramid now
    if (!this.canvas || layout(series.slide) !== this.laidOut) this.show(series, this.canvas?.field() ?? null);
    else this.canvas.cover(this.around.coverage());
    this.said();
    if (this.viewed && !this.viewed.found) this.seekTissue(series);
  }

  private address(series: SlideSeries, sop: string, frame: number): string {
    const derived = series.slide.levels.find((level) => level.sop_uid === sop)?.derived;
    if (!derived) return `${this.around.base(series)}/instances/${sop}/frames/${frame + 1}`;
    return `/api/studies/${this.around.context.key}/derived/${derived.of}/${derived.factor}/${frame + 1}`;
  }

  /** The picture does not wait for its colours; that they are not there yet is said. */
  private findColours(slide: Slide): void {
    const { context } = this.around;
    const { signal } = this.over;
    addEventListener(DOUBT, () => this.said(), { signal });
    const largest = slide.levels[0];
    this.lut = null;
    this.colour = slide.icc && largest ? "waiting" : "none";
    if (!slide.icc || !largest) return;
    const sop = largest.parts?.[0]?.sop_uid ?? largest.derived?.of ?? largest.sop_uid;
    const ask = async (): Promise<void> => {
      const cube = await within(context, api.colours(context.key, sop, signal));
      if (signal.aborted) return;
      this.colour = "applied";
      this.lut = cube && { id: (cubes += 1), cube };
      if (cube) this.canvas?.anew();
      this.said();
    };
    persist(context, ask).catch(() => {
      if (signal.aborted) return;
      this.colour = "failed"; // shown as scanned, and said to be so
      this.said();
    });
  }

  /** Sharp, and in its own colours. */
  get settled(): boolean {
    return this.colour !== "waiting" && (this.canvas?.settled ?? false);
  }

  // --- tissue, and what was seen of it ------------------------------------------------------

  /** Where it cannot be told, the whole slide stands for it, and that is said. */
  private seekTissue(series: SlideSeries): void {
    persist(this.around.context, () => this.findTissue(series, this.over.signal)).catch(() => undefined);
  }

  private async findTissue(series: SlideSeries, signal: AbortSignal): Promise<void> {
    const { pyramid, viewed, around } = this;
    if (!pyramid || !viewed || viewed.found) return;
    const level = pyramid.levels.findIndex(({ across, down }) => across * down <= MASK_TILES);
    const of = pyramid.levels[level];
    if (!of || level < 0) return;
    const places = Array.from({ length: of.across * of.down }, (_, i) => ({ x: i % of.across, y: Math.floor(i / of.across) }));
    if (!places.every(({ x, y }) => { const f = pyramid.frame(level, x, y); return f === null || around.coverage().holds(f); })) return;
    const shrink = Math.min(1, MASK_EDGE / Math.max(of.of.columns, of.of.rows));
    const size = { width: Math.max(1, Math.round(of.of.columns * shrink)), height: Math.max(1, Math.round(of.of.rows * shrink)) };
    const context = new OffscreenCanvas(size.width, size.height).getContext("2d", { willReadFrequently: true });
    if (!context) return;
    const { accepts, decode } = await import("./decoding");
    for (const { x, y } of places) {
      const frame = pyramid.frame(level, x, y);
      if (!frame) continue;
      const url = this.address(series, frame.sop, frame.number);
      const body = await within(around.context, api.request(url, { headers: { Accept: accepts(of.of) }, signal }));
      const bitmap = await within(around.context, decode(of.of, body, null));
      context.drawImage(bitmap, x * of.of.tile_columns * shrink, y * of.of.tile_rows * shrink, of.of.tile_columns * shrink, of.of.tile_rows * shrink);
      bitmap.close();
    }
    viewed.find(tissueOf(context.getImageData(0, 0, size.width, size.height).data, size, viewed));
    if (!signal.aborted) this.moved();
  }

  /** The magnification whose share is told: the step at or below the present one. */
  private step(): number | null {
    const um = this.canvas?.umPerDevicePixel() ?? null;
    if (um === null) return null;
    return [...STEPS].reverse().find((times) => times <= magnification(um) * 1.025) ?? STEPS[0];
  }

  seenShare(): number {
    const step = this.step();
    return step === null ? 0 : (this.viewed?.share(step) ?? 0);
  }

  private look(): void {
    window.clearTimeout(this.stood);
    this.stood = window.setTimeout(() => {
      const { canvas, viewed } = this;
      const um = canvas?.umPerDevicePixel() ?? null;
      if (!canvas?.ready || !viewed || um === null || document.hidden) return;
      if (!this.settled || canvas.missingInView > 0) return; // it comes again with the next picture
      const before = viewed.version;
      viewed.note(canvas.turned(), magnification(um));
      if (viewed.version !== before) this.around.moved(this);
      if (viewed.version !== before) this.said();
    }, STOOD_MS);
  }

  /** What was viewed, over the overview. */
  private drawSeen(): void {
    const { viewed, pyramid } = this;
    const step = this.step();
    if (!viewed || !pyramid || step === null) return;
    const [width, height] = [this.overview.clientWidth, this.overview.clientHeight];
    const as = `${viewed.version} ${step} ${width}`;
    if (as === this.seenAs || width === 0) return;
    this.seenAs = as;
    [this.seenMap.width, this.seenMap.height] = [width, height];
    const context = this.seenMap.getContext("2d") as CanvasRenderingContext2D;
    const scale = Math.min(width / pyramid.columns, height / pyramid.rows);
    const [left, top] = [(width - pyramid.columns * scale) / 2, (height - pyramid.rows * scale) / 2];
    const image = context.createImageData(width, height);
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const [column, row] = [Math.floor((x + 0.5 - left) / scale / viewed.side), Math.floor((y + 0.5 - top) / scale / viewed.side)];
        if (column < 0 || row < 0 || column >= viewed.across || row >= viewed.down) continue;
        if (viewed.wasSeen(row * viewed.across + column, step)) image.data.set([0x6f, 0xd3, 0xff, 96], 4 * (y * width + x));
      }
    }
    context.putImageData(image, 0, 0);
  }

  toggleSeen(): void {
    this.seenMap.toggleAttribute("hidden");
  }

  // --- hands --------------------------------------------------------------------------------

  /** Go to the next or the previous field over tissue; false at the end. */
  walk(by: 1 | -1): boolean {
    const { canvas, viewed } = this;
    if (!canvas?.ready || !viewed) return true;
    const now = canvas.turned();
    const key = [now.width.toFixed(2), now.height.toFixed(2), now.degrees, viewed.found].join(" ");
    if (key !== this.walked.key) this.walked = { key, fields: walk(viewed, new Turned(0, 0, now.width, now.height, now.degrees)) };
    const { fields } = this.walked;
    const near = 0.02 * Math.min(now.width, now.height);
    const index = nextOf(fields, now.x, now.y, by, near);
    const to = fields[index];
    if (!to) return true;
    if (Math.hypot(to[0] - now.x, to[1] - now.y) <= near) return false;
    canvas.goTo(...to);
    return true;
  }

  refocus(by: number): void {
    const { canvas, pyramid } = this;
    if (!canvas?.ready || !pyramid || pyramid.planes < 2) return;
    const plane = Math.min(pyramid.planes - 1, Math.max(0, pyramid.plane + by));
    if (plane !== pyramid.plane) canvas.refocus(plane);
  }

  /** The place of a hand in the unit of marks. */
  at(place: { readonly x: number; readonly y: number } | null): [number, number] | null {
    return this.canvas?.ready && this.layer ? this.layer.place(this.canvas.under(place)) : null;
  }

  get unit(): "um" | "px" {
    return this.pyramid?.spacing == null ? "px" : "um";
  }

  // --- what is said -------------------------------------------------------------------------

  private moved(): void {
    if (!this.canvas?.ready) return;
    this.said();
    this.look();
    this.around.moved(this);
  }

  said(): void {
    const { series, canvas } = this;
    if (!series || !canvas?.ready) return;
    const um = canvas.umPerDevicePixel();
    this.drawSeen(); // first: it asks for sizes, which after a change of the text are counted anew
    const doubted = series.slide.levels.some((one) => isDoubtful(one.sop_uid));
    const facts = [um, canvas.devicePerFull(), canvas.derived, this.colour, doubted, inLanguage(), this.around.coverage().share(series.slide)].join(" ");
    if (facts !== this.factsAs || series !== this.factsOf) {
      [this.factsAs, this.factsOf] = [facts, series];
      replace(this.facts, this.factLine(series.slide, canvas, um));
    }
    replace(this.below, this.footLine(canvas));
    this.drawLabel(series);
    this.drawBar(um);
    this.drawChips(canvas);
    this.layer?.draw(canvas, this.around.marks.all.filter((mark) => mark.series === series.series_uid), this.begun, this.aim);
  }

  private labelled = "";

  private drawLabel(series: SlideSeries): void {
    const label = series.slide.associated.find((one) => one.flavor === "LABEL");
    const as = [series.series_uid, label?.arrived, label?.state, say("slide.label")].join(" ");
    if (as === this.labelled) return;
    this.labelled = as;
    const words = [specimen(series.slide), series.description].filter(Boolean).join(" ");
    const picture = label?.arrived
      ? h("img", { alt: say("slide.label"), src: `${this.around.base(series)}/instances/${label.sop_uid}/rendered` })
      : h("span", { class: label ? "hatched" : "" }, word(noLabel(label)));
    this.label.replaceChildren(picture, h("figcaption", {}, words));
  }

  private factLine(slide: Slide, canvas: SlideCanvas, um: number | null): HTMLElement[] {
    const full = this.pyramid?.spacing ?? null;
    const scanned = slide.objective_power ? `${slide.objective_power}x` : "";
    const parts: (HTMLElement | null)[] = [];
    if (um === null || full === null) parts.push(h("b", {}, word("slide.nospacing")));
    else {
      parts.push(h("b", { "data-role": "magnification" }, `${round(magnification(um))}x`));
      parts.push(word("slide.screen", { u: um.toFixed(um < 1 ? 3 : 2) }));
      parts.push(word("slide.scan", { x: scanned, u: full.toFixed(3) }));
    }
    const zoomed = canvas.devicePerFull();
    if (zoomed > 1.001) parts.push(h("b", { class: "inverse", "data-role": "digital" }, word("img.upscale", { z: round(zoomed) })));
    if (full !== null && full > COARSE_UM * 1.01) parts.push(h("b", { class: "inverse" }, word("slide.coarse", { u: COARSE_UM })));
    parts.push(this.colourWord());
    if (slide.levels.some((one) => isDoubtful(one.sop_uid))) parts.push(h("b", { class: "inverse", "data-role": "colours" }, word("colour.maybe")));
    const ratio = slide.ratio === null ? "" : `${round(slide.ratio)}:1`;
    if (slide.lossy === false) parts.push(word("img.lossless"));
    else parts.push(h("span", { class: "inverse" }, word("img.lossy", { r: ratio })));
    if (slide.recoded) parts.push(h("b", { class: "inverse", "data-role": "reencoded" }, word("slide.recoded")));
    else if (slide.reencoded) parts.push(h("b", { "data-role": "reencoded" }, word("slide.reencoded")));
    if (slide.focus) parts.push(word(slide.focus === "AUTO" ? "slide.autofocus" : "slide.manualfocus"));
    if (canvas.derived) parts.push(h("b", { class: "inverse", "data-role": "derived" }, word("slide.derived")));
    if (slide.scanner) parts.push(h("span", {}, slide.scanner));
    parts.push(word("slide.arrived", { p: Math.floor(1000 * this.around.coverage().share(slide)) / 10 }));
    return parts.filter((part): part is HTMLElement => part !== null);
  }

  /** What changes under the hand stands below: the picture keeps its size. */
  private footLine(canvas: SlideCanvas): HTMLElement[] {
    const parts: HTMLElement[] = [];
    const step = this.step();
    if (step !== null && this.viewed) {
      const seen = word(this.viewed.found ? "slide.seen" : "slide.seenglass", { p: Math.floor(100 * this.seenShare()), x: step });
      parts.push(h("span", { "data-role": "viewed" }, seen));
    }
    const { pyramid } = this;
    if (pyramid && pyramid.planes > 1) parts.push(h("b", { "data-role": "plane" }, word("slide.plane", { n: pyramid.plane + 1, m: pyramid.planes })));
    const { degrees } = canvas.turned();
    if (degrees % 360 !== 0) parts.push(h("b", { "data-role": "turn" }, word("slide.turn", { d: Math.round(degrees) })));
    return parts;
  }

  private colourWord(): HTMLElement {
    const as = { applied: "slide.iccon", none: "slide.noicc", failed: "slide.iccfailed", waiting: "slide.iccwaiting" } as const;
    return h(this.colour === "failed" ? "b" : "span", { class: this.colour === "failed" ? "inverse" : "", "data-role": "icc" }, word(as[this.colour]));
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
}

/** Put other children in, where they are others: a page laid out anew costs a frame. */
function replace(line: HTMLElement, children: readonly HTMLElement[]): void {
  const same = children.length === line.children.length && children.every((one, place) => one.isEqualNode(line.children[place] ?? null));
  if (!same) line.replaceChildren(...children);
}

/** What a pyramid is built of: by name, as a level may go in the moment in which another comes. */
function layout(slide: Slide): string {
  return slide.levels.flatMap(({ sop_uid: sop, parts }) => [sop, ...(parts ?? []).map((part) => part.sop_uid)]).join(" ");
}

export function noLabel(label: Associated | undefined): "missing" | "tile.damaged" | "slide.nolabelsent" {
  if (!label) return "slide.nolabelsent";
  return label.state === "damaged" ? "tile.damaged" : "missing";
}

/** What the glass is called; a sender that was not told writes UNKNOWN. */
export function specimen(slide: Slide): string {
  const { container } = slide;
  return container && container.toUpperCase() !== "UNKNOWN" ? container : say("slide.nospecimen");
}

const round = (figure: number): string => String(Math.round(figure * 100) / 100);
