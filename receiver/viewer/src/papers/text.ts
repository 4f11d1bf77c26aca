/** A document that is words alone (CDA): its source as it is, in no form that could do anything. */

import { h } from "../dom";
import { word } from "../words";
import type { Pane } from "./pane";

/** Characters that are shown; more is cut, and said so. */
const MOST = 400_000;
const ENCODING = /^[\s\S]{0,100}?<\?xml[^>]*encoding=["']([A-Za-z0-9._-]{1,40})["']/;

export class TextPane implements Pane {
  readonly element: HTMLElement;
  private readonly text: HTMLElement;

  constructor(bytes: ArrayBuffer) {
    const whole = decoded(bytes);
    this.text = h("pre", { class: "paper-text", tabindex: "0", lang: "ja", "data-role": "paper-text" }, whole.slice(0, MOST));
    const said = h("p", { class: "bar", role: "note" }, "▲ ", word("paper.plain"));
    if (whole.length > MOST) said.append(" ", word("paper.cut"));
    this.element = h("div", { class: "text-pane" }, said, this.text);
  }

  close(): void {
    this.element.remove();
  }

  focus(): void {
    this.text.focus({ preventScroll: true });
  }

  key(): boolean {
    return false;
  }
}

/** As the XML itself says (XML 1.0, 4.3.3); an unknown name is read as UTF-8. */
export function decoded(bytes: ArrayBuffer): string {
  const start = new TextDecoder("latin1").decode(bytes.slice(0, 300));
  const named = ENCODING.exec(start)?.[1] ?? "utf-8";
  try {
    return new TextDecoder(named).decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes);
  }
}
