/** Handing a study to the hospital's certified viewer: asked for here, carried out elsewhere. */

import * as api from "./api";
import { ask, onThisPage } from "./dialog";
import { h } from "./dom";
import * as events from "./events";
import { localTime } from "./frame";
import { refusalOf } from "./reading";
import type { Forward, Row } from "./types";
import { inLanguage, onLanguage, say, word } from "./words";

const GLYPHS = { waiting: "○", sending: "◐", done: "✓", failed: "✕" } as const;

/** One line: where to, how far, and of a failure why. */
export function forwardLine(one: Forward): string {
  const state = inLanguage() === "ja" ? one.state_ja : one.state_en;
  return `${GLYPHS[one.state]} ${say("forward.state", { t: one.target, s: state, n: one.sent, m: one.total || "?" })}`;
}

/** Choose a target of the agreed list; what was forwarded before stands above. */
export async function forward(row: Pick<Row, "key">): Promise<void> {
  const still = onThisPage();
  const [targets, before] = await Promise.all([api.forwardTargets(), api.forwards(row.key)]);
  if (!still()) return;
  const chosen = h("select", { id: "forward-to" }, ...targets.map((one) => h("option", { value: one.name }, one.name)));
  const again = h("input", { id: "forward-again", type: "checkbox" });
  const wrong = h("p", { class: "said", role: "alert" });
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      await api.forward(row.key, chosen.value, again.checked);
      dialog.close();
    } catch (error) {
      wrong.textContent = refusalOf(error);
    }
  };
  const form = h(
    "form",
    { onsubmit: (event: Event) => void send(event) },
    h("label", { for: "forward-to" }, word("forward.to")),
    chosen,
    ...(before.length > 0 ? [h("label", { class: "check" }, again, word("forward.again"))] : []),
    h("button", { class: "main", type: "submit" }, word("forward.send")),
    wrong,
  );
  const none = h("p", { class: "said", role: "status" }, word("forward.none"));
  const settled = (one: Forward) => (): void => void settle(one).catch((error: unknown) => (wrong.textContent = refusalOf(error)));
  const settle = async (one: Forward): Promise<void> => {
    await api.settled(row.key, one.id);
    dialog.close();
  };
  const done = before.map((one) => told(one, settled(one)));
  const dialog = ask("forward.title", h("ol", { class: "forwards" }, ...done), targets.length > 0 ? form : none);
}

function told(one: Forward, settled: () => void): HTMLElement {
  const by = one.display || (one.by === "" ? say("forward.rule") : one.by);
  const why = one.error ? h("p", { class: "said" }, inLanguage() === "ja" ? one.error.ja : one.error.en) : "";
  const kept = one.commitment ? ` ${inLanguage() === "ja" ? one.commitment.state_ja : one.commitment.state_en} ${one.commitment.failed || ""}` : "";
  const back = one.to_settle
    ? h(
        "div",
        { class: "to-settle", "data-role": "to-settle" },
        h("p", {}, word("recalled.tosettle", { n: one.to_settle, t: one.target })),
        h("button", { type: "button", onclick: settled }, word("recalled.settle")),
      )
    : "";
  return h("li", { class: one.state }, h("b", {}, forwardLine(one)), ` ${by} ${localTime(one.finished_at ?? one.at)}${kept}`, why, back);
}

/** The chip of a row of the list. */
export function forwardChip(row: Row): HTMLElement[] {
  const one = row.forward;
  if (!one) return [];
  const why = one.error ? (inLanguage() === "ja" ? one.error.ja : one.error.en) : "";
  return [h("div", { class: `second forward ${one.state}`, title: why, "data-role": "forward" }, forwardLine(one))];
}

/** Beside the patient line: one button that says how far the study's hand-off is, live. */
export function forwardPanel(row: Row): HTMLElement {
  const state = h("span", { role: "status", "data-role": "forward" });
  const button = h("button", { type: "button", class: "plain hand-off", onclick: () => void forward(row) }, state);
  let last = row.forward;
  const show = (one: Forward | null | undefined): void => {
    last = one;
    state.className = `forward ${one?.state ?? ""}`;
    state.replaceChildren(one ? shortLine(one) : word("forward.short"));
    button.title = [say("forward.key"), one ? forwardLine(one) : ""].filter(Boolean).join(" ");
  };
  show(last);
  const stopWords = onLanguage(() => (button.isConnected ? show(last) : stopWords()));
  const stop = events.listen({
    study: (key) => {
      if (!button.isConnected) return stop();
      if (key !== "" && key !== row.key) return undefined;
      void api.forwards(row.key).then((found) => show(found[0]), () => undefined); // the next news asks again
      return undefined;
    },
  });
  return button;
}

/** The line is full: the name of the target stands in the button's hint and in its dialogue. */
function shortLine(one: Forward): string {
  const state = inLanguage() === "ja" ? one.state_ja : one.state_en;
  return `${GLYPHS[one.state]} ${state} ${one.sent}/${one.total || "?"}`;
}
