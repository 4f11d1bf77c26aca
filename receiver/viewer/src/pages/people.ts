/** The administrator's page: who may sign in, as what, and with which factors. */

import * as account from "../account";
import { h } from "../dom";
import type { Frame } from "../frame";
import { ROLES, type Person, type Role } from "../types";
import { say as text, word, type Word } from "../words";
import { limited } from "./limits";
import { say } from "./sign_in";

export function showPeople(frame: Frame, own: string): () => void {
  const body = h("div");
  const said = h("p", { class: "said", role: "alert" });
  const asking = h("div");
  const act = (work: () => Promise<unknown>): void => {
    said.replaceChildren();
    work().then(draw).catch((error: unknown) => {
      say(said, error);
      void draw();
    });
  };
  const sure = (name: string, what: Word, work: () => Promise<unknown>): void => {
    const close = (): void => asking.replaceChildren();
    const yes = (): void => {
      close();
      act(work);
    };
    const button = h("button", { type: "button", class: "main", onclick: yes }, word("people.yes"));
    asking.replaceChildren(
      h(
        "div",
        { class: "card", role: "alertdialog", "aria-label": text(what) },
        h("p", {}, word("people.sure", { n: name, w: text(what) })),
        h("div", { class: "line" }, button, h("button", { type: "button", onclick: close }, word("people.no"))),
      ),
    );
    button.focus();
  };
  const draw = async (): Promise<void> => {
    const found = await account.people();
    const heads: Word[] = ["auth.name", "people.display", "people.role", "people.institutions", "account.factors", "people.state"];
    body.replaceChildren(
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, word(head))), h("td"))),
        h(
          "tbody",
          {},
          ...found.people.map((one) => {
            const open = found.sessions.filter((session) => session.user === one.name).length;
            return row(one, open, one.name === own, { act, sure }, found.partners);
          }),
        ),
      ),
      adding(found.least, act),
    );
  };
  frame.stage.replaceChildren(
    h("section", { class: "people" }, h("h1", {}, word("people.title")), said, asking, body),
  );
  draw().catch((error: unknown) => say(said, error));
  return () => undefined;
}

interface Hands {
  readonly act: (work: () => Promise<unknown>) => void;
  readonly sure: (name: string, what: Word, work: () => Promise<unknown>) => void;
}

function row(one: Person, open: number, own: boolean, hands: Hands, partners: readonly account.Institution[]): HTMLElement {
  const state = one.seal
    ? word(`seal.${one.seal}`)
    : one.disabled
      ? word("people.disabled")
      : word("people.open", { n: open });
  const factors = one.factors.flatMap((kind, i) => [i > 0 ? " ・ " : "", word(`factor.${kind}`)]);
  const button = (what: "reset" | "end" | "disable", label: Word): HTMLElement => {
    const work = (): void => hands.sure(one.name, label, () => account.changePerson(one.name, what));
    return h("button", { type: "button", "data-what": what, onclick: work }, word(label));
  };
  const others = own ? [] : [button("end", "people.end"), one.disabled ? null : button("disable", "people.disable")];
  return h(
    "tr",
    { "data-name": one.name },
    h("td", {}, one.name),
    h("td", {}, one.display),
    h("td", {}, own || one.seal ? word(`role.${one.role}`) : roles(one.role, text("people.role"), (role) => hands.act(() => account.changePerson(one.name, "role", { role })))),
    h("td", {}, own || one.role !== "reader" ? null : limited(one, partners, hands.act)),
    h("td", {}, ...factors),
    h("td", {}, state),
    h("td", {}, one.factors.length > 0 ? button("reset", "people.reset") : null, ...others),
  );
}

function roles(present: Role, label: string, chosen: (role: Role) => void): HTMLSelectElement {
  const select = h(
    "select",
    { "aria-label": label },
    ...ROLES.map((role) => h("option", { value: role, selected: role === present }, text(`role.${role}`))),
  );
  select.addEventListener("change", () => chosen(select.value as Role));
  return select;
}

function adding(least: number, act: Hands["act"]): HTMLElement {
  const field = (id: string, label: Word, type = "text"): [HTMLInputElement, HTMLElement] => {
    const input = h("input", { id, type, required: true, autocomplete: type === "password" ? "new-password" : "off" });
    return [input, h("label", { for: id }, word(label), input)];
  };
  const [name, nameLabel] = field("new-name", "auth.name");
  const [display, displayLabel] = field("new-display", "people.display");
  const [password, passwordLabel] = field("new-password", "auth.password", "password");
  let role: Role = "reader";
  const send = (event: Event): void => {
    event.preventDefault();
    act(() => account.addPerson({ name: name.value, display: display.value, password: password.value, role }));
  };
  return h(
    "form",
    { onsubmit: send },
    h("h2", {}, word("people.add")),
    nameLabel,
    displayLabel,
    h("label", {}, word("people.role"), roles(role, text("people.role"), (chosen) => (role = chosen))),
    passwordLabel,
    h("button", { type: "submit" }, word("people.add")),
    h("span", { class: "second" }, word("account.rule", { n: least })),
  );
}
