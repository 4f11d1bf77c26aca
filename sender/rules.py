"""The rules of direct transmission as data: rule set ``qa-v2``, read out of Q&A 第2版 of MHLW.

A later edition of the Q&A becomes another :class:`RuleSet` here, and :data:`CURRENT` names
it; what was judged by this one keeps its name.  Which outcome a rule has for an instance or
a transfer is found by :mod:`sender.judging`.
"""

from __future__ import annotations

from sender import rule_classes as of
from sender import rule_way as way
from sender.rule_kinds import Plausibility, Rule, RuleSet, Words, outcome

_R1 = Rule(
    "R1",
    Words("SOPクラス", "SOP class"),
    {
        "acquired": outcome(
            "pass", None,
            "装置が作る画像のSOPクラスがあります", "A SOP class that devices make is there",
        ),
        "accessory": outcome(
            "pass", None,
            "付属の画像や書類 (二次取込、写真、PDF) は直接伝送の画像に数えません",
            "Attached captures, photographs and documents do not count as images sent directly",
        ),
        "only-accessory": outcome(
            "fail", None,
            "付属の画像や書類 (二次取込、写真、PDF) しかありません。装置で撮影した画像を送るか、"
            "参考として送ってください",
            "Nothing but captures, photographs or documents. Send the images of the device,"
            " or send these as reference",
        ),
        "only-photograph": outcome(
            "fail", None,
            "カメラの写真・動画しかありません。装置の画像データを送るか、参考として送ってください",
            "Nothing but photographs or videos of a camera. Send the image data of the device,"
            " or send these as reference",
        ),
        "attached": outcome(
            "warn", None,
            "病理の症例に付ける写真や書類だけです。直接伝送の画像には数えません",
            "Only photographs or documents that belong to a case of pathology; they do not count"
            " as images sent directly",
        ),
        "no-image": outcome(
            "warn", None,
            "画像がありません (計測値、報告書など)。直接伝送とは数えません",
            "There is no image (measurements, reports); it does not count as sent directly",
        ),
        "unknown": outcome(
            "warn", None,
            "規則の表にないSOPクラスです。撮影された画像には数えません",
            "A SOP class that the rules do not know; it does not count as acquired",
        ),
    },
)  # fmt: skip

_R2 = Rule(
    "R2",
    Words("変換の種類 (0008,0064)", "Conversion Type (0008,0064)"),
    {
        "none": outcome("pass", None, "変換の印はありません", "No conversion is declared"),
        "workstation": outcome(
            "pass", None,
            "計算機で作った画像 (WSD) があります。付属として送ります",
            "Images made by a workstation (WSD) go along as accessories",
        ),
        "document": outcome(
            "pass", None,
            "取り込んだ書類 (SD) があります。付属として送ります",
            "Scanned documents (SD) go along as accessories",
        ),
        "interface": outcome(
            "warn", "pass",
            "デジタルの口から取り込んだ画像 (DI) です。装置の画像データか確かめてください",
            "Taken from a digital interface (DI); make sure that it is the device's image data",
        ),
        "synthetic": outcome(
            "warn", None, "合成された画像 (SYN) です", "Synthetic images (SYN)"
        ),
        "video": outcome(
            "fail", "pass",
            "ビデオ信号から取り込んだ画像 (DV) です。装置の画像データを送るか、"
            "参考として送ってください",
            "Captured from a video signal (DV). Send the image data of the device,"
            " or send it as reference",
        ),
        "film": outcome(
            "fail", "warn",
            "フィルムを読み取った画像 (DF) です。比較用なら参考 (過去画像) として送ってください",
            "Digitized film (DF). If it is for comparison, send it as reference (prior)",
        ),
        "scan": outcome(
            "fail", "warn",
            "スキャナーで読み取った画像 (SI) です。参考として送ってください",
            "A scanned image (SI). Send it as reference",
        ),
        "drawing": outcome(
            "fail", "warn",
            "描いた図 (DRW) です。参考として送ってください",
            "A drawing (DRW). Send it as reference",
        ),
        "prior": outcome(
            "warn", None,
            "過去画像として送る、読み取った画像です (参考)",
            "Digitized or captured, and sent as a prior (reference)",
        ),
        "unlikely": outcome(
            "warn", None,
            "CT・MRの装置が書く項目がそろっているのに、取り込みの印があります。出所を確かめてください",
            "Marked as captured, though it has all that CT and MR scanners write; make sure"
            " where it is from",
        ),
        "other": outcome(
            "warn", None,
            "変換の種類が規格にない値です", "Conversion Type has a value that the standard lacks",
        ),
    },
)  # fmt: skip

