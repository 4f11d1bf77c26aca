/** What keys, buttons and hands do, in terms of the view. */

import { say, word } from "../words";
import { askNumber } from "./ask_number";
import { touch } from "./breast";
import type { Actions, Hand } from "./input";
import type { Pane } from "./pane";
import { dragged, preset } from "./presets";
import type { RadiologyView } from "./view";

const PIXELS_A_STEP = 6;

function step(pane: Pane, by: number): void {
  const { stack } = pane;
  if (!stack) return;
  void stack.show(Math.min(pane.slots().length - 1, Math.max(0, stack.place + by)));
}

/** The hand over one pane. */
export function makeHand(view: RadiologyView, pane: Pane): Hand {
  let scrolled = 0;
  return {
    step: (by) => {
      view.taken(pane);
      step(pane, by);
    },
    zoom: (factor, at) => pane.stack?.zoomTo((pane.stack.scale() || 1) * factor, at),
    drag: (tool, dx, dy, at) => {
      const { stack } = pane;
      const window = stack?.currentWindow();
      if (!stack || !window) return;
      if (tool === "window") stack.setWindow(dragged(window, dx, dy));
      else if (tool === "pan") stack.pan(dx, dy);
      else if (tool === "zoom") stack.zoomTo(stack.scale() * 1.01 ** dy, at);
      else {
        scrolled += dy;
        const by = Math.trunc(scrolled / PIXELS_A_STEP);
        scrolled -= by * PIXELS_A_STEP;
        if (by !== 0) step(pane, by);
      }
    },
    press: (kind, at) => pane.press(kind, at),
    follow: (at) => pane.layer?.follow(at),
    release: (at) => pane.layer?.release(at),
  };
}

export function makeActions(view: RadiologyView): Actions {
  return { ...onPicture(view), ...onScreen(view) } as Actions;
}

function onPicture(view: RadiologyView): Partial<Actions> {
  const pane = (): Pane => view.active;
  return {
    step: (by) => (view.volume ? view.volume.step(by) : step(pane(), by)),
    to: (end) => step(pane(), end === "first" ? -1e6 : 1e6),
    series: (by) => view.choose(pane().series + by),
    zoom: (factor) => pane().stack?.zoomTo((pane().stack?.scale() || 1) * factor),
    preset: (digit) => {
      const window = preset(digit, pane().modality(), pane().uptake());
      if (digit === 0) pane().stack?.nextOriginal();
      else if (window) pane().stack?.setWindow(window);
      const now = pane().stack?.currentWindow();
      if (now) view.volume?.setWindow(now);
      view.drawBar();
    },
    oneToOne: () => pane().stack?.oneToOne(),
    cancel: () => {
      if (pane().layer?.cancel()) return;
      pane().stack?.fit();
      touch(view.panes, pane(), true);
    },
    invert: () => pane().stack?.invert(),
    rotate: () => pane().stack?.rotate(),
    flip: (axis) => pane().stack?.flip(axis),
    shutter: () => pane().uncover(),
    planes: () => pane().planesOff(),
    lessText: () => pane().overlay?.less(),
    undo: () => pane().of?.book.undo(),
    remove: () => {
      const drawn = pane().stack?.drawn();
      if (drawn) pane().of?.book.remove(drawn.slot.sop, drawn.slot.frame);
    },
    keyImage: () => {
      const drawn = pane().stack?.drawn();
      if (!drawn || pane().of !== view.main) return; // key images are of the study that is read
      view.kept.toggleKey(drawn.slot.sop, drawn.slot.frame);
      view.redraw();
      pane().overlay?.chip(say(view.isKey(drawn.slot) ? "key.on.sent" : "key.off.sent"));
    },
    goTo: () => {
      const { stack } = pane();
      if (!stack) return;
      askNumber(pane().area, pane().slots().length, (number) => void stack.show(number - 1));
    },
  };
}

function onScreen(view: RadiologyView): Partial<Actions> {
  return {
    tool: (tool) => {
      for (const pane of view.panes) pane.layer?.cancel();
      view.tool = tool;
      view.drawBar();
    },
    strip: () => void view.strip.element.toggleAttribute("hidden"),
    layout: (layout) => view.setLayout(layout),
    pane: (by) => {
      if (view.panes.length < 2) return false;
      const count = view.panes.length;
      const next = view.panes[(view.panes.indexOf(view.active) + by + count) % count];
      next?.area.focus({ preventScroll: true });
      return true;
    },
    // out of the picture to the tools, and back
    leave: () => {
      const inPicture = document.activeElement?.matches(".picture") === true;
      const tools = document.querySelector<HTMLElement>(".tools button");
      (inPicture ? tools : view.active.area)?.focus({ preventScroll: true });
    },
    link: (offset) => {
      view.link.toggle(offset, view.panes, view.active);
      const words = { off: "", position: say("link.on"), offset: say("link.offset") };
      view.active.overlay?.chip(words[view.link.mode]);
      view.drawBar();
    },
    lines: () => {
      view.lines = !view.lines;
      view.drawLines();
      view.drawBar();
    },
    prior: (next) => void view.showPrior(next).catch(() => undefined),
    compare: () => {
      if (!view.possible.open()) view.active.overlay?.say(word("prior.nopossible"));
    },
    cine: () => view.cine.toggle(),
    volume: () => view.toggleVolume(),
    full: () => {
      if (view.panes.length > 1) view.area.classList.toggle("one-full");
    },
  };
}
