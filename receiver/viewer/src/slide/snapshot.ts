/** A picture of what is in view: its tiles, its hatch, whose it is, and a scale. */

import { studyLine } from "../frame";
import type { Study } from "../types";
import { say } from "../words";
import { GROUND } from "./hatch";
import type { Pane } from "./pane";

export interface Shot {
  /** Painted one over the other, all of one size: the tiles first, then the hatch. */
  readonly layers: readonly HTMLCanvasElement[];
  /** Colour of what no layer paints; never that of empty glass. */
  readonly ground: string;
  /** Whose slide it is, and how it is shown. */
  readonly lines: readonly string[];
  /** Device pixels and words of the scale; null where the pixel size is not known. */
  readonly scale: { readonly length: number; readonly words: string } | null;
}

const STRIP = 22; // CSS pixels of one line below the picture

export function draw(shot: Shot): HTMLCanvasElement {
  const [first] = shot.layers;
  const picture = document.createElement("canvas");
  const context = picture.getContext("2d") as CanvasRenderingContext2D;
  if (!first) return picture;
  const line = STRIP * devicePixelRatio;
  const strip = line * (shot.lines.length + 1);
  [picture.width, picture.height] = [first.width, first.height + strip];
  context.fillStyle = shot.ground;
  context.fillRect(0, 0, first.width, first.height);
  for (const layer of shot.layers) context.drawImage(layer, 0, 0, first.width, first.height);
  context.fillStyle = "#1c1c1c";
  context.fillRect(0, first.height, first.width, strip);
  context.fillStyle = "#d9d9d9";
  context.font = `${14 * devicePixelRatio}px "BIZ UDPGothic","Yu Gothic UI","Noto Sans CJK JP",sans-serif`;
  context.textBaseline = "middle";
  const indent = line / 2;
  for (const [row, words] of shot.lines.entries()) {
    context.fillText(words, indent, first.height + line * (row + 0.5), first.width - line);
  }
  const middle = first.height + line * (shot.lines.length + 0.5);
  if (shot.scale) {
    context.fillRect(indent, middle - devicePixelRatio, shot.scale.length, 2 * devicePixelRatio);
    context.fillText(shot.scale.words, 2 * indent + shot.scale.length, middle);
  }
  return picture;
}

/** Give a picture to the reader as a PNG file; its name says nothing of the patient. */
export async function save(picture: HTMLCanvasElement): Promise<void> {
  const blob = await new Promise<Blob | null>((done) => picture.toBlob(done, "image/png"));
  if (!blob) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `slide-${new Date().toISOString().replace(/[-:]|\..*/g, "")}.png`;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 0);
}

/** The field of a pane, with what is said of it, given to the reader. */
export function snapshotOf({ canvas, facts, bar, chips, layer }: Pane, study: Study): Promise<void> {
  if (!canvas?.ready) return Promise.resolve();
  const said = [...facts.children].map((part) => part.textContent).join("　");
  const [line, text] = bar.children as unknown as [HTMLElement, HTMLElement];
  const length = Number.parseFloat(line.style.width) * devicePixelRatio;
  const whose = [study.test ? say("mark.test") : "", study.patient.id, studyLine(study)].filter(Boolean).join("　");
  const picture = draw({
    layers: [...canvas.layers(), ...(layer ? [layer.canvas] : [])],
    ground: GROUND,
    lines: [whose, [said, chips.textContent].filter(Boolean).join("　")],
    scale: bar.hidden ? null : { length, words: text.textContent },
  });
  return save(picture);
}
