/**
 * One series in one viewport.
 *
 * A stack belongs to one reading context and one series and is never given another: a fresh
 * element and viewport each time, so that an image of the series before, coming late, has
 * nothing left to be drawn on.
 */

import * as core from "@cornerstonejs/core";
import { isCurrent, type ReadingContext } from "../context";
import { line } from "../line";
import { isExact, ownWindows, type DataSet } from "./dataset";
import { load, withoutGpu } from "./engine";
import { along, dot, minus, type Point, type Vector } from "./geometry";
import { isMonochrome1, lineIn, lineOf, sampled, shapeIn, shapesOf, topOf, truthIn, type Shape } from "./grey";
import type { Values } from "./marks";
import { uriOf } from "./pixels";
import { automatic, bounds, figure, type Window } from "./presets";
import { isSpare } from "./requests";
import type { SeriesData } from "./series_data";
import type { Slot } from "./slots";
import { spacingOf } from "./spacing";
import { valuesOf } from "./values";

export interface Drawn {
  readonly slot: Slot;
  readonly place: number;
}

interface Handlers {
  /** The renderer has just drawn this slot: text that belongs to it is written now. */
  drawn(drawn: Drawn): void;
  /** A place without an image (or null) is what the reader asked for. */
  asked(place: number): void;
  failed(place: number, error: unknown): void;
}

let viewports = 0;

export class Stack {
  readonly element = document.createElement("div");
  private readonly id = `stack-${(viewports += 1)}`;
  private viewport: core.StackViewport | null = null;
  private ids: string[] = [];
  /** Address of an image to its place: asked for many times a picture, of hundreds of slots. */
  private places: ReadonlyMap<string, number> = new Map();
  private token = 0;
  /** What the reader waits for, until it is here. */
  private awaited: { readonly id: string; readonly over: () => void } | null = null;
  private window: Window | null = null;
  private original = 0;
  /** Which of its own shapes of grey the images go through; null for a linear window. */
  private shape: number | null = null;
  private turned = false;
  private over = false;
  place = -1;
  ready = false;

  constructor(
    private readonly context: ReadingContext,
    private readonly renderer: core.RenderingEngine,
    private readonly data: SeriesData,
    private slots: readonly Slot[],
    private readonly handlers: Handlers,
  ) {
    this.update(slots);
    this.element.className = "viewport";
    this.element.addEventListener(core.Enums.Events.IMAGE_RENDERED, () => this.rendered());
    this.element.addEventListener(core.Enums.Events.STACK_NEW_IMAGE, () =>
      // the image is set in this task and drawn in the next frame: between them its window
      queueMicrotask(() => this.applyWindow()),
    );
  }

  close(): void {
    this.over = true;
    this.wait(null);
    if (this.viewport) this.renderer.disableElement(this.id);
    this.viewport = null;
    this.element.remove();
  }

  private alive(): boolean {
    return !this.over && isCurrent(this.context);
  }

  /** Slots of the same series as they are now; places may only be added or filled. */
  update(slots: readonly Slot[]): void {
    this.slots = slots;
    this.places = new Map(slots.map((slot, place) => [uriOf(this.data.imageId(slot)), place]));
  }

  /** The place of an image by its address, in whichever way to grey; null for another series'. */
  placeOf(id: string): number | null {
    return this.places.get(uriOf(id)) ?? null;
  }

  /** The reader waits for this slot and no longer for the one before. */
  private wait(slot: Slot | null): void {
    const { awaited } = this;
    const id = slot && this.data.imageId(slot);
    this.awaited = id === null ? null : { id, over: line.waitFor(uriOf(id)) };
    if (awaited && awaited.id !== id) isSpare(awaited.id);
    awaited?.over();
  }

  private served(): void {
    this.awaited?.over();
    this.awaited = null;
  }

  /** Ask for a place. The picture on the screen stays, with its own text, until this one is here. */
  async show(place: number): Promise<void> {
    const slot = this.slots[place];
    if (!slot || !this.alive()) return;
    this.place = place;
    const token = (this.token += 1);
    this.wait(slot.here ? slot : null);
    this.handlers.asked(place);
    if (!slot.here) return;
    try {
      await this.data.need(slot);
      this.data.register(slot);
      if (this.window === null) await this.firstWindow(slot);
      const id = this.idOf(slot);
      await load(id);
      if (this.alive() && token === this.token) await this.draw(id);
    } catch (error) {
      if (this.alive() && token === this.token) this.handlers.failed(place, error);
    } finally {
      if (token === this.token) this.served();
    }
  }

