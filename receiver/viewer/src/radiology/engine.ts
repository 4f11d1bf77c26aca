/** One Cornerstone rendering engine for the page; on the processor where there is no GPU. */

import * as core from "@cornerstonejs/core";
import dicomImageLoader from "@cornerstonejs/dicom-image-loader";
import { beforeDecoding } from "./jpeg_frames";
import type { Store } from "./nearest";
import { registerLoaders } from "./pixels";
import { hooks, isSpare, isWaitedFor } from "./requests";

/** GiB of this machine's memory, in the steps in which a browser tells it; unknown to some. */
const MEMORY = (navigator as { deviceMemory?: number }).deviceMemory ?? 8;
/** A browser ends a page that takes too much of a small machine. */
const CACHE_BYTES = 2 ** 30 * Math.min(1, MEMORY / 4);
/**
 * What of it is filled: at its end the library lets go of the oldest, whatever is in view, and
 * counts wrong what it lets go of before it has come.
 */
const SHARE = 0.75;
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

let started: Promise<core.RenderingEngine> | null = null;
let onProcessor = false;

/** True where pictures are drawn by the processor: the same picture, said on the screen. */
export const withoutGpu = (): boolean => onProcessor;

export function engine(): Promise<core.RenderingEngine> {
  started ??= start();
  return started;
}

async function start(): Promise<core.RenderingEngine> {
  onProcessor = !hasGpu();
  core.init({ rendering: { useCPURendering: onProcessor } } as never);
  core.setUseCPURendering(onProcessor);
  core.cache.setMaxCacheSize(CACHE_BYTES);
  core.eventTarget.addEventListener(core.Enums.Events.IMAGE_CACHE_IMAGE_ADDED, (event: Event) => {
    const { image } = (event as CustomEvent<{ image: { imageId: string; sizeInBytes: number } }>).detail;
    images.set(image.imageId, image.sizeInBytes);
    queueMicrotask(added);
  });
  core.eventTarget.addEventListener(core.Enums.Events.IMAGE_CACHE_IMAGE_REMOVED, (event: Event) => {
    images.delete((event as CustomEvent<{ imageId: string }>).detail.imageId);
  });
  const maxWebWorkers = Math.max(1, Math.min(4, navigator.hardwareConcurrency - 1));
  dicomImageLoader.init({ maxWebWorkers, beforeProcessing: beforeDecoding, ...hooks } as never);
  registerLoaders(load);
  return new core.RenderingEngine("todoke");
}

function hasGpu(): boolean {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl) return false;
  const named = gl.getExtension("WEBGL_debug_renderer_info");
  const renderer = String(gl.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return !SOFTWARE.test(renderer);
}

/** Forget decoded images while the page is locked, those too that are on their way (AUT-06). */
export function forgetDecoded(still: () => boolean): void {
  if (started === null) return;
  core.cache.purgeCache();
  void Promise.all(pending).then(() => {
    if (still()) core.cache.purgeCache();
  });
}

/** Bytes of decoded images in the cache. */
export const held = (): number => (started === null ? 0 : core.cache.getCacheSize());

const images = new Map<string, number>();
let added = (): void => undefined;

/** The cache as those see it who decide what stays in it. */
export const store: Store = {
  budget: CACHE_BYTES * SHARE,
  bytes: held,
  held: images,
  drop(id) {
    images.delete(id);
    if (core.cache.getImageLoadObject(id)) core.cache.removeImageLoadObject(id);
  },
};

/** Say what happens when an image has come into the cache. */
export function onHeld(action: () => void): void {
  added = action;
}

const pending = new Set<Promise<unknown>>();

/**
 * Load an image into the cache; `ahead` lets it wait behind what the reader looks at, and fail
 * where that takes long.
 *
 * The library's `loadAndCacheImage` does the same but leaves a failed load unhandled.
 */
export function load(id: string, ahead = false): Promise<core.Types.IImage> {
  const known = core.cache.getImageLoadObject(id);
  if (!ahead) isWaitedFor(id);
  if (known) return known.promise;
  if (ahead) isSpare(id);
  const requestType = core.Enums.RequestType[ahead ? "Prefetch" : "Interaction"];
  const options = { requestType, priority: ahead ? 5 : -10 };
  const loading = core.imageLoader.loadImage(id, options as never) as Promise<core.Types.IImage>;
  const settled = core.cache.putImageLoadObject(id, { promise: loading }).catch(() => undefined);
  pending.add(settled);
  void settled.then(() => pending.delete(settled));
  return loading;
}

/**
 * Forget images and their data sets: pixels at once, data sets when the loads on their way have
 * ended, since a decoder that has begun still asks for them.
 */
export function forget(ids: readonly string[]): void {
  if (started === null) return;
  core.cache.purgeCache();
  void Promise.all(pending).then(() => {
    for (const id of ids) {
      dicomImageLoader.wadors.metaDataManager.remove(id);
      if (core.cache.getImageLoadObject(id)) core.cache.removeImageLoadObject(id);
    }
  });
}
