/** Words of the monitor page. */

export const MONITOR_WORDS = {
  "monitor.open": ["モニター点検", "Monitor check"],
  "monitor.title": ["モニターの日常点検", "Daily check of this monitor"],
  "monitor.never": [
    "この画面は輝度を測りません。輝度計の値を入力してください",
    "This page does not measure luminance. Enter what a luminance meter shows",
  ],
  "monitor.facts": ["{w}×{h} 画素 · 表示倍率 {p} % · {b} bit", "{w}×{h} pixels · scale {p} % · {b} bit"],
  "monitor.scaled": [
    "表示倍率 {p} %: 等倍表示にできません。OSの拡大縮小を100 %にしてください",
    "Scale {p} %: no 1:1 display. Set the scaling of the system to 100 %",
  ],
  "monitor.step.pattern": ["1 全体", "1 Whole pattern"],
  "monitor.step.contrast": ["2 低コントラスト", "2 Low contrast"],
  "monitor.step.lines": ["3 線対", "3 Line pairs"],
  "monitor.step.steps": ["4 階調", "4 Grey steps"],
  "monitor.step.uniformity": ["5 均一性", "5 Uniformity"],
  "monitor.ask.pattern": [
    "枠の四辺と16個の四角がすべて見え、線が途切れていませんか",
    "Do you see all four edges of the frame and all 16 squares, with no line broken?",
  ],
  "monitor.ask.contrast": [
    "黒い面と白い面の中の小さな四角 (5 % と 95 %) が両方見えますか",
    "Do you see both small squares: 5 % in the black field and 95 % in the white one?",
  ],
  "monitor.ask.lines": [
    "縦と横の細い線が、むらなく1本ずつ見えますか",
    "Do you see the fine lines, upright and level, one by one and even?",
  ],
  "monitor.ask.steps": [
    "18段の明るさが、隣どうしすべて区別できますか",
    "Can you tell each of the 18 steps from the one beside it?",
  ],
  "monitor.ask.uniformity": [
    "一面が同じ明るさで、しみ・むら・欠けた点がありませんか",
    "Is the field even, without a stain, a cloud or a dead point?",
  ],
  "monitor.yes": ["はい Y", "Yes Y"],
  "monitor.no": ["いいえ N", "No N"],
  "monitor.serial": ["モニターの製造番号", "Serial number of the monitor"],
  "monitor.readings": [
    "輝度計の値 (不変性試験のとき。JESRA X-0093*B-2017)",
    "Figures of a luminance meter (constancy test, JESRA X-0093*B-2017)",
  ],
  "monitor.grade": ["管理グレード", "Management grade"],
  "monitor.grade.none": ["入力しない", "No figures"],
  "monitor.lmax": ["最大輝度 cd/m²", "Maximum luminance cd/m²"],
  "monitor.lmin": ["最小輝度 cd/m²", "Minimum luminance cd/m²"],
  "monitor.deviation": ["コントラスト応答の偏差 % (測ったとき)", "Deviation of the contrast response % (if measured)"],
  "monitor.months": ["次の不変性試験まで (月)", "Months until the next constancy test"],
  "monitor.keep": ["記録する", "Keep the record"],
  "monitor.passed": ["合格: 次の点検 {d}", "Passed: next check {d}"],
  "monitor.failed": [
    "不合格です。このモニターで読影せず、モニター品質管理者に連絡してください",
    "Failed. Do not read on this monitor; tell whoever is in charge of monitors",
  ],
  "monitor.again": ["もう一度", "Once more"],
  "monitor.last": ["前回 {t} {d} (期限 {u})", "Last {t} {d} (due {u})"],
  "monitor.warn.daily-due": ["日常点検の期限です", "Daily check due"],
  "monitor.warn.daily-failed": ["前回の点検は不合格です", "The last check failed"],
  "monitor.warn.changed": ["画面の設定が変わりました。点検してください", "Display changed: check again"],
  "monitor.warn.constancy-due": ["不変性試験の期限です", "Constancy test due"],
  "monitor.warn.constancy-failed": ["輝度が管理グレードに届いていません", "Luminance is below the management grade"],
} as const satisfies Record<string, readonly [string, string]>;
