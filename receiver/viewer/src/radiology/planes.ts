/**
 * Overlay planes (PS3.3 C.9.2): bits of groups 60xx over the picture they came with.
 *
 * A plane is drawn in the same task as its picture and moves with it; bits that are not here yet
 * are said to be missing, and no plane of another image stays meanwhile.
 */

import { number, numbers, text, type DataSet } from "./dataset";
import { h } from "../dom";
import type { Ground } from "./marks_layer";

/** Groups are even, 6000 to 601E (PS3.5 7.6); an overlay has rows. */
const ROWS = /^(60[01][02468ACE])0010$/i;
const MOST_PIXELS = 1 << 25; // of one plane: an eighth of that in bytes
const COLOUR = [0x6f, 0xd3, 0xff] as const; // no grey of any picture

export interface Plane {
  readonly group: string;
  readonly rows: number;
  readonly columns: number;
  /** Outer corner of its first pixel, in pixels of the image from its own. */
  readonly left: number;
  readonly top: number;
  /** Which of its frames lies over this one of the image, from 0. */
  readonly frame: number;
  readonly label: string;
}

/** What an image's overlays are, for one of its frames (from 1). */
export interface Planes {
  readonly drawn: readonly Plane[];
  /** Planes in unused bits of the pixels (retired, PS3.5 8.1.2): they are not drawn here. */
  readonly embedded: number;
}

export function planesOf(data: DataSet, frame: number): Planes {
  const drawn: Plane[] = [];
  let embedded = 0;
  for (const tag of Object.keys(data).sort()) {
    const group = ROWS.exec(tag)?.[1];
    if (group === undefined) continue;
    if ((number(data, `${group}0100`) ?? 1) !== 1 || data[`${group}3000`] === undefined) {
      embedded += 1;
      continue;
    }
    const at = frameOf(data, group, frame);
    if (at === null) continue;
    const [top = 1, left = 1] = numbers(data, `${group}0050`) ?? []; // row and column, from 1
    drawn.push({
      group,
      rows: number(data, `${group}0010`) ?? 0,
      columns: number(data, `${group}0011`) ?? 0,
      left: left - 1,
      top: top - 1,
      frame: at,
      label: text(data, `${group}1500`) || text(data, `${group}0022`),
    });
  }
  return { drawn, embedded };
}

/** An overlay that says nothing of frames lies over all of them; others from their origin on. */
function frameOf(data: DataSet, group: string, frame: number): number | null {
  const count = number(data, `${group}0015`);
  const first = number(data, `${group}0051`);
  if (count === null && first === null) return 0;
  const at = frame - (first ?? 1);
  return at >= 0 && at < (count ?? 1) ? at : null;
}

/** Pixels of a plane's frame, one byte each; null where there are fewer bits than it says. */
export function pixelsOf({ rows, columns, frame }: Plane, bits: Uint8Array): Uint8Array | null {
  const count = rows * columns;
  const from = frame * count; // frames follow one another without a gap
  if (!(count > 0) || count > MOST_PIXELS || from + count > 8 * bits.length) return null;
  return Uint8Array.from({ length: count }, (_, i) => ((bits[(from + i) >> 3] as number) >> ((from + i) & 7)) & 1);
}

/** What the corner says of an image's overlays. */
export type PlanesState = "none" | "on" | "off" | "waiting" | "bad";

/** Where the bits of a plane come from. */
export interface BitSource {
  bits(sop: string, data: DataSet, tag: string): Promise<Uint8Array>;
}

export class PlanesLayer {
  readonly element = h("div", { class: "planes", "data-role": "overlay-planes" });
  state: PlanesState = "none";
  private image = "";
  private readonly known = new Map<string, HTMLCanvasElement | "waiting" | "bad">();

  /** `came` is told when bits have come that were waited for. */
  constructor(private readonly came: () => void) {}

  /** Draw the planes of what is on the screen; null takes them away. */
  draw(ground: Ground | null, source: BitSource | null, on: boolean): void {
    const image = ground ? `${ground.sop}/${ground.frame}` : "";
    if (image !== this.image) this.known.clear();
    this.image = image;
    const planes = ground ? planesOf(ground.data, ground.frame).drawn : [];
    this.state = planes.length === 0 ? "none" : on ? "on" : "off";
    const canvases: HTMLCanvasElement[] = [];
    for (const plane of on && ground && source ? planes : []) {
      const found = this.known.get(plane.group) ?? this.begin(plane, ground as Ground, source as BitSource);
      if (found instanceof HTMLCanvasElement) {
        place(found, plane, ground as Ground);
        canvases.push(found);
      } else if (this.state !== "bad") this.state = found;
    }
    this.element.replaceChildren(...canvases);
  }

  private begin(plane: Plane, ground: Ground, source: BitSource): "waiting" {
    const { image } = this;
    const settle = (found: HTMLCanvasElement | "bad"): void => {
      if (this.image !== image) return; // the reader is at another picture
      this.known.set(plane.group, found);
      this.came();
    };
    this.known.set(plane.group, "waiting");
    source.bits(ground.sop, ground.data, `${plane.group}3000`).then(
      (bits) => settle(painted(plane, bits) ?? "bad"),
      () => settle("bad"),
    );
    return "waiting";
  }
}

function painted(plane: Plane, bits: Uint8Array): HTMLCanvasElement | null {
  const pixels = pixelsOf(plane, bits);
  const canvas = h("canvas", { width: plane.columns, height: plane.rows, "data-group": plane.group });
  const context = pixels && canvas.getContext("2d");
  if (!pixels || !context) return null;
  const picture = context.createImageData(plane.columns, plane.rows);
  const colour = (0xff << 24) | (COLOUR[2] << 16) | (COLOUR[1] << 8) | COLOUR[0];
  const words = new Uint32Array(picture.data.buffer);
  for (let i = 0; i < pixels.length; i += 1) if (pixels[i] === 1) words[i] = colour;
  context.putImageData(picture, 0, 0);
  return canvas;
}

/** The plane's pixels over the image's, by where the renderer puts these now. */
function place(canvas: HTMLCanvasElement, plane: Plane, ground: Ground): void {
  const [x, y] = ground.toCanvas([plane.left, plane.top]);
  const [rx, ry] = ground.toCanvas([plane.left + plane.columns, plane.top]);
  const [dx, dy] = ground.toCanvas([plane.left, plane.top + plane.rows]);
  const right = [(rx - x) / plane.columns, (ry - y) / plane.columns] as const;
  const down = [(dx - x) / plane.rows, (dy - y) / plane.rows] as const;
  canvas.style.transform = `matrix(${[...right, ...down, x, y].join(",")})`;
  // lines of one pixel would fall out of a smaller picture
  canvas.style.imageRendering = Math.hypot(...right) * devicePixelRatio < 1 ? "auto" : "pixelated";
}
