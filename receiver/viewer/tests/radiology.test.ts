import { describe, expect, it } from "vitest";
import { roundLength } from "../src/measure";
import { ownWindows } from "../src/radiology/dataset";
import { photographsOf } from "../src/pages/pathology";
import { direction, opposite, slicePosition, written } from "../src/radiology/geometry";
import { automatic, bounds, dragged, figure, preset, PRESETS } from "../src/radiology/presets";
import { expectedOf, fetchOrder, firstPlace, runs, slotsOf } from "../src/radiology/slots";
import type { Instance, Series } from "../src/types";

const instance = (sop: string, here: boolean, frames = 1): Instance => ({
  sop_uid: sop,
  number: 1,
  state: here ? "stored" : "expected",
  frames,
  rows: null,
  columns: null,
  sop_class: "",
  transfer_syntax: null,
});
const series = (instances: Instance[], expected: number | null): Series => ({
  series_uid: "1",
  modality: "CT",
  number: 1,
  description: null,
  expected,
  instances,
});

describe("windows", () => {
  it("leave colours and photographs as they are stored", () => {
    const of = (samples: number, modality: string, width?: number) =>
      ownWindows({
        "00280002": { Value: [samples] },
        "00280100": { Value: [8] },
        "00080060": { Value: [modality] },
        ...(width ? { "00281050": { Value: [40] }, "00281051": { Value: [width] } } : {}),
      });
    const whole = [{ center: 128, width: 256 }];
    expect(bounds({ ...(whole[0] as { center: number; width: number }), name: "win.original" })).toEqual({
      lower: 0,
      upper: 255,
    });
    expect(of(3, "US", 90)).toEqual(whole);
    expect(of(1, "GM")).toEqual(whole);
    expect(of(1, "CT")).toEqual([]);
    expect(of(1, "CT", 90)).toEqual([{ center: 40, width: 90 }]);
  });

  it("read back from the renderer's bounds are what was set", () => {
    for (const window of PRESETS) {
      const { lower, upper } = bounds(window);
      expect(figure(lower, upper)).toEqual({ width: window.width, center: window.center });
    }
    const exact = { width: 100, center: 50, name: "win.manual" } as const;
    expect(bounds(exact, true)).toEqual({ lower: 0, upper: 100 });
    expect(figure(0, 100, true)).toEqual({ width: 100, center: 50 });
  });

  it("never cross the modality", () => {
    expect(preset(5, "CT")?.width).toBe(1500);
    expect(preset(5, "MR")).toBeNull();
    expect(preset(0, "CT")).toBeNull();
  });

  it("are wider to the right and brighter downwards, never below one", () => {
    const window = { width: 400, center: 40, name: "win.manual" } as const;
    expect(dragged(window, 10, 0).width).toBeGreaterThan(400);
    expect(dragged(window, 0, 10).center).toBeLessThan(40);
    expect(dragged({ ...window, width: 2 }, -1000, 0).width).toBe(1);
  });

  it("are made from the values where an image brings none", () => {
    const values = Int16Array.from({ length: 1000 }, (_, i) => i);
    expect(automatic(values)).toEqual({ width: 981, center: 499.5, name: "win.auto" });
  });
});

describe("slots", () => {
  it("keep the place of what is missing", () => {
    const slots = slotsOf(series([instance("a", true), instance("b", false), instance("c", true)], 3));
    expect(slots.map((slot) => slot.here)).toEqual([true, false, true]);
    expect(firstPlace(slots)).toBe(2);
    expect(runs(slots)).toEqual([
      { here: true, from: 0, to: 1 },
      { here: false, from: 1, to: 2 },
      { here: true, from: 2, to: 3 },
    ]);
  });

  it("have one place per frame", () => {
    expect(slotsOf(series([instance("a", true, 3)], null)).map((slot) => slot.frame)).toEqual([1, 2, 3]);
  });

  it("are of an unknown number where nobody has said", () => {
    expect(expectedOf(series([], null), [])).toBeNull();
    expect(expectedOf(series([], 5), [])).toBe(5);
  });

  it("are fetched from the middle, then the ends, then outward, each once", () => {
    const order = fetchOrder(20, 10);
    expect(order.slice(0, 9)).toEqual([10, 11, 9, 12, 8, 13, 7, 0, 19]);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });
});

describe("a case of pathology", () => {
  it("counts its photographs by themselves", () => {
    const still = series([instance("a", true), instance("b", false)], 2);
    const slide = series(
      [{ ...instance("c", true, 900), sop_class: "1.2.840.10008.5.1.4.1.1.77.1.6" }],
      1,
    );
    const study = { kind: "slide", arrived: 900, expected: 902, damaged: 0, series: [slide, still] };
    const photographs = photographsOf(study as never);
    expect(photographs).toMatchObject({ kind: "dicom", arrived: 1, expected: 2, series: [still] });
  });
});

describe("geometry", () => {
  it("names directions of the patient", () => {
    expect(direction([1, 0, 0], "ja")).toBe("左");
    expect(direction(opposite([1, 0, 0]), "en")).toBe("R");
    expect(direction([0, 0.5, -0.9], "ja")).toBe("足後");
    expect(direction([0.99, 0.1, 0], "en")).toBe("L");
    expect(direction([0, 0, 0], "ja")).toBe("");
  });

  it("reads directions that an image without cosines writes", () => {
    expect(written("L", "ja")).toBe("左");
    expect(written("L", "en", true)).toBe("R");
    expect(written("PF", "ja", true)).toBe("前頭");
  });

  it("measures the place of a slice along its normal", () => {
    expect(slicePosition([0, 0, -55.5], [1, 0, 0, 0, 1, 0])).toBe(-55.5);
    expect(slicePosition(null, [1, 0, 0, 0, 1, 0])).toBeNull();
  });

  it("makes round bars", () => {
    expect(roundLength(1, 180)).toBe(100);
    expect(roundLength(0.5, 180)).toBe(50);
    expect(roundLength(1.2, 180)).toBe(200);
    expect(roundLength(0, 180)).toBe(0);
  });
});
