/** Which institutions' studies a person may see: said in a cell, chosen in a dialogue. */

import * as account from "../account";
import { ask } from "../dialog";
import { h } from "../dom";
import type { Person } from "../types";
import { say, word } from "../words";

type Act = (work: () => Promise<unknown>) => void;

/** A button that says the limit, and opens the choice. */
export function limited(one: Person, partners: readonly account.Institution[], act: Act): HTMLElement {
  const named = (code: string): string => partners.find((partner) => partner.code === code)?.name ?? code;
  const said = one.institutions ? [one.institutions.map(named).join("、")] : [word("people.every")];
  const open = (): void => choose(one, partners, act);
  return h("button", { type: "button", "data-what": "institutions", onclick: open }, ...said);
}

function choose(one: Person, partners: readonly account.Institution[], act: Act): void {
  // a partner of before may be gone: what is set stays to be seen, and to be taken away
  const gone = (one.institutions ?? []).filter((code) => !partners.some((partner) => partner.code === code));
  const every = h("input", { type: "checkbox", id: "every-institution", checked: !one.institutions });
  const boxes = [...partners, ...gone.map((code) => ({ code, name: say("people.gone") }))].map(({ code, name }) => ({
    box: h("input", { type: "checkbox", value: code, checked: one.institutions?.includes(code) ?? false }),
    name: `${name} ${code}`,
  }));
  const chosen = (): string[] => boxes.filter(({ box }) => box.checked).map(({ box }) => box.value);
  const keep = h("button", { type: "submit", class: "main" }, word("people.keep"));
  const settle = (): void => {
    for (const { box } of boxes) box.disabled = every.checked;
    keep.disabled = !every.checked && chosen().length === 0;
  };
  const send = (event: Event): void => {
    event.preventDefault();
    const institutions = every.checked ? null : chosen();
    dialog.close();
    act(() => account.changePerson(one.name, "institutions", { institutions }));
  };
  const form = h(
    "form",
    { class: "institutions", onsubmit: send, onchange: settle },
    h("p", {}, word("people.limit", { n: one.name })),
    h("label", { class: "check" }, every, word("people.every")),
    ...boxes.map(({ box, name }) => h("label", { class: "check" }, box, name)),
    keep,
  );
  settle();
  const dialog = ask("people.institutions", form);
}
