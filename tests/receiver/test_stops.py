"""A transfer that its sender stops is 保留 in the list, with why, until it is opened again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from common.states import TransferState
from receiver import statements
from receiver.facts import KnownFacts
from receiver.worklist import Study, Worklist
from tests.receiver.filled import ct_image
from tests.receiver.linking import Linked


def listed(linked: Linked) -> dict[str, Any]:
    store = Path(linked.filled.store.root)
    (row,) = Worklist(linked.filled.index, KnownFacts(store)).rows()
    return row


def stop(linked: Linked, transfer: str, words: Any) -> int:
    return linked.client.post(f"/transfers/{transfer}/stopped", json=words).status_code


def open_again(linked: Linked, transfer: str) -> None:
    with linked.filled.index.read() as db:
        said = statements.known(db, transfer, "opening")
    assert linked.client.post("/transfers", content=said).status_code == 201


@pytest.mark.requirement("UX-01", "UX-06")
def test_what_is_stopped_is_held_until_it_is_opened_again(linked: Linked, tmp_path: Path) -> None:
    images = [ct_image("half", 1), ct_image("half", 2)]
    transfer = linked.open(images)
    linked.filled.arrive(images[:1])
    assert listed(linked)["state"] == "sending"
    for _ in range(2):  # the same again changes nothing
        assert stop(linked, transfer, {"number": "E-2005"}) == 204
    row = listed(linked)
    assert (row["state"], row["arrived"], row["expected"]) == ("held", 1, 2)
    assert row["request"]["stopped"]["number"] == "E-2005"
    assert stop(linked, transfer, {"number": "E-2108"}) == 204
    assert listed(linked)["request"]["stopped"]["number"] == "E-2108", "the last cause stands"
    open_again(linked, transfer)
    row = listed(linked)
    assert row["state"] == "sending"
    assert "stopped" not in row["request"]
    linked.filled.arrive(images[1:])
    assert linked.close(transfer, images, tmp_path).status_code == 200
    assert listed(linked)["state"] == "receipted"
    assert stop(linked, transfer, {"number": "E-2005"}) == 204
    assert listed(linked)["state"] == "receipted", "what is receipted was not stopped"
    trail = (tmp_path / "audit").rglob("*")
    noted = [json.loads(line) for one in trail if one.is_file() for line in _lines(one)]
    assert [one.get("cause") for one in noted if one.get("event") == "stopped-by-sender"] == [
        "E-2005"
    ]


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8", "replace").splitlines() if line[:1] == "{"]


@pytest.mark.parametrize("words", [{}, [], {"number": 5}, {"number": "E-2005 YAMADA"}, "E-2005"])
def test_words_that_are_none_stop_nothing(linked: Linked, words: Any) -> None:
    transfer = linked.open([ct_image("words", 1)])
    assert stop(linked, transfer, words) == 400
    assert stop(linked, "0" * 32, {"number": ""}) == 404
    assert listed(linked)["state"] == "sending"


def test_a_stopped_slide_is_not_hidden_by_a_whole_one_of_its_case() -> None:
    """Half a slide must not look whole because another of the same case is."""
    for newest, other in (("receipted", "held"), ("held", "receipted"), ("held", "sending")):
        study = Study(cast("Any", SimpleNamespace(state=newest)))
        study.transfers = [(TransferState(other), "routine")]
        assert study.state is TransferState.HELD
