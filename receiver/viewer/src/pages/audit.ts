/** The auditor's page: the trail filtered, checked for tampering, signed off, saved. No images. */

import { request } from "../api";
import { h } from "../dom";
import type { Frame } from "../frame";
import { inLanguage, onLanguage, say, type Word, word } from "../words";
import { FACTS, FACT_VALUES } from "../words/pages";

type Line = Record<string, unknown> & { at: string; event: string; ja: string; en: string };
interface Found {
  rows: Line[];
  count: number;
  signed_off: Line | null;
}
interface Report {
  lines: number;
  heads: number;
  unsigned: number;
  findings: { ja: string; en: string }[];
}

const SHOWN = new Set(["at", "event", "ja", "en", "id", "n", "process", "user", "by", "operator", "address", "outcome"]);
const OUTCOMES: Record<string, Word> = {
  ok: "audit.ok",
  refused: "audit.refused",
  failed: "audit.failed",
  disagrees: "audit.disagrees",
};

async function post(path: string, body: unknown): Promise<Response> {
  return request(path, {
    method: "POST",
    headers: { "X-Todoke": "1", "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

export function showAudit(frame: Frame): () => void {
  const field = (name: string, type = "text"): HTMLInputElement =>
    h("input", { id: `audit-${name}`, name, type, autocomplete: "off" });
  const since = field("since", "date");
  const until = field("until", "date");
  const user = field("user");
  const study = field("study");
  const partner = field("partner");
  const event = h("select", { id: "audit-event", name: "event" });
  const remark = field("remark");
  const said = h("p", { class: "audit-said", role: "status" });
  const last = h("p", { class: "audit-last" });
  const count = h("p", { class: "audit-count", "data-role": "audit-count" });
  const body = h("tbody", {});
  let names: Record<string, [string, string]> = {};
  let found: Found | null = null;

  const asked = (): Record<string, string> => ({
    since: since.value,
    until: until.value,
    user: user.value,
    event: event.value,
    study: study.value,
    partner: partner.value,
  });
  const draw = (): void => {
    const japanese = inLanguage() === "ja";
    const chosen = event.value;
    event.replaceChildren(
      h("option", { value: "" }, say("audit.every")),
      ...Object.entries(names).map(([name, words]) => h("option", { value: name }, words[japanese ? 0 : 1])),
    );
    event.value = chosen;
    if (found === null) return;
    count.replaceChildren(word("audit.count", { n: found.count, m: found.rows.length }));
    const signed = found.signed_off;
    last.replaceChildren(
      signed
        ? word("audit.last", {
            t: time(signed.at),
            u: person(signed),
            f: String(signed.from),
            e: String(signed.to),
            n: String(signed.lines),
          })
        : word("audit.never"),
    );
    body.replaceChildren(...found.rows.map((line) => row(line, japanese)));
    if (found.rows.length === 0) count.replaceChildren(word("audit.nothing"));
  };
  const search = async (): Promise<void> => {
    found = (await (await post("/api/audit/search", asked())).json()) as Found;
    draw();
  };
  const verify = async (): Promise<void> => {
    const report = (await (await post("/api/audit/verify", {})).json()) as Report;
    const amiss = report.findings.length;
    said.classList.toggle("alarm", amiss > 0);
    said.classList.toggle("unsure", amiss === 0 && report.heads === 0);
    said.replaceChildren(
      amiss ? word("audit.amiss", { n: amiss }) : checked(report),
      ...report.findings.map((one) => h("span", { class: "finding" }, inLanguage() === "ja" ? one.ja : one.en)),
    );
  };
  const sign = async (): Promise<void> => {
    said.classList.remove("alarm", "unsure");
    if (!since.value || !until.value) {
      said.replaceChildren(word("audit.period"));
      since.focus();
      return;
    }
    const answer = await post("/api/audit/sign-off", { ...asked(), remark: remark.value });
    const done = (await answer.json()) as { lines: number };
    said.replaceChildren(word("audit.signed", { n: done.lines }));
    await search();
  };
  const save = async (): Promise<void> => {
    const address = URL.createObjectURL(await (await post("/api/audit/save", asked())).blob());
    h("a", { href: address, download: "audit.jsonl" }).click();
    URL.revokeObjectURL(address);
  };
  const act = (what: () => Promise<void>) => (event: Event) => {
    event.preventDefault();
    what().catch((error: unknown) => {
      said.classList.add("alarm");
      const words = error as { ja?: string; en?: string };
      said.replaceChildren((inLanguage() === "ja" ? words.ja : words.en) || say("net.lost"));
    });
  };
  const labelled = (name: Word, control: HTMLElement): HTMLElement =>
    h("label", { for: control.id }, word(name), control);
  frame.stage.replaceChildren(
    h(
      "section",
      { class: "audit" },
      h("h1", {}, word("audit.title")),
      h(
        "form",
        { class: "audit-filter", onsubmit: act(search) },
        labelled("audit.since", since),
        labelled("audit.until", until),
        labelled("audit.user", user),
        labelled("audit.event", event),
        labelled("audit.study", study),
        labelled("audit.partner", partner),
        h("button", { class: "main", type: "submit" }, word("audit.show")),
        h("button", { type: "button", onclick: act(save) }, word("audit.save")),
        h("button", { type: "button", onclick: act(verify) }, word("audit.verify")),
      ),
      h(
        "form",
        { class: "audit-sign", onsubmit: act(sign) },
        last,
        labelled("audit.remark", remark),
        h("button", { type: "submit" }, word("audit.signoff")),
      ),
      said,
      count,
      h(
        "div",
        { class: "audit-lines", tabindex: "0" },
        h(
          "table",
          {},
          h("thead", {}, h("tr", {}, ...HEADS.map((name) => h("th", { scope: "col" }, word(name))))),
          body,
        ),
      ),
    ),
  );
  const begin = async (): Promise<void> => {
    names = ((await (await request("/api/audit/events")).json()) as { events: typeof names }).events;
    await search();
  };
  act(begin)(new Event("begin"));
  return onLanguage(draw);
}

const HEADS: Word[] = ["audit.time", "audit.user", "audit.event", "audit.outcome", "audit.address", "audit.details"];

function row(line: Line, japanese: boolean): HTMLElement {
  const outcome = OUTCOMES[String(line.outcome ?? "ok")];
  const bad = line.outcome !== undefined && line.outcome !== "ok";
  return h(
    "tr",
    { class: bad ? "bad" : "", "data-event": line.event },
    h("td", {}, time(line.at)),
    h("td", {}, person(line)),
    h("td", {}, japanese ? line.ja : line.en),
    h("td", {}, line.outcome === undefined ? "" : outcome ? word(outcome) : String(line.outcome)),
    h("td", {}, String(line.address ?? "")),
    h("td", { class: "details" }, details(line, japanese)),
  );
}

function person(line: Line): string {
  return String(line.user ?? line.by ?? line.operator ?? "");
}

function time(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? iso : date.toLocaleString("ja-JP", { hour12: false });
}

/** What is not in a column of its own: each fact by its name in the reader's language. */
function details(line: Line, japanese: boolean): HTMLElement {
  const side = japanese ? 0 : 1;
  const told = (value: unknown): string => {
    if (Array.isArray(value)) return value.map(told).join("、");
    if (typeof value === "object" && value !== null) {
      return Object.entries(value)
        .map(([key, inner]) => `${FACTS[key]?.[side] ?? key} ${told(inner)}`)
        .join("、");
    }
    const text = String(value);
    return FACT_VALUES[text]?.[side] ?? text;
  };
  const facts = Object.entries(line).filter(([key, value]) => {
    const nothing = value === null || value === "" || (Array.isArray(value) && value.length === 0);
    return !SHOWN.has(key) && !nothing;
  });
  return h(
    "dl",
    {},
    ...facts.map(([key, value]) => h("div", {}, h("dt", {}, FACTS[key]?.[side] ?? key), h("dd", {}, told(value)))),
  );
}

/** Never more than was checked: without a signed head the end could be cut off unseen. */
function checked({ lines, heads, unsigned }: Report): HTMLElement {
  if (lines === 0) return word("audit.empty");
  if (heads === 0) return word("audit.unsigned", { l: lines });
  return word("audit.holds", { l: lines, h: heads, u: unsigned });
}
