/** 再走査依頼: a reason by one key, and the receiver has it. */

import * as api from "../api";
import { isCurrent, within, type ReadingContext } from "../context";
import { h } from "../dom";
import { say, word } from "../words";

const REASONS = [
  ["focus", "rescan.focus"],
  ["cut-off", "rescan.cutoff"],
  ["wrong-slide", "rescan.wrong"],
] as const;

export function askRescan(context: ReadingContext, series: string, over: HTMLElement, tell: (text: string) => void): void {
  const panel = h("div", { class: "ask-panel", role: "dialog", "aria-label": say("rescan.ask"), "data-role": "rescan-panel" });
  const end = (): void => {
    document.removeEventListener("keydown", key, true);
    context.signal.removeEventListener("abort", end);
    panel.remove();
  };
  const send = (reason: string): void => {
    end();
    within(context, api.askRescan(context.key, series, reason)).then(
      () => tell(say("rescan.kept")),
      () => isCurrent(context) && tell(say("rescan.failed")),
    );
  };
  const key = (event: KeyboardEvent): void => {
    const chosen = REASONS[Number(/^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1]) - 1];
    if (event.code !== "Escape" && !chosen) return;
    event.preventDefault();
    event.stopPropagation();
    if (chosen) send(chosen[0]);
    else end();
  };
  const buttons = REASONS.map(([reason, name]) => h("button", { type: "button", onclick: () => send(reason) }, word(name)));
  panel.append(h("p", {}, word("rescan.ask")), ...buttons, h("button", { type: "button", onclick: end }, word("rescan.cancel")));
  document.addEventListener("keydown", key, true);
  context.signal.addEventListener("abort", end);
  over.append(panel);
  buttons[0]?.focus();
}
