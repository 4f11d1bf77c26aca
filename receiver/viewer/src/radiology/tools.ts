/** The tool bar over the picture. */

import { h } from "../dom";
import { inLanguage, say, word, type Word } from "../words";
import type { Actions, Tool } from "./input";
import { LAYOUTS, type Layout } from "./layout";
import { PRESETS, UPTAKES } from "./presets";

const TOOLS: readonly (readonly [Tool, Word])[] = [
  ["window", "tool.window"],
  ["pan", "tool.pan"],
  ["zoom", "tool.zoom"],
  ["scroll", "tool.scroll"],
  ["length", "tool.length"],
  ["angle", "tool.angle"],
  ["ellipse", "tool.ellipse"],
  ["probe", "tool.probe"],
];

/** What the bar shows as pressed. */
export interface BarState {
  readonly tool: Tool;
  readonly modality: string | null;
  readonly window: Word | null;
  readonly layout: Layout;
  readonly linked: boolean;
  readonly lines: boolean;
  readonly prior: boolean;
  readonly key: boolean;
  readonly cine: boolean;
  readonly volume: boolean;
  /** Values of the picture can be told as SUV. */
  readonly uptake: boolean;
}

type Switch = "linked" | "lines" | "prior" | "key" | "cine" | "volume";

export class ToolBar {
  readonly element = h("div", { class: "tools", role: "toolbar" });
  private readonly buttons = new Map<Tool, HTMLButtonElement>();
  private readonly layouts = new Map<Layout, HTMLButtonElement>();
  private readonly switches = new Map<Switch, HTMLButtonElement>();
  private print = "";
  private readonly presets = h("div", { class: "presets", role: "group" });
  private readonly windows = h("button", {
    type: "button",
    class: "windows",
    "data-role": "windows",
    "aria-expanded": "false",
    onclick: () => this.unfold(this.windows.getAttribute("aria-expanded") !== "true"),
  });

  constructor(home: () => void, private readonly actions: Actions) {
    const button = (name: Word, action: () => void): HTMLButtonElement =>
      h("button", { type: "button", onclick: action }, word(name));
    for (const [tool, name] of TOOLS) {
      this.buttons.set(tool, button(name, () => actions.tool(tool)));
    }
    for (const layout of LAYOUTS) {
      const made = h("button", { type: "button", "data-layout": layout, onclick: () => actions.layout(layout) });
      made.append(layout.replace("x", "×"));
      this.layouts.set(layout, made);
    }
    this.switches
      .set("volume", button("tool.mpr", () => actions.volume()))
      .set("linked", button("tool.link", () => actions.link(false)))
      .set("lines", button("tool.lines", () => actions.lines()))
      .set("prior", button("tool.prior", () => actions.prior(false)))
      .set("key", button("tool.key", () => actions.keyImage()))
      .set("cine", button("tool.cine", () => actions.cine()));
    const gap = (): HTMLElement => h("span", { class: "gap" });
    this.element.append(
      h("button", { type: "button", class: "back", onclick: home }, "← ", word("back")),
      gap(),
      ...this.buttons.values(),
      button("tool.undo", () => actions.undo()),
      gap(),
      button("tool.fit", () => actions.cancel()),
      button("tool.one", () => actions.oneToOne()),
      button("tool.invert", () => actions.invert()),
      button("tool.rotate", () => actions.rotate()),
      gap(),
      ...this.layouts.values(),
      ...this.switches.values(),
      gap(),
      h("div", { class: "windows-of" }, this.windows, this.presets),
    );
    this.element.addEventListener("focusout", ({ relatedTarget }) => {
      if (!(relatedTarget instanceof Node && this.windows.parentElement?.contains(relatedTarget))) this.unfold(false);
    });
  }

  /** The windows, where the screen has no room to show them all the time. */
  private unfold(open: boolean): void {
    this.windows.setAttribute("aria-expanded", String(open));
    this.presets.classList.toggle("open", open);
  }

  draw(state: BarState): void {
    const print = JSON.stringify([state, inLanguage()]);
    if (print === this.print) return; // asked at every picture; its buttons would be made anew
    this.print = print;
    const press = (button: HTMLElement, on: boolean): void => button.setAttribute("aria-pressed", String(on));
    for (const [name, button] of this.buttons) press(button, name === state.tool);
    for (const [layout, button] of this.layouts) press(button, layout === state.layout);
    for (const [name, button] of this.switches) press(button, state[name]);
    this.switches.get("key")?.setAttribute("title", say("tool.key.title"));
    const ct = state.modality === "CT";
    this.windows.replaceChildren(word("tool.windows"), " ", h("span", { class: "now" }, word(state.window ?? "win.original")), " ▾");
    if (state.modality === "PT") return this.uptakes(state);
    this.presets.replaceChildren(
      this.preset(state, 0, "win.original", true),
      ...PRESETS.map((preset, index) => this.preset(state, index + 1, preset.name, ct)),
      ...(ct ? [] : [h("span", { class: "ct-only" }, word("tool.ct"))]),
    );
  }

  /** Windows of PET, in SUV. */
  private uptakes(state: BarState): void {
    this.presets.replaceChildren(
      this.preset(state, 0, "win.original", true),
      ...UPTAKES.map(({ name }, index) => this.preset(state, index + 1, name, state.uptake)),
    );
  }

  private preset(state: BarState, digit: number, name: Word, usable: boolean): HTMLElement {
    return h(
      "button",
      {
        type: "button",
        disabled: !usable,
        "aria-pressed": String(state.window === name),
        "data-preset": digit,
        title: usable || state.modality === "PT" ? null : say("tool.ct"),
        onclick: () => {
          this.unfold(false);
          this.actions.preset(digit);
        },
      },
      h("kbd", {}, digit),
      word(name),
    );
  }
}
