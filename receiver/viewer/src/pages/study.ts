/** Opening one study: blank first, then whose it is, then its picture. */

import * as api from "../api";
import {
  begin,
  isCurrent,
  Late,
  settle,
  within,
  type Opening,
  type ReadingContext,
} from "../context";
import { h, writing } from "../dom";
import { forward } from "../forward";
import type { Frame } from "../frame";
import { publish } from "../hook";
import { asksForKeys, keysHere } from "../keys";
import { StudySteps } from "../study_steps";
import { isLocked } from "../lock";
import { PapersTab } from "../papers/tab";
import { PurgeBar } from "../purge";
import { passing, pause } from "../trouble";
import type { Row, User } from "../types";
import { showsPatient } from "../window_group";
import { inLanguage, word } from "../words";

/** A view of one study; `close` takes it off and ends what it began. */
export interface View {
  close(): void;
}

export function showStudy(
  frame: Frame,
  key: string,
  user: User,
  go: (path: string) => void,
): () => void {
  const opening = begin(key);
  let view: View | null = null;
  let steps: StudySteps | null = null;
  let papers: PapersTab | null = null;
  let purge: PurgeBar | null = null;
  let shown: Row | null = null;
  const waiting = h("p", { class: "notice", role: "status" }, word("study.load"));
  const pressed = (event: KeyboardEvent): void => {
    if (writing(event) || !event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
    if (shown === null || isLocked() || document.querySelector("dialog[open]")) return;
    const help = asksForKeys(event);
    if (event.code !== "KeyF" && !help) return;
    event.preventDefault();
    if (help) keysHere();
    else void forward(shown);
  };
  document.addEventListener("keydown", pressed);
  const slow = window.setTimeout(() => frame.stage.replaceChildren(waiting), 300);
  const run = async (): Promise<void> => {
    const study = await persistently(opening, () => api.study(key, opening.signal));
    const context = settle(opening, study);
    const make = await within(opening, viewOf(context));
    window.clearTimeout(slow);
    // one task: the name and the empty stage of the same study appear together
    showsPatient(context.study);
    frame.who(context.study);
    publish(context);
    const tab = new PapersTab(frame, context, user);
    papers = tab;
    const bar = new PurgeBar(context.study);
    purge = bar;
    frame.purge(bar.element);
    steps = new StudySteps(context, (study) => {
      tab.take(study);
      bar.take(study);
    });
    steps.element.prepend(tab.button);
    frame.steps(steps.element);
    shown = context.study;
    view = make(frame, context, user);
    if (tab.alone) tab.toggle();
  };
  run().catch((error: unknown) => {
    window.clearTimeout(slow);
    if (error instanceof Late || !isCurrent(opening)) return;
    frame.stage.replaceChildren(failure(error, go));
    if (!(error instanceof api.Refused)) throw error;
  });
  return () => {
    window.clearTimeout(slow);
    document.removeEventListener("keydown", pressed);
    showsPatient(null);
    publish(null);
    papers?.close();
    steps?.close();
    purge?.close();
    frame.purge(null);
    frame.steps(null);
    view?.close();
  };
}

/** A receiver that does not answer is asked again; what it refuses is said. */
async function persistently<T>(opening: Opening, ask: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await within(opening, ask());
    } catch (error) {
      if (!passing(error)) throw error;
    }
    await new Promise((done) => setTimeout(done, pause(tries)));
    if (!isCurrent(opening)) throw new Late();
  }
}

type Make = (frame: Frame, context: ReadingContext, user: User) => View;

/** Only the code that this kind of study needs is fetched. */
async function viewOf(context: ReadingContext): Promise<Make> {
  if (context.study.kind === "slide") {
    // the slide's own code comes along with it, not after it
    const [pathology] = await Promise.all([import("./pathology"), import("../slide/view")]);
    return pathology.showPathology;
  }
  return (await import("../radiology/view")).showRadiology;
}

function failure(error: unknown, go: (path: string) => void): HTMLElement {
  const said = error instanceof api.Refused ? (inLanguage() === "ja" ? error.ja : error.en) : "";
  const number = error instanceof api.Refused ? (error.number ?? "") : "";
  return h(
    "div",
    { class: "notice", role: "alert" },
    h("p", {}, word("study.gone")),
    h("p", {}, `${said} ${number}`.trim()),
    h("button", { type: "button", onclick: () => go("/") }, word("back")),
  );
}
