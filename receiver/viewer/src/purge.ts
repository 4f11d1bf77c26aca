/** From which day on the open study may be purged, and [延長]: a reader keeps it, with a reason. */

import * as api from "./api";
import { ask } from "./dialog";
import { h } from "./dom";
import { refusalOf } from "./reading";
import type { Purge, Study } from "./types";
import { inLanguage, onLanguage, word } from "./words";

/** A day as people say it: 12月3日, 3 Dec. */
function dayOf(day: string | null, year?: "numeric"): string {
  const at = new Date(`${day}T00:00:00Z`);
  const form = { month: "short", day: "numeric", timeZone: "UTC", ...(year ? { year } : {}) } as const;
  return at.toLocaleDateString(inLanguage() === "ja" ? "ja-JP" : "en-GB", form);
}

export class PurgeBar {
  readonly element = h("div", { class: "bar purge", role: "status", "data-role": "purge", hidden: true });
  private told: Purge | null = null;
  private drawn = "";
  readonly close = onLanguage(() => this.draw());

  constructor(private readonly study: Study) {
    this.take(study);
  }

  /** The study as it is now. */
  take(study: Study): void {
    this.told = study.purge ?? null;
    this.draw();
  }

  private draw(): void {
    const told = this.told;
    const drawn = JSON.stringify([inLanguage(), told]);
    if (drawn === this.drawn) return; // a live region is not read out again, and keeps its focus
    this.drawn = drawn;
    this.element.hidden = told === null;
    this.element.title = told?.held?.reason ?? "";
    this.element.replaceChildren(...(told === null ? [] : this.parts(told)));
  }

  private parts({ on, held }: Purge): (Node | string)[] {
    if (held) return [word("purge.held", { p: held.display, d: dayOf(held.at, "numeric") })];
    const button = h("button", { type: "button", "data-role": "hold", onclick: () => this.hold() }, word("purge.hold"));
    return [word("purge.soon", { d: dayOf(on) }), " ", button];
  }

  private hold(): void {
    const reason = h("input", { id: "hold-reason", maxlength: 200, required: true, autocomplete: "off" });
    const wrong = h("p", { class: "said", role: "alert" });
    const send = async (event: Event): Promise<void> => {
      event.preventDefault();
      try {
        const told = await api.hold(this.study.key, reason.value);
        dialog.close();
        this.take({ ...this.study, purge: told });
      } catch (error) {
        wrong.textContent = refusalOf(error);
      }
    };
    const dialog = ask(
      "purge.title",
      h("p", {}, word("purge.why")),
      h(
        "form",
        { onsubmit: (event: Event) => void send(event) },
        h("label", { for: "hold-reason" }, word("purge.reason")),
        reason,
        h("button", { class: "main", type: "submit" }, word("purge.hold")),
        wrong,
      ),
    );
  }
}
