/** One video: its picture, its patient and its frame in one element, drawn for each frame anew. */

import * as api from "../api";
import { isCurrent, within, type ReadingContext } from "../context";
import { h } from "../dom";
import { onLock, unlocked } from "../lock";
import { quality, what, who, type Line } from "../radiology/corners";
import type { DataSet } from "../radiology/dataset";
import { onLanguage, say, word, type Word } from "../words";
import { address, type Paper } from "./described";
import { frameAt, middleOf, rateOf, timecode, type Rate } from "./rate";
import { refusal, type Pane } from "./pane";

const PROBE = { headers: { Range: "bytes=0-0" } };
const MOST_TRIES = 2;
const LONG_STEP = 10;
/** Every coding of videos loses something, whatever the object says of itself. */
const LOSSY: DataSet = { "00282110": { Value: ["01"] } };

export class VideoPane implements Pane {
  private readonly video = h("video", {
    "data-role": "video",
    playsinline: true,
    preload: "auto",
    disablepictureinpicture: true, // a window of its own would outlive the patient and the lock
    disableremoteplayback: true,
  });
  private readonly corners = {
    who: h("div", { class: "corner tl", "data-role": "who" }),
    what: h("div", { class: "corner tr" }),
    frame: h("div", { class: "corner bl" }),
    how: h("div", { class: "corner br" }),
  };
  private readonly chip = h("div", { class: "load-chip", role: "status" });
  private readonly place = h("input", { type: "range", min: "0", max: "0", step: "1", value: "0", "data-role": "video-place" });
  private readonly play = h("button", { type: "button", onclick: () => this.toggle() });
  private readonly sound = h("button", { type: "button", onclick: () => this.mute() });
  private readonly screen: HTMLElement;
  readonly element: HTMLElement;
  private readonly ends: (() => void)[];
  private readonly rowed: ReadingContext;
  private timing: Rate;
  /** Seconds at which the first frame stands, and the one that is shown. */
  private first: number | null = null;
  private shown: number | null = null;
  private wanted = 0;
  private tries = 0;
  private kept: number | null = null;

  constructor(
    context: ReadingContext,
    private readonly paper: Paper,
    private readonly data: DataSet,
  ) {
    this.rowed = context;
    this.timing = rateOf(data, Number.NaN);
    this.video.muted = true; // the room's alarm comes first
    const overlay = h("div", { class: "overlay", lang: "ja" }, ...Object.values(this.corners), this.chip);
    if (context.study.test) overlay.append(h("div", { class: "watermark" }, say("mark.test")));
    this.screen = h("div", { class: "video-screen", tabindex: "0", role: "group", "data-role": "video-screen" }, this.video, overlay);
    this.screen.addEventListener("contextmenu", (event) => event.preventDefault());
    this.place.addEventListener("input", () => this.to(Number(this.place.value)));
    const button = (name: Word, action: () => void): HTMLElement => h("button", { type: "button", onclick: action }, word(name));
    this.element = h(
      "div",
      { class: "video-pane" },
      this.screen,
      h(
        "div",
        { class: "video-bar", role: "toolbar" },
        this.play,
        button("video.back", () => this.step(-1)),
        button("video.next", () => this.step(1)),
        this.place,
        button("video.one", () => this.oneToOne()),
        this.sound,
      ),
    );
    this.watch();
    const sized = new ResizeObserver(() => this.draw());
    sized.observe(this.screen);
    this.ends = [
      onLanguage(() => this.redraw()),
      () => sized.disconnect(),
      onLock({ clear: () => this.forget(), back: () => this.again() }),
    ];
    this.redraw();
    this.load();
  }

  close(): void {
    for (const end of this.ends) end();
    this.empty();
    this.element.remove();
  }

  focus(): void {
    this.screen.focus({ preventScroll: true });
  }

  /** True where the key was this video's. */
  key(event: KeyboardEvent): boolean {
    const by = event.shiftKey ? LONG_STEP : 1;
    const keys: Readonly<Record<string, () => void>> = {
      Space: () => this.toggle(),
      Comma: () => this.step(-by),
      Period: () => this.step(by),
      ArrowLeft: () => this.step(-by),
      ArrowRight: () => this.step(by),
      Home: () => this.to(0),
      End: () => this.to(this.last()),
      KeyJ: () => this.oneToOne(),
      KeyM: () => this.mute(),
    };
    const action = keys[event.code];
    action?.();
    return action !== undefined;
  }

  // --- playing ----------------------------------------------------------------------------

  private load(): void {
    this.chip.textContent = say("img.loading"); // the receiver compares all of it first
    if (this.paper.container === "mp4") this.video.src = address(this.rowed, this.paper);
    else void this.asked(false); // the receiver says in words why not
  }

  private watch(): void {
    const { video } = this;
    video.addEventListener("loadedmetadata", () => {
      if (video.videoWidth === 0) return this.refuse(word("video.codec", { s: this.paper.syntax }));
      this.timing = rateOf(this.data, video.duration);
      this.place.max = String(this.last());
      if (this.kept !== null) video.currentTime = this.kept;
      this.kept = null;
      this.redraw();
    });
    for (const event of ["play", "pause", "ended", "volumechange"]) video.addEventListener(event, () => this.redraw());
    video.addEventListener("waiting", () => (this.chip.textContent = say("img.loading")));
    video.addEventListener("loadeddata", () => (this.chip.textContent = ""));
    video.addEventListener("seeked", () => (this.chip.textContent = ""));
    video.addEventListener("playing", () => (this.chip.textContent = ""));
    video.addEventListener("error", () => void (video.hasAttribute("src") ? this.asked(true) : undefined));
    const frame = (_now: number, { mediaTime }: VideoFrameCallbackMetadata): void => {
      this.first ??= mediaTime;
      this.shown = mediaTime;
      if (!video.seeking) this.wanted = this.index();
      this.draw();
      video.requestVideoFrameCallback(frame);
    };
    video.requestVideoFrameCallback(frame);
  }

