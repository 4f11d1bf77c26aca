/** Words of what comes back and what was taken back. */

export const BACK_WORDS = {
  "recalled.some": ["取消 {n}枚 {r}", "{n} recalled {r}"],
  "recalled.at": ["取消 {n}枚 → {t}", "{n} recalled → {t}"],
  "recalled.tosettle": [
    "依頼側が取り消した {n}枚が転送先 {t} に残っています。転送先で処置してから押してください",
    "{n} images that the requesting side recalled are still at {t}. Press once it was seen to there",
  ],
  "label.ask": ["術中: ラベルと依頼番号は同じですか", "During an operation: are label and request number the same?"],
  "label.request": ["依頼番号 {a}", "Request number {a}"],
  "label.norequest": ["依頼番号なし", "No request number"],
  "label.yes": ["1 はい、同じ", "1 Yes, the same"],
  "label.no": ["2 違う", "2 They differ"],
  "label.differs": [
    "ラベルと依頼番号が違うと記録しました。依頼側に電話で確認してください ☎ {p}",
    "Recorded: label and request number differ. Confirm by telephone with the requesting side {p}",
  ],
  "label.failed": ["記録できませんでした。もう一度答えてください", "Not recorded. Answer once more"],
  "recalled.settle": ["転送先で処置した", "Seen to at the target"],
} as const satisfies Record<string, readonly [string, string]>;
