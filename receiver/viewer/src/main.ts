/** Beginning of the page: who is signed in, and which address shows what. */

import * as account from "./account";
import * as api from "./api";
import { forget as callNoMore, watchCalls } from "./calling";
import { leave } from "./context";
import { turnPage } from "./dialog";
import { h } from "./dom";
import * as events from "./events";
import { makeFrame } from "./frame";
import { coverPage, uncover, unlocked, isLocked, type Ways } from "./lock";
import { showAccount } from "./pages/account";
import { showAudit } from "./pages/audit";
import { MONITOR, screenFacts, serial, showMonitor } from "./pages/monitor";
import { showPeople } from "./pages/people";
import { PURPOSE, showPurpose } from "./pages/purpose";
import { cameBack, showSignIn } from "./pages/sign_in";
import { showStudy } from "./pages/study";
import { showWorkList } from "./pages/work_list";
import { idleAfter, tellOthers, watchPresence } from "./presence";
import { leaves, watchListening } from "./listening";
import { watchDim } from "./dim";
import { forget as nothingSeen } from "./radiology/seen";
import * as unsent from "./radiology/unsent";
import { follow, isSecond, openSecond, putHere, tellSecond } from "./screens";
import { expose } from "./hook";
import type { Session, User } from "./types";
import { onOtherPatient } from "./window_group";
import { inLanguage, word, type Word } from "./words";

type Close = () => void;

document.documentElement.lang = inLanguage();
const frame = makeFrame(() => go("/"));
document.body.replaceChildren(frame.root);
expose();

const STUDY = /^\/study\/([0-9A-Za-z]+)$/;
let user: User | null = null;
/** A sign-in that was begun before this page was loaded anew. */
let begun: account.Step | null = null;
let idleSeconds = 15 * 60;
let ways: Ways = { factors: [], service: undefined };
let close: Close = () => undefined;

/** Take the picture and the name off the screen, together and before anything else. */
function blank(): void {
  leave();
  turnPage();
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
  if (location.pathname === PURPOSE) {
    close = showPurpose(frame);
    return;
  }
  if (user === null) {
    close = showSignIn(frame, signedIn, begun);
    begun = null;
    return;
  }
  close = pageOf(user);
}

/** Whoever is no reader has pages without patients alone; the receiver holds it so as well. */
function pageOf(user: User): Close {
  const key = STUDY.exec(location.pathname)?.[1];
  if (user.role === "reader") tellSecond(key ? location.pathname : null); // both have blanked; now both change
  if (location.pathname === "/account") return showAccount(frame);
  if (user.role === "administrator") return showPeople(frame, user.name);
  if (user.role === "auditor") return showAudit(frame);
  if (location.pathname === MONITOR) return showMonitor(frame);
  if (key) return showStudy(frame, key, user, go);
  return isSecond() ? waitForFirst() : showWorkList(frame, go);
}

/** The window for images alone has no list: it shows what the first window opens. */
function waitForFirst(): Close {
  frame.stage.replaceChildren(h("p", { class: "notice", role: "status", "data-role": "second" }, word("screens.waiting")));
  return () => undefined;
}

/** Open the window for images alone, or in it: remember where it stands. */
async function placeWindows(): Promise<void> {
  const said = (what: Word): void => frame.say(word(what));
  if (isSecond()) {
    putHere();
    return said("screens.kept");
  }
  if (!(await openSecond(STUDY.test(location.pathname) ? location.pathname : "/"))) said("screens.blocked");
}

function signedIn(who: User): void {
  user = who;
  api.actAs(who.name);
  tellOthers(`in ${who.name}`); // a browser has one session: pages of another reader end now
  unsent.signedIn(who.name);
  void api.session().then(settle, () => undefined);
  frame.user(user, { signOut: () => void signOut(), away: () => void hide(true), go, windows: () => void placeWindows() });
  if (user.role === "reader") {
    events.start();
    // a screen that is due or was changed is said beside the reader's name
    void api.monitor(serial(), screenFacts()).then((standing) => frame.monitor(standing), () => undefined);
  }
  show();
}

