/** Frames to pictures: by the browser where it can, else in workers. */

import { told } from "../jpeg";
import type { SlideLevel } from "../types";
import { Undecodable } from "./colour";
import type { Lut } from "./lut";
import type { Answer, Codec, Order } from "./decode_worker";

const BROWSER = new Set(["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"]);
const CODECS: Readonly<Record<string, Codec>> = {
  "1.2.840.10008.1.2": "native",
  "1.2.840.10008.1.2.1": "native",
  "1.2.840.10008.1.2.1.99": "native",
  "1.2.840.10008.1.2.4.80": "jls",
  "1.2.840.10008.1.2.4.81": "jls",
  "1.2.840.10008.1.2.4.90": "j2k",
  "1.2.840.10008.1.2.4.91": "j2k",
  "1.2.840.10008.1.2.4.201": "htj2k",
  "1.2.840.10008.1.2.4.202": "htj2k",
  "1.2.840.10008.1.2.4.203": "htj2k",
};

const inBrowser = (level: SlideLevel): boolean => BROWSER.has(level.transfer_syntax ?? "");

/** What to ask the receiver for: a picture that the browser knows, or the bytes as they are. */
export const accepts = (level: SlideLevel): string =>
  inBrowser(level) ? "image/jpeg" : "application/octet-stream";

/** Whether frames of a level can be shown at all. */
export const canShow = (level: SlideLevel): boolean =>
  inBrowser(level) || (level.transfer_syntax ?? "") in CODECS;

interface Waiting {
  readonly done: (bitmap: ImageBitmap) => void;
  readonly failed: (error: Error) => void;
}

let workers: Worker[] = [];
let turn = 0;
let last = 0;
/** Which cube each worker has been given last: it takes orders in their turn. */
const known = new WeakMap<Worker, number>();
const waiting = new Map<number, Waiting>();

/** Decode a frame, its colours as they are or by a cube; throws `Undecodable`. */
export async function decode(level: SlideLevel, body: Response, lut: Lut | null): Promise<ImageBitmap> {
  let bytes = await body.arrayBuffer();
  if (inBrowser(level)) bytes = told(new Uint8Array(bytes), level.photometric ?? "", level.sop_uid).buffer;
  if (inBrowser(level) && !lut) {
    try {
      const blob = new Blob([bytes], { type: "image/jpeg" });
      return await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
    } catch {
      throw new Undecodable(level.transfer_syntax ?? "");
    }
  }
  const codec = inBrowser(level) ? "jpeg" : CODECS[level.transfer_syntax ?? ""];
  if (!codec) throw new Undecodable(level.transfer_syntax ?? "");
  const { photometric, samples, bits, planar } = level;
  const described = { photometric: photometric ?? "RGB", samples: samples ?? 3, bits: bits ?? 8, planar: planar ?? 0 };
  last += 1;
  const order: Order = { id: last, codec, width: level.tile_columns, height: level.tile_rows, described, bytes };
  return new Promise((done, failed) => {
    waiting.set(order.id, { done, failed });
    const worker = next();
    if (lut && known.get(worker) !== lut.id) {
      known.set(worker, lut.id);
      worker.postMessage({ cube: lut.cube });
    }
    worker.postMessage({ ...order, coloured: lut !== null }, [bytes]);
  });
}

function next(): Worker {
  if (workers.length === 0) {
    const count = Math.max(1, Math.min(4, navigator.hardwareConcurrency - 1));
    workers = Array.from({ length: count }, start);
  }
  turn = (turn + 1) % workers.length;
  return workers[turn] as Worker;
}

function start(): Worker {
  const worker = new Worker(new URL("./decode_worker.ts", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
    const asked = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.bitmap) asked?.done(data.bitmap);
    else asked?.failed(new Undecodable(data.failed));
  });
  worker.addEventListener("error", () => lost());
  return worker;
}

/** A worker has ended: what waits is asked for again by who wants it, of new ones. */
function lost(): void {
  for (const worker of workers) worker.terminate();
  workers = [];
  for (const asked of waiting.values()) asked.failed(new Error("decoder"));
  waiting.clear();
}
