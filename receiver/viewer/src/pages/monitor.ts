/** The guided daily check of a monitor: a person looks and answers, nothing is measured. */

import * as api from "../api";
import { h, writing } from "../dom";
import type { Frame } from "../frame";
import { draw, STEPS, type Step } from "../patterns";
import { refusalOf } from "../reading";
import type { MonitorStanding } from "../types";
import { say, word, type Word } from "../words";

export const MONITOR = "/monitor";
const SERIAL = "todoke-monitor"; // of the workstation, nothing of a person

/** What the browser says of its screen: points, scale and bits. */
export function screenFacts(): string {
  const scale = String(Math.round(window.devicePixelRatio * 10000) / 10000);
  return `${screen.width}x${screen.height}@${scale}x${screen.colorDepth}`;
}

export const serial = (): string => localStorage.getItem(SERIAL) ?? "";

export function showMonitor(frame: Frame): () => void {
  const page = new MonitorPage(frame);
  return () => page.close();
}

class MonitorPage {
  private readonly answers: Partial<Record<Step, boolean>> = {};
  private at = 0;
  private readonly canvas = h("canvas", { class: "pattern", role: "img" });
  private readonly steps = h("ol", { class: "check-steps" });
  private readonly side = h("div", { class: "check-side" });
  private readonly pressed = (event: KeyboardEvent): void => this.key(event);
  private readonly sized = new ResizeObserver(() => this.pattern());

  constructor(private readonly frame: Frame) {
    frame.stage.replaceChildren(
      h(
        "section",
        { class: "monitor", "data-role": "monitor" },
        h("header", {}, h("h1", {}, word("monitor.title")), h("p", { class: "never" }, word("monitor.never")), facts()),
        h("div", { class: "check" }, h("div", { class: "check-left" }, this.steps, this.side), h("div", { class: "ground" }, this.canvas)),
      ),
    );
    document.addEventListener("keydown", this.pressed);
    this.sized.observe(this.canvas.parentElement as HTMLElement);
    this.show();
  }

  close(): void {
    document.removeEventListener("keydown", this.pressed);
    this.sized.disconnect();
  }

  private key(event: KeyboardEvent): void {
    if (writing(event) || event.ctrlKey || event.altKey || event.metaKey || this.at >= STEPS.length) return;
    const said = { KeyY: true, KeyN: false }[event.code];
    if (said === undefined) return;
    event.preventDefault(); // the last answer gives the focus to a field
    this.answer(said);
  }

  private answer(said: boolean): void {
    const step = STEPS[this.at];
    if (step) this.answers[step] = said;
    this.at += 1;
    this.show();
  }

  private show(): void {
    this.steps.replaceChildren(
      ...STEPS.map((step, n) => {
        const said = this.answers[step];
        const mark = said === undefined ? (n === this.at ? "▸" : "·") : said ? "✓" : "✕";
        return h("li", n === this.at ? { "aria-current": "step" } : {}, `${mark} `, word(`monitor.step.${step}`));
      }),
    );
    const step = STEPS[this.at];
    this.side.replaceChildren(...(step ? this.question(step) : [this.form()]));
    this.pattern();
    this.side.querySelector<HTMLElement>("button, input")?.focus();
  }

  private question(step: Step): HTMLElement[] {
    const button = (said: boolean): HTMLElement =>
      h("button", { type: "button", class: "main", onclick: () => this.answer(said) }, word(said ? "monitor.yes" : "monitor.no"));
    return [h("p", { class: "check-ask", role: "status" }, word(`monitor.ask.${step}`)), h("p", {}, button(true), " ", button(false))];
  }

  /** One canvas pixel is one device pixel, whatever the scale of the page. */
  private pattern(): void {
    const step = STEPS[this.at];
    const box = this.canvas.parentElement?.getBoundingClientRect();
    if (!step || !box) {
      this.canvas.hidden = true;
      return;
    }
    const ratio = window.devicePixelRatio;
    // from the first whole device pixel of its ground: between two, each line would be smeared
    const [x, y] = [Math.ceil(box.left * ratio) - box.left * ratio, Math.ceil(box.top * ratio) - box.top * ratio];
    this.canvas.style.margin = `${y / ratio}px 0 0 ${x / ratio}px`;
    const [width, height] = [whole(box.width - x / ratio, ratio), whole(box.height - y / ratio, ratio)];
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    this.canvas.setAttribute("aria-label", say(`monitor.step.${step}`));
    draw(this.canvas, step);
  }

