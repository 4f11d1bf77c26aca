"""The rules of direct transmission as data: rule set ``qa-v2``, read out of Q&A 第2版 of MHLW.

A later edition of the Q&A becomes another :class:`RuleSet` here, and :data:`CURRENT` names
it; what was judged by this one keeps its name.  Which outcome a rule has for an instance or
a transfer is found by :mod:`sender.judging`.
"""

from __future__ import annotations

from sender import rule_classes as of
from sender.rule_kinds import Outcome, Plausibility, Result, Rule, RuleSet, Words


def _outcome(
    radiology: Result,
    pathology: Result | None,
    ja: str,
    en: str,
    *,
    confirmable: bool = False,
) -> Outcome:
    """One row; without a result of its own, pathology has that of radiology."""
    results = {"radiology": radiology, "pathology": pathology or radiology}
    return Outcome(Words(ja, en), results, confirmable)  # type: ignore[arg-type]


_R1 = Rule(
    "R1",
    Words("SOPクラス", "SOP class"),
    {
        "acquired": _outcome(
            "pass", None,
            "装置が作る画像のSOPクラスがあります", "A SOP class that devices make is there",
        ),
        "accessory": _outcome(
            "pass", None,
            "付属の画像や書類 (二次取込、写真、PDF) は直接伝送の画像に数えません",
            "Attached captures, photographs and documents do not count as images sent directly",
        ),
        "only-accessory": _outcome(
            "fail", None,
            "付属の画像や書類 (二次取込、写真、PDF) しかありません。装置で撮影した画像を送るか、"
            "参考として送ってください",
            "Nothing but captures, photographs or documents. Send the images of the device,"
            " or send these as reference",
        ),
        "only-photograph": _outcome(
            "fail", None,
            "カメラの写真・動画しかありません。装置の画像データを送るか、参考として送ってください",
            "Nothing but photographs or videos of a camera. Send the image data of the device,"
            " or send these as reference",
        ),
        "attached": _outcome(
            "warn", None,
            "病理の症例に付ける写真や書類だけです。直接伝送の画像には数えません",
            "Only photographs or documents that belong to a case of pathology; they do not count"
            " as images sent directly",
        ),
        "no-image": _outcome(
            "warn", None,
            "画像がありません (計測値、報告書など)。直接伝送とは数えません",
            "There is no image (measurements, reports); it does not count as sent directly",
        ),
        "unknown": _outcome(
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
        "none": _outcome("pass", None, "変換の印はありません", "No conversion is declared"),
        "workstation": _outcome(
            "pass", None,
            "計算機で作った画像 (WSD) があります。付属として送ります",
            "Images made by a workstation (WSD) go along as accessories",
        ),
        "document": _outcome(
            "pass", None,
            "取り込んだ書類 (SD) があります。付属として送ります",
            "Scanned documents (SD) go along as accessories",
        ),
        "interface": _outcome(
            "warn", "pass",
            "デジタルの口から取り込んだ画像 (DI) です。装置の画像データか確かめてください",
            "Taken from a digital interface (DI); make sure that it is the device's image data",
        ),
        "synthetic": _outcome(
            "warn", None, "合成された画像 (SYN) です", "Synthetic images (SYN)"
        ),
        "video": _outcome(
            "fail", "pass",
            "ビデオ信号から取り込んだ画像 (DV) です。装置の画像データを送るか、"
            "参考として送ってください",
            "Captured from a video signal (DV). Send the image data of the device,"
            " or send it as reference",
        ),
        "film": _outcome(
            "fail", "warn",
            "フィルムを読み取った画像 (DF) です。比較用なら参考 (過去画像) として送ってください",
            "Digitized film (DF). If it is for comparison, send it as reference (prior)",
        ),
        "scan": _outcome(
            "fail", "warn",
            "スキャナーで読み取った画像 (SI) です。参考として送ってください",
            "A scanned image (SI). Send it as reference",
        ),
        "drawing": _outcome(
            "fail", "warn",
            "描いた図 (DRW) です。参考として送ってください",
            "A drawing (DRW). Send it as reference",
        ),
        "prior": _outcome(
            "warn", None,
            "過去画像として送る、読み取った画像です (参考)",
            "Digitized or captured, and sent as a prior (reference)",
        ),
        "other": _outcome(
            "warn", None,
            "変換の種類が規格にない値です", "Conversion Type has a value that the standard lacks",
        ),
    },
)  # fmt: skip

_R3 = Rule(
    "R3",
    Words("画像の種類 (0008,0008)", "Image Type (0008,0008)"),
    {
        "original": _outcome(
            "pass", None,
            "撮影されたままの画像 (ORIGINAL、PRIMARY) があります",
            "Images as they were acquired (ORIGINAL, PRIMARY) are there",
        ),
        "derived": _outcome(
            "pass", None,
            "計算で作った画像 (DERIVED、SECONDARY) は随伴として送ります",
            "Computed images (DERIVED, SECONDARY) accompany the acquired ones",
        ),
        "absent": _outcome(
            "warn", None,
            "画像の種類が書かれていません。SOPクラスから撮影された画像とみます",
            "Image Type is absent; taken as acquired because of the SOP class",
        ),
        "none-acquired": _outcome(
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
        "plausible": _outcome(
            "pass", None,
            "CT・MRの装置が書く項目がそろっています", "What CT and MR scanners write is there",
        ),
        "sparse": _outcome(
            "warn", None,
            "CT・MRの装置が書く項目の多くがありません (古い装置や匿名化でも起こります)",
            "Much of what CT and MR scanners write is missing (so it is after anonymising,"
            " or from old scanners)",
        ),
        "eight-bits": _outcome(
            "warn", None,
            "CT・MRですが8ビットです。元の画素値か確かめてください",
            "CT or MR in eight bits; make sure that these are the original values",
        ),
        "windowed": _outcome(
            "fail", None,
            "8ビットで、CT・MRの項目もありません。画面用に変換した画像とみられます。元の画像を"
            "送るか、参考として送るか、責任者が確かめてください (release --as direct)",
            "Eight bits and without what CT or MR must have: it looks converted for a screen."
            " Send the original, send it as reference, or have a person confirm it"
            " (release --as direct)",
            confirmable=True,
        ),
        "colour": _outcome(
            "fail", None,
            "CT・MRなのにカラー画像です (PS3.3 C.8.2.1、C.8.3.1)。元の画像を送るか、"
            "参考として送ってください",
            "Colour in a CT or MR image (PS3.3 C.8.2.1, C.8.3.1). Send the original,"
            " or send it as reference",
        ),
        "none": _outcome("not applicable", None, "CT・MRはありません", "No CT or MR"),
    },
)  # fmt: skip

_R5 = Rule(
    "R5",
    Words("写真らしさ (助言)", "Signs of a photograph (advice)"),
    {
        "none": _outcome("pass", None, "写真のしるしは見当たりません", "No sign of a photograph"),
        "exif": _outcome(
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
        "lossless": _outcome("pass", None, "非可逆圧縮の印はありません", "Not marked as lossy"),
        "native": _outcome(
            "pass", None,
            "装置がはじめから非可逆で作る画像です。印・比率・方式はそのまま送ります",
            "Lossy from its device; mark, ratio and method go along unchanged",
        ),
        "lossy": _outcome(
            "fail", "pass",
            "CT・MRが非可逆圧縮されています。元の画像を送るか、参考として送ってください"
            " (施設で認めるなら lossy_ct_mr_ratio)",
            "CT or MR with lossy compression. Send the original, or send it as reference"
            " (where the site accepts it: lossy_ct_mr_ratio)",
        ),
        "accepted": _outcome(
            "warn", "pass",
            "CT・MRが非可逆圧縮されていますが、施設の定めた比率の内です",
            "CT or MR with lossy compression, within the ratio that the site accepts",
        ),
        "unflagged": _outcome(
            "fail", "pass",
            "印がないのに非可逆の転送構文です。元の画像を送るか、参考として送ってください",
            "A lossy transfer syntax without the mark of it. Send the original,"
            " or send it as reference",
        ),
        "unclear": _outcome(
            "warn", "pass",
            "可逆とも非可逆ともとれる転送構文で、印がありません",
            "A transfer syntax that may be lossy, and no mark that says so",
        ),
    },
)  # fmt: skip

_R7 = Rule(
    "R7",
    Words("送信中の変換", "Transcoding"),
    {
        "open": _outcome("open", None, "送信が終わると決まります", "Settled when it has been sent"),
        "as-it-was": _outcome(
            "pass", None, "転送構文を変えずに送りました", "Sent in the transfer syntax it had"
        ),
        "lossless": _outcome(
            "pass", None,
            "可逆に圧縮して送り、画素値は両側で等しいと確かめました (D3)",
            "Compressed losslessly on the way; samples are equal at both ends (D3)",
        ),
        "unproven": _outcome(
            "open", None,
            "圧縮して送り、画素値が等しいことはまだ確かめられていません",
            "Compressed on the way; equal samples are not established yet",
        ),
        "unequal": _outcome(
            "fail", None,
            "圧縮して送った画像の画素値が両側で異なります",
            "Samples of what was compressed on the way differ between the ends",
        ),
        "lossy": _outcome(
            "fail", None, "非可逆に変換して送りました", "Made lossy on the way"
        ),
    },
)  # fmt: skip

_R8 = Rule(
    "R8",
    Words("焼き込まれた文字 (0028,0301)", "Burned In Annotation (0028,0301)"),
    {
        "none": _outcome("pass", None, "焼き込みの印はありません", "None is declared"),
        "burned": _outcome(
            "warn", None,
            "文字が焼き込まれています。患者の情報が写っていないか見てください",
            "Text is burned in; look whether it shows who the patient is",
        ),
        "unknown": _outcome(
            "warn", None,
            "二次取込に焼き込みの有無が書かれていません。患者の情報が写ることがあります",
            "Captures do not say whether text is burned in; it may show who the patient is",
        ),
    },
)  # fmt: skip

_R9 = Rule(
    "R9",
    Words("取得経路", "Source path"),
    {
        "path": _outcome(
            "pass", None, "取得経路は等級A〜Cです", "The source path has grade A to C",
        ),
        "attested": _outcome(
            "pass", None,
            "媒体・フォルダーからの取り込みで、操作者が出所を確かめています (等級D)",
            "Imported from media or a folder; an operator attests its source (grade D)",
        ),
        "unattested": _outcome(
            "warn", None,
            "取り込みの出所を確かめた人がいません (等級E)。直接伝送とは示せません。"
            "send --attest 氏名、または media_attested_by で示してください",
            "Nobody attests where this was imported from (grade E), so nothing shows that it is"
            " direct. Name who does by send --attest NAME or media_attested_by",
        ),
        "refused": _outcome(
            "fail", None,
            "取り込みの出所を確かめた人がいません (等級E)。この施設の設定では送りません。"
            "send --attest 氏名 で送り直すか、参考として送ってください",
            "Nobody attests where this was imported from (grade E), and this site sends none such."
            " Send it anew with --attest NAME, or send it as reference",
        ),
        "captured": _outcome(
            "fail", "pass",
            "映像の取り込み装置を通った画像です。装置の画像データを送るか、"
            "参考として送ってください",
            "It came through a video capture device. Send the image data of the device,"
            " or send it as reference",
        ),
    },
)  # fmt: skip

_R10 = Rule(
    "R10",
    Words("受領証", "Receipt"),
    {
        "open": _outcome(
            "open", None, "未確認: 受領証を待っています", "Not established: no receipt yet",
        ),
        "none": _outcome(
            "open", None,
            "未確認: 相手の製品は署名した受領証を出しません",
            "Not established: the partner's product signs no receipt",
        ),
        "receipt": _outcome(
            "pass", None,
            "受信側が読み戻して署名した受領証と一致します",
            "The receipt that the receiver signed after reading it back agrees",
        ),
        "mismatch": _outcome(
            "fail", None,
            "受領証が送ったものと一致しません", "The receipt does not agree with what was sent",
        ),
    },
)  # fmt: skip

_R11 = Rule(
    "R11",
    Words("相手の医療機関", "The other institution"),
    {
        "other": _outcome(
            "pass", None,
            "登録された別の医療機関です", "A registered institution, another than one's own",
        ),
        "equal": _outcome(
            "fail", None,
            "相手の保険医療機関コードが自院と同じです。相手の登録を確かめてください",
            "The partner has one's own institution code; check how it is registered",
        ),
        "equal-accepted": _outcome(
            "warn", None,
            "相手の保険医療機関コードが自院と同じです (施設の設定で認めています)",
            "The partner has one's own institution code (accepted by the site's setting)",
        ),
        "unknown": _outcome(
            "warn", None,
            "相手の保険医療機関コードが登録されていません",
            "The partner's institution code is not registered",
        ),
        "open": _outcome("open", None, "送り先が決まっていません", "No partner is chosen yet"),
    },
)  # fmt: skip

_R12 = Rule(
    "R12",
    Words("画面だけの伝送", "Screen delivery"),
    {
        "open": _outcome("open", None, "送信が終わると決まります", "Settled when it has been sent"),
        "data": _outcome(
            "pass", None, "画面ではなく画像データを送りました", "Image data were sent, no screen"
        ),
        "screen": _outcome(
            "fail", None,
            "描画した画面だけを見せました。閲覧であり、受領ではありません",
            "Rendered frames alone were shown: viewing, and no receipt",
        ),
    },
)  # fmt: skip

QA_V2 = RuleSet(
    name="qa-v2",
    basis=Words(
        "遠隔医療設備整備事業 Q&A 第2版 (令和6年8月30日) Q1、Q7、Q8、Q13 の観点",
        "As seen from Q1, Q7, Q8 and Q13 of the Q&A, 2nd edition (2024-08-30)",
    ),
    rules=(_R1, _R2, _R3, _R4, _R5, _R6, _R7, _R8, _R9, _R10, _R11, _R12),
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
    primary=of.PROJECTIONS | of.NUCLEAR | of.SLIDES,
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
