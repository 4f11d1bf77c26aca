"""``todoke receiver study prior``: earlier studies that may be of the same person."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common import console
from common.settings import data_folder
from common.verbs import Data, Json
from receiver.study_verbs import By, Study, person

if TYPE_CHECKING:
    from receiver.possible_priors import Pair, PossiblePriors

app = typer.Typer(
    no_args_is_help=True,
    help="同じ方かもしれない過去検査 / earlier studies that may be of the same person",
)
Prior = Annotated[str, typer.Argument(help="過去検査の番号 / key of the earlier study")]
Seen = Annotated[
    str, typer.Option(help="list --show が示す、見比べた内容の印 / what list --show printed")
]
WORDS = {
    "possible": "未確認 / not confirmed",
    "linked": "同じ方 / same person",
    "dismissed": "別の方 / another person",
}


@app.command(name="list")
def list_(
    study: Study,
    show: Annotated[
        bool, typer.Option("--show", help="患者を見比べる (記録されます) / show both, noted")
    ] = False,
    by: By = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """氏名と生年月日が一致しIDが違う過去検査 / same name and birth date, another ID."""
    with console.verb(as_json=as_json), _priors(data) as priors:
        pairs = priors.of(study)
        if show:
            priors.shown(study, person(by), pairs)
        if as_json:
            console.emit({"study": study, "priors": [one.as_json(show=show) for one in pairs]})
            return
        for one in pairs:
            console.tell(f"{one.prior}  {WORDS[one.state]}  {one.display}  {one.at or ''}".rstrip())
            if show:
                _side_by_side(one)
        if not pairs:
            console.say("ありません", "None")


@app.command()
def link(
    study: Study,
    prior: Prior,
    seen: Seen,
    by: By = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """見比べたうえで、同じ方として結ぶ / link, having compared both identities."""
    with console.verb(as_json=as_json), _priors(data) as priors:
        priors.decide(study, person(by), prior, "link", seen=seen)
        _said(priors, study, prior, as_json)


@app.command()
def dismiss(
    study: Study,
    prior: Prior,
    seen: Seen,
    by: By = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """別の方と記録する / keep that they are two people."""
    with console.verb(as_json=as_json), _priors(data) as priors:
        priors.decide(study, person(by), prior, "dismiss", seen=seen)
        _said(priors, study, prior, as_json)


@app.command()
def unlink(
    study: Study,
    prior: Prior,
    seen: Seen,
    reason: Annotated[str, typer.Option(help="取り消す理由 / why")],
    by: By = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """同じ方・別の方の確認を取り消す / take back what was said of the two."""
    with console.verb(as_json=as_json), _priors(data) as priors:
        priors.decide(study, person(by), prior, "undo", seen=seen, reason=reason)
        _said(priors, study, prior, as_json)


def _side_by_side(pair: Pair) -> None:
    for said in pair.identities:
        name = " / ".join(said[group] for group in ("ideographic", "phonetic", "alphabetic"))
        of = f"ID {said['id']}@{said['institution']['name']}"
        console.tell(f"    {name}  {said['birth_date']} {said['sex']}  {of}  {said['study_date']}")
    console.tell(f"    --seen {pair.seen}")


def _said(priors: PossiblePriors, study: str, prior: str, as_json: bool) -> None:
    (pair,) = (one for one in priors.of(study) if one.prior == prior)
    if as_json:
        console.emit({"study": study, **pair.as_json(show=False)})
    else:
        console.tell(f"{pair.prior}  {WORDS[pair.state]}  {pair.display}".rstrip())


@contextlib.contextmanager
def _priors(data: Path | None) -> Iterator[Any]:
    from common import audit, durable
    from common.proof.identity import Node
    from common.proof.role import Role
    from receiver.facts import KnownFacts
    from receiver.index import Index
    from receiver.possible_priors import PossiblePriors
    from receiver.worklist import Worklist

    folder = data_folder("receiver", data).absolute()
    Node.load(folder, Role.SUPPORTER)
    with (
        durable.lock(folder / "lock.verb.study"),
        contextlib.closing(Index.at(folder)) as index,
        contextlib.closing(audit.Trail(folder / "audit", "study")) as trail,
    ):
        yield PossiblePriors(Worklist(index, KnownFacts(folder / "store")), trail.note)
