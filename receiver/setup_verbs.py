"""``todoke receiver init | invite | identity | partner | web-root``."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.console import emit, say, verb
from common.settings import Receiver, data_folder
from common.verbs import Data, Json, ask, operator

if TYPE_CHECKING:
    from common.proof.identity import Node

partner = typer.Typer(no_args_is_help=True, help="送信側の一覧と登録 / partners that may send")
Code = Annotated[
    str | None, typer.Option("--code", help="保険医療機関コード 10桁 / institution code")
]


def register(app: typer.Typer) -> None:
    """Add the verbs to the room's command."""
    app.command("init")(init)
    app.command("invite")(invite)
    app.command("identity")(identity)
    app.command("web-root")(web_root)
    app.add_typer(partner, name="partner")


def _node(data: Path | None) -> tuple[Node, Receiver]:
    from common.proof.identity import Node
    from common.proof.role import Role

    folder = data_folder("receiver", data)
    return Node.load(folder, Role.SUPPORTER), Receiver.load(folder)


def init(
    name: Annotated[str | None, typer.Option(help="医療機関の名前 / institution name")] = None,
    code: Code = None,
    address: Annotated[str | None, typer.Option(help="所在地 / postal address")] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(help="送信側から見た名前やIP (繰り返し可) / name or IP that senders use"),
    ] = None,
    operator_name: Annotated[
        str | None, typer.Option("--operator", help="作業者 / who does this")
    ] = None,
    bind: Annotated[str | None, typer.Option(help="待受アドレス / address to listen at")] = None,
    dicom_port: Annotated[int, typer.Option(help="DICOM (TLS)")] = Receiver.dicom_port,
    link_port: Annotated[int, typer.Option(help="リンク / link")] = Receiver.link_port,
    pairing_port: Annotated[int, typer.Option(help="組み合わせ / pairing")] = (
        Receiver.pairing_port
    ),
    viewer_port: Annotated[int, typer.Option(help="ビューア / viewer")] = Receiver.viewer_port,
    viewer_bind: Annotated[
        str, typer.Option(help="ビューアの待受アドレス / address of the viewer")
    ] = Receiver.viewer_bind,
    web_cert: Annotated[
        Path | None, typer.Option(help="ビューアの証明書 PEM / certificate of the viewer")
    ] = None,
    web_key: Annotated[Path | None, typer.Option(help="その鍵 PEM / its key")] = None,
    aet: Annotated[str, typer.Option(help="AEタイトル / AE title")] = Receiver.aet,
    second_factor: Annotated[
        bool, typer.Option(help="全員に二要素認証を求める / everybody has a second factor")
    ] = Receiver.second_factor,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """受信側を初期設定する: 施設、鍵、認証局、設定、導入記録 / set up a receiver."""
    with verb(as_json=as_json):
        import socket

        from common.proof.identity import Institution
        from receiver import setup

        institution = Institution(
            ask(name, "--name", "医療機関の名前", "Name of the institution"),
            ask(code, "--code", "保険医療機関コード (10桁)", "Institution code (ten digits)"),
            ask(address, "--address", "所在地", "Postal address", "-"),
        )
        first = (
            None
            if host
            else ask(
                None,
                "--host",
                "送信側から見た名前かIP",
                "Name or IP that senders use",
                socket.gethostname(),
            )
        )
        settings = Receiver(
            hosts=tuple(host or [str(first)]),
            bind=bind or Receiver.bind,
            dicom_port=dicom_port,
            link_port=link_port,
            pairing_port=pairing_port,
            viewer_port=viewer_port,
            viewer_bind=viewer_bind,
            web_cert=str(web_cert.resolve()) if web_cert else "",
            web_key=str(web_key.resolve()) if web_key else "",
            aet=aet,
            second_factor=second_factor,
        )
        folder = data_folder("receiver", data)
        node = setup.init(folder, institution, settings, operator=operator(operator_name))
        say(f"{folder} に受信側を設定しました。", f"Receiver set up in {folder}.")
        _say_identity(node)
        _say_firewall(settings)
        say(
            "次: todoke receiver invite 病院名 --code コード、そして todoke receiver run",
            "Next: todoke receiver invite NAME --code CODE, then todoke receiver run",
        )
        if as_json:
            emit(_identity(node, settings))


