/** Words that a reading of the brief, line by line, showed to be missing. */

export const REREAD_WORDS = {
  "done.seen": ["この画面で表示した画像 {n}枚", "Images shown on this screen: {n}"],
  "part.left": ["(残り約 {t})", "({t} left)"],
  "list.again": ["送信側が新しく送り直しました {n}", "Sent anew by the sender {n}"],
  "net.tries": ["({n}回目)", "(try {n})"],
  "img.down": ["縮小表示 {p} %。等倍は J", "Shown at {p} %. Press J for 1:1"],
  "empty.last": ["最後の受信 {t}", "Last arrival {t}"],
} as const satisfies Record<string, readonly [string, string]>;
