/** What this viewer is for, and where diagnosis takes place: for everybody, signed in or not. */

import { h } from "../dom";
import type { Frame } from "../frame";
import { word, type Word } from "../words";

export const PURPOSE = "/purpose";

const CHAPTERS: readonly (readonly [Word, readonly Word[]])[] = [
  ["purpose.where", ["purpose.where.1", "purpose.where.2"]],
  ["purpose.for", ["purpose.for.1", "purpose.for.2"]],
  ["purpose.not", ["purpose.not.archive", "purpose.not.report", "purpose.not.ups", "purpose.not.cad"]],
];

export function showPurpose(frame: Frame): () => void {
  frame.stage.replaceChildren(
    h(
      "article",
      { class: "purpose", "data-role": "purpose" },
      h("h1", {}, word("purpose.title")),
      ...CHAPTERS.flatMap(([title, lines]) => [
        h("h2", {}, word(title)),
        h("ul", {}, ...lines.map((line) => h("li", {}, word(line)))),
      ]),
      h("button", { type: "button", class: "main", onclick: () => frame.home() }, word("purpose.close")),
    ),
  );
  return () => undefined;
}
