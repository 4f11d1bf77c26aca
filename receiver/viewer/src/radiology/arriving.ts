/** What is said while images arrive: the question before an incomplete study, and its bar. */

import { h } from "../dom";
import { hereAt } from "../events";
import { localTime } from "../frame";
import type { Study } from "../types";
import { say, word } from "../words";
import { left } from "./left";

const STALL_MS = 60_000;
/** Studies that this reader has chosen to see incomplete (opaque keys, until the page is left). */
const taken = new Set<string>();

const mine = (reader: string, row: Study): string => `${reader} ${row.key}`;

export const accepted = (reader: string, row: Study): boolean => taken.has(mine(reader, row));
export const accept = (reader: string, row: Study): void => void taken.add(mine(reader, row));

type Gate = "open" | "ask" | "wait";

export class Arriving {
  /** Over the picture: the question. */
  readonly panel = h("div", { class: "ask", role: "dialog", hidden: true });
  /** Above the picture: a bar that cannot be closed. */
  readonly bar = h("div", { class: "bar", role: "status", hidden: true });
  private gate: Gate;
  /** When an image came last, on this machine's clock. */
  private grownAt: number;
  private row: Study;
  private readonly from: { readonly at: number; readonly arrived: number };

  constructor(
    row: Study,
    private readonly reader: string,
    private readonly opened: () => void,
    /** Tells the receiver that the reader has chosen to see what is here. */
    private readonly told: () => void,
  ) {
    this.row = row;
    this.grownAt = arrivedAt(row);
    this.from = { at: Date.now(), arrived: row.arrived };
    this.gate = complete(row) || accepted(reader, row) ? "open" : "ask";
    this.draw();
  }

  get isOpen(): boolean {
    return this.gate === "open";
  }

  update(row: Study): void {
    this.grownAt = row.arrived === this.row.arrived ? arrivedAt(row) : Date.now();
    this.row = row;
    if (this.gate !== "open" && complete(row)) this.open();
    this.draw();
  }

  /** Called now and then, since silence brings no event. */
  draw(): void {
    const { arrived: a, expected: e } = this.row;
    const unfinished = !complete(this.row);
    // what its sender has stopped is not on its way
    const stalled = unfinished && (this.row.state === "held" || Date.now() - this.grownAt > STALL_MS);
    this.panel.hidden = this.gate === "open";
    this.panel.setAttribute("aria-label", say("part.title"));
    if (!this.panel.hidden) this.panel.replaceChildren(...this.question(stalled));
    this.bar.hidden = this.gate !== "open" || (e !== null && !unfinished);
    this.bar.classList.toggle("inverse", stalled);
    if (e === null) this.bar.replaceChildren("▲ ", word("part.unknown"));
    else if (stalled) this.bar.replaceChildren("▲ ", ...this.stalled());
    else this.bar.replaceChildren("▲ ", word("part.bar", { a, e }), ...this.damaged());
  }

  private question(stalled: boolean): Node[] {
    const { arrived: a, damaged, expected } = this.row;
    const again = damaged > 0 && expected !== null && a + damaged >= expected; // nothing is on its way
    const said = h("p", {}, word(again ? "part.again" : "part.arriving", { a, e: expected ?? "?" }));
    const see = h("button", { type: "button", class: "main", "data-role": "view-incomplete" }, word("part.ask"));
    see.addEventListener("click", () => this.accept());
    if (stalled) said.replaceChildren(...this.stalled());
    else said.append(...this.left(again), ...this.damaged());
    if (this.gate === "wait") return [said, h("p", {}, word("part.waiting")), see];
    const wait = h("button", { type: "button", "data-role": "wait" }, word("part.wait"));
    wait.addEventListener("click", () => {
      this.gate = "wait";
      this.draw();
    });
    return [said, h("div", { class: "choices" }, see, wait)];
  }

  private left(again: boolean): Node[] {
    const { arrived, expected } = this.row;
    const t = again ? "" : left(this.from, { at: Date.now(), arrived }, expected);
    return t ? [document.createTextNode(" "), word("part.left", { t })] : [];
  }

  /** What was here and is damaged: it does not arrive, it is asked for again. */
  private damaged(): Node[] {
    const { damaged } = this.row;
    return damaged ? [document.createTextNode(" "), word("count.damaged", { n: damaged })] : [];
  }

  private stalled(): Node[] {
    const phone = this.row.request?.["phone"];
    const last = this.row.last_arrived_at;
    const time = last ? localTime(last) : "—";
    const stopped = this.row.request?.["stopped"] as { number?: unknown } | undefined;
    const why = this.row.state === "held" ? [" ", word("list.stopped", { n: String(stopped?.number ?? "") })] : [];
    const end = typeof phone === "string" ? ` ☎${phone}` : "";
    const whom = document.createTextNode(` ${this.row.institution.name}${end}`);
    return [word("part.stalled", { t: time }), ...why.map((one) => (typeof one === "string" ? document.createTextNode(one) : one)), whom, ...this.damaged()];
  }

  private accept(): void {
    accept(this.reader, this.row);
    this.told();
    this.open();
    this.draw();
  }

  private open(): void {
    this.gate = "open";
    this.opened();
  }
}

/** An unknown expected number is never "complete", but there is nothing to wait for either. */
export function complete(row: Study): boolean {
  return row.expected === null || row.arrived >= row.expected;
}

/** When an image came last, or the study was opened, on this machine's clock. */
const arrivedAt = (row: Study): number => hereAt(row.last_arrived_at ?? row.arrived_at);
