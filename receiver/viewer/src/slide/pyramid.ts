/**
 * Geometry of a slide's pyramid, without a renderer.
 *
 * Units: *full* pixels are pixels of the largest level; normalised coordinates are fractions of
 * the full width, as the renderer uses them. Level 0 here is the *smallest*, as there.
 */

import type { Slide, SlideLevel } from "../types";

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Level {
  readonly of: SlideLevel;
  /** Full pixels per pixel of this level. */
  readonly downsample: number;
  readonly across: number;
  readonly down: number;
}

export class Pyramid {
  readonly levels: readonly Level[];
  readonly columns: number;
  readonly rows: number;
  /** µm per full pixel; null where nobody has said. */
  readonly spacing: number | null;

  constructor(slide: Slide) {
    const full = [...slide.levels].sort((a, b) => a.columns - b.columns);
    const largest = full.at(-1);
    if (!largest) throw new Error("a slide without a level");
    this.columns = largest.columns;
    this.rows = largest.rows;
    this.spacing = largest.spacing_um;
    this.levels = full.map((level) => ({
      of: level,
      downsample: downsample(largest.columns, level.columns),
      across: Math.ceil(level.columns / level.tile_columns),
      down: Math.ceil(level.rows / level.tile_rows),
    }));
  }

  at(level: number): Level {
    const found = this.levels[level];
    if (!found) throw new RangeError(`level ${level}`);
    return found;
  }

  /** Frame number (0-based) of a tile: rows first, as TILED_FULL orders them (PS3.3 C.7.6.17.3). */
  frame(level: number, x: number, y: number): number {
    return y * this.at(level).across + x;
  }

  /** The part of a tile that is picture, in its own pixels; edge tiles are padded beyond it. */
  picture(level: number, x: number, y: number): Box {
    const { of } = this.at(level);
    return {
      x: 0,
      y: 0,
      width: Math.min(of.tile_columns, of.columns - x * of.tile_columns),
      height: Math.min(of.tile_rows, of.rows - y * of.tile_rows),
    };
  }

  /** Where a tile lies, in full pixels. */
  place(level: number, x: number, y: number): Box {
    const { of, downsample: d } = this.at(level);
    const { width, height } = this.picture(level, x, y);
    return { x: x * of.tile_columns * d, y: y * of.tile_rows * d, width: width * d, height: height * d };
  }

  /**
   * The level that a zoom asks for: the largest whose pixels are at least half a device pixel.
   * The renderer chooses by the same rule (its `minPixelRatio`), so that the hatch is over the
   * very tiles that it would draw.
   */
  wanted(devicePerFull: number): number {
    for (let level = this.levels.length - 1; level > 0; level -= 1) {
      if (devicePerFull * this.at(level).downsample >= LEAST_RATIO) return level;
    }
    return 0;
  }

  /** Tiles of a level that touch a box of full pixels. */
  tiles(level: number, box: Box): { x: number; y: number }[] {
    const { of, downsample: d, across, down } = this.at(level);
    const clamp = (n: number, most: number): number => Math.min(most - 1, Math.max(0, n));
    const [w, h] = [of.tile_columns * d, of.tile_rows * d];
    const outside = box.x >= this.columns || box.y >= this.rows || box.x + box.width <= 0 || box.y + box.height <= 0;
    if (outside) return [];
    const found: { x: number; y: number }[] = [];
    const [right, bottom] = [clamp(Math.ceil((box.x + box.width) / w) - 1, across), clamp(Math.ceil((box.y + box.height) / h) - 1, down)];
    for (let y = clamp(Math.floor(box.y / h), down); y <= bottom; y += 1) {
      for (let x = clamp(Math.floor(box.x / w), across); x <= right; x += 1) found.push({ x, y });
    }
    return found;
  }
}

/** Device pixels per pixel of a level below which a smaller level is drawn. */
export const LEAST_RATIO = 0.5;

/** A level's size is rounded by who made it; where the ratio is a whole number within that, it is one. */
function downsample(full: number, level: number): number {
  const ratio = full / level;
  const whole = Math.round(ratio);
  return Math.abs(full / whole - level) < 1 ? whole : ratio;
}

/** Objective magnification of the eye's habit: Nx shows 10/N µm per device pixel. */
export const micrometres = (magnification: number): number => 10 / magnification;
export const magnification = (umPerDevicePixel: number): number => 10 / umPerDevicePixel;

/** Magnifications of the keys 1 to 7. */
export const STEPS = [1.25, 2.5, 5, 10, 20, 40, 80] as const;
