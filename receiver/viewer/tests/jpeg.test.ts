import { describe, expect, it } from "vitest";
import cases from "../../../tests/receiver/jpeg_colours.json";
import { settled } from "../src/jpeg";

const MARKERS: Record<string, number[]> = {
  jfif: [0xff, 0xe0, 0, 16, ...letters("JFIF\0"), 1, 1, 0, 0, 1, 0, 1, 0, 0],
  adobe0: [0xff, 0xee, 0, 14, ...letters("Adobe"), 0, 100, 0, 0, 0, 0, 0],
  adobe1: [0xff, 0xee, 0, 14, ...letters("Adobe"), 0, 100, 0, 0, 0, 0, 1],
  "adobe-short": [0xff, 0xee, 0, 12, ...letters("Adobe"), 0, 0, 0, 0, 0],
  exif: [0xff, 0xe1, 0, 10, ...letters("Exif\0\0"), 0, 0],
};

function letters(word: string): number[] {
  return [...word].map((one) => one.charCodeAt(0));
}

function stream(markers: string[], ids: number[], factors = [0x11, 0x11, 0x11]): Uint8Array<ArrayBuffer> {
  const parts = ids.flatMap((id, i) => [id, factors[i] as number, 0]);
  const frame = [0xff, 0xc0, 0, 8 + parts.length, 8, 0, 1, 0, 1, ids.length, ...parts];
  const before = markers.flatMap((name) => MARKERS[name] as number[]);
  return Uint8Array.from([0xff, 0xd8, ...before, ...frame, 0xff, 0xda, 0, 2, 1, 2, 3, 0xff, 0xd9]);
}

/** As libjpeg-turbo takes three components, and Chromium with it: JFIF, Adobe, identifiers. */
function takenForRgb(bytes: Uint8Array): boolean {
  const text = String.fromCharCode(...bytes);
  if (text.includes("JFIF\0")) return false;
  const adobe = text.search(/\xff\xee\0\x0eAdobe/);
  if (adobe >= 0) return bytes[adobe + 15] === 0;
  const frame = text.indexOf("\xff\xc0");
  return [0, 3, 6].map((i) => text[frame + 10 + i]).join("") === "RGB";
}

describe("jpeg", () => {
  it.each(cases)("$photometric, $markers, $ids: $why", ({ photometric, ids, markers, factors, rgb, doubtful }) => {
    const bytes = stream(markers, ids, factors);
    const before = bytes.slice();
    const found = settled(bytes, photometric);
    expect(found.doubtful).toBe(doubtful);
    expect(takenForRgb(found.bytes)).toBe(rgb);
    expect(String.fromCharCode(...found.bytes)).not.toContain("Exif");
    expect([...found.bytes.slice(-7)]).toEqual([0, 2, 1, 2, 3, 0xff, 0xd9]);
    expect(bytes).toEqual(before); // what came is left as it is
  });

  it("leaves alone what says it already, what is grey, and what breaks off", () => {
    for (const usual of [stream(["jfif"], [1, 2, 3]), stream(["jfif"], [1])]) {
      expect(settled(usual, "YBR_FULL_422").bytes).toBe(usual);
    }
    const whole = stream([], [0, 1, 2]);
    for (let end = 0; end < whole.length - 8; end += 1) {
      const part = whole.slice(0, end);
      expect(settled(part, "RGB")).toEqual({ bytes: part, doubtful: false });
    }
  });
});
