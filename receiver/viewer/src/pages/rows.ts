/** Order, filters and counts of the work list: pure, so that it can be tested without a page. */

import { fold, searchText } from "../names";
import type { Row } from "../types";

export type Filter = "all" | "urgent" | "soon" | "unopened" | "reading" | "incomplete" | "done";
export const FILTERS: readonly Filter[] = ["all", "urgent", "soon", "unopened", "reading", "incomplete", "done"];

const WHOLE = new Set(["delivered", "committed", "receipted"]);
const ON_ITS_WAY = new Set(["announced", "queued", "sending"]);

/**
 * No reader has opened it, whole or on its way. Nor what its sender has stopped: of a slide case
 * that is one slide of several, and the others wait for a reader.
 */
export const isUnopened = (row: Row): boolean =>
  (row.reading?.state ?? "unopened") === "unopened" &&
  (WHOLE.has(row.state) || ON_ITS_WAY.has(row.state) || row.state === "held");

/** Unopened though all that was sent is here. */
export const waitsForReader = (row: Row): boolean => WHOLE.has(row.state);

export const isIncomplete = (row: Row): boolean =>
  row.expected !== null && row.arrived < row.expected;

/** Images for comparison are listed, and never counted among what waits for a reader. */
export function passes(row: Row, filter: Filter): boolean {
  if (row.prior && filter !== "all") return false;
  if (filter === "urgent" || filter === "soon") return row.priority === filter;
  if (filter === "unopened") return isUnopened(row);
  if (filter === "reading" || filter === "done") return row.reading?.state === filter;
  if (filter === "incomplete") return isIncomplete(row);
  return true;
}

export function matches(row: Row, sought: string): boolean {
  const folded = fold(sought);
  if (folded === "" || searchText(row.patient).includes(folded)) return true;
  return row.request_items.some((item) => fold(item.text).includes(folded));
}

export function counts(rows: readonly Row[]): Record<Filter, number> {
  const result = { all: 0, urgent: 0, soon: 0, unopened: 0, reading: 0, incomplete: 0, done: 0 };
  for (const filter of FILTERS) result[filter] = rows.filter((row) => passes(row, filter)).length;
  return result;
}

export interface Merge {
  /** Keys in the order in which they are shown. */
  readonly shown: readonly string[];
  /** Keys that wait until the reader asks for them. */
  readonly waiting: readonly string[];
}

/**
 * Bring new rows into the list. While the reader's hand is on it (`held`) no shown row moves:
 * new keys wait, and keys that are gone leave nothing but their place.
 */
export function merge(
  shown: readonly string[],
  server: readonly string[],
  held: boolean,
): Merge {
  if (!held || shown.length === 0) return { shown: server, waiting: [] };
  const known = new Set(shown);
  const there = new Set(server);
  return {
    shown: shown.filter((key) => there.has(key)),
    waiting: server.filter((key) => !known.has(key)),
  };
}

const GLYPHS: Readonly<Record<string, string>> = {
  announced: "◌",
  queued: "…",
  sending: "↓",
  delivered: "○",
  committed: "○",
  receipted: "○",
  opened: "◑",
  reading: "◐",
  done: "✓",
  held: "‖",
  failed: "✕",
  recalled: "⊘",
  query: "?",
};

export const glyph = (state: string): string => GLYPHS[state] ?? "・";

/** Minutes and hours since an ISO time, `hh:mm`. */
export function waited(since: string | null, now: number): string {
  const start = since === null ? Number.NaN : Date.parse(since);
  if (Number.isNaN(start)) return "";
  const minutes = Math.max(0, Math.floor((now - start) / 60_000));
  if (minutes >= 6000) return `${Math.floor(minutes / 1440)}d`;
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}

/** What narrows the list beside its tabs; empty lets everything pass. */
export interface Narrow {
  readonly institution: string;
  readonly kind: string;
  readonly days: number;
}

export function within(row: Row, narrow: Narrow, now: number): boolean {
  if (narrow.institution && row.institution.code !== narrow.institution) return false;
  if (narrow.kind && kindOf(row) !== narrow.kind) return false;
  const came = Date.parse(row.arrived_at ?? "");
  return narrow.days === 0 || Number.isNaN(came) || now - came < narrow.days * 86_400_000;
}

export const kindOf = (row: Row): string =>
  row.kind === "slide" ? "SM" : (row.modalities[0] ?? "");
