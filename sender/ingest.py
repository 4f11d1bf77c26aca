"""From paths to transfers: every file found is an instance that is owed, or refused in words."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import link
from common.dicom import dataset, misdeclared, uids
from common.dicom.patient import Patient
from common.dicom.person_name import GUESSED
from common.errors import (
    InputError,
    NoRoute,
    NotAnImage,
    NotCarried,
    NotDicom,
    ProtocolError,
    SameInstance,
    SameUidOtherContent,
    StillNotAsked,
    StorageError,
    TodokeError,
)
from common.states import TransferState
from sender import asked, declaring, identity, judging, sidecars
from sender.declaring import House
from sender.facts import Facts
from sender.file_names import check_name, printable
from sender.identity import Identity
from sender.outbox import Instance, Job, fault, stamp
from sender.routing import Rule, choose
from sender.safety import notes
from sender.safety.checks import ALONE, Checks, differ

if TYPE_CHECKING:
    from sender.slides import Slide

log = logging.getLogger("todoke.ingest")
#: Patient and study level that the opening tells, as DICOM keywords.
STUDY_LEVEL = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
    "Modality",
    "InstitutionName",
    "BodyPartExamined",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "StudyInstanceUID",
    "StudyID",
)


@dataclass(slots=True)
class Study:
    """Instances of one study of one patient, as they are found."""

    attributes: dict[str, Any]
    patient: Patient
    instances: list[Instance] = field(default_factory=list)
    facts: list[Facts] = field(default_factory=list)
    marked: int = 0
    left_out: int = 0
    noted: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Found:
    """What a job's paths hold."""

    transfers: list[tuple[dict[str, Any], list[Instance]]] = field(default_factory=list)
    refused: list[tuple[str, TodokeError]] = field(default_factory=list)
    files: int = 0


def files_below(paths: Iterable[Path | str]) -> Iterator[str]:
    """Yield every file below `paths`, in name order.

    Links and devices are yielded too, and a folder that cannot be listed (no
    right to, or gone meanwhile) itself, so that nothing is left out in silence.
    The parts of a slide in several files are that slide: it alone is yielded.
    """
    names = [os.fspath(path) for path in paths]
    parts = sidecars.owned(names)
    for name in names:
        if not os.path.isdir(name) or os.path.islink(name):  # noqa: PTH112, PTH114 - thousands
            if name not in parts:
                yield name
        else:
            yield from _below(name, parts)


def _below(folder: str, parts: set[str]) -> Iterator[str]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        yield folder
        return
    if any(sidecars.leads(entry.name) for entry in entries):
        parts = parts | sidecars.owned([entry.path for entry in entries])
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path, parts)
        elif entry.path not in parts:
            yield entry.path


