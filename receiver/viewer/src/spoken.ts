/**
 * What a screen reader says of the list by itself: arrivals when it has a pause, 緊急 at once.
 *
 * How many, and never whom: it is said aloud in a room.
 */

import { h, put } from "./dom";

const regions = {
  polite: h("div", { class: "spoken", "aria-live": "polite", "data-role": "spoken-polite" }),
  assertive: h("div", { class: "spoken", "aria-live": "assertive", "data-role": "spoken-assertive" }),
} as const;

/** For the page, once: a region that comes with its words is not read. */
export const spokenRegions = (): HTMLElement[] => Object.values(regions);

export const speak = (how: keyof typeof regions, text: string): void => put(regions[how], text);
