/** Words of overlays, of uptake, of what is no picture, and of marks that are kept back. */

export const ROBOT_WORDS = {
  "overlay.on": ["オーバーレイ X", "Overlay X"],
  "overlay.off": ["オーバーレイを消した表示 X", "Overlay taken off X"],
  "overlay.waiting": ["オーバーレイを読み込んでいます", "Overlay is loading"],
  "overlay.bad": [
    "オーバーレイを表示できません。診断用ビューアへ転送できます",
    "The overlay cannot be shown. Forward to the certified viewer",
  ],
  "overlay.embedded": [
    "画素に埋め込まれたオーバーレイ (60xx) があります。ここでは表示しません",
    "Overlays (60xx) inside the pixels are not shown here",
  ],
  "colour.maybe": [
    "JPEGの色の記載が食い違っています: 色に注意",
    "This JPEG contradicts itself on RGB or YCbCr: mind its colours",
  ],
  "others.list": [
    "画像でないデータ: {l}。ここでは表示しません。診断用ビューアへ転送できます",
    "Data that are no images: {l}. Not shown here; forward them to the certified viewer",
  ],
  "win.suv5": ["SUV 0–5", "SUV 0–5"],
  "win.suv6": ["SUV 0–6", "SUV 0–6"],
  "win.suv10": ["SUV 0–10", "SUV 0–10"],
  "suv.no": ["SUV算出不可 ({w}): {u}", "SUV not available ({w}): {u}"],
  "suv.units": ["単位が Bq/ml でない", "unit is not Bq/ml"],
  "suv.corrections": ["減弱・減衰補正の記載なし", "not said to be corrected for attenuation and decay"],
  "suv.decay": ["減衰補正が START でない", "decay correction is not START"],
  "suv.weight": ["体重なし", "no weight"],
  "suv.dose": ["投与量または半減期なし", "no dose or half-life"],
  "suv.time": ["投与時刻または撮影時刻が使えない", "no usable time of dose or scan"],
  "marks.leaving": [
    "印を保存できていない検査が {n}件あります。再試行しています。この画面を閉じないでください",
    "Marks of {n} studies are not saved yet. Trying again: do not close this window",
  ],
  "marks.refused": [
    "前の検査の印を受信サーバーが保存できませんでした。開き直して印を付け直してください",
    "The receiver refused the marks of an earlier study. Open it and mark again",
  ],
  "marks.lose": [
    "印を保存できていない検査が {n}件あります。サインアウトすると失われます",
    "Marks of {n} studies are not saved. They are lost if you sign out",
  ],
  "marks.lose.title": ["印が失われます", "Marks will be lost"],
  "marks.lose.out": ["印を捨ててサインアウト", "Sign out and lose them"],
  "marks.seen": ["確認", "Seen"],
} as const;