def scan(
    job: Job,
    rules: Sequence[Rule] = (),
    seen: Callable[[int], None] = lambda _count: None,
    others: Sequence[str] = (),
    begun: Callable[[bool], None] = lambda _slide: None,
    keep: Callable[[Slide, str], bool] = lambda _slide, _words: False,
    made: Path | None = None,
    sent: Callable[[str, str], str | None] = lambda _digest, _patient: None,
    house: House = declaring.NOBODY,
    checks: Checks = ALONE,
) -> Found:
    """Read what a job's paths hold.

    Parameters
    ----------
    rules : sequence of Rule
        Say where a study goes when the job names no partner.
    seen : callable
        Told the number of files read so far, for a progress display.
    others : sequence of str
        SOP classes sent besides the table's, see :func:`common.dicom.uids.is_storable`.
    begun : callable
        Called at the first image for an association (False), and at each slide (True).
    keep : callable
        Offered each slide that was read, and as what; whether it stays open.
    made : Path, optional
        Folder for the DICOM files of photographs; without it they are refused.
    sent : callable
        Given digest and Patient ID of a watched folder's slide, the transfer that has
        carried it, or None.
    house : House
        By what the rules of direct transmission are asked.
    checks : Checks, optional
        What the site checks before anything is sent.

    Returns
    -------
    Found
        Nothing is dropped in silence: each file is an instance or refused.
    """
    found = Found()
    studies: dict[tuple[str, ...], Study] = {}
    first: dict[str, Instance] = {}
    priors = [Path(one) for one in job.options.get("priors", [])]
    named = [Path(one) for one in job.paths]
    for path in files_below([*job.paths, *(one for one in priors if not asked.below(one, named))]):
        found.files += 1
        try:
            check_name(path)
            if not stat.S_ISREG(os.lstat(path).st_mode):
                raise NotAnImage(cause="no regular file, or a folder that cannot be listed")
            if (image := identity.read(path)) is not None:
                if not first:
                    begun(False)
                _take_dicom(image, studies, first, others)
            else:
                found.transfers.append(take_slide(Path(path), job, rules, sent, house, begun, keep))
        except TodokeError as error:
            found.refused.append((printable(path), error))
        except OSError as failure:
            cause = StorageError(cause=failure.strerror or "cannot be read")
            found.refused.append((path, cause))
        except Exception as failure:  # a parser may raise anything: one file stops no other
            found.refused.append((path, InputError(cause=type(failure).__name__)))
        seen(found.files)
    for study in studies.values():
        _leave_out(job, study, found)
    whole = [study for study in studies.values() if study.instances]
    found.transfers += [_transfer(job, rules, study, studies, house) for study in whole]
    if job.options.get("stills"):
        _take_stills(job, rules, found, studies, made, house)
        seen(found.files)
    asked.settle(job, found.transfers, made, house)
    for values, instances in found.transfers:
        checks.look(values, instances)
    return found


def _take_dicom(
    image: Identity,
    studies: dict[tuple[str, ...], Study],
    first: dict[str, Instance],
    others: Sequence[str],
) -> None:
    instance = image.instance
    for uid in (instance.sop_uid, image.study, instance.series):
        _check_uid(uid)
    if instance.transfer_syntax not in uids.TRANSFER_SYNTAXES:
        raise NotCarried(cause=f"transfer syntax {instance.transfer_syntax}")
    if not uids.is_storable(instance.sop_class, instance.transfer_syntax, others):
        raise NotCarried(cause=f"SOP class {instance.sop_class}, other_storage_classes")
    before = first.get(instance.sop_uid)
    if before is not None:
        raise (SameInstance if _same(before, instance) else SameUidOtherContent)(path=before.path)
    key = (image.study, *image.patient)
    if key not in studies:
        studies[key] = Study(study_level(instance.path), image.patient)
    study = studies[key]
    instance = _sharing(instance, study.instances[-1:])
    study.instances.append(instance)
    study.facts.append(image.facts)
    study.marked += image.marked
    study.noted += image.noted
    first[instance.sop_uid] = instance


def _sharing(instance: Instance, before: Sequence[Instance]) -> Instance:
    """Return an instance that holds the UIDs it has in common with the one before it."""
    for one in before:
        uids = one.sop_class, one.transfer_syntax, one.series
        if uids == (instance.sop_class, instance.transfer_syntax, instance.series):
            return replace(instance, sop_class=uids[0], transfer_syntax=uids[1], series=uids[2])
    return instance


def _same(one: Instance, other: Instance) -> bool:
    """Whether two files of one UID hold the same data set in the same transfer syntax."""
    if (one.transfer_syntax, one.length) != (other.transfer_syntax, other.length):
        return False
    return identity.d1(one) == identity.d1(other)


def _check_uid(uid: str) -> None:
    """Refuse one file whose UID is none, before the receiver refuses its whole study."""
    try:
        link.check_uid(uid)
    except ProtocolError as failure:
        raise NotDicom(cause=f"UID {uid[:64]}") from failure


