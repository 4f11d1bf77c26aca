/** Display shutter (PS3.3 C.7.6.11): what lies outside is covered, on either of the renderer's paths. */

import { number, numbers, type DataSet } from "./dataset";
import type { Point } from "./geometry";
import type { Ground } from "./marks_layer";

const SVG = "http://www.w3.org/2000/svg";
const SIDES = 180; // of a circle: closer to it than a tenth of a pixel up to a radius of 600
const FAR = 100_000; // CSS pixels: beyond every screen

/** Outlines of the openings, in points of the image from the outer corner of its first pixel. */
export function openings(data: DataSet): Point[][] {
  const shapes = (data["00181600"]?.Value ?? []).map(String);
  const found = shapes.map((shape) => outline(shape, data));
  return found.filter((points) => points !== null);
}

/** True where the image has a shutter that is not drawn. */
export const hasOtherShutter = (data: DataSet): boolean =>
  (data["00181600"]?.Value ?? []).length > openings(data).length;

function outline(shape: string, data: DataSet): Point[] | null {
  if (shape === "RECTANGULAR") {
    const [left, right, top, bottom] = ["00181602", "00181604", "00181606", "00181608"].map((tag) => number(data, tag));
    if (left == null || right == null || top == null || bottom == null) return null;
    const [x, y] = [left - 1, top - 1]; // rows and columns are counted from 1
    return [[x, y], [right, y], [right, bottom], [x, bottom]];
  }
  if (shape === "CIRCULAR") {
    const [row, column] = numbers(data, "00181610") ?? [];
    const radius = number(data, "00181612");
    if (row === undefined || column === undefined || radius === null) return null;
    return Array.from({ length: SIDES }, (_, i): Point => {
      const angle = (2 * Math.PI * i) / SIDES;
      return [column - 0.5 + radius * Math.cos(angle), row - 0.5 + radius * Math.sin(angle)];
    });
  }
  if (shape !== "POLYGONAL") return null;
  const vertices = numbers(data, "00181620") ?? [];
  if (vertices.length < 6 || vertices.length % 2) return null;
  return Array.from({ length: vertices.length / 2 }, (_, i): Point => [
    (vertices[2 * i + 1] as number) - 0.5,
    (vertices[2 * i] as number) - 0.5,
  ]);
}

/** Grey of the cover: Shutter Presentation Value is a P-Value of 16 bits. */
export function coverOf(data: DataSet): string {
  const grey = Math.round((number(data, "00181622") ?? 0) / 257);
  return `rgb(${grey} ${grey} ${grey})`;
}

export class ShutterLayer {
  readonly element = document.createElementNS(SVG, "svg");

  constructor() {
    this.element.setAttribute("class", "shutter");
    this.element.setAttribute("data-role", "shutter");
  }

  /** Cover what lies outside of every opening; null uncovers. */
  draw(ground: Ground | null): void {
    const outside = `M${-FAR} ${-FAR}H${FAR}V${FAR}H${-FAR}Z`;
    const covers = (ground ? openings(ground.data) : []).map((points) => {
      const path = document.createElementNS(SVG, "path");
      const inside = points.map((point) => ground?.toCanvas(point).join(" ")).join("L");
      path.setAttribute("d", `${outside}M${inside}Z`);
      path.setAttribute("fill-rule", "evenodd");
      path.setAttribute("fill", ground ? coverOf(ground.data) : "none");
      return path;
    });
    this.element.replaceChildren(...covers);
  }
}
