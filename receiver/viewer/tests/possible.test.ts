import { expect, test } from "vitest";
import { confirmedBy } from "../src/context";
import type { Identity, PriorPair, Study } from "../src/types";

const identity = (id: string, code: string): Identity => ({
  id,
  issued_by: "",
  ideographic: "髙橋 花子",
  phonetic: "",
  alphabetic: "",
  birth_date: "1958-03-07",
  sex: "F",
  guessed: false,
  institution: { code, name: code },
  study_date: null,
  modalities: [],
  description: null,
});

const study = (key: string, { institution, ...patient }: Identity, more = {}): Study =>
  ({ key, institution, patient: { ...patient, phonetic: null, ...more } }) as unknown as Study;

const NOW = identity("1", "A");
const BEFORE = identity("2", "B");
const linked: PriorPair = { prior: "p", state: "linked", seen: "", by: "", display: "", at: null, identities: [NOW, BEFORE] };

test("a confirmation is of two studies and their identities, and of nothing else", () => {
  const [now, before] = [study("n", NOW), study("p", BEFORE)];
  expect(confirmedBy(linked, now, before)).toBe(true);
  expect(confirmedBy(null, now, before)).toBe(false);
  expect(confirmedBy({ ...linked, state: "possible" }, now, before)).toBe(false);
  expect(confirmedBy({ ...linked, state: "dismissed" }, now, before)).toBe(false);
  expect(confirmedBy(linked, now, study("q", BEFORE))).toBe(false);
  expect(confirmedBy(linked, now, study("p", BEFORE, { id: "3" }))).toBe(false);
  expect(confirmedBy(linked, study("n", NOW, { birth_date: "1958-03-08" }), before)).toBe(false);
  expect(confirmedBy(linked, now, study("p", identity("2", "C")))).toBe(false);
});
