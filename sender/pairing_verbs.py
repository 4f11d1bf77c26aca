"""``todoke sender init | join | identity | partner | modality``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common.addresses import split_address
from common.console import emit, say, verb
from common.errors import UsageError
from common.settings import Sender, data_folder
from common.verbs import Data, Json, ask, operator

if TYPE_CHECKING:
    from common.proof.identity import Node
    from sender.partners import Partner

partner = typer.Typer(no_args_is_help=True, help="送り先の一覧と登録 / ends that we send to")
Limit = Annotated[
    list[str] | None,
    typer.Option("--limit", help="帯域の上限 Mbit/s: 20 | 08:00-18:00=5 | none (繰り返せる) / cap"),
]
Associations = Annotated[
    int | None,
    typer.Option(help="同時アソシエーションの最大数 1-16、0は設定どおり / most at a time"),
]
modality = typer.Typer(no_args_is_help=True, help="画像を渡す装置 / devices that hand us images")


def register(app: typer.Typer) -> None:
    """Add the verbs to the room's command."""
    app.command("init")(init)
    app.command("join")(join)
    app.command("identity")(identity)
    app.add_typer(partner, name="partner")
    app.add_typer(modality, name="modality")


def _node(data: Path | None) -> tuple[Node, Sender]:
    from common.proof.identity import Node
    from common.proof.role import Role

    folder = data_folder("sender", data)
    return Node.load(folder, Role.REQUESTER), Sender.load(folder)


