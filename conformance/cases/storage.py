"""Storage of CT and MR as a service class provider (PS3.4 B; PS3.7 9.1.1; DAT-05)."""

from __future__ import annotations

from pydicom.uid import ImplicitVRLittleEndian, JPEGLSLossless, RLELossless

from conformance import oracle, wire
from conformance.case import Area, Failed, Need, Seen, Words, seen
from conformance.objects import Instance, uid
from conformance.session import SUCCESS, Session, is_stored
from conformance.wire import IMPLICIT, VERIFICATION, Context

AREA = Area("STO", Words("保存", "Storage"))
_ACCEPTED = ("状態 0000H", "Status 0000H")
_NOTHING = ("そのUIDの画像は残らない", "Nothing is held under its UID")


@AREA.case(
    1,
    title=("CT を保存 (Explicit VR LE)", "CT is stored (Explicit VR LE)"),
    clauses=("PS3.4 B.2.3", "PS3.5 A.2", "DCM-02"),
    done=("合成 CT 1枚を C-STORE", "C-STORE of one synthetic CT"),
    expected=_ACCEPTED,
)
def ct(session: Session) -> Seen:
    """The daily case."""
    return _stored(session, session.make("STO-001"))


@AREA.case(
    2,
    title=("CT を保存 (Implicit VR LE)", "CT is stored (Implicit VR LE)"),
    clauses=("PS3.4 B.2.3", "PS3.5 A.1", "DCM-04"),
    done=("既定の転送構文で合成 CT を C-STORE", "C-STORE of a CT in the default transfer syntax"),
    expected=_ACCEPTED,
)
def ct_implicit(session: Session) -> Seen:
    """Every receiver must take the default transfer syntax (PS3.5 10.1)."""
    return _stored(session, session.make("STO-002", transfer_syntax_uid=ImplicitVRLittleEndian))


@AREA.case(
    3,
    title=("MR を保存 (Explicit VR LE)", "MR is stored (Explicit VR LE)"),
    clauses=("PS3.4 B.2.3", "PS3.5 A.2", "DCM-02"),
    done=("合成 MR 1枚を C-STORE", "C-STORE of one synthetic MR"),
    expected=_ACCEPTED,
)
def mr(session: Session) -> Seen:
    """As CT."""
    return _stored(session, session.make("STO-003", modality="MR"))


@AREA.case(
    4,
    title=("MR を保存 (Implicit VR LE)", "MR is stored (Implicit VR LE)"),
    clauses=("PS3.4 B.2.3", "PS3.5 A.1", "DCM-04"),
    done=("既定の転送構文で合成 MR を C-STORE", "C-STORE of an MR in the default transfer syntax"),
    expected=_ACCEPTED,
)
def mr_implicit(session: Session) -> Seen:
    """As CT."""
    made = session.make("STO-004", modality="MR", transfer_syntax_uid=ImplicitVRLittleEndian)
    return _stored(session, made)


@AREA.case(
    5,
    title=("RLE 可逆圧縮の CT を保存", "CT in RLE Lossless is stored"),
    clauses=("PS3.5 A.4.2", "DCM-04"),
    done=("RLE Lossless の合成 CT を C-STORE", "C-STORE of a CT in RLE Lossless"),
    expected=_ACCEPTED,
)
def rle(session: Session) -> Seen:
    """Taken as it is, whether it can be shown or not."""
    made = session.make("STO-005", transfer_syntax_uid=RLELossless)
    return _stored(session, made, optional=True)


@AREA.case(
    6,
    title=("JPEG-LS 可逆圧縮の MR を保存", "MR in JPEG-LS Lossless is stored"),
    clauses=("PS3.5 A.4.3", "DCM-04"),
    done=("JPEG-LS Lossless の合成 MR を C-STORE", "C-STORE of an MR in JPEG-LS Lossless"),
    expected=_ACCEPTED,
)
def jpeg_ls(session: Session) -> Seen:
    """Taken as it is."""
    made = session.make("STO-006", modality="MR", transfer_syntax_uid=JPEGLSLossless)
    return _stored(session, made, optional=True)


