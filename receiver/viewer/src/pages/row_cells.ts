/** The cells of one row of the work list. */

import { h } from "../dom";
import { forwardChip } from "../forward";
import { arrival, localTime, studyLine } from "../frame";
import { mismatchChip } from "../mismatch";
import { dashed, forms, sexWord, years } from "../names";
import { wish } from "../request";
import type { Row } from "../types";
import { inLanguage, say, word } from "../words";
import * as rows from "./rows";

/** Its source changed, and what it is now was taken as another transfer. */
const SENT_ANEW = "E-2108";

export function cells(row: Row, now: number): HTMLElement[] {
  const marks = { urgent: "▲▲", soon: "▲", routine: "" }[row.priority];
  return [
    h("td", { class: `priority ${row.priority}` }, h("b", {}, marks), word(`prio.${row.priority}`)),
    h("td", { class: "wait" }, rows.waited(row.arrived_at, now)),
    h("td", { class: "patient", lang: "ja" }, ...patient(row)),
    h("td", { class: "sex" }, ...who(row)),
    h("td", { class: "birth" }, dashed(row.patient.birth_date)),
    h("td", { class: "pid" }, row.patient.id ?? ""),
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
  const first: (Node | string)[] = [
    h("b", { class: "name" }, name.main || word("mark.noname")),
  ];
  if (row.intraoperative) {
    first.push(" ", h("span", { class: "chip intraoperative" }, word("list.intraoperative")));
  }
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
      ...[name.second, name.third]
        .filter(Boolean)
        .map((part) => h("span", { class: "part" }, part)),
    ),
  ];
}

function study(row: Row): HTMLElement[] {
  const [line, date] = [studyLine({ ...row, study_date: null, study_time: null }), dashed(row.study_date)];
  const second: (Node | string)[] = [date, " ", row.body_part ?? ""];
  if (row.encoded_again) {
    const as = row.encoded_again === "lossy" ? "slide.recoded" : "slide.reencoded";
    second.push(" ", h("span", { class: "chip", "data-role": "reencoded" }, word(as)));
  }
  return [h("div", {}, line), h("div", { class: "second" }, ...second)];
}

function who(row: Row): (Node | string)[] {
  const age = years(row.patient.age, row.patient.birth_date, row.study_date);
  return [word(sexWord(row.patient.sex)), ...(age === null ? [] : [" ", word("age.years", { n: age })])];
}

/** What its sender took back: of what is shown, and of what was handed on. */
function recalledChips(row: Row): HTMLElement[] {
  const chips: HTMLElement[] = [];
  const handed = row.recalled_at_targets ?? [];
  if (row.recalled && handed.length === 0) {
    const words = word("recalled.some", { n: row.recalled.images, r: row.recalled.reason });
    chips.push(h("div", { "data-role": "recalled" }, h("span", { class: "chip recalled" }, "⊘ ", words)));
  }
  for (const one of handed) {
    const words = word("recalled.at", { t: one.target, n: one.instances });
    const title = [say("recalled.tosettle", { n: one.instances, t: one.target }), row.recalled?.reason].filter(Boolean).join(" ");
    chips.push(h("div", { "data-role": "recalled-at", title }, h("span", { class: "chip at-target" }, "▲▲ ", words)));
  }
  return chips;
}

/** State: of its readers where there is one, and of its transfer below it. */
function state(row: Row): HTMLElement[] {
  const official = inLanguage() === "ja" ? row.state_ja : row.state_en;
  const withdrawn = row.request?.["withdrawn"] as { reason?: unknown } | undefined;
  if (typeof withdrawn?.reason === "string") {
    const why = word("mark.withdrawn", { r: withdrawn.reason });
    return [h("div", {}, `${rows.glyph(row.state)} `, why)];
  }
  const marks: HTMLElement[] = [];
  if (row.damaged) {
    marks.push(h("div", { "data-role": "damaged" }, "▲ ", word("count.damaged", { n: row.damaged })));
  }
  if (row.state === "held") {
    const stopped = row.request?.["stopped"] as { number?: unknown } | undefined;
    const number = typeof stopped?.number === "string" ? stopped.number : "";
    const said = number === SENT_ANEW ? "list.again" : "list.stopped";
    marks.push(h("div", { class: "second", "data-role": "stopped" }, word(said, { n: number })));
  }
  const { reading } = row;
  if (reading.late) {
    const late = word("list.late", { n: reading.late });
    marks.push(h("div", { "data-role": "late" }, h("span", { class: "chip late" }, late)));
  }
  if (row.alarm) {
    const waits = word("list.escalated", { n: row.alarm.minutes });
    marks.push(h("div", {}, h("span", { class: "chip escalated" }, "▲▲ ", waits)));
  }
  const taken = recalledChips(row);
  marks.push(...taken, ...(row.recalled_at_targets?.length ? [] : forwardChip(row)));
  if (row.state === "recalled") return [h("div", {}, `${rows.glyph(row.state)} ${official}`), ...marks];
  if (row.queries) marks.push(h("div", { class: "second" }, "? ", word("list.queries", { n: row.queries })));
  if (reading.state === "unopened") {
    if (row.state === "announced") return [h("div", {}, "◌ ", official), ...marks];
    if (!rows.waitsForReader(row) && !reading.late) {
      return [h("div", {}, `${rows.glyph(row.state)} ${official}`), ...marks];
    }
    // a row keeps its height: what came after 完了 stands where the transfer's state would
    const below = marks.length > 0 ? [] : [h("div", { class: "second" }, official)];
    return [h("div", {}, "○ ", word("state.unopened")), ...below, ...marks];
  }
  const word_ = inLanguage() === "ja" ? reading.state_ja : reading.state_en;
  const by = [reading.display, reading.at ? localTime(reading.at).replace(/:\d\d$/, "") : ""].filter(Boolean).join(" ");
  return [h("div", {}, `${rows.glyph(reading.state)} ${word_}`), h("div", { class: "second" }, by), ...marks];
}
