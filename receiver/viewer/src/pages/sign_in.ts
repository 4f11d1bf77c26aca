/** Sign-in: name and password, then the second factor, or its enrolment at the first sign-in. */

import * as account from "../account";
import { Refused } from "../api";
import { h } from "../dom";
import type { Frame } from "../frame";
import { passkeysHere } from "../passkey";
import { test } from "../sound";
import type { User } from "../types";
import { inLanguage, word, type Word } from "../words";
import { enrolment } from "./enrol";

type Done = (user: User) => void;

export function showSignIn(frame: Frame, done: Done, begun: account.Step | null = null): () => void {
  const page = new SignIn(frame, done);
  if (begun) page.step(begun);
  else page.first();
  return () => undefined;
}

class SignIn {
  constructor(
    private readonly frame: Frame,
    private readonly done: Done,
  ) {}

  readonly step = (said: account.Step): void => {
    if (said.next === "second") this.second(said.factors ?? []);
    else if (said.next === "enrol") this.frame.stage.replaceChildren(enrolment(this.step));
    else this.done(said.user);
  };

  first(): void {
    const name = h("input", { id: "name", name: "name", autocomplete: "username", required: true });
    const password = h("input", {
      id: "password",
      name: "password",
      type: "password",
      autocomplete: "current-password",
      required: true,
    });
    const form = ask(
      word("app"),
      [h("label", { for: "name" }, word("auth.name")), name, h("label", { for: "password" }, word("auth.password")), password],
      "auth.title",
      () => {
        void test(); // this click is what lets the alarm sound later
        return account.signIn(name.value, password.value).then(this.step);
      },
      () => {
        password.value = "";
        password.focus();
      },
    );
    this.frame.stage.replaceChildren(form);
    const said = form.querySelector(".said") as HTMLElement;
    if (cameBack("failed")) said.replaceChildren(word("auth.fail"));
    void account.service().then((label) => {
      if (label) form.append(serviceButton(label, said));
    }, () => undefined); // without an answer there is name and password
    name.focus();
  }

  private second(factors: readonly string[], kind?: "totp" | "recovery"): void {
    const shown = kind ?? (factors.includes("totp") ? "totp" : "recovery");
    const code = h("input", {
      id: "code",
      name: "code",
      autocomplete: "one-time-code",
      inputmode: shown === "totp" ? "numeric" : "text",
      required: true,
    });
    const label = word(shown === "totp" ? "auth.code" : "auth.recovery");
    const form = ask(
      word("auth.second"),
      [h("label", { for: "code" }, label), code],
      "auth.go",
      () => account.byCode(shown, code.value).then(this.step),
      (error) => {
        if (error instanceof Refused && error.number === "E-5002") return this.first(); // too often, or too late
        code.value = "";
        code.focus();
      },
    );
    const said = form.querySelector(".said") as HTMLElement;
    if (factors.includes("passkey") && passkeysHere()) {
      const use = (): void => {
        account.byPasskey().then(this.step, (error: unknown) => say(said, error));
      };
      form.append(h("button", { type: "button", class: "other", onclick: use }, word("auth.usepasskey")));
    }
    for (const other of ["totp", "recovery"] as const) {
      if (other === shown || !factors.includes(other)) continue;
      const text = word(other === "totp" ? "auth.usetotp" : "auth.userecovery");
      form.append(h("button", { type: "button", class: "other", onclick: () => this.second(factors, other) }, text));
    }
    this.frame.stage.replaceChildren(form);
    code.focus();
  }
}

/** Whether the hospital's sign-in service sent the browser here so; said once, and not kept in the address. */
export function cameBack(as: "failed" | "unlocked"): boolean {
  if (new URLSearchParams(location.search).get("sign-in") !== as) return false;
  history.replaceState(null, "", location.pathname);
  return true;
}

function serviceButton(label: string, said: HTMLElement): HTMLElement {
  const go = (): void => {
    void test(); // as with a password: this click is what lets the alarm sound later
    account.toService().then((address) => location.assign(address), (error: unknown) => say(said, error));
  };
  return h("button", { type: "button", class: "other", "data-role": "service", onclick: go }, word("auth.service", { s: label }));
}

/** A form of one question; whatever goes wrong is said below it. */
export function ask(
  title: Node,
  fields: readonly Node[],
  button: Word,
  send: () => Promise<unknown>,
  failed: (error: unknown) => void,
): HTMLFormElement {
  const said = h("p", { class: "said", role: "alert" });
  const go = h("button", { class: "main", type: "submit" }, word(button));
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    go.disabled = true;
    said.replaceChildren();
    try {
      await send();
    } catch (error) {
      say(said, error);
      failed(error);
    } finally {
      go.disabled = false;
    }
  };
  return h(
    "form",
    { class: "sign-in", onsubmit: (event: Event) => void submit(event) },
    h("h1", {}, title),
    ...fields,
    go,
    said,
  );
}

/** Say what went wrong, in the receiver's own words where it has some. */
export function say(where: HTMLElement, error: unknown): void {
  if (error instanceof DOMException || (error instanceof Error && error.message === "no passkey")) {
    where.replaceChildren(word("auth.passkeyfail")); // the browser's own refusal: given up, no key
  } else if (!(error instanceof Refused)) where.replaceChildren(word("net.lost"));
  else {
    const text = inLanguage() === "ja" ? error.ja : error.en;
    where.replaceChildren(text || word("auth.fail"));
  }
}
