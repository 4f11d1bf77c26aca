/** A field of view that may be turned, in full pixels of its slide. */

import type { Box } from "./pyramid";

export class Turned {
  private readonly cos: number;
  private readonly sin: number;

  /** Centre and size in full pixels; `degrees` clockwise, as the picture is turned on the screen. */
  constructor(
    readonly x: number,
    readonly y: number,
    readonly width: number,
    readonly height: number,
    readonly degrees: number,
  ) {
    const angle = (degrees * Math.PI) / 180;
    [this.cos, this.sin] = [Math.cos(angle), Math.sin(angle)];
  }

  /** Along the screen's right and down, from the centre. */
  onScreen(x: number, y: number): [number, number] {
    const [dx, dy] = [x - this.x, y - this.y];
    return [this.cos * dx - this.sin * dy, this.sin * dx + this.cos * dy];
  }

  /** The place on the slide of a distance from the centre along the screen. */
  onSlide(right: number, down: number): [number, number] {
    return [this.x + this.cos * right + this.sin * down, this.y - this.sin * right + this.cos * down];
  }

  holds(x: number, y: number): boolean {
    const [right, down] = this.onScreen(x, y);
    return Math.abs(right) <= this.width / 2 && Math.abs(down) <= this.height / 2;
  }

  /** The upright box round it. */
  box(): Box {
    const [c, s] = [Math.abs(this.cos), Math.abs(this.sin)];
    const [width, height] = [c * this.width + s * this.height, s * this.width + c * this.height];
    return { x: this.x - width / 2, y: this.y - height / 2, width, height };
  }
}
