/** One question over the page at a time; Esc gives it up, and focus returns where it was. */

import { h } from "./dom";
import { word, type Word } from "./words";

let page = 0;

/** Another page is shown: what was about to be asked on the one before is not asked any more. */
export const turnPage = (): void => void (page += 1);

/** Take before waiting for the receiver; afterwards it tells whether the same page is open. */
export function onThisPage(): () => boolean {
  const from = page;
  return () => from === page;
}

/** Show a dialogue; the answer closes it. */
export function ask(title: Word, ...content: (Node | string)[]): { element: HTMLDialogElement; close(): void } {
  const before = document.activeElement as HTMLElement | null;
  const heading = h("h2", { id: "dialog-title" }, word(title));
  const cancel = h("button", { type: "button", class: "plain" }, word("dialog.cancel"));
  const element = h("dialog", { class: "question", "aria-labelledby": "dialog-title" }, heading, ...content, cancel);
  const close = (): void => {
    if (!element.isConnected) return;
    element.remove();
    if (before?.isConnected) before.focus();
  };
  cancel.addEventListener("click", close);
  element.addEventListener("close", close);
  element.addEventListener("cancel", close);
  element.addEventListener("keydown", (event) => event.stopPropagation()); // no key of the page below
  document.body.append(element);
  element.showModal();
  element.querySelector<HTMLElement>("input, textarea, select, button.main")?.focus();
  return { element, close };
}
