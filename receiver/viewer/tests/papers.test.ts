import { expect, test } from "vitest";
import { isPaper, papersOf, pictured } from "../src/papers/kinds";
import { frameAt, middleOf, rateOf, timecode } from "../src/papers/rate";
import { decoded } from "../src/papers/text";
import type { Instance, Series, Study } from "../src/types";

const CT = "1.2.840.10008.5.1.4.1.1.2";
const PDF = "1.2.840.10008.5.1.4.1.1.104.1";
const ENDOSCOPE = "1.2.840.10008.5.1.4.1.1.77.1.1.1";
const AVC = "1.2.840.10008.1.2.4.102";
const LE = "1.2.840.10008.1.2.1";

const one = (sop_class: string, transfer_syntax: string | null): Instance => ({
  sop_uid: sop_class, number: 1, state: "stored", frames: 250, rows: 4, columns: 4, sop_class, transfer_syntax,
});
const series = (...instances: Instance[]): Series => ({
  series_uid: "1", modality: "OT", number: 1, description: null, expected: instances.length, instances,
});

test("documents and videos are told by their own kind, whatever the modality says", () => {
  expect(isPaper(one(PDF, LE))).toBe(true);
  for (const tail of ["100", "101.1", "102", "106.1", "107", "108"]) {
    expect(isPaper(one(ENDOSCOPE, `1.2.840.10008.1.2.4.${tail}`))).toBe(true);
  }
  // JPEG XL is 110 to 112, HTJ2K 201 to 203; an endoscope's stills are pictures
  for (const tail of ["50", "110", "112", "201", "90"]) {
    expect(isPaper(one(ENDOSCOPE, `1.2.840.10008.1.2.4.${tail}`))).toBe(false);
  }
  expect(isPaper(one(CT, null))).toBe(false);
});

test("a viewport never has them, and keeps what else is in their series", () => {
  const plain = series(one(CT, LE));
  expect(pictured(plain)).toBe(plain);
  expect(pictured(series(one(ENDOSCOPE, AVC)))).toBeNull();
  const mixed = pictured(series(one(ENDOSCOPE, AVC), one(ENDOSCOPE, LE)));
  expect(mixed?.instances.map((left) => left.transfer_syntax)).toEqual([LE]);
  expect(mixed?.expected).toBe(1);
  expect(papersOf({ series: [plain, series(one(PDF, LE))] } as unknown as Study)).toHaveLength(1);
});

const ds = (values: Record<string, number>): Record<string, { Value: number[] }> =>
  Object.fromEntries(Object.entries(values).map(([tag, value]) => [tag, { Value: [value] }]));

test("frame time comes before cine rate before the recommended rate", () => {
  expect(rateOf(ds({ "00181063": 40, "00180040": 30, "00082144": 15 }), Number.NaN).rate).toBe(25);
  expect(rateOf(ds({ "00181063": 0, "00180040": 30, "00082144": 15 }), Number.NaN).rate).toBe(30);
  expect(rateOf(ds({ "00082144": 15 }), Number.NaN).rate).toBe(15);
  expect(rateOf({}, 10)).toMatchObject({ rate: 30, guessed: true });
  expect(rateOf(ds({ "00280008": 250 }), 10)).toMatchObject({ rate: 25, guessed: false, count: 250 });
});

test("where the object's own count gives another rate, that is stepped by and said", () => {
  expect(rateOf(ds({ "00181063": 40, "00280008": 250 }), 10.02)).toMatchObject({ rate: 25, differs: false });
  expect(rateOf(ds({ "00181063": 33.3, "00280008": 250 }), 10)).toMatchObject({ rate: 25, differs: true });
});

test("a step is one frame, and its time is of that frame", () => {
  for (const rate of [25, 29.97, 59.94, 50]) {
    for (const frame of [0, 1, 24, 25, 1799, 100_000]) {
      const at = middleOf(frame, rate);
      expect(Math.floor(at * rate)).toBe(frame);
      expect(frameAt(frame / rate, rate)).toBe(frame);
    }
  }
  expect(timecode(0, 25)).toBe("0:00:00.00");
  expect(timecode(24, 25)).toBe("0:00:00.24");
  expect(timecode(25, 25)).toBe("0:00:01.00");
  expect(timecode(25 * 3661 + 7, 25)).toBe("1:01:01.07");
});

test("a document of words is read as it says itself", () => {
  const bytes = (text: string): ArrayBuffer => new TextEncoder().encode(text).buffer as ArrayBuffer;
  expect(decoded(bytes("<a>髙橋</a>"))).toBe("<a>髙橋</a>");
  const sjis = new Uint8Array([...new TextEncoder().encode('<?xml version="1.0" encoding="Shift_JIS"?>'), 0x8e, 0x52]);
  expect(decoded(sjis.buffer)).toContain("山");
  expect(decoded(bytes('<?xml version="1.0" encoding="no-such"?>山'))).toContain("山");
});
