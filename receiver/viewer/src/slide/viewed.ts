/**
 * What of a slide's tissue has been looked at, and at which magnification.
 *
 * The slide is cut into cells; a cell is seen when its centre was in a field that stood still
 * and was sharp. It keeps the greatest magnification at which that was so.
 */

import type { Turned } from "./turned";

const MOST = 1024; // cells along the longer side: 50 µm of a slide 50 mm wide

export class Viewed {
  readonly across: number;
  readonly down: number;
  /** Full pixels of a cell's side. */
  readonly side: number;
  /** 1 where there is tissue; everywhere, as long as nobody knows better. */
  tissue: Uint8Array;
  /** The tissue was found; else the whole slide stands for it. */
  found = false;
  private readonly seen: Float32Array;
  private changes = 0;

  constructor(columns: number, rows: number) {
    this.side = Math.max(columns, rows) / MOST;
    this.across = Math.max(1, Math.ceil(columns / this.side));
    this.down = Math.max(1, Math.ceil(rows / this.side));
    this.tissue = new Uint8Array(this.across * this.down).fill(1);
    this.seen = new Float32Array(this.across * this.down);
  }

  /** Grows with each change, so that nothing is counted twice. */
  get version(): number {
    return this.changes;
  }

  /** Take where the tissue is; an empty answer is none. */
  find(tissue: Uint8Array): void {
    if (tissue.length !== this.tissue.length || !tissue.some(Boolean)) return;
    this.tissue = tissue;
    this.found = true;
    this.changes += 1;
  }

  /** Note a field that was looked at. */
  note(field: Turned, magnification: number): void {
    const { side, across, down, seen } = this;
    const box = field.box();
    const from = (value: number, most: number): number => Math.min(most, Math.max(0, Math.floor(value / side)));
    let changed = false;
    for (let row = from(box.y, down); row < Math.min(down, Math.ceil((box.y + box.height) / side)); row += 1) {
      for (let column = from(box.x, across); column < Math.min(across, Math.ceil((box.x + box.width) / side)); column += 1) {
        const at = row * across + column;
        if ((seen[at] as number) >= magnification) continue;
        if (!field.holds((column + 0.5) * side, (row + 0.5) * side)) continue;
        seen[at] = magnification;
        changed = true;
      }
    }
    if (changed) this.changes += 1;
  }

  wasSeen(cell: number, magnification: number): boolean {
    return (this.seen[cell] as number) >= magnification * NEARLY;
  }

  private counted = { version: -1, magnification: 0, share: 0 };

  /** Share of the tissue seen at a magnification or more, 0 to 1. */
  share(magnification: number): number {
    const { counted, changes: version } = this;
    if (counted.version !== version || counted.magnification !== magnification) {
      this.counted = { version, magnification, share: this.count(magnification) };
    }
    return this.counted.share;
  }

  private count(magnification: number): number {
    let [all, here] = [0, 0];
    for (let cell = 0; cell < this.tissue.length; cell += 1) {
      if (!this.tissue[cell]) continue;
      all += 1;
      if (this.wasSeen(cell, magnification)) here += 1;
    }
    return all === 0 ? 0 : here / all;
  }
}

/** A step shows the scan's own pixels where those are this near. */
const NEARLY = 0.975;

/**
 * Which cells hold tissue, from a small picture of the whole slide (RGBA): what is not of the
 * glass's colour. Glass is the commonest light grey; cells beside tissue count as well.
 */
export function tissueOf(
  rgba: Uint8ClampedArray,
  size: { readonly width: number; readonly height: number },
  cells: { readonly across: number; readonly down: number },
): Uint8Array {
  const glass = glassOf(rgba);
  const { width, height } = size;
  const { across, down } = cells;
  const raw = new Uint8Array(across * down);
  for (let row = 0; row < down; row += 1) {
    const y = Math.min(height - 1, Math.floor(((row + 0.5) * height) / down));
    for (let column = 0; column < across; column += 1) {
      const at = 4 * (y * width + Math.min(width - 1, Math.floor(((column + 0.5) * width) / across)));
      if ((rgba[at + 3] as number) === 0) continue;
      const [r, g, b] = [rgba[at] as number, rgba[at + 1] as number, rgba[at + 2] as number];
      if (r + g + b < 24) continue; // black is where nothing was scanned
      const off = Math.max(glass[0] - r, glass[1] - g, glass[2] - b);
      const tint = Math.max(r, g, b) - Math.min(r, g, b) - (Math.max(...glass) - Math.min(...glass));
      if (off > 18 || tint > 14) raw[row * across + column] = 1;
    }
  }
  return grown(raw, across, down, Math.max(1, Math.round(across / width)));
}

function glassOf(rgba: Uint8ClampedArray): [number, number, number] {
  const counts = new Map<number, number>();
  for (let at = 0; at < rgba.length; at += 4) {
    const [r, g, b] = [rgba[at] as number, rgba[at + 1] as number, rgba[at + 2] as number];
    if (rgba[at + 3] === 0 || Math.min(r, g, b) < 176 || Math.max(r, g, b) - Math.min(r, g, b) > 30) continue;
    const bin = ((r >> 2) << 12) | ((g >> 2) << 6) | (b >> 2);
    counts.set(bin, (counts.get(bin) ?? 0) + 1);
  }
  let [best, most] = [(60 << 12) | (60 << 6) | 60, 0];
  for (const [bin, count] of counts) if (count > most) [best, most] = [bin, count];
  return [(best >> 12) * 4 + 2, ((best >> 6) & 63) * 4 + 2, (best & 63) * 4 + 2];
}

function grown(raw: Uint8Array, across: number, down: number, by: number): Uint8Array {
  const pass = (from: Uint8Array, step: number, length: number, stride: number, lines: number): Uint8Array => {
    const out = new Uint8Array(from.length);
    for (let line = 0; line < lines; line += 1) {
      for (let i = 0; i < length; i += 1) {
        if (!from[line * stride + i * step]) continue;
        for (let j = Math.max(0, i - by); j <= Math.min(length - 1, i + by); j += 1) out[line * stride + j * step] = 1;
      }
    }
    return out;
  };
  return pass(pass(raw, 1, across, across, down), across, down, 1, across);
}
