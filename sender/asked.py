"""What a person asked with a job: request forms, images for comparison, and of whom it speaks.

It is settled when the job has been read, before anything of it is owed: what cannot go
with its request is held, never sent without it (UX-02).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import request
from common.errors import MixedPatients, RequestOfAnother, RequestUnreadable, TodokeError
from common.states import TransferState
from sender import declaring
from sender.declaring import House
from sender.outbox import Instance, Job, fault
from sender.patient import contradict, disagree

Found = list[tuple[dict[str, Any], list[Instance]]]


#: What a request holds that was not asked with it: a prior keeps its own.
_OF_ITSELF = {"import", "spacing", "notes", "basis"}


def settle(job: Job, found: Found, folder: Path | None, house: House) -> None:
    """Give the transfers of a job what was asked with it.

    Parameters
    ----------
    found : list
        Per transfer its values and instances; changed in place.
    folder : Path or None
        Where the DICOM files of request forms are to lie; without it they are refused.
    house : House
        By what the rules of direct transmission are asked.
    """
    options = job.options
    priors = [Path(one) for one in options.get("priors", [])]
    current = [one for one in found if not is_prior(one[1], priors)]
    if len(current) < len(found):
        _mark_priors(found, current)
    of = options.get("asked_of") or {}
    asked = {"00100020": of.get("patient_id"), "00100030": of.get("birth_date")}
    several = _of_one(options) and _several([_level(values) for values, _ in current])
    for values, _ in current:
        if several or contradict(asked, _level(values)):
            _hold(values, RequestOfAnother())
    if options.get("forms") and not several:
        _enclose(job, found, current, folder, house)


def _of_one(options: Mapping[str, Any]) -> bool:
    """Tell whether what is asked can be of one patient alone: why, what is known, a form."""
    said = options.get("request") or {}
    return bool(options.get("forms") or said.get("clinical") or said.get("reason"))


def _several(levels: Sequence[Mapping[str, Any]]) -> bool:
    return any(disagree(levels[0], other) for other in levels[1:])


def below(path: str | Path, folders: Sequence[Path]) -> bool:
    """Tell whether a path is one of some, or lies in one."""
    known = Path(path)
    return any(one == known or one in known.parents for one in folders)


def is_prior(instances: Sequence[Instance], priors: Sequence[Path]) -> bool:
    """Tell whether all of a transfer was named as images for comparison."""
    # one image that was not named so is enough: a current study is never taken for an old one
    return bool(priors and instances) and all(below(one.path, priors) for one in instances)


def _mark_priors(found: Found, current: Found) -> None:
    studies = sorted({str(values["study"]) for values, _ in current})
    for values, _ in [one for one in found if one not in current]:
        if values["study"] in studies:
            continue  # more images of the current study
        kept = {k: v for k, v in _request(values).items() if k in _OF_ITSELF}
        values["request"] = _json(kept | {"prior": {"of": studies[:64]}})
        if any(disagree(_level(values), _level(other)) for other, _ in current):
            _hold(values, MixedPatients(count=2))
    # the current study goes first, whatever its name
    found.sort(key=lambda one: request.is_prior(_request(one[0])))


def _enclose(job: Job, found: Found, current: Found, folder: Path | None, house: House) -> None:
    """Put the request forms with each study of the job, or hold what would go without."""
    made: dict[str, list[dict[str, Any]]] = {}
    own: Found = []
    for values, instances in current:
        if request.is_prior(_request(values)):
            continue
        try:
            if folder is None:
                raise RequestUnreadable(place="PDF", cause="no folder")
            study = str(values["study"])
            if study not in made:
                enclosed = _forms(job, values, folder / str(job.id))
                made[study] = [said for _, said in enclosed]
                if values["kind"] == "dicom":
                    instances += [one for one, _ in enclosed]
                    count = len(enclosed)
                    values["judgement"] = declaring.with_forms(values["judgement"], count)
                else:  # frames travel alone: the forms of a slide are a transfer of its case
                    shell = {k: v for k, v in values.items() if k not in {"slide", "source_sha256"}}
                    shell |= declaring.of_forms(job, house, shell, len(enclosed))
                    own.append((shell | {"kind": "dicom"}, [one for one, _ in enclosed]))
            asked = _request(values) | {"forms": made[study]}
            values["request"] = _json(asked)
            if own and own[-1][0]["study"] == study:
                own[-1][0]["request"] = values["request"]
        except TodokeError as error:
            _hold(values, error)
    found[:0] = own  # ahead of the slides that name them


def _forms(
    job: Job, values: Mapping[str, Any], folder: Path
) -> list[tuple[Instance, dict[str, Any]]]:
    from sender.requests import form

    paths = job.options["forms"]
    level, test = _level(values), bool(values["test"])
    return [form.make(Path(path), level, n, folder, test=test) for n, path in enumerate(paths, 1)]


def _hold(values: dict[str, Any], error: TodokeError) -> None:
    if values["state"] != TransferState.HELD:  # what was found first stays said
        values |= {"state": TransferState.HELD, "error": fault(error)}


def _request(values: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(values["request"])
    return said


def _level(values: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(values["attributes"])
    return said


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
