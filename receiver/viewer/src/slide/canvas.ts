/** One slide on the screen: OpenSeadragon below, the hatch of what is missing above. */

import OpenSeadragon from "openseadragon";
import { isCurrent, type ReadingContext } from "../context";
import { Asking, type Place } from "./asking";
import { line } from "../line";
import { Coverage } from "./coverage";
import { Hatch, missing, type Gap, type Lie } from "./hatch";
import { micrometres, Pyramid } from "./pyramid";
import { isNear } from "./near";
import type { Pose } from "./step";
import { Turned } from "./turned";
import type { Lut } from "./lut";
import { forbidStyle, lookAgain, settings, tilesOf, type Dragged, type Scrolled, type TileMatrix } from "./renderer";
import { LEFT, SlideSource } from "./tile_source";

const REST_MS = 60; // after which the view stands still
const OVERVIEW_TILES = 4000;
/** A magnification this near to the scan's own shows the scan's own pixels, unscaled. */
const NEARLY_FULL = 0.02;

/** The part of the slide in view, as fractions of the slide's width. */
export type Field = readonly [x: number, y: number, width: number, height: number];

interface Options {
  readonly context: ReadingContext;
  readonly pyramid: Pyramid;
  readonly coverage: Coverage;
  readonly address: (sop: string, frame: number) => string;
  readonly area: HTMLElement;
  readonly overview: HTMLElement;
  /** Where to begin; the whole slide without it. */
  readonly field: Field | null;
  /** The view has moved, or something in it has changed. */
  readonly changed: () => void;
  /** Frames that were missing have been served: coverage has grown unheard. */
  readonly grown: () => void;
  /** What the scanner's colours are here; null where, or as long as, they are as scanned. */
  readonly colours: () => Lut | null;
  /** A wheel with Shift: to another focal plane. */
  readonly focus: (by: 1 | -1) => void;
  /** A hand is on this slide. */
  readonly touched: () => void;
}

export class SlideCanvas {
  private readonly viewer: OpenSeadragon.Viewer;
  private readonly hatch = new Hatch();
  private readonly overviewHatch = new Hatch("hatch overview-hatch");
  private readonly asking: Asking;
  private readonly refusals: [sop: string, frame: number, why: "damaged" | "undecodable"][] = [];
  private coverage: Coverage;
  private restedAt = -REST_MS;
  private exact = false;
  private resting = 0;
  private looking = 0;
  private over = false;
  private readonly yielding: () => void;
  /** The view has moved, and nobody has looked yet which tiles that takes. */
  private stale = true;

  constructor(private readonly options: Options) {
    forbidStyle();
    this.coverage = options.coverage;
    this.asking = new Asking(options.context, options.address, (frames) => this.came(frames));
    const source = new SlideSource({
      context: options.context,
      pyramid: options.pyramid,
      coverage: () => this.coverage,
      address: options.address,
      colours: options.colours,
      brought: (address) => this.asking.take(address),
      refused: (sop, frame, why) => {
        this.refusals.push([sop, frame, why]);
        this.coverage.refuse(sop, frame, why);
        this.draw();
      },
    });
    this.viewer = OpenSeadragon(settings(options.area, options.overview, source));
    options.area.append(this.hatch.canvas);
    this.viewer.addHandler("canvas-key", (event) => (event.preventDefaultAction = true));
    this.viewer.addHandler("canvas-drag", (event) => {
      const dragged = event as unknown as Dragged;
      if (dragged.originalEvent.altKey) dragged.preventDefaultAction = true;
      this.turnBy(dragged);
    });
    this.viewer.addHandler("canvas-scroll", (event) => this.scrolled(event as unknown as Scrolled));
    this.viewer.addHandler("canvas-press", () => options.touched());
    this.viewer.addHandler("open", () => this.opened());
    this.viewer.addHandler("update-viewport", () => {
      this.stale = false;
      this.draw();
    });
    this.viewer.addHandler("animation-finish", () => this.rest());
    this.viewer.addHandler("tile-load-failed", (event) => this.failed(event.tile, event.message === LEFT));
    // tiles of the overview are few, and of the whole
    const wanted = (tile: OpenSeadragon.Tile): boolean =>
      tile.tiledImage !== this.image() || isNear(this.viewer.viewport, tile, this.level());
    this.yielding = line.onLong(() => this.ready && source.leave(wanted));
  }

