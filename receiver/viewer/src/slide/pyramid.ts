/**
 * Geometry of a slide's pyramid, without a renderer.
 *
 * Units: *full* pixels are pixels of the largest level; normalised coordinates are fractions of
 * the full width, as the renderer uses them. Level 0 here is the *smallest*, as there.
 */

import type { Part, Slide, SlideLevel } from "../types";

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A frame of an instance, 0-based. */
export interface Frame {
  readonly sop: string;
  readonly number: number;
}

export interface Level {
  readonly of: SlideLevel;
  /** Frames by place, row by row; null where they are in that order (TILED_FULL, one instance). */
  readonly frames: ReadonlyMap<number, readonly Frame[]> | null;
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
  /** Focal planes of the largest level. */
  readonly planes: number;
  /** The focal plane that is shown, from 0. */
  plane: number;

  constructor(slide: Slide) {
    const full = [...slide.levels].sort((a, b) => a.columns - b.columns);
    const largest = full.at(-1);
    if (!largest) throw new Error("a slide without a level");
    this.columns = largest.columns;
    this.rows = largest.rows;
    this.spacing = largest.spacing_um;
    this.planes = Math.max(1, largest.planes ?? 1);
    this.plane = this.planes >> 1;
    this.levels = full.map((level) => ({
      of: level,
      frames: level.parts ? placed(level.parts) : null,
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

  /**
   * The frame of a tile: rows first, as TILED_FULL orders them (PS3.3 C.7.6.17.3), or where the
   * instances say; null where the scanner made no tile (TILED_SPARSE).
   */
  frame(level: number, x: number, y: number): Frame | null {
    const { of, across, down, frames } = this.at(level);
    const place = y * across + x;
    if (frames) {
      const here = frames.get(place);
      return here?.[Math.min(this.plane, here.length - 1)] ?? null;
    }
    // all of one focal plane, then all of the next; a level of fewer planes has its last one
    const plane = Math.min(this.plane, Math.max(1, of.planes ?? 1) - 1);
    return { sop: of.sop_uid, number: plane * across * down + place };
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

/** Of several frames at one place each is a focal plane, in their order. */
function placed(parts: readonly Part[]): Map<number, Frame[]> {
  const found = new Map<number, Frame[]>();
  for (const { sop_uid: sop, frames, first, places } of parts) {
    const where = places === null ? null : numbers(places);
    for (let number = 0; number < frames; number += 1) {
      const place = where ? where[number] : first + number;
      if (place === undefined) continue;
      const here = found.get(place);
      if (here) here.push({ sop, number });
      else found.set(place, [{ sop, number }]);
    }
  }
  return found;
}

function numbers(base64: string): Uint32Array {
  const binary = atob(base64);
  const view = new DataView(Uint8Array.from(binary, (letter) => letter.charCodeAt(0)).buffer);
  return Uint32Array.from({ length: binary.length >> 2 }, (_, i) => view.getUint32(4 * i, true));
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
