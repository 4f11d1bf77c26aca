/** One's own account: second factors, recovery codes, password, open sessions. */

import * as account from "../account";
import { h } from "../dom";
import { localTime, type Frame } from "../frame";
import { passkeysHere } from "../passkey";
import { word, type Word } from "../words";
import { recoveryCodes, totpForm } from "./enrol";
import { say } from "./sign_in";

export function showAccount(frame: Frame): () => void {
  const body = h("div");
  const said = h("p", { class: "said", role: "alert" });
  const password = h("input", { id: "present", type: "password", autocomplete: "current-password" });
  const extra = h("div");
  const act = (work: () => Promise<unknown>) => (): void => {
    said.replaceChildren();
    work().then(async () => {
      said.replaceChildren(word("account.done"));
      await draw();
    }, (error: unknown) => say(said, error));
  };
  const added = (one: account.Added): void => {
    extra.replaceChildren(...(one.recovery ? [recoveryCodes(one.recovery, () => extra.replaceChildren())] : []));
    void draw();
  };
  const sure = (): { password: string } => ({ password: password.value });
  const draw = async (): Promise<void> => {
    const found = await account.account();
    body.replaceChildren(
      heading("account.factors"),
      factors(found, (id) => act(() => account.change(`factors/${id}/remove`, sure()))),
      adding(act, sure, added, extra),
      heading("recovery.title"),
      h(
        "p",
        { class: "line" },
        word("recovery.left", { n: found.recovery_left }),
        h("button", { type: "button", onclick: act(() => account.newRecovery(password.value).then(added)) }, word("recovery.new")),
      ),
      heading("account.password"),
      changing(found.least, act, sure),
      heading("account.sessions"),
      sessions(found, (id) => act(() => account.change(`sessions/${id}/end`, {}))),
    );
  };
  frame.stage.replaceChildren(
    h(
      "section",
      { class: "people" },
      h("button", { type: "button", onclick: () => frame.home() }, "← ", word("account.back")),
      h("h1", {}, word("account.title")),
      h("label", { for: "present" }, word("account.confirm"), password),
      said,
      extra,
      body,
    ),
  );
  draw().catch((error: unknown) => say(said, error));
  return () => undefined;
}

type Act = (work: () => Promise<unknown>) => () => void;

const heading = (text: Word): HTMLElement => h("h2", {}, word(text));

/** A time of the receiver (seconds since 1970) on this wall. */
export const at = (seconds: number): string => {
  const iso = new Date(seconds * 1000).toISOString();
  return `${new Date(iso).toLocaleDateString("ja-JP")} ${localTime(iso)}`;
};

function factors(found: account.Account, remove: (id: string) => () => void): HTMLElement {
  return h(
    "table",
    {},
    ...found.factors.map((one) =>
      h(
        "tr",
        { "data-factor": one.kind },
        h("td", {}, word(`factor.${one.kind}`)),
        h("td", {}, one.label),
        h("td", {}, one.used_at === null ? word("account.never") : word("account.last", { t: at(one.used_at) })),
        h("td", {}, h("button", { type: "button", onclick: remove(one.id) }, word("account.remove"))),
      ),
    ),
  );
}

function adding(act: Act, sure: () => { password: string }, added: (one: account.Added) => void, extra: HTMLElement): HTMLElement {
  const totp = act(async () => extra.replaceChildren(await totpForm(sure().password, added)));
  const passkey = act(async () => added(await account.addPasskey(sure().password)));
  return h(
    "p",
    { class: "line" },
    word("account.add"),
    h("button", { type: "button", onclick: totp }, word("enrol.totp")),
    passkeysHere()
      ? h("button", { type: "button", onclick: passkey }, word("enrol.passkey"))
      : h("span", { class: "second" }, word("enrol.nopasskey")),
  );
}

function changing(least: number, act: Act, sure: () => { password: string }): HTMLElement {
  const fresh = h("input", { id: "new", type: "password", autocomplete: "new-password" });
  const send = act(async () => {
    await account.change("password", { ...sure(), new: fresh.value });
    fresh.value = "";
  });
  return h(
    "div",
    { class: "line" },
    h("label", { for: "new" }, word("account.new"), fresh),
    h("button", { type: "button", onclick: send }, word("account.password")),
    h("span", { class: "second" }, word("account.rule", { n: least })),
  );
}

function sessions(found: account.Account, end: (id: string) => () => void): HTMLElement {
  return h(
    "table",
    {},
    ...found.sessions.map((one) =>
      h(
        "tr",
        {},
        h("td", {}, one.address),
        h("td", {}, at(one.made_at)),
        h("td", {}, one.present ? word("account.this") : h("button", { type: "button", onclick: end(one.id) }, word("account.end"))),
      ),
    ),
  );
}
