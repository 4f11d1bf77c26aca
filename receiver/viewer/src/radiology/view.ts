/** Radiology: panes on one patient, series strip, tools; grows while images arrive. */

import * as api from "../api";
import { beside, isCurrent, within, type ReadingContext } from "../context";
import { h } from "../dom";
import * as events from "../events";
import { arrival, studyLine, type Frame } from "../frame";
import { publishView, type Shown } from "../hook";
import { isLocked, onLock } from "../lock";
import type { View } from "../pages/study";
import { isSecond } from "../screens";
import { persist, tellOpened } from "../trouble";
import type { Study, User } from "../types";
import { onLanguage, word } from "../words";
import { makeActions, makeHand } from "./actions";
import { Arriving } from "./arriving";
import { saw } from "./seen";
import { Cine } from "./cine";
import { engine, forgetDecoded, held, withoutGpu } from "./engine";
import { sayNothing } from "./full";
import { cut } from "./geometry";
import { bindHand, bindKeys, type Tool } from "./input";
import { breastsOf, touch } from "./breast";
import { areBreasts, firstLayout, firstSeries, hang, PANES, type Hung, type Layout } from "./layout";
import { Link } from "./link";
import { Kept } from "./kept";
import { Pane, type PaneHost } from "./pane";
import { othersNote } from "./others";
import { PossiblePriors } from "./possible";
import { priorsOf, type Prior } from "./priors";
import type { Slot } from "./slots";
import { Strip } from "./strip";
import { StudyData } from "./study_data";
import { ToolBar } from "./tools";
import { VolumeView } from "./volume_view";

/** `narrow` leaves of a study what is to be shown: of a case of pathology, its photographs. */
export function showRadiology(
  frame: Frame,
  context: ReadingContext,
  user: User,
  narrow: (study: Study) => Study = (study) => study,
): View {
  return new RadiologyView(frame, context, user, narrow);
}

/** Make the renderer ready before there is anything to draw. */
export const warmUp = (): void => void engine();

export class RadiologyView implements View, PaneHost {
  readonly main: StudyData;
  prior: StudyData | null = null;
  private priors: Prior[] = [];
  readonly possible: PossiblePriors;
  readonly panes: Pane[] = [];
  active: Pane;
  layout: Layout = "1x1";
  tool: Tool = "window";
  readonly link = new Link();
  lines = false;
  readonly cine: Cine;
  volume: VolumeView | null = null;
  readonly kept: Kept;
  readonly area = h("div", { class: "panes" });
  readonly strip = new Strip((index) => this.choose(index));
  private begun = false;
  private reported = false;
  private soon = 0;
  private readonly hands = new Map<Pane, () => void>();
  /** Of each pane too: another layout squeezes a picture that is not drawn anew. */
  private readonly sized = new ResizeObserver(() => void engine().then((renderer) => renderer.resize()));
  private readonly arriving: Arriving;
  private readonly tools: ToolBar;
  private readonly ends: (() => void)[];

  constructor(
    readonly frame: Frame,
    readonly context: ReadingContext,
    user: User,
    private readonly narrow: (study: Study) => Study,
  ) {
    this.possible = new PossiblePriors(context, () => this.identities());
    this.kept = new Kept(context, () => this.restore());
    this.main = new StudyData(context, false, (of) => this.marked(of));
    this.active = this.newPane();
    this.cine = new Cine(() => this.active, () => this.drawBar());
    const actions = makeActions(this);
    this.tools = new ToolBar(() => frame.home(), actions);
    this.arriving = new Arriving(
      context.study,
      user.name,
      () => this.begin(),
      () => void persist(context, () => api.acceptedIncomplete(context.key)),
    );
    frame.stage.replaceChildren(
      h(
        "section",
        { class: "radiology" },
        this.tools.element,
        h("div", { class: "bars" }, this.arriving.bar, this.possible.bar),
        h("div", { class: "reading" }, this.strip.element, this.area),
        this.arriving.panel,
        this.kept.bar,
      ),
    );
    frame.adopt(this.tools.element);
    this.strip.element.hidden = isSecond(); // images alone; B shows it
    this.sized.observe(this.area);
    const ticking = window.setInterval(() => this.arriving.draw(), 5000);
    this.ends = [
      bindKeys(actions),
      events.listen({ study: (key) => this.hint(key) }),
      onLanguage(() => this.redraw()),
      () => this.sized.disconnect(),
      onLock({
        clear: () => {
          forgetDecoded(isLocked);
          for (const study of [this.main, this.prior]) study?.forget();
          for (const pane of this.panes) pane.forgetPlanes();
        },
        back: () => this.panes.forEach((pane) => void pane.refetch().catch(() => undefined)),
      }),
      () => window.clearInterval(ticking), () => window.clearTimeout(this.soon), sayNothing,
      () => this.cine.stop(), () => this.kept.close(), () => this.possible.close(),
    ];
    publishView(() => this.shown());
    void this.kept.load();
    this.take(context.study);
    if (this.arriving.isOpen) this.begin();
  }

