/** Three planes through a series with one crosshair (MPR), thick ones as MIP. */

import { isCurrent } from "../context";
import { h } from "../dom";
import { inLanguage, say, word } from "../words";
import { who } from "./corners";
import { load } from "./engine";
import { truthIn } from "./grey";
import { along, direction, dot, minus, opposite, planeOf, type Point, type Vector } from "./geometry";
import { bounds, dragged, type Window } from "./presets";
import type { StudyData } from "./study_data";
import { cutThrough, FACES, OUTSIDE, placeOf, sample, volumeOf, type Cut, type Face, type Slice, type Volume } from "./volume";

const SLABS = [0, 5, 10, 20, 40] as const;

interface Sheet {
  readonly face: Face;
  readonly element: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  readonly text: HTMLElement;
  readonly lines: HTMLElement[];
  cut: Cut | null;
}

export class VolumeView {
  readonly element = h("div", { class: "volume", "data-role": "volume" });
  private volume: Volume | null = null;
  private place: Vector = [0, 0, 0];
  private slab = 0;
  private active: Face = "axial";
  private took = 0;
  private over = false;
  private readonly sheets: Sheet[];
  private readonly sized = new ResizeObserver(() => this.draw());

  constructor(
    private readonly of: StudyData,
    private readonly series: number,
    private window: Window | null,
    /** The window's way of counting, and whether white is low (PS3.3 C.11.2.1.2, C.7.6.3.1.2). */
    private readonly look: { readonly exact: boolean; readonly turned: boolean },
    private readonly end: () => void,
  ) {
    this.sheets = FACES.map((face) => this.sheet(face));
    this.element.append(this.notice("mpr.waiting", { a: 0, e: of.at(series).length }));
    this.build().catch(() => this.refuse());
  }

  close(): void {
    this.over = true;
    this.sized.disconnect();
    this.volume = null;
    this.element.remove();
  }

  setWindow(window: Window): void {
    this.window = window;
    this.draw();
  }

  step(by: number): void {
    const sheet = this.sheets.find((one) => one.face === this.active);
    if (sheet?.cut) this.move(sheet, by);
  }

  shown(): Record<string, string | number | boolean | null | readonly number[]> {
    return { mpr: this.volume !== null, crosshair: [...this.place], slab: this.slab, mprTook: this.took };
  }

  // --- collecting -------------------------------------------------------------------------

  private async build(): Promise<void> {
    const data = this.of.of(this.series);
    const slots = this.of.at(this.series);
    const slices: Slice[] = [];
    if (slots.some((slot) => !slot.here)) return this.refuse(); // a hole would be bridged over
    if (slots.some((slot) => data.get(slot) === null)) await data.fetchSeries();
    for (const [i, slot] of slots.entries()) {
      if (this.over || !isCurrent(this.of.context)) return;
      await data.need(slot);
      data.register(slot);
      const image = await load(data.imageId(slot));
      const plane = planeOf(data.get(slot) ?? {});
      if (!plane || image.color) return this.refuse();
      const truth = truthIn(image);
      if (!truth) return this.refuse();
      slices.push({ plane, ...truth });
      if (i % 50 === 49) this.element.replaceChildren(this.notice("mpr.waiting", { a: i + 1, e: slots.length }));
    }
    const volume = volumeOf(slices);
    if (!volume || this.over) return this.refuse();
    this.volume = volume;
    this.place = placeOf(volume, [
      (volume.columns - 1) / 2,
      (volume.rows - 1) / 2,
      (volume.slices.length - 1) / 2,
    ]);
    this.element.replaceChildren(this.bar(), ...this.sheets.map((sheet) => sheet.element));
    for (const { element } of this.sheets) this.sized.observe(element);
    this.draw();
  }

  private refuse(): void {
    if (this.over) return;
    const away = h("button", { type: "button", onclick: () => this.end() }, word("mpr.close"));
    this.element.replaceChildren(h("p", { class: "notice", role: "alert" }, word("mpr.cannot")), away);
  }

  private notice(name: "mpr.waiting", values: Readonly<Record<string, number>>): HTMLElement {
    return h("p", { class: "notice", role: "status" }, word(name, values));
  }

  private bar(): HTMLElement {
    const choose = h("select", { "data-role": "slab", "aria-label": say("mpr.slab") });
    for (const slab of SLABS) {
      choose.append(h("option", { value: slab }, slab === 0 ? say("mpr.thin") : `${slab} mm`));
    }
    choose.addEventListener("change", () => {
      this.slab = Number(choose.value);
      this.draw();
    });
    const away = h("button", { type: "button", onclick: () => this.end() }, word("mpr.close"));
    return h("div", { class: "volume-bar" }, word("mpr.name"), " ", word("mpr.slab"), choose, away);
  }

  // --- the planes -------------------------------------------------------------------------

