/** What readers do with a study, from the list and from the viewers alike. */

import * as api from "./api";
import { ask, onThisPage } from "./dialog";
import { h } from "./dom";
import { seen } from "./radiology/seen";
import type { Row } from "./types";
import { inLanguage, say, word, type Word } from "./words";

export interface Asks {
  readonly arrived: number;
  readonly expected: number | null;
  readonly causes: readonly string[];
  readonly call: boolean;
}

type Told = { readonly to: string; readonly at: string } | false;

/** Words of a refusal, in the language of the page. */
export function refusalOf(error: unknown): string {
  if (!(error instanceof api.Refused)) return "";
  const text = inLanguage() === "ja" ? error.ja : error.en;
  const number = error.number ?? "";
  return text.includes(number) ? text : `${text} ${number}`; // most words end in their number
}

/** 引受け; where somebody else reads it, ask for the reason of taking over. */
export async function claim(row: Row): Promise<void> {
  const still = onThisPage();
  try {
    await api.act(row.key, "claim");
  } catch (error) {
    if (!(error instanceof api.Refused) || error.number !== "E-4510") throw error;
    if (still()) takeOver(row, refusalOf(error));
  }
}

function takeOver(row: Row, said: string): void {
  const reason = h("input", { id: "reason", maxlength: 200, required: true, autocomplete: "off" });
  const wrong = h("p", { class: "said", role: "alert" });
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      await api.act(row.key, "take-over", { reason: reason.value });
      dialog.close();
    } catch (error) {
      wrong.textContent = refusalOf(error);
    }
  };
  const dialog = ask(
    "list.takeover",
    h("p", {}, said),
    h(
      "form",
      { onsubmit: (event: Event) => void send(event) },
      h("label", { for: "reason" }, word("list.reason")),
      reason,
      h("button", { class: "main", type: "submit" }, word("list.takeover")),
      wrong,
    ),
  );
}

/** 完了: always asked, and of an incomplete or grown study with what is amiss (VIEWING 9.9). */
export async function finish(row: Row, then: () => void = () => undefined): Promise<void> {
  const still = onThisPage();
  const asks = await api.asks(row.key);
  if (!still()) return; // no question about a study that is not on the screen
  const wrong = h("p", { class: "said", role: "alert" });
  const to = h("input", { id: "told-to", maxlength: 200, autocomplete: "off" });
  const at = h("input", { id: "told-at", type: "time" });
  at.value = new Date().toTimeString().slice(0, 5);
  const nobody = h("input", { id: "told-none", type: "checkbox" });
  const told = (): Told | undefined => {
    if (!asks.call) return undefined;
    if (nobody.checked) return false;
    const day = new Date();
    // a time that has not come yet was yesterday's: told at 23:58, done at 00:03
    if (at.value > new Date(day.getTime() + 60_000).toTimeString().slice(0, 5) && day.getHours() < 12) day.setDate(day.getDate() - 1);
    const date = `${day.getFullYear()}-${String(day.getMonth() + 1).padStart(2, "0")}-${String(day.getDate()).padStart(2, "0")}`;
    return { to: to.value, at: `${date}T${at.value}` };
  };
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    const said: Record<string, unknown> = {};
    if (asks.causes.length > 0) said["accept"] = asks.arrived; // of the figures that were read
    const call = told();
    if (call !== undefined) said["told"] = call;
    try {
      await api.act(row.key, "done", said);
      dialog.close();
      then();
    } catch (error) {
      if (error instanceof api.Refused && error.number === "E-4511") {
        dialog.close();
        await finish(row, then); // more has come meanwhile: other figures, another answer
      } else wrong.textContent = refusalOf(error);
    }
  };
  const causes = asks.causes.map((cause) => h("li", {}, "▲ ", word(`done.cause.${cause}` as Word)));
  const phone = asks.call
    ? h(
        "fieldset",
        { class: "told" },
        h("label", { for: "told-to" }, word("done.phone")),
        to,
        h("label", { for: "told-at" }, word("done.phone.at")),
        at,
        h("label", { class: "check" }, nobody, word("done.phone.none")),
      )
    : null;
  const name = row.patient.ideographic ?? row.patient.phonetic ?? row.patient.alphabetic ?? "";
  const dialog = ask(
    "done.title",
    h("p", { class: "of", lang: "ja" }, name),
    h("p", {}, word("done.counts", { a: asks.arrived, e: asks.expected ?? "?" })),
    ...(row.kind === "slide" ? [] : [h("p", { "data-role": "seen" }, word("done.seen", { n: seen(row.key) }))]),
    h("ul", { class: "causes" }, ...causes),
    h(
      "form",
      { onsubmit: (event: Event) => void send(event) },
      ...(phone ? [phone] : []),
      h("button", { class: "main", type: "submit" }, word(causes.length > 0 ? "done.yes" : "done.plain")),
      wrong,
    ),
  );
}

/** 照会, 過去画像の依頼, 再走査依頼: words to the requesting side, and what was said so far. */
export async function query(row: Row, kind = "query"): Promise<void> {
  const still = onThisPage();
  const history = await api.history(row.key);
  if (!still()) return;
  const kinds = ["query", "prior", ...(row.kind === "slide" ? ["rescan"] : []), ...(history.advice ? ["advice"] : [])];
  const chosen = h("select", { id: "query-kind", "aria-label": say("step.kind") }, ...kinds.map((one) => h("option", { value: one }, word(`query.kind.${one}` as Word))));
  chosen.value = kind;
  const text = h("textarea", { id: "query-text", rows: 4, maxlength: 1000, required: true });
  const wrong = h("p", { class: "said", role: "alert" });
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      await api.act(row.key, "messages", { kind: chosen.value, text: text.value });
      dialog.close();
    } catch (error) {
      wrong.textContent = refusalOf(error);
    }
  };
  const before = history.messages.map((one) =>
    h("li", { class: one.way }, h("b", {}, word(`query.kind.${one.kind}` as Word), ` ${one.display} `), one.text),
  );
  const dialog = ask(
    "query.title",
    h("ol", { class: "messages" }, ...before),
    h(
      "form",
      { onsubmit: (event: Event) => void send(event) },
      chosen,
      h("label", { for: "query-text" }, word("query.text")),
      text,
      h("button", { class: "main", type: "submit" }, word("query.send")),
      wrong,
    ),
  );
}
