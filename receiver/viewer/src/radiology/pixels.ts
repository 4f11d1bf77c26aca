/** Images as the renderer gets them: stored values, or levels where their way to grey is no line. */

import * as core from "@cornerstonejs/core";
import dicomImageLoader from "@cornerstonejs/dicom-image-loader";
import { areKnown, isMadeHere, MADE, rgbOf, WrongColours } from "./colours";
import { number, text, type DataSet } from "./dataset";
import { keepLine, keepShape, keepTruth, levelOf, shapesOf, topOf, truthIn, truthOf, WrongGrey, type Truth } from "./grey";

/** Scheme of images whose pixels are the stored ones. */
export const STORED = "stored";
const MOST_SHAPES = 16;
/** Schemes of images whose pixels have gone through a shape, in the order of `shapesOf`. */
const SHAPED = Array.from({ length: MOST_SHAPES }, (_, i) => `shape${i}`);
/** The processor's table has an entry for each value between an image's ends. */
const LONGEST_TABLE = 1 << 16;

type Array16 = Uint8Array | Uint16Array | Int16Array | Float32Array;

/** Address of an image: of its stored pixels, or of its pixels through one of its shapes. */
export function addressed(uri: string, shape: number | null): string {
  const scheme = shape === null ? STORED : SHAPED[Math.min(shape, MOST_SHAPES - 1)];
  return `${scheme}:${uri}`;
}

export const uriOf = (id: string): string => id.slice(id.indexOf(":") + 1);

/** Tell the renderer how our images are loaded. */
export function registerLoaders(load: (id: string, ahead: boolean) => Promise<core.Types.IImage>): void {
  core.metaData.addProvider(pixelModule, BEFORE_THE_LIBRARY);
  core.imageLoader.registerImageLoader(STORED, ((id: string, options: object) => ({
    promise: stored(id, options),
  })) as never);
  SHAPED.forEach((scheme, i) => {
    core.imageLoader.registerImageLoader(scheme, ((id: string) => ({ promise: shaped(id, i, load) })) as never);
  });
}

/** What `SeriesData.register` has laid down for an image. */
function dataOf(id: string): DataSet {
  const data = dicomImageLoader.wadors.metaDataManager.get(id) as DataSet | undefined;
  if (!data) throw new Error("the renderer was not told of this image");
  return data;
}

async function stored(id: string, options: object): Promise<core.Types.IImage> {
  if (!areKnown(dataOf(id))) throw new WrongColours();
  const address = `wadors:${uriOf(id)}`;
  const unscaled = { ...options, preScale: { enabled: false } };
  const image = (await core.imageLoader.loadImage(address, unscaled as never)) as core.Types.IImage;
  checkSize(image, dataOf(id));
  image.imageId = id;
  // the library takes its first letter for the whole word, and a card then draws nothing
  delete (image as { voiLUTFunction?: unknown }).voiLUTFunction;
  if (image.color) return bytes(image);
  const data = dataOf(id);
  if (isMadeHere(data)) return painted(image, rgbOf(data, image.getPixelData() as ArrayLike<number>));
  const truth = truthOf(masked(image.getPixelData() as ArrayLike<number>, data), data);
  keepTruth(image, truth);
  const { pixels, slope, intercept } = drawable(truth);
  keepLine(image, { slope, intercept });
  return laid(image, pixels);
}

export class WrongSize extends Error {}

/**
 * A decoder that fails may give an image of no size, which leaves all that come after it black;
 * one of another size than the data set says would be measured wrong.
 */
function checkSize(image: core.Types.IImage, data: DataSet): void {
  const [rows, columns] = [number(data, "00280010"), number(data, "00280011")];
  const enough = image.getPixelData().length >= image.rows * image.columns;
  if (image.rows !== rows || image.columns !== columns || !enough || rows * columns === 0) throw new WrongSize();
}

/** An image of colours that were made here. */
function painted(image: core.Types.IImage, pixels: Uint8Array): core.Types.IImage {
  const made = laid(image, pixels, MADE.samplesPerPixel);
  return Object.assign(made, {
    color: true,
    rgba: false,
    numberOfComponents: MADE.samplesPerPixel,
    photometricInterpretation: MADE.photometricInterpretation,
    imageFrame: undefined, // the library's own account of pixels that are no longer these
    minPixelValue: 0,
    maxPixelValue: 255,
    windowCenter: 128,
    windowWidth: 256,
    getCanvas: undefined,
  });
}

/** What the renderer asks of an image before it has one; null where the library knows it. */
function pixelModule(type: string, id: unknown): typeof MADE | undefined {
  if (type !== "imagePixelModule" || typeof id !== "string" || !id.startsWith(`${STORED}:`)) return undefined;
  const data = dicomImageLoader.wadors.metaDataManager.get(id) as DataSet | undefined;
  return data && isMadeHere(data) ? MADE : undefined;
}
const BEFORE_THE_LIBRARY = 1e6;

