/** Names and marks of a person as they are shown and as they are searched. */

import type { Patient } from "./types";

/** Take a DICOM person name component apart for the eye: carets become spaces (PS3.5 6.2.1). */
export function spaced(component: string | null | undefined): string {
  return (component ?? "").replace(/\^+/g, " ").trim();
}

const HALF_WIDTH_KANA = /[\uFF61-\uFF9F]+/g;

/** Half-width kana as full-width, for showing; the raw form stays in the object. */
export function fullWidth(text: string): string {
  return text.replace(HALF_WIDTH_KANA, (run) => run.normalize("NFKC"));
}

export interface NameForms {
  /** The largest form: ideographic where there is one, else what there is. */
  readonly main: string;
  readonly second: string;
  readonly third: string;
}

/** The three groups of a name, without repeating one and never blank where one is filled. */
export function forms(patient: Patient): NameForms {
  const groups = [patient.ideographic, patient.phonetic, patient.alphabetic]
    .map((group) => fullWidth(spaced(group)))
    .filter((group, place, all) => group !== "" && all.indexOf(group) === place);
  return { main: groups[0] ?? "", second: groups[1] ?? "", third: groups[2] ?? "" };
}

const VARIANTS: Readonly<Record<string, string>> = {
  髙: "高",
  﨑: "崎",
  "𠮷": "吉",
  濵: "浜",
  濱: "浜",
  邉: "辺",
  邊: "辺",
  齋: "斎",
  齊: "斉",
  廣: "広",
  德: "徳",
  惠: "恵",
};

/** Fold for searching only: width, kana, case, common variants of characters, long vowels. */
export function fold(text: string): string {
  const variants = [...text].map((letter) => VARIANTS[letter] ?? letter).join("");
  return variants
    .normalize("NFKC")
    .toUpperCase()
    .replace(/[\u3041-\u3096]/g, (kana) => String.fromCharCode(kana.charCodeAt(0) + 0x60))
    .replace(/O[HU](?![AIUEO])|OO/g, "O")
    .replace(/[\s\^,.・]+/g, "");
}

export function searchText(patient: Patient): string {
  return [patient.ideographic, patient.phonetic, patient.alphabetic, patient.id]
    .map((part) => fold(part ?? ""))
    .join(" ");
}

export type SexWord = "sex.M" | "sex.F" | "sex.O" | "sex.unknown";

export function sexWord(sex: string | null): SexWord {
  return sex === "M" || sex === "F" || sex === "O" ? `sex.${sex}` : "sex.unknown";
}

/** Whole years from a DICOM age string (`058Y`), a number, or the birth date on a day. */
export function years(
  age: string | number | null,
  birth: string | null,
  day: string | null,
): number | null {
  if (typeof age === "number") return age;
  const said = /^(\d{1,3})Y?$/.exec(age ?? "");
  if (said) return Number(said[1]);
  const born = digits(birth);
  const then = digits(day);
  if (born === null || then === null) return null;
  return Math.floor((then - born) / 10000);
}

function digits(date: string | null): number | null {
  const plain = (date ?? "").replace(/-/g, "");
  return /^\d{8}$/.test(plain) ? Number(plain) : null;
}

/** `20261122` or `2026-11-22` as `2026-11-22`. */
export function dashed(date: string | null | undefined): string {
  const plain = (date ?? "").replace(/-/g, "");
  return /^\d{8}$/.test(plain)
    ? `${plain.slice(0, 4)}-${plain.slice(4, 6)}-${plain.slice(6, 8)}`
    : (date ?? "");
}

/** `114207.5` or `11:42:07` as `11:42`. */
export function clock(time: string | null | undefined): string {
  const plain = (time ?? "").replace(/:/g, "");
  return /^\d{4}/.test(plain) ? `${plain.slice(0, 2)}:${plain.slice(2, 4)}` : "";
}
