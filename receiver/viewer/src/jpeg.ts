/**
 * In which colours the samples of a JPEG are: RGB, or YCbCr that has to be undone.
 *
 * A browser goes by the markers of the stream alone, and takes samples for YCbCr where none says
 * otherwise; DICOM says it in Photometric Interpretation (PS3.5 8.2.1), which a browser never
 * sees. So the header is written anew, in memory only, until it says what is so. Where the
 * stream and the data set contradict each other with nothing to settle it, that is told.
 * The receiver's `jpeg_colours.py` decides by the same rules; both are held to one table of cases.
 */

export interface Settled {
  /** The same picture, its colours told by a marker that decoders obey. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Nobody can know from the stream and the data set which colours are meant. */
  readonly doubtful: boolean;
}

/** Images of which a frame has come whose colours nobody can know, by SOP Instance UID. */
const doubted = new Set<string>();
export const DOUBT = "jpeg-doubt";
export const isDoubtful = (sop: string): boolean => doubted.has(sop);

/** Return a frame of an image with its colours told; that it is doubtful is kept of the image. */
export function told(bytes: Uint8Array<ArrayBuffer>, photometric: string, sop: string): Uint8Array<ArrayBuffer> {
  const found = settled(bytes, photometric);
  if (found.doubtful && !doubted.has(sop)) {
    doubted.add(sop);
    dispatchEvent(new Event(DOUBT)); // what has been said of the picture lacks it
  }
  return found.bytes;
}

interface Segment {
  readonly marker: number;
  readonly from: number;
  readonly to: number;
}

interface Header {
  readonly segments: readonly Segment[];
  readonly jfif: boolean;
  /** Transform of the last Adobe marker: 0 none, 1 YCbCr, 2 YCCK. */
  readonly adobe: number | null;
  readonly ids: string;
  readonly components: number;
  readonly subsampled: boolean;
}

const [SOI, SOS, APP0, APP1, APP14, TEM] = [0xd8, 0xda, 0xe0, 0xe1, 0xee, 0x01];
/** DHT, JPG, DAC: numbers among those of frame headers that are none. */
const NO_FRAME = new Set([0xc4, 0xc8, 0xcc]);
const [JFIF, ADOBE, EXIF] = ["JFIF\0", "Adobe", "Exif\0"];
/** Shorter ones are not taken for what they say they are: decoders do not either. */
const [JFIF_LENGTH, ADOBE_LENGTH] = [14, 12];
const RGB_IDS = new Set(["82,71,66", "114,103,98"]);

/** Return the stream with its colours told, by what a data set says of its samples. */
export function settled(bytes: Uint8Array<ArrayBuffer>, photometric: string): Settled {
  const header = headerOf(bytes);
  if (!header) return { bytes, doubtful: false }; // the decoder will refuse it
  if (header.components !== 3) return { bytes: without(bytes, header, [isExif]), doubtful: false };
  const { rgb, doubtful } = decide(header, photometric);
  if (rgb) {
    if (header.adobe === 0 && !header.jfif) return { bytes: without(bytes, header, [isExif]), doubtful };
    return { bytes: without(bytes, header, [isExif, isJfif, isAdobe], adobe(0)), doubtful };
  }
  if (header.adobe !== 0 && !RGB_IDS.has(header.ids)) return { bytes: without(bytes, header, [isExif]), doubtful };
  return { bytes: without(bytes, header, [isExif, isAdobe], adobe(1)), doubtful };
}

