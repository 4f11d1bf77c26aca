/**
 * From samples to the picture's own red, green and blue, 8 bits each.
 *
 * Nothing is managed here: what the scanner wrote is what is drawn, as a browser does with a
 * JPEG that is decoded without colour conversion.
 */

/** How the pixels of a level are described (PS3.3 C.7.6.3). */
export interface Described {
  readonly photometric: string;
  readonly samples: number;
  readonly bits: number;
  /** 1: all of the first component, then all of the second (native frames). */
  readonly planar: number;
}

/** A frame as its decoder gives it. */
export interface Samples {
  readonly width: number;
  readonly height: number;
  readonly components: number;
  readonly bits: number;
  readonly planar: boolean;
  readonly bytes: Uint8Array;
  /** The components are YCbCr still. */
  readonly ycc: boolean;
}

export class Undecodable extends Error {}

/** Return RGBA, opaque. */
export function rgba(frame: Samples): Uint8ClampedArray<ArrayBuffer> {
  const { width, height, components, bits, planar, ycc } = frame;
  if ((components !== 1 && components !== 3) || bits < 8 || bits > 16) throw new Undecodable();
  const count = width * height;
  const wide = bits > 8;
  if (frame.bytes.length < count * components * (wide ? 2 : 1)) throw new Undecodable();
  const values = wide ? words(frame.bytes) : frame.bytes;
  const shift = bits - 8;
  const [step, next] = planar ? [1, count] : [components, 1];
  const out = new Uint8ClampedArray(4 * count);
  for (let i = 0, from = 0, to = 0; i < count; i += 1, from += step, to += 4) {
    const a = (values[from] as number) >> shift;
    if (components === 1) out.fill(a, to, to + 3);
    else {
      const b = (values[from + next] as number) >> shift;
      const c = (values[from + 2 * next] as number) >> shift;
      if (ycc) full(out, to, a, b - 128, c - 128);
      else {
        out[to] = a;
        out[to + 1] = b;
        out[to + 2] = c;
      }
    }
    out[to + 3] = 255;
  }
  return out;
}

/** YBR_FULL to RGB (PS3.3 C.7.6.3.1.2); the array rounds and clamps. */
function full(out: Uint8ClampedArray, to: number, y: number, cb: number, cr: number): void {
  out[to] = y + 1.402 * cr;
  out[to + 1] = y - 0.344136 * cb - 0.714136 * cr;
  out[to + 2] = y + 1.772 * cb;
}

function words(bytes: Uint8Array): Uint16Array {
  const even = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(even.buffer, even.byteOffset, even.length >> 1); // every browser is little-endian
}

/** What a JPEG 2000 codestream says of its colours (ISO/IEC 15444-1 A.5.1, A.6.1). */
export interface Codestream {
  /** The decoder undoes a transform of components by itself. */
  readonly transformed: boolean;
  readonly subsampled: boolean;
}

export function codestream(bytes: Uint8Array): Codestream {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let [transformed, subsampled] = [false, false];
  if (view.byteLength < 4 || view.getUint16(0) !== 0xff4f) throw new Undecodable();
  for (let at = 2; at + 4 <= view.byteLength; ) {
    const marker = view.getUint16(at);
    const length = view.getUint16(at + 2);
    if (marker === 0xff90 || length < 2 || at + 2 + length > view.byteLength) break;
    if (marker === 0xff51) {
      const components = view.getUint16(at + 38);
      for (let i = 0; i < components && at + 42 + 3 * i < at + 2 + length; i += 1) {
        subsampled ||= view.getUint8(at + 41 + 3 * i) !== 1 || view.getUint8(at + 42 + 3 * i) !== 1;
      }
    } else if (marker === 0xff52) transformed = view.getUint8(at + 8) === 1;
    at += 2 + length;
  }
  return { transformed, subsampled };
}