  close(): void {
    this.over = true;
    this.yielding();
    window.clearTimeout(this.resting);
    this.viewer.destroy();
    this.hatch.canvas.remove();
    this.overviewHatch.canvas.remove();
  }

  private image(): OpenSeadragon.TiledImage | null {
    return this.viewer.world?.getItemAt(0) ?? null;
  }

  private opened(): void {
    // tiles are drawn a pixel too large to hide seams, except where pixels fall on pixels
    const { drawer } = this.viewer as unknown as { drawer: { minimumOverlapRequired: () => boolean } };
    drawer.minimumOverlapRequired = () => !this.exact;
    this.options.overview.append(this.overviewHatch.canvas);
    const { field } = this.options;
    if (field) this.viewer.viewport.fitBounds(new OpenSeadragon.Rect(...field), true);
    else this.viewer.viewport.goHome(true);
    this.rest();
  }

  field(): Field | null {
    if (!this.ready) return null;
    const { x, y, width, height } = this.viewer.viewport.getBoundsNoRotate(true);
    return [x, y, width, height];
  }

  // --- where we are -----------------------------------------------------------------------

  get ready(): boolean {
    return this.image() !== null;
  }

  /** CSS pixels per full pixel. */
  private scale(): number {
    const zoom = this.viewer.viewport.getZoom(true);
    return this.viewer.viewport.viewportToImageZoom(zoom);
  }

  /** Device pixels per full pixel. */
  devicePerFull(): number {
    return this.image() ? this.scale() * devicePixelRatio : 0;
  }

  /** µm per device pixel; null where the slide's pixel size is not known. */
  umPerDevicePixel(): number | null {
    const { spacing } = this.options.pyramid;
    const scale = this.devicePerFull();
    return spacing === null || scale === 0 ? null : spacing / scale;
  }

  lie(): Lie {
    const { viewport } = this.viewer;
    const origin = viewport.pixelFromPointNoRotate(new OpenSeadragon.Point(0, 0), true);
    const size = viewport.getContainerSize();
    const turn = viewport.getRotation(true);
    return { x: origin.x, y: origin.y, scale: this.scale(), width: size.x, height: size.y, turn };
  }

  /** The field in full pixels. */
  turned(): Turned {
    const { viewport } = this.viewer;
    const centre = viewport.viewportToImageCoordinates(viewport.getCenter(true));
    const { scale, width, height, turn } = this.lie();
    return new Turned(centre.x, centre.y, width / scale, height / scale, turn);
  }

  /** Where this looks; null where pixels have no size. */
  pose(): Pose | null {
    const { spacing } = this.options.pyramid;
    const um = this.umPerDevicePixel();
    if (um === null || spacing === null) return null;
    const { x, y, degrees } = this.turned();
    return { x: x * spacing, y: y * spacing, um, turn: degrees };
  }

  /** Look there. */
  take(pose: Pose): void {
    const { spacing } = this.options.pyramid;
    if (spacing === null || !this.ready) return;
    const { viewport } = this.viewer;
    viewport.rotateTo(pose.turn, undefined, true);
    viewport.zoomTo(viewport.imageToViewportZoom(spacing / pose.um / devicePixelRatio), undefined, true);
    viewport.panTo(viewport.imageToViewportCoordinates(new OpenSeadragon.Point(pose.x / spacing, pose.y / spacing)), true);
    this.rest();
  }

  /** Full pixels under a place of this view in CSS pixels; the middle without one. */
  under(place: { readonly x: number; readonly y: number } | null): [number, number] {
    const { scale, width, height } = this.lie();
    if (!place) return this.turned().onSlide(0, 0);
    return this.turned().onSlide((place.x - width / 2) / scale, (place.y - height / 2) / scale);
  }

  /** CSS pixels of this view of a full pixel. */
  above(x: number, y: number): [number, number] {
    const { scale, width, height } = this.lie();
    const [right, down] = this.turned().onScreen(x, y);
    return [width / 2 + right * scale, height / 2 + down * scale];
  }

  level(): number {
    return this.options.pyramid.wanted(this.devicePerFull());
  }

  /** True where this zoom shows a level that the receiver made. */
  get derived(): boolean {
    return this.options.pyramid.at(this.level()).of.derived !== undefined;
  }

  /** True when all that is here and in view is drawn at its own level. */
  get settled(): boolean {
    return !this.stale && (this.image()?.getFullyLoaded() ?? false);
  }

