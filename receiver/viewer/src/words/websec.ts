/** Words of the page that says what this viewer is for, and of what differs from a request. */

export const WEBSEC_WORDS = {
  "purpose.title": ["この画面の目的", "What this viewer is for"],
  "purpose.close": ["一覧へ", "To the list"],
  "purpose.where": ["診断はどこで行うか", "Where diagnosis takes place"],
  "purpose.where.1": [
    "診断は、医療機器として承認・認証された診断用のビューアと、管理されたモニターで行ってください。この画面は医療機器ではありません。",
    "Diagnose on a viewer that is approved or certified as a medical device, on a monitor under quality control. This viewer is no medical device.",
  ],
  "purpose.where.2": [
    "病理のスライドも同じです。一次診断には、承認された機器を使ってください。",
    "The same holds for slides: use approved devices for primary diagnosis.",
  ],
  "purpose.for": ["この画面で行うこと", "What this viewer is for"],
  "purpose.for.1": [
    "依頼側の医療機関から直接伝送された画像が届いたこと、全部そろっていること、患者と依頼を確かめる。",
    "To see that images sent directly by the requesting institution are here, whether all are, and of whom and for what they are.",
  ],
  "purpose.for.2": [
    "届いた画像を、診断用のビューアで開く前に参照する。",
    "To look at what has arrived before it is opened in the viewer for diagnosis.",
  ],
  "purpose.not": ["含まないもの (Q&A 第2版 Q8)", "What is not included (Q&A 2nd edition, Q8)"],
  "purpose.not.archive": [
    "画像管理システムの機能 (長期の保管、院内の配信)。届いた画像は期限が来ると消去されます。原本は依頼側にあります。",
    "Image archive: no long-term storage, no distribution in the hospital. Images are purged when their time is over; the originals are at the requesting side.",
  ],
  "purpose.not.report": [
    "レポートシステムの機能 (所見・診断の入力、ひな型、加算の計算)。",
    "Reporting: no findings, no diagnosis, no templates, no billing.",
  ],
  "purpose.not.ups": [
    "無停電電源装置 (UPS) とその制御。",
    "Uninterruptible power supplies (UPS) and their control.",
  ],
  "purpose.not.cad": [
    "自動診断、計測値の解釈、オンライン診療。",
    "Computer-aided diagnosis, interpretation of measurements, online consultation.",
  ],
  "id.differ": ["依頼と不一致", "Request differs"],
  "id.mismatch": [
    "依頼と画像で {w} が違います。電話で確認してください",
    "Request and images differ: {w}. Confirm by phone",
  ],
  "id.of.id": ["患者ID (依頼 {v})", "patient ID (request: {v})"],
  "id.of.name": ["氏名 (依頼 {v})", "name (request: {v})"],
  "id.of.birth_date": ["生年月日 (依頼 {v})", "birth date (request: {v})"],
  "id.of.sex": ["性別 (依頼 {v})", "sex (request: {v})"],
} as const;