/** Hide everything until the reader is back; `tell` the receiver and the other windows. */
async function hide(tell: boolean): Promise<void> {
  if (user === null || isLocked()) return;
  events.stop();
  const out = (): void => void signOut();
  coverPage(user, ways, back, out);
  if (!tell) return;
  tellOthers("locked");
  if (user.role === "reader") await leaves();
  await account.lock().catch(() => undefined); // the receiver locks by itself when nobody asks
}

function back(): void {
  tellOthers("unlocked");
  reveal();
}

function reveal(): void {
  uncover();
  idleAfter(idleSeconds);
  if (user?.role === "reader") events.start();
}

async function signOut(): Promise<void> {
  blank(); // the study hands over what it has not sent
  if (!(await unsent.mayLose())) return show();
  tellOthers("out");
  if (user?.role === "reader") await leaves();
  forget(true);
  unsent.forget();
  try {
    await api.signOut();
  } catch {
    show(); // not reachable: this page asks for the next sign-in itself
    return;
  }
  location.replace("/"); // a new page: nothing of a patient stays in its memory
}

/** Nobody is signed in any more: nothing of a patient may stay on the screen. */
function forget(leaving = false): void {
  if (user === null) return;
  user = null;
  events.stop();
  callNoMore();
  nothingSeen();
  frame.user(null);
  if (leaving) {
    blank();
    // nothing to type into: the page is loaded anew in a moment, and what is typed would be lost
    frame.stage.replaceChildren(h("p", { class: "said", role: "status" }, word("auth.leaving")));
  } else show();
  api.actAs(null); // what the study handed over goes as its reader's all the same
  uncover();
}

/** Another window shows another patient: this one's goes off the screen. */
onOtherPatient(() => {
  go("/");
  frame.stage.prepend(h("p", { class: "bar inverse", role: "alert" }, "▲ ", word("group.other")));
});
api.onSessionLost(() => forget());
api.onSessionLocked(async () => {
  await hide(false);
  await unlocked();
});
watchPresence({
  open: () => user !== null && !isLocked(),
  idle: () => void hide(true),
  locked: () => void hide(false),
  unlocked: () => {
    if (isLocked()) reveal();
  },
  ended: () => forget(),
  signedIn: (name) => {
    if (user !== null && user.name !== name) forget();
  },
});
watchDim();
follow((path) => {
  if (user?.role === "reader" && path !== location.pathname) go(path);
});
// a stream that is refused for good: the session has ended, and no hand is here to notice
events.onRefused(() => {
  if (user === null || isLocked()) return;
  api.session().then(
    (known) => {
      if (known === null || known.user.name !== user?.name) forget();
      else if (known.stage === "locked") void hide(false);
    },
    () => undefined,
  );
});
watchCalls(() => user?.role === "reader" && !isLocked());
watchListening(() => user?.role === "reader" && !isLocked());
window.addEventListener("popstate", show);
// a page kept by the browser for its back button must not bring a patient back
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
window.addEventListener("dragover", (event) => event.preventDefault());
window.addEventListener("drop", (event) => event.preventDefault());

const session = await api.session().catch(() => null);
settle(session);
if (session?.stage === "full" && cameBack("unlocked")) {
  tellOthers("unlocked"); // the window that was locked goes on; this one was for the service alone
  window.close();
  frame.stage.replaceChildren(h("p", { class: "said", role: "status" }, word("lock.opened")));
} else if (session?.stage === "full") signedIn(session.user);
else if (session?.stage === "locked") locked(session.user);
else {
  if (session?.stage === "second" || session?.stage === "enrol") {
    begun = { user: session.user, next: session.stage, factors: session.factors ?? [] };
  }
  show();
}

/** Learn how long this receiver waits for a hand, and how its reader may unlock. */
function settle(known: Session | null): void {
  idleSeconds = known?.lock_seconds ?? idleSeconds;
  ways = { factors: known?.factors ?? [], service: known?.oidc };
  idleAfter(idleSeconds);
}

/** A locked page that was loaded anew shows nothing until its reader is back. */
function locked(who: User): void {
  user = who;
  coverPage(who, ways, () => location.reload(), () => void signOut());
}
