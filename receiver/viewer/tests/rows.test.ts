import { describe, expect, it } from "vitest";
import { counts, glyph, matches, merge, waited } from "../src/pages/rows";
import type { Row } from "../src/types";
import { WORDS } from "../src/words";

describe("work list", () => {
  it("lets new rows wait while the reader's hand is on it", () => {
    expect(merge(["a", "b"], ["new", "a", "b"], true)).toEqual({ shown: ["a", "b"], waiting: ["new"] });
    expect(merge(["a", "b"], ["b", "a"], true).shown).toEqual(["a", "b"]);
    expect(merge(["a", "b"], ["new", "a", "b"], false).shown).toEqual(["new", "a", "b"]);
    expect(merge([], ["new"], true).shown).toEqual(["new"]);
  });

  it("tells how long a study has waited", () => {
    const now = Date.parse("2026-11-22T12:07:59Z");
    expect(waited("2026-11-22T12:00:00Z", now)).toBe("00:07");
    expect(waited("2026-11-22T09:00:00Z", now)).toBe("03:07");
    expect(waited(null, now)).toBe("");
  });

  it("has a glyph for each state, not a colour alone", () => {
    for (const state of ["sending", "receipted", "reading", "done", "failed"]) {
      expect(glyph(state)).not.toBe("・");
    }
  });
});

describe("requests", () => {
  const row = (changes: Partial<Row>): Row =>
    ({
      patient: { ideographic: "山田 太郎" },
      priority: "urgent",
      state: "receipted",
      arrived: 1,
      expected: 2,
      prior: false,
      request_items: [{ key: "reason", ja: "依頼内容", en: "What is asked", text: "スクリーニング ＣＴ" }],
      ...changes,
    }) as Row;

  it("never counts images for comparison among what waits", () => {
    expect(counts([row({}), row({ prior: true })])).toEqual({
      all: 2, urgent: 1, soon: 0, unopened: 1, reading: 0, incomplete: 1, done: 0,
    });
  });

  it("count what nobody has opened though its sender stopped: the other slides of a case wait", () => {
    expect(counts([row({ state: "held" })]).unopened).toBe(1);
    expect(counts([row({ state: "recalled" })]).unopened).toBe(0);
  });

  it("are searched whatever their width and kana", () => {
    expect(matches(row({}), "すくりーにんぐct")).toBe(true);
    expect(matches(row({}), "骨折")).toBe(false);
  });
});

describe("words", () => {
  it("exist in both languages with the same places to fill", () => {
    for (const [ja, en] of Object.values(WORDS)) {
      const places = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();
      expect(places(ja)).toEqual(places(en));
      expect(ja.length * en.length).toBeGreaterThan(0);
    }
  });
});
