"""Who is let in: certificates that are wrong in one point each (PS3.15 B.12; NET-06, NET-11).

Under TLS 1.3 a client believes that its handshake went well even when its
certificate was refused; it is told at its first read.  So every trial goes on
to the A-ASSOCIATE-RQ and judges by what comes then.
"""

from __future__ import annotations

from conformance import wire
from conformance.case import Area, Failed, Need, Seen, Words, seen
from conformance.credentials import SERVER, Pair, like, unknown_authority
from conformance.session import Session
from conformance.wire import IMPLICIT, VERIFICATION

AREA = Area("CRT", Words("証明書", "Certificates"))
_ECHO = [(VERIFICATION, IMPLICIT)]
_REFUSED = (
    "TLS で拒否され、DICOM の応答はない",
    "Refused by TLS, without an answer in DICOM",
)
_CLAUSES = ("PS3.15 B.12", "NET-01", "NET-06")


@AREA.case(
    1,
    title=("証明書なしを拒む", "No certificate is refused"),
    clauses=_CLAUSES,
    done=("クライアント証明書を示さずに接続", "Connected without a client certificate"),
    expected=_REFUSED,
    needs=(Need.TLS, Need.ADMITTED),
)
def none(session: Session) -> Seen:
    """Both ends authenticate, always."""
    return _refused(session, None)


@AREA.case(
    2,
    title=("自己署名の証明書を拒む", "A self-signed certificate is refused"),
    clauses=_CLAUSES,
    done=(
        "名前は正しい自己署名の証明書で接続",
        "Connected with the right names in a certificate that signs itself",
    ),
    expected=_REFUSED,
    needs=(Need.TLS, Need.ADMITTED),
)
def self_signed(session: Session) -> Seen:
    """Names that are right prove nothing."""
    return _refused(session, like(session.certificate, None))


@AREA.case(
    3,
    title=("知らない認証局の証明書を拒む", "A certificate of an unknown CA is refused"),
    clauses=_CLAUSES,
    done=(
        "名前は正しく、認証局が登録されていない証明書で接続",
        "Connected with the right names in a certificate of a CA that is not registered",
    ),
    expected=_REFUSED,
    needs=(Need.TLS, Need.ADMITTED),
)
def unknown_ca(session: Session) -> Seen:
    """Only the CA that was agreed on vouches for anybody."""
    return _refused(session, like(session.certificate, unknown_authority()))


@AREA.case(
    4,
    title=("期限切れの証明書を拒む", "An expired certificate is refused"),
    clauses=("PS3.15 B.12", "RFC 5280 4.1.2.5", "NET-11"),
    done=(
        "正しい認証局が出した、昨日までの証明書で接続",
        "Connected with a certificate of the right CA that ended yesterday",
    ),
    expected=_REFUSED,
    needs=(Need.TLS, Need.ISSUER, Need.ADMITTED),
)
def expired(session: Session) -> Seen:
    """All is right but the last day."""
    _issuing_works(session)
    pair = like(session.certificate, session.issuer, first_day=-30, last_day=-1)
    return _refused(session, pair)


@AREA.case(
    5,
    title=("まだ有効でない証明書を拒む", "A certificate of the future is refused"),
    clauses=("PS3.15 B.12", "RFC 5280 4.1.2.5", "NET-11"),
    done=(
        "正しい認証局が出した、5日後からの証明書で接続",
        "Connected with a certificate of the right CA that begins in five days",
    ),
    expected=_REFUSED,
    needs=(Need.TLS, Need.ISSUER, Need.ADMITTED),
)
def future(session: Session) -> Seen:
    """All is right but the first day."""
    _issuing_works(session)
    return _refused(session, like(session.certificate, session.issuer, first_day=5))


@AREA.case(
    6,
    title=("用途違いの証明書を拒む", "A certificate for another use is refused"),
    clauses=("RFC 5280 4.2.1.12", "NET-11"),
    done=(
        "正しい認証局が出した、サーバー用途だけの証明書で接続",
        "Connected with a certificate of the right CA that is for servers alone",
    ),
    expected=_REFUSED,
    needs=(Need.TLS, Need.ISSUER, Need.ADMITTED),
)
def wrong_use(session: Session) -> Seen:
    """All is right but the extended key usage."""
    _issuing_works(session)
    return _refused(session, like(session.certificate, session.issuer, usages=(SERVER,)))


@AREA.case(
    7,
    title=("正しい証明書でも別の AE タイトルを拒む", "The right certificate with another AE title"),
    clauses=("PS3.8 9.3.4", "NET-06"),
    done=(
        "正しい証明書で、登録のない呼び出し元 AE タイトルを名乗る",
        "With the right certificate, called in under an AE title that is not its own",
    ),
    expected=("A-ASSOCIATE-RJ または切断", "A-ASSOCIATE-RJ, or closed"),
    needs=(Need.TLS, Need.ADMITTED),
)
def other_title(session: Session) -> Seen:
    """A certificate and an AE title belong together."""
    target = session.target
    with wire.connected(target, context=target.context()) as line:
        try:
            answer = line.associate(target, _ECHO, calling="TODOKE_OTHER")
        except wire.Ended as error:
            return seen(f"切断 ({error.how})", f"closed ({error.how})")
    if answer.type == wire.ASSOCIATE_AC:
        raise Failed("別の AE タイトルで接続できました", "another AE title was let in")
    return seen(f"拒否 {answer.body.hex()}", f"rejected {answer.body.hex()}")


def _issuing_works(session: Session) -> None:
    """Show first that a faultless certificate of the test CA is let in; else nothing is shown."""
    outcome = _try(session, like(session.certificate, session.issuer))
    if isinstance(outcome, str):
        raise ValueError(f"a faultless certificate of --test-ca-key is refused too: {outcome}")


def _refused(session: Session, pair: Pair | None) -> Seen:
    outcome = _try(session, pair)
    if isinstance(outcome, str):
        return seen(f"拒否 ({outcome})", f"refused ({outcome})")
    if outcome == wire.ASSOCIATE_RJ:
        raise Failed(
            "TLS は通り、DICOM の A-ASSOCIATE-RJ で拒否されました",
            "let in by TLS and refused by A-ASSOCIATE-RJ only",
        )
    raise Failed(f"通りました (PDU {outcome:02X}H)", f"let in (PDU {outcome:02X}H)")


def _try(session: Session, pair: Pair | None) -> int | str:
    """Return the type of the PDU that answered, or how the connection ended."""
    context = session.bare_context()
    if pair is not None:
        pair.load_into(context)
    try:
        with wire.connected(session.target, context=context) as line:
            return line.associate(session.target, _ECHO).type
    except wire.Ended as error:
        return error.how
