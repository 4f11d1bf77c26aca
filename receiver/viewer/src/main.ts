/** Beginning of the page: who is signed in, and which address shows what. */

import * as api from "./api";
import { leave } from "./context";
import * as events from "./events";
import { makeFrame } from "./frame";
import { showAudit } from "./pages/audit";
import { showSignIn } from "./pages/sign_in";
import { showStudy } from "./pages/study";
import { showWorkList } from "./pages/work_list";
import { watchPresence } from "./presence";
import { expose } from "./hook";
import type { User } from "./types";
import { inLanguage } from "./words";

type Close = () => void;

document.documentElement.lang = inLanguage();
const frame = makeFrame(() => go("/"));
document.body.replaceChildren(frame.root);
expose();

let user: User | null = null;
let close: Close = () => undefined;

/** Take the picture and the name off the screen, together and before anything else. */
function blank(): void {
  leave();
  frame.stage.replaceChildren();
  frame.who(null);
  frame.progress(null);
  close();
  close = () => undefined;
}

export function go(path: string): void {
  history.pushState(null, "", path);
  show();
}

function show(): void {
  blank();
  if (user === null) {
    close = showSignIn(frame, signedIn);
    return;
  }
  if (location.pathname === "/audit") {
    close = showAudit(frame);
    return;
  }
  const key = /^\/study\/([0-9A-Za-z]+)$/.exec(location.pathname)?.[1];
  close = key ? showStudy(frame, key, user, go) : showWorkList(frame, go);
}

function signedIn(who: User): void {
  user = who;
  frame.user(user, () => void signOut());
  events.start();
  show();
}

async function signOut(): Promise<void> {
  forget();
  await api.signOut();
  location.replace("/"); // a new page: nothing of a patient stays in its memory
}

/** Nobody is signed in any more: nothing of a patient may stay on the screen. */
function forget(): void {
  if (user === null) return;
  user = null;
  events.stop();
  frame.user(null, () => undefined);
  show();
}

api.onSessionLost(forget);
watchPresence(() => user !== null, forget);
window.addEventListener("popstate", show);
// a page kept by the browser for its back button must not bring a patient back
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
window.addEventListener("dragover", (event) => event.preventDefault());
window.addEventListener("drop", (event) => event.preventDefault());

const session = await api.session().catch(() => null);
if (session) signedIn(session.user);
else show();
