"""``todoke receiver study``: what readers do with studies, by the functions that pages call."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common import console
from common.settings import Receiver, data_folder
from common.verbs import Data, Json, operator

if TYPE_CHECKING:
    from receiver.index import Index
    from receiver.queries import Queries
    from receiver.standings import Person, Standings

app = typer.Typer(no_args_is_help=True, help="検査の状態と照会 / states of studies, and queries")
Study = Annotated[str, typer.Argument(help="検査の番号 / key of the study")]
By = Annotated[str | None, typer.Option("--by", help="読影者 / who does it")]


@dataclass(frozen=True)
class Room:
    """What the verbs work on."""

    index: Index
    steps: Standings
    queries: Queries
    store: Path


@app.command(name="list")
def list_(data: Data = None, as_json: Json = False) -> None:
    """検査の一覧 / studies as the work list has them."""
    from receiver.facts import KnownFacts
    from receiver.worklist import Worklist

    with console.verb(as_json=as_json), _room(data) as room:
        rows = Worklist(room.index, KnownFacts(room.store)).rows()
        names = (
            *("key", "priority", "state", "reading", "arrived", "expected", "queries", "alarm"),
            *("recalled", "recalled_at_targets"),
        )
        found = [{name: row[name] for name in names} for row in rows]  # no patient on a console
        if as_json:
            console.emit({"studies": found})
            return
        lang = console.language()
        for one in found:
            reading = one["reading"]
            of = "?" if one["expected"] is None else one["expected"]
            words = f"{one['key']}  {one['priority']:7}  {one['arrived']}/{of}"
            console.tell(f"{words}  {reading[f'state_{lang}']}  {reading['display']}".rstrip())


@app.command(name="open")
def open_(study: Study, by: By = None, data: Data = None, as_json: Json = False) -> None:
    """開封にする / mark a study as opened, or look without claiming."""
    with console.verb(as_json=as_json), _room(data) as room:
        room.steps.look(study, person(by))
        _said(room, study, as_json)


@app.command()
def claim(study: Study, by: By = None, data: Data = None, as_json: Json = False) -> None:
    """引き受ける / claim a study."""
    with console.verb(as_json=as_json), _room(data) as room:
        room.steps.claim(study, person(by))
        _said(room, study, as_json)


@app.command()
def take_over(
    study: Study,
    reason: Annotated[str, typer.Option(help="引継ぎの理由 / why")],
    by: By = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """引き継ぐ / take a study over from whoever reads it."""
    with console.verb(as_json=as_json), _room(data) as room:
        room.steps.take_over(study, person(by), reason)
        _said(room, study, as_json)


@app.command()
def release(study: Study, by: By = None, data: Data = None, as_json: Json = False) -> None:
    """引受けをやめる / give back what was claimed."""
    with console.verb(as_json=as_json), _room(data) as room:
        room.steps.release(study, person(by))
        _said(room, study, as_json)


@app.command()
def done(
    study: Study,
    accept: Annotated[
        int | None, typer.Option(help="不足を承知する枚数 / images here, as a second answer")
    ] = None,
    told_to: Annotated[
        str | None, typer.Option(help="電話で伝えた相手 / who was told by phone")
    ] = None,
    told_at: Annotated[str | None, typer.Option(help="その日時 ISO 8601 / when")] = None,
    not_told: Annotated[
        bool, typer.Option("--not-told", help="電話では伝えていない / nobody was told")
    ] = False,
    by: By = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """完了にする / mark a study as done."""
    from receiver.standings import Call

    with console.verb(as_json=as_json), _room(data) as room:
        told: Call | bool | None = False if not_told else None
        if told_to is not None:
            told = Call.read({"to": told_to, "at": told_at}) or False
        room.steps.done(study, person(by), accept=accept, told=told)
        _said(room, study, as_json)


@app.command()
def query(
    study: Study,
    text: Annotated[str, typer.Argument(help="文 / words")],
    kind: Annotated[str, typer.Option(help="query | prior | rescan | advice")] = "query",
    answers: Annotated[
        str | None, typer.Option(help="答える照会の番号 / id of what is answered")
    ] = None,
    by: By = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """依頼側に照会する / send words about a study to its sender."""
    with console.verb(as_json=as_json), _room(data) as room:
        what = kind if answers is None else "answer"
        made = room.queries.send(study, person(by), what, text, answers=answers)
        if as_json:
            console.emit({"id": made})


@app.command()
def history(study: Study, data: Data = None, as_json: Json = False) -> None:
    """経過と照会 / every step of a study, and what was said."""
    with console.verb(as_json=as_json), _room(data) as room:
        steps, said = room.steps.history(study), room.queries.of_study(study)
        if as_json:
            console.emit({"steps": steps, "messages": said})
            return
        for one in steps:
            console.tell(f"{one['at'][:16]}  {one.get('state', 'call')}  {one['display']}")
        for one in said:
            console.tell(f"{one['at'][:16]}  {one['kind']}  {one['display']}: {one['text']}")


def person(by: str | None) -> Person:
    """Return who does it: as is said, or the operator of this machine."""
    from receiver.standings import Person

    return Person(operator(by))


def _said(room: Room, study: str, as_json: bool) -> None:
    step = [one for one in room.steps.history(study) if one["kind"] == "state"][-1]
    if as_json:
        console.emit({"study": study, "state": step["state"], "by": step["by"], "at": step["at"]})


@contextlib.contextmanager
def _room(data: Path | None) -> Iterator[Any]:
    from common import audit, durable
    from common.proof.identity import Node
    from common.proof.role import Role
    from receiver.index import Index
    from receiver.queries import Queries
    from receiver.standings import Standings

    folder = data_folder("receiver", data).absolute()
    Node.load(folder, Role.SUPPORTER)
    with (
        durable.lock(folder / "lock.verb.study"),
        contextlib.closing(Index.at(folder)) as index,
        contextlib.closing(audit.Trail(folder / "audit", "study")) as trail,
    ):
        advice = Receiver.load(folder).advice_text
        said = Queries(index, advice=advice, note=trail.note)
        yield Room(index, Standings(index, trail.note), said, folder / "store")