  private async draw(id: string): Promise<void> {
    const viewport = this.viewport ?? this.enable();
    const place = this.places.get(uriOf(id)) ?? -1;
    if (this.slots.length !== this.ids.length || this.ids[place] !== id) {
      const camera = this.ready ? viewport.getCamera() : null;
      this.ids = this.slots.map((one, i) => (i === place ? id : this.idOf(one)));
      await viewport.setStack(this.ids, place);
      if (camera) viewport.setCamera(camera);
    } else if (viewport.getCurrentImageIdIndex() !== place) {
      await viewport.setImageIdIndex(place);
    } else {
      viewport.render();
    }
  }

  private enable(): core.StackViewport {
    this.renderer.enableElement({
      viewportId: this.id,
      type: core.Enums.ViewportType.STACK,
      element: this.element,
      defaultOptions: { background: [0, 0, 0] },
    });
    this.viewport = this.renderer.getViewport(this.id) as core.StackViewport;
    return this.viewport;
  }

  /** What the renderer has drawn, by its own account. */
  private rendered(): void {
    if (!this.viewport || !this.alive()) return;
    const drawn = this.drawn();
    if (!drawn) return;
    this.ready = true;
    this.handlers.drawn(drawn);
  }

  drawn(): Drawn | null {
    const id = this.viewport?.getCornerstoneImage()?.imageId;
    const place = id === undefined ? -1 : (this.places.get(uriOf(id)) ?? -1);
    const slot = this.slots[place];
    return slot ? { slot, place } : null;
  }

  // --- window and level -------------------------------------------------------------------

  /** Address of a slot's image as it is to be drawn now. */
  private idOf(slot: Slot): string {
    const data = this.data.get(slot);
    const shaped = this.shape !== null && (data === null || this.shape < shapesOf(data).length);
    return this.data.imageId(slot, shaped ? this.shape : null);
  }

  /** The window with which a series opens: its own. */
  private async firstWindow(slot: Slot): Promise<void> {
    await load(this.data.imageId(slot));
    if (this.window === null) this.take(slot, 0);
  }

  /** The image's own way to grey, by number: its shapes, then its windows, then automatic. */
  private take(slot: Slot, choice: number): void {
    const data = this.data.get(slot) ?? {};
    const shapes = shapesOf(data);
    const shape = shapes[choice];
    this.shape = shape ? choice : null;
    this.window = shape ? { ...lineOf(shape), name: "win.original" } : this.ownWindow(slot, choice - shapes.length);
  }

  private ownWindow(slot: Slot, choice = 0): Window {
    const own = linear(this.data.get(slot) ?? {})[choice];
    if (own) return { ...own, name: "win.original" };
    const id = this.data.imageId(slot);
    const shown = this.viewport?.getCornerstoneImage(); // in no cache any more after a lock
    const image = shown && uriOf(shown.imageId) === uriOf(id) ? shown : core.cache.getImage(id);
    const truth = image && truthIn(image);
    return truth ? automatic(sampled(truth)) : { width: 256, center: 128, name: "win.auto" };
  }

  setWindow(window: Window): void {
    this.window = window;
    this.original = -1;
    const shaped = this.shape !== null;
    this.shape = null;
    if (shaped) return void this.show(this.place); // other pixels lie under a line
    this.applyWindow();
    this.viewport?.render();
  }

  /** The image's own window; again: its next one; after the last: automatic. */
  nextOriginal(): void {
    const drawn = this.drawn();
    if (!drawn) return;
    const data = this.data.get(drawn.slot) ?? {};
    const choice = this.original + 1;
    const before = this.shape;
    this.take(drawn.slot, choice);
    this.original = choice >= shapesOf(data).length + linear(data).length ? -1 : choice;
    if (before !== null || this.shape !== null) return void this.show(this.place);
    this.applyWindow();
    this.viewport?.render();
  }

  currentWindow(): Window | null {
    return this.window;
  }

  private image(): core.Types.IImage | null {
    return this.viewport?.getCornerstoneImage() ?? null;
  }

  private dataDrawn(): DataSet {
    const drawn = this.drawn();
    return (drawn && this.data.get(drawn.slot)) ?? {};
  }

