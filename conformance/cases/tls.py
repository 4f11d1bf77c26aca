"""TLS as the receiver's DICOM door speaks it (PS3.15 B.12; RFC 9325; requirements NET)."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack
from time import monotonic

from conformance import hello, wire
from conformance.case import Area, Failed, Need, Seen, Words, seen
from conformance.session import Session
from conformance.wire import IMPLICIT, VERIFICATION

AREA = Area("TLS", Words("暗号化通信", "TLS"))
SILENT_CLIENTS = 20
SILENT_SECONDS = 1.0
_ECHO = [(VERIFICATION, IMPLICIT)]


@AREA.case(
    1,
    title=("TLS 1.3 で接続できる", "TLS 1.3 is accepted"),
    clauses=("PS3.15 B.12", "RFC 8446", "NET-01", "NET-04"),
    done=("TLS 1.3 だけを提示して C-ECHO", "C-ECHO, offering TLS 1.3 alone"),
    expected=("TLS 1.3 で応答 0000H", "Answered 0000H over TLS 1.3"),
    needs=(Need.TLS,),
)
def tls13(session: Session) -> Seen:
    """Offer 1.3 alone, the receiver's certificate verified by name and chain."""
    context = _context(session)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        return _echoed(session, context)
    except ssl.SSLCertVerificationError as error:
        raise Failed(
            f"受信側の証明書を確かめられません ({error.verify_message})",
            f"the receiver's certificate does not verify ({error.verify_message})",
        ) from error
    except wire.Ended as error:
        raise Failed(f"拒否 ({error.how})", f"refused ({error.how})") from error


@AREA.case(
    2,
    title=("TLS 1.2 の扱い", "What becomes of TLS 1.2"),
    clauses=("PS3.15 B.12", "RFC 9325 4.2", "NET-02", "NET-04"),
    done=(
        "TLS 1.2 の ECDHE + AEAD 暗号スイートだけを提示",
        "Offered TLS 1.2 with ECDHE and AEAD suites alone",
    ),
    expected=(
        "dicom-b12 なら受け付け、jp-high13 なら拒否。指定がなければ結果を記録",
        "Taken under dicom-b12, refused under jp-high13; written down where neither is named",
    ),
    needs=(Need.TLS,),
)
def tls12(session: Session) -> Seen:
    """Record the profile, and hold the receiver to it when the tester named one."""
    answer = hello.offer(session.target, hello.TLS_1_2, hello.ECDHE_AEAD)
    profile = "dicom-b12" if answer.chosen else "jp-high13"
    words = Words(f"{answer.words}: {profile} の挙動", f"{answer.words}: behaves as {profile}")
    if session.target.profile not in (None, profile):
        raise Failed(*words)
    return Seen(words)


@AREA.case(
    3,
    title=("TLS 1.1 と 1.0 を拒む", "TLS 1.1 and 1.0 are refused"),
    clauses=("PS3.15 B.12", "RFC 8996", "NET-02"),
    done=(
        "TLS 1.1、次に 1.0 の ClientHello を送信",
        "Sent a ClientHello of TLS 1.1, then of 1.0",
    ),
    expected=("ServerHello を返さない", "No ServerHello"),
    needs=(Need.TLS,),
)
def old_versions(session: Session) -> Seen:
    """Ask with bytes written by hand: our own library would not."""
    answers = [
        hello.offer(session.target, version, hello.CBC)
        for version in (hello.TLS_1_1, hello.TLS_1_0)
    ]
    return _all_refused(answers)


@AREA.case(
    4,
    title=("CBC だけの暗号スイートを拒む", "Suites with CBC alone are refused"),
    clauses=("RFC 9325 4.2", "NET-02"),
    done=(
        "TLS 1.2 で CBC の暗号スイートだけを提示",
        "Offered TLS 1.2 with CBC suites alone",
    ),
    expected=("ServerHello を返さない", "No ServerHello"),
    needs=(Need.TLS,),
)
def cbc(session: Session) -> Seen:
    """CBC and SHA-1 suites are outside the high-security list."""
    return _all_refused([hello.offer(session.target, hello.TLS_1_2, hello.CBC)])


@AREA.case(
    5,
    title=("RSA 鍵交換を拒む", "RSA key exchange is refused"),
    clauses=("RFC 9325 4.1", "NET-02"),
    done=(
        "TLS 1.2 で前方秘匿性のない暗号スイートだけを提示",
        "Offered TLS 1.2 with suites without forward secrecy alone",
    ),
    expected=("ServerHello を返さない", "No ServerHello"),
    needs=(Need.TLS,),
)
def static_rsa(session: Session) -> Seen:
    """A key that leaks later must not open what was recorded today."""
    return _all_refused([hello.offer(session.target, hello.TLS_1_2, hello.STATIC_RSA)])


