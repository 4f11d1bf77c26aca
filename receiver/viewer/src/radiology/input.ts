/** Hands: mouse, wheel and keys of the radiology map (profile A). */

import { onControl, writing } from "../dom";
import type { Point } from "./geometry";
import type { Layout } from "./layout";
import type { MarkKind } from "./marks";

export type MoveTool = "window" | "pan" | "zoom" | "scroll";
export type Tool = MoveTool | MarkKind;

const MOVES = new Set<Tool>(["window", "pan", "zoom", "scroll"]);
export const isMove = (tool: Tool): tool is MoveTool => MOVES.has(tool);

/** What a hand does to the pane under it. */
export interface Hand {
  step(by: number): void;
  drag(tool: MoveTool, dx: number, dy: number, at: Point): void;
  zoom(factor: number, at?: Point): void;
  press(kind: MarkKind, at: Point): boolean;
  follow(at: Point): void;
  release(at: Point): void;
}

/** What keys and buttons do to the pane that is in use, and to the screen. */
export interface Actions {
  step(by: number): void;
  to(end: "first" | "last"): void;
  series(by: number): void;
  zoom(factor: number): void;
  tool(tool: Tool): void;
  preset(digit: number): void;
  oneToOne(): void;
  cancel(): void;
  invert(): void;
  rotate(): void;
  flip(axis: "flipHorizontal" | "flipVertical"): void;
  strip(): void;
  lessText(): void;
  layout(layout: Layout): void;
  pane(by: number): boolean;
  leave(): void;
  link(offset: boolean): void;
  lines(): void;
  prior(next: boolean): void;
  compare(): void;
  undo(): void;
  remove(): void;
  keyImage(): void;
  cine(): void;
  volume(): void;
  goTo(): void;
  shutter(): void;
  planes(): void;
  full(): void;
}

/** Bind a hand to one pane's picture. */
export function bindHand(area: HTMLElement, tool: () => Tool, hand: Hand): () => void {
  const ends = [pointer(area, tool, hand), wheel(area, hand)];
  return () => ends.forEach((end) => end());
}

function pointer(area: HTMLElement, tool: () => Tool, hand: Hand): () => void {
  let space = false;
  let marking = false;
  const spaced = (event: KeyboardEvent): void => {
    if (event.code !== "Space" || writing(event) || onControl(event)) return;
    space = event.type === "keydown";
    event.preventDefault();
  };
  const at = (event: PointerEvent): Point => {
    const box = area.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const down = (event: PointerEvent): void => {
    // side buttons would take the browser back and the case away
    if (event.button > 2) return event.preventDefault();
    area.setPointerCapture(event.pointerId);
    event.preventDefault();
    area.focus({ preventScroll: true });
    const used = tool();
    marking = event.button === 0 && !space && !isMove(used) && hand.press(used, at(event));
  };
  const moved = (event: PointerEvent): void => {
    const used = using(event.buttons, space, tool());
    if (marking || !used) return hand.follow(at(event));
    if (isMove(used)) hand.drag(used, event.movementX, event.movementY, at(event));
  };
  const up = (event: PointerEvent): void => {
    if (marking && event.button === 0) hand.release(at(event));
    if (event.button === 0) marking = false;
  };
  const never = (event: Event): void => event.preventDefault();
  area.addEventListener("pointerdown", down);
  area.addEventListener("pointermove", moved);
  area.addEventListener("pointerup", up);
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

function wheel(area: HTMLElement, hand: Hand): () => void {
  const turned = (event: WheelEvent): void => {
    event.preventDefault();
    const box = area.getBoundingClientRect();
    const amount = event.deltaY || event.deltaX;
    if (amount === 0) return;
    if (event.ctrlKey) {
      const at = [event.clientX - box.left, event.clientY - box.top] as const;
      hand.zoom(amount < 0 ? Math.SQRT2 : Math.SQRT1_2, at);
    } else hand.step(Math.sign(amount) * (event.shiftKey ? 5 : 1));
  };
  area.addEventListener("wheel", turned, { passive: false });
  return () => area.removeEventListener("wheel", turned);
}

type Keys = Readonly<Record<string, (event: KeyboardEvent) => void>>;

function table(actions: Actions): Keys {
  const tool = (name: Tool) => () => actions.tool(name);
  return {
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
    KeyW: tool("window"),
    KeyT: tool("pan"),
    KeyZ: tool("zoom"),
    KeyS: tool("scroll"),
    KeyD: tool("length"),
    KeyA: tool("angle"),
    KeyE: tool("ellipse"),
    KeyU: tool("probe"),
    KeyJ: () => actions.oneToOne(),
    KeyN: () => actions.invert(),
    KeyH: () => actions.flip("flipHorizontal"),
    KeyV: () => actions.flip("flipVertical"),
    KeyR: () => actions.rotate(),
    KeyB: () => actions.strip(),
    KeyI: (event) => (event.shiftKey ? actions.compare() : actions.lessText()),
    KeyL: (event) => actions.link(event.shiftKey),
    KeyY: () => actions.lines(),
    KeyP: (event) => actions.prior(event.shiftKey),
    KeyK: () => actions.keyImage(),
    KeyC: () => actions.cine(),
    KeyM: () => actions.volume(),
    KeyG: () => actions.goTo(),
    KeyO: () => actions.shutter(),
    KeyX: () => actions.planes(),
    KeyF: () => actions.full(),
    Delete: () => actions.remove(),
    F6: () => actions.leave(),
    Escape: () => actions.cancel(),
  };
}

/** Keys whose shifted form belongs to this map too; others with Shift are another's. */
const SHIFTED = new Set(["ArrowDown", "ArrowUp", "KeyI", "KeyL", "KeyP"]);

/**
 * Bind the keyboard, by the place of a key and not by its letter: an input method that is on
 * reports every key as "Process" (keyCode 229) but leaves `code` as it is.
 */
export function bindKeys(actions: Actions): () => void {
  const keys = table(actions);
  const pressed = (event: KeyboardEvent): void => {
    if (writing(event) || event.altKey || event.metaKey) return;
    if (event.ctrlKey) {
      if (event.code !== "KeyZ" || event.shiftKey) return;
      event.preventDefault();
      return actions.undo();
    }
    if (event.code === "Tab") {
      const onPicture = document.activeElement?.matches(".picture") === true;
      if (onPicture && actions.pane(event.shiftKey ? -1 : 1)) event.preventDefault();
      return;
    }
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
    if (event.shiftKey && (digit !== undefined || !SHIFTED.has(event.code))) return;
    const action = digit === undefined ? keys[event.code] : () => actions.preset(Number(digit));
    if (!action) return;
    event.preventDefault();
    action(event);
  };
  document.addEventListener("keydown", pressed);
  return () => document.removeEventListener("keydown", pressed);
}
