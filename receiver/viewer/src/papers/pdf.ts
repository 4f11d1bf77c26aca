/**
 * A PDF, drawn page by page on a canvas by pdf.js.
 *
 * No script of a PDF runs: the library's interpreter for them is not part of this program. Nothing of
 * it becomes an element of the page either, no link, no form: what it draws are pixels.
 */

import * as pdfjs from "pdfjs-dist/legacy/build/pdf.mjs";
import type { PDFDocumentProxy, RenderTask } from "pdfjs-dist";
import worker from "pdfjs-dist/legacy/build/pdf.worker.min.mjs?url";
import { isCurrent, type ReadingContext } from "../context";
import { h } from "../dom";
import { onLock } from "../lock";
import { onLanguage, say, word, type Word } from "../words";
import type { Pane } from "./pane";

pdfjs.GlobalWorkerOptions.workerSrc = worker;

/** Fonts, character maps and decoders that PDFs rely on; laid beside the pages by the build. */
const DATA = `/assets/pdfjs-${pdfjs.version}/`;
const MOST_PIXELS = 24_000_000; // of one canvas
const ZOOMS = [0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4] as const;
const FULL = 2; // place of 1 in it: as wide as there is room

export class PdfPane implements Pane {
  private readonly sheet = h("div", { class: "pdf-sheet", tabindex: "0", role: "group", "data-role": "pdf-sheet" });
  private readonly said = h("span", { class: "pdf-page", role: "status", "data-role": "pdf-page" });
  readonly element: HTMLElement;
  private readonly ends: (() => void)[];
  private document: PDFDocumentProxy | null = null;
  private drawing: RenderTask | null = null;
  private page = 1;
  private zoom = FULL;
  private turn = 0;
  private closed = false;

  constructor(
    private readonly context: ReadingContext,
    private readonly bytes: ArrayBuffer,
    private readonly title: string,
  ) {
    const button = (name: Word, action: () => void): HTMLElement => h("button", { type: "button", onclick: action }, word(name));
    this.element = h(
      "div",
      { class: "pdf-pane" },
      this.sheet,
      h(
        "div",
        { class: "pdf-bar", role: "toolbar" },
        button("paper.before", () => this.go(-1)),
        this.said,
        button("paper.next", () => this.go(1)),
        button("paper.smaller", () => this.scale(-1)),
        button("paper.larger", () => this.scale(1)),
      ),
    );
    const sized = new ResizeObserver(() => this.later());
    sized.observe(this.sheet);
    this.ends = [
      () => sized.disconnect(),
      onLanguage(() => this.label()),
      onLock({ clear: () => this.sheet.replaceChildren(), back: () => this.later() }),
    ];
    void this.load();
  }

  close(): void {
    this.closed = true;
    for (const end of this.ends) end();
    this.drawing?.cancel();
    void this.document?.loadingTask.destroy();
    this.element.remove();
  }

  focus(): void {
    this.sheet.focus({ preventScroll: true });
  }

  key(event: KeyboardEvent): boolean {
    if (event.shiftKey) return false;
    const keys: Readonly<Record<string, () => void>> = {
      PageDown: () => this.go(1),
      PageUp: () => this.go(-1),
      Home: () => this.go(-this.page),
      End: () => this.go(this.document?.numPages ?? 0),
      ArrowDown: () => this.sheet.scrollBy(0, 80),
      ArrowUp: () => this.sheet.scrollBy(0, -80),
      NumpadAdd: () => this.scale(1),
      NumpadSubtract: () => this.scale(-1),
    };
    const action = keys[event.code];
    action?.();
    return action !== undefined;
  }

  private async load(): Promise<void> {
    try {
      const task = pdfjs.getDocument({
        data: new Uint8Array(this.bytes),
        cMapUrl: `${DATA}cmaps/`,
        standardFontDataUrl: `${DATA}standard_fonts/`,
        wasmUrl: `${DATA}wasm/`,
        iccUrl: `${DATA}iccs/`,
        enableXfa: false,
        useSystemFonts: false,
        maxImageSize: MOST_PIXELS * 4,
        verbosity: pdfjs.VerbosityLevel.ERRORS,
      });
      const opened = await task.promise;
      if (this.closed || !isCurrent(this.context)) return void task.destroy();
      this.document = opened;
      await this.draw();
    } catch (error) {
      if (this.closed) return;
      const locked = error instanceof pdfjs.PasswordException;
      this.sheet.replaceChildren(h("p", { class: "notice", role: "alert", "data-role": "refused" }, word(locked ? "paper.password" : "paper.broken")));
    }
  }

  private go(by: number): void {
    const next = Math.min(this.document?.numPages ?? 1, Math.max(1, this.page + by));
    if (next === this.page) return;
    this.page = next;
    this.sheet.scrollTo(0, 0);
    this.later();
  }

  private scale(by: number): void {
    this.zoom = Math.min(ZOOMS.length - 1, Math.max(0, this.zoom + by));
    this.later();
  }

  private later(): void {
    if (this.document === null || this.closed) return;
    this.draw().catch(() => undefined);
  }

  private async draw(): Promise<void> {
    const { document: of } = this;
    if (of === null) return;
    const turn = ++this.turn;
    this.drawing?.cancel();
    const page = await of.getPage(this.page);
    if (turn !== this.turn || this.closed) return;
    const natural = page.getViewport({ scale: 1 });
    const room = Math.max(200, this.sheet.clientWidth - 32);
    const ratio = window.devicePixelRatio;
    const wanted = (Math.min(room, 1100) / natural.width) * (ZOOMS[this.zoom] ?? 1) * ratio;
    const most = Math.sqrt(MOST_PIXELS / (natural.width * natural.height));
    const viewport = page.getViewport({ scale: Math.min(wanted, most) });
    const canvas = h("canvas", { role: "img", class: "pdf-canvas" });
    canvas.width = Math.max(1, Math.floor(viewport.width));
    canvas.height = Math.max(1, Math.floor(viewport.height));
    Object.assign(canvas.style, { width: `${(natural.width * wanted) / ratio}px` });
    this.drawing = page.render({ canvas, viewport });
    try {
      await this.drawing.promise;
    } catch (error) {
      if (error instanceof pdfjs.RenderingCancelledException) return;
      throw error;
    }
    if (turn !== this.turn || this.closed) return;
    this.sheet.replaceChildren(canvas);
    this.sheet.dataset["page"] = String(this.page);
    this.label();
  }

  private label(): void {
    const of = this.document?.numPages;
    if (of === undefined) return;
    const words = say("paper.page", { n: this.page, e: of });
    this.said.textContent = words;
    this.sheet.setAttribute("aria-label", `${this.title} ${words}`);
    this.sheet.querySelector("canvas")?.setAttribute("aria-label", `${this.title} ${words}`);
  }
}
