/** Words of what stands between stored pixels and the screen. */

export const READING_WORDS = {
  "shutter.on": ["シャッター O", "Shutter O"],
  "shutter.off": ["シャッターを外した表示 O", "Shutter taken off O"],
  "shutter.other": ["この画像のシャッターは適用していません", "The image's shutter is not applied"],
  "grey.other": [
    "画像が指定する階調 (VOI LUT) を適用できません。窓で調整した表示です",
    "The image's own grey scale (VOI LUT) cannot be applied: shown by a window",
  ],
  "grey.none": [
    "画素値の変換表 (Modality LUT) が使えないため表示しません。診断用ビューアへ転送できます",
    "Not shown: its table of values (Modality LUT) cannot be used. Forward it to the certified viewer",
  ],
} as const;