  get missingInView(): number {
    return this.gaps().length;
  }

  /** True while something in view was asked for a moment ago. */
  get waiting(): boolean {
    return this.asking.recently && this.gaps().some(({ why }) => why === "missing");
  }

  /** What is painted: the tiles, and above them the hatch of what is not shown. */
  layers(): HTMLCanvasElement[] {
    return [this.viewer.drawer.canvas as HTMLCanvasElement, this.hatch.canvas];
  }

  /** Tiles in view that are not shown. */
  gaps(): Gap[] {
    return this.ready ? missing(this.options.pyramid, this.coverage, this.level(), this.lie()) : [];
  }

  // --- moving -----------------------------------------------------------------------------

  whole(): void {
    this.viewer.viewport.goHome(true);
    this.rest();
  }

  magnify(times: number): void {
    const { spacing } = this.options.pyramid;
    const scale = spacing === null ? 1 : spacing / micrometres(times);
    this.zoomTo(Math.abs(scale - 1) < NEARLY_FULL ? 1 : scale);
  }

  /** Zoom to a scale in device pixels per full pixel, about the centre of the view. */
  zoomTo(devicePerFull: number): void {
    const { viewport } = this.viewer;
    viewport.zoomTo(viewport.imageToViewportZoom(devicePerFull / devicePixelRatio), undefined, true);
    viewport.applyConstraints(true);
    this.rest();
  }

  zoomBy(factor: number): void {
    this.viewer.viewport.zoomBy(factor, undefined, true);
    this.viewer.viewport.applyConstraints(true);
    this.rest();
  }

  /** Move by shares of the field. */
  pan(x: number, y: number): void {
    const { viewport } = this.viewer;
    const { x: width, y: height } = viewport.getContainerSize();
    viewport.panBy(viewport.deltaPointsFromPixels(new OpenSeadragon.Point(x * width, y * height), true), true);
    viewport.applyConstraints(true);
    this.rest();
  }

  /** Put a full pixel into the middle of the view. */
  goTo(x: number, y: number): void {
    const { viewport } = this.viewer;
    viewport.panTo(viewport.imageToViewportCoordinates(new OpenSeadragon.Point(x, y)), true);
    this.rest();
  }

  /** Turn about the middle of the view, clockwise. */
  rotate(degrees: number): void {
    const { viewport } = this.viewer;
    const turn = viewport.getRotation(true) + degrees;
    viewport.rotateTo(((turn % 360) + 360) % 360, undefined, true);
    this.rest();
  }

  /** Show another focal plane in the same field. */
  refocus(plane: number): void {
    this.options.pyramid.plane = plane;
    this.anew();
  }

  /** Draw each tile anew: it is another frame now, or has other colours. */
  anew(): void {
    if (!this.ready) return;
    // its tiles know their frames by name, and keep them over a reset: others are made
    const image = this.image() as unknown as TileMatrix | null;
    if (image) image.tilesMatrix = {};
    this.viewer.world.resetItems();
    const small = this.viewer.navigator?.world.getItemAt(0) as unknown as (TileMatrix & { reset: () => void }) | undefined;
    if (small) {
      small.tilesMatrix = {};
      small.reset();
    }
    this.viewer.forceRedraw();
    this.rest();
  }

  private turnBy({ originalEvent, delta, position }: Dragged): void {
    if (!originalEvent.altKey) return;
    const { width, height } = this.lie();
    const angle = (x: number, y: number): number => Math.atan2(y - height / 2, x - width / 2);
    const by = angle(position.x, position.y) - angle(position.x - delta.x, position.y - delta.y);
    this.rotate((Math.atan2(Math.sin(by), Math.cos(by)) * 180) / Math.PI);
  }

  private scrolled(event: Scrolled): void {
    this.options.touched();
    if (!event.originalEvent.shiftKey) return;
    event.preventDefaultAction = true;
    event.preventDefault = true;
    this.options.focus(event.scroll > 0 ? 1 : -1);
  }

  resize(): void {
    this.viewer.forceRedraw();
  }

  /** The view stands still: put pixels on pixels where that is possible, ask for what is missing. */
  private rest(): void {
    if (this.over || !this.ready) return;
    this.stale = true;
    this.viewer.forceRedraw();
    this.snap();
    window.clearTimeout(this.resting);
    this.resting = window.setTimeout(() => this.ask(), REST_MS);
    const now = performance.now();
    if (now - this.restedAt > REST_MS) this.ask(); // a jump; while it moves on, when it stands
    this.restedAt = now;
    this.draw();
  }

