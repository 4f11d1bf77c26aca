/** 同じ方かもしれない過去検査: a bar that says how many, and the comparison before a reader's yes. */

import * as api from "../api";
import { within, type ReadingContext } from "../context";
import { ask, onThisPage } from "../dialog";
import { h } from "../dom";
import * as events from "../events";
import { localTime } from "../frame";
import { dashed, fullWidth, sexWord, spaced } from "../names";
import { refusalOf } from "../reading";
import { isSecond } from "../screens";
import { persist } from "../trouble";
import type { Identity, PriorPair } from "../types";
import { say, word, type Word } from "../words";

const of = (pairs: readonly PriorPair[], state: PriorPair["state"]): readonly PriorPair[] =>
  pairs.filter((pair) => pair.state === state);

export class PossiblePriors {
  /** Above the picture; it opens nothing by itself. */
  readonly bar = h("div", { class: "bar possible-priors", role: "status", "data-role": "possible-priors", hidden: true });
  private pairs: readonly PriorPair[] = [];
  private turn = 0;
  /** Settles once it is known what readers have said so far. */
  readonly ready: Promise<void>;
  private question: { close(): void } | null = null;
  private readonly end: () => void;

  constructor(
    private readonly context: ReadingContext,
    /** Told when what readers have said is known, or has changed. */
    private readonly changed: () => void,
  ) {
    this.end = events.listen({
      priors: (key) => void (key === context.key && this.load()),
      study: (key) => void (key === "" && this.load()), // news was lost meanwhile
    });
    this.ready = this.load();
  }

  close(): void {
    this.end();
    this.question?.close();
  }

  /** What a reader has confirmed, by the key of the earlier study. */
  linked(): ReadonlyMap<string, PriorPair> {
    return new Map(of(this.pairs, "linked").map((pair) => [pair.prior, pair]));
  }

  private load(): Promise<void> {
    const { context } = this;
    const turn = (this.turn += 1);
    return persist(context, async () => {
      const { priors } = await within(context, api.possiblePriors(context.key, context.signal));
      if (turn !== this.turn) return; // an older answer may come after a newer one
      this.pairs = priors;
      this.draw();
      this.changed();
    }).catch(() => undefined); // without an answer nothing is offered
  }

  private draw(): void {
    const [open, linked, others] = (["possible", "linked", "dismissed"] as const).map((state) => of(this.pairs, state).length);
    const said = open ? word("id.prior", { n: open }) : word("prior.decided", { a: linked ?? 0, b: others ?? 0 });
    const button = h("button", { type: "button", title: "Shift+I", onclick: () => this.open() }, word(open ? "prior.compare" : "prior.review"));
    this.bar.hidden = this.pairs.length === 0 || isSecond(); // images alone there
    this.bar.replaceChildren(said, " ", button);
  }

  /** Both identities side by side; false where there is nothing to compare. */
  open(): boolean {
    if (this.pairs.length === 0) return false;
    const still = onThisPage();
    const decide = async (pair: PriorPair, step: string, reason = ""): Promise<void> => {
      if (!still()) return;
      const said = { prior: pair.prior, step, seen: pair.seen, reason };
      await api.act(this.context.key, "prior-links", said);
      dialog.close();
      await this.load();
    };
    const rank = (["possible", "linked", "dismissed"] as const).flatMap((state) => of(this.pairs, state));
    const dialog = ask("prior.title", ...rank.map((pair, i) => section(pair, i, decide)));
    dialog.element.classList.add("compare");
    this.question = dialog;
    return true;
  }
}

type Decide = (pair: PriorPair, step: string, reason?: string) => Promise<void>;

function section(pair: PriorPair, number: number, decide: Decide): HTMLElement {
  const wrong = h("p", { class: "said", role: "alert" });
  const act = (step: string, reason?: string): void => {
    decide(pair, step, reason).catch((error: unknown) => {
      wrong.textContent = refusalOf(error) || say("net.lost");
    });
  };
  const form = pair.state === "possible" ? asked(number, wrong, act) : undone(pair, number, act);
  return h("section", { "data-prior": pair.prior, "data-state": pair.state }, compared(pair.identities), form, wrong);
}

/** A yes takes a mark and a press; without the mark nothing is linked. */
function asked(number: number, wrong: HTMLElement, act: (step: string) => void): HTMLElement {
  const seen = h("input", { id: `same-person-${number}`, type: "checkbox" });
  const send = (event: Event): void => {
    event.preventDefault();
    if (seen.checked) act("link");
    else wrong.replaceChildren(word("prior.unseen"));
  };
  return h(
    "form",
    { onsubmit: send },
    h("label", { class: "check" }, seen, word("prior.same")),
    h(
      "div",
      { class: "choices" },
      h("button", { class: "main", type: "submit", "data-step": "link" }, word("prior.link")),
      h("button", { type: "button", "data-step": "dismiss", onclick: () => act("dismiss") }, word("prior.dismiss")),
    ),
  );
}

function undone(pair: PriorPair, number: number, act: (step: string, reason: string) => void): HTMLElement {
  const reason = h("input", { id: `prior-reason-${number}`, required: true, maxlength: 200, autocomplete: "off" });
  const send = (event: Event): void => {
    event.preventDefault();
    act("undo", reason.value);
  };
  const at = pair.at ?? "";
  const when = `${dashed(at.slice(0, 10))} ${localTime(at).replace(/:\d\d$/, "")}`;
  return h(
    "form",
    { onsubmit: send },
    h("p", {}, word(pair.state === "linked" ? "prior.linked" : "prior.dismissed", { d: pair.display, t: when })),
    h("label", { for: reason.id }, word("prior.reason")),
    reason,
    h("button", { class: "main", type: "submit", "data-step": "undo" }, word("prior.undo")),
  );
}

function compared([now, before]: PriorPair["identities"]): HTMLElement {
  const row = (label: Word, text: (one: Identity) => string, own = false): HTMLElement => {
    const [a, b] = [text(now), text(before)];
    const same = a === b;
    return h(
      "tr",
      { class: same || own ? null : "differs" },
      h("th", { scope: "row" }, word(label)),
      h("td", { lang: "ja" }, a || "—"),
      h("td", { class: "sign" }, own ? "" : same ? "=" : "≠"),
      h("td", { lang: "ja" }, b || "—"),
    );
  };
  const name = (group: "ideographic" | "phonetic" | "alphabetic") => (one: Identity) =>
    `${fullWidth(spaced(one[group]))}${one.guessed && one[group] ? ` (${say("mark.guess")})` : ""}`;
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, h("th"), h("th", { scope: "col" }, word("prior.this")), h("th"), h("th", { scope: "col" }, word("prior.earlier")))),
    h(
      "tbody",
      {},
      row("prior.name", name("ideographic")),
      row("prior.kana", name("phonetic")),
      row("prior.romaji", name("alphabetic")),
      row("list.birth", (one) => dashed(one.birth_date)),
      row("prior.sex", (one) => say(sexWord(one.sex))),
      row("list.pid", number),
      row("list.institution", ({ institution }) => institution.name || institution.code),
      row("prior.date", (one) => dashed(one.study_date), true),
      row("list.study", (one) => [one.modalities.join("/"), one.description].filter(Boolean).join(" "), true),
    ),
  );
}

/** ID@issuer: who has issued it as the images say, else whose they are. */
function number({ id, issued_by: issuer, institution }: Identity): string {
  const named = issuer && issuer !== institution.code ? issuer : institution.name || institution.code;
  return `${id || "—"}@${named}`;
}