  close(): void {
    for (const end of this.ends) end();
    this.volume?.close();
    for (const pane of [...this.panes]) this.drop(pane);
    this.prior?.close();
    this.main.close();
  }

  // --- what has arrived -------------------------------------------------------------------

  private hint(key: string): void {
    if ((key !== "" && key !== this.context.key) || this.soon !== 0) return;
    this.soon = window.setTimeout(() => {
      this.soon = 0;
      void persist(this.context, () => this.refresh());
    }, 300);
  }

  private async refresh(): Promise<void> {
    const { context } = this;
    this.take(this.narrow(await within(context, api.study(context.key, context.signal))));
    if (!this.arriving.isOpen) return;
    if (!this.begun) this.begin();
    else for (const pane of this.panes) if (pane.of === this.main) pane.grown();
  }

  private take(study: Study): void {
    const uid = (pane: Pane): string | undefined => pane.of?.series[pane.series]?.series_uid;
    const shown = new Map(this.panes.filter((pane) => pane.of === this.main).map((pane) => [pane, uid(pane)]));
    this.main.take(study);
    for (const [pane, series] of shown) {
      pane.series = this.main.series.findIndex((one) => one.series_uid === series);
    }
    this.arriving.update(study);
    this.redraw();
  }

  private begin(): void {
    const { series, slots } = this.main;
    const first = firstSeries(slots);
    if (first < 0) return this.active.clear(othersNote(this.main.study) ?? word("study.none"));
    this.begun = true;
    this.active.area.focus({ preventScroll: true });
    const upright = matchMedia("(orientation: portrait)").matches;
    this.arrange(this.kept.layout ?? firstLayout(series, slots, upright));
    if (areBreasts(series)) void this.hangBreasts();
    else this.hang(hang(this.panes.length, series, slots, first));
  }

  // --- panes ------------------------------------------------------------------------------

  private newPane(): Pane {
    const pane = new Pane(this);
    this.panes.push(pane);
    this.area.append(pane.element);
    this.sized.observe(pane.area);
    this.hands.set(pane, bindHand(pane.area, () => this.tool, makeHand(this, pane)));
    return pane;
  }

  private drop(pane: Pane): void {
    this.hands.get(pane)?.();
    this.hands.delete(pane);
    this.link.drop(pane);
    this.sized.unobserve(pane.area);
    pane.close();
    this.panes.splice(this.panes.indexOf(pane), 1);
  }

  /** So many panes as the layout has; what is in those that stay stays. */
  arrange(layout: Layout): void {
    this.endVolume();
    this.layout = layout;
    this.area.dataset["layout"] = layout;
    this.area.classList.toggle("breasts", layout !== "1x1" && areBreasts(this.main.series));
    while (this.panes.length > PANES[layout]) {
      const last = this.panes.filter((pane) => pane !== this.active).at(-1);
      if (last) this.drop(last);
    }
    while (this.panes.length < PANES[layout]) this.newPane();
  }