def invite(
    name: Annotated[str, typer.Argument(help="招く医療機関の名前 / institution to invite")],
    code: Code = None,
    address: Annotated[
        list[str] | None,
        typer.Option(help="送信側から見た受信側のアドレス、順に試す / where the sender finds us"),
    ] = None,
    hours: Annotated[float, typer.Option(help="有効時間 / hours it is good for")] = 72.0,
    out: Annotated[Path, typer.Option(help="書き出すフォルダー / folder to write to")] = Path(),
    replace: Annotated[
        bool, typer.Option("--replace", help="登録済みの相手を組み直す / pair a known one again")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """送信側への招待を1通作る / write one invitation for a sender."""
    with verb(as_json=as_json):
        from common.proof.identity import Institution, spoken
        from receiver import setup

        node, settings = _node(data)
        asked = ask(code, "--code", "保険医療機関コード (10桁)", "Institution code (ten digits)")
        made = setup.invite(
            node,
            settings,
            Institution(name, asked),
            addresses=address or (),
            hours=hours,
            replace=replace,
        )
        path = setup.save_invitation(made, out)
        say(
            f"招待: {path} ({made.expires_at} まで、1回だけ)",
            f"Invitation: {path} (until {made.expires_at}, once)",
        )
        say(
            f"秘密が入っています。手渡しか、暗号化した経路で {name} だけに渡してください。",
            f"It holds a secret: hand it over in person or encrypted, to {name} alone.",
        )
        say(
            f"CAの指紋 (電話で読み合わせる): {spoken(made.ca_sha256)}",
            f"Fingerprint of the CA (compare by telephone): {spoken(made.ca_sha256)}",
        )
        _say_firewall(settings)
        if as_json:
            shown = made.as_json()
            del shown["secret"]
            emit({"path": str(path), "invitation": shown})


def identity(data: Data = None, as_json: Json = False) -> None:
    """施設、指紋、証明書の残り日数を見せる / show institution and fingerprints."""
    with verb(as_json=as_json):
        node, settings = _node(data)
        _say_identity(node)
        if as_json:
            emit(_identity(node, settings))


def web_root(
    out: Annotated[Path, typer.Argument(help="書き出すフォルダー / folder to write to")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """読影端末に入れるルート証明書と手順書を書き出す / write the root certificate and its page."""
    with verb(as_json=as_json):
        from receiver.web_root import write_web_root

        node, settings = _node(data)
        files = write_web_root(node, settings, out)
        say(f"{out} に書きました。index.html を読んでください。", f"Written to {out}.")
        if as_json:
            emit({"files": [str(path) for path in files]})


@partner.command("list")
def partner_list(data: Data = None, as_json: Json = False) -> None:
    """登録した送信側を並べる / list partners."""
    with verb(as_json=as_json):
        from receiver import registry
        from receiver.index import Index

        node, _ = _node(data)
        with closing(Index.at(node.data)) as known_index:
            known = registry.list_partners(known_index)
        for one in known:
            line = f"{one.code}  {one.name}  {one.kind}  {one.aet}"
            ended = bool(one.revoked_at)
            say(line + "  失効" * ended, line + "  revoked" * ended)
        if not known:
            say("まだ登録がありません。", "No partner yet.")
        if as_json:
            emit({"partners": [asdict(one) for one in known]})


@partner.command("add")
def partner_add(
    name: Annotated[str, typer.Argument(help="医療機関の名前 / institution name")],
    aet: Annotated[str, typer.Option(help="相手の(発信)AEタイトル / its calling AE title")],
    code: Code = None,
    cert: Annotated[Path | None, typer.Option(help="相手の証明書 PEM / its certificate")] = None,
    ca: Annotated[Path | None, typer.Option(help="そのCA PEM / the CA of it")] = None,
    issue: Annotated[
        Path | None,
        typer.Option(help="代わりに鍵と証明書を発行するフォルダー / issue one here instead"),
    ] = None,
    commit_address: Annotated[
        str, typer.Option(help="保管確約の返事をかける HOST:PORT / where commitments are reported")
    ] = "",
    crl: Annotated[
        Path | None,
        typer.Option(help="--ca の失効リスト (更新し続けるファイル) / revocation list of --ca"),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """ほかのDICOM製品を登録する / enter a DICOM product that is not todoke."""
    with verb(as_json=as_json):
        from common.proof.identity import Institution, spoken
        from receiver import registry
        from receiver.index import Index

        node, settings = _node(data)
        asked = ask(code, "--code", "保険医療機関コード (10桁)", "Institution code (ten digits)")
        with closing(Index.at(node.data)) as known:
            added = registry.add_product(
                node,
                known,
                Institution(name, asked),
                aet=aet,
                certificate=cert,
                ca=ca,
                issue=issue,
                commit_address=commit_address,
                crl=crl,
            )
        digits = spoken(added.fingerprint or "")
        say(f"{name} を登録しました: {aet} {digits}", f"Added {name}: {aet} {digits}")
        if issue is not None:
            say(
                f"{issue} の鍵と証明書を相手の製品に入れ、その後ここから消してください。",
                f"Put the key and certificate in {issue} into the product, then delete them here.",
            )
        _say_firewall(settings)
        if added.commit_address:
            say(
                f"外向きTCP: {added.commit_address}  保管確約の返事",
                f"Outward TCP: {added.commit_address}  reports of Storage Commitment",
            )
        if as_json:
            emit(asdict(added))


@partner.command("revoke")
def partner_revoke(
    name: Annotated[str, typer.Argument(help="コードか名前 / code or name")],
    reason: Annotated[str, typer.Option(help="理由 (記録に残る) / why, for the record")],
    operator_name: Annotated[
        str | None, typer.Option("--operator", help="作業者 / who does this")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """相手の証明書を失効させる: 次の要求から受け付けない / take nothing more from a partner."""
    with verb(as_json=as_json):
        from common.audit.minding import noted
        from receiver import registry, revocation
        from receiver.index import Index

        node, _ = _node(data)
        who = operator(operator_name)
        with closing(Index.at(node.data)) as known:
            revoked = registry.revoke(known, name, reason)
            words = {"institution": revoked.code, "reason": reason, "operator": who}
            noted(node.data, "partner-revoked", **words)
            revocation.renew(node, known)
        say(
            f"{revoked.name} の証明書を失効させました。届いた画像は残ります。",
            f"Revoked {revoked.name}. The images that arrived stay.",
        )
        say(
            "組み直すとき: todoke receiver invite --replace",
            "To pair again: todoke receiver invite --replace",
        )
        if as_json:
            emit(asdict(revoked))


def _identity(node: Node, settings: Receiver) -> dict[str, object]:
    from common.tls import fingerprint_of_pem
    from receiver import setup

    return {
        "role": node.role,
        "institution": asdict(node.institution),
        "data": str(node.data),
        "hosts": list(settings.hosts),
        "aet": settings.aet,
        "ports": {
            "dicom": settings.dicom_port,
            "link": settings.link_port,
            "pairing": settings.pairing_port,
            "viewer": settings.viewer_port,
        },
        "ca_sha256": fingerprint_of_pem(node.ca),
        "signing_sha256": node.signing_fingerprint,
        "certificate_days": setup.certificate_days(node),
    }


def _say_identity(node: Node) -> None:
    from common.proof.identity import spoken
    from common.tls import fingerprint_of_pem
    from receiver import setup

    own = node.institution
    say(f"支援側 {own.name} ({own.code})", f"Supporting side {own.name} ({own.code})")
    say(
        f"CAの指紋:     {spoken(fingerprint_of_pem(node.ca))}",
        f"CA:           {spoken(fingerprint_of_pem(node.ca))}",
    )
    say(
        f"署名鍵の指紋: {spoken(node.signing_fingerprint)}",
        f"Signing key:  {spoken(node.signing_fingerprint)}",
    )
    days = setup.certificate_days(node)
    say(f"TLS証明書の残り: {days} 日", f"TLS certificate: {days} days left")


def _say_firewall(settings: Receiver) -> None:
    from receiver import setup

    say("ファイアウォール (受信側、内向きTCP):", "Firewall of the receiver (inward TCP):")
    for row in setup.firewall(settings):
        say(f"  {row.port:>5}  {row.ja}", f"  {row.port:>5}  {row.en}")
