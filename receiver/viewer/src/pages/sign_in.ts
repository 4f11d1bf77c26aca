/** Sign-in: a name and a password. The second factor is a later page. */

import * as api from "../api";
import { h } from "../dom";
import type { Frame } from "../frame";
import { test } from "../sound";
import type { User } from "../types";
import { inLanguage, word } from "../words";

export function showSignIn(frame: Frame, done: (user: User) => void): () => void {
  const name = h("input", { id: "name", name: "name", autocomplete: "username", required: true });
  const password = h("input", {
    id: "password",
    name: "password",
    type: "password",
    autocomplete: "current-password",
    required: true,
  });
  const said = h("p", { class: "said", role: "alert" });
  const button = h("button", { class: "main", type: "submit" }, word("auth.title"));
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    button.disabled = true;
    said.replaceChildren();
    void test(); // this click is what lets the alarm sound later
    try {
      done(await api.signIn(name.value, password.value));
    } catch (error) {
      password.value = "";
      button.disabled = false;
      said.replaceChildren(...explain(error));
      password.focus();
    }
  };
  frame.stage.replaceChildren(
    h(
      "form",
      { class: "sign-in", onsubmit: (event: Event) => void send(event) },
      h("h1", {}, word("app")),
      h("label", { for: "name" }, word("auth.name")),
      name,
      h("label", { for: "password" }, word("auth.password")),
      password,
      button,
      said,
    ),
  );
  name.focus();
  return () => undefined;
}

function explain(error: unknown): (Node | string)[] {
  if (!(error instanceof api.Refused)) return [word("net.lost")];
  const text = inLanguage() === "ja" ? error.ja : error.en;
  if (!text) return [word("auth.fail")];
  return [error.number ? `${text} ${error.number}` : text];
}