  /** Another layout by the reader's hand: new panes are filled with what comes next. */
  setLayout(layout: Layout): void {
    if (!this.begun) return;
    this.arrange(layout);
    const { series, slots } = this.main;
    this.kept.setLayout(layout);
    if (areBreasts(series) && layout !== "1x1") return void this.hangBreasts();
    const shown = this.panes.filter((pane) => pane.of === this.main).map((pane) => pane.series);
    const first = shown[0] ?? firstSeries(slots);
    const next = hang(PANES[layout] * 2, series, slots, first).filter(
      (hung) => hung.place !== null || !shown.includes(hung.series),
    );
    for (const pane of this.panes.filter((one) => one.of === null)) {
      const hung = next.shift();
      if (hung) pane.show({ of: this.main, series: hung.series, ...placed(hung.place) });
    }
    this.redraw();
  }

  /** R beside L: which is which stands in the data sets, so these come first. */
  private async hangBreasts(): Promise<void> {
    const { layout } = this;
    const hung = await breastsOf(this.main);
    if (layout === this.layout) this.hang(hung);
  }

  private hang(hung: readonly Hung[]): void {
    this.panes.forEach((pane, i) => {
      const one = hung[i];
      if (one) pane.show({ of: this.main, series: one.series, ...placed(one.place) });
    });
    this.redraw();
  }

  /** Another series in the active pane. */
  choose(index: number): void {
    const of = this.active.of ?? this.main;
    if (!of.series[index] || !this.arriving.isOpen) return;
    this.endVolume();
    this.cine.stop();
    this.link.drop(this.active);
    this.active.show({ of, series: index });
    this.redraw();
  }

  taken(pane: Pane): void {
    if (pane === this.active || !this.panes.includes(pane)) return;
    this.cine?.stop();
    this.active = pane;
    this.redraw();
    this.drawLines();
  }

  /** Nothing of a study in which another patient has been found may stay. */
  alien(): void {
    for (const pane of this.panes) pane.clear(h("span", { role: "alert" }, word("id.differs")));
  }

  inHand(pane: Pane): boolean {
    return pane === this.active;
  }

  isKey(slot: Slot): boolean {
    return this.kept.isKey(slot.sop, slot.frame);
  }

  drawn(pane: Pane): void {
    if (pane === this.active) {
      this.link.follow(this.panes, pane);
      this.drawBar();
    }
    this.drawLines();
    touch(this.panes, pane);
    const shown = pane.stack?.drawn();
    if (shown && pane.of) saw(pane.of.context.key, shown.slot, pane.slots());
    if (this.reported) return;
    this.reported = true;
    tellOpened(this.context);
  }

  drawLines(): void {
    const from = this.lines ? this.active.plane() : null;
    for (const pane of this.panes) {
      const plane = from && pane !== this.active ? pane.plane() : null;
      const line = plane && from && cut(plane, from);
      pane.layer?.reference(line ? [line] : []);
    }
  }

  // --- earlier studies --------------------------------------------------------------------

  /** P: the prior beside, or away again; Shift+P: the next older one. */
  async showPrior(next: boolean): Promise<void> {
    if (!this.begun) return;
    if (this.prior && !next) return this.endPrior();
    const { context } = this;
    if (this.priors.length === 0) this.priors = await priorsOf(context, this.possible);
    const now = this.priors.findIndex(({ key }) => key === this.prior?.context.key);
    const found = this.priors[(now + 1) % Math.max(1, this.priors.length)];
    if (!found) return this.active.overlay?.say(word("prior.none"));
    const study = await within(context, api.study(found.key, context.signal));
    const { confirmed } = found;
    if (confirmed !== null && !this.possible.linked().has(found.key)) return; // taken back meanwhile
    this.endPrior();
    const prior = new StudyData(beside(context, study, confirmed), true, () => undefined, confirmed && confirmed.display);
    this.prior = prior;
    if (this.panes.length < 2) this.arrange("1x2");
    const pane = this.panes.find((one) => one !== this.active) ?? this.active;
    const modality = this.active.modality();
    const alike = prior.series.findIndex(
      (series, i) => series.modality === modality && prior.at(i).length === this.active.slots().length,
    );
    const same = prior.series.findIndex((series) => series.modality === modality);
    const index = [alike, same, firstSeries(prior.slots)].find((found) => found >= 0);
    if (index !== undefined) pane.show({ of: prior, series: index });
    this.redraw();
  }

