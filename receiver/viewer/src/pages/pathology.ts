/** A case of pathology: its slides, and its photographs where it has some, each in its own view. */

import * as api from "../api";
import { within, type ReadingContext } from "../context";
import { h } from "../dom";
import * as events from "../events";
import type { Frame } from "../frame";
import { pictured } from "../papers/kinds";
import { persist } from "../trouble";
import type { Series, Study, User } from "../types";
import { word } from "../words";
import { isOther, othersNote } from "../radiology/others";
import type { View } from "./study";

/** VL Whole Slide Microscopy Image Storage (PS3.4 B.5): shown by tiles. */
const WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6";
const HERE = new Set(["stored", "verified"]);
const SOON_MS = 400;

const isPhotographs = (series: Series): boolean =>
  !isOther(series) && series.instances.every((instance) => instance.sop_class !== WHOLE_SLIDE);

/** A case as if it held its photographs alone, counted by themselves. */
export function photographsOf(study: Study): Study {
  const series = study.series.filter(isPhotographs).map(pictured).filter((one) => one !== null);
  const all = series.flatMap((one) => one.instances);
  const arrived = all.filter((one) => HERE.has(one.state)).length;
  const damaged = all.filter((one) => one.state === "damaged").length;
  const expected = study.expected === null ? null : all.length;
  return { ...study, kind: "dicom", series, arrived, damaged, expected };
}

type Which = "slides" | "photographs";

export function showPathology(frame: Frame, context: ReadingContext, user: User): View {
  return new PathologyView(frame, context, user);
}

/** 肉眼: the gross photographs of the case beside its slides, the first of them as a thumbnail. */
function grossItem(study: Study, count: number, choose: () => void): HTMLElement {
  const first = study.series
    .flatMap((series) => series.instances.map((instance) => ({ series, instance })))
    .find(({ instance }) => HERE.has(instance.state));
  const address = first && `${study.dicomweb}/studies/${study.study_uid}/series/${first.series.series_uid}/instances/${first.instance.sop_uid}/thumbnail`;
  return h(
    "button",
    { type: "button", class: "thumb", "data-role": "gross", onclick: choose },
    address ? h("img", { class: "label-picture", alt: "", loading: "lazy", src: address }) : h("span", { class: "label-picture hatched" }),
    h("span", { class: "thumb-title" }, word("case.gross", { n: count })),
  );
}

class PathologyView implements View {
  private view: View | null = null;
  private which: Which | null = null;
  private soon = 0;
  /** Photographs are known, and all of them are here. */
  private whole = false;
  /** Ends the comparison of labels with the request, of a case during an operation. */
  private labels: (() => void) | null = null;
  private readonly inner = h("div", { class: "case-view" });
  private readonly others = h("div");
  private readonly choice = h("nav", { class: "case-choice", role: "group", hidden: true });
  /** The photographs, as the tray of the slides offers them. */
  private readonly gross = h("div", { class: "gross" });
  private readonly ends: (() => void)[];

  constructor(
    private readonly frame: Frame,
    private context: ReadingContext,
    private readonly user: User,
  ) {
    frame.stage.replaceChildren(h("section", { class: "case" }, h("div", {}, this.others, this.choice), this.inner));
    this.ends = [
      events.listen({ study: (key) => this.hint(key) }),
      () => window.clearTimeout(this.soon),
    ];
    this.offer(context.study);
    this.show("slides");
  }

  close(): void {
    for (const end of this.ends) end();
    this.labels?.();
    this.view?.close();
    this.which = null;
  }

  /** Photographs may come after the slide has been opened. */
  private hint(key: string): void {
    if ((key !== "" && key !== this.context.key) || this.soon !== 0 || this.whole) return;
    this.soon = window.setTimeout(() => {
      this.soon = 0;
      void persist(this.context, async () => {
        const { context } = this;
        const study = await within(context, api.study(context.key, context.signal));
        this.context = Object.freeze({ ...context, study: Object.freeze(study) });
        this.offer(study);
      });
    }, SOON_MS);
  }

  private offer(study: Study): void {
    const photographs = photographsOf(study);
    const count = photographs.series.flatMap((series) => series.instances).length;
    this.choice.hidden = count === 0;
    this.whole = count > 0 && photographs.arrived >= count;
    this.gross.replaceChildren(...(count === 0 ? [] : [grossItem(photographs, count, () => this.show("photographs"))]));
    this.others.replaceChildren(...[othersNote(study)].filter((note) => note !== null));
    const button = (which: Which, label: Node): HTMLElement =>
      h("button", { type: "button", "data-which": which, onclick: () => this.show(which) }, label);
    this.choice.replaceChildren(
      button("slides", word("case.slides")),
      button("photographs", word("case.photographs", { n: count })),
    );
    this.mark();
  }

  private mark(): void {
    for (const one of this.choice.querySelectorAll("button"))
      one.setAttribute("aria-pressed", String(one.dataset["which"] === this.which));
  }

  private show(which: Which): void {
    if (which === this.which) return;
    this.view?.close();
    this.view = null;
    this.which = which;
    this.mark();
    this.open(which).catch((error: unknown) => {
      if (this.which === which) throw error;
    });
  }

  private async open(which: Which): Promise<void> {
    const { context } = this;
    const frame: Frame = { ...this.frame, stage: this.inner };
    if (which === "slides") {
      const { showSlides } = await within(context, import("../slide/view"));
      if (this.which === which && !this.view) this.view = showSlides(frame, context, this.gross);
      if (context.study.intraoperative && !this.labels) {
        const { watchLabels } = await within(context, import("../slide/label_check"));
        this.labels ??= watchLabels(context, this.inner);
      }
      return;
    }
    const { showRadiology } = await within(context, import("../radiology/view"));
    const narrow = Object.freeze({ ...context, study: Object.freeze(photographsOf(context.study)) });
    if (this.which === which && !this.view) this.view = showRadiology(frame, narrow, this.user, photographsOf);
  }
}