/** Witnesses of the stream, and the data set's word; at a tie the stream's alone. */
function decide(header: Header, photometric: string): { rgb: boolean; doubtful: boolean } {
  const said = photometric === "RGB" ? 1 : photometric.startsWith("YBR") ? -1 : 0;
  const forRgb = Number(header.adobe === 0) + Number(RGB_IDS.has(header.ids));
  const forYcc = Number(header.adobe === 1 || header.adobe === 2) + Number(header.jfif) + Number(header.subsampled);
  if (forRgb + forYcc === 0) {
    // 1, 2, 3 are the numbers of JFIF's YCbCr, but also what is written for want of others
    return { rgb: said > 0, doubtful: said === 0 || (said > 0 && header.ids === "1,2,3") };
  }
  const stream = forRgb - forYcc;
  const rgb = stream + said === 0 ? stream > 0 : stream + said > 0;
  const oneVoiced = forRgb === 0 || forYcc === 0;
  return { rgb, doubtful: !(oneVoiced && (stream * said > 0 || Math.abs(stream) > 1)) };
}

function headerOf(bytes: Uint8Array): Header | null {
  if (bytes[0] !== 0xff || bytes[1] !== SOI) return null;
  const segments: Segment[] = [];
  let [jfif, ids, components, subsampled] = [false, "", 0, false];
  let transform: number | null = null;
  for (let at = 2; at + 4 <= bytes.length; ) {
    if (bytes[at] !== 0xff) return null;
    const marker = bytes[at + 1] as number;
    if (marker === 0xff || marker === TEM) {
      at += marker === TEM ? 2 : 1; // a byte that fills, or a marker that stands alone
      continue;
    }
    if (marker === SOS) return components > 0 ? { segments, jfif, adobe: transform, ids, components, subsampled } : null;
    const to = at + 2 + 256 * (bytes[at + 2] as number) + (bytes[at + 3] as number);
    if (to < at + 4 || to > bytes.length) return null;
    const body = bytes.subarray(at + 4, to);
    const segment = { marker, from: at, to };
    segments.push(segment);
    if (isJfif(segment, body)) jfif = true;
    else if (isAdobe(segment, body) && body.length >= ADOBE_LENGTH) transform = body[11] as number;
    else if (marker >= 0xc0 && marker <= 0xcf && !NO_FRAME.has(marker)) {
      components = body[5] ?? 0;
      if (body.length < 6 + 3 * components) return null;
      const each = Array.from({ length: components }, (_, i) => body.subarray(6 + 3 * i, 9 + 3 * i));
      ids = each.map(([id]) => id).join();
      subsampled = new Set(each.map(([, factors]) => factors)).size > 1;
    }
    at = to;
  }
  return null;
}

type Test = (segment: Segment, body: Uint8Array) => boolean;

const begins = (body: Uint8Array, word: string): boolean =>
  [...word].every((letter, i) => body[i] === letter.charCodeAt(0));
const isJfif: Test = ({ marker }, body) => marker === APP0 && body.length >= JFIF_LENGTH && begins(body, JFIF);
const isAdobe: Test = ({ marker }, body) => marker === APP14 && begins(body, ADOBE);
/** It may turn or mirror the picture, where DICOM knows of no such thing. */
const isExif: Test = ({ marker }, body) => marker === APP1 && begins(body, EXIF);

/** An Adobe marker of version 100 that says the transform. */
const adobe = (transform: number): readonly number[] => [
  0xff, APP14, 0, 14, ...[...ADOBE].map((letter) => letter.charCodeAt(0)), 0, 100, 0, 0, 0, 0, transform,
];

/** The stream without segments, with others at its beginning; itself where nothing changes. */
function without(
  bytes: Uint8Array<ArrayBuffer>,
  header: Header,
  tests: readonly Test[],
  first: readonly number[] = [],
): Uint8Array<ArrayBuffer> {
  const out = header.segments.filter((one) => tests.some((test) => test(one, bytes.subarray(one.from + 4, one.to))));
  if (out.length === 0 && first.length === 0) return bytes;
  const parts: Uint8Array[] = [bytes.subarray(0, 2), Uint8Array.from(first)];
  let from = 2;
  for (const one of out) {
    parts.push(bytes.subarray(from, one.from));
    from = one.to;
  }
  parts.push(bytes.subarray(from));
  const made = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    made.set(part, at);
    at += part.length;
  }
  return made;
}
