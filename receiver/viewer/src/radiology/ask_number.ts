/** A small field over the picture that asks for an image number. */

import { h } from "../dom";
import { say } from "../words";

export function askNumber(area: HTMLElement, most: number, go: (number: number) => void): void {
  const field = h("input", {
    type: "number",
    min: "1",
    max: most,
    class: "ask-number",
    "data-role": "go-to",
    "aria-label": say("goto.ask"),
    placeholder: `1–${most}`,
  });
  let over = false;
  const end = (): void => {
    if (over) return;
    over = true;
    field.remove();
    area.focus({ preventScroll: true });
  };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.code === "Escape") return end();
    if (event.code !== "Enter" && event.code !== "NumpadEnter") return;
    const number = Number.parseInt(field.value, 10);
    if (number >= 1 && number <= most) go(number);
    end();
  });
  field.addEventListener("blur", end);
  area.append(field);
  field.focus();
}
