/** The layer over the picture: corners, edges, scale bar, and the hatch of a place without image. */

import { h } from "../dom";
import { roundLength } from "../measure";
import type { Row } from "../types";
import { inLanguage, say } from "../words";
import type { Line, Rendered } from "./corners";
import * as corners from "./corners";
import type { DataSet } from "./dataset";
import { direction, facing, opposite, type Point, type Vector } from "./geometry";
import { spacingOf } from "./spacing";

export interface Seen extends Rendered {
  readonly axes: { readonly right: Vector; readonly down: Vector } | null;
  /** Image directions of the screen's right and down. */
  readonly turn: { readonly right: Point; readonly down: Point };
  /** Millimetres per CSS pixel. */
  readonly perPixel: number;
}

export class Overlay {
  readonly element = h("div", { class: "overlay", lang: "ja" });
  private readonly parts = {
    who: h("div", { class: "corner tl", "data-role": "who" }),
    what: h("div", { class: "corner tr" }),
    image: h("div", { class: "corner bl" }),
    how: h("div", { class: "corner br" }),
    top: h("div", { class: "edge top" }),
    bottom: h("div", { class: "edge bottom" }),
    left: h("div", { class: "edge left" }),
    right: h("div", { class: "edge right" }),
    chip: h("div", { class: "load-chip", role: "status" }),
    hatch: h("div", { class: "hatch-full", hidden: true, "data-role": "missing" }),
  };

  constructor(private readonly row: Row) {
    this.element.append(this.parts.hatch, ...Object.values(this.parts).filter((part) => part !== this.parts.hatch));
    if (row.test) this.element.append(h("div", { class: "watermark" }, say("mark.test")));
  }

  /** Text of the image that has just been drawn, in the same frame. */
  image(data: DataSet, seen: Seen): void {
    const { parts } = this;
    parts.hatch.hidden = true;
    fill(parts.who, corners.who(data, this.row));
    fill(parts.what, corners.what(data, this.row));
    fill(parts.image, corners.image(data, seen));
    fill(parts.how, corners.how(data, seen));
    parts.image.append(scaleBar(data, seen.perPixel));
    this.edges(data, seen);
  }

  private edges(data: DataSet, { axes, turn }: Seen): void {
    const { top, bottom, left, right } = this.parts;
    const language = inLanguage();
    const orientation = (data["00200020"]?.Value ?? []).map(String);
    if (axes !== null && data["00200037"] !== undefined) {
      right.textContent = direction(axes.right, language);
      left.textContent = direction(opposite(axes.right), language);
      bottom.textContent = direction(axes.down, language);
      top.textContent = direction(opposite(axes.down), language);
    } else if (orientation[0] && orientation[1]) {
      right.textContent = facing(orientation, turn.right, language);
      left.textContent = facing(orientation, turn.right, language, true);
      bottom.textContent = facing(orientation, turn.down, language);
      top.textContent = facing(orientation, turn.down, language, true);
    } else {
      for (const edge of [left, right, bottom]) edge.textContent = "";
      top.textContent = say("edge.unknown");
    }
  }

  /** Less text over the picture: all, few, none. Name, side and loss stay at every step. */
  less(): void {
    const step = (Number(this.element.dataset["less"] ?? 0) + 1) % 3;
    this.element.dataset["less"] = String(step);
  }

  /** A place whose image is not here: its number stays, the picture of another does not. */
  missing(place: number, expected: number | null, why: "missing" | "damaged"): void {
    const { parts } = this;
    parts.hatch.hidden = false;
    parts.hatch.replaceChildren(
      h("b", {}, say(why)),
      h("span", {}, `${place + 1}/${expected ?? "?"}`),
    );
    for (const part of [parts.who, parts.what, parts.image, parts.how]) part.replaceChildren();
    for (const part of [parts.top, parts.bottom, parts.left, parts.right]) part.textContent = "";
  }

  /** A sentence for the reader, until something else is said. */
  say(words: HTMLElement): void {
    this.parts.chip.replaceChildren(words);
    this.parts.chip.hidden = false;
  }

  chip(text: string): void {
    this.parts.chip.textContent = text;
    this.parts.chip.hidden = text === "";
  }
}

function fill(corner: HTMLElement, lines: readonly Line[]): void {
  corner.replaceChildren(
    ...lines
      .filter((line) => line.text.trim() !== "")
      .map((line) => h("div", { class: line.look, "data-role": line.role }, line.text)),
  );
}

function scaleBar(data: DataSet, perPixel: number): HTMLElement {
  const { unit, detector } = spacingOf(data);
  const length = roundLength(perPixel, 140);
  if (unit === "px" || length === 0) return h("div");
  return h(
    "div",
    { class: "scale-bar", "data-role": "scale-bar", "data-mm": length },
    h("i", { style: { width: `${length / perPixel}px` } }),
    h("span", {}, `${length} mm${detector ? ` (${say("meas.at-detector")})` : ""}`),
  );
}
