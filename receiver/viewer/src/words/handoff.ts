/** Words of handing a study to the certified viewer. */

export const HANDOFF_WORDS = {
  "forward.title": ["診断用ビューアへ転送", "Forward to the certified viewer"],
  "forward.key": ["転送 Shift+F", "Forward Shift+F"],
  "forward.to": ["転送先", "To"],
  "forward.send": ["転送する", "Forward"],
  "forward.again": ["全部を送り直す", "Send all of it again"],
  "forward.none": [
    "転送先がありません。管理者が todoke receiver forward target add で加えます",
    "No target was agreed on. The administrator adds one: todoke receiver forward target add",
  ],
  "forward.state": ["{t}: {s} {n}/{m}", "{t}: {s} {n}/{m}"],
  "forward.rule": ["規則", "by rule"],
} as const satisfies Record<string, readonly [string, string]>;
