"""The verbs of a running receiver: run, status."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from common import console, logs
from common.settings import data_folder

Data = Annotated[
    Path | None, typer.Option("--data", help="データフォルダー / data directory", metavar="DIR")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSONで出す / print JSON")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the receiver's room."""
    app.command()(run)
    app.command()(status)
    app.command("list")(listed)


def run(data: Data = None, as_json: AsJson = False) -> None:
    """受信を始める / open the doors and serve until Ctrl-C."""
    with console.verb(as_json=as_json):
        from receiver import run as running

        logs.begin()

        def ready(words: dict[str, Any]) -> None:
            if as_json:
                console.emit(words)
            else:
                console.say(f"受信できます。ビューア: {words['viewer']}",
                            f"Ready. Viewer: {words['viewer']}")  # fmt: skip

        running.run(data_folder("receiver", data).absolute(), ready)
        console.say("受信を終えました", "The receiver has ended")


_MARKS = {"prior": ("過去画像", "prior"), "withdrawn": ("取り消された予告", "withdrawn")}
_UNASKED = ("依頼情報なし", "no request")
ALARMS = 20  # the newest, that are listed


def coming(known: Any, settings: Any) -> dict[str, Any]:
    """Return how many studies are purged before long, and from which day on."""
    from datetime import UTC, datetime

    from receiver.purge import due

    found = due(known, settings.purge_days, datetime.now(UTC), settings.purge_notice_days)
    free = [one for one in found if one.held is None]
    return {
        "studies": len(free),
        "first": min((one.on for one in free), default=None),
        "held": len(found) - len(free),
    }


def made_here(folder: Path) -> dict[str, Any]:
    """Return how far the levels have come that slides lack."""
    from receiver.derived import Shelf

    return Shelf(folder / "store").standing()


def _say(kept: dict[str, Any]) -> None:
    """Say what a person has to know besides the transfers."""
    for one in kept["damaged"]:
        refused = one["refused"]
        again = ("再送を依頼中", "asked for again") if refused is None else (
            f"照会: {refused['ja']}", f"inquiry: {refused['en']}")  # fmt: skip
        console.say(f"破損 1枚 ({(one['transfer'] or '-')[:8]}): {again[0]}",
                    f"1 damaged ({(one['transfer'] or '-')[:8]}): {again[1]}")  # fmt: skip
    for one in kept["troubles"]:
        console.say(f"見張りが働いていません {one['at']}: {one['cause']}",
                    f"a watch does not work {one['at']}: {one['cause']}")  # fmt: skip
    if kept["aside"]:
        console.say(f"別に置いた画像 {kept['aside']} 枚", f"{kept['aside']} images kept aside")
    for one in kept["alarms"]:
        console.say(f"警報 {one['at']} {one.get('institution')}: {one.get('cause')}",
                    f"alarm {one['at']} {one.get('institution')}: {one.get('cause')}")  # fmt: skip
    made = kept["derived"]
    if made["waiting"]:
        left, percent = made["waiting"], made["percent"]
        held = "、ディスクの空き待ち", ", waiting for room on the disk"
        ja, en = held if made["held"] else ("", "")
        console.say(f"標本の縮小レベル: 残り {left}、今のもの {percent} %{ja}",
                    f"slide levels to derive: {left}, the present one {percent} %{en}")  # fmt: skip
    if kept["purge"]["studies"]:
        words = kept["purge"]
        console.say(f"{words['first']} から {words['studies']} 件の画像を消します",
                    f"{words['studies']} studies are purged from {words['first']} on")  # fmt: skip


def _transfer(row: Any) -> dict[str, Any]:
    """Return a transfer without the text of its request: who watches over it is no reader."""
    from common import request

    asked = json.loads(row.request)
    return {
        "id": row.id,
        "institution": row.institution,
        "kind": row.kind,
        "state": row.state,
        "priority": row.priority,
        "purpose": row.purpose,
        "requested": request.told(asked),
        "prior": request.is_prior(asked),
        "withdrawn": "withdrawn" in asked,
        "arrived": row.arrived or 0,
        "expected": row.expected,
        "repeats": row.repeats,
        "test": row.test,
        "opened_at": row.opened_at,
    }


def _tell(one: dict[str, Any]) -> None:
    from common.states import WORDS, TransferState

    english = console.language() == "en"
    words = WORDS[TransferState(one["state"])]
    marks = [mark[english] for name, mark in _MARKS.items() if one[name]]
    if not (one["requested"] or one["prior"]):
        marks.append(_UNASKED[english])
    count = f"{one['arrived']}/{one['expected'] or '?'}"
    word = words.en if english else words.ja
    console.tell(f"{word}  {count}  {one['id'][:8]}  {' '.join(marks)}".rstrip())


def status(data: Data = None, as_json: AsJson = False) -> None:
    """届いたものの様子 / what has arrived, and how far it is."""
    from sqlalchemy import func, select

    from common import audit
    from common.proof.identity import Node
    from common.proof.role import Role
    from common.settings import Receiver
    from common.states import ABSENT
    from receiver import index, repairs, rounds, upkeep
    from receiver.index import Index

    with console.verb(as_json=as_json):
        folder = data_folder("receiver", data)
        node = Node.load(folder, Role.SUPPORTER)
        with contextlib.closing(Index.at(folder)) as known:
            standing = upkeep.standing(node, known)
        with contextlib.closing(Index.at(folder)) as known, known.read() as db:
            held = (
                select(index.instances.c.transfer, func.count().label("arrived"))
                .where(index.instances.c.state.not_in(ABSENT))
                .group_by(index.instances.c.transfer)
                .subquery()
            )
            rows = db.execute(
                select(index.transfers, held.c.arrived)
                .outerjoin(held, held.c.transfer == index.transfers.c.id)
                .order_by(index.transfers.c.opened_at)
            ).all()
            damaged = repairs.listed(db)
            kept = {
                "damaged": damaged,
                "troubles": rounds.troubles(db),
                "aside": sum(1 for _ in (folder / "store" / "aside").glob("*")),
                "alarms": audit.last(folder / "audit", "alarm", ALARMS),
                "derived": made_here(folder),
                "purge": coming(known, Receiver.load(folder)),
            }
        found = [_transfer(row) for row in rows]
        if as_json:
            console.emit({"transfers": found, **kept, **standing})
            return
        for ja, en in standing["warnings"]:
            console.say(ja, en)
        for one in found:
            _tell(one)
        _say(kept)


def listed(
    search: Annotated[str | None, typer.Option(help="依頼情報の語 / words of the request")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """読影の一覧 (氏名が出ます) / the work list, with names and requests."""
    from common.proof import role
    from receiver.facts import KnownFacts
    from receiver.index import Index
    from receiver.worklist import Worklist

    with console.verb(as_json=as_json):
        folder = data_folder("receiver", data)
        role.read(folder, role.Role.SUPPORTER)
        with contextlib.closing(Index.at(folder)) as known:
            rows = Worklist(known, KnownFacts(folder / "store")).rows(search or "")
        if as_json:
            console.emit({"rows": rows})
            return
        lang = console.language()
        for row in rows:
            patient = row["patient"]
            name = patient["ideographic"] or patient["alphabetic"] or "-"
            prior = f"[{_MARKS['prior'][lang == 'en']}]" if row["prior"] else ""
            asked = row["request"].get("reason") or ""
            if not (row["requested"] or row["prior"]):
                asked = _UNASKED[lang == "en"]
            words = (row[f"state_{lang}"], row["priority"], patient["id"], name, prior, asked)
            console.tell("  ".join(word.replace("\n", " ") for word in words if word))