def study_level(path: str) -> dict[str, Any]:
    """Return the patient and study level as DICOM JSON (PS3.18 annex F)."""
    import pydicom

    header, _ = dataset.open_header(Path(path))
    raws, charset = misdeclared.raw_texts(header), misdeclared.charsets(header)
    model: dict[str, Any] = {}
    for keyword in STUDY_LEVEL:
        # pydicom raises anything where a value is not as its VR says: the file keeps it
        with contextlib.suppress(Exception):
            if keyword in header:
                one = pydicom.Dataset()
                one[keyword] = header[keyword]
                model |= one.to_json_dict()
    if guessed := misdeclared.mend(model, raws, charset):
        model[GUESSED] = guessed
    return model


def _transfer(
    job: Job,
    rules: Sequence[Rule],
    study: Study,
    studies: dict[tuple[str, ...], Study],
    house: House,
) -> tuple[dict[str, Any], list[Instance]]:
    uid = study.attributes["0020000D"]["Value"][0]
    patients = [other.patient for key, other in studies.items() if key[0] == uid]
    kinds = declaring.counted(study.facts)
    study.instances = declaring.with_roles(study.instances, study.facts, judging.set_of(kinds))
    study.instances.sort(key=lambda i: (i.series, i.number is None, i.number or 0, i.path))
    framed = _arrange(study)
    values = _common_values(job, rules, "slide" if framed else "dicom", uid, study.attributes)
    values["test"] = study.marked == len(study.instances) + study.left_out
    notes.add(values, [*study.noted, *notes.of_guesses(study.attributes)])
    if len(patients) > 1:
        values |= {"state": TransferState.HELD, "error": fault(differ(patients))}
    old = asked.is_prior(study.instances, [Path(one) for one in job.options.get("priors", [])])
    return values | declaring.judged(job, house, values, kinds, prior=old), study.instances


def _leave_out(job: Job, study: Study, found: Found) -> None:
    """Keep label and macro of DICOM slides here, unless they are to be sent (PRI-04)."""
    if not any(instance.sop_class == uids.WHOLE_SLIDE for instance in study.instances):
        return
    from sender import slide_case, slide_instances

    stays = slide_instances.left_out(study.instances, slide_case.from_options(job.options))
    for one in study.instances:
        if (error := stays.get(one.sop_uid)) is not None:
            found.refused.append((printable(one.path), error))
    kept = [one.sop_uid not in stays for one in study.instances]
    study.instances = list(itertools.compress(study.instances, kept))
    study.facts = list(itertools.compress(study.facts, kept))
    study.left_out = len(stays)


def _arrange(study: Study) -> bool:
    """Put slides in the order in which they are sent; tell whether that is frame by frame."""
    if not any(instance.sop_class == uids.WHOLE_SLIDE for instance in study.instances):
        return False
    from sender import slide_instances

    try:
        study.instances, framed = slide_instances.arranged(study.instances)
    except Exception as failure:  # a parser may raise anything; whole they can go all the same
        log.warning("slides go whole: %s", type(failure).__name__)
        return False
    return framed


def _common_values(
    job: Job, rules: Sequence[Rule], kind: str, study_uid: str, attributes: dict[str, Any]
) -> dict[str, Any]:
    options = job.options
    values = {
        "partner": job.partner,
        "kind": kind,
        "state": TransferState.QUEUED,
        "priority": options.get("priority", "routine"),
        "purpose": options.get("purpose", "diagnosis"),
        "study": study_uid,
        "attributes": json.dumps(attributes, ensure_ascii=False),
        "request": json.dumps(options.get("request", {}), ensure_ascii=False),
        "test": False,
    }
    if job.partner:
        return values
    modality = (attributes.get("00080060", {}).get("Value") or [""])[0]
    source = options.get("source", "")
    rule = choose(rules, source, modality)
    if rule is None:
        error = NoRoute(cause=f"{source} {modality}")
        return values | {"state": TransferState.HELD, "error": fault(error)}
    # what a request says of this very slide goes before the rule
    own = {key: options[key] for key in ("priority", "purpose") if options.get(key)}
    return values | {"partner": rule.to, "priority": rule.priority, "purpose": rule.purpose} | own


