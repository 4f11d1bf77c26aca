import { describe, expect, it } from "vitest";
import { pixelsOf, planesOf } from "../src/radiology/planes";
import { uptakeOf } from "../src/radiology/suv";

const us = (...values: number[]) => ({ vr: "US", Value: values });
const overlay = (more: object = {}) => ({
  "60000010": us(3),
  "60000011": us(5),
  "60000050": us(-2, 4),
  "60000100": us(1),
  "60003000": { vr: "OW" },
  ...more,
});

describe("planes of an overlay (PS3.3 C.9.2)", () => {
  it("lie where their origin says: row and column, counted from 1", () => {
    const [plane] = planesOf(overlay(), 1).drawn;
    expect(plane).toMatchObject({ group: "6000", rows: 3, columns: 5, left: 3, top: -3, frame: 0 });
  });

  it("lie over all frames, or over those from their origin on", () => {
    const frames = (data: object) => [1, 2, 3, 4].map((frame) => planesOf(overlay(data), frame).drawn[0]?.frame);
    expect(frames({})).toEqual([0, 0, 0, 0]);
    expect(frames({ "60000015": us(2), "60000051": us(2) })).toEqual([undefined, 0, 1, undefined]);
    expect(frames({ "60000015": us(2) })).toEqual([0, 1, undefined, undefined]);
    expect(frames({ "60000051": us(3) })).toEqual([undefined, undefined, 0, undefined]);
  });

  it("inside the pixels are counted, not drawn, and no odd or higher group is one", () => {
    const data = { ...overlay({ "60000100": us(16) }), "60020010": us(3), "60010010": us(3), "60200010": us(3) };
    expect(planesOf(data, 1)).toEqual({ drawn: [], embedded: 2 });
  });

  it("have their bits one after the other, across frames too, the lowest first", () => {
    const bits = Uint8Array.of(0b1010_0001, 0b0000_0001, 0b1000_0000, 0b0011_1111);
    const plane = (frame: number) => ({ group: "6000", rows: 3, columns: 5, left: 0, top: 0, frame, label: "" });
    expect([...(pixelsOf(plane(0), bits) ?? [])]).toEqual([1, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0]);
    expect([...(pixelsOf(plane(1), bits) ?? [])]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]);
    expect(pixelsOf(plane(2), bits)).toBeNull();
    expect(pixelsOf({ ...plane(0), rows: 0 }, bits)).toBeNull();
    expect(pixelsOf({ ...plane(0), rows: 65535, columns: 65535 }, bits)).toBeNull();
  });
});

const pet = (more: object = {}, tracer: object = {}) => ({
  "00080060": { Value: ["PT"] },
  "00541001": { Value: ["BQML"] },
  "00541102": { Value: ["START"] },
  "00280051": { Value: ["ATTN", "DECY"] },
  "00101030": { Value: [74] },
  "00080021": { Value: ["20261120"] },
  "00080031": { Value: ["100000.5"] },
  "00080022": { Value: ["20261120"] },
  "00080032": { Value: ["100130"] },
  "00540016": {
    Value: [
      {
        "00181072": { Value: ["090000.5"] },
        "00181074": { Value: [370e6] },
        "00181075": { Value: [6586.2] },
        ...tracer,
      },
    ],
  },
  ...more,
});
const one = 74000 / (370e6 * 2 ** (-3600 / 6586.2));

describe("uptake by body weight (PS3.3 C.8.9.1)", () => {
  it("is weight over the dose that is left when the series begins", () => {
    expect(uptakeOf(pet())).toEqual({ factor: expect.closeTo(one, 12) as number });
  });

  it("takes a whole date and time of the dose where there is one, also of the evening before", () => {
    const late = pet({ "00080031": { Value: ["003000"] }, "00080032": { Value: ["003000"] } }, {
      "00181078": { Value: ["20261119233000.000000+0900"] },
    });
    expect(uptakeOf(late)).toEqual({ factor: expect.closeTo(one, 12) as number });
    expect(uptakeOf({ ...late, "00080201": { Value: ["+0000"] } })).toEqual({ lacking: "time" });
  });

  it("is not guessed: a word says what is lacking", () => {
    const lacks = (data: object) => uptakeOf(data as never);
    expect(lacks(pet({ "00541001": { Value: ["CNTS"] } }))).toEqual({ lacking: "units" });
    expect(lacks(pet({ "00280051": { Value: ["DECY"] } }))).toEqual({ lacking: "corrections" });
    expect(lacks(pet({ "00541102": { Value: ["ADMIN"] } }))).toEqual({ lacking: "decay" });
    for (const weight of [undefined, { Value: [0] }, { vr: "DS" }]) {
      expect(lacks(pet({ "00101030": weight }))).toEqual({ lacking: "weight" });
    }
    expect(lacks(pet({}, { "00181074": undefined }))).toEqual({ lacking: "dose" });
    expect(lacks(pet({}, { "00181075": { Value: [0] } }))).toEqual({ lacking: "dose" });
    expect(lacks(pet({ "00540016": { Value: [{}, {}] } }))).toEqual({ lacking: "dose" });
    expect(lacks(pet({}, { "00181072": undefined }))).toEqual({ lacking: "time" });
    expect(lacks(pet({}, { "00181072": { Value: ["230000"] } }))).toEqual({ lacking: "time" }); // of the day before?
    expect(lacks(pet({ "00080031": { Value: ["120000"] } }))).toEqual({ lacking: "time" }); // a series made anew
    expect(lacks({ ...pet(), "00080060": { Value: ["CT"] } })).toBeNull();
  });
});