  private form(): HTMLElement {
    const named = (id: string, label: Word, more: Record<string, unknown> = {}): HTMLInputElement[] => {
      const input = h("input", { id: `monitor-${id}`, autocomplete: "off", ...more });
      fields.push(h("label", { for: input.id }, word(label)), input);
      return [input];
    };
    const fields: HTMLElement[] = [];
    const [number] = named("serial", "monitor.serial", { required: true, maxlength: 64, value: serial() });
    const options = [h("option", { value: "" }, word("monitor.grade.none")), ...["1A", "1B", "2"].map((one) => h("option", { value: one }, one))];
    const grade = h("select", { id: "monitor-grade" }, ...options);
    fields.push(h("h2", {}, word("monitor.readings")), h("label", { for: "monitor-grade" }, word("monitor.grade")), grade);
    const figure = { type: "number", step: "any", min: 0 };
    const [lmax] = named("lmax", "monitor.lmax", figure);
    const [lmin] = named("lmin", "monitor.lmin", figure);
    const [deviation] = named("deviation", "monitor.deviation", figure);
    const [months] = named("months", "monitor.months", { type: "number", min: 1, max: 12, value: 6 });
    const wrong = h("p", { class: "said", role: "alert" });
    const keep = async (event: Event): Promise<void> => {
      event.preventDefault();
      const said: Record<string, unknown> = { serial: number?.value, screen: screenFacts(), answers: this.answers };
      if (grade.value) {
        const read = (input: HTMLInputElement | undefined): number | null => (input?.value ? Number(input.value) : null);
        Object.assign(said, { grade: grade.value, lmax: read(lmax), lmin: read(lmin), deviation: read(deviation), months: read(months) });
      }
      try {
        const standing = await api.keepMonitor(said);
        localStorage.setItem(SERIAL, standing.serial);
        this.side.replaceChildren(...result(standing), this.onceMore());
        this.frame.monitor(standing);
      } catch (error) {
        wrong.textContent = refusalOf(error);
      }
    };
    const submit = h("button", { type: "submit", class: "main" }, word("monitor.keep"));
    return h("form", { onsubmit: (event: Event) => void keep(event) }, ...fields, submit, wrong);
  }

  private onceMore(): HTMLElement {
    const again = (): void => {
      for (const step of STEPS) delete this.answers[step];
      this.at = 0;
      this.show();
    };
    return h("button", { type: "button", class: "plain", onclick: again }, word("monitor.again"));
  }
}

/** The largest whole size in CSS pixels that is whole in device pixels too: browsers round others. */
function whole(room: number, ratio: number): number {
  const most = Math.floor(room);
  for (let size = most; size > most - 200 && size > 0; size -= 1) {
    if (Math.abs(size * ratio - Math.round(size * ratio)) < 1e-6) return size;
  }
  return most;
}

function facts(): HTMLElement {
  const ratio = window.devicePixelRatio;
  const p = Math.round(ratio * 100);
  const size = { w: Math.round(screen.width * ratio), h: Math.round(screen.height * ratio), p, b: screen.colorDepth };
  const scaled = Number.isInteger(ratio) ? null : h("strong", { class: "scaled" }, " ▲ ", word("monitor.scaled", { p }));
  return h("p", { class: "check-facts" }, word("monitor.facts", size), scaled);
}

function result(standing: MonitorStanding): HTMLElement[] {
  const failed = standing.daily?.passed === false || standing.constancy?.passed === false;
  const words = failed
    ? h("p", { class: "failed", role: "alert" }, "✕ ", word("monitor.failed"))
    : h("p", { class: "passed", role: "status" }, "✓ ", word("monitor.passed", { d: standing.daily?.due_on ?? "" }));
  return [words, ...standing.warnings.map((one) => h("p", {}, "▲ ", word(`monitor.warn.${one}`)))];
}