@AREA.case(
    6,
    title=("平文の DICOM に応じない", "DICOM in clear gets no association"),
    clauses=("PS3.15 B.12", "PS3.8 9.3.3", "NET-10", "NET-15"),
    done=("TLS のポートへ平文の A-ASSOCIATE-RQ を送信", "Sent A-ASSOCIATE-RQ in clear to the port"),
    expected=("A-ASSOCIATE-AC を返さない", "No A-ASSOCIATE-AC"),
    needs=(Need.TLS,),
)
def plaintext(session: Session) -> Seen:
    """No opportunistic upgrade, no fallback."""
    with wire.connected(session.target) as line:
        line.send(wire.associate_rq(session.target, _ECHO))
        try:
            answer = line.first_bytes()
        except wire.Silent:
            return seen("応答なし、接続は開いたまま", "no answer, still open", remark=True)
    if answer[:1] in (b"\x02", b"\x03"):
        raise Failed(
            f"平文の DICOM に PDU {answer[0]:02X}H で応答",
            f"answered DICOM in clear with PDU {answer[0]:02X}H",
        )
    return _ended(answer)


@AREA.case(
    7,
    title=("HTTP には閉じる", "HTTP is shut out"),
    clauses=("PS3.8 9.2.3", "NET-15"),
    done=("DICOM のポートへ HTTP の GET を送信", "Sent an HTTP GET to the DICOM port"),
    expected=(
        "接続を閉じる。HTTP で返すなら誤りの番号だけ",
        "The connection is closed; if it answers in HTTP, then with an error alone",
    ),
)
def http(session: Session) -> Seen:
    """Whoever strayed here may be told so, and no more."""
    with wire.connected(session.target) as line:
        line.send(b"GET / HTTP/1.1\r\nHost: todoke-test\r\n\r\n")
        try:
            answer = line.first_bytes()
            while answer.startswith(b"HTTP/") and (more := line.first_bytes()):
                answer += more
        except wire.Silent as error:
            raise Failed("接続が開いたままです", "the connection stays open") from error
    if not answer.startswith(b"HTTP/"):
        return _ended(answer)
    status = answer.partition(b" ")[2][:3].decode("ascii", "replace")
    if status[:1] not in ("4", "5"):
        raise Failed(f"HTTP {status} で応答しました", f"answered HTTP {status}")
    return seen(f"HTTP {status} を返して閉じました", f"answered HTTP {status} and closed")


@AREA.case(
    8,
    title=("無言の接続が他を妨げない", "Silent connections hold up nobody"),
    clauses=("NET-07", "OPS-10"),
    done=(
        f"無言の TCP 接続を {SILENT_CLIENTS} 本保ったまま C-ECHO",
        f"C-ECHO while {SILENT_CLIENTS} silent TCP connections are held",
    ),
    expected=(
        f"{SILENT_SECONDS:.0f} 秒以内に応答 0000H",
        f"Answered 0000H within {SILENT_SECONDS:.0f} s",
    ),
    needs=(Need.ADMITTED,),
)
def silent(session: Session) -> Seen:
    """One machine that connects and says nothing must not stop a hospital."""
    with ExitStack() as held:
        try:
            for _ in range(SILENT_CLIENTS):
                held.enter_context(wire.connected(session.target))
            start = monotonic()
            with wire.associated(session.target, _ECHO) as line:
                line.echo()
        except (wire.Ended, wire.Silent, OSError) as error:
            raise Failed(
                f"応答がありません ({type(error).__name__})",
                f"no answer ({type(error).__name__})",
            ) from error
        seconds = monotonic() - start
    if seconds > SILENT_SECONDS:
        raise Failed(f"{seconds:.1f} 秒かかりました", f"took {seconds:.1f} s")
    return seen(f"{seconds:.2f} 秒", f"{seconds:.2f} s")


def _context(session: Session) -> ssl.SSLContext:
    context = session.target.context()
    if context is None:
        raise ValueError("a case of TLS ran without TLS")
    return context


def _echoed(session: Session, context: ssl.SSLContext) -> Seen:
    with wire.connected(session.target, context=context) as line:
        answer = line.associate(session.target, _ECHO)
        if answer.type != wire.ASSOCIATE_AC:
            raise Failed(f"PDU {answer.type:02X}H", f"PDU {answer.type:02X}H")
        status = line.echo()
        version, suite = _facts(line.sock)
        if status:
            raise Failed(f"状態 {status:04X}H", f"status {status:04X}H")
        return seen(f"{version} {suite}, 0000H", f"{version} {suite}, 0000H")


def _facts(sock: socket.socket) -> tuple[str, str]:
    if not isinstance(sock, ssl.SSLSocket):
        raise TypeError("a case of TLS ran on a plain socket")
    cipher = sock.cipher()
    return sock.version() or "?", cipher[0] if cipher else "?"


def _all_refused(answers: list[hello.Hello]) -> Seen:
    words = ", ".join(answer.words for answer in answers)
    if any(answer.chosen for answer in answers):
        raise Failed(f"受け付けました: {words}", f"taken: {words}")
    return seen(f"拒否 ({words})", f"refused ({words})")


def _ended(answer: bytes) -> Seen:
    if not answer:
        return seen("接続が閉じました", "the connection was closed")
    if answer[0] == 0x15:
        return seen("TLS の警告を受けて終了", "a TLS alert")
    if answer[0] == wire.ABORT:
        return seen("A-ABORT を受けて終了", "an A-ABORT")
    return seen(f"応答 {answer[:8].hex()}", f"answer {answer[:8].hex()}", remark=True)