  private sheet(face: Face): Sheet {
    const canvas = h("canvas", { "data-face": face });
    const text = h("div", { class: "overlay" });
    const lines = [h("i", { class: "cross across" }), h("i", { class: "cross down" })];
    const element = h("div", { class: "sheet", tabindex: "0" }, canvas, ...lines, text);
    const sheet: Sheet = { face, element, canvas, text, lines, cut: null };
    const point = (event: MouseEvent): Point => {
      const box = canvas.getBoundingClientRect();
      const { columns = 1, rows = 1 } = sheet.cut ?? {};
      return [
        ((event.clientX - box.left) / box.width) * columns - 0.5,
        ((event.clientY - box.top) / box.height) * rows - 0.5,
      ];
    };
    element.addEventListener("focus", () => (this.active = face));
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      element.setPointerCapture(event.pointerId);
      this.active = face;
      this.aim(sheet, point(event));
    });
    element.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) this.aim(sheet, point(event));
      else if (event.buttons & 2 && this.window) this.setWindow(dragged(this.window, event.movementX, event.movementY));
    });
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.move(sheet, Math.sign(event.deltaY) * (event.shiftKey ? 5 : 1));
    }, { passive: false });
    return sheet;
  }

  /** The crosshair to a point of a plane; the other two planes go through it. */
  private aim(sheet: Sheet, [x, y]: Point): void {
    const { cut } = sheet;
    if (!cut) return;
    const column = Math.min(cut.columns - 1, Math.max(0, x));
    const row = Math.min(cut.rows - 1, Math.max(0, y));
    this.place = along(along(cut.origin, cut.right, column * cut.pixel), cut.down, row * cut.pixel);
    this.draw();
  }

  private move(sheet: Sheet, by: number): void {
    const { cut, volume } = sheet.cut ? { cut: sheet.cut, volume: this.volume } : { cut: null, volume: null };
    if (!cut || !volume) return;
    const normal: Vector = [
      cut.right[1] * cut.down[2] - cut.right[2] * cut.down[1],
      cut.right[2] * cut.down[0] - cut.right[0] * cut.down[2],
      cut.right[0] * cut.down[1] - cut.right[1] * cut.down[0],
    ];
    const far = sheet.face === "axial" ? volume.dz : cut.pixel;
    this.place = along(this.place, normal, by * far);
    this.draw();
  }

  /** Pictures, crosshair and names of one place, all in this task. */
  private draw(): void {
    const { volume } = this;
    if (!volume || this.over || !isCurrent(this.of.context)) return;
    const began = performance.now();
    for (const sheet of this.sheets) {
      const cut = cutThrough(volume, sheet.face, this.place);
      sheet.cut = cut;
      paint(sheet.canvas, cut, sample(volume, cut, this.slab), this.window, this.look);
      fit(sheet);
      this.cross(sheet, cut);
      this.write(sheet, cut);
    }
    this.took = performance.now() - began;
  }

  private cross(sheet: Sheet, cut: Cut): void {
    const from = minus(this.place, cut.origin);
    const { offsetLeft: left, offsetTop: top, offsetWidth: width, offsetHeight: height } = sheet.canvas;
    const x = left + ((dot(from, cut.right) / cut.pixel + 0.5) / cut.columns) * width;
    const y = top + ((dot(from, cut.down) / cut.pixel + 0.5) / cut.rows) * height;
    const [across, down] = sheet.lines as [HTMLElement, HTMLElement];
    Object.assign(across.style, { top: `${y}px`, left: `${left}px`, width: `${width}px` });
    Object.assign(down.style, { left: `${x}px`, top: `${top}px`, height: `${height}px` });
  }

  private write(sheet: Sheet, cut: Cut): void {
    const data = this.of.of(this.series);
    const slot = this.of.at(this.series)[0];
    const language = inLanguage();
    const set = slot ? data.get(slot) : null;
    const corner = (place: string, ...lines: (string | HTMLElement)[]): HTMLElement =>
      h("div", { class: `corner ${place}` }, ...lines.map((line) => h("div", {}, line)));
    const edge = (place: string, axis: Vector): HTMLElement =>
      h("div", { class: `edge ${place}` }, direction(axis, language));
    const names = set ? who(set, this.of.study) : [];
    const told = names
      .filter((line) => line.text.trim() !== "")
      .map((line) => h("span", { class: line.look ?? "", "data-role": line.role ?? null }, line.text));
    const slab = this.slab > 0 ? `MIP ${this.slab} mm` : "";
    const window = this.window ? `W ${Math.round(this.window.width)} L ${Math.round(this.window.center)}` : "";
    const where = this.place.map((part) => part.toFixed(1)).join(" / ");
    sheet.text.replaceChildren(
      corner("tl", ...told),
      corner("tr", say("mpr.name"), say(`mpr.${sheet.face}`), slab),
      corner("bl", `${where} mm`, window),
      edge("left", opposite(cut.right)),
      edge("right", cut.right),
      edge("top", opposite(cut.down)),
      edge("bottom", cut.down),
    );
  }
}

/** Values through a window into grey. */
function paint(
  canvas: HTMLCanvasElement,
  cut: Cut,
  values: Float32Array,
  window: Window | null,
  { exact, turned }: { readonly exact: boolean; readonly turned: boolean },
): void {
  canvas.width = cut.columns;
  canvas.height = cut.rows;
  const context = canvas.getContext("2d");
  if (!context) return;
  const picture = context.createImageData(cut.columns, cut.rows);
  const grey = new Uint32Array(picture.data.buffer);
  const { lower, upper } = bounds(window ?? { width: 400, center: 40, name: "win.auto" }, exact);
  const scale = 255 / (upper - lower);
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as number;
    const shown = Math.min(255, Math.max(0, Math.round((value - lower) * scale)));
    const level = value === OUTSIDE ? 0 : turned ? 255 - shown : shown;
    grey[i] = 0xff000000 | (level << 16) | (level << 8) | level;
  }
  context.putImageData(picture, 0, 0);
}

/** As large as its place allows, pixels square. */
function fit({ element, canvas }: Sheet): void {
  const scale = Math.min(element.clientWidth / canvas.width, element.clientHeight / canvas.height);
  canvas.style.width = `${canvas.width * scale}px`;
  canvas.style.height = `${canvas.height * scale}px`;
}
