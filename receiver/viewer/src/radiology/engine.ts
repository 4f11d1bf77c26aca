/** One Cornerstone rendering engine for the page; on the processor where there is no GPU. */

import * as core from "@cornerstonejs/core";
import dicomImageLoader from "@cornerstonejs/dicom-image-loader";

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
  dicomImageLoader.init({ maxWebWorkers: Math.max(1, Math.min(4, navigator.hardwareConcurrency - 1)) });
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

/** Forget every decoded image and data set: nothing of a patient outlives the view. */
export function forgetImages(): void {
  if (started === null) return;
  core.cache.purgeCache();
  dicomImageLoader.wadors.metaDataManager.purge();
}
