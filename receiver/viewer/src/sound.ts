/**
 * The alarm: two tones, every 30 s, until somebody confirms it. A browser lets no page sound
 * before a click, so the click that signs in plays a test tone; where sound is blocked, a bar
 * says so, because a page that looks live and cannot be heard is worse than none.
 */

const EVERY_MS = 30_000;
let context: AudioContext | null = null;
let timer = 0;
const listeners = new Set<(audible: boolean) => void>();

export const audible = (): boolean => context?.state === "running";

export function onSound(listener: (audible: boolean) => void): () => void {
  listeners.add(listener);
  listener(audible());
  return () => listeners.delete(listener);
}

/** Play the test tone: to be called by a click or a key. */
export async function test(): Promise<boolean> {
  try {
    context ??= new AudioContext();
    context.onstatechange = tell;
    // a browser that allows no sound leaves this open for ever
    await Promise.race([context.resume(), new Promise((done) => setTimeout(done, 1000))]);
    if (audible()) tone(660, 0, 0.15, 0.08);
  } catch {
    context = null; // no sound device at all: the bar says so
  }
  tell();
  return audible();
}

/** Sound while there is something to confirm. */
export function alarm(on: boolean): void {
  if (!on) {
    window.clearInterval(timer);
    timer = 0;
    return;
  }
  if (timer !== 0) return;
  ring();
  timer = window.setInterval(ring, EVERY_MS);
}

function ring(): void {
  if (!audible()) return;
  tone(880, 0, 1, 0.3);
  tone(660, 1, 1, 0.3);
}

function tone(pitch: number, after: number, seconds: number, loud: number): void {
  if (context === null) return;
  const [source, volume] = [context.createOscillator(), context.createGain()];
  source.frequency.value = pitch;
  volume.gain.value = loud;
  source.connect(volume).connect(context.destination);
  source.start(context.currentTime + after);
  source.stop(context.currentTime + after + seconds);
}

function tell(): void {
  for (const listener of listeners) listener(audible());
}
