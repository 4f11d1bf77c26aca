/** Every word a person sees in the viewer, Japanese first. One table, one file. */

import { RADIOLOGY_WORDS } from "./words/radiology";
import { READING_WORDS } from "./words/reading";
import { WEBSEC_WORDS } from "./words/websec";
import { PEOPLE } from "./words/people";
import { WORKLIST_WORDS } from "./words/worklist";
import { AUDIT_WORDS } from "./words/audit";
import { PATHOLOGY } from "./words/pathology";
import { PAGES_WORDS } from "./words/pages";
import { MONITOR_WORDS } from "./words/monitor";
import { HANDOFF_WORDS } from "./words/handoff";
import { GATE_WORDS } from "./words/gate";
import { BACK_WORDS } from "./words/back";
import { PAPERS_WORDS } from "./words/papers";
import { ROBOT_WORDS } from "./words/robot";
import { POLISH_WORDS } from "./words/polish";
import { REREAD_WORDS } from "./words/reread";
import { PURGE_WORDS } from "./words/purge";

export const WORDS = {
  banner: ["参照用・診断用ではありません", "For reference, not for diagnosis"],
  app: ["todoke 読影室", "todoke reading room"],
  "mark.test": ["試験", "TEST"],
  "mark.guess": ["推定", "guessed"],
  "mark.burned": ["文字焼込", "Burned-in text"],
  "mark.maybe_burned": ["文字焼込?", "Burned-in text?"],
  "mark.prior": ["過去画像", "Prior images"],
  "mark.unasked": ["依頼情報なし", "No request"],
  "mark.withdrawn": ["取消: {r}", "Withdrawn: {r}"],
  "request.open": ["依頼", "Request"],
  "request.form": ["依頼票あり", "Request form"],
  "request.form.save": ["依頼票 {n} を保存 (PDF)", "Save request form {n} (PDF)"],
  "mark.noname": ["氏名なし", "No name"],
  "id.burned": [
    "画像の中に文字があると申告されています。氏名が写っていることがあります",
    "The images are said to hold text; a name may be in them",
  ],
  "id.maybe_burned": [
    "取り込み画像で、文字の焼き込みの有無が書かれていません",
    "Secondary captures that do not say whether text is in them",
  ],
  "id.guess": [
    "文字コードの推定表示です。元の値は変えていません",
    "Name shown by best guess; stored bytes unchanged",
  ],
  "id.differs": [
    "画像の患者が一覧と一致しないため表示しません。施設に電話で確認してください",
    "Not shown: the patient in the image differs from the list. Call the institution",
  ],
  "sex.M": ["男 M", "M"],
  "sex.F": ["女 F", "F"],
  "sex.O": ["他 O", "O"],
  "sex.unknown": ["不明", "unknown"],
  "age.years": ["{n}歳", "{n} y"],
  "auth.title": ["サインイン", "Sign in"],
  "auth.name": ["利用者名", "Name"],
  "auth.password": ["パスワード", "Password"],
  "auth.fail": [
    "サインインできません。入力内容を確かめてください",
    "Sign-in failed. Check what you entered",
  ],
  "auth.out": ["サインアウト", "Sign out"],
  "net.live": ["接続中", "Live"],
  "net.lost": [
    "受信サーバーにつながりません。自動で再接続します。表示中の画像は有効です",
    "Server not reachable. Retrying. Images on screen remain valid",
  ],
  "net.slow": [
    "回線が遅くなっています ({r} Mbit/s)。開いている範囲を先に送ります",
    "Slow line ({r} Mbit/s). The visible part goes first",
  ],
  "net.stale": [
    "更新が止まっています {t} から。緊急は電話で確認を",
    "Not updating since {t}. Confirm urgent cases by phone",
  ],
  "list.priority": ["優先", "Priority"],
  "list.wait": ["待ち", "Waiting"],
  "list.patient": ["患者", "Patient"],
  "list.institution": ["施設", "Institution"],
  "list.study": ["検査", "Study"],
  "list.request": ["依頼", "Request"],
  "list.arrived": ["到着", "Arrived"],
  "list.state": ["状態", "State"],
  "list.search": ["検索 (/)", "Search (/)"],
  "list.new": ["新着 {n}件 (Nで表示)", "{n} new (press N)"],
  "list.keys": [
    "↑↓ 選ぶ　Enter 開く　/ 検索　N 新着を表示",
    "↑↓ select   Enter open   / search   N show new",
  ],
  "empty.list": ["届いた検査はありません", "No studies"],
  "empty.filter": ["この条件の検査はありません", "Nothing matches"],
  "empty.clear": ["条件を消す", "Clear filters"],
  "filter.all": ["すべて", "All"],
  "filter.urgent": ["緊急", "Urgent"],
  "filter.soon": ["至急", "Soon"],
  "filter.unopened": ["未開封", "Unopened"],
  "filter.incomplete": ["未完了", "Incomplete"],
  "prio.urgent": ["緊急", "Urgent"],
  "prio.soon": ["至急", "Soon"],
  "prio.routine": ["通常", "Routine"],
  "purpose.diagnosis": ["診断", "Diagnosis"],
  "purpose.advice": ["助言", "Advice"],
  "state.unopened": ["未開封", "Unopened"],
  "count.images": ["{a}/{e}枚", "{a}/{e} images"],
  "count.tiles": ["{a}/{e}タイル", "{a}/{e} tiles"],
  "kind.slide": ["病理", "Pathology"],
  "case.slides": ["スライド", "Slides"],
  "case.photographs": ["写真 {n}枚", "Photographs: {n}"],
  back: ["一覧", "List"],
  "part.again": ["{e}枚中{a}枚を参照できます。残りは送り直しを求めています:", "{a} of {e} images; the rest is asked for again:"],
  "part.arriving": ["{e}枚中{a}枚が届いています。受信中です", "{a} of {e} images, arriving"],
  "part.ask": ["届いた分を未完了のまま参照", "View incomplete"],
  "part.wait": ["揃うまで待つ", "Wait"],
  "part.waiting": ["揃うのを待っています", "Waiting for all images"],
  "part.bar": ["未完了のまま参照しています: {e}枚中{a}枚", "Viewing incomplete: {a} of {e} images"],
  "part.unknown": [
    "予定枚数が分からない送信元です。枚数を依頼票で確かめてください",
    "Expected count unknown. Check against the request",
  ],
  "part.stalled": ["受信が止まりました (最後 {t})", "Arrival has stopped (last {t})"],
  damaged: ["破損 (表示しません)", "Damaged (not shown)"],
  "count.damaged": ["破損 {n}件", "{n} damaged"],
  missing: ["未着", "Not here yet"],
  "tile.damaged": ["破損", "Damaged"],
  "tile.undecodable": ["表示不可", "Cannot be shown"],
  "tile.repair": [
    "破損 (照合不一致のため表示しません。再送を依頼済み) E-4103",
    "Damaged (digest differs: not shown; asked for again) E-4103",
  ],
  "tile.missing": ["未着 (優先して取り寄せています)", "Not here yet (fetching first)"],
  "img.decode": ["この画像は表示できません", "This image cannot be shown here"],
  "img.loading": ["読み込み中", "Loading"],
  "img.wait": ["画像 {n} を待っています ({s}秒)", "Waiting for image {n} ({s} s)"],
  "img.slow": ["受信サーバーの応答を待っています", "Waiting for the server"],
  "img.low": ["低解像度表示中", "Low resolution while loading"],
  "img.lossless": ["可逆", "Lossless"],
  "img.lossy": ["非可逆圧縮 {r}", "Lossy {r}"],
  "img.upscale": ["デジタル拡大 {z}×", "Digital zoom {z}×"],
  "img.nospacing": ["画素間隔なし: px", "No pixel spacing: px"],
  "img.inverted": ["白黒反転", "Inverted"],
  "img.flipped": ["反転表示", "Flipped"],
  "edge.unknown": ["方向不明", "Direction unknown"],
  "study.none": ["表示できる画像がまだありません", "No image to show yet"],
  "study.gone": ["この検査は開けません", "This study cannot be opened"],
  "study.load": ["開いています", "Opening"],
  "mem.full": ["画像が多く全部を保持できません。現在の前後を優先します", "Too many images to keep; nearest kept"],
  "gpu.none": ["画像処理装置なしで動作中 (表示は同じです)", "Running without GPU (same picture)"],
  "tool.window": ["階調 W", "Window W"],
  "tool.pan": ["移動 T", "Pan T"],
  "tool.zoom": ["拡大 Z", "Zoom Z"],
  "tool.scroll": ["送り S", "Scroll S"],
  "tool.fit": ["全体 Esc", "Fit Esc"],
  "tool.one": ["等倍 J", "1:1 J"],
  "tool.invert": ["白黒反転 N", "Invert N"],
  "tool.ct": ["CTのみ", "CT only"],
  "win.original": ["元の設定", "As sent"],
  "win.auto": ["自動", "Auto"],
  "win.manual": ["手動", "Manual"],
  "win.brain": ["脳", "Brain"],
  "win.subdural": ["硬膜下", "Subdural"],
  "win.stroke": ["早期虚血", "Stroke"],
  "win.soft": ["縦隔・軟部", "Soft tissue"],
  "win.lung": ["肺野", "Lung"],
  "win.abdomen": ["腹部", "Abdomen"],
  "win.liver": ["肝(造影)", "Liver"],
  "win.bone": ["骨", "Bone"],
  "win.vessel": ["血管", "Vessel"],
  "slide.whole": ["全体 0", "Whole 0"],
  "slide.label": ["ラベル", "Label"],
  "slide.nolabel": ["ラベルなし", "No label"],
  "slide.screen": ["{u} µm/px 画面", "{u} µm/px on screen"],
  "slide.scan": ["走査 {x} {u} µm/px", "Scan {x} {u} µm/px"],
  "slide.nospacing": ["画素の大きさ不明", "Pixel size unknown"],
  "slide.icc": ["ICCあり (未適用)", "ICC present (not applied)"],
  "slide.noicc": ["ICCなし: 色は装置のまま", "No ICC profile: colours as scanned"],
  "slide.reencoded": ["再符号化 (可逆)", "Encoded again (lossless)"],
  "slide.recoded": ["再符号化・非可逆", "Encoded again, lossy"],
  "slide.coarse": ["{u} µm/px より粗い走査", "Scan coarser than {u} µm/px"],
  "slide.sparse": [
    "この標本のタイルの並び方 (TILED_SPARSE) は表示できません。ほかのビューアでご覧ください",
    "Tiles in this order (TILED_SPARSE) cannot be shown here. Use another viewer",
  ],
  "slide.derived": ["作成レベル (受信側で縮小)", "Derived level (reduced by the receiver)"],
  "slide.autofocus": ["焦点 自動", "Focus: auto"],
  "slide.manualfocus": ["焦点 手動", "Focus: manual"],
  "slide.snapshot": ["写し K", "Snapshot K"],
  "slide.arrived": ["到着 {p} %", "{p} % here"],
  ...RADIOLOGY_WORDS,
  ...READING_WORDS,
  ...WEBSEC_WORDS,
  ...PEOPLE,
  ...WORKLIST_WORDS,
  ...AUDIT_WORDS,
  ...PATHOLOGY,
  ...PAGES_WORDS,
  ...HANDOFF_WORDS,
  ...GATE_WORDS,
  ...BACK_WORDS,
  ...PAPERS_WORDS,
  ...MONITOR_WORDS,
  ...ROBOT_WORDS,
  ...POLISH_WORDS,
  ...REREAD_WORDS,
  ...PURGE_WORDS,
} as const satisfies Record<string, readonly [string, string]>;

