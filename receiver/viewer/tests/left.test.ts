import { describe, expect, it } from "vitest";
import { left } from "../src/radiology/left";

describe("what is left of an arrival", () => {
  it("follows what came, and is not guessed from too little", () => {
    const from = { at: 0, arrived: 100 };
    expect(left(from, { at: 10_000, arrived: 200 }, 500)).toBe("0:30");
    expect(left(from, { at: 60_000, arrived: 160 }, 300)).toBe("2:20");
    expect(left(from, { at: 2_000, arrived: 200 }, 500)).toBe("");
    expect(left(from, { at: 60_000, arrived: 100 }, 500)).toBe("");
    expect(left(from, { at: 60_000, arrived: 160 }, null)).toBe("");
  });
});
