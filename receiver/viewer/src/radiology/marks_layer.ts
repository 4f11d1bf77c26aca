/** Drawing marks over a picture, and making them with the hand: by dragging or by clicks. */

import { say } from "../words";
import type { DataSet } from "./dataset";
import type { Point } from "./geometry";
import { measure, newId, POINTS, said, type Mark, type MarkBook, type MarkKind, type Values } from "./marks";

const SVG = "http://www.w3.org/2000/svg";
const NEAR = 8; // CSS pixels: as far as a hand misses
const STILL = 4; // a press that moves less is a click

/** The image under the layer, at the moment of drawing. */
export interface Ground {
  readonly sop: string;
  readonly frame: number;
  readonly data: DataSet;
  readonly values: Values | null;
  toCanvas(point: Point): Point;
  toImage(point: Point): Point;
}

export class MarksLayer {
  readonly element = document.createElementNS(SVG, "svg");
  private draft: { mark: Mark; grip: number; from: Point; started: boolean } | null = null;
  private lines: readonly (readonly [Point, Point])[] = [];
  private ground: Ground | null = null;

  constructor(private readonly book: MarkBook) {
    this.element.setAttribute("class", "marks");
  }

  /** Where other panes' planes cut this image. */
  reference(lines: readonly (readonly [Point, Point])[]): void {
    this.lines = lines;
    this.draw(this.ground);
  }

  /** Marks of this image and no other; null takes all away. */
  draw(ground: Ground | null): void {
    if (this.draft && (this.draft.mark.sop !== ground?.sop || this.draft.mark.frame !== ground.frame)) {
      this.draft = null;
    }
    this.ground = ground;
    const parts: Element[] = [];
    if (ground) {
      for (const [a, b] of this.lines) parts.push(line(ground.toCanvas(a), ground.toCanvas(b), "reference"));
      const { mark: drafted } = this.draft ?? { mark: null };
      for (const mark of this.book.of(ground.sop, ground.frame)) {
        if (mark.id !== drafted?.id) parts.push(this.shape(mark, ground));
      }
      if (drafted) parts.push(this.shape(drafted, ground));
    }
    this.element.replaceChildren(...parts);
  }

  // --- the hand ---------------------------------------------------------------------------

  /** True where the press belongs to a mark. */
  press(kind: MarkKind, at: Point): boolean {
    const { ground } = this;
    if (!ground) return false;
    if (this.draft) {
      this.draft = { ...this.draft, started: false };
      this.follow(at);
      return true;
    }
    const held = this.grip(at, ground);
    if (held) {
      this.draft = { ...held, from: at, started: true };
      this.book.selected = held.mark.id;
    } else {
      const point = ground.toImage(at);
      const id = newId();
      const points = POINTS[kind] === 1 ? [point] : [point, point];
      this.draft = {
        mark: { id, kind, sop: ground.sop, frame: ground.frame, points },
        grip: points.length - 1,
        from: at,
        started: true,
      };
    }
    this.draw(ground);
    return true;
  }

  follow(at: Point): void {
    const { draft, ground } = this;
    if (!draft || !ground) return;
    const points = draft.mark.points.map((point, i) => (i === draft.grip ? ground.toImage(at) : point));
    this.draft = { ...draft, mark: { ...draft.mark, points } };
    this.draw(ground);
  }

  release(at: Point): void {
    const { draft, ground } = this;
    if (!draft || !ground) return;
    const needed = POINTS[draft.mark.kind];
    const still = Math.hypot(at[0] - draft.from[0], at[1] - draft.from[1]) < STILL;
    const made = this.book.all.some((mark) => mark.id === draft.mark.id);
    if (made) {
      this.draft = null;
      if (!still) this.book.put(draft.mark);
    } else if (needed === 1 || (draft.mark.points.length === needed && !(draft.started && still))) {
      this.draft = null;
      this.book.put(draft.mark);
    } else if (!(draft.started && still)) {
      const points = [...draft.mark.points, ground.toImage(at)];
      this.draft = { ...draft, mark: { ...draft.mark, points }, grip: points.length - 1, started: false };
    }
    this.draw(ground);
  }

  /** Give up what is being made; true if there was something. */
  cancel(): boolean {
    const had = this.draft !== null;
    this.draft = null;
    this.draw(this.ground);
    return had;
  }

  get busy(): boolean {
    return this.draft !== null;
  }

  private grip(at: Point, ground: Ground): { mark: Mark; grip: number } | null {
    for (const mark of this.book.of(ground.sop, ground.frame).reverse()) {
      const grip = mark.points.findIndex((point) => {
        const [x, y] = ground.toCanvas(point);
        return Math.hypot(x - at[0], y - at[1]) <= NEAR;
      });
      if (grip >= 0) return { mark, grip };
    }
    return null;
  }

  // --- shapes -----------------------------------------------------------------------------

  private shape(mark: Mark, ground: Ground): Element {
    const group = document.createElementNS(SVG, "g");
    const points = mark.points.map((point) => ground.toCanvas(point));
    group.setAttribute("class", mark.id === this.book.selected ? "mark selected" : "mark");
    group.setAttribute("data-kind", mark.kind);
    for (let i = 1; i < points.length && mark.kind !== "ellipse"; i += 1) {
      group.append(line(points[i - 1] as Point, points[i] as Point, "leg"));
    }
    if (mark.kind === "ellipse") group.append(ellipse(mark, ground));
    for (const [x, y] of points) {
      group.append(made("circle", { cx: x, cy: y, r: mark.kind === "probe" ? 5 : 3, class: "grip" }));
    }
    const [x, y] = points.at(-1) as Point;
    const lines = said(measure(mark, ground.data, ground.values), say("meas.at-detector"));
    lines.forEach((text, i) => {
      const label = made("text", { x: x + 10, y: y + 4 + 17 * i });
      label.textContent = text;
      group.append(label);
    });
    return group;
  }
}

/** The ellipse as the picture shows it, turned and mirrored with it. */
function ellipse(mark: Mark, ground: Ground): Element {
  const [a, b] = mark.points as [Point, Point];
  const [cx, cy, rx, ry] = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (b[0] - a[0]) / 2, (b[1] - a[1]) / 2];
  const around = Array.from({ length: 64 }, (_, i) => {
    const turn = (2 * Math.PI * i) / 64;
    return ground.toCanvas([cx + rx * Math.cos(turn), cy + ry * Math.sin(turn)]).join(",");
  });
  return made("polygon", { points: around.join(" "), class: "leg" });
}

const line = (a: Point, b: Point, kind: string): Element =>
  made("line", { x1: a[0], y1: a[1], x2: b[0], y2: b[1], class: kind });

function made(tag: string, attributes: Readonly<Record<string, string | number>>): Element {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

