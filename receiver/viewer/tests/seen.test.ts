import { describe, expect, it } from "vitest";
import { forget, saw, seen } from "../src/radiology/seen";
import type { Slot } from "../src/radiology/slots";

const slot = (sop: string, frame: number): Slot => ({ sop, frame, here: true, damaged: false });

describe("images that were shown", () => {
  it("count once, with all their frames, by their study", () => {
    const slots = [slot("a", 1), slot("b", 1), slot("b", 2)];
    saw("k", slot("a", 1), slots);
    saw("k", slot("a", 1), slots);
    saw("k", slot("b", 2), slots);
    expect(seen("k")).toBe(1);
    saw("k", slot("b", 1), slots);
    expect(seen("k")).toBe(2);
    expect(seen("other")).toBe(0);
    forget();
    expect(seen("k")).toBe(0);
  });
});
