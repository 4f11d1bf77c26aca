/** Enrolling a second factor: a picture for the authenticator, or a passkey; then recovery codes. */

import * as account from "../account";
import { h } from "../dom";
import { passkeysHere } from "../passkey";
import { word } from "../words";
import { ask, say } from "./sign_in";

/** The first enrolment, at sign-in. */
export function enrolment(done: (step: account.Step) => void): HTMLElement {
  const place = h("div", { class: "enrol" });
  const said = h("p", { class: "said", role: "alert" });
  const failed = (error: unknown): void => say(said, error);
  const finish = (): void => void account.enrolled().then(done, failed);
  const added = (one: account.Added): void => {
    if (one.recovery) place.replaceChildren(recoveryCodes(one.recovery, finish), said);
    else finish();
  };
  const totp = (): void => {
    totpForm("", added).then((form) => place.replaceChildren(form), failed);
  };
  const passkey = (): void => void account.addPasskey().then(added, failed);
  place.append(
    h(
      "div",
      { class: "sign-in wide" },
      h("h1", {}, word("enrol.title")),
      h("p", {}, word("enrol.why")),
      h("button", { type: "button", class: "main", onclick: totp }, word("enrol.totp")),
      passkeysHere()
        ? h("button", { type: "button", onclick: passkey }, word("enrol.passkey"))
        : h("p", { class: "second" }, word("enrol.nopasskey")),
      said,
    ),
  );
  return place;
}

/** The picture of a new secret, its key for typing, and the field for its first code. */
export async function totpForm(
  password: string,
  added: (one: account.Added) => void,
): Promise<HTMLElement> {
  const { secret } = await account.newTotp(password);
  const code = h("input", { id: "code", inputmode: "numeric", autocomplete: "one-time-code", required: true });
  const form = ask(
    word("enrol.totp"),
    [
      h("p", {}, word("enrol.scan")),
      // the time keeps a picture of an earlier secret out
      h("img", { class: "qr", src: `/api/account/totp/code?${Date.now()}`, alt: "QR" }),
      h("details", {}, h("summary", {}, word("enrol.byhand")), h("p", { class: "key" }, secret)),
      h("label", { for: "code" }, word("auth.code")),
      code,
    ],
    "auth.go",
    () => account.confirmTotp(code.value).then(added),
    () => {
      code.value = "";
      code.focus();
    },
  );
  form.classList.add("wide");
  return form;
}

/** Recovery codes: their only showing. */
export function recoveryCodes(codes: readonly string[], kept: () => void): HTMLElement {
  return h(
    "div",
    { class: "sign-in wide" },
    h("h1", {}, word("recovery.title")),
    h("p", {}, word("recovery.keep")),
    h("ul", { class: "codes", "data-role": "recovery-codes" }, ...codes.map((code) => h("li", {}, code))),
    h("button", { type: "button", class: "main", onclick: kept }, word("recovery.kept")),
  );
}
