import { describe, expect, it } from "vitest";
import { clock, dashed, fold, forms, fullWidth, years } from "../src/names";
import type { Patient } from "../src/types";

const patient = (ideographic: string | null, phonetic: string | null, alphabetic: string | null): Patient => ({
  id: "1",
  issuer: null,
  ideographic,
  phonetic,
  alphabetic,
  birth_date: null,
  sex: null,
  age: null,
  guessed: false,
});

describe("names", () => {
  it("shows the groups, the ideographic one largest", () => {
    expect(forms(patient("髙橋^花子", "タカハシ^ハナコ", "TAKAHASHI^HANAKO"))).toEqual({
      main: "髙橋 花子",
      second: "タカハシ ハナコ",
      third: "TAKAHASHI HANAKO",
    });
  });

  it("shows what is there when the first group is empty, and never the same twice", () => {
    expect(forms(patient(null, "ﾀｶﾊｼ^ﾊﾅｺ", null)).main).toBe("タカハシ ハナコ");
    expect(forms(patient("YAMADA^TARO", null, "YAMADA^TARO")).second).toBe("");
    expect(forms(patient(null, null, null)).main).toBe("");
  });

  it("leaves variants as they are on the screen and folds them for searching", () => {
    expect(fullWidth("髙﨑𠮷")).toBe("髙﨑𠮷");
    expect(fold("髙橋")).toBe(fold("高橋"));
    expect(fold("山﨑")).toBe(fold("山崎"));
    expect(fold("𠮷田")).toBe(fold("吉田"));
    expect(fold("たかはし")).toBe(fold("ﾀｶﾊｼ"));
    expect(fold("Satou")).toBe(fold("SATO"));
    expect(fold("OHNO")).toBe(fold("ONO"));
    expect(fold("山田^太郎")).toBe(fold("山田 太郎"));
  });

  it("counts years to the day of the study", () => {
    expect(years(null, "1958-03-07", "20260306")).toBe(67);
    expect(years(null, "1958-03-07", "2026-03-07")).toBe(68);
    expect(years("068Y", null, null)).toBe(68);
    expect(years("003M", null, null)).toBeNull();
  });

  it("writes dates and times", () => {
    expect(dashed("20261122")).toBe("2026-11-22");
    expect(clock("114207.5")).toBe("11:42");
    expect(clock("11:42:07")).toBe("11:42");
    expect(clock(null)).toBe("");
  });
});
