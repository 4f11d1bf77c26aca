/**
 * The hatch over regions that have not arrived.
 *
 * It lies above the picture in the screen's own pixels and covers what is below: at each zoom,
 * where the level that this zoom asks for is not here, nothing else is shown in its place.
 * White is glass; a region that is not here is never white.
 */

import { say } from "../words";
import type { Coverage, Why } from "./coverage";
import type { Box, Pyramid } from "./pyramid";
import { Turned } from "./turned";

export const GROUND = "#3a3a3a";
export const STROKE = "#5c5c5c";
const PERIOD = 16; // CSS pixels between strokes

/** How the slide lies on the screen: CSS pixels of the full pixel (0, 0), and per full pixel. */
export interface Lie {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
  readonly width: number;
  readonly height: number;
  /** Degrees clockwise about the middle of the view; all else is as before the turn. */
  readonly turn: number;
}

/** A tile in view that is not shown, and why; its box in CSS pixels of the screen. */
export interface Gap {
  readonly box: Box;
  readonly x: number;
  readonly y: number;
  readonly why: Why;
}

const WORDS = { missing: "missing", damaged: "tile.damaged", undecodable: "tile.undecodable" } as const;

/** Tiles in view that are not shown; where the scanner made no tile, none is missing. */
export function missing(
  pyramid: Pyramid,
  coverage: Coverage,
  level: number,
  lie: Lie,
): Gap[] {
  const middle = [(lie.width / 2 - lie.x) / lie.scale, (lie.height / 2 - lie.y) / lie.scale] as const;
  const view = new Turned(...middle, lie.width / lie.scale, lie.height / lie.scale, lie.turn).box();
  return pyramid
    .tiles(level, view)
    .flatMap(({ x, y }) => {
      const frame = pyramid.frame(level, x, y);
      if (frame === null || coverage.holds(frame)) return [];
      const place = pyramid.place(level, x, y);
      const box = {
        x: lie.x + place.x * lie.scale,
        y: lie.y + place.y * lie.scale,
        width: place.width * lie.scale,
        height: place.height * lie.scale,
      };
      return [{ box, x, y, why: coverage.why(frame.sop, frame.number) }];
    });
}

export class Hatch {
  readonly canvas = document.createElement("canvas");
  private readonly context = this.canvas.getContext("2d") as CanvasRenderingContext2D;
  private pattern: CanvasPattern | null = null;
  private patternRatio = 0;
  private empty = true;
  private drawn = "";

  constructor(name = "hatch") {
    this.canvas.className = name;
    this.canvas.setAttribute("aria-hidden", "true");
  }

  /** Draw boxes (CSS pixels). Words are written where there is room for them. */
  draw(gaps: readonly Gap[], width: number, height: number, anchor: Lie, words: boolean): void {
    const ratio = devicePixelRatio;
    const as = JSON.stringify([gaps, width, height, anchor, ratio, say("missing")]);
    if (as === this.drawn) return; // to paint the same again costs a frame
    this.drawn = as;
    const size = [Math.round(width * ratio), Math.round(height * ratio)] as const;
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) {
      [this.canvas.width, this.canvas.height] = size; // takes all off it
      this.empty = true;
    }
    // as large as the picture: to wipe what is clean at each one costs as much as a picture
    if (gaps.length === 0 && this.empty) return;
    this.empty = gaps.length === 0;
    const { context } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, ...size);
    if (gaps.length === 0) return;
    const pattern = this.strokes(ratio);
    // strokes move with the slide, so that panning does not make them swim
    pattern.setTransform(new DOMMatrix([1, 0, 0, 1, Math.round(anchor.x * ratio), Math.round(anchor.y * ratio)]));
    context.fillStyle = pattern;
    if (anchor.turn % 360 !== 0) {
      const [cx, cy] = [(width * ratio) / 2, (height * ratio) / 2];
      context.translate(cx, cy);
      context.rotate((anchor.turn * Math.PI) / 180);
      context.translate(-cx, -cy);
    }
    for (const { x, y, width: w, height: h } of gaps.map(({ box }) => box)) {
      const [left, top] = [Math.floor(x * ratio), Math.floor(y * ratio)];
      context.fillRect(left, top, Math.ceil((x + w) * ratio) - left, Math.ceil((y + h) * ratio) - top);
    }
    if (words) this.write(gaps, ratio);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }

  private strokes(ratio: number): CanvasPattern {
    if (this.pattern && this.patternRatio === ratio) return this.pattern;
    const side = Math.round(PERIOD * ratio);
    const tile = new OffscreenCanvas(side, side);
    const context = tile.getContext("2d") as OffscreenCanvasRenderingContext2D;
    context.fillStyle = GROUND;
    context.fillRect(0, 0, side, side);
    context.fillStyle = STROKE;
    // whole pixels only: no third colour between ground and stroke
    const thick = Math.max(1, Math.round(side / 4));
    for (let y = 0; y < side; y += 1) {
      for (let i = 0; i < thick; i += 1) context.fillRect((side - y + i) % side, y, 1, 1);
    }
    this.patternRatio = ratio;
    this.pattern = this.context.createPattern(tile, "repeat") as CanvasPattern;
    return this.pattern;
  }

  private write(gaps: readonly Gap[], ratio: number): void {
    const { context } = this;
    context.font = `${13 * ratio}px "BIZ UDPGothic","Yu Gothic UI","Noto Sans CJK JP",sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const { box, why } of gaps) {
      const { x, y, width, height } = box;
      if (width < 90 || height < 40) continue;
      const text = say(WORDS[why]);
      const [cx, cy] = [(x + width / 2) * ratio, (y + height / 2) * ratio];
      context.fillStyle = why === "missing" ? GROUND : "#d9d9d9"; // what is wrong is inverse
      const half = context.measureText(text).width / 2 + 6 * ratio;
      context.fillRect(Math.round(cx - half), Math.round(cy - 11 * ratio), Math.round(2 * half), Math.round(22 * ratio));
      context.fillStyle = why === "missing" ? "#d9d9d9" : "#1c1c1c";
      context.fillText(text, cx, cy);
    }
  }
}
