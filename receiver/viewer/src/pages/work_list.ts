/** The work list: what has arrived and for whom it is urgent. Live, and never moving underhand. */

import * as api from "../api";
import { h, writing } from "../dom";
import * as events from "../events";
import { arrival, setTitle, studyLine, type Frame } from "../frame";
import { mismatchChip } from "../mismatch";
import { dashed, forms, sexWord, years } from "../names";
import { wish } from "../request";
import type { Row } from "../types";
import { inLanguage, onLanguage, say, word, type Word } from "../words";
import * as rows from "./rows";

export function showWorkList(frame: Frame, go: (path: string) => void): () => void {
  return new WorkList(frame, go).close;
}

class WorkList {
  private all = new Map<string, Row>();
  private order: rows.Merge = { shown: [], waiting: [] };
  private loaded = false;
  private filter: rows.Filter = "all";
  private sought = "";
  private pointerOn = false;
  private selected: string | null = null;
  private clockAhead = 0;
  private refreshing = 0;
  private readonly filters = h("nav", { class: "filters" });
  private readonly search = h("input", { type: "search", id: "search", autocomplete: "off" });
  private readonly fresh = h("button", { class: "fresh", type: "button", hidden: true });
  private readonly body = h("tbody");
  private readonly empty = h("p", { class: "empty", role: "status" });
  private readonly ends: (() => void)[];

  constructor(
    frame: Frame,
    private readonly go: (path: string) => void,
  ) {
    frame.stage.replaceChildren(this.page());
    const keys = (event: KeyboardEvent): void => this.key(event);
    document.addEventListener("keydown", keys);
    const ticking = window.setInterval(() => this.tick(), 15_000);
    this.ends = [
      events.listen({ study: () => this.soon() }),
      onLanguage(() => this.draw()),
      () => document.removeEventListener("keydown", keys),
      () => window.clearInterval(ticking),
    ];
    void this.refresh();
  }

  readonly close = (): void => {
    window.clearTimeout(this.refreshing);
    this.refreshing = -1;
    for (const end of this.ends) end();
    setTitle(0);
  };

  private page(): HTMLElement {
    const heads: [string, Word][] = [
      ["priority", "list.priority"],
      ["wait", "list.wait"],
      ["patient", "list.patient"],
      ["institution", "list.institution"],
      ["study", "list.study"],
      ["request", "list.request"],
      ["arrived", "list.arrived"],
      ["state", "list.state"],
    ];
    const label = h("label", { class: "search", for: "search" }, word("list.search"), this.search);
    this.search.addEventListener("input", () => {
      this.sought = this.search.value;
      this.draw();
    });
    this.fresh.addEventListener("click", () => this.takeIn());
    const table = h(
      "table",
      { class: "list" },
      h("thead", {}, h("tr", {}, ...heads.map(([name, text]) => h("th", { class: name, scope: "col" }, word(text))))),
      this.body,
    );
    this.body.addEventListener("pointerenter", () => (this.pointerOn = true));
    this.body.addEventListener("pointerleave", () => {
      this.pointerOn = false;
      if (!this.held()) this.takeIn();
    });
    return h(
      "section",
      { class: "work-list" },
      // beside the filters: a bar of its own would push the list down under the reader's hand
      h("div", { class: "list-tools" }, this.filters, this.fresh, label),
      h("div", { class: "list-scroll" }, table, this.empty),
      h("footer", { class: "keys" }, word("list.keys")),
    );
  }

  /** True while the reader's hand is on the list: pointer over it or a row chosen by key. */
  private held(): boolean {
    return this.pointerOn || this.body.contains(document.activeElement);
  }

  private soon(): void {
    if (this.refreshing !== 0) return;
    this.refreshing = window.setTimeout(() => {
      this.refreshing = 0;
      void this.refresh();
    }, 150);
  }

  private async refresh(): Promise<void> {
    const answer = await api.worklist().catch(() => null);
    if (this.refreshing === -1) return;
    if (answer === null) {
      // no list is not an empty list: ask again; the watch bar speaks when this lasts
      this.refreshing = window.setTimeout(() => {
        this.refreshing = 0;
        void this.refresh();
      }, 2000);
      return;
    }
    this.clockAhead = Date.parse(answer.server_time) - Date.now() || 0;
    this.all = new Map(answer.rows.map((row) => [row.key, row]));
    this.order = rows.merge(this.order.shown, [...this.all.keys()], this.held());
    if (!this.loaded) warm();
    this.loaded = true;
    this.draw();
  }

