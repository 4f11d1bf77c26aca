/** The work list: what has arrived and for whom it is urgent. Live, and never moving underhand. */

import * as api from "../api";
import { h, writing } from "../dom";
import * as events from "../events";
import * as calling from "../calling";
import { localTime, type Frame } from "../frame";
import { forward } from "../forward";
import { claim, finish, query, refusalOf } from "../reading";
import { speak } from "../spoken";
import type { Call, Row } from "../types";
import { inLanguage, onLanguage, say, word, type Word } from "../words";
import { showKeys } from "./list_keys";
import { Narrowing } from "./narrowing";
import { cells } from "./row_cells";
import * as rows from "./rows";

export function showWorkList(frame: Frame, go: (path: string) => void): () => void {
  return new WorkList(frame, go).close;
}

class WorkList {
  private all = new Map<string, Row>();
  private order: rows.Merge = { shown: [], waiting: [] };
  private loaded = false;
  /** When a study came last, over all that are known. */
  private lastArrival = "";
  private filter: rows.Filter = "all";
  private sought = "";
  private pointerOn = false;
  private selected: string | null = null;
  private clockAhead = 0;
  private refreshing = 0;
  private readonly narrowing = new Narrowing(() => this.draw());
  private readonly calling = calling.button(this);
  private readonly said = h("p", { class: "said", role: "alert" });
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
    calling.quiet(this);
    events.hasList(null);
    speak("polite", "");
  };

  private page(): HTMLElement {
    const heads: [string, Word][] = [
      ["priority", "list.priority"],
      ["wait", "list.wait"],
      ["patient", "list.patient"],
      ["sex", "list.sex"],
      ["birth", "list.birth"],
      ["pid", "list.pid"],
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
      h("div", { class: "list-tools" }, this.filters, this.calling, this.fresh, this.narrowing.element, label),
      h("div", { class: "list-scroll" }, table, this.empty),
      h("footer", { class: "keys" }, word("list.actions"), this.said),
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
    events.asksList();
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
    events.hasList(answer.server_time);
    this.clockAhead = Date.parse(answer.server_time) - Date.now() || 0;
    this.all = new Map(answer.rows.map((row) => [row.key, row]));
    const last = answer.rows.map((row) => row.arrived_at ?? "").sort().at(-1);
    this.lastArrival = last ? when(last) : "";
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
      .filter((row) => rows.passes(row, this.filter) && rows.matches(row, this.sought))
      .filter((row) => rows.within(row, this.narrowing.narrow, this.now()));
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
    this.narrowing.offer(everything);
    if (!this.loaded) return;
    const urgent = everything.filter((row) => rows.passes(row, "urgent") && rows.isUnopened(row));
    calling.call(this, urgent.map(callOf));
  }

  private step_(what: (row: Row) => Promise<void>): void {
    const row = this.selected ? this.all.get(this.selected) : undefined;
    if (!row || !this.body.contains(document.activeElement)) return;
    this.said.textContent = "";
    what(row)
      .then(() => this.soon())
      .catch((error: unknown) => (this.said.textContent = refusalOf(error) || say("net.lost")));
  }

  private filterButton(name: rows.Filter, count: number): HTMLElement {
    const button = h(
      "button",
      { type: "button", class: `filter ${name === "reading" ? "of-readers" : name}`, "aria-pressed": String(this.filter === name) },
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
    speak("polite", waiting.length > 0 ? say("list.new", { n: waiting.length }) : "");
  }

  private drawEmpty(count: number): void {
    const narrowed = this.filter !== "all" || this.sought !== "" || this.narrowing.narrowed;
    this.empty.hidden = count > 0 || !this.loaded;
    if (this.empty.hidden) return;
    const clear = h("button", { type: "button" }, word("empty.clear"));
    clear.addEventListener("click", () => {
      this.filter = "all";
      this.sought = this.search.value = "";
      this.narrowing.clear();
      this.draw();
    });
    this.empty.replaceChildren(
      ...(narrowed ? [word("empty.filter"), " ", clear] : [word("empty.list")]),
      ...(this.lastArrival ? [" ", word("empty.last", { t: this.lastArrival })] : []),
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
    element.className = `row ${row.priority} ${rows.isUnopened(row) ? "unopened" : ""} ${row.state === "announced" ? "announced" : ""}`;
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
    const row = this.all.get(key);
    // nothing of it is shown any more: what there is to do is at the target
    if (row?.state === "recalled" && row.recalled_at_targets?.length) void forward(row);
    else this.go(`/study/${key}`);
  }

  private select(key: string): void {
    const element = [...this.body.children].find((row) => (row as HTMLElement).dataset.key === key);
    (element as HTMLElement | undefined)?.focus();
  }

  private key(event: KeyboardEvent): void {
    if (event.code === "Escape" && event.target === this.search) this.search.blur();
    if (writing(event) || event.ctrlKey || event.altKey || event.metaKey) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.shiftKey) {
      this.shifted(event);
      return;
    }
    if (event.code === "Slash") {
      event.preventDefault();
      this.search.focus();
    } else if (event.code === "KeyN") this.takeIn();
    else if (event.code === "KeyQ") calling.confirm();
    else if (event.code === "ArrowLeft" || event.code === "ArrowRight") this.turn(event.code === "ArrowRight" ? 1 : -1);
    else if (event.code === "Enter" && this.selected && this.body.contains(document.activeElement)) {
      event.preventDefault();
      this.open(this.selected);
    } else if (event.code === "ArrowDown" || event.code === "ArrowUp") {
      event.preventDefault();
      this.step(event.code === "ArrowDown" ? 1 : -1);
    }
  }

  /** What changes a study takes two keys, never one. */
  private shifted(event: KeyboardEvent): void {
    const act = { KeyT: claim, KeyC: (row: Row) => query(row), KeyF: forward, Enter: (row: Row) => finish(row, () => this.soon()) }[event.code];
    if (act) {
      event.preventDefault();
      this.step_(act);
    } else if (event.code === "Slash" || event.key === "?") showKeys();
  }

  private turn(by: number): void {
    const count = rows.FILTERS.length;
    this.filter = rows.FILTERS[(rows.FILTERS.indexOf(this.filter) + by + count) % count] ?? "all";
    this.draw();
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
    // what does not come now is asked for again when a study is opened
    import("../radiology/view").then(({ warmUp }) => warmUp()).catch(() => undefined);
    import("../slide/view").catch(() => undefined);
  };
  if ("requestIdleCallback" in window) window.requestIdleCallback(load, { timeout: 2000 });
  else globalThis.setTimeout(load, 500);
}

/** Hours and minutes of today; of another day with its date. */
function when(iso: string): string {
  const time = localTime(iso).replace(/:\d\d$/, "");
  const day = new Date(iso);
  return day.toDateString() === new Date().toDateString() ? time : `${day.toLocaleDateString("sv-SE")} ${time}`;
}

const callOf = (row: Row): Call => ({
  key: row.key,
  arrived_at: row.arrived_at,
  late: row.reading.late,
  step: row.alarm?.step ?? 0,
});

const printed = new WeakMap<HTMLElement, string>();
