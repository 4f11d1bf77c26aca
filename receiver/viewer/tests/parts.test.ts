import { describe, expect, it } from "vitest";
import { partsOf } from "../src/slide/parts";

const TYPE = 'multipart/related; type="image/jpeg"; boundary=todoke-12ab';
const bytes = (text: string): ArrayBuffer => Uint8Array.from(text, (letter) => letter.charCodeAt(0)).buffer;
const HEAD = "Content-Type: image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50";
// what stands in a picture may look like a boundary's beginning, or like the end of a head
const PICTURES = ["\xff\xd8\r\n\r\n\xff\xd9", "\xff\xd8\r\n--todoke-12a\xff\xd9\r\n"];
const whole = `\r\n${PICTURES.map((one) => `--todoke-12ab\r\n${HEAD}\r\n\r\n${one}\r\n`).join("")}--todoke-12ab--\r\n`;

describe("the parts of an answer", () => {
  it.each([["after a line", whole], ["at once", whole.slice(2)]])("are cut byte by byte: %s", (_, body) => {
    const parts = partsOf(TYPE, bytes(body));
    expect(parts.map((one) => String.fromCharCode(...one))).toEqual(PICTURES);
  });

  it("are none of a body that was broken off, or is of another kind", () => {
    for (let length = 0; length < whole.length - 4; length += 1) expect(partsOf(TYPE, bytes(whole.slice(0, length)))).toEqual([]);
    expect(partsOf("image/jpeg", bytes(whole))).toEqual([]);
  });
});
