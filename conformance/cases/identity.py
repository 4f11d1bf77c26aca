"""What is held is what was sent: read back and compared (PS3.4 B.4.1; DIR-06, CHR-02).

The digest of what was sent is taken here; that of what is held, from what the
receiver gives back.  A receiver that re-encodes but keeps every value passes
with a remark.
"""

from __future__ import annotations

from pydicom.uid import ImplicitVRLittleEndian, RLELossless

from conformance.case import Area, Failed, Need, Seen, Words, seen
from conformance.objects import KANJI_JIS, PRIVATE_OCTETS, Instance, elements
from conformance.readback import Held
from conformance.session import Session

AREA = Area("IDN", Words("同一性", "Identity"))
_SAME = ("データセットのバイト列が同じ", "Data set byte for byte the same")
_SAME_NAME = ("(0010,0010) のバイト列が同じ", "(0010,0010) byte for byte the same")
_NAMED = ("この氏名の画像を保存し、読み戻す", "Stored an image with this name and read it back")
_NEEDS = (Need.READ_BACK,)
PATIENT_NAME = 0x00100010


@AREA.case(
    1,
    title=("CT が変わらない", "CT is kept as it is"),
    clauses=("PS3.4 B.4.1", "DIR-06", "DIR-10"),
    done=("CT を保存し、読み戻す", "Stored a CT and read it back"),
    expected=_SAME,
    needs=_NEEDS,
)
def ct(session: Session) -> Seen:
    """SHA-256 of the data set at both ends."""
    return _same(session, session.make("IDN-001"))


@AREA.case(
    2,
    title=("MR が変わらない", "MR is kept as it is"),
    clauses=("PS3.4 B.4.1", "DIR-06", "DIR-10"),
    done=("MR を保存し、読み戻す", "Stored an MR and read it back"),
    expected=_SAME,
    needs=_NEEDS,
)
def mr(session: Session) -> Seen:
    """As CT."""
    return _same(session, session.make("IDN-002", modality="MR"))


@AREA.case(
    3,
    title=("Implicit VR の CT が変わらない", "CT in Implicit VR is kept as it is"),
    clauses=("PS3.4 B.4.1", "DIR-06", "DCM-05"),
    done=("Implicit VR LE の CT を保存し、読み戻す", "Stored a CT in Implicit VR LE, read it back"),
    expected=_SAME,
    needs=_NEEDS,
)
def implicit(session: Session) -> Seen:
    """Many gateways convert this one."""
    return _same(session, session.make("IDN-003", transfer_syntax_uid=ImplicitVRLittleEndian))


@AREA.case(
    4,
    title=("圧縮された CT が変わらない", "A compressed CT is kept as it is"),
    clauses=("PS3.4 B.4.1", "DIR-08", "DCM-04"),
    done=("RLE Lossless の CT を保存し、読み戻す", "Stored a CT in RLE Lossless, read it back"),
    expected=_SAME,
    needs=_NEEDS,
)
def compressed(session: Session) -> Seen:
    """What is compressed already is never transcoded."""
    made = session.make("IDN-004", transfer_syntax_uid=RLELossless)
    return _same(session, made, optional=True)


def _name_case(number: int, name: str, shown: str) -> None:
    @AREA.case(
        number,
        title=(f"氏名 {shown} が変わらない", f"The name {shown} is kept as it is"),
        clauses=("PS3.5 6.2.1", "PS3.5 6.1", "CHR-02", "CHR-03"),
        done=_NAMED,
        expected=_SAME_NAME,
        needs=_NEEDS,
    )
    def name_kept(session: Session) -> Seen:
        """Letters outside the old Japanese sets, in UTF-8."""
        return _same_name(session, session.make(f"IDN-{number:03d}", name=name))


_name_case(5, "TAKAHASHI^TARO=髙橋^太郎=タカハシ^タロウ", "髙橋")
_name_case(6, "YAMAZAKI^HANAKO=山﨑^花子=ヤマザキ^ハナコ", "山﨑")
_name_case(7, "YOSHIDA^JIRO=𠮷田^次郎=ヨシダ^ジロウ", "𠮷田")


@AREA.case(
    8,
    title=("JIS漢字の氏名が変わらない", "A name in JIS kanji is kept as it is"),
    clauses=("PS3.5 H.3", "PS3.5 6.1.2.5", "CHR-02"),
    done=(
        "ISO 2022 IR 87 で書いた氏名の画像を保存し、読み戻す",
        "Stored an image whose name is in ISO 2022 IR 87 and read it back",
    ),
    expected=_SAME_NAME,
    needs=_NEEDS,
)
def jis(session: Session) -> Seen:
    """Escape sequences are part of the name's bytes; re-encoding loses letters."""
    made = session.make("IDN-008", name="YAMADA^TARO=山田^太郎", charset=KANJI_JIS)
    return _same_name(session, made)


@AREA.case(
    9,
    title=("第1組が空の氏名が変わらない", "A name with an empty first group is kept as it is"),
    clauses=("PS3.5 6.2.1", "CHR-04"),
    done=_NAMED,
    expected=_SAME_NAME,
    needs=_NEEDS,
)
def empty_group(session: Session) -> Seen:
    """A form met in Japanese hospitals; tidying it up changes the name."""
    return _same_name(session, session.make("IDN-009", name="=日赤^太郎=ﾆｯｾｷ^ﾀﾛｳ"))


