import { describe, expect, it } from "vitest";
import { apply, POINTS } from "../src/slide/lut";
import { follow, reversed } from "../src/slide/step";
import { Turned } from "../src/slide/turned";
import { tissueOf, Viewed } from "../src/slide/viewed";
import { nextOf, walk } from "../src/slide/walk";

describe("a turned field", () => {
  it("finds each place again", () => {
    const field = new Turned(100, 50, 40, 20, 30);
    const [right, down] = field.onScreen(110, 55);
    const [x, y] = field.onSlide(right, down);
    expect(x).toBeCloseTo(110);
    expect(y).toBeCloseTo(55);
  });
  it("turns clockwise", () => {
    const [right, down] = new Turned(0, 0, 1, 1, 90).onScreen(1, 0);
    expect(right).toBeCloseTo(0);
    expect(down).toBeCloseTo(1);
  });
});

describe("the walk over tissue", () => {
  for (const degrees of [0, 15, 90]) {
    it(`leaves no tissue out at ${degrees} degrees, and goes over no glass`, () => {
      const viewed = new Viewed(4096, 3072);
      const tissue = new Uint8Array(viewed.tissue.length);
      for (let cell = 0; cell < tissue.length; cell += 1) {
        const [x, y] = [cell % viewed.across, Math.floor(cell / viewed.across)];
        if (Math.hypot(x - 300, y - 300) < 150 || Math.hypot(x - 850, y - 500) < 60) tissue[cell] = 1;
      }
      viewed.find(tissue);
      const fields = walk(viewed, new Turned(0, 0, 500, 300, degrees));
      expect(viewed.share(10)).toBe(0);
      for (const [x, y] of fields) {
        const before = viewed.version;
        viewed.note(new Turned(x, y, 500, 300, degrees), 10);
        expect(viewed.version).toBeGreaterThan(before);
      }
      expect(viewed.share(10)).toBe(1);
      expect(viewed.share(20)).toBe(0);
    });
  }
  it("goes on from where one is, else to the nearest field, and stays at the end", () => {
    const fields = [[0, 0], [10, 0], [20, 0]] as const;
    expect(nextOf(fields, 0, 0, 1, 1)).toBe(1);
    expect(nextOf(fields, 13, 0, 1, 1)).toBe(1);
    expect(nextOf(fields, 20, 0, 1, 1)).toBe(2);
    expect(nextOf(fields, 0, 0, -1, 1)).toBe(0);
    expect(nextOf([], 0, 0, 1, 1)).toBe(-1);
  });
});

describe("tissue", () => {
  it("is what is not glass; black, where nothing was scanned, is none", () => {
    const size = { width: 30, height: 10 };
    const rgba = new Uint8ClampedArray(4 * 300).fill(240);
    for (let at = 0; at < 300; at += 1) {
      rgba[4 * at + 3] = 255;
      if (at % 30 < 5) rgba.set([0, 0, 0, 255], 4 * at);
      if (at % 30 > 20) rgba.set([200, 120, 180, 255], 4 * at);
    }
    const found = tissueOf(rgba, size, { across: 30, down: 10 });
    expect([...found.slice(0, 30)].map((one, x) => (one ? x : -1)).filter((x) => x >= 0)).toEqual([20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
  });
});

describe("panes in step", () => {
  it("look at what belongs together, and back", () => {
    const pair = { lead: { x: 10, y: 20, um: 1, turn: 0 }, follow: { x: 500, y: 300, um: 1, turn: 30 } };
    const lead = { x: 110, y: 20, um: 0.5, turn: 0 };
    const other = follow(pair, lead);
    expect(other.turn).toBe(30);
    expect(other.um).toBe(0.5);
    // to the right on both screens
    const [right, down] = new Turned(500, 300, 1, 1, 30).onScreen(other.x, other.y);
    expect(right).toBeCloseTo(100);
    expect(down).toBeCloseTo(0);
    const back = follow(reversed(pair), other);
    expect(back.x).toBeCloseTo(110);
    expect(back.y).toBeCloseTo(20);
    expect(back.turn).toBeCloseTo(0);
  });
});

describe("the cube of colours", () => {
  it("gives what it holds at its points, and between them what lies between", () => {
    const cube = new Uint8Array(POINTS ** 3 * 3);
    for (let r = 0; r < POINTS; r += 1)
      for (let g = 0; g < POINTS; g += 1)
        for (let b = 0; b < POINTS; b += 1) cube.set([g * 5, b * 5, 255 - r * 5], ((r * POINTS + g) * POINTS + b) * 3);
    for (const [r, g, b] of [[0, 0, 0], [255, 255, 255], [13, 201, 77], [201, 13, 77], [77, 13, 201], [13, 77, 201], [77, 201, 13], [201, 77, 13]] as const) {
      const pixel = new Uint8ClampedArray([r, g, b, 255]);
      apply(cube, pixel);
      expect([...pixel]).toEqual([g, b, 255 - r, 255]);
    }
  });
});