def init(
    name: Annotated[str | None, typer.Option(help="医療機関の名前 / institution name")] = None,
    code: Annotated[
        str | None, typer.Option(help="保険医療機関コード 10桁 / institution code")
    ] = None,
    address: Annotated[str | None, typer.Option(help="所在地 / postal address")] = None,
    operator_name: Annotated[
        str | None, typer.Option("--operator", help="作業者 / who does this")
    ] = None,
    aet: Annotated[str, typer.Option(help="AEタイトル / AE title")] = Sender.aet,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """送信側を初期設定する: 施設、署名鍵、設定、導入記録 / set up a sender."""
    with verb(as_json=as_json):
        from common.proof.identity import Institution
        from sender import pairing

        institution = Institution(
            ask(name, "--name", "医療機関の名前", "Name of the institution"),
            ask(code, "--code", "保険医療機関コード (10桁)", "Institution code (ten digits)"),
            ask(address, "--address", "所在地", "Postal address", "-"),
        )
        folder = data_folder("sender", data)
        node = pairing.init(folder, institution, Sender(aet=aet), operator=operator(operator_name))
        say(f"{folder} に送信側を設定しました。", f"Sender set up in {folder}.")
        _say_identity(node)
        say(
            "次: 受信側からもらった招待で todoke sender join 招待.json",
            "Next: todoke sender join INVITATION, with the file the receiver gave you",
        )
        if as_json:
            emit(_identity(node))


def join(
    invitation: Annotated[Path, typer.Argument(help="招待のファイル / invitation file")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """招待を使って受信側と組む / pair with the receiver that made the invitation."""
    with verb(as_json=as_json):
        from common.proof.identity import spoken
        from common.proof.invitation import Invitation
        from sender import pairing

        node, settings = _node(data)
        read = Invitation.read(invitation)
        digits = spoken(read.ca_sha256)
        say(
            f"{read.receiver_name} のCAの指紋 (電話で読み合わせる): {digits}",
            f"CA of {read.receiver_name} (compare by telephone): {digits}",
        )
        joined = pairing.join(node, read, settings)
        say(
            f"{joined.name} ({joined.code}) と組みました。招待のファイルは消してください。",
            f"Paired with {joined.name} ({joined.code}). Delete the invitation file.",
        )
        rows = pairing.firewall(joined, read.pairing_port)
        _say_firewall(rows)
        if as_json:
            emit(_shown(joined) | {"firewall": [asdict(row) for row in rows]})


def identity(data: Data = None, as_json: Json = False) -> None:
    """施設と署名鍵の指紋を見せる / show institution and fingerprint."""
    with verb(as_json=as_json):
        node, _ = _node(data)
        _say_identity(node)
        if as_json:
            emit(_identity(node))


@partner.command("list")
def partner_list(data: Data = None, as_json: Json = False) -> None:
    """送り先を並べる / list the ends that we send to."""
    with verb(as_json=as_json):
        from sender.partners import load_partners

        node, _ = _node(data)
        known = load_partners(node.data)
        for one in known:
            line = f"{one.key}  {one.name}  {one.kind}  {one.aet}  {', '.join(one.addresses)}"
            line = f"{line}  {_line(one)}".rstrip()
            say(line, line)
        if not known:
            say("まだ登録がありません。", "No partner yet.")
        if as_json:
            emit({"partners": [_shown(one) for one in known]})


@partner.command("add")
def partner_add(
    name: Annotated[str, typer.Argument(help="短い名前 (英数字) / short name")],
    address: Annotated[list[str], typer.Option(help="HOST:PORT、順に試す / tried in order")],
    aet: Annotated[str, typer.Option(help="相手のAEタイトル / its AE title")],
    ca: Annotated[Path, typer.Option(help="相手のCAか自己署名証明書 PEM / its CA")],
    host: Annotated[str, typer.Option(help="証明書にある名前 / name in its certificate")] = "",
    pin: Annotated[
        bool, typer.Option("--pin", help="--ca は相手の証明書そのもの / --ca is its certificate")
    ] = False,
    code: Annotated[str | None, typer.Option(help="保険医療機関コード / institution code")] = None,
    calling: Annotated[str, typer.Option(help="こちらのAEタイトル / our AE title")] = "",
    cert: Annotated[Path | None, typer.Option(help="こちらの証明書 PEM / ours")] = None,
    key: Annotated[Path | None, typer.Option(help="その鍵 PEM / its key")] = None,
    limit: Limit = None,
    associations: Associations = None,
    commit: Annotated[
        bool, typer.Option("--commit", help="保管確約を求める / ask for Storage Commitment")
    ] = False,
    commit_listen: Annotated[
        str,
        typer.Option(help="返事を受ける ADDRESS:PORT (--commit を含む) / where it may dial back"),
    ] = "",
    crl: Annotated[
        Path | None,
        typer.Option(help="--ca の失効リスト (更新し続けるファイル) / revocation list of --ca"),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """ほかのDICOM製品を送り先にする / enter a DICOM product to send to."""
    with verb(as_json=as_json):
        from sender import pairing

        node, settings = _node(data)
        hosts, port = _addresses(address)
        added = pairing.add_product(
            node,
            name,
            addresses=hosts,
            port=port,
            aet=aet,
            calling_aet=calling or pairing.calling_aet(node, settings),
            ca=ca,
            host=host,
            pin=pin,
            code=code,
            certificate=cert,
            key=key,
            limits=limit or (),
            associations=associations or 0,
            commit=commit,
            commit_listen=commit_listen,
            crl=crl,
        )
        say(f"{name} を登録しました。", f"Added {name}.")
        made = pairing.product_ca_file(added)
        if made.exists():
            say(
                f"相手の製品に、AEタイトル {added.calling_aet} と {made} を登録してください。",
                f"Have the product accept AE title {added.calling_aet} and {made}.",
            )
        rows = pairing.firewall(added)
        _say_firewall(rows)
        if added.commit_listen:
            say(
                f"この相手だけに内向きTCP {added.commit_listen} (保管確約の返事)。",
                f"Inward TCP {added.commit_listen}, for this partner alone (commitment reports).",
            )
        if as_json:
            emit(_shown(added) | {"firewall": [asdict(row) for row in rows]})


@partner.command("limit")
def partner_limit(
    name: Annotated[str, typer.Argument(help="送り先 / partner")],
    limit: Limit = None,
    associations: Associations = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """帯域の上限を決める、送信中にも効く / cap the line to it, in mid-transfer too."""
    with verb(as_json=as_json):
        from sender import bell
        from sender.partners import find_partner

        node, _ = _node(data)
        changed = find_partner(node.data, name).with_line(limit, associations)
        if limit is not None or associations is not None:
            changed.save()
            bell.ring(node.data)
        say(
            f"{changed.key}: {_line(changed) or '制限なし'}",
            f"{changed.key}: {_line(changed) or 'no limit'}",
        )
        if as_json:
            emit(_shown(changed))


@modality.command("list")
def modality_list(data: Data = None, as_json: Json = False) -> None:
    """登録した装置を並べる / list devices."""
    with verb(as_json=as_json):
        from sender.partners import load_modalities

        node, _ = _node(data)
        known = load_modalities(node.data)
        for one in known:
            ja, en = ("  アーカイブ", "  archive") if one.archive else ("", "")
            say(f"{one.aet}  {one.address}{ja}", f"{one.aet}  {one.address}{en}")
        if not known:
            say("まだ登録がありません。", "No device yet.")
        if as_json:
            emit({"modalities": [asdict(one) for one in known]})


@modality.command("add")
def modality_add(
    aet: Annotated[str, typer.Argument(help="装置のAEタイトル / its AE title")],
    address: Annotated[str, typer.Option(help="装置のIPアドレス / its IP address")],
    archive: Annotated[
        bool, typer.Option("--archive", help="撮影装置ではなくPACSなどの保管庫 / a PACS, no device")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """画像を渡してよい装置を登録する / let a device hand us images."""
    with verb(as_json=as_json):
        from sender.partners import Modality, save_modality

        node, settings = _node(data)
        save_modality(node.data, Modality(aet, address, archive))
        say(f"{aet} ({address}) を登録しました。", f"Added {aet} ({address}).")
        if not settings.modality_bind:
            say(
                "まだ受けません。sender.toml の modality_bind にLAN側のアドレスを書いてください。",
                "Not taken yet: write the LAN address into modality_bind in sender.toml.",
            )
        if as_json:
            emit({"aet": aet, "address": address, "archive": archive})


def _addresses(lines: Sequence[str]) -> tuple[list[str], int]:
    """Split HOST:PORT lines; one product listens on one port."""
    pairs = [split_address(line, "--address") for line in lines]
    if len({port for _, port in pairs}) != 1:
        raise UsageError(cause="--address HOST:PORT")
    return [host for host, _ in pairs], pairs[0][1]


def _identity(node: Node) -> dict[str, Any]:
    return {
        "role": node.role,
        "institution": asdict(node.institution),
        "data": str(node.data),
        "signing_sha256": node.signing_fingerprint,
    }


def _shown(one: Partner) -> dict[str, Any]:
    """Return what a person may see of a partner: fingerprints in place of certificates."""
    from common.tls import fingerprint_of_pem

    words = asdict(one) | {"key": one.key, "file": str(one.file)}
    for name in ("ca", "signing_certificate"):
        pem = words.pop(name)
        words[f"{name}_sha256"] = fingerprint_of_pem(pem) if pem else None
    return words


def _line(one: Partner) -> str:
    """Return what is set of the line to a partner, in words of either language."""
    caps = [f"{', '.join(one.limits)} Mbit/s"] if one.limits else []
    return "  ".join([*caps, *([f"x{one.associations}"] if one.associations else [])])


def _say_identity(node: Node) -> None:
    from common.proof.identity import spoken

    own = node.institution
    digits = spoken(node.signing_fingerprint)
    say(f"依頼側 {own.name} ({own.code})", f"Requesting side {own.name} ({own.code})")
    say(f"署名鍵の指紋: {digits}", f"Signing key: {digits}")


def _say_firewall(rows: Sequence[Any]) -> None:
    say(
        "ファイアウォール (送信側、外向きTCP。内向きは不要):",
        "Firewall of the sender (outward TCP; nothing inward):",
    )
    for row in rows:
        say(f"  {row.address}:{row.port}  {row.ja}", f"  {row.address}:{row.port}  {row.en}")