  private exact(): boolean {
    return isExact(this.dataDrawn());
  }

  /** How a window is counted here, and whether low values are white. */
  look(): { exact: boolean; turned: boolean } {
    return { exact: this.exact(), turned: isMonochrome1(this.dataDrawn()) !== this.turned };
  }

  /** The window in the unit of the pixels that the renderer holds. */
  private applyWindow(): void {
    const image = this.image();
    if (!this.viewport || !this.window || !image) return;
    const shape = this.shapeDrawn();
    const { exact, turned } = this.look();
    const { slope, intercept } = lineIn(image);
    const { lower, upper } = shape ? { lower: 0, upper: topOf(shape) } : bounds(this.window, exact);
    const voiRange = { lower: (lower - intercept) / slope, upper: (upper - intercept) / slope };
    this.viewport.setProperties({ voiRange, invert: turned });
  }

  /** Through which shape the image on the screen has gone. */
  shapeDrawn(): Shape | null {
    const image = this.image();
    return image ? shapeIn(image) : null;
  }

  /** Window width and center as the renderer holds them; a table has neither. */
  renderedWindow(): { width: number; center: number } | null {
    const image = this.image();
    const shape = this.shapeDrawn();
    if (shape) return shape.kind === "sigmoid" ? { width: shape.width, center: shape.center } : null;
    const range = this.viewport?.getProperties().voiRange;
    if (!range || !image) return null;
    const { slope, intercept } = lineIn(image);
    return figure(range.lower * slope + intercept, range.upper * slope + intercept, this.exact());
  }

  get inverted(): boolean {
    return (this.viewport?.getProperties().invert === true) !== isMonochrome1(this.dataDrawn());
  }

  invert(): void {
    this.turned = !this.turned;
    this.applyWindow();
    this.viewport?.render();
  }

  // --- place on the screen ----------------------------------------------------------------

  /** What the renderer takes for the image's place; its world is ours only to get to pixels. */
  private frameOfPixels(): { origin: Vector; x: Vector; y: Vector; sx: number; sy: number; edge: number } | null {
    const image = this.viewport?.getImageData();
    if (!image) return null;
    const axis = (from: number): Vector => [0, 1, 2].map((i) => image.direction[from + i] ?? 0) as unknown as Vector;
    return {
      origin: image.origin as unknown as Vector,
      x: axis(0),
      y: axis(3),
      sx: image.spacing[0] ?? 1,
      sy: image.spacing[1] ?? 1,
      // on the processor pixels are counted from their outer corner, on a card from their middle
      edge: withoutGpu() ? 0 : 0.5,
    };
  }

  /** Point of the image (from the outer corner of its first pixel) under a point of the element. */
  toImage(point: Point): Point {
    const frame = this.frameOfPixels();
    const world = frame && this.viewport?.canvasToWorld([...point]);
    if (!frame || !world) return [Number.NaN, Number.NaN];
    const from = minus(world as Vector, frame.origin);
    return [dot(from, frame.x) / frame.sx + frame.edge, dot(from, frame.y) / frame.sy + frame.edge];
  }

  /** Point of the element (CSS pixels) over a point of the image. */
  toCanvas([x, y]: Point): Point {
    const frame = this.frameOfPixels();
    if (!frame || !this.viewport) return [Number.NaN, Number.NaN];
    const place = along(
      along(frame.origin, frame.x, (x - frame.edge) * frame.sx),
      frame.y,
      (y - frame.edge) * frame.sy,
    );
    const [cx, cy] = this.viewport.worldToCanvas([...place] as core.Types.Point3);
    return [cx, cy];
  }

  /** Where the image lies: left, top, right, bottom in CSS pixels of the element. */
  box(): readonly number[] | null {
    const image = this.viewport?.getCornerstoneImage();
    if (!image) return null;
    const [[x0, y0], [x1, y1]] = [this.toCanvas([0, 0]), this.toCanvas([image.columns, image.rows])];
    return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
  }

  /** Device pixels per image pixel along rows, measured on what is drawn; 0 without a picture. */
  scale(): number {
    if (!this.viewport?.getCornerstoneImage()) return 0;
    const [a, b] = [this.toCanvas([0, 0]), this.toCanvas([100, 0])];
    const length = Math.hypot(b[0] - a[0], b[1] - a[1]) * devicePixelRatio;
    return Number.isFinite(length) ? length / 100 : 0;
  }

