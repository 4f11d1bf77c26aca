import { describe, expect, it } from "vitest";
import { Pyramid, magnification, micrometres } from "../src/slide/pyramid";
import type { Slide, SlideLevel } from "../src/types";

const level = (sop: string, columns: number, rows: number): SlideLevel => ({
  sop_uid: sop,
  columns,
  rows,
  tile_columns: 240,
  tile_rows: 240,
  frames: Math.ceil(columns / 240) * Math.ceil(rows / 240),
  spacing_um: columns === 46000 ? 0.499 : null,
  flavor: "VOLUME",
  transfer_syntax: "1.2.840.10008.1.2.4.50",
  photometric: "RGB",
  samples: 3,
  bits: 8,
  planar: 0,
  arrived: 0,
});
// the sizes of an Aperio CMU-1: each level is rounded down
const slide: Slide = {
  levels: [level("0", 46000, 32914), level("1", 11500, 8228), level("2", 2875, 2057)],
  associated: [],
  objective_power: 20,
  icc: true,
      lossy: true,
      focus: null,
  ratio: null,
  scanner: null,
  reencoded: false,
};
const pyramid = new Pyramid(slide);

describe("pyramid", () => {
  it("has the smallest level first and whole downsamples", () => {
    expect(pyramid.levels.map((one) => one.downsample)).toEqual([16, 4, 1]);
    expect(pyramid.spacing).toBe(0.499);
  });

  it("numbers frames by rows", () => {
    expect(pyramid.frame(2, 0, 0)).toEqual({ sop: "0", number: 0 });
    expect(pyramid.frame(2, 191, 0)).toEqual({ sop: "0", number: 191 });
    expect(pyramid.frame(2, 0, 1)).toEqual({ sop: "0", number: 192 });
  });

  it("finds frames where the parts of a level and sparse tiles say they lie", () => {
    const places = btoa(String.fromCharCode(...new Uint8Array(new Uint32Array([5, 0, 5]).buffer)));
    const sparse = { ...level("s", 720, 480), parts: [{ sop_uid: "s", frames: 3, first: 0, places }] };
    const part = (sop: string, first: number) => ({ sop_uid: sop, frames: 2, first, places: null });
    const cut = { ...level("a", 360, 240), parts: [part("a", 0), part("b", 2)] };
    const both = new Pyramid({ ...slide, levels: [sparse, cut] });
    expect(both.frame(1, 2, 1)).toEqual({ sop: "s", number: 0 });
    expect(both.frame(1, 0, 0)).toEqual({ sop: "s", number: 1 });
    expect(both.frame(1, 1, 0)).toBeNull();
    expect(both.frame(0, 1, 0)).toEqual({ sop: "a", number: 1 });
    expect(both.frame(0, 0, 1)).toEqual({ sop: "b", number: 0 });
  });

  it("crops the padding of edge tiles", () => {
    expect(pyramid.picture(2, 0, 0)).toEqual({ x: 0, y: 0, width: 240, height: 240 });
    expect(pyramid.picture(2, 191, 137)).toEqual({ x: 0, y: 0, width: 46000 % 240, height: 32914 % 240 });
    expect(pyramid.place(1, 47, 0).width).toBe((11500 % 240) * 4);
  });

  it("asks for the level that the renderer draws", () => {
    expect(pyramid.wanted(1)).toBe(2);
    expect(pyramid.wanted(0.5)).toBe(2);
    expect(pyramid.wanted(0.49)).toBe(1);
    expect(pyramid.wanted(0.125)).toBe(1);
    expect(pyramid.wanted(0.01)).toBe(0);
  });

  it("finds the tiles of a box and none outside", () => {
    expect(pyramid.tiles(2, { x: 0, y: 0, width: 240, height: 240 })).toEqual([{ x: 0, y: 0 }]);
    expect(pyramid.tiles(2, { x: 239, y: 0, width: 2, height: 1 })).toHaveLength(2);
    expect(pyramid.tiles(2, { x: -500, y: 0, width: 400, height: 10 })).toEqual([]);
    expect(pyramid.tiles(0, { x: -1e6, y: -1e6, width: 2e7, height: 2e7 })).toHaveLength(12 * 9);
  });

  it("knows magnifications as micrometres per device pixel", () => {
    expect(micrometres(40)).toBe(0.25);
    expect(magnification(1)).toBe(10);
  });
});
