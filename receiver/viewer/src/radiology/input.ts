/** Hands: mouse, wheel and keys of the radiology map (profile A). */

import { writing } from "../dom";

export type Tool = "window" | "pan" | "zoom" | "scroll";

export interface Actions {
  step(by: number): void;
  to(end: "first" | "last"): void;
  series(by: number): void;
  drag(tool: Tool, dx: number, dy: number, at: readonly [number, number]): void;
  zoom(factor: number, at?: readonly [number, number]): void;
  tool(tool: Tool): void;
  preset(digit: number): void;
  oneToOne(): void;
  fit(): void;
  invert(): void;
  flip(axis: "flipHorizontal" | "flipVertical"): void;
  strip(): void;
  lessText(): void;
}

/** Bind to the picture; the answer unbinds. */
export function bind(area: HTMLElement, tool: () => Tool, actions: Actions): () => void {
  const ends = [pointer(area, tool, actions), wheel(area, actions), keys(actions)];
  return () => ends.forEach((end) => end());
}

function pointer(area: HTMLElement, tool: () => Tool, actions: Actions): () => void {
  let space = false;
  const spaced = (event: KeyboardEvent): void => {
    if (event.code !== "Space" || writing(event)) return;
    space = event.type === "keydown";
    event.preventDefault();
  };
  const down = (event: PointerEvent): void => {
    // side buttons would take the browser back and the case away
    if (event.button > 2) return event.preventDefault();
    area.setPointerCapture(event.pointerId);
    event.preventDefault();
    (document.activeElement as HTMLElement | null)?.blur?.();
  };
  const moved = (event: PointerEvent): void => {
    const used = using(event.buttons, space, tool());
    if (!used) return;
    const box = area.getBoundingClientRect();
    const at = [event.clientX - box.left, event.clientY - box.top] as const;
    actions.drag(used, event.movementX, event.movementY, at);
  };
  const never = (event: Event): void => event.preventDefault();
  area.addEventListener("pointerdown", down);
  area.addEventListener("pointermove", moved);
  area.addEventListener("contextmenu", never);
  document.addEventListener("keydown", spaced);
  document.addEventListener("keyup", spaced);
  return () => {
    document.removeEventListener("keydown", spaced);
    document.removeEventListener("keyup", spaced);
  };
}

function using(buttons: number, space: boolean, tool: Tool): Tool | null {
  if (buttons & 4 || (buttons & 1 && space)) return "pan";
  if (buttons & 1) return tool;
  return buttons & 2 ? "zoom" : null;
}

function wheel(area: HTMLElement, actions: Actions): () => void {
  const turned = (event: WheelEvent): void => {
    event.preventDefault();
    const box = area.getBoundingClientRect();
    const amount = event.deltaY || event.deltaX;
    if (amount === 0) return;
    if (event.ctrlKey) {
      const at = [event.clientX - box.left, event.clientY - box.top] as const;
      actions.zoom(amount < 0 ? Math.SQRT2 : Math.SQRT1_2, at);
    } else actions.step(Math.sign(amount) * (event.shiftKey ? 5 : 1));
  };
  area.addEventListener("wheel", turned, { passive: false });
  return () => area.removeEventListener("wheel", turned);
}

function keys(actions: Actions): () => void {
  const table: Record<string, (event: KeyboardEvent) => void> = {
    ArrowDown: (event) => actions.step(event.shiftKey ? 5 : 1),
    ArrowUp: (event) => actions.step(event.shiftKey ? -5 : -1),
    Home: () => actions.to("first"),
    End: () => actions.to("last"),
    PageDown: () => actions.series(1),
    PageUp: () => actions.series(-1),
    ArrowRight: () => actions.series(1),
    ArrowLeft: () => actions.series(-1),
    NumpadAdd: () => actions.zoom(Math.SQRT2),
    NumpadSubtract: () => actions.zoom(Math.SQRT1_2),
    KeyW: () => actions.tool("window"),
    KeyT: () => actions.tool("pan"),
    KeyZ: () => actions.tool("zoom"),
    KeyS: () => actions.tool("scroll"),
    KeyJ: () => actions.oneToOne(),
    KeyN: () => actions.invert(),
    KeyH: () => actions.flip("flipHorizontal"),
    KeyV: () => actions.flip("flipVertical"),
    KeyB: () => actions.strip(),
    KeyI: () => actions.lessText(),
    Escape: () => actions.fit(),
  };
  const pressed = (event: KeyboardEvent): void => {
    if (writing(event) || event.ctrlKey || event.altKey || event.metaKey) return;
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
    const action = digit === undefined ? table[event.code] : () => actions.preset(Number(digit));
    if (!action) return;
    event.preventDefault();
    action(event);
  };
  document.addEventListener("keydown", pressed);
  return () => document.removeEventListener("keydown", pressed);
}
