"""Verification and the words of an association (PS3.4 A; PS3.8 9)."""

from __future__ import annotations

from conformance import oracle, wire
from conformance.case import Area, Failed, Need, Seen, Words, seen
from conformance.objects import uid
from conformance.session import Session
from conformance.wire import ABORT, ASSOCIATE_AC, ASSOCIATE_RJ, IMPLICIT, P_DATA, VERIFICATION

AREA = Area("VER", Words("アソシエーションと疎通確認", "Association and Verification"))
_ECHO = [(VERIFICATION, IMPLICIT)]
_SMALL = 4096


@AREA.case(
    1,
    title=("C-ECHO に応答する", "C-ECHO is answered"),
    clauses=("PS3.4 A.4", "PS3.7 9.1.5", "DCM-02"),
    done=("pynetdicom の AE から C-ECHO", "C-ECHO from an AE of pynetdicom"),
    expected=("状態 0000H", "Status 0000H"),
)
def echo(session: Session) -> Seen:
    """The oracle's own requestor, not ours."""
    try:
        with oracle.associated(session.target, _ECHO) as assoc:
            status = oracle.echo(assoc)
    except (oracle.NotAssociated, oracle.NoAnswer) as error:
        raise Failed(f"{error}", f"{error}") from error
    if status:
        raise Failed(f"状態 {status:04X}H", f"status {status:04X}H")
    return seen("状態 0000H", "status 0000H")


@AREA.case(
    2,
    title=("違う呼び出し先 AE タイトル", "A wrong called AE title"),
    clauses=("PS3.8 9.3.4", "DCM-06"),
    done=(
        "相手のものでない AE タイトルを呼び出す",
        "Called an AE title that is not the receiver's",
    ),
    expected=(
        "A-ASSOCIATE-RJ。規格は許すので、受け付けた場合は所見として記録",
        "A-ASSOCIATE-RJ; accepting it is allowed by DICOM and is written down",
    ),
    needs=(Need.ADMITTED,),
)
def called(session: Session) -> Seen:
    """Two receivers on one address are told apart by this title."""
    try:
        with oracle.associated(session.target, _ECHO, called="TODOKE_WRONG"):
            return seen(
                "どの AE タイトルでも受け付けます", "accepts any called AE title", remark=True
            )
    except oracle.NotAssociated as error:
        if not error.rejected:
            raise Failed("A-ASSOCIATE-RJ なしに切断", "closed without A-ASSOCIATE-RJ") from error
        # another reason sends the person at the telephone to the wrong setting
        return seen(f"{error}", f"{error}", remark="Called AE" not in str(error))


@AREA.case(
    3,
    title=("知らないサービスだけを断る", "Only the unknown service is turned down"),
    clauses=("PS3.8 9.3.3.2", "PS3.8 7.1.1.14"),
    done=(
        "C-ECHO と、存在しない非公開のサービスを同時に提案",
        "Proposed Verification together with a private service that does not exist",
    ),
    expected=(
        "接続は成立し、C-ECHO は使え、知らない方は不受理",
        "Accepted, Verification usable, the other context turned down",
    ),
    needs=(Need.ADMITTED,),
)
def unknown_context(session: Session) -> Seen:
    """Contexts are answered one by one."""
    strange = (uid("private", "service"), IMPLICIT)
    with wire.associated(session.target, [*_ECHO, strange]) as line:
        status = line.echo()
        if status:
            raise Failed(f"C-ECHO の状態 {status:04X}H", f"C-ECHO status {status:04X}H")
        taken = strange in line.accepted
    if taken:
        return seen(
            "知らないサービスも受理しました", "the unknown service was accepted too", remark=True
        )
    return seen("知らない方だけ不受理", "only the unknown one was turned down")


@AREA.case(
    4,
    title=("解放に応答する", "Release is answered"),
    clauses=("PS3.8 7.2", "PS3.8 9.3.7"),
    done=("C-ECHO の後に A-RELEASE-RQ", "A-RELEASE-RQ after C-ECHO"),
    expected=("A-RELEASE-RP", "A-RELEASE-RP"),
    needs=(Need.ADMITTED,),
)
def release(session: Session) -> Seen:
    """An association that ends in order."""
    with wire.associated(session.target, _ECHO) as line:
        line.echo()
        answer = line.release()
    if answer.type != wire.RELEASE_RP:
        raise Failed(f"PDU {answer.type:02X}H", f"PDU {answer.type:02X}H")
    return seen("A-RELEASE-RP", "A-RELEASE-RP")