@AREA.case(
    7,
    title=("同じ画像をもう一度", "The same instance again"),
    clauses=("PS3.4 B.2.3", "DAT-05"),
    done=("同一の CT を2回 C-STORE", "C-STORE of one CT twice"),
    expected=("2回目も 0000H、保存は1つ", "0000H again, one object held"),
)
def again(session: Session) -> Seen:
    """A sender that lost the first answer sends again, and must not be punished."""
    made = session.make("STO-007")
    session.require_stored(made)
    session.require_stored(made)
    if session.read_back is None:
        return seen("2回とも 0000H (個数は未確認)", "0000H twice (not counted)", remark=True)
    session.held(made)
    return seen("2回とも 0000H、1つ", "0000H twice, one object")


@AREA.case(
    8,
    title=("同じUIDで中身が違う画像を拒む", "Other content under a known UID is refused"),
    clauses=("PS3.5 9", "DAT-05", "DAT-01"),
    done=(
        "CT を保存後、同じUIDで画素の違う CT を C-STORE",
        "Stored a CT, then C-STORE of other pixels under its UID",
    ),
    expected=(
        "2回目は失敗の状態、先に届いた方が残る",
        "A failure status the second time; what came first stays",
    ),
)
def other_content(session: Session) -> Seen:
    """Two images with one name are a danger to a patient; neither may vanish silently."""
    first, second = session.make("STO-008"), session.make("STO-008", variant=1)
    session.require_stored(first)
    status = session.store(second)
    if is_stored(status):
        session.disown(first)
        raise Failed(
            f"中身の違う画像に {status:04X}H", f"{status:04X}H for other content under one UID"
        )
    if session.read_back is not None and session.held(first).digest != first.digest:
        raise Failed("先に届いた画像が変わりました", "what came first is no longer what it was")
    return seen(f"状態 {status:04X}H", f"status {status:04X}H")


@AREA.case(
    9,
    title=(
        "命令とデータのUIDの食い違いを拒む",
        "Command and data set differ in their instance UID",
    ),
    clauses=("PS3.4 B.2.3", "PS3.7 9.1.1", "DCM-06"),
    done=(
        "C-STORE-RQ の SOP Instance UID をデータ内と違える",
        "C-STORE-RQ names another SOP Instance UID than the data set",
    ),
    expected=("状態 A9xxH、何も残らない", "Status A9xxH, nothing held"),
    needs=(Need.ADMITTED,),
)
def instance_mismatch(session: Session) -> Seen:
    """An object filed under a name that is not its own cannot be found again."""
    made = session.make("STO-009")
    return _mismatched(session, made, sop_instance_uid=uid(session.run, "another instance"))


@AREA.case(
    10,
    title=("命令とデータの SOP クラスの食い違いを拒む", "Command and data set differ in SOP class"),
    clauses=("PS3.4 B.2.3", "PS3.7 9.1.1", "DCM-06"),
    done=(
        "MR と名乗って CT のデータを C-STORE",
        "C-STORE of a CT data set as an MR",
    ),
    expected=("状態 A9xxH、何も残らない", "Status A9xxH, nothing held"),
    needs=(Need.ADMITTED,),
)
def class_mismatch(session: Session) -> Seen:
    """Data set does not match SOP class: the very words of A9xx."""
    made = session.make("STO-010")
    posing = session.make("STO-010", modality="MR")
    context = (posing.sop_class_uid, posing.transfer_syntax_uid)
    return _mismatched(session, made, context=context, sop_class_uid=posing.sop_class_uid)


@AREA.case(
    11,
    title=("細かく刻まれた画像を保存", "An image in tiny fragments is stored"),
    clauses=("PS3.8 9.3.5", "PS3.8 E.1"),
    done=("64 バイトずつの P-DATA-TF で CT を送信", "Sent a CT in P-DATA-TF of 64 bytes"),
    expected=_ACCEPTED,
    needs=(Need.ADMITTED,),
)
def tiny_fragments(session: Session) -> Seen:
    """Fragmentation is the sender's choice."""
    return _raw_stored(session, session.make("STO-011"), 64)


