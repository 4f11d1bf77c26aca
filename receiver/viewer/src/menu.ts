/** The reader's own things at the end of the banner, folded up where the patient needs the room. */

import { h, put } from "./dom";

export class Menu {
  readonly element: HTMLElement;
  readonly toggle = h("button", {
    type: "button",
    class: "plain menu-toggle",
    "data-role": "menu",
    "aria-expanded": "false",
    onclick: () => this.set(!this.element.classList.contains("open")),
  });
  private name = "";
  private due = false;

  constructor(...parts: HTMLElement[]) {
    this.element = h("div", { class: "menu" }, ...parts);
    this.element.addEventListener("click", () => this.set(false));
    document.addEventListener("pointerdown", (event) => {
      if (!(event.target instanceof Node)) return;
      if (!this.element.contains(event.target) && !this.toggle.contains(event.target)) this.set(false);
    });
    // Esc closes what is open and does not go on to the picture
    window.addEventListener(
      "keydown",
      (event) => {
        if (event.code !== "Escape" || !this.element.classList.contains("open")) return;
        event.stopImmediatePropagation();
        this.set(false);
        this.toggle.focus();
      },
      true,
    );
  }

  /** Whose it is. */
  of(name: string): void {
    this.name = name;
    this.draw();
  }

  /** Something of it waits for the reader. */
  warn(due: boolean): void {
    this.due = due;
    this.draw();
  }

  private draw(): void {
    this.toggle.classList.toggle("due", this.due);
    put(this.toggle, `${this.due ? "▲ " : ""}${this.name} ▾`);
    this.toggle.classList.toggle("nobody", this.name === "");
  }

  private set(open: boolean): void {
    this.element.classList.toggle("open", open);
    this.toggle.setAttribute("aria-expanded", String(open));
  }
}
