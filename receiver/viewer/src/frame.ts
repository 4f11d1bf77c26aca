/** The frame round every page: the banner that never leaves, the patient line, the bars. */

import * as calling from "./calling";
import { h } from "./dom";
import * as events from "./events";
import { bar as fullBar } from "./radiology/full";
import { forwardPanel } from "./forward";
import { bar as slowBar } from "./line_bar";
import { Menu } from "./menu";
import { mismatch } from "./mismatch";
import { clock, dashed, forms, sexWord, years } from "./names";
import { requestPanel } from "./request";
import { bar as unsentBar } from "./radiology/unsent";
import { isSecond } from "./screens";
import * as sound from "./sound";
import { spokenRegions } from "./spoken";
import type { MonitorStanding, Row, User } from "./types";
import { inLanguage, onLanguage, say, setLanguage, word } from "./words";

export interface Frame {
  readonly root: HTMLElement;
  readonly stage: HTMLElement;
  /** Go to the work list. */
  home(): void;
  /** Put a patient on the patient line, or nobody. */
  who(row: Row | null): void;
  progress(content: Node | null): void;
  /** What a reader can do with the study that is open. */
  steps(content: Node | null): void;
  /** Let these steps stand in a tool bar of the study's own: the banner has one line, for facts. */
  adopt(bar: HTMLElement): void;
  /** Say how this monitor stands. */
  monitor(standing: MonitorStanding | null): void;
  user(user: User | null, hands?: Hands): void;
  /** What is told of the purge of the study that is open. */
  purge(content: Node | null): void;
  /** A sentence for the reader, until the next page. */
  say(what: Node): void;
}

/** What the reader's own buttons do. */
interface Hands {
  signOut(): void;
  away(): void;
  go(path: string): void;
  windows(): void;
}

export function makeFrame(home: () => void): Frame {
  const who = h("div", { class: "who", "data-role": "patient-line", lang: "ja" });
  const asked = h("div", { class: "asked-of" });
  const progress = h("div", { class: "head-progress" });
  const hand = h("div", { class: "hand-of" });
  const steps = h("div", { class: "steps-of" });
  const stepsHome = h("div", { class: "steps-home" });
  const differs = h("div", { class: "differs" });
  const purge = h("div");
  const said = h("div", { class: "bar said-of-page", role: "status", hidden: true });
  const live = h("div", { class: "live", hidden: true });
  const monitor = h("span", { "data-role": "monitor-standing" }, word("monitor.open"));
  const account = h("div", { class: "account" });
  const menu = new Menu(languages(), account);
  const stage = h("main", { class: "stage" });
  const stale = h("div", { class: "bar inverse", role: "alert", hidden: true });
  const emergency = h("div", { class: "bar inverse", role: "status", hidden: true }, word("emergency.bar"));
  const tryIt = h("button", { type: "button", onclick: () => void sound.test() }, word("sound.try"));
  const soundBar = h("div", { class: "bar inverse sound", role: "alert", hidden: true }, "▲ ", word("sound.blocked"), " ", tryIt);
  const heard = h("span", { class: "sound-state", "data-role": "sound" });
  const header = h(
      "header",
      { class: "banner" },
      h("strong", { class: "reg", "data-role": "banner" }, purposeLink()),
      h("button", { class: "home", type: "button", onclick: home }, word("app")),
      who,
      asked,
      progress,
      stepsHome,
      calling.button(),
      h("span", { class: "spread" }),
      live,
      heard,
      menu.toggle,
      menu.element,
  );
  const root = h("div", { class: "frame" }, header, h("div", { class: "bars" }, differs, purge, said, emergency, stale, slowBar, soundBar, unsentBar, fullBar), stage, ...spokenRegions());
  events.listen({ watch: (state) => showWatch(state, live, stale) });
  let signedIn = false;
  const showSound = (on: boolean): void => {
    soundBar.hidden = on || !signedIn;
    heard.replaceChildren(...(signedIn ? [word(on ? "sound.on" : "sound.off")] : []));
  };
  sound.onSound(showSound);
  let shown: Row | null = null;
  let handed: HTMLElement | null = null;
  const draw = (): void => {
    header.classList.toggle("of-patient", shown !== null);
    who.replaceChildren(...(shown ? patientLine(shown) : []));
    differs.replaceChildren(...(shown ? mismatch(shown.patient) : []));
    asked.replaceChildren(...(shown ? [requestPanel(shown), ...calls(shown)] : []));
    hand.replaceChildren(...(handed ? [handed] : []));
  };
  onLanguage(draw);
  return {
    root,
    stage,
    home,
    who(row) {
      said.hidden = true;
      shown = row;
      handed = row ? forwardPanel(row) : null;
      draw();
    },
    steps(content) {
      stepsHome.replaceChildren(steps);
      steps.replaceChildren(...(content ? [hand, content] : []));
    },
    adopt(bar) {
      // a view that is made under the documents leaves the steps where they can be reached
      if (!steps.closest("[data-role='papers']") || bar.closest("[data-role='papers']")) bar.append(steps);
    },
    purge: (content) => purge.replaceChildren(...(content ? [content] : [])),
    say(what) {
      said.replaceChildren(what);
      said.hidden = false;
    },
    monitor(standing) {
      const first = standing?.warnings[0];
      monitor.className = first ? "due" : "";
      monitor.replaceChildren(...(first ? ["▲ ", word(`monitor.warn.${first}`)] : [word("monitor.open")]));
      menu.warn(first !== undefined);
    },
    progress: (content) => progress.replaceChildren(...(content ? [content] : [])),
    user(user, hands) {
      live.hidden = user?.role !== "reader"; // only readers have a list that is live
      emergency.hidden = user?.emergency !== true;
      signedIn = user?.role === "reader";
      showSound(sound.audible());
      if (user === null) stale.hidden = true;
      menu.of(user?.display || user?.name || "");
      account.replaceChildren(
        ...(user
          ? [
              ...(user.role === "reader" ? [plain(() => hands?.go("/monitor"), monitor), windowsButton(() => hands?.windows())] : []),
              h("button", { class: "plain", type: "button", "data-role": "account", onclick: () => hands?.go("/account") }, user.display || user.name),
              plain(() => hands?.away(), word("lock.now")),
              plain(() => hands?.signOut(), word("auth.out")),
            ]
          : []),
      );
    },
  };
}