  private empty(): void {
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
  }

  /** Nothing of the picture stays while the page is locked. */
  private forget(): void {
    this.kept = this.video.currentTime;
    this.empty();
  }

  private again(): void {
    if (isCurrent(this.rowed)) this.load();
  }

  /** Something went wrong: the receiver is asked what, and what it refuses is said. */
  private async asked(retry: boolean): Promise<void> {
    const { rowed, video } = this;
    const time = video.currentTime;
    try {
      await unlocked();
      await within(rowed, api.request(address(rowed, this.paper), { ...PROBE, signal: rowed.signal }));
    } catch (error) {
      if (isCurrent(rowed)) this.refuse(refusal(error));
      return;
    }
    this.tries += 1;
    if (!retry || this.tries > MOST_TRIES || !this.element.isConnected) {
      return this.refuse(word("video.codec", { s: this.paper.syntax }));
    }
    this.kept = time;
    this.load();
  }

  private refuse(words: HTMLElement): void {
    this.empty();
    this.element.replaceChildren(h("p", { class: "notice", role: "alert", "data-role": "refused" }, words));
  }

  private toggle(): void {
    if (!this.video.paused) return this.video.pause();
    this.video.play().catch(() => undefined); // what hinders it comes as its error
  }

  private mute(): void {
    this.video.muted = !this.video.muted;
  }

  private step(by: number): void {
    this.to(this.wanted + by);
  }

  private to(frame: number): void {
    this.video.pause();
    this.wanted = Math.min(this.last(), Math.max(0, frame));
    this.video.currentTime = (this.first ?? 0) + middleOf(this.wanted, this.timing.rate);
  }

  private last(): number {
    const { count, rate } = this.timing;
    const { duration } = this.video;
    return Math.max(0, (count ?? (Number.isFinite(duration) ? Math.round(duration * rate) : 1)) - 1);
  }

  private index(): number {
    return Math.min(this.last(), frameAt((this.shown ?? 0) - (this.first ?? 0), this.timing.rate));
  }

  /** Pixel for pixel of the display, or as large as there is room. */
  private oneToOne(): void {
    const { video, screen } = this;
    const one = screen.classList.toggle("one");
    const wide = video.videoWidth / window.devicePixelRatio;
    const high = video.videoHeight / window.devicePixelRatio;
    Object.assign(video.style, one ? { width: `${wide}px`, height: `${high}px` } : { width: "", height: "" });
    this.draw();
  }

  // --- words over the picture -------------------------------------------------------------

  private redraw(): void {
    const { study } = this.rowed;
    this.play.replaceChildren(word(this.video.paused ? "video.play" : "video.pause"));
    this.sound.replaceChildren(word(this.video.muted ? "video.muted" : "video.heard"));
    this.place.setAttribute("aria-label", say("video.place"));
    fill(this.corners.who, who(this.data, study));
    fill(this.corners.what, what(this.data, study));
    const size = this.video.videoWidth ? `${this.video.videoWidth}×${this.video.videoHeight}` : "";
    fill(this.corners.how, [{ text: this.paper.syntax }, { text: size }, quality({ ...this.data, ...LOSSY })]);
    this.draw();
  }

  private draw(): void {
    const { rate, guessed, differs, count } = this.timing;
    if (this.shown === null) return fill(this.corners.frame, []);
    const index = this.index();
    const figure = String(Math.round(rate * 100) / 100);
    const lines: Line[] = [
      { text: say("video.frame", { n: index + 1, e: count ?? "?" }), role: "video-frame" },
      { text: timecode(index, rate), role: "video-time" },
      guessed ? { text: say("video.unsaid", { r: figure }), look: "inverse" } : { text: `${figure} fps`, role: "video-rate" },
    ];
    if (differs) lines.push({ text: say("video.differs"), role: "video-differs", look: "inverse" });
    lines.push({ text: `${Math.round(this.scale() * 100)} %`, role: "zoom" });
    fill(this.corners.frame, lines);
    this.place.value = String(index);
    this.screen.dataset["frame"] = String(index + 1);
    const label = `${this.paper.kind} ${this.paper.title} ${index + 1}/${count ?? "?"}`;
    this.screen.setAttribute("aria-label", label);
  }

  /** Device pixels a pixel of the video takes. */
  private scale(): number {
    const { video } = this;
    if (!video.videoWidth || !video.videoHeight) return 0;
    const shares = [video.clientWidth / video.videoWidth, video.clientHeight / video.videoHeight];
    return Math.min(...shares) * window.devicePixelRatio;
  }
}

function fill(corner: HTMLElement, lines: readonly Line[]): void {
  corner.replaceChildren(
    ...lines
      .filter((line) => line.text.trim() !== "")
      .map((line) => h("div", { class: line.look, "data-role": line.role }, line.text)),
  );
}