/** Colours lie between 0 and 255, whatever of it this picture uses. */
function bytes(image: core.Types.IImage): core.Types.IImage {
  if (image.getPixelData() instanceof Uint8Array || image.getPixelData() instanceof Uint8ClampedArray) {
    image.minPixelValue = 0;
    image.maxPixelValue = 255;
  }
  return image;
}

const ofJpeg = (...tails: number[]): ReadonlySet<string> => new Set(tails.map((tail) => `1.2.840.10008.1.2.4.${tail}`));
/** JPEG 2000, HTJ2K: each codestream says for itself whether its values have a sign. */
const OWN_SIGN = ofJpeg(90, 91, 92, 93, 201, 202, 203);
/** Codings that lose: nothing is kept above the stored bits, but a decoder may go beyond them. */
const LOSSY = ofJpeg(50, 51, 53, 55, 81, 91, 93, 112, 203);

/**
 * Without what lies above the stored bits: old objects keep overlays there (PS3.5 8.1.2).  What a
 * lossy coding makes of the brightest may lie there too, and is the brightest: cut off it would
 * be the darkest.  A codestream without signs under a data set with them holds two's complement.
 */
function masked(pixels: ArrayLike<number>, data: DataSet): ArrayLike<number> {
  const [held, used, signed] = [number(data, "00280100"), number(data, "00280101"), number(data, "00280103")];
  const syntax = text(data, "00083002");
  if (signed === 1 && used && used <= 16 && OWN_SIGN.has(syntax)) {
    return Int16Array.from(pixels, (one) => (one << (32 - used)) >> (32 - used));
  }
  if (!held || !used || used >= held || signed === 1 || held > 16) return pixels;
  const top = 2 ** used - 1;
  if (LOSSY.has(syntax)) return Uint16Array.from(pixels, (one) => Math.min(one, top));
  return Uint16Array.from(pixels, (one) => one & top);
}

/** The same values with whole numbers that rise with them, no more than a table has entries. */
function drawable({ pixels, slope, intercept }: Truth): Truth & { readonly pixels: Array16 } {
  const [low, high] = ends(pixels);
  const sign = Math.sign(slope);
  if (high - low < LONGEST_TABLE) {
    const upright = sign > 0 ? pixels : Float32Array.from(pixels, (one) => -one);
    return { pixels: narrow(upright), slope: slope * sign, intercept };
  }
  const step = (high - low) / (LONGEST_TABLE - 1);
  const from = sign > 0 ? low : high;
  const coarse = Uint16Array.from(pixels, (one) => Math.round(((one - from) * sign) / step));
  return { pixels: coarse, slope: slope * sign * step, intercept: intercept + from * slope };
}

/** One kind of array for one kind of value: the renderer keeps its texture from slice to slice. */
function narrow(pixels: ArrayLike<number>): Array16 {
  if (pixels instanceof Uint16Array || pixels instanceof Int16Array) return pixels;
  const [low, high] = ends(pixels);
  if (low >= 0) return high <= FULL ? Uint16Array.from(pixels) : Float32Array.from(pixels);
  return low >= -32768 && high <= 32767 ? Int16Array.from(pixels) : Float32Array.from(pixels);
}
const FULL = 65535;

function ends(pixels: ArrayLike<number>): readonly [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < pixels.length; i += 1) {
    const one = pixels[i] as number;
    if (one < low) low = one;
    if (one > high) high = one;
  }
  return [low, high];
}

function laid(image: core.Types.IImage, pixels: Array16, samples = 1): core.Types.IImage {
  const [low, high] = ends(pixels);
  const voxelManager = core.utilities.VoxelManager.createImageVoxelManager({
    scalarData: pixels,
    width: image.columns,
    height: image.rows,
    numberOfComponents: samples,
  } as never);
  return Object.assign(image, {
    voxelManager,
    getPixelData: () => pixels,
    dataType: pixels.constructor.name,
    sizeInBytes: pixels.byteLength,
    minPixelValue: low,
    maxPixelValue: high,
    slope: 1, // the line to values is ours: one of the renderer's paths would follow it
    intercept: 0,
    invert: false,
    preScale: undefined,
    modalityLUT: undefined,
    voiLUT: undefined,
  }) as core.Types.IImage;
}

async function shaped(
  id: string,
  choice: number,
  load: (id: string, ahead: boolean) => Promise<core.Types.IImage>,
): Promise<core.Types.IImage> {
  const base = await load(addressed(uriOf(id), null), false);
  const shape = shapesOf(dataOf(id))[choice];
  const truth = truthIn(base);
  if (!shape || !truth) throw new WrongGrey();
  const image: core.Types.IImage = { ...base, imageId: id };
  delete image.cachedLut;
  const { pixels, slope, intercept } = truth;
  const levels = Uint16Array.from(pixels, (one) => levelOf(shape, one * slope + intercept));
  laid(image, levels);
  image.minPixelValue = 0;
  image.maxPixelValue = topOf(shape);
  keepTruth(image, truth);
  keepShape(image, shape);
  return image;
}
