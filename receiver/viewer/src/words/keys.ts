/** The tables of keys, one for each kind of page: what is bound there, and nothing else. */

import type { Word } from "../words";

/** Places of keys (`KeyboardEvent.code`), how they are written, and what they do. */
export type KeyRow = readonly [codes: readonly string[], written: string, does: Word];

const DIGITS = ["Digit", "Numpad"];

/** What every study has. */
export const STUDY_KEYS: readonly KeyRow[] = [
  [["KeyT"], "Shift+T", "key.claim"],
  [["KeyC"], "Shift+C", "key.query"],
  [["KeyF"], "Shift+F", "key.forward"],
  [["Enter"], "Shift+Enter", "key.done"],
  [["KeyQ"], "Q", "keys.papers"],
  [["KeyD"], "Shift+D", "keys.dim"],
  [["Slash"], "?", "key.help"],
];

export const RADIOLOGY_KEYS: readonly KeyRow[] = [
  [["ArrowUp", "ArrowDown"], "↑ ↓", "keys.image"],
  [["ArrowUp", "ArrowDown"], "Shift+↑ ↓", "keys.five"],
  [["Home", "End"], "Home End", "keys.ends"],
  [["KeyG"], "G", "keys.goto"],
  [["PageUp", "PageDown", "ArrowLeft", "ArrowRight"], "PgUp PgDn ← →", "keys.series"],
  [DIGITS, "0–9", "keys.windows"],
  [["KeyW"], "W", "keys.window"],
  [["KeyT"], "T", "keys.pan"],
  [["KeyZ"], "Z", "keys.zoom"],
  [["KeyS"], "S", "keys.scroll"],
  [["Space"], "Space", "keys.spacepan"],
  [["NumpadAdd", "NumpadSubtract"], "+ − (Num)", "keys.zoomby"],
  [["KeyJ"], "J", "keys.one"],
  [["KeyN"], "N", "keys.invert"],
  [["KeyH", "KeyV", "KeyR"], "H V R", "keys.turn"],
  [["KeyD", "KeyA", "KeyE", "KeyU"], "D A E U", "keys.measure"],
  [["KeyZ"], "Ctrl+Z", "keys.undo"],
  [["Delete"], "Del", "keys.remove"],
  [["KeyI"], "I", "keys.less"],
  [["KeyK"], "K", "keys.keyimage"],
  [["KeyL"], "L", "keys.link"],
  [["KeyL"], "Shift+L", "keys.linkoffset"],
  [["KeyY"], "Y", "keys.lines"],
  [["KeyP"], "P", "keys.prior"],
  [["KeyP"], "Shift+P", "keys.priornext"],
  [["KeyI"], "Shift+I", "keys.compare.prior"],
  [["KeyM"], "M", "keys.mpr"],
  [["KeyC"], "C", "keys.cine"],
  [["KeyO"], "O", "keys.shutter"],
  [["KeyX"], "X", "keys.overlay"],
  [["KeyB"], "B", "keys.strip"],
  [["KeyF"], "F", "keys.full"],
  [["Tab"], "Tab", "keys.pane"],
  [["F6"], "F6", "keys.leave"],
  [["Escape"], "Esc", "keys.cancel"],
];

export const SLIDE_KEYS: readonly KeyRow[] = [
  [DIGITS, "1–7", "keys.times"],
  [["Digit0", "Numpad0"], "0", "keys.whole"],
  [["KeyJ"], "J", "keys.one"],
  [["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], "← → ↑ ↓", "keys.tenth"],
  [["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], "Shift+← → ↑ ↓", "keys.field"],
  [["NumpadAdd", "NumpadSubtract", "Semicolon", "Equal", "Minus"], "+ −", "keys.zoomby"],
  [["PageDown", "PageUp"], "PgDn PgUp", "keys.walk"],
  [["Comma", "Period"], ", .", "keys.slides"],
  [["KeyD"], "D", "keys.length"],
  [["KeyA"], "A", "keys.mark"],
  [["Delete"], "Del", "keys.nearest"],
  [["KeyZ"], "Ctrl+Z", "keys.lastmark"],
  [["KeyK"], "K", "keys.snapshot"],
  [["KeyX"], "X", "keys.compare"],
  [["KeyS"], "S", "keys.lock"],
  [["KeyS"], "Shift+S", "keys.lockoffset"],
  [["Tab"], "Tab", "keys.pane"],
  [["KeyR"], "R", "keys.rotate"],
  [["KeyR"], "Shift+R", "keys.rescan"],
  [["KeyV"], "V", "keys.viewed"],
  [["KeyO"], "O", "keys.overview"],
  [["KeyB"], "B", "keys.labels"],
  [["F6"], "F6", "keys.tray"],
  [["Escape"], "Esc", "keys.cancel"],
];

export const PAPER_KEYS: readonly KeyRow[] = [
  [DIGITS, "1–9", "keys.paper"],
  [["PageUp", "PageDown", "Home", "End"], "PgUp PgDn Home End", "keys.page"],
  [["ArrowUp", "ArrowDown"], "↑ ↓", "keys.pagescroll"],
  [["Space"], "Space", "keys.play"],
  [["KeyJ"], "J", "keys.one"],
  [["ArrowLeft", "ArrowRight", "Comma", "Period"], "← → , .", "keys.frame"],
  [["NumpadAdd", "NumpadSubtract"], "+ − (Num)", "keys.zoomby"],
  [["KeyM"], "M", "keys.mute"],
  [["KeyQ", "Escape"], "Q Esc", "keys.pictures"],
];

export const LIST_KEYS: readonly KeyRow[] = [
  [["ArrowUp", "ArrowDown"], "↑ ↓", "key.updown"],
  [["Enter"], "Enter", "key.enter"],
  [["KeyT"], "Shift+T", "key.claim"],
  [["KeyC"], "Shift+C", "key.query"],
  [["KeyF"], "Shift+F", "key.forward"],
  [["Enter"], "Shift+Enter", "key.done"],
  [["ArrowLeft", "ArrowRight"], "← →", "key.tabs"],
  [["Slash"], "/", "key.search"],
  [["Escape"], "Esc", "keys.leavesearch"],
  [["KeyN"], "N", "key.new"],
  [["KeyQ"], "Q", "key.confirm"],
  [["KeyD"], "Shift+D", "keys.dim"],
  [["Slash"], "?", "key.help"],
];