@AREA.case(
    10,
    title=("非公開要素を残す", "Private elements are kept"),
    clauses=("PS3.4 B.4.1", "DCM-02"),
    done=(
        "非公開ブロックを2つ持つ CT を保存し、読み戻す",
        "Stored a CT with two private blocks and read it back",
    ),
    expected=("全ての非公開要素が同じ", "Every private element the same"),
    needs=_NEEDS,
)
def private(session: Session) -> Seen:
    """A level 2 receiver keeps all attributes, known or not."""
    made = session.make("IDN-010")
    session.require_stored(made)
    held = session.held(made)
    sent, found = _elements(made), elements(held.data, held.transfer_syntax_uid)
    lost = [tag for tag in sent if (tag >> 16) % 2 and sent[tag] != found.get(tag)]
    if PRIVATE_OCTETS not in sent.values():
        raise ValueError("the instance has no private octets")
    if lost:
        raise Failed(f"変わったか失われた: {_tags(lost)}", f"changed or lost: {_tags(lost)}")
    return seen("全て同じ", "all the same")


@AREA.case(
    11,
    title=("受け付けたと言った時には在る", "It is there when it is said to be"),
    clauses=("PS3.7 9.1.1", "DIR-07", "DAT-08"),
    done=(
        "0000H を受けた直後に読み戻す",
        "Read back at once after 0000H, without waiting",
    ),
    expected=("その時点で保存されている", "It is held by then"),
    needs=_NEEDS,
)
def at_once(session: Session) -> Seen:
    """An acknowledgement that runs ahead of the disk is a promise on credit."""
    made = session.make("IDN-011")
    session.require_stored(made)
    # the second look covers a file that is being renamed during the first
    if not session.copies(made) and not session.copies(made):
        late = session.wait(lambda: bool(session.copies(made)))
        if late:
            raise Failed("応答より後に現れました", "it appeared only after the answer")
        raise Failed("応答したのに保存されていません", "acknowledged, and not held")
    return seen("在ります", "it is there")


@AREA.case(
    12,
    title=(
        "受け付けた全てが在り、拒んだものは無い",
        "All that was acknowledged is held, and no more",
    ),
    clauses=("PS3.4 B.2.3", "DIR-07", "DAT-05"),
    done=(
        "この試験で送った全ての画像を数え、読み戻す",
        "Counted and read back every image of this run",
    ),
    expected=(
        "0000H の画像は1つずつ同じ内容で在り、拒んだ画像は無い",
        "Each acknowledged image once and unchanged, none of the refused",
    ),
    needs=_NEEDS,
)
def everything(session: Session) -> Seen:
    """The last case: a loss or a late write anywhere above shows here."""
    if not session.acknowledged:
        session.require_stored(session.make("IDN-012"))
    wrong = [
        made.label for made in session.acknowledged.values() if _differing(made, session.held(made))
    ]
    kept = [made.label for made in session.refused.values() if session.copies(made)]
    if wrong or kept:
        raise Failed(
            f"内容が違う: {wrong}、拒んだのに在る: {kept}",
            f"changed: {wrong}; refused yet held: {kept}",
        )
    count, refused = len(session.acknowledged), len(session.refused)
    return seen(
        f"{count} 個在り、拒否 {refused} 個は無し", f"{count} held, {refused} refused absent"
    )


def _elements(made: Instance) -> dict[int, bytes]:
    return elements(made.data, made.transfer_syntax_uid)


def _differing(made: Instance, held: Held) -> list[int]:
    """Return the tags whose stored value differs; none when the bytes are equal."""
    if made.digest == held.digest:
        return []
    sent, found = _elements(made), elements(held.data, held.transfer_syntax_uid)
    return [tag for tag in sorted(sent | found) if sent.get(tag) != found.get(tag)]


def _same(session: Session, made: Instance, *, optional: bool = False) -> Seen:
    session.require_stored(made, optional=optional)
    held = session.held(made)
    differing = _differing(made, held)
    if differing:
        raise Failed(f"違う要素: {_tags(differing)}", f"elements differ: {_tags(differing)}")
    if held.digest != made.digest:
        return seen(
            "要素は全て同じ、符号化だけが違います",
            "every element the same, encoded in another way",
            remark=True,
        )
    return seen(f"SHA-256 {held.digest[:16]}…", f"SHA-256 {held.digest[:16]}…")


def _same_name(session: Session, made: Instance) -> Seen:
    session.require_stored(made)
    held = session.held(made)
    sent = _elements(made)[PATIENT_NAME]
    found = elements(held.data, held.transfer_syntax_uid).get(PATIENT_NAME)
    if found != sent:
        shown = "-" if found is None else found.hex(" ")
        raise Failed(f"届いたのは {shown}", f"held as {shown}")
    return seen(f"{len(sent)} バイトすべて同じ", f"all {len(sent)} bytes the same")


def _tags(tags: list[int]) -> str:
    return " ".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in tags)
