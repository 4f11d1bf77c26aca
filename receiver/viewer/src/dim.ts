/** Shift+D: a dark room. The page gives less light; images, and what stands on them, stay as they are. */

import { writing } from "./dom";

const KEPT = "todoke-dim"; // of the workstation and its room, nothing of a person

const set = (dim: boolean): void => void document.documentElement.classList.toggle("dim", dim);

export function watchDim(): void {
  set(localStorage.getItem(KEPT) !== null);
  document.addEventListener("keydown", (event) => {
    if (event.code !== "KeyD" || !event.shiftKey || event.ctrlKey || event.altKey || event.metaKey || writing(event)) return;
    event.preventDefault();
    const dim = !document.documentElement.classList.contains("dim");
    set(dim);
    if (dim) localStorage.setItem(KEPT, "1");
    else localStorage.removeItem(KEPT);
  });
}
