/**
 * The lock: whatever shows a patient is covered and blanked, nothing of the work is lost.
 *
 * The receiver serves nothing to a locked session. Requests that it refused meanwhile wait
 * here and are asked again once their reader is back.
 */

import * as account from "./account";
import { h } from "./dom";
import { passkeysHere } from "./passkey";
import { ask, cameBack, say } from "./pages/sign_in";
import type { User } from "./types";
import { word } from "./words";

/** How the reader of a locked page may come back, besides the password. */
export interface Ways {
  readonly factors: readonly string[];
  /** What the sign-in service is called, if it knows this reader. */
  readonly service: string | undefined;
}

/** What a view forgets when the page is locked, and gets again once its reader is back. */
export interface Clears {
  clear(): void;
  back(): void;
}

const AGAIN_MS = 250;

let cover: HTMLDialogElement | null = null;
let clearing = 0;
const waiting: (() => void)[] = [];
const clears = new Set<Clears>();
const kept = new Map<HTMLCanvasElement, HTMLCanvasElement>();

export const isLocked = (): boolean => cover !== null;

/** Resolves once nothing is locked. */
export function unlocked(): Promise<void> {
  return cover === null ? Promise.resolve() : new Promise((done) => waiting.push(done));
}

/** Let decoded images be forgotten while the page is locked (AUT-06); the answer ends it. */
export function onLock(one: Clears): () => void {
  clears.add(one);
  return () => clears.delete(one);
}

/** Keys are the lock's alone: none may reach the page below, whatever has the focus. */
function hold(event: Event): void {
  if (!(event.target instanceof Node && cover?.contains(event.target))) event.stopImmediatePropagation();
}

/** Cover the page; `out` signs out, `opened` is told when the reader is back. */
export function coverPage(user: User, ways: Ways, opened: () => void, out: () => void): void {
  if (cover !== null) return;
  document.documentElement.classList.add("locked");
  blank();
  clearing = window.setInterval(blank, AGAIN_MS); // what was on its way draws behind the cover
  cover = question(user, ways, opened, out);
  document.body.append(cover);
  cover.showModal(); // above a question that was open, which the page's other elements are not
  cover.querySelector("input")?.focus();
  window.addEventListener("keydown", hold, true);
  for (const one of clears) one.clear();
  for (const child of document.body.children) child.toggleAttribute("inert", child !== cover);
}

/** Take the cover off; every view draws its picture again. */
export function uncover(): void {
  if (cover === null) return;
  window.clearInterval(clearing);
  window.removeEventListener("keydown", hold, true);
  cover.remove();
  cover = null;
  for (const child of document.body.children) child.removeAttribute("inert");
  document.documentElement.classList.remove("locked");
  for (const [canvas, copy] of kept) {
    const context = canvas.getContext("2d");
    context?.save();
    context?.setTransform(1, 0, 0, 1, 0, 0); // a view leaves its own
    context?.drawImage(copy, 0, 0);
    context?.restore();
  }
  kept.clear();
  for (const done of waiting.splice(0)) done();
  for (const one of clears) one.back();
  window.dispatchEvent(new Event("resize"));
}

/** No canvas of the page keeps a pixel; its picture waits outside the page. */
function blank(): void {
  for (const canvas of document.querySelectorAll("canvas")) {
    const context = canvas.getContext("2d");
    if (context === null || canvas.width === 0 || canvas.height === 0) continue;
    let copy = kept.get(canvas);
    if (copy?.width !== canvas.width || copy.height !== canvas.height) {
      copy = document.createElement("canvas");
      [copy.width, copy.height] = [canvas.width, canvas.height];
      kept.set(canvas, copy);
    }
    // what a view drew meanwhile lies over what it showed before: the newest comes back
    copy.getContext("2d")?.drawImage(canvas, 0, 0);
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.restore();
  }
}

function question(user: User, { factors, service }: Ways, opened: () => void, out: () => void): HTMLDialogElement {
  const password = h("input", { id: "unlock", type: "password", autocomplete: "current-password", required: true });
  const form = ask(
    word("auth.lock"),
    [h("p", {}, user.display || user.name), h("label", { for: "unlock" }, word("auth.password")), password],
    "lock.unlock",
    () => account.unlock(password.value).then(opened),
    () => {
      password.value = "";
      password.focus();
    },
  );
  if (factors.includes("passkey") && passkeysHere()) {
    const said = form.querySelector(".said") as HTMLElement;
    const use = (): void => void account.unlockByPasskey().then(opened, (error: unknown) => say(said, error));
    form.append(h("button", { type: "button", onclick: use }, word("auth.usepasskey")));
  }
  if (cameBack("failed")) form.querySelector(".said")?.replaceChildren(word("auth.fail"));
  if (service) {
    const said = form.querySelector(".said") as HTMLElement;
    const use = (): void => {
      // opened by the click itself, or the browser would stop it; that window tells this one
      const other = window.open("about:blank", "_blank");
      account.toService(true).then(
        (address) => (other ? other.location.assign(address) : location.assign(address)),
        (error: unknown) => {
          other?.close();
          say(said, error);
        },
      );
    };
    form.append(h("button", { type: "button", onclick: use }, word("lock.service", { s: service })));
  }
  form.append(h("button", { type: "button", class: "plain", onclick: out }, word("auth.out")));
  const made = h("dialog", { class: "lock", closedby: "none", "aria-labelledby": "lock-title", "data-role": "lock" }, form);
  form.querySelector("h1")?.setAttribute("id", "lock-title");
  made.addEventListener("keydown", (event) => event.stopPropagation());
  made.addEventListener("cancel", (event) => event.preventDefault());
  made.addEventListener("close", () => {
    if (made.isConnected) made.showModal(); // no key opens the lock
  });
  return made;
}
