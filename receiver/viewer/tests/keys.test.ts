/// <reference types="vite/client" />
import { expect, test } from "vitest";
import * as keys from "../src/words/keys";


const sources: Record<string, string> = import.meta.glob("../src/**/*.ts", { query: "?raw", import: "default", eager: true });
const source = (path: string): string => sources[`../src/${path}`] as string;
const NAME = /(?:Key[A-Z]|Digit\d|Numpad\w+|Arrow\w+|Page\w+|Home|End|Space|Tab|F6|Escape|Delete|Comma|Period|Semicolon|Equal|Minus|Slash|Enter)/;

/** The codes that a source binds: names of a table, and what a code is compared with. */
function bound(text: string): Set<string> {
  const table = new RegExp(`^ +(${NAME.source}): (?:\\(|tool\\(|claim)`, "gm");
  const compared = new RegExp(`(?:code [!=]==|table\\[) ?"(${NAME.source})"`, "g");
  return new Set([...text.matchAll(table), ...text.matchAll(compared)].map((found) => found[1] as string));
}

const told = (...groups: (readonly (typeof keys.STUDY_KEYS)[number][])[]): Set<string> =>
  new Set(groups.flat().flatMap(([codes]) => codes));

/** A row of digits stands for each of them. */
const has = (codes: Set<string>, code: string): boolean =>
  codes.has(code) || codes.has(code.replace(/\d$/, ""));

const STUDY = ["study_steps.ts", "pages/study.ts", "papers/tab.ts", "dim.ts"];
test.each([
  ["radiology", keys.RADIOLOGY_KEYS, ["radiology/input.ts", ...STUDY], 30],
  ["slide", keys.SLIDE_KEYS, ["slide/view.ts", ...STUDY], 25],
  ["the list", keys.LIST_KEYS, ["pages/work_list.ts", "dim.ts"], 9],
  ["papers", keys.PAPER_KEYS, ["papers/room.ts", "papers/pdf.ts", "papers/video.ts"], 10],
] as const)("the table of %s has every key that is bound there", (_, rows, paths, least) => {
  const codes = bound(paths.map(source).join("\n"));
  expect(codes.size).toBeGreaterThanOrEqual(least);
  const all = told(rows, keys.STUDY_KEYS);
  codes.delete("Tab"); // of documents the browser's own; of panes it has a row
  expect([...codes].filter((code) => !has(all, code))).toEqual([]);
});

test("a key that was taken out of the code is taken out of its table", () => {
  const codes = bound(["radiology/input.ts", ...STUDY].map(source).join("\n"));
  codes.add("Digit").add("Numpad");
  expect([...told(keys.RADIOLOGY_KEYS)].filter((code) => !codes.has(code))).toEqual([]);
});
