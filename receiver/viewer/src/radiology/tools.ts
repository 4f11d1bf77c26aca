/** The tool bar over the picture. */

import { h } from "../dom";
import { say, word, type Word } from "../words";
import type { Actions, Tool } from "./input";
import { PRESETS } from "./presets";

const TOOLS: readonly (readonly [Tool, Word])[] = [
  ["window", "tool.window"],
  ["pan", "tool.pan"],
  ["zoom", "tool.zoom"],
  ["scroll", "tool.scroll"],
];

export class ToolBar {
  readonly element = h("div", { class: "tools", role: "toolbar" });
  private readonly buttons = new Map<Tool, HTMLButtonElement>();
  private readonly presets = h("div", { class: "presets", role: "group" });

  constructor(home: () => void, private readonly actions: Actions) {
    const button = (name: Word, action: () => void): HTMLButtonElement =>
      h("button", { type: "button", onclick: action }, word(name));
    for (const [tool, name] of TOOLS) {
      this.buttons.set(tool, button(name, () => actions.tool(tool)));
    }
    this.element.append(
      h("button", { type: "button", class: "back", onclick: home }, "← ", word("back")),
      h("span", { class: "gap" }),
      ...this.buttons.values(),
      h("span", { class: "gap" }),
      button("tool.fit", () => actions.fit()),
      button("tool.one", () => actions.oneToOne()),
      button("tool.invert", () => actions.invert()),
      h("span", { class: "gap" }),
      this.presets,
    );
  }

  draw(tool: Tool, modality: string | null, chosen: Word | null): void {
    for (const [name, button] of this.buttons) button.setAttribute("aria-pressed", String(name === tool));
    const ct = modality === "CT";
    const one = (digit: number, name: Word, usable: boolean): HTMLElement =>
      h(
        "button",
        {
          type: "button",
          disabled: !usable,
          "aria-pressed": String(chosen === name),
          "data-preset": digit,
          title: usable ? null : say("tool.ct"),
          onclick: () => this.actions.preset(digit),
        },
        h("kbd", {}, digit),
        word(name),
      );
    this.presets.replaceChildren(
      one(0, "win.original", true),
      ...PRESETS.map((preset, index) => one(index + 1, preset.name, ct)),
    );
  }
}
