/** One Cornerstone rendering engine for the page; on the processor where there is no GPU. */

import * as core from "@cornerstonejs/core";
import dicomImageLoader from "@cornerstonejs/dicom-image-loader";
import { beforeDecoding } from "./jpeg_frames";
import { registerLoaders } from "./pixels";

const CACHE_BYTES = 1 << 30;
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
  const maxWebWorkers = Math.max(1, Math.min(4, navigator.hardwareConcurrency - 1));
  dicomImageLoader.init({ maxWebWorkers, beforeProcessing: beforeDecoding } as never);
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

const pending = new Set<Promise<unknown>>();

/**
 * Load an image into the cache; `ahead` lets it wait behind what the reader looks at.
 *
 * The library's `loadAndCacheImage` does the same but leaves a failed load unhandled.
 */
export function load(id: string, ahead = false): Promise<core.Types.IImage> {
  const known = core.cache.getImageLoadObject(id);
  if (known) return known.promise;
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