def take_slide(
    path: Path,
    job: Job,
    rules: Sequence[Rule],
    sent: Callable[[str, str], str | None] = lambda _digest, _patient: None,
    house: House = declaring.NOBODY,
    begun: Callable[[bool], None] = lambda _slide: None,
    keep: Callable[[Slide, str], bool] = lambda _slide, _words: False,
) -> tuple[dict[str, Any], list[Instance]]:
    """Read a slide as a transfer: its values, and its levels as instances.

    Parameters
    ----------
    sent, house, begun, keep
        As for :func:`scan`.

    Raises
    ------
    NotAnImage, SlideUnreadable, SlideUnsupported, SourceChanged, AlreadySent, InputError
    """
    from sender import slide_case, slides, stills

    if not slides.looks_like_slide(path):
        with path.open("rb") as file:
            if stills.looks_like_photograph(file.read(12)):
                raise StillNotAsked(cause=path.suffix)
        raise NotAnImage(cause=path.suffix or "no DICM")
    begun(True)
    case = slide_case.from_options(job.options)
    with contextlib.ExitStack() as held:
        slide = held.enter_context(slides.open_slide(path, case))
        if slide.untried:
            log.warning(
                "この形式は実物で試していません。受信側で画像を確かめてください"
                " / never tried on a real file, look at the picture at the receiver: %s",
                slide.vendor,
            )
        level = slide_case.study_level(case)
        values = _common_values(job, rules, "slide", case.study_uid, level)
        values |= {"slide": json.dumps(case.to_json()), "test": slide.test}
        values |= slide_case.decided(job.options, case, slide, values, sent)
        found = declaring.of_slide(slide)
        values |= declaring.judged(job, house, values, declaring.counted(found), "pathology")
        known = path.stat()
        instances = [
            Instance(
                level.sop_instance_uid, level.sop_class_uid, level.transfer_syntax_uid,
                case.series_uid, number, str(path.absolute()), 0,
                level.expected,
                *stamp(known), frames=level.frames,
            )
            for number, level in enumerate(slide.instances, 1)
        ]  # fmt: skip
        if keep(slide, values["slide"]):
            held.pop_all()
        return values, declaring.with_roles(instances, found, "pathology")


def _take_stills(
    job: Job,
    rules: Sequence[Rule],
    found: Found,
    studies: dict[tuple[str, ...], Study],
    folder: Path | None,
    house: House,
) -> None:
    """Take what the job names as photographs of pathology: one transfer more of their case."""
    from sender import slide_case
    from sender.slides import SlideCase
    from sender.stills import case as still_case

    paths = [path for _, path in still_case.given(job.options)]
    found.files += sum(1 for _ in files_below(paths))
    try:
        if folder is None:
            raise InputError(cause="photographs")
        cases = [
            SlideCase.from_json(json.loads(values["slide"]))
            for values, _ in found.transfers
            if values["kind"] == "slide"
        ]
        case = still_case.of_job(job, cases, [study.attributes for study in studies.values()])
        made = still_case.take(job, case, folder / str(job.id), files_below, found.refused)
    except StorageError:
        raise
    except TodokeError as error:
        found.refused += [(printable(str(path)), error) for path in paths]
        return
    if made:
        level = slide_case.study_level(case)
        values = _common_values(job, rules, "dicom", case.study_uid, level)
        shown = declaring.of_files(made)
        kinds = declaring.counted(shown)
        values |= declaring.judged(job, house, values, kinds, "pathology")
        made = declaring.with_roles(made, shown, "pathology")
        found.transfers.append((values | {"test": case.test}, made))
