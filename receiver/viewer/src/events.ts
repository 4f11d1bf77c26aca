/** The receiver's stream of events, watched: silence for 15 s is said on the screen. */

import type { FramesHint } from "./types";

const SILENCE_MS = 15_000;

export interface Listener {
  study?: (key: string) => void;
  /** What a reader has said of this study's patient and that of an earlier one. */
  priors?: (key: string) => void;
  frames?: (hint: FramesHint) => void;
  watch?: (state: Watch) => void;
  heartbeat?: () => void;
}

export interface Watch {
  readonly live: boolean;
  /** The receiver's time when it last spoke, ISO 8601, or null. */
  readonly last: string | null;
  /** How often the stream was asked for again since it was heard; 0 while it stands. */
  readonly tries: number;
}

const listeners = new Set<Listener>();
let refused: () => void = () => undefined;
let source: EventSource | null = null;
let heardAt = 0;
let lastHeard: string | null = null;
let watch: Watch = { live: true, last: null, tries: 0 };
let tries = 0;
let timer = 0;
/** Since when what a page asked of the list has no answer; 0: it has one. */
let askedAt = 0;
let listedAt: string | null = null;

/** A page asks what there is: from now on it waits for an answer. */
export function asksList(): void {
  if (askedAt === 0) askedAt = performance.now();
}

/** It has the answer, of this time; or it asks no more (null). */
export function hasList(time: string | null): void {
  askedAt = 0;
  listedAt = time ?? listedAt;
}

/** A stream that lives is worth nothing while the list behind it cannot be had. */
const unanswered = (): boolean => askedAt !== 0 && performance.now() - askedAt > SILENCE_MS;

/** By how much the receiver's clock is ahead of this machine's, in ms. */
let ahead = 0;

/** What this machine's clock showed at a time of the receiver's, ISO 8601; now, where there is none. */
export const hereAt = (iso: string | null | undefined): number => (Date.parse(iso ?? "") || Date.now() + ahead) - ahead;

export const isLive = (): boolean => watch.live;

export function listen(listener: Listener): () => void {
  listeners.add(listener);
  listener.watch?.(watch);
  return () => listeners.delete(listener);
}

/** Say what happens when the receiver refuses the stream, as it does without a session. */
export function onRefused(action: () => void): void {
  refused = action;
}

export function start(): void {
  stop();
  heardAt = performance.now();
  open();
  timer = window.setInterval(check, 1000);
}

export function stop(): void {
  source?.close();
  source = null;
  window.clearInterval(timer);
}

function open(): void {
  source?.close();
  const opened = new EventSource("/api/events");
  source = opened;
  opened.addEventListener("error", () => (tries += 1)); // a browser asks again by itself
  opened.addEventListener("study", (event) => {
    heard(null);
    const { key } = JSON.parse((event as MessageEvent<string>).data) as { key: string };
    for (const listener of listeners) listener.study?.(key);
  });
  opened.addEventListener("priors", (event) => {
    heard(null);
    const { key } = JSON.parse((event as MessageEvent<string>).data) as { key: string };
    for (const listener of listeners) listener.priors?.(key);
  });
  opened.addEventListener("frames", (event) => {
    heard(null);
    const hint = JSON.parse((event as MessageEvent<string>).data) as FramesHint;
    for (const listener of listeners) listener.frames?.(hint);
  });
  opened.addEventListener("heartbeat", (event) => {
    const said = JSON.parse((event as MessageEvent<string>).data) as { server_time: string };
    heard(said.server_time);
    for (const listener of listeners) listener.heartbeat?.();
  });
}

function heard(time: string | null): void {
  heardAt = performance.now();
  tries = 0;
  lastHeard = time ?? lastHeard;
  if (time !== null) ahead = Date.parse(time) - Date.now() || 0;
  tell(unanswered() ? { live: false, last: listedAt, tries } : { live: true, last: lastHeard, tries });
}

function check(): void {
  if (performance.now() - heardAt > SILENCE_MS) tell({ live: false, last: watch.last, tries });
  else if (unanswered()) tell({ live: false, last: listedAt, tries });
  // a refused stream is closed for good by the browser: ask again by ourselves
  if (source?.readyState === EventSource.CLOSED) {
    open();
    refused();
  }
}

function tell(next: Watch): void {
  const back = next.live && !watch.live;
  const changed = next.live !== watch.live || next.last !== watch.last || next.tries !== watch.tries;
  watch = next;
  if (!changed) return;
  for (const listener of listeners) {
    listener.watch?.(watch);
    if (back) listener.study?.(""); // hints were lost in the silence: look at everything again
  }
}