_R3 = Rule(
    "R3",
    Words("画像の種類 (0008,0008)", "Image Type (0008,0008)"),
    {
        "original": outcome(
            "pass", None,
            "撮影されたままの画像 (ORIGINAL、PRIMARY) があります",
            "Images as they were acquired (ORIGINAL, PRIMARY) are there",
        ),
        "derived": outcome(
            "pass", None,
            "計算で作った画像 (DERIVED、SECONDARY) は随伴として送ります",
            "Computed images (DERIVED, SECONDARY) accompany the acquired ones",
        ),
        "absent": outcome(
            "warn", None,
            "画像の種類が書かれていません。SOPクラスから撮影された画像とみます",
            "Image Type is absent; taken as acquired because of the SOP class",
        ),
        "joined": outcome(
            "pass", None,
            "撮影されたままの画像は、同じ検査の先の送信にあります",
            "The images as they were acquired went with an earlier transfer of this study",
        ),
        "none-acquired": outcome(
            "fail", "warn",
            "撮影されたままの画像が1枚もありません。元の画像も一緒に送るか、"
            "参考として送ってください",
            "Not a single image as it was acquired. Send the originals along,"
            " or send these as reference",
        ),
    },
)  # fmt: skip

_R4 = Rule(
    "R4",
    Words("CT・MRらしさ", "Plausible as CT or MR"),
    {
        "plausible": outcome(
            "pass", None,
            "CT・MRの装置が書く項目がそろっています", "What CT and MR scanners write is there",
        ),
        "sparse": outcome(
            "warn", None,
            "CT・MRの装置が書く項目の多くがありません (古い装置や匿名化でも起こります)",
            "Much of what CT and MR scanners write is missing (so it is after anonymising,"
            " or from old scanners)",
        ),
        "eight-bits": outcome(
            "warn", None,
            "CT・MRですが8ビットです。元の画素値か確かめてください",
            "CT or MR in eight bits; make sure that these are the original values",
        ),
        "windowed": outcome(
            "fail", None,
            "8ビットで、CT・MRの項目もありません。画面用に変換した画像とみられます。元の画像を"
            "送るか、参考として送るか、責任者が確かめてください (release --as direct)",
            "Eight bits and without what CT or MR must have: it looks converted for a screen."
            " Send the original, send it as reference, or have a person confirm it"
            " (release --as direct)",
            confirmable=True,
        ),
        "colour": outcome(
            "fail", None,
            "CT・MRなのにカラー画像です (PS3.3 C.8.2.1、C.8.3.1)。元の画像を送るか、"
            "参考として送ってください",
            "Colour in a CT or MR image (PS3.3 C.8.2.1, C.8.3.1). Send the original,"
            " or send it as reference",
        ),
        "none": outcome("not applicable", None, "CT・MRはありません", "No CT or MR"),
    },
)  # fmt: skip

_R5 = Rule(
    "R5",
    Words("写真らしさ (助言)", "Signs of a photograph (advice)"),
    {
        "none": outcome("pass", None, "写真のしるしは見当たりません", "No sign of a photograph"),
        "exif": outcome(
            "warn", "pass",
            "画素データにカメラの情報 (Exif) があります。写真でないか確かめてください",
            "The pixel data hold what a camera writes (Exif); make sure it is no photograph",
        ),
    },
)  # fmt: skip

_R6 = Rule(
    "R6",
    Words("非可逆圧縮 (0028,2110)", "Lossy compression (0028,2110)"),
    {
        "lossless": outcome("pass", None, "非可逆圧縮の印はありません", "Not marked as lossy"),
        "native": outcome(
            "pass", None,
            "装置がはじめから非可逆で作る画像です。印・比率・方式はそのまま送ります",
            "Lossy from its device; mark, ratio and method go along unchanged",
        ),
        "lossy": outcome(
            "fail", "pass",
            "CT・MRが非可逆圧縮されています。元の画像を送るか、参考として送ってください"
            " (施設で認めるなら lossy_ct_mr_ratio)",
            "CT or MR with lossy compression. Send the original, or send it as reference"
            " (where the site accepts it: lossy_ct_mr_ratio)",
        ),
        "accepted": outcome(
            "warn", "pass",
            "CT・MRが非可逆圧縮されていますが、施設の定めた比率の内です",
            "CT or MR with lossy compression, within the ratio that the site accepts",
        ),
        "unflagged": outcome(
            "fail", "pass",
            "印がないのに非可逆の転送構文です。元の画像を送るか、参考として送ってください",
            "A lossy transfer syntax without the mark of it. Send the original,"
            " or send it as reference",
        ),
        "irreversible": outcome(
            "fail", "pass",
            "印がないのに、画素の符号 (JPEG 2000) は非可逆です。元の画像を送るか、"
            "参考として送ってください",
            "The pixels are coded with loss (JPEG 2000) and nothing marks it. Send the original,"
            " or send it as reference",
        ),
        "recoded": outcome(
            "warn", None,
            "そのまま送れない形式のスライドを、施設の設定 (reencode_codec) により非可逆で符号化し"
            "直します (再符号化・非可逆)。方式・画質・決めた人は各画像の DerivationDescription に"
            "あります",
            "A slide whose tiles cannot go as stored is encoded again with loss, by the site's"
            " setting (reencode_codec); Derivation Description of each image names codec, quality"
            " and who decided",
        ),
        "unclear": outcome(
            "warn", "pass",
            "可逆とも非可逆ともとれる転送構文で、印がありません",
            "A transfer syntax that may be lossy, and no mark that says so",
        ),
    },
)  # fmt: skip

