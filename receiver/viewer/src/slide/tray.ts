/** One slide of the case in the tray: its label, and how much of it is here. */

import { h } from "../dom";
import { say, word } from "../words";
import { noLabel, type SlideSeries } from "./pane";

export interface Item {
  readonly series: SlideSeries;
  readonly title: string;
  readonly base: string;
  readonly chosen: boolean;
  /** Of its frames, 0 to 1. */
  readonly share: number;
  choose(): void;
}

export function trayItem({ series, title, base, chosen, share, choose }: Item): HTMLElement {
  const { associated } = series.slide;
  const label = associated.find((one) => one.flavor === "LABEL");
  // without its label a slide is told from the others of its case by what lies on the glass
  const shown = label ?? associated.find((one) => one.flavor === "THUMBNAIL");
  const picture = shown?.arrived
    ? h("img", {
        class: "label-picture",
        alt: say(label ? "slide.label" : "slide.whole"),
        src: `${base}/instances/${shown.sop_uid}/rendered`,
      })
    : h("span", { class: shown ? "label-picture hatched" : "label-picture" }, say(noLabel(shown)));
  return h(
    "button",
    { type: "button", class: "thumb", "aria-pressed": String(chosen), onclick: choose },
    picture,
    h("span", { class: "thumb-title" }, title),
    share < 1 ? h("span", { class: "thumb-title" }, word("slide.arrived", { p: Math.floor(100 * share) })) : null,
  );
}
