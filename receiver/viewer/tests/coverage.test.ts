import { describe, expect, it } from "vitest";
import { Coverage } from "../src/slide/coverage";

// frames 0, 3 and 8 of 10: bits 0b00001001, 0b00000001
const bitmap = btoa(String.fromCharCode(0b1001, 0b1));
const coverage = (): Coverage => Coverage.from({ instances: { a: { frames: 10, bitmap } } });

describe("coverage", () => {
  it("reads the least significant bit first", () => {
    const here = Array.from({ length: 10 }, (_, frame) => coverage().has("a", frame));
    expect(here.flatMap((yes, frame) => (yes ? [frame] : []))).toEqual([0, 3, 8]);
    expect(coverage().count("a")).toBe(3);
  });

  it("has nothing of an instance or frame that it does not know", () => {
    expect(coverage().has("b", 0)).toBe(false);
    expect(coverage().has("a", 4000)).toBe(false);
    expect(coverage().count("b")).toBe(0);
  });

  it("takes one frame away", () => {
    const changed = coverage();
    changed.clear("a", 3);
    expect(changed.has("a", 3)).toBe(false);
    expect(changed.count("a")).toBe(2);
  });

  it("knows what is damaged from what has not come", () => {
    const some = Coverage.from({ instances: { a: { frames: 10, bitmap }, b: { frames: 1, bitmap: "", damaged: true } } });
    expect([some.why("a", 1), some.why("b", 0)]).toEqual(["missing", "damaged"]);
    some.refuse("a", 0, "undecodable");
    expect([some.has("a", 0), some.why("a", 0), some.why("a", 1)]).toEqual([false, "undecodable", "missing"]);
  });
});