  /** What readers have said of identities has changed: what is not confirmed any more goes. */
  private identities(): void {
    this.priors = [];
    if (this.prior && this.prior.confirmed !== null && !this.possible.linked().has(this.prior.context.key)) this.endPrior();
  }

  private endPrior(): void {
    if (!this.prior) return;
    for (const pane of this.panes) if (pane.of === this.prior) pane.clear();
    this.prior = null; // its images go with the study's: the cache is one
    if (this.active.of === null) this.active = this.panes.find((pane) => pane.of) ?? this.active;
    this.redraw();
  }

  // --- what is kept -----------------------------------------------------------------------

  private restore(): void {
    this.main.book.load(this.kept.marks);
    for (const pane of this.panes) pane.redraw();
    if (this.begun && this.kept.layout && this.kept.layout !== this.layout) this.setLayout(this.kept.layout);
    this.drawBar();
  }

  private marked(of: StudyData): void {
    if (of === this.main) this.kept.setMarks(of.book.all);
    for (const pane of this.panes) pane.redraw();
  }

  // --- volume -----------------------------------------------------------------------------

  toggleVolume(): void {
    if (this.volume) return this.endVolume();
    const { of, series } = this.active;
    if (!of || !this.active.stack) return;
    this.cine.stop();
    this.volume = new VolumeView(of, series, this.active.stack.currentWindow(), this.active.stack.look(), () => this.endVolume());
    this.area.append(this.volume.element);
    this.area.classList.add("with-volume");
    this.drawBar();
  }

  private endVolume(): void {
    this.volume?.close();
    this.volume = null;
    this.area.classList.remove("with-volume");
    this.drawBar();
  }

  // --- drawing ----------------------------------------------------------------------------

  redraw(): void {
    this.frame.progress(progress(this.main.study));
    const { of, series } = this.active;
    const source = of ?? this.main;
    this.strip.draw(source.series, source.slots, of ? series : -1, (index, slot) => source.of(index).thumbnail(slot));
    const note = othersNote(source.study);
    if (note) this.strip.element.append(note);
    this.panes.forEach((pane) => {
      pane.element.classList.toggle("active", pane === this.active && this.panes.length > 1);
      pane.redraw();
    });
    this.drawBar();
  }

  drawBar(): void {
    const { active } = this;
    const drawn = active.stack?.drawn();
    this.tools?.draw({
      tool: this.tool,
      modality: active.modality(),
      window: active.stack?.currentWindow()?.name ?? "win.original",
      layout: this.layout,
      linked: this.link.mode !== "off",
      lines: this.lines,
      prior: this.prior !== null,
      key: drawn ? this.isKey(drawn.slot) : false,
      cine: this.cine?.running ?? false,
      volume: this.volume !== null,
      uptake: "factor" in (active.uptake() ?? {}),
    });
  }

  private shown(): Shown {
    if (!isCurrent(this.context)) return { kind: "radiology", ready: false };
    const { stack } = this.active;
    const drawn = stack?.drawn() ?? null;
    const window = stack?.renderedWindow() ?? null;
    return {
      kind: "radiology",
      ready: stack?.ready ?? false,
      series: this.active.of?.series[this.active.series]?.series_uid ?? null,
      sop: drawn?.slot.sop ?? null,
      frame: drawn?.slot.frame ?? null,
      place: drawn?.place ?? null,
      asked: stack?.place ?? null,
      width: window?.width ?? null,
      center: window?.center ?? null,
      scale: stack?.scale() ?? null,
      box: stack?.box() ?? null,
      processor: withoutGpu(),
      layout: this.layout,
      active: this.panes.indexOf(this.active),
      places: this.panes.map((pane) => pane.stack?.drawn()?.place ?? -1),
      scales: this.panes.map((pane) => pane.stack?.scale() ?? 0),
      linked: this.link.mode,
      marks: this.main.book.all.length,
      saved: this.kept.saved,
      held: held(),
      ...this.volume?.shown(),
    };
  }
}

const placed = (place: number | null): { place?: number } => (place === null ? {} : { place });

function progress(study: Study): HTMLElement {
  return h("span", { class: "study-line" }, h("span", {}, studyLine(study)), arrival(study));
}
