/** A worker that decodes frames which browsers do not: JPEG 2000, HTJ2K, JPEG-LS, native. */

import makeCharls from "@cornerstonejs/codec-charls/decodewasmjs";
import makeOpenJpeg from "@cornerstonejs/codec-openjpeg/decodewasmjs";
import makeOpenJph from "@cornerstonejs/codec-openjph/wasmjs";
import { apply } from "./lut";
import { codestream, rgba, Undecodable, type Described, type Samples } from "./colour";

const WASM = {
  charls: new URL("@cornerstonejs/codec-charls/decodewasm", import.meta.url),
  openjpeg: new URL("@cornerstonejs/codec-openjpeg/decodewasm", import.meta.url),
  openjph: new URL("@cornerstonejs/codec-openjph/wasm", import.meta.url),
};

export interface Order {
  readonly id: number;
  readonly codec: Codec;
  readonly width: number;
  readonly height: number;
  readonly described: Described;
  readonly bytes: ArrayBuffer;
  /** By the cube that was given last. */
  readonly coloured?: boolean;
}

export interface Answer {
  readonly id: number;
  readonly bitmap?: ImageBitmap;
  readonly failed?: string;
}

export type Codec = "jpeg" | "j2k" | "htj2k" | "jls" | "native";

const located = (url: URL) => ({
  locateFile: (file: string) => (file.endsWith(".wasm") ? url.href : file),
  print: () => undefined, // they tell of each header that they read
  printErr: () => undefined,
});

// each codec is fetched when a slide first needs it
let openJpeg: ReturnType<typeof makeOpenJpeg> | null = null;
let openJph: ReturnType<typeof makeOpenJph> | null = null;
let charls: ReturnType<typeof makeCharls> | null = null;

async function j2k(bytes: Uint8Array, ybr: boolean): Promise<Samples> {
  openJpeg ??= makeOpenJpeg(located(WASM.openjpeg));
  const { transformed, subsampled } = codestream(bytes);
  // with chroma of fewer samples the decoder makes RGB by itself
  return decoded(new (await openJpeg).J2KDecoder(), bytes, ybr && !transformed && !subsampled);
}

async function htj2k(bytes: Uint8Array, ybr: boolean): Promise<Samples> {
  openJph ??= makeOpenJph(located(WASM.openjph));
  const { transformed, subsampled } = codestream(bytes);
  if (subsampled) throw new Undecodable("subsampled");
  return decoded(new (await openJph).HTJ2KDecoder(), bytes, ybr && !transformed);
}

async function jls(bytes: Uint8Array, ybr: boolean): Promise<Samples> {
  charls ??= makeCharls(located(WASM.charls));
  const decoder = new (await charls).JpegLSDecoder();
  return decoded(decoder, bytes, ybr, () => decoder.getInterleaveMode() === 0);
}

function decoded(
  decoder: FrameDecoder,
  bytes: Uint8Array,
  ycc: boolean,
  planar: () => boolean = () => false,
): Samples {
  try {
    decoder.getEncodedBuffer(bytes.length).set(bytes);
    decoder.decode();
    const { width, height, bitsPerSample: bits, componentCount: components } = decoder.getFrameInfo();
    const samples = decoder.getDecodedBuffer().slice();
    return { width, height, bits, components, ycc, planar: components > 1 && planar(), bytes: samples };
  } finally {
    decoder.delete();
  }
}

function native(bytes: Uint8Array, order: Order): Samples {
  const { described, width, height } = order;
  const { samples: components, bits, planar } = described;
  if (described.photometric === "YBR_FULL_422" || described.photometric.startsWith("PALETTE")) {
    throw new Undecodable(described.photometric);
  }
  const ycc = described.photometric.startsWith("YBR");
  return { width, height, components, bits, ycc, planar: planar === 1, bytes };
}

const AS_IS = { colorSpaceConversion: "none", premultiplyAlpha: "none" } as const;

/** What the browser itself decodes, as samples, its colours untouched. */
async function jpeg(bytes: ArrayBuffer): Promise<ImageData> {
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }), AS_IS);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true }) as OffscreenCanvasRenderingContext2D;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

async function decodedHere(order: Order): Promise<ImageData> {
  if (order.codec === "jpeg") return jpeg(order.bytes);
  const bytes = new Uint8Array(order.bytes);
  const ybr = order.described.photometric.startsWith("YBR");
  const by = { j2k, htj2k, jls, native: async () => native(bytes, order) };
  const frame = await by[order.codec](bytes, ybr);
  // a frame of another size than its level's would lie in the wrong place
  if (frame.width !== order.width || frame.height !== order.height) throw new Undecodable("size");
  return new ImageData(rgba(frame), frame.width, frame.height);
}

async function picture(order: Order, by: Uint8Array | null): Promise<ImageBitmap> {
  const data = await decodedHere(order);
  if (order.coloured && by) apply(by, data.data);
  return createImageBitmap(data, AS_IS);
}

let cube: Uint8Array | null = null;

addEventListener("message", (event: MessageEvent<Order | { readonly cube: Uint8Array }>) => {
  if ("cube" in event.data) {
    cube = event.data.cube;
    return;
  }
  const { id } = event.data;
  const send = (answer: Answer, moved: Transferable[] = []): void =>
    (postMessage as (value: Answer, moved: Transferable[]) => void)(answer, moved);
  picture(event.data, cube).then(
    (bitmap) => send({ id, bitmap }, [bitmap]),
    (error: unknown) => send({ id, failed: String(error) }),
  );
});
