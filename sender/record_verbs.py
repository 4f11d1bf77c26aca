"""The verbs of evidence records: records list, records check, anchor; files of them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common import console, errors
from common.errors import NotFound, TodokeError, UsageError
from sender.sending_verbs import AsJson, Data, data_of

if TYPE_CHECKING:
    from common.proof.ledger import Finding
    from sender.outbox import Outbox, Transfer
    from sender.recorded import AnchorRow, Row

app = typer.Typer(no_args_is_help=True, help="証跡記録 / evidence records")


def register(room: typer.Typer) -> None:
    """Add the verbs to the sender's room."""
    room.command()(anchor)
    room.add_typer(app, name="records")


@app.command("list")
def list_records(
    to: Annotated[str | None, typer.Option(help="相手 / partner")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """記録の一覧 / every record, by partner and number."""
    from sender.outbox import Outbox

    with console.verb(as_json=as_json):
        with contextlib.closing(Outbox(data_of(data))) as outbox:
            rows = [describe(row) for row in outbox.records(to)]
        if as_json:
            console.emit({"records": rows})
            return
        for row in rows:
            signed = "副署済" if row["countersigned"] else "副署待ち" if row["owed"] else "副署なし"
            console.tell(
                f"{row['partner']} {row['number']:>6} {row['day']} {row['state']:<10}"
                f" {row['transfer'][:8]} {signed}"
            )


def describe(row: Row) -> dict[str, Any]:
    """Return a record as ``--json`` shows it."""
    return {
        "partner": row.partner,
        "number": row.number,
        "transfer": row.transfer,
        "state": row.state,
        "day": row.day,
        "name": row.name,
        "countersigned": row.countersignature is not None,
        "owed": bool(row.owed),
        "refused": row.refused,
        "timestamped": row.timestamp is not None,
    }


@app.command()
def again(
    number: Annotated[
        int | None, typer.Argument(help="記録の番号 (省くとすべて) / of one record")
    ] = None,
    to: Annotated[str | None, typer.Option(help="相手 / partner")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """原因を除いた後、副署されなかった記録を送り直す / send what was refused once more."""
    from sender.outbox import Outbox
    from sender.recorded import today

    with console.verb(as_json=as_json):
        folder = data_of(data)
        with contextlib.closing(Outbox(folder)) as outbox:
            asked = [(one.partner, one.number) for one in outbox.records(to)
                     if one.refused is not None and number in (None, one.number)]  # fmt: skip
            days = [(one.partner, one.day) for one in outbox.anchors(to)
                    if one.refused is not None and number is None]  # fmt: skip
            if not asked and not days:
                raise NotFound(thing="副署されなかった記録 / a refused record")
            outbox.ask_again(to, number)
            _work(folder, outbox, today())
            rows = [one for one in outbox.records() if (one.partner, one.number) in asked]
            anchors = [one for one in outbox.anchors() if (one.partner, one.day) in days]
        signed = [one.countersignature for one in rows] + [one.countersignature for one in anchors]
        if as_json:
            console.emit({"records": [describe(row) for row in rows],
                          "anchors": [_anchor(one) for one in anchors]})  # fmt: skip
        for row in rows:
            said = row.refused or {"ja": "副署済", "en": "countersigned"}
            console.say(f"{row.number}: {said['ja']}", f"{row.number}: {said['en']}")
        if None in signed:
            raise SystemExit(errors.RecordDiffers.exit_code)


def _work(folder: Path, outbox: Outbox, until: str) -> None:
    """Make, send and anchor what is owed to every partner; days before `until` are over."""
    import threading

    from common.proof.identity import Node
    from common.proof.role import Role
    from common.settings import Sender
    from sender.delivery import Delivery
    from sender.partners import find_partner
    from sender.record_sending import Recorder

    ours = outbox, Node.load(folder, Role.REQUESTER), Sender.load(folder)
    for key in outbox.partners_with_records(until):
        partner = find_partner(folder, key)
        Recorder(Delivery(*ours, partner, threading.Event()), lambda: until).work()


def _anchor(one: AnchorRow) -> dict[str, Any]:
    return {"partner": one.partner, "day": one.day, "first": one.first, "last": one.last,
            "countersigned": one.countersignature is not None, "refused": one.refused}  # fmt: skip


@app.command()
def check(data: Data = None, as_json: AsJson = False) -> None:
    """記録の欠け・書き換えを調べ、相手の数と比べる / look for missing and edited records."""
    from common.proof.found import tell
    from sender import record_checking
    from sender.outbox import Outbox

    with console.verb(as_json=as_json):
        folder = data_of(data)
        with contextlib.closing(Outbox(folder)) as outbox:
            keys = record_checking.partners(folder, outbox)
            found = [one for key in keys for one in _checked(folder, outbox, key)]
            count = len(outbox.records())
        tell(found, count, as_json=as_json)


def _checked(folder: Path, outbox: Outbox, key: str) -> list[Finding]:
    from sender.record_checking import ledger

    kept = ledger(folder, outbox, key)
    kept.check()
    try:
        if (standing := _standing(folder, outbox, key)) is not None:
            kept.against(standing)
    except (TodokeError, OSError) as failure:
        words = failure.words() if isinstance(failure, TodokeError) else str(failure)
        console.say(
            f"{key}: 相手の数は聞けません: {words}", f"{key}: not compared with the partner"
        )
    return kept.found


def _standing(folder: Path, outbox: Outbox, key: str) -> dict[str, Any] | None:
    """Ask a partner how many records it has; None for one that has none to tell of."""
    import threading

    from common.proof.identity import Node
    from common.proof.role import Role
    from common.settings import Sender
    from sender.delivery import Delivery
    from sender.partners import find_partner

    partner = find_partner(folder, key)
    if partner.kind != "todoke":
        return None
    ours = outbox, Node.load(folder, Role.REQUESTER), Sender.load(folder)
    with contextlib.closing(Delivery(*ours, partner, threading.Event()).connect()) as client:
        return client.ask("GET", "/records")


def anchor(
    day: Annotated[
        str | None, typer.Option(help="この日より前まで YYYY-MM-DD (省くと今日) / before this day")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """終わった日の封を作り、未送の記録と送る / anchor past days, send what waits."""
    from sender.outbox import Outbox
    from sender.recorded import today

    with console.verb(as_json=as_json):
        folder = data_of(data)
        until = day or today()
        if until > today():
            raise UsageError(cause=f"--day {until}")
        with contextlib.closing(Outbox(folder)) as outbox:
            _work(folder, outbox, until)
            made = [_anchor(one) for one in outbox.anchors()]
        if as_json:
            console.emit({"anchors": made})
            return
        for one in made:
            console.tell(f"{one['partner']} {one['day']} {one['first']}-{one['last']}")


def write_file(outbox: Outbox, transfer: str, path: Path, view: str, uid: str | None) -> None:
    """Write the newest record of a transfer as a file for somebody else; raises as `built`."""
    from common.proof import record_file

    record_file.save(path, built(outbox, transfer, view, uid))


def write_page(outbox: Outbox, transfer: Transfer, path: Path, view: str) -> None:
    """Write the newest record of a transfer as one A4 page; raises as `built`."""
    from common.paper import record

    record.save(path, built(outbox, transfer.id, view), transfer.attributes)


def built(outbox: Outbox, transfer: str, view: str, uid: str | None = None) -> dict[str, Any]:
    """Return the newest record of a transfer as a record file.

    Raises
    ------
    NotFound
        It has none yet, or no such instance.
    """
    from common.proof import record_file
    from sender import record_sending

    if view not in record_file.VIEWS:
        raise UsageError(cause=f"--view {view}")
    rows = outbox.records_of(transfer)
    if not rows:
        raise NotFound(thing=f"記録 / record {transfer[:8]}")
    kept = record_sending.kept(outbox, rows[-1])
    if uid is not None and uid not in {one["uid"] for one in kept.leaves or ()}:
        raise NotFound(thing=uid)
    return record_file.build(kept, view, [uid] if uid else [])
