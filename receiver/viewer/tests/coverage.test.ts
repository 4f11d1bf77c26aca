import { describe, expect, it } from "vitest";
import { Coverage } from "../src/slide/coverage";
import type { Study } from "../src/types";

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

  it("counts what has come of a study since it was told, and never less", () => {
    const level = { sop_uid: "a", frames: 10 };
    const study = (arrived: number): Study =>
      ({ arrived, series: [{ slide: { levels: [level, { ...level, derived: { of: "a", factor: 4 } }] } }, {}] }) as unknown as Study;
    expect([coverage().counted(study(0)).arrived, coverage().counted(study(7)).arrived]).toEqual([3, 7]);
  });

  it("takes a frame as here that the receiver has given", () => {
    const changed = coverage();
    changed.hold("a", 4);
    changed.hold("b", 4);
    expect([changed.has("a", 4), changed.has("b", 4), changed.count("a")]).toEqual([true, false, 4]);
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