  private takeIn(): void {
    if (this.order.waiting.length === 0) return;
    this.order = { shown: [...this.all.keys()], waiting: [] };
    this.draw();
  }

  private visible(): Row[] {
    return this.order.shown
      .map((key) => this.all.get(key))
      .filter((row): row is Row => row !== undefined)
      .filter((row) => rows.passes(row, this.filter) && rows.matches(row, this.sought));
  }

  private draw(): void {
    const everything = [...this.all.values()];
    const counted = rows.counts(everything);
    this.filters.replaceChildren(...rows.FILTERS.map((name) => this.filterButton(name, counted[name])));
    const visible = this.visible();
    const old = new Map([...this.body.children].map((row) => [(row as HTMLElement).dataset.key, row]));
    const focus = (document.activeElement as HTMLElement | null)?.dataset?.key ?? null;
    const next = visible.map((row) => this.fill(old.get(row.key) as HTMLElement | undefined, row));
    const same = next.length === this.body.children.length && next.every((row, i) => row === this.body.children[i]);
    if (!same) this.body.replaceChildren(...next);
    if (!same && focus) this.select(focus);
    this.drawFresh();
    this.drawEmpty(visible.length);
    setTitle(everything.filter((row) => rows.passes(row, "urgent") && rows.isUnopened(row)).length);
  }

  private filterButton(name: rows.Filter, count: number): HTMLElement {
    const button = h(
      "button",
      { type: "button", class: `filter ${name}`, "aria-pressed": String(this.filter === name) },
      word(`filter.${name}`),
      h("b", {}, count),
    );
    button.addEventListener("click", () => {
      this.filter = name;
      this.draw();
    });
    return button;
  }

  private drawFresh(): void {
    const waiting = this.order.waiting;
    this.fresh.hidden = waiting.length === 0;
    const urgent = waiting.some((key) => this.all.get(key)?.priority === "urgent");
    this.fresh.classList.toggle("inverse", urgent);
    this.fresh.replaceChildren(urgent ? "▲▲ " : "", word("list.new", { n: waiting.length }));
  }

  private drawEmpty(count: number): void {
    const narrowed = this.filter !== "all" || this.sought !== "";
    this.empty.hidden = count > 0 || !this.loaded;
    if (this.empty.hidden) return;
    const clear = h("button", { type: "button" }, word("empty.clear"));
    clear.addEventListener("click", () => {
      this.filter = "all";
      this.sought = this.search.value = "";
      this.draw();
    });
    this.empty.replaceChildren(
      ...(narrowed ? [word("empty.filter"), " ", clear] : [word("empty.list")]),
    );
  }

  private fill(existing: HTMLElement | undefined, row: Row): HTMLElement {
    const element = existing ?? h("tr", { tabindex: "-1" });
    if (!existing) {
      element.dataset.key = row.key;
      element.addEventListener("click", () => this.open(row.key));
      element.addEventListener("focus", () => (this.selected = row.key));
    }
    const print = JSON.stringify([row, inLanguage()]);
    if (printed.get(element) === print) return element;
    printed.set(element, print);
    element.className = `row ${row.priority} ${rows.isUnopened(row) ? "unopened" : ""}`;
    element.replaceChildren(...cells(row, this.now()));
    return element;
  }

  private now(): number {
    return Date.now() + this.clockAhead;
  }

  private tick(): void {
    for (const element of this.body.children as unknown as HTMLElement[]) {
      const row = this.all.get(element.dataset.key ?? "");
      const cell = element.querySelector(".wait");
      if (row && cell) cell.textContent = rows.waited(row.arrived_at, this.now());
    }
  }

  private open(key: string): void {
    this.go(`/study/${key}`);
  }

  private select(key: string): void {
    const element = [...this.body.children].find((row) => (row as HTMLElement).dataset.key === key);
    (element as HTMLElement | undefined)?.focus();
  }

