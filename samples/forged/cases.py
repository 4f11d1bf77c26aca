"""The list of cases, with what is expected of each: the fixtures of REQUIREMENTS' kit.

The words say what a case *is*; ``right``, ``caught`` and ``missed`` say whether it
may go as direct, and does.  R numbers are rules, DAT and CHR numbers other checks.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from samples.enhanced import enhanced_ct
from samples.forged import altered, devices, pictures
from samples.forged import names as n
from samples.forged.base import ct, named
from samples.forged.case import Case, caught, missed, right
from samples.names import YAMADA

_alone, _beside = pictures.alone, pictures.beside_ct
SLICES: Final = 3

RIGHT: Final = (
    Case("ct", "CT: 正しい", "CT: right", lambda s: named(ct(s)), right(), SLICES),
    Case("ct-enhanced", "Enhanced CT: 正しい", "Enhanced CT: right",
         lambda s: named(iter([enhanced_ct(s)])), right(), SLICES),
    Case("ct-j2k", "可逆JPEG 2000: 正しい", "reversible JPEG 2000: right",
         lambda s: named(ct(s), altered.j2k), right(), SLICES),
    Case("ct-rle", "RLE: 正しい", "RLE: right",
         lambda s: named(ct(s), altered.rle), right(), SLICES),
    Case("mr", "MR: 正しい", "MR: right", devices.head, right(), SLICES),
    Case("cr", "CR: 正しい", "CR: right", _alone(devices.radiograph), right()),
    Case("us", "装置が圧縮した超音波: 正しい", "ultrasound, compressed by the device: right",
         _alone(devices.ultrasound), right()),
    Case("section", "術中迅速: 顕微鏡カメラと肉眼写真", "frozen section: microscope camera, gross",
         devices.section, right(radiology=False)),
    Case("ct-scout", "位置決め画像だけ: 正しい", "nothing but a localizer: right",
         _alone(devices.scout), right()),
    Case("ct-dose-sheet", "CTと線量レポートの画像: 正しい", "CT with its dose sheet: right",
         lambda s: _beside(s, pictures.dose_sheet(s)),
         right(R8="warn")),
    Case("ct-mip", "CTと投影像: 正しい", "CT with a projection: right",
         lambda s: _beside(s, altered.projection(s)), right(), SLICES),
    Case("ct-order-form", "CTとスキャンした依頼票: 正しい", "CT with a scanned request form: right",
         lambda s: _beside(s, pictures.order_form(s)),
         right(R8="warn")),
    Case("ct-order-pdf", "CTと依頼票のPDF: 正しい", "CT with the request form as PDF: right",
         lambda s: _beside(s, pictures.pdf(s)), right(R8="warn")),
    Case("ct-rdsr", "CTと線量のRDSR: 正しい", "CT with its dose report (RDSR): right",
         lambda s: _beside(s, pictures.dose_report(s)), right()),
    Case("ct-bare", "装置の記載を消したCT: 実物", "CT without a word of its device: genuine",
         altered.without_device, right(R4="warn"), SLICES),
    Case("ct-burned-in", "画素に氏名があると述べるCT", "CT that says a name is burned in",
         lambda s: altered.stating(s, BurnedInAnnotation="YES"), right(R8="warn")),
    Case("same-uid-same-pixels", "同じUID・同じ中身", "one UID twice, same content",
         lambda s: altered.twice(s, other_pixels=False), right("DAT-05"), SLICES),
    Case("preamble-tiff", "TIFFに見える先頭: 正しい", "preamble of a TIFF: right",
         lambda s: n.preamble(s, "tiff"), right("DAT-14")),
)  # fmt: skip

NAMES: Final = (
    *(
        Case(f"name-{kind}", f"正しい氏名: {ja}", f"a name that is right: {en}",
             partial(n.written, kind=kind), right(), patient=n.patient_of(kind))
        for kind, (ja, en) in n.TITLES.items()
    ),
    *(
        Case(f"charset-{kind}", ja, en, partial(n.misdeclared, kind=kind), right("CHR-05"),
             patient=YAMADA)
        for kind, ja, en in (
            ("none", "文字集合の宣言なし", "JIS bytes, no charset declared"),
            ("sjis", "Latin-1と名乗るシフトJIS", "Shift JIS declared as Latin-1"),
            ("kana", "IR 87だけの宣言に半角カナ", "kana bytes under IR 87 alone"),
            ("ir87", "存在しない宣言 ISO_IR 87", "ISO_IR 87, a declaration that does not exist"),
        )
    ),
)  # fmt: skip

#: Not image data of the device, and the object says so.
NOT_DIRECT: Final = (
    Case("sc-only", "線量レポートの画像だけ", "nothing but a dose sheet",
         _alone(pictures.dose_sheet), caught(R1="fail", R8="warn")),
    Case("order-form", "スキャンした依頼票だけ", "nothing but a scanned request form",
         _alone(pictures.order_form), caught(R1="fail", R8="warn")),
    Case("rdsr", "線量のRDSRだけ", "nothing but a dose report (RDSR)",
         _alone(pictures.dose_report), caught(R1="warn")),
    Case("mip", "作られた投影像だけ", "nothing but a projection made by a workstation",
         _alone(altered.projection), caught(R3="fail"), SLICES),
    Case("photo", "モニターを撮った写真", "photograph of a monitor",
         _alone(pictures.photo), caught(R1="fail")),
    Case("photo-video", "モニターを撮った動画", "film of a monitor",
         pictures.film_clip, caught(R1="fail")),
    Case("screenshot-wsd", "画面の取り込み (WSD)", "capture of a screen (WSD)",
         _alone(lambda s: pictures.screen(s, "WSD")),
         caught(R1="fail", R8="warn")),
    Case("capture-di", "画像の信号の取り込み (DI)", "captured from a digital interface (DI)",
         _alone(lambda s: pictures.screen(s, "DI")),
         caught(R1="fail", R2="warn", R8="warn")),
    Case("capture-dv", "映像信号の取り込み (DV)", "digitized video signal (DV)",
         _alone(lambda s: pictures.screen(s, "DV", VideoImageFormatAcquired="NTSC",
                                          SecondaryCaptureDeviceManufacturer="TODOKE GRABBER")),
         caught(R1="fail", R2="fail", R8="warn", R9="fail")),
    Case("film-df", "取り込んだフィルム (DF)", "digitized film (DF)",
         _alone(lambda s: pictures.screen(s, "DF")),
         caught(R1="fail", R2="fail", R8="warn")),
    Case("scan-si", "スキャンした画像 (SI)", "scanned image (SI)",
         _alone(lambda s: pictures.screen(s, "SI")),
         caught(R1="fail", R2="fail", R8="warn")),
    Case("drawing-drw", "描いた図 (DRW)", "drawing (DRW)",
         _alone(lambda s: pictures.screen(s, "DRW")),
         caught(R1="fail", R2="fail", R8="warn")),
    Case("ct-film-df", "CTと今回のフィルム (DF)", "CT with a film of now (DF)",
         lambda s: _beside(s, pictures.screen(s, "DF")),
         caught(R2="fail", R8="warn")),
)  # fmt: skip

#: Not what it says it is.
FORGED: Final = (
    Case("photo-bare", "CTと名乗る写真、他は空", "the photograph, said to be CT, nothing more",
         _alone(pictures.photo_bare), caught(R4="fail")),
    Case("photo-as-ct", "CTの記載を移した写真", "the photograph under the header of a CT",
         _alone(pictures.photo_as_ct), caught(R4="fail")),
    Case("photo-jpeg", "CTと名乗るカメラのJPEG", "a camera's JPEG, said to be CT",
         _alone(pictures.photo_jpeg), caught(R4="fail", R5="warn", R6="fail")),
    Case("photo-careful", "CTの属性をすべて持つ写真", "the photograph with every attribute of CT",
         lambda s: named(pictures.careful(s)), missed(), SLICES),
    Case("capture-as-ct", "映像の痕跡が残るCT", "CT that keeps a trace of the video signal",
         lambda s: altered.stating(s, VideoImageFormatAcquired="NTSC"),
         caught(R1="fail", R9="fail")),
    Case("ct-8bit", "8ビットに落としたCT", "CT windowed down to 8 bits",
         altered.windowed, missed(R4="warn"), SLICES),
    Case("ct-8bit-hidden", "8ビットとJPEGを経て16ビットへ", "CT that went through 8 bits and JPEG",
         altered.windowed_hidden, missed(), SLICES),
    Case("ct-lossy", "非可逆圧縮 (申告あり)", "lossy, and says so",
         lambda s: altered.lossy(s, altered.j2k_lossy, restored=False, flagged=True),
         caught(R3="fail", R6="fail"), SLICES),
    Case("ct-lossy-unflagged", "非可逆圧縮 (申告なし)", "lossy, and does not say so",
         lambda s: altered.lossy(s, altered.j2k_lossy, restored=False, flagged=False),
         caught(R6="fail")),
    Case("ct-lossy-as-lossless", "可逆の名を持つ非可逆", "lossy under the name of lossless",
         lambda s: altered.lossy(s, partial(altered.j2k_lossy, as_lossless=True),
                                 restored=False, flagged=False), caught(R6="fail")),
    Case("ct-lossy-restored", "非可逆から伸長 (申告あり)", "once lossy, and says so",
         lambda s: altered.lossy(s, flagged=True), caught(R3="fail", R6="fail"), SLICES),
    Case("ct-lossy-recoded", "非可逆から可逆へ (申告あり)", "lossy, then lossless, and says so",
         lambda s: altered.lossy(s, altered.j2k, flagged=True), caught(R3="fail", R6="fail")),
    Case("ct-lossy-hidden", "非可逆から伸長 (申告なし)", "once lossy, and hides it",
         lambda s: altered.lossy(s, flagged=False), missed(), SLICES),
    Case("ct-lossy-recoded-hidden", "非可逆から可逆へ (申告なし)", "lossy, then lossless, hidden",
         lambda s: altered.lossy(s, altered.j2k, flagged=False), missed()),
)  # fmt: skip

#: Right in itself, and dangerous.
DANGEROUS: Final = (
    Case("mixed-patients", "1検査に2名", "two patients in one study",
         altered.mixed, caught("DAT-04"), SLICES),
    Case("mixed-issuer", "同じ患者ID・違う発行者", "one Patient ID of two issuers in one study",
         lambda s: altered.mixed(s, n.other_issuer()), caught("DAT-04")),
    Case("mixed-birth", "同じ患者ID・違う生年月日", "one Patient ID, two birth dates in one study",
         lambda s: altered.mixed(s, n.other_birth()), caught("DAT-04")),
    Case("same-uid-other-pixels", "同じUID・違う中身", "one UID twice, other content",
         lambda s: altered.twice(s, other_pixels=True), caught("DAT-05"), SLICES),
    *(
        Case(f"preamble-{kind}", f"{ja}に見える先頭", f"preamble of {en}",
             partial(n.preamble, kind=kind), caught("DAT-14"))
        for kind, ja, en in (
            ("pe", "Windowsの実行ファイル", "a program for Windows (PE)"),
            ("elf", "Linuxの実行ファイル", "a program for Linux (ELF)"),
            ("macho", "macOSの実行ファイル", "a program for macOS (Mach-O)"),
            ("script", "スクリプト", "a script"),
        )
    ),
)  # fmt: skip

CASES: Final = (*RIGHT, *NAMES, *NOT_DIRECT, *FORGED, *DANGEROUS)
