/**
 * Colours that the renderer's library does not make, or makes wrong (PS3.3 C.7.6.3.1.2).
 *
 * It finds no palettes of DICOMweb in their inline form, takes the length of YBR_FULL_422 for
 * that of another sampling, which leaves the picture black, and draws the low bytes of colours of
 * 16 bits. Such images are told to it as stored values without colour, and their colours are made
 * here.
 */

import { inlined, number, numbers, text, type DataSet, type Element } from "./dataset";

/** Where a data set keeps what it says of its colours while the renderer is told otherwise. */
const TRULY = "photometric";
const PHOTOMETRIC = "00280004";
const SAMPLES = "00280002";
const PLANAR = "00280006";
const ALLOCATED = "00280100";
const GREY: Element = { vr: "CS", Value: ["MONOCHROME2"] };
/** Frames of runs of bytes as they are in the pixel data (PS3.5 8.1.1, 8.2). */
const NATIVE = new Set(["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"]);
/** Decoded by the browser itself, into RGB. */
const BASELINE = "1.2.840.10008.1.2.4.50";

export class WrongColours extends Error {}

/** What the renderer is told of an image's samples. */
export function forRenderer(data: DataSet): Record<string, Element | undefined> {
  const said = text(data, PHOTOMETRIC);
  const syntax = text(data, "00083002");
  const told = { ...data };
  const deep = (number(data, SAMPLES) ?? 1) > 1 && number(data, ALLOCATED) === 16;
  if (said === "PALETTE COLOR" || (said === "RGB" && deep && NATIVE.has(syntax))) Object.assign(told, { [PHOTOMETRIC]: GREY, [TRULY]: data[PHOTOMETRIC] });
  else if (said === "YBR_FULL_422" && NATIVE.has(syntax)) {
    const two: Element = { vr: "US", Value: [2] }; // a luminance and one of both colours for each pixel
    Object.assign(told, { [PHOTOMETRIC]: GREY, [SAMPLES]: two, [TRULY]: data[PHOTOMETRIC] });
  } else if (said === "YBR_FULL_422" && syntax !== BASELINE && (number(data, ALLOCATED) ?? 8) === 8) {
    // decoders give three samples a pixel: those of YBR_FULL
    Object.assign(told, { [PHOTOMETRIC]: { vr: "CS", Value: ["YBR_FULL"] }, [PLANAR]: { vr: "US", Value: [0] } });
  }
  return told;
}

/** Kinds of colour whose samples, of a byte each, the renderer makes RGB of; else it draws noise. */
const KNOWN = new Set(["RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"]);
export const areKnown = (told: DataSet): boolean =>
  (number(told, SAMPLES) ?? 1) < 3 ||
  isMadeHere(told) ||
  (KNOWN.has(text(told, PHOTOMETRIC)) && (number(told, ALLOCATED) ?? 8) === 8);

/** True where the colours of an image, as the renderer is told of it, are made here. */
export const isMadeHere = (told: DataSet): boolean => told[TRULY] !== undefined;

/** What the renderer has to know of pixels that were made here. */
export const MADE = {
  photometricInterpretation: "RGB",
  samplesPerPixel: 3,
  bitsAllocated: 8,
  bitsStored: 8,
  highBit: 7,
  pixelRepresentation: 0,
  planarConfiguration: 0,
} as const;

/** RGB, three bytes a pixel, of decoded samples. */
export function rgbOf(told: DataSet, samples: ArrayLike<number>): Uint8Array {
  const pixels = (number(told, "00280010") ?? 0) * (number(told, "00280011") ?? 0);
  const truly = text(told, TRULY);
  if (truly === "PALETTE COLOR") return looked(told, samples, pixels);
  return truly === "RGB" ? shallow(told, samples, pixels) : of422(samples, pixels);
}

/** The eight highest of the stored bits of each sample, plane after plane or pixel after pixel. */
function shallow(told: DataSet, samples: ArrayLike<number>, pixels: number): Uint8Array {
  if (samples.length < 3 * pixels) throw new WrongColours();
  const used = number(told, "00280101") ?? 16;
  const mask = 2 ** used - 1;
  const [step, next] = number(told, PLANAR) === 1 ? [1, pixels] : [3, 1];
  return Uint8Array.from({ length: 3 * pixels }, (_, i) => {
    const value = samples[Math.floor(i / 3) * step + (i % 3) * next] as number;
    return used < 8 ? (value & mask) << (8 - used) : (value & mask) >> (used - 8);
  });
}