  private key(event: KeyboardEvent): void {
    if (event.code === "Escape" && event.target === this.search) this.search.blur();
    if (writing(event) || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.code === "Slash") {
      event.preventDefault();
      this.search.focus();
    } else if (event.code === "KeyN") this.takeIn();
    else if (event.code === "Enter" && this.selected && this.body.contains(document.activeElement)) {
      event.preventDefault();
      this.open(this.selected);
    } else if (event.code === "ArrowDown" || event.code === "ArrowUp") {
      event.preventDefault();
      this.step(event.code === "ArrowDown" ? 1 : -1);
    }
  }

  private step(by: number): void {
    const keys = this.visible().map((row) => row.key);
    const focused = this.body.contains(document.activeElement);
    const at = focused && this.selected ? keys.indexOf(this.selected) : by > 0 ? -1 : keys.length;
    const next = keys[Math.min(keys.length - 1, Math.max(0, at + by))];
    if (next) this.select(next);
  }
}

/** Fetch the viewers' code while the reader looks at the list: the first image waits for less. */
function warm(): void {
  const load = (): void => {
    void import("../radiology/view").then(({ warmUp }) => warmUp());
    void import("../slide/view");
  };
  if ("requestIdleCallback" in window) window.requestIdleCallback(load, { timeout: 2000 });
  else globalThis.setTimeout(load, 500);
}

const printed = new WeakMap<HTMLElement, string>();

function cells(row: Row, now: number): HTMLElement[] {
  const marks = { urgent: "▲▲", soon: "▲", routine: "" }[row.priority];
  return [
    h("td", { class: `priority ${row.priority}` }, h("b", {}, marks), word(`prio.${row.priority}`)),
    h("td", { class: "wait" }, rows.waited(row.arrived_at, now)),
    h("td", { class: "patient", lang: "ja" }, ...patient(row)),
    h("td", { class: "institution" }, row.institution.name || row.institution.code),
    h("td", { class: "study" }, ...study(row)),
    h("td", { class: "request" }, ...wish(row)),
    h("td", { class: "arrived" }, arrival(row)),
    h("td", { class: `state ${row.state}` }, ...state(row)),
  ];
}

function patient(row: Row): HTMLElement[] {
  const person = row.patient;
  const name = forms(person);
  const age = years(person.age, person.birth_date, row.study_date);
  const first: (Node | string)[] = [
    h("b", { class: "name" }, name.main || word("mark.noname")),
    word(sexWord(person.sex)),
    " ",
    ...(age === null ? [] : [word("age.years", { n: age }), " "]),
    dashed(person.birth_date),
  ];
  if (row.test) first.push(" ", h("span", { class: "chip test" }, word("mark.test")));
  first.push(...mismatchChip(person));
  if (person.guessed) {
    first.push(" ", h("span", { class: "chip", title: say("id.guess") }, word("mark.guess")));
  }
  if (row.burned_in) {
    const sure = row.burned_in === "burned-in";
    const title = say(sure ? "id.burned" : "id.maybe_burned");
    first.push(" ", h("span", { class: "chip", title }, word(sure ? "mark.burned" : "mark.maybe_burned")));
  }
  return [
    h("div", {}, ...first),
    h(
      "div",
      { class: "second" },
      ...[name.second, name.third, `ID ${person.id ?? ""}`]
        .filter(Boolean)
        .map((part) => h("span", { class: "part" }, part)),
    ),
  ];
}

function study(row: Row): HTMLElement[] {
  const [line, date] = [studyLine({ ...row, study_date: null, study_time: null }), dashed(row.study_date)];
  return [h("div", {}, line), h("div", { class: "second" }, date, " ", row.body_part ?? "")];
}

function state(row: Row): HTMLElement[] {
  const official = inLanguage() === "ja" ? row.state_ja : row.state_en;
  const withdrawn = row.request?.["withdrawn"] as { reason?: unknown } | undefined;
  if (typeof withdrawn?.reason === "string") {
    const why = word("mark.withdrawn", { r: withdrawn.reason });
    return [h("div", {}, `${rows.glyph(row.state)} `, why)];
  }
  const damaged = row.damaged
    ? [h("div", { "data-role": "damaged" }, "▲ ", word("count.damaged", { n: row.damaged }))]
    : [];
  if (!rows.waitsForReader(row)) {
    return [h("div", {}, `${rows.glyph(row.state)} ${official}`), ...damaged];
  }
  return [
    h("div", {}, "○ ", word("state.unopened")),
    h("div", { class: "second" }, official),
    ...damaged,
  ];
}