export type Word = keyof typeof WORDS;
export type Language = "ja" | "en";
type Values = Record<string, string | number>;

const STORED = "todoke.language"; // a language only, never anything of a patient
let language: Language = stored();
const values = new WeakMap<Element, Values>();
const listeners = new Set<() => void>();

function stored(): Language {
  const chosen = typeof localStorage === "undefined" ? null : localStorage.getItem(STORED);
  if (chosen === "ja" || chosen === "en") return chosen;
  const own = typeof navigator === "undefined" ? "ja" : navigator.language;
  return own.startsWith("en") ? "en" : "ja";
}

export const inLanguage = (): Language => language;

/** The word as text, now. */
export function say(word: Word, filled: Values = {}): string {
  return WORDS[word][language === "ja" ? 0 : 1].replace(/\{(\w+)\}/g, (_, name: string) =>
    String(filled[name] ?? ""),
  );
}

/** The word as an element that follows the language switch. */
export function word(name: Word, filled: Values = {}): HTMLSpanElement {
  const span = document.createElement("span");
  span.dataset.word = name;
  values.set(span, filled);
  span.textContent = say(name, filled);
  return span;
}

export function setLanguage(chosen: Language): void {
  language = chosen;
  localStorage.setItem(STORED, chosen);
  document.documentElement.lang = chosen;
  for (const element of document.querySelectorAll<HTMLElement>("[data-word]")) {
    element.textContent = say(element.dataset.word as Word, values.get(element));
  }
  for (const listener of listeners) listener();
}

/** Call on each language switch; the answer ends it. */
export function onLanguage(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