  /** Millimetres (or pixels, without spacing) per CSS pixel from left to right of the screen. */
  perPixel(): number {
    const drawn = this.drawn();
    const data = drawn && this.data.get(drawn.slot);
    if (!data) return 0;
    const { dx, dy } = spacingOf(data);
    const [a, b] = [this.toImage([0, 0]), this.toImage([100, 0])];
    return Math.hypot((b[0] - a[0]) * dx, (b[1] - a[1]) * dy) / 100;
  }

  /** Image directions of the screen's right and down: for pictures that only Patient Orientation places. */
  turn(): { right: Point; down: Point } {
    const [o, x, y] = [this.toImage([0, 0]), this.toImage([100, 0]), this.toImage([0, 100])];
    return { right: [x[0] - o[0], x[1] - o[1]], down: [y[0] - o[0], y[1] - o[1]] };
  }

  /** Pixel values of the image on the screen, after its Modality LUT. */
  values(): Values | null {
    const image = this.viewport?.getCornerstoneImage();
    return image ? valuesOf(image) : null;
  }

  rotate(): void {
    if (!this.viewport) return;
    const { rotation } = this.viewport.getViewPresentation();
    this.viewport.setViewPresentation({ rotation: ((rotation ?? 0) + 90) % 360 });
    this.viewport.render();
  }

  /** Patient directions of the screen's right and down. */
  axes(): { right: Vector; down: Vector } | null {
    if (!this.viewport || !this.ready) return null;
    const at = (x: number, y: number): Vector => this.viewport?.canvasToWorld([x, y]) as Vector;
    const [o, x, y] = [at(0, 0), at(100, 0), at(0, 100)];
    const minus = (p: Vector): Vector => [p[0] - o[0], p[1] - o[1], p[2] - o[2]];
    return { right: minus(x), down: minus(y) };
  }

  /** Zoom to a scale (device pixels per image pixel), keeping the point under the pointer. */
  zoomTo(scale: number, at?: readonly [number, number]): void {
    const now = this.scale();
    if (!this.viewport || now === 0) return;
    const point = at ?? [this.element.clientWidth / 2, this.element.clientHeight / 2];
    const before = this.viewport.canvasToWorld([...point]);
    const wished = Math.min(64, Math.max(0.02, scale));
    this.viewport.setZoom(this.viewport.getZoom() * (wished / now));
    const after = this.viewport.worldToCanvas(before);
    this.pan(point[0] - after[0], point[1] - after[1]);
  }

  pan(dx: number, dy: number): void {
    if (!this.viewport) return;
    const camera = this.viewport.getCamera();
    const [a, b] = [this.viewport.canvasToWorld([0, 0]), this.viewport.canvasToWorld([dx, dy])];
    const moved = (from: core.Types.Point3 | undefined): core.Types.Point3 =>
      [0, 1, 2].map((i) => (from?.[i] ?? 0) - ((b[i] ?? 0) - (a[i] ?? 0))) as core.Types.Point3;
    this.viewport.setCamera({
      focalPoint: moved(camera.focalPoint),
      position: moved(camera.position),
    });
    this.viewport.render();
  }

  /** One image pixel is one device pixel, on whole device pixels: nothing is interpolated. */
  oneToOne(): void {
    const image = this.viewport?.getCornerstoneImage();
    if (!this.viewport || !image) return;
    this.viewport.resetCamera();
    this.zoomTo(1);
    const odd = (canvas: number, picture: number): number => (Math.round(canvas) + picture) % 2;
    const canvas = this.viewport.canvas;
    const half = 0.5 / devicePixelRatio;
    this.pan(odd(canvas.width, image.columns) * half, odd(canvas.height, image.rows) * half);
  }

  fit(): void {
    this.viewport?.resetCamera();
    this.viewport?.render();
  }

  flip(axis: "flipHorizontal" | "flipVertical"): void {
    if (!this.viewport) return;
    this.viewport.setCamera({ [axis]: !this.viewport.getCamera()[axis] });
    this.viewport.render();
  }

  get flipped(): boolean {
    const camera = this.viewport?.getCamera();
    return camera?.flipHorizontal === true || camera?.flipVertical === true;
  }
}

/** Windows of an image that are lines. */
const linear = (data: DataSet): { width: number; center: number }[] =>
  shapesOf(data).some((shape) => shape.kind === "sigmoid") ? [] : ownWindows(data);
