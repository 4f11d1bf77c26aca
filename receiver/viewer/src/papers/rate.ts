/** Frames of a video in time: how many a second, which one is on the screen, how it is written. */

import { number, type DataSet } from "../radiology/dataset";

/** Said and real rate may differ by this share before the difference is said. */
const TOLERANCE = 0.02;
const UNSAID = 30;

export interface Rate {
  /** Frames a second by which frames are counted and stepped. */
  readonly rate: number;
  /** Frames as the object counts them; null where it does not. */
  readonly count: number | null;
  /** Nobody says a rate: the figure is only for stepping. */
  readonly guessed: boolean;
  /** The object says another rate than its own count and the stream's length give. */
  readonly differs: boolean;
}

/**
 * Frame Time (0018,1063), else Cine Rate (0018,0040), else Recommended Display Frame Rate
 * (0008,2144) (PS3.3 C.7.6.5). Where Number of Frames and the length of the stream give another
 * rate, frames are counted by that: a step must be one frame of what is on the screen.
 */
export function rateOf(data: DataSet, seconds: number): Rate {
  const time = number(data, "00181063");
  const positive = [time && time > 0 ? 1000 / time : null, number(data, "00180040"), number(data, "00082144")];
  const said = positive.find((one) => one !== null && one > 0) ?? null;
  const frames = number(data, "00280008");
  const count = frames !== null && frames >= 1 ? Math.round(frames) : null;
  const real = count !== null && Number.isFinite(seconds) && seconds > 0 ? count / seconds : null;
  if (said === null) return { rate: real ?? UNSAID, count, guessed: real === null, differs: false };
  // a stream is as long as its last frame lasts, give or take one
  const allowed = real === null ? 0 : TOLERANCE * said + 1 / seconds;
  const differs = real !== null && Math.abs(real - said) > allowed;
  return { rate: differs ? (real as number) : said, count, guessed: false, differs };
}

/** 0-based number of the frame that is shown from a time on. */
export const frameAt = (seconds: number, rate: number): number => Math.max(0, Math.round(seconds * rate));

/** The middle of a frame: no rounding of a player leads to its neighbour. */
export const middleOf = (frame: number, rate: number): number => (frame + 0.5) / rate;

/** `h:mm:ss.ff`: hours, minutes, seconds and the frame within the second. */
export function timecode(frame: number, rate: number): string {
  const seconds = Math.floor(frame / rate + 1e-6);
  const within = Math.max(0, Math.round(frame - seconds * rate));
  const two = (figure: number): string => String(figure).padStart(2, "0");
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${two(within)}`;
}