  private snap(): void {
    const { downsample } = this.options.pyramid.at(this.level());
    const upright = this.viewer.viewport.getRotation(true) % 360 === 0;
    this.exact = upright && Math.abs(this.devicePerFull() * downsample - 1) < 1e-6;
    this.viewer.drawer.setImageSmoothingEnabled(!this.exact);
    if (!this.exact) return;
    const { x, y } = this.lie();
    const whole = (n: number): number => Math.round(n * devicePixelRatio) / devicePixelRatio;
    const off = new OpenSeadragon.Point(x - whole(x), y - whole(y));
    if (Math.hypot(off.x, off.y) < 1e-6) return;
    this.viewer.viewport.panBy(this.viewer.viewport.deltaPointsFromPixels(off, true), true);
  }

  // --- what is here -----------------------------------------------------------------------

  /** Take the present coverage: tiles that have come are loaded, those that failed tried again. */
  cover(coverage: Coverage): void {
    this.coverage = coverage;
    // what could not be decoded never can; what was damaged is judged by the receiver
    for (const [sop, frame, why] of this.refusals) if (why === "undecodable") coverage.refuse(sop, frame, why);
    for (const image of [this.image(), this.viewer.navigator?.world.getItemAt(0) ?? null]) {
      if (!image) continue;
      const come = [...tilesOf(image)].filter((tile) => !tile.exists && this.here(tile));
      for (const tile of come) tile.exists = true;
      if (come.length > 0) lookAgain(image);
    }
    this.viewer.forceRedraw();
    this.draw();
  }

  /** A tile could not be had though it is here: again in a while, or when the view is back (the library never would). */
  private failed(tile: OpenSeadragon.Tile, left: boolean): void {
    window.setTimeout(() => {
      if (this.over || !isCurrent(this.options.context)) return;
      tile.exists = this.here(tile);
      if (tile.exists) this.lookSoon();
    }, left ? 0 : 2000);
  }

  /** Once for all tiles of this task. */
  private lookSoon(): void {
    window.clearTimeout(this.looking);
    this.looking = window.setTimeout(() => {
      const image = this.over ? null : this.image();
      if (image) lookAgain(image);
    });
  }

  private here(tile: OpenSeadragon.Tile): boolean {
    const { pyramid } = this.options;
    return this.coverage.holds(pyramid.frame(tile.level, tile.x, tile.y));
  }

  /** Ask for what is missing in view. */
  private ask(): void {
    if (this.over || !this.ready) return;
    const { pyramid } = this.options;
    const level = this.level();
    if (pyramid.at(level).of.derived !== undefined) return; // made here: it comes whole
    const gone = this.gaps().filter(({ why }) => why === "missing");
    this.asking.ask(gone.flatMap(({ x, y }) => pyramid.frame(level, x, y) ?? []));
  }

  /** Frames that were asked for are here. */
  private came(frames: readonly Place[]): void {
    if (this.over) return;
    if (frames.length === 0) return this.options.grown();
    for (const { sop, number } of frames) this.coverage.hold(sop, number);
    if (!frames.every(({ sop, number }) => this.coverage.has(sop, number))) this.options.grown(); // of a level just laid out
    this.cover(this.coverage);
  }

  private draw(): void {
    if (this.over || !this.ready) return;
    const lie = this.lie();
    this.hatch.draw(this.gaps(), lie.width, lie.height, lie, true);
    this.drawOverview();
    this.options.changed();
  }

  private drawOverview(): void {
    const { pyramid, overview } = this.options;
    const [width, height] = [overview.clientWidth, overview.clientHeight];
    const scale = Math.min(width / pyramid.columns, height / pyramid.rows);
    const lie = {
      scale,
      width,
      height,
      x: (width - pyramid.columns * scale) / 2,
      y: (height - pyramid.rows * scale) / 2,
      turn: 0,
    };
    let level = pyramid.levels.length - 1;
    while (level > 0 && pyramid.at(level).across * pyramid.at(level).down > OVERVIEW_TILES) level -= 1;
    const gone = missing(pyramid, this.coverage, level, lie);
    this.overviewHatch.draw(gone, width, height, lie, false);
  }
}
