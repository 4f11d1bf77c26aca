/** What is asked of a study: in one line of the list, and opened beside the patient's name. */

import { h } from "./dom";
import type { Row } from "./types";
import { inLanguage, word } from "./words";

/** Marks that a list and a page must not be without: 過去画像, 依頼情報なし. */
export function requestMarks(row: Row): HTMLElement[] {
  if (row.prior) return [h("span", { class: "chip prior", "data-role": "prior" }, word("mark.prior"))];
  if (!row.requested) {
    return [h("span", { class: "chip unasked", "data-role": "unasked" }, word("mark.unasked"))];
  }
  return [];
}

const said = (row: Row, name: string): string => {
  const value = row.request?.[name];
  return typeof value === "string" ? value : "";
};

/** The question, who asks it, and where to telephone. */
export function wish(row: Row): HTMLElement[] {
  const [doctor, phone] = [said(row, "doctor"), said(row, "phone")];
  const text = said(row, "reason") || said(row, "clinical");
  const person = [doctor, phone ? `☎${phone}` : ""].filter(Boolean).join(" ");
  const form = row.request_forms.length > 0 ? [" ", word("request.form")] : [];
  return [
    h("div", {}, ...requestMarks(row), text),
    h("div", { class: "second" }, word(`purpose.${row.purpose}`), person ? ` ${person}` : "", ...form),
  ];
}

/** All that is asked, folded up; its summary is one word beside the patient. */
export function requestPanel(row: Row): HTMLElement {
  const marks = requestMarks(row);
  const items = row.request_items.flatMap((item) => [
    h("dt", {}, inLanguage() === "ja" ? item.ja : item.en),
    h("dd", { lang: "ja" }, item.text),
  ]);
  const forms = row.request_forms.map((address, place) =>
    h("a", { href: address, download: `request-form-${place + 1}.pdf` }, word("request.form.save", { n: place + 1 })),
  );
  if (items.length + forms.length === 0) return h("div", { class: "asked" }, ...marks);
  return h(
    "details",
    { class: "asked", "data-role": "request" },
    h("summary", {}, word("request.open"), ...marks),
    h(
      "div",
      { class: "asked-text" },
      h("p", {}, word(`prio.${row.priority}`), "  ", word(`purpose.${row.purpose}`)),
      h("dl", {}, ...items),
      ...forms,
    ),
  );
}
