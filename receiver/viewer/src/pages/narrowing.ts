/** The three choices that narrow the list: institution, kind, period. */

import { h } from "../dom";
import type { Row } from "../types";
import { word } from "../words";
import { kindOf, type Narrow } from "./rows";

export class Narrowing {
  readonly element: HTMLElement;
  private readonly institution = h("select", { id: "by-institution" });
  private readonly kind = h("select", { id: "by-kind" });
  private readonly period = h(
    "select",
    { id: "by-period" },
    h("option", { value: "0" }, word("filter.every")),
    h("option", { value: "1" }, word("filter.today")),
    h("option", { value: "7" }, word("filter.week")),
  );
  private offered = "";

  constructor(changed: () => void) {
    for (const one of [this.institution, this.kind, this.period]) one.addEventListener("change", changed);
    this.element = h(
      "div",
      { class: "narrowing", role: "group" },
      h("label", { for: "by-institution" }, word("filter.institution")),
      this.institution,
      h("label", { for: "by-kind" }, word("filter.kind")),
      this.kind,
      h("label", { for: "by-period" }, word("filter.period")),
      this.period,
    );
  }

  get narrow(): Narrow {
    return { institution: this.institution.value, kind: this.kind.value, days: Number(this.period.value) };
  }

  get narrowed(): boolean {
    return this.institution.value !== "" || this.kind.value !== "" || this.period.value !== "0";
  }

  clear(): void {
    this.institution.value = this.kind.value = "";
    this.period.value = "0";
  }

  /** Offer what the rows have. */
  offer(rows: readonly Row[]): void {
    const places = new Map(rows.map((row) => [row.institution.code, row.institution.name || row.institution.code]));
    const kinds = new Set(rows.map(kindOf).filter(Boolean));
    const print = JSON.stringify([[...places], [...kinds].sort()]);
    if (print === this.offered) return;
    this.offered = print;
    fill(this.institution, [...places]);
    fill(this.kind, [...kinds].sort().map((kind) => [kind, kind]));
  }
}

function fill(select: HTMLSelectElement, offered: readonly (readonly [string, string])[]): void {
  const chosen = select.value;
  select.replaceChildren(
    h("option", { value: "" }, word("filter.every")),
    ...offered.map(([value, text]) => h("option", { value }, text)),
  );
  select.value = chosen;
}
