/**
 * One series in one viewport.
 *
 * A stack belongs to one reading context and one series and is never given another: a fresh
 * element and viewport each time, so that an image of the series before, coming late, has
 * nothing left to be drawn on.
 */

import * as core from "@cornerstonejs/core";
import { isCurrent, type ReadingContext } from "../context";
import { isExact, ownWindows } from "./dataset";
import { load, withoutGpu } from "./engine";
import { along, dot, minus, type Point, type Vector } from "./geometry";
import type { Values } from "./marks";
import { automatic, bounds, figure, type Window } from "./presets";
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
  private token = 0;
  private window: Window | null = null;
  private original = 0;
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
    this.element.className = "viewport";
    this.element.addEventListener(core.Enums.Events.IMAGE_RENDERED, () => this.rendered());
    this.element.addEventListener(core.Enums.Events.STACK_NEW_IMAGE, () =>
      // the image is set in this task and drawn in the next frame: between them its window
      queueMicrotask(() => this.applyWindow()),
    );
  }

  close(): void {
    this.over = true;
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
  }

  /** Ask for a place. The picture on the screen stays, with its own text, until this one is here. */
  async show(place: number): Promise<void> {
    const slot = this.slots[place];
    if (!slot || !this.alive()) return;
    this.place = place;
    const token = (this.token += 1);
    this.handlers.asked(place);
    if (!slot.here) return;
    try {
      await this.data.need(slot);
      this.data.register(slot);
      const id = this.data.imageId(slot);
      await load(id);
      if (this.alive() && token === this.token) await this.draw(slot, id);
    } catch (error) {
      if (this.alive() && token === this.token) this.handlers.failed(place, error);
    }
  }

  private async draw(slot: Slot, id: string): Promise<void> {
    if (this.window === null) this.window = this.ownWindow(slot, id);
    const viewport = this.viewport ?? this.enable();
    const ids = this.slots.map((one) => this.data.imageId(one));
    const place = ids.indexOf(id);
    if (ids.length !== this.ids.length || this.ids[place] !== id) {
      const camera = this.ready ? viewport.getCamera() : null;
      this.ids = ids;
      await viewport.setStack(ids, place);
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
    const place = id === undefined ? -1 : this.slots.findIndex((slot) => this.data.imageId(slot) === id);
    const slot = this.slots[place];
    return slot ? { slot, place } : null;
  }

  // --- window and level -------------------------------------------------------------------

  private ownWindow(slot: Slot, id: string, choice = 0): Window {
    const own = ownWindows(this.data.get(slot) ?? {})[choice];
    if (own) return { ...own, name: "win.original" };
    const shown = this.viewport?.getCornerstoneImage(); // in no cache any more after a lock
    const pixels = (shown?.imageId === id ? shown : core.cache.getImage(id))?.getPixelData();
    return pixels ? automatic(pixels) : { width: 400, center: 40, name: "win.auto" };
  }

  setWindow(window: Window): void {
    this.window = window;
    this.original = -1;
    this.applyWindow();
    this.viewport?.render();
  }

  /** The image's own window; again: its next one; after the last: automatic. */
  nextOriginal(): void {
    const drawn = this.drawn();
    if (!drawn) return;
    this.original += 1;
    const own = ownWindows(this.data.get(drawn.slot) ?? {});
    const past = this.original >= own.length;
    const choice = this.original;
    this.setWindow(this.ownWindow(drawn.slot, this.data.imageId(drawn.slot), choice));
    this.original = past ? -1 : choice;
  }

  currentWindow(): Window | null {
    return this.window;
  }

  private exact(): boolean {
    const drawn = this.drawn();
    return drawn !== null && isExact(this.data.get(drawn.slot) ?? {});
  }

  private applyWindow(): void {
    if (!this.viewport || !this.window) return;
    this.viewport.setProperties({ voiRange: bounds(this.window, this.exact()) });
  }

  /** Window width and center as the renderer holds them. */
  renderedWindow(): { width: number; center: number } | null {
    const range = this.viewport?.getProperties().voiRange;
    return range ? figure(range.lower, range.upper, this.exact()) : null;
  }

  get inverted(): boolean {
    return this.viewport?.getProperties().invert === true;
  }

  invert(): void {
    this.viewport?.setProperties({ invert: !this.inverted });
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