_R8 = Rule(
    "R8",
    Words("焼き込まれた文字 (0028,0301)", "Burned In Annotation (0028,0301)"),
    {
        "none": outcome("pass", None, "焼き込みの印はありません", "None is declared"),
        "burned": outcome(
            "warn", None,
            "文字が焼き込まれています。患者の情報が写っていないか見てください",
            "Text is burned in; look whether it shows who the patient is",
        ),
        "unknown": outcome(
            "warn", None,
            "二次取込に焼き込みの有無が書かれていません。患者の情報が写ることがあります",
            "Captures do not say whether text is burned in; it may show who the patient is",
        ),
    },
)  # fmt: skip

QA_V2 = RuleSet(
    name="qa-v2",
    basis=Words(
        "遠隔医療設備整備事業 Q&A 第2版 (令和6年8月30日) Q1、Q7、Q8、Q13 の観点",
        "As seen from Q1, Q7, Q8 and Q13 of the Q&A, 2nd edition (2024-08-30)",
    ),
    rules=(
        _R1, _R2, _R3, _R4, _R5, _R6, way.R7, _R8, way.R9, way.R10, way.R11, way.R12,
    ),
    grades={
        "A": Words("登録した装置からのC-STORE", "C-STORE from a registered device"),
        "B": Words("登録した院内アーカイブからのC-STORE", "C-STORE from a registered archive"),
        "C": Words("スライドスキャナーの出力フォルダー", "Output folder of a slide scanner"),
        "D": Words(
            "媒体・フォルダーからの取り込み (操作者が確認)",
            "Imported from media or a folder, attested by an operator",
        ),
        "E": Words("出所の確認がない取り込み", "Imported, and nobody attests its source"),
    },
    acquired={"radiology": of.RADIOLOGY, "pathology": of.RADIOLOGY | of.PATHOLOGY},
    primary=of.PROJECTIONS | of.ULTRASOUND | of.NUCLEAR | of.SLIDES,
    secondary=frozenset({"RESAMPLED", "THUMBNAIL", "OVERVIEW"}),
    attached=frozenset({"LABEL"}),
    accessory=of.ACCESSORY,
    derived=of.DERIVED,
    pathology=of.PATHOLOGY,
    photographs=of.PHOTOGRAPHS,
    plausible={
        of.CT: Plausibility(
            (
                ("RescaleSlope",), ("RescaleIntercept",), ("PixelSpacing",), ("KVP",),
                ("ImageOrientationPatient",), ("FrameOfReferenceUID",), ("SliceThickness",),
            ),
            enough=4, needs="RescaleSlope",
        ),
        of.MR: Plausibility(
            (
                ("PixelSpacing",), ("ImageOrientationPatient",), ("FrameOfReferenceUID",),
                ("SliceThickness",), ("ScanningSequence",), ("RepetitionTime", "EchoTime"),
                ("MagneticFieldStrength",),
            ),
            enough=4,
        ),
    },
    enhanced=of.ENHANCED,
    conversions={
        "": "none", "WSD": "workstation", "SD": "document", "DI": "interface",
        "SYN": "synthetic", "DV": "video", "DF": "film", "SI": "scan", "DRW": "drawing",
    },
    lossy=of.LOSSY,
    maybe_lossy=of.MAYBE_LOSSY,
    grabbers=("epiphan", "magewell", "avermedia", "elgato", "blackmagic", "frame grabber"),
)  # fmt: skip

CURRENT = QA_V2
RULE_SETS = {QA_V2.name: QA_V2}
