import { describe, expect, it } from "vitest";
import { entryOf, hasBadTable, hasUnknownFunction, levelOf, lutOf, shapesOf, truthOf, WrongGrey } from "../src/radiology/grey";

const item = (descriptor: number[], data: object) => ({
  "00283002": { vr: "US", Value: descriptor },
  "00283006": data,
});
const words = (...values: number[]) => ({ vr: "US", Value: values });

describe("a table of grey", () => {
  it("is read from words, from little-endian bytes and from one byte an entry", () => {
    expect([...(lutOf(item([3, 10, 12], words(1, 2, 4095)))?.entries ?? [])]).toEqual([1, 2, 4095]);
    const bytes = (...of: number[]) => ({ vr: "OW", InlineBinary: btoa(String.fromCharCode(...of)) });
    expect([...(lutOf(item([2, 0, 16], bytes(1, 2, 255, 255)))?.entries ?? [])]).toEqual([0x0201, 0xffff]);
    expect([...(lutOf(item([3, 0, 8], bytes(7, 8, 9, 0)))?.entries ?? [])]).toEqual([7, 8, 9]);
  });

  it("takes 0 for 65536 entries, and is none where its parts do not agree", () => {
    expect(lutOf(item([0, 0, 16], words(1, 2)))).toBeNull();
    expect(lutOf(item([0, 0, 16], { vr: "US", Value: Array(65536).fill(5) }))?.entries.length).toBe(65536);
    expect(lutOf(item([2, 0, 16], { vr: "OW" }))).toBeNull();
    expect(lutOf(item([2, 0, 4], words(1, 2)))).toBeNull();
  });

  it("gives its ends to what lies beyond them, also below zero", () => {
    const lut = lutOf(item([3, -10, 16], words(100, 200, 300)));
    expect(lut && [-99, -10, -9, -8, 5].map((of) => entryOf(lut, of))).toEqual([100, 100, 200, 300, 300]);
  });
});

describe("values", () => {
  it("go through the Modality LUT, else through slope and intercept", () => {
    const data = { "00283000": { vr: "SQ", Value: [item([2, 5, 16], words(40, 50))] } };
    expect([...(truthOf([0, 5, 6, 9], data).pixels as Uint16Array)]).toEqual([40, 40, 50, 50]);
    const line = { "00281053": { vr: "DS", Value: [2] }, "00281052": { vr: "DS", Value: [-7] } };
    expect(truthOf([1], line)).toMatchObject({ slope: 2, intercept: -7 });
  });

  it("are refused where the table cannot be used", () => {
    const broken = { "00283000": { vr: "SQ", Value: [item([2, 5, 16], { vr: "OW" })] } };
    expect(() => truthOf([0], broken)).toThrow(WrongGrey);
    expect(() => truthOf([0], { "00281053": { vr: "DS", Value: [0] } })).toThrow(WrongGrey);
  });
});

describe("shapes", () => {
  const sigmoid = {
    "00281050": { vr: "DS", Value: [100] },
    "00281051": { vr: "DS", Value: [50] },
    "00281056": { vr: "CS", Value: ["SIGMOID"] },
  };

  it("are tables first, then sigmoids, which rise as PS3.3 C.11.2.1.3.1 says", () => {
    const table = { "00283010": { vr: "SQ", Value: [item([2, 0, 8], words(3, 4))] } };
    const found = shapesOf({ ...sigmoid, ...table });
    expect(found.map((shape) => shape.kind)).toEqual(["lut", "sigmoid"]);
    const curve = found[1];
    expect(curve && [levelOf(curve, 100), levelOf(curve, 150)]).toEqual([32768, Math.round(65535 / (1 + Math.exp(-4)))]);
  });

  it("that cannot be applied are named", () => {
    expect(hasBadTable({ "00283010": { vr: "SQ", Value: [item([2, 0, 16], { vr: "OW" })] } })).toBe(true);
    expect(hasUnknownFunction({ "00281056": { vr: "CS", Value: ["CUBIC"] } })).toBe(true);
    expect(hasUnknownFunction(sigmoid)).toBe(false);
  });
});
