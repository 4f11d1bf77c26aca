import { describe, expect, it } from "vitest";
import { codestream, rgba, Undecodable } from "../src/slide/colour";

const frame = (bytes: number[], more: object = {}) => ({
  width: 2,
  height: 1,
  components: 3,
  bits: 8,
  planar: false,
  ycc: false,
  bytes: Uint8Array.from(bytes),
  ...more,
});

/** SOC, SIZ of three components, COD. */
function header(transform: number, chroma: number): Uint8Array {
  const siz = [0xff, 0x51, 0, 47, ...Array<number>(34).fill(0), 0, 3, 7, 1, 1, 7, chroma, 1, 7, chroma, 1];
  const cod = [0xff, 0x52, 0, 12, 0, 0, 0, 1, transform, 5, 4, 4, 0, 0];
  return Uint8Array.from([0xff, 0x4f, ...siz, ...cod, 0xff, 0x90, 0, 10]);
}

describe("colour", () => {
  it("takes samples by pixel and by plane", () => {
    expect([...rgba(frame([1, 2, 3, 4, 5, 6]))]).toEqual([1, 2, 3, 255, 4, 5, 6, 255]);
    expect([...rgba(frame([1, 4, 2, 5, 3, 6], { planar: true }))]).toEqual([1, 2, 3, 255, 4, 5, 6, 255]);
  });

  it("makes YCbCr what JPEG makes of it", () => {
    const [r, g, b] = rgba(frame([76, 85, 255, 150, 44, 21], { ycc: true }));
    expect([r, g, b]).toEqual([254, 0, 0]);
    expect([...rgba(frame([128, 128, 128, 255, 128, 128], { ycc: true })).slice(0, 3)]).toEqual([128, 128, 128]);
  });

  it("shows one component as grey, and twelve bits by their upper eight", () => {
    expect([...rgba(frame([9, 8], { components: 1 }))]).toEqual([9, 9, 9, 255, 8, 8, 8, 255]);
    const wide = frame([0xff, 0x0f, 0x10, 0x00], { components: 1, bits: 12 });
    expect([...rgba(wide)].filter((_, i) => i % 4 === 0)).toEqual([255, 1]);
  });

  it("refuses less than a frame, and what is no picture", () => {
    expect(() => rgba(frame([1, 2, 3, 4, 5]))).toThrow(Undecodable);
    expect(() => rgba(frame([1, 2, 3, 4], { components: 2 }))).toThrow(Undecodable);
    expect(() => rgba(frame([1, 2], { components: 1, bits: 1 }))).toThrow(Undecodable);
  });

  it("reads from a codestream whether its decoder makes RGB", () => {
    expect(codestream(header(1, 1))).toEqual({ transformed: true, subsampled: false });
    expect(codestream(header(0, 1))).toEqual({ transformed: false, subsampled: false });
    expect(codestream(header(0, 2))).toEqual({ transformed: false, subsampled: true });
    expect(() => codestream(Uint8Array.from([0xff, 0xd8, 0xff, 0xe0]))).toThrow(Undecodable);
    expect(codestream(header(1, 1).slice(0, 30))).toEqual({ transformed: false, subsampled: false });
  });
});
