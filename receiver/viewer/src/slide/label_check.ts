/** 術中: the label of each slide and the request number, together, for a yes of this reader. */

import * as api from "../api";
import { isCurrent, within, type ReadingContext } from "../context";
import { h } from "../dom";
import * as events from "../events";
import { query } from "../reading";
import { persist } from "../trouble";
import type { Series, Study } from "../types";
import { say, word } from "../words";
import { noLabel, specimen } from "./pane";

type SlideSeries = Series & { readonly slide: NonNullable<Series["slide"]> };

const isSlide = (series: Series): series is SlideSeries => Boolean(series.slide);

/** Ask of each slide as its label comes; the answer ends the asking. */
export function watchLabels(context: ReadingContext, over: HTMLElement): () => void {
  const watch = new LabelWatch(context, over);
  return () => watch.close();
}

class LabelWatch {
  private checked: Readonly<Record<string, boolean>> | null = null;
  private study: Study;
  private asked: HTMLElement | null = null;
  private readonly bar = h("div", { class: "bar label-differs", role: "alert", "data-role": "label-differs", hidden: true });
  private readonly stop: () => void;

  constructor(
    private readonly context: ReadingContext,
    private readonly over: HTMLElement,
  ) {
    this.study = context.study;
    over.before(this.bar); // no key of the page lies below it
    const keys = (event: KeyboardEvent): void => this.key(event);
    document.addEventListener("keydown", keys, true);
    const deaf = events.listen({ study: (key) => (key === "" || key === context.key) && void this.look(true) });
    this.stop = () => {
      document.removeEventListener("keydown", keys, true);
      deaf();
    };
    void this.look(false);
  }

  close(): void {
    this.stop();
    this.asked?.remove();
    this.bar.remove();
  }

  private async look(again: boolean): Promise<void> {
    const { context } = this;
    await persist(context, async () => {
      this.checked ??= await within(context, api.labelsChecked(context.key, context.signal));
      if (again) this.study = await within(context, api.study(context.key, context.signal));
      this.next();
    });
  }

  /** The first slide of which the label is here, or was not sent, and nothing was said yet. */
  private next(): void {
    if (this.asked || !isCurrent(this.context)) return;
    this.warn();
    const one = this.study.series.filter(isSlide).find((series) => {
      const label = labelOf(series);
      return this.checked?.[series.series_uid] === undefined && (!label || label.arrived);
    });
    if (one) this.ask(one);
  }

  private ask(series: SlideSeries): void {
    const { study } = this;
    const label = labelOf(series);
    const base = `${study.dicomweb}/studies/${study.study_uid}/series/${series.series_uid}`;
    const picture = label
      ? h("img", { alt: say("slide.label"), src: `${base}/instances/${label.sop_uid}/rendered` })
      : h("span", { class: "hatched" }, word(noLabel(label)));
    const number = study.accession_number;
    const asked = number ? word("label.request", { a: number }) : word("label.norequest");
    const name = study.patient.ideographic ?? study.patient.phonetic ?? study.patient.alphabetic ?? "";
    this.asked = h(
      "div",
      { class: "ask-panel label-check", role: "dialog", "aria-label": say("label.ask"), "data-role": "label-check", "data-series": series.series_uid },
      h("p", {}, word("label.ask")),
      h("figure", {}, picture, h("figcaption", {}, `${specimen(series.slide)} ${series.description ?? ""}`)),
      h("p", { class: "request-number" }, asked),
      h("p", { lang: "ja" }, name),
      h("button", { type: "button", onclick: () => void this.answer(series, true) }, word("label.yes")),
      h("button", { type: "button", onclick: () => void this.answer(series, false) }, word("label.no")),
    );
    this.over.append(this.asked);
  }

  private key(event: KeyboardEvent): void {
    const series = this.asked?.dataset["series"];
    const same = { Digit1: true, Numpad1: true, Digit2: false, Numpad2: false }[event.code];
    if (!series || same === undefined || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    event.stopPropagation();
    const one = this.study.series.filter(isSlide).find(({ series_uid: uid }) => uid === series);
    if (one) void this.answer(one, same);
  }

  private async answer(series: SlideSeries, same: boolean): Promise<void> {
    const { context } = this;
    const panel = this.asked;
    try {
      await within(context, api.checkLabel(context.key, series.series_uid, same));
    } catch {
      if (isCurrent(context)) panel?.append(h("p", { class: "said", role: "alert" }, word("label.failed")));
      return;
    }
    panel?.remove();
    this.asked = null;
    this.checked = { ...this.checked, [series.series_uid]: same };
    this.next();
    if (!same) await query(this.study);
  }

  /** What differs stays said for as long as the case is open. */
  private warn(): void {
    this.bar.hidden = !Object.values(this.checked ?? {}).includes(false);
    const phone = this.study.request?.["phone"];
    this.bar.replaceChildren("▲▲ ", word("label.differs", { p: typeof phone === "string" ? phone : "" }));
  }
}

const labelOf = (series: SlideSeries) => series.slide.associated.find((one) => one.flavor === "LABEL");
