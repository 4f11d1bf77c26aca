/** Marks and lengths over one slide: kept by the receiver for this user and this study alone. */

import * as api from "../api";
import { isCurrent, within, type ReadingContext } from "../context";
import { persist } from "../trouble";
import type { SlideMark } from "../types";
import type { SlideCanvas } from "./canvas";

const LINE = "#ffe066";
const NEAR = 24; // CSS pixels within which a mark is meant

/** The marks of a study, shared by its panes. */
export class Marks {
  all: SlideMark[] = [];

  constructor(
    private readonly context: ReadingContext,
    private readonly changed: () => void,
    private readonly failed: () => void,
  ) {
    void persist(context, async () => {
      const { marks } = await within(context, api.slideMarks(context.key, context.signal));
      this.all = [...marks, ...this.all];
      changed();
    });
  }

  async add(mark: Omit<SlideMark, "id">): Promise<void> {
    try {
      const id = await within(this.context, api.putSlideMark(this.context.key, mark));
      this.all.push({ ...mark, id });
      this.changed();
    } catch (error) {
      // what is not kept is not shown: it would be gone with the next page
      if (isCurrent(this.context)) this.failed();
      if (!(error instanceof api.Refused) && isCurrent(this.context)) throw error;
    }
  }

  async drop(mark: SlideMark): Promise<void> {
    // at once, so that the next undo means the mark before; what the receiver keeps comes back
    this.all = this.all.filter(({ id }) => id !== mark.id);
    this.changed();
    try {
      await within(this.context, api.dropSlideMark(this.context.key, mark.id));
    } catch (error) {
      if (!isCurrent(this.context)) return;
      const gone = error instanceof api.Refused && error.status === 404;
      if (!gone) this.all.push(mark);
      this.changed();
      if (!gone) this.failed();
    }
  }
}

/** A length as it is written: µm, from 1 mm on mm; px where pixels have no size. */
export function lengthOf({ points, unit }: Pick<SlideMark, "points" | "unit">): string {
  const [a, b] = points;
  if (!a || !b) return "";
  const length = Math.hypot(a[0] - b[0], a[1] - b[1]);
  if (unit === "px") return `${length.toFixed(0)} px`;
  return length >= 1000 ? `${(length / 1000).toFixed(3)} mm` : `${length.toFixed(1)} µm`;
}

/** The picture of the marks, above one pane. */
export class MarkLayer {
  readonly canvas = document.createElement("canvas");

  private empty = true;

  constructor(private readonly spacing: number | null) {
    this.canvas.className = "hatch slide-marks";
    this.canvas.setAttribute("aria-hidden", "true");
  }

  /** In the unit of marks. */
  place([x, y]: readonly [number, number]): [number, number] {
    const size = this.spacing ?? 1;
    return [x * size, y * size];
  }

  draw(view: SlideCanvas, marks: readonly SlideMark[], begun: readonly [number, number] | null, aim: boolean): void {
    const nothing = marks.length === 0 && !begun && !aim;
    if (nothing && this.empty) return;
    this.empty = nothing;
    const { width, height } = view.lie();
    const ratio = devicePixelRatio;
    const size = [Math.round(width * ratio), Math.round(height * ratio)] as const;
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) [this.canvas.width, this.canvas.height] = size;
    const context = this.canvas.getContext("2d") as CanvasRenderingContext2D;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = '14px "BIZ UDPGothic","Yu Gothic UI","Noto Sans CJK JP",sans-serif';
    for (const mark of marks) {
      const places = mark.points.map((point) => this.onScreen(view, point));
      const [a, b] = places;
      if (!a) continue;
      if (b) this.stroke(context, (path) => { path.moveTo(...a); path.lineTo(...b); });
      for (const [x, y] of places) this.stroke(context, (path) => path.arc(x, y, mark.kind === "point" ? 8 : 3, 0, 2 * Math.PI));
      if (b) this.write(context, lengthOf(mark), (a[0] + b[0]) / 2 + 10, (a[1] + b[1]) / 2 - 6);
    }
    if (begun) {
      const [x, y] = this.onScreen(view, begun);
      this.stroke(context, (path) => path.arc(x, y, 3, 0, 2 * Math.PI));
    }
    if (aim) {
      const [x, y] = [width / 2, height / 2];
      this.stroke(context, (path) => { path.moveTo(x - 9, y); path.lineTo(x + 9, y); path.moveTo(x, y - 9); path.lineTo(x, y + 9); });
    }
  }

  /** The mark that is nearest to a place of the view, where one is near. */
  nearest(view: SlideCanvas, marks: readonly SlideMark[], place: { x: number; y: number }): SlideMark | null {
    let [best, least]: [SlideMark | null, number] = [null, NEAR];
    for (const mark of marks) {
      for (const point of mark.points) {
        const [x, y] = this.onScreen(view, point);
        const away = Math.hypot(x - place.x, y - place.y);
        if (away < least) [best, least] = [mark, away];
      }
    }
    return best;
  }

  private onScreen(view: SlideCanvas, [x, y]: readonly [number, number]): [number, number] {
    const size = this.spacing ?? 1;
    return view.above(x / size, y / size);
  }

  private stroke(context: CanvasRenderingContext2D, draw: (path: Path2D) => void): void {
    const path = new Path2D();
    draw(path);
    for (const [colour, width] of [["#000", 4], [LINE, 2]] as const) {
      [context.strokeStyle, context.lineWidth] = [colour, width];
      context.stroke(path);
    }
  }

  private write(context: CanvasRenderingContext2D, text: string, x: number, y: number): void {
    [context.strokeStyle, context.lineWidth, context.fillStyle] = ["#000", 3, LINE];
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  }
}