/** 第2画面, or in that window: 「この画面に置く」. */
function windowsButton(action: () => void): HTMLElement {
  const button = plain(action, word(isSecond() ? "screens.here" : "screens.open"));
  button.classList.add(isSecond() ? "put-here" : "second-window");
  button.dataset["role"] = "windows-of-reader";
  return button;
}

/** In a tab of its own, so that no case is lost by looking up what the banner means. */
function purposeLink(): HTMLElement {
  return h("a", { href: "/purpose", target: "_blank", rel: "noopener" }, word("banner"));
}

const plain = (action: () => void, text: string | Node): HTMLElement =>
  h("button", { class: "plain", type: "button", onclick: action }, text);

function languages(): HTMLElement {
  const choose = (code: "ja" | "en"): HTMLButtonElement =>
    h("button", { class: "plain", type: "button", lang: code, onclick: () => setLanguage(code) }, code);
  return h("div", { class: "languages", role: "group" }, choose("ja"), "|", choose("en"));
}

function showWatch(state: events.Watch, live: HTMLElement, stale: HTMLElement): void {
  const time = state.last ? localTime(state.last) : "";
  live.classList.toggle("off", !state.live);
  live.replaceChildren(
    h("span", { class: "dot" }, state.live ? "●" : "▲"),
    ...(state.live ? [word("net.live")] : []),
    h("time", {}, time),
  );
  stale.hidden = state.live;
  if (state.live) return;
  const lost = state.tries > 0 ? [" ", word("net.lost"), " ", word("net.tries", { n: state.tries })] : [];
  stale.replaceChildren("▲ ", word("net.stale", { t: time }), ...lost);
}

/** `HH:MM:SS` on this clock's wall for an ISO time. */
export function localTime(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleTimeString("ja-JP", { hour12: false });
}

/** The patient as one line: name in its groups, sex, birth, age, identifier and who issued it. */
export function patientLine(row: Row): Node[] {
  const patient = row.patient;
  const name = forms(patient);
  const age = years(patient.age, patient.birth_date, row.study_date);
  const issuer = row.institution.name || row.institution.code;
  const parts: Node[] = [
    h("b", { class: "name", "data-role": "patient-name" }, name.main || word("mark.noname")),
    h("span", { class: "kana" }, name.second),
    h("span", { class: "romaji" }, name.third),
    word(sexWord(patient.sex)),
    h("span", {}, dashed(patient.birth_date)),
  ];
  if (age !== null) parts.push(h("span", { class: "age" }, word("age.years", { n: age })));
  parts.push(h("span", { class: "pid", "data-role": "patient-id" }, `ID ${patient.id ?? ""}@${issuer}`));
  if (patient.guessed) parts.push(h("span", { class: "chip", title: say("id.guess") }, word("mark.guess")));
  if (row.test) parts.push(h("span", { class: "chip test" }, word("mark.test")));
  return parts;
}

/** Of what cannot wait: whom to call, and when it came. */
function calls(row: Row): Node[] {
  if (row.priority !== "urgent" && !row.intraoperative) return [];
  const phone = row.request?.["phone"];
  const came = row.arrived_at ? localTime(row.arrived_at).replace(/:\d\d$/, "") : "";
  return [
    ...(typeof phone === "string" && phone ? [h("span", { class: "phone", "data-role": "phone" }, `☎ ${phone}`)] : []),
    ...(came ? [h("span", { class: "came" }, word("came.at", { t: came }))] : []),
  ];
}

/** Modality, what and when, as one text. */
export function studyLine(row: Row): string {
  const what = row.kind === "slide" ? say("kind.slide") : row.modalities.join("/");
  return [what, row.description, dashed(row.study_date), clock(row.study_time)]
    .filter(Boolean)
    .join(" ");
}

/** Arrived of expected: a bar and figures; without an expected number only the figure and "?". */
export function arrival(row: Pick<Row, "arrived" | "expected" | "kind">): HTMLElement {
  const { arrived, expected } = row;
  const figures = say(row.kind === "slide" ? "count.tiles" : "count.images", {
    a: arrived.toLocaleString(inLanguage()),
    e: expected === null ? "?" : expected.toLocaleString(inLanguage()),
  });
  const full = expected !== null && arrived >= expected;
  const share = expected === null ? 0 : expected === 0 ? 1 : Math.min(1, arrived / expected);
  const fill = h("i", { class: full ? "full" : "", style: { width: `${share * 100}%` } });
  return h(
    "span",
    { class: expected === null ? "arrival unknown" : "arrival" },
    h("span", { class: "track", "aria-hidden": "true" }, fill),
    h("span", { class: "figures" }, figures),
  );
}
