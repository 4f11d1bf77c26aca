/** The series strip: one thumbnail per series, and the rail of the places of the present one. */

import { h } from "../dom";
import type { Series } from "../types";
import { arrival } from "../frame";
import { line } from "../line";
import { pause } from "../trouble";
import { firstPlace, runs, type Slot } from "./slots";

const MOST_TRIES = 3;

export class Strip {
  readonly element = h("nav", { class: "strip" });
  private readonly pictures = new Map<string, HTMLImageElement>();

  constructor(private readonly choose: (index: number) => void) {}

  draw(
    all: readonly Series[],
    slots: readonly (readonly Slot[])[],
    current: number,
    thumbnail: (series: number, slot: Slot) => string,
  ): void {
    this.element.replaceChildren(
      ...all.map((series, index) => {
        const own = slots[index] ?? [];
        const slot = own[firstPlace(own)];
        const title = `S${series.number ?? "?"} ${series.description ?? ""}`.trim();
        const button = h(
          "button",
          { type: "button", class: "thumb", "aria-pressed": String(index === current), title },
          this.picture(series, slot, () => thumbnail(index, slot as Slot)),
          h("span", { class: "thumb-title" }, title),
          arrival({
            arrived: own.filter((one) => one.here).length,
            expected: series.expected,
            kind: "dicom",
          }),
        );
        button.addEventListener("click", () => this.choose(index));
        return button;
      }),
    );
  }

  private picture(series: Series, slot: Slot | undefined, address: () => string): HTMLElement {
    if (!slot?.here) return h("span", { class: "thumb-picture hatched" });
    const known = this.pictures.get(series.series_uid);
    if (known) return known;
    const picture = h("img", { class: "thumb-picture", alt: "", loading: "lazy" });
    // after what a reader waits for, once it is known what that is
    window.setTimeout(() => line.whenFree(() => picture.isConnected && (picture.src = address())));
    // the receiver draws it in a process of its own, which may be late on a machine that is busy
    let tries = 0;
    picture.addEventListener("error", () => {
      if (tries >= MOST_TRIES) return picture.classList.add("none");
      window.setTimeout(() => {
        if (picture.isConnected) picture.src = address();
      }, pause(tries));
      tries += 1;
    });
    this.pictures.set(series.series_uid, picture);
    return picture;
  }
}

/** The rail: arrived places plain, missing ones hatched, a mark where the reader is. */
export class Rail {
  private readonly mark = h("i", { class: "rail-mark" });
  readonly element = h("div", { class: "rail" });
  private print = "";

  constructor(go: (place: number) => void, private count: () => number) {
    const at = (event: PointerEvent): void => {
      const share = event.offsetY / this.element.clientHeight;
      go(Math.min(this.count() - 1, Math.max(0, Math.floor(share * this.count()))));
    };
    this.element.addEventListener("pointerdown", (event) => {
      this.element.setPointerCapture(event.pointerId);
      at(event);
    });
    this.element.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) at(event);
    });
  }

  draw(slots: readonly Slot[], place: number): void {
    const share = (n: number): string => `${(100 * n) / Math.max(1, slots.length)}%`;
    const print = slots.map((slot) => (slot.here ? "1" : "0")).join("");
    if (print !== this.print) {
      this.print = print;
      const pieces = runs(slots).map((run) =>
        h("span", {
          class: run.here ? "here" : "gap",
          style: { top: share(run.from), height: share(run.to - run.from) },
        }),
      );
      this.element.replaceChildren(...pieces, this.mark);
    }
    this.mark.style.top = share(place);
    this.mark.style.height = `max(4px, ${share(1)})`;
  }
}