@AREA.case(
    12,
    title=("最大の PDU で保存", "An image in the largest PDU is stored"),
    clauses=("PS3.8 D.1", "PS3.8 E.1"),
    done=(
        "受信側が告げた最大長 (上限 1 MiB) の P-DATA-TF で CT を送信",
        "Sent a CT of 512 x 512 in P-DATA-TF as long as the receiver allows (1 MiB at most)",
    ),
    expected=_ACCEPTED,
    needs=(Need.ADMITTED,),
)
def large_fragments(session: Session) -> Seen:
    """What a receiver announces it must take."""
    return _raw_stored(session, session.make("STO-012", side=512), None)


@AREA.case(
    13,
    title=("知らない非公開の SOP クラス", "An unknown private SOP class"),
    clauses=("PS3.4 B.3.2", "PS3.8 9.3.3.2"),
    done=(
        "非公開の SOP クラスの画像を提案し、受理されたら送信",
        "Proposed one; sent it if accepted",
    ),
    expected=(
        "不受理、または保存して 0000H",
        "Turned down when negotiating, or stored with 0000H",
    ),
    needs=(Need.ADMITTED,),
)
def private_class(session: Session) -> Seen:
    """Either answer is honest; to accept and then refuse is not."""
    made = session.make("STO-013", sop_class_uid=uid("private", "storage"))
    try:
        with oracle.associated(session.target, [_context(made), (VERIFICATION, IMPLICIT)]) as assoc:
            if not any(c.abstract_syntax == made.sop_class_uid for c in assoc.accepted_contexts):
                return seen("不受理", "turned down")
            status = oracle.store(assoc, made)
    except oracle.NotAssociated as error:
        if error.rejected:
            return seen(f"{error}", f"{error}", remark=True)
        raise
    session.note(made, status)
    if status != SUCCESS:
        raise Failed(f"受理した上で {status:04X}H", f"accepted, then {status:04X}H")
    if session.read_back is not None:
        session.held(made)
    return seen("保存、0000H", "stored, 0000H")


@AREA.case(
    14,
    title=("受け取り終わる前に応答しない", "No answer before the last fragment"),
    clauses=("PS3.7 9.1.1", "DIR-07", "DAT-08"),
    done=(
        "最後の断片を残して待ち、その後に送る",
        "Held the last fragment back, waited, then sent it",
    ),
    expected=(
        "断片が揃うまで無言、その後 0000H",
        "Silence until all is there, then 0000H",
    ),
    needs=(Need.ADMITTED,),
)
def no_early_answer(session: Session) -> Seen:
    """Success said of bytes that are not there is a loss not yet noticed."""
    made = session.make("STO-014")
    with wire.associated(session.target, [_context(made)]) as line:
        *most, last = line.store_pdus(made, 2048)
        line.send(b"".join(most))
        try:
            status = line.status(patience=0.5)
        except wire.Silent:
            line.send(last)
            status = line.status()
            line.release()
        else:
            session.note(made, status)
            raise Failed(
                f"最後の断片の前に {status:04X}H", f"{status:04X}H before the last fragment"
            )
    session.note(made, status)
    if status != SUCCESS:
        raise Failed(f"状態 {status:04X}H", f"status {status:04X}H")
    return seen("揃ってから 0000H", "0000H after the last fragment")


@AREA.case(
    15,
    title=("途中で切れた画像を残さない", "An image that was cut off leaves nothing"),
    clauses=("PS3.8 9.2.3", "DAT-08"),
    done=(
        "P-DATA-TF の途中で接続を切り、別の画像を送る",
        "Closed in the middle of a P-DATA-TF, then sent another image",
    ),
    expected=_NOTHING,
    needs=(Need.ADMITTED, Need.READ_BACK),
)
def cut_off(session: Session) -> Seen:
    """The line breaks; half an image is no image."""
    made = session.make("STO-015")
    with wire.associated(session.target, [_context(made)]) as line:
        pdus = line.store_pdus(made, 2048)
        line.send(b"".join(pdus[:-2]) + pdus[-2][:700])
    return _left_nothing(session, made, session.make("STO-015-after"))