/** Y1 Y2 Cb Cr: two pixels of a row share their colour. */
function of422(samples: ArrayLike<number>, pixels: number): Uint8Array {
  if (samples.length < 2 * pixels) throw new WrongColours();
  const out = new Uint8ClampedArray(3 * pixels);
  for (let i = 0; i < pixels; i += 1) {
    const pair = (i >> 1) * 4;
    const y = samples[pair + (i & 1)] as number;
    const cb = (samples[pair + 2] as number) - 128;
    const cr = (samples[pair + 3] as number) - 128;
    out[3 * i] = y + 1.402 * cr;
    out[3 * i + 1] = y - 0.344136 * cb - 0.714136 * cr;
    out[3 * i + 2] = y + 1.772 * cb;
  }
  return new Uint8Array(out.buffer);
}

function looked(told: DataSet, samples: ArrayLike<number>, pixels: number): Uint8Array {
  if (samples.length < pixels) throw new WrongColours();
  const [red, green, blue] = [1, 2, 3].map((part) => paletteOf(told, part)) as [Palette, Palette, Palette];
  const [bits, used] = [number(told, ALLOCATED) ?? 8, number(told, "00280101") ?? 8];
  const mask = number(told, "00280103") === 1 || used >= bits ? -1 : 2 ** used - 1;
  const out = new Uint8Array(3 * pixels);
  for (let i = 0; i < pixels; i += 1) {
    const value = (samples[i] as number) & mask;
    [red, green, blue].forEach(({ first, entries }, part) => {
      const place = Math.min(entries.length - 1, Math.max(0, value - first));
      out[3 * i + part] = entries[place] as number;
    });
  }
  return out;
}

interface Palette {
  readonly first: number;
  /** Of 8 bits. */
  readonly entries: Uint8Array;
}

/** The table of red, green or blue (1, 2, 3), plain or in segments (PS3.3 C.7.6.3.1.5, C.7.9.2). */
export function paletteOf(data: DataSet, part: number): Palette {
  const [said = Number.NaN, first = Number.NaN, bits = Number.NaN] = numbers(data, `0028110${part}`) ?? [];
  const count = (said & 0xffff) || 0x10000;
  if (!Number.isFinite(first) || (bits !== 8 && bits !== 16)) throw new WrongColours();
  const plain = wordsOf(data, `0028120${part}`, count);
  const segments = plain ? null : wordsOf(data, `0028122${part}`, 0);
  const entries = plain ?? (segments && unfolded(segments, count));
  if (!entries || entries.length < count) throw new WrongColours();
  // entries of a byte each are such whatever their descriptor says of bits
  const wide = bits === 16 && !(entries instanceof Uint8Array);
  return { first, entries: Uint8Array.from({ length: count }, (_, i) => (entries[i] as number) >> (wide ? 8 : 0)) };
}

/** Words of a table, or bytes where there are no more of them than entries. */
function wordsOf(data: DataSet, tag: string, count: number): Uint8Array | Uint16Array | null {
  const said = numbers(data, tag);
  if (said) return Uint16Array.from(said);
  const bytes = inlined(data, tag);
  if (!bytes) return null;
  if (bytes.length < 2 * count) return bytes;
  const view = new DataView(bytes.buffer);
  return Uint16Array.from({ length: bytes.length >> 1 }, (_, i) => view.getUint16(2 * i, true));
}

const [DISCRETE, LINEAR, INDIRECT] = [0, 1, 2];

/** Segments laid out one after the other: values, lines, and repetitions of earlier segments. */
function unfolded(words: ArrayLike<number>, count: number): Uint16Array {
  const out: number[] = [];
  const run = (at: number, segments: number, nested: boolean): void => {
    for (let left = segments; at < words.length && left > 0 && out.length < count; left -= 1) {
      const [kind, length = 0] = [words[at], words[at + 1]];
      if (kind === DISCRETE) {
        for (let i = 0; i < length; i += 1) out.push(words[at + 2 + i] ?? 0);
        at += 2 + length;
      } else if (kind === LINEAR) {
        const [from, to] = [out.at(-1), words[at + 2]];
        if (from === undefined || to === undefined) throw new WrongColours();
        for (let i = 1; i <= length; i += 1) out.push(Math.round(from + ((to - from) * i) / length));
        at += 3;
      } else if (kind === INDIRECT && !nested) {
        const offset = (words[at + 2] ?? 0) + (words[at + 3] ?? 0) * 0x10000; // in words, low first
        run(offset, length, true);
        at += 4;
      } else throw new WrongColours();
    }
  };
  run(0, Number.POSITIVE_INFINITY, false);
  return Uint16Array.from(out);
}
