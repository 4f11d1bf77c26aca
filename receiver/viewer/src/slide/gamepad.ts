/** A gamepad in the hand instead of a mouse: left stick pans, triggers zoom, A marks, bumpers change slides. */

export interface Hands {
  pan(x: number, y: number): void;
  zoom(factor: number): void;
  mark(): void;
  slide(by: 1 | -1): void;
}

const DEAD = 0.15; // of the stick's way, in which it rests
const NONE_MS = 500;
const FIELDS_PER_SECOND = 0.9;
const ZOOM_PER_SECOND = 2.5;
/** Buttons of the standard mapping (W3C Gamepad, section 6). */
const [MARK, BEFORE, NEXT, OUT, IN] = [0, 4, 5, 6, 7];

/** Look at the first pad with each picture, now and then where there is none; the answer ends it. */
export function watchGamepad(hands: Hands): () => void {
  let [frame, later, last] = [0, 0, performance.now()];
  let held = new Set<number>();
  const again = (): void => void (frame = requestAnimationFrame(look));
  const look = (now: number): void => {
    const seconds = Math.min(0.1, (now - last) / 1000);
    last = now;
    const pad = navigator.getGamepads().find((one) => one?.connected);
    if (!pad) {
      later = window.setTimeout(again, NONE_MS);
      return;
    }
    again();
    const [x, y] = [bent(pad.axes[0]), bent(pad.axes[1])];
    if (x || y) hands.pan(x * FIELDS_PER_SECOND * seconds, y * FIELDS_PER_SECOND * seconds);
    const pull = (pad.buttons[IN]?.value ?? 0) - (pad.buttons[OUT]?.value ?? 0);
    if (Math.abs(pull) > DEAD) hands.zoom(ZOOM_PER_SECOND ** (pull * seconds));
    const down = new Set([MARK, BEFORE, NEXT].filter((button) => pad.buttons[button]?.pressed));
    const pressed = (button: number): boolean => down.has(button) && !held.has(button);
    if (pressed(MARK)) hands.mark();
    if (pressed(BEFORE)) hands.slide(-1);
    if (pressed(NEXT)) hands.slide(1);
    held = down;
  };
  again();
  return () => {
    cancelAnimationFrame(frame);
    window.clearTimeout(later);
  };
}

/** A stick's way without its rest, slow near the middle. */
function bent(value = 0): number {
  const way = Math.max(0, Math.abs(value) - DEAD) / (1 - DEAD);
  return Math.sign(value) * way * way;
}