@AREA.case(
    5,
    title=("中断の後も受け付ける", "After an abort the next is served"),
    clauses=("PS3.8 7.3", "PS3.8 9.3.8"),
    done=(
        "5回、接続を A-ABORT で切り、続けて C-ECHO",
        "Aborted five associations, then C-ECHO",
    ),
    expected=("C-ECHO に 0000H", "C-ECHO answered 0000H"),
    needs=(Need.ADMITTED,),
)
def abort(session: Session) -> Seen:
    """Rudeness of one leaves no trace on the next."""
    for _ in range(5):
        with wire.associated(session.target, _ECHO) as line:
            line.abort()
    return echo(session)


@AREA.case(
    6,
    title=("長さを偽った PDU を待たない", "A PDU that lies about its length is not waited for"),
    clauses=("PS3.8 9.3.1", "PS3.8 9.3.8", "DAT-15"),
    done=(
        "長さ FFFFFFFFH の P-DATA-TF の先頭だけを送信",
        "Sent the head of a P-DATA-TF with length FFFFFFFFH",
    ),
    expected=("A-ABORT または切断", "A-ABORT, or closed"),
    needs=(Need.ADMITTED,),
)
def long_pdu(session: Session) -> Seen:
    """4 GiB are neither reserved nor waited for."""
    with wire.associated(session.target, _ECHO) as line:
        line.send(bytes([P_DATA, 0]) + b"\xff" * 4 + bytes(64))
        return _turned_away(line)


@AREA.case(
    7,
    title=("知らない種類の PDU を断つ", "A PDU of unknown type ends the association"),
    clauses=("PS3.8 9.2.3", "PS3.8 9.3.8"),
    done=("種類 FFH の PDU を送信", "Sent a PDU of type FFH"),
    expected=("A-ABORT または切断", "A-ABORT, or closed"),
    needs=(Need.ADMITTED,),
)
def unknown_pdu(session: Session) -> Seen:
    """Event 19 of the state table: AA-8."""
    with wire.associated(session.target, _ECHO) as line:
        line.send(b"\xff\x00\x00\x00\x00\x04abcd")
        return _turned_away(line)


@AREA.case(
    8,
    title=("二度目の A-ASSOCIATE-RQ を断つ", "A second A-ASSOCIATE-RQ ends the association"),
    clauses=("PS3.8 9.2.3", "PS3.8 9.3.8"),
    done=(
        "成立した接続の上で、もう一度 A-ASSOCIATE-RQ",
        "Sent A-ASSOCIATE-RQ again on an established association",
    ),
    expected=("A-ABORT または切断", "A-ABORT, or closed"),
    needs=(Need.ADMITTED,),
)
def second_request(session: Session) -> Seen:
    """Event 6 in state 6: AA-8."""
    with wire.associated(session.target, _ECHO) as line:
        line.send(wire.associate_rq(session.target, _ECHO))
        return _turned_away(line)


@AREA.case(
    9,
    title=("こちらの最大 PDU 長を守る", "Our maximum PDU length is kept"),
    clauses=("PS3.8 D.1",),
    done=(f"最大 {_SMALL} バイトと告げて C-ECHO", f"C-ECHO, announcing {_SMALL} bytes at most"),
    expected=(f"P-DATA-TF が {_SMALL} バイト以下", f"No P-DATA-TF above {_SMALL} bytes"),
    needs=(Need.ADMITTED,),
)
def our_maximum(session: Session) -> Seen:
    """The length is the receiver's to keep when it answers."""
    with wire.associated(session.target, _ECHO, maximum=_SMALL) as line:
        line.echo()
        longest, theirs = line.longest_seen, line.peer_maximum
    if longest > _SMALL:
        raise Failed(f"{longest} バイト", f"{longest} bytes")
    return seen(
        f"最長 {longest} バイト。相手の最大は {theirs or '無制限'}",
        f"longest {longest} bytes; theirs is {theirs or 'unlimited'}",
    )


def _turned_away(line: wire.Wire) -> Seen:
    try:
        answer = line.receive()
    except wire.Ended as error:
        return seen(f"切断 ({error.how})", f"closed ({error.how})", remark=True)
    except wire.Silent as error:
        raise Failed("応答も切断もありません", "neither answered nor closed") from error
    if answer.type != ABORT:
        name = {ASSOCIATE_AC: "A-ASSOCIATE-AC", ASSOCIATE_RJ: "A-ASSOCIATE-RJ"}.get(
            answer.type, f"PDU {answer.type:02X}H"
        )
        raise Failed(f"{name} で応答", f"answered with {name}")
    return seen(
        f"A-ABORT 送信元 {answer.body[2]} 理由 {answer.body[3]}",
        f"A-ABORT source {answer.body[2]} reason {answer.body[3]}",
    )
