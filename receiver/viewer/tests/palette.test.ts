import { describe, expect, it } from "vitest";
import { forRenderer, isMadeHere, paletteOf, rgbOf, WrongColours } from "../src/radiology/colours";

const bytes = (...of: number[]) => ({ vr: "OW", InlineBinary: btoa(String.fromCharCode(...of)) });
const words = (...of: number[]) => bytes(...of.flatMap((one) => [one & 0xff, one >> 8]));
const us = (...of: number[]) => ({ vr: "US", Value: of });

describe("a palette (PS3.3 C.7.6.3.1.5)", () => {
  it("has entries of 16 bits or of one byte each, whatever its descriptor says", () => {
    const red = (descriptor: number[], data: object) =>
      [...paletteOf({ "00281101": us(...descriptor), "00281201": data }, 1).entries];
    expect(red([3, 0, 16], words(0, 0x80ff, 0xffff))).toEqual([0, 0x80, 0xff]);
    expect(red([4, 0, 8], bytes(1, 2, 3, 4))).toEqual([1, 2, 3, 4]);
    expect(red([3, 0, 16], bytes(7, 8, 9, 0))).toEqual([7, 8, 9]);
  });

  it("may come in segments: values, lines to a value, and earlier segments again (C.7.9.2)", () => {
    // 2 values; a line of 4 to 0x0400; the first segment again (it lies at word 0)
    const segments = words(0, 2, 0x0000, 0x0000, 1, 4, 0x0400, 2, 1, 0, 0);
    const made = paletteOf({ "00281101": us(8, 10, 16), "00281221": segments }, 1);
    expect(made.first).toBe(10);
    expect([...made.entries]).toEqual([0, 0, 1, 2, 3, 4, 0, 0]);
  });

  it("that is not whole makes no picture", () => {
    for (const data of [{}, { "00281101": us(4, 0, 16) }, { "00281101": us(9, 0, 16), "00281201": words(1, 2) }]) {
      expect(() => paletteOf(data, 1)).toThrow(WrongColours);
    }
    const alone = { "00281101": us(8, 0, 16), "00281221": words(1, 4, 0x0400) };
    expect(() => paletteOf(alone, 1)).toThrow(WrongColours); // a line from nowhere
    const itself = { "00281101": us(8, 0, 16), "00281221": words(0, 1, 5, 2, 2, 0, 0) };
    expect(() => paletteOf(itself, 1)).toThrow(WrongColours); // a repetition of itself
  });

  it("gives its ends to what lies beyond them", () => {
    const data = { "00280010": us(1), "00280011": us(4), "00280100": us(8), "00280101": us(8), "00280103": us(0) };
    const tables: Record<string, object> = {};
    for (const part of [1, 2, 3]) {
      tables[`0028110${part}`] = us(2, 5, 8);
      tables[`0028120${part}`] = bytes(10 * part, 10 * part + 1);
    }
    const told = forRenderer({ ...data, ...tables, "00280004": { vr: "CS", Value: ["PALETTE COLOR"] } });
    expect(isMadeHere(told)).toBe(true);
    expect([...rgbOf(told, [0, 5, 6, 255])]).toEqual([10, 20, 30, 10, 20, 30, 11, 21, 31, 11, 21, 31]);
  });
});

describe("YBR_FULL_422", () => {
  const said = (syntax: string) => ({
    "00280004": { vr: "CS", Value: ["YBR_FULL_422"] },
    "00080000": {},
    "00083002": { vr: "UI", Value: [syntax] },
    "00280010": us(1),
    "00280011": us(2),
  });

  it("as it is stored has one colour for two pixels", () => {
    const told = forRenderer(said("1.2.840.10008.1.2.1"));
    expect([...rgbOf(told, [0, 255, 128, 128])]).toEqual([0, 0, 0, 255, 255, 255]);
    expect(() => rgbOf(told, [0, 255, 128])).toThrow(WrongColours);
  });

  it("is the browser's affair in JPEG, and YBR_FULL in other codings", () => {
    expect(isMadeHere(forRenderer(said("1.2.840.10008.1.2.4.50")))).toBe(false);
    const other = forRenderer(said("1.2.840.10008.1.2.4.80"));
    expect(isMadeHere(other)).toBe(false);
    expect(other["00280004"]?.Value).toEqual(["YBR_FULL"]);
  });
});