@AREA.case(
    16,
    title=("中断された画像を残さない", "An image that was aborted leaves nothing"),
    clauses=("PS3.8 7.3", "PS3.8 9.3.8", "DAT-08"),
    done=(
        "最後の断片の代わりに A-ABORT を送り、別の画像を送る",
        "Sent A-ABORT in place of the last fragment, then another image",
    ),
    expected=_NOTHING,
    needs=(Need.ADMITTED, Need.READ_BACK),
)
def aborted(session: Session) -> Seen:
    """The sender changed its mind in time."""
    made = session.make("STO-016")
    with wire.associated(session.target, [_context(made)]) as line:
        line.send(b"".join(line.store_pdus(made, 2048)[:-1]))
        line.abort()
    return _left_nothing(session, made, session.make("STO-016-after"))


@AREA.case(
    17,
    title=("1回の接続で1シリーズを保存", "One series on one association"),
    clauses=("PS3.4 B.2.3", "PS3.7 9.1.1", "DCM-02"),
    done=("CT 8枚を1つの接続で C-STORE", "C-STORE of 8 CT slices on one association"),
    expected=("全てに 0000H", "0000H for each"),
)
def series(session: Session) -> Seen:
    """Each instance gets an answer of its own."""
    slices = [session.make("STO-017", number=number) for number in range(1, 9)]
    with oracle.associated(session.target, [_context(slices[0])]) as assoc:
        for made in slices:
            status = oracle.store(assoc, made)
            session.note(made, status)
            if status != SUCCESS:
                raise Failed(f"状態 {status:04X}H", f"status {status:04X}H")
    return seen(f"{len(slices)} 枚すべて 0000H", f"0000H for all {len(slices)}")


def _context(instance: Instance) -> Context:
    return instance.sop_class_uid, instance.transfer_syntax_uid


def _stored(session: Session, made: Instance, *, optional: bool = False) -> Seen:
    session.require_stored(made, optional=optional)
    return seen("状態 0000H", "status 0000H")


def _raw_stored(session: Session, made: Instance, maximum: int | None) -> Seen:
    with wire.associated(session.target, [_context(made)]) as line:
        pdus = line.store_pdus(made, maximum)
        line.send(b"".join(pdus))
        status = line.status()
        session.note(made, status)
        line.release()
    if status != SUCCESS:
        raise Failed(f"状態 {status:04X}H", f"status {status:04X}H")
    longest = max(len(pdu) - 6 for pdu in pdus)
    if session.read_back is not None and session.held(made).digest != made.digest:
        raise Failed("保存された内容が違います", "what is held is not what was sent")
    return seen(
        f"{len(pdus)} 個、最長 {longest} バイト、0000H",
        f"{len(pdus)} PDUs, longest {longest} bytes, 0000H",
    )


def _mismatched(
    session: Session,
    made: Instance,
    *,
    context: Context | None = None,
    sop_class_uid: str | None = None,
    sop_instance_uid: str | None = None,
) -> Seen:
    with wire.associated(session.target, [context or _context(made)]) as line:
        line.accepted[_context(made)] = line.accepted[context or _context(made)]
        pdus = line.store_pdus(made, sop_class_uid=sop_class_uid, sop_instance_uid=sop_instance_uid)
        line.send(b"".join(pdus))
        try:
            status = line.status()
        except wire.Ended as error:
            raise Failed(
                f"応答せず切断 ({error.how})", f"closed unanswered ({error.how})"
            ) from error
    session.note(made, status)
    if is_stored(status):
        raise Failed(f"状態 {status:04X}H", f"status {status:04X}H")
    if session.read_back is not None and not session.wait(lambda: not session.copies(made)):
        raise Failed(f"{status:04X}H なのに残りました", f"{status:04X}H, and yet it is held")
    session.refused[made.sop_instance_uid] = made
    exact = 0xA900 <= status <= 0xA9FF
    return seen(f"状態 {status:04X}H", f"status {status:04X}H", remark=not exact)


def _left_nothing(session: Session, made: Instance, after: Instance) -> Seen:
    session.require_stored(after)
    if not session.wait(lambda: not session.copies(made)):
        raise Failed("途中までの画像が残りました", "a part of the image is held")
    session.refused[made.sop_instance_uid] = made
    return seen("何も残らず、次の画像は 0000H", "nothing is held, and the next image got 0000H")
