"""Slides of the outbox: opened again for sending, and DICOM ones found among a study's files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from common.dicom import dataset
from common.errors import (
    LeftOut,
    NotDicom,
    SlideUnreadable,
    SourceChanged,
    SourceGone,
    TodokeError,
)
from sender.outbox import Instance, Transfer, stamp
from sender.slides import Slide, SlideCase, dicom, open_slide


@contextlib.contextmanager
def opened(
    transfer: Transfer, instances: Sequence[Instance], ready: Slide | None = None
) -> Iterator[Slide]:
    """Open the slide of a transfer, as it was when it was found.

    Parameters
    ----------
    ready : Slide, optional
        It, open since it was found; closed here.

    Raises
    ------
    SourceGone, SourceChanged
        It is not; by what is read within too: tiles that are none any more are most
        likely another file's.
    SlideUnreadable
    """
    with contextlib.ExitStack() as held:
        if ready is not None:
            held.enter_context(ready)
            if [str(ready.path.absolute())] != list({one.path for one in instances}):
                ready = None  # another slide of the same case
        _check(instances)
        try:
            slide = ready or held.enter_context(_slide(transfer, instances))
            uids = [level.sop_instance_uid for level in slide.instances]
            if uids != [one.sop_uid for one in instances]:
                raise SourceChanged(path=Path(instances[0].path))
            slide.check()
            _check(instances)  # what was opened is what was found
            yield slide
        except SlideUnreadable:
            _check(instances)
            raise


def _check(instances: Sequence[Instance]) -> None:
    for one in {one.path: one for one in instances}.values():
        path = Path(one.path)
        try:
            known = stamp(path.stat())
        except OSError as failure:
            raise SourceGone(path=path) from failure
        if known != (one.size, one.mtime_ns, one.inode):
            raise SourceChanged(path=path)


def _slide(transfer: Transfer, instances: Sequence[Instance]) -> Slide:
    if transfer.slide is not None:
        case = SlideCase.from_json(json.loads(transfer.slide))
        return open_slide(Path(instances[0].path), case)
    slide = dicom.open_instances([_whole(one) for one in instances])
    if slide is None:
        raise SourceChanged(path=Path(instances[0].path))
    return slide


def _whole(one: Instance) -> dicom.Whole:
    uids = one.sop_uid, one.sop_class, one.transfer_syntax
    return dicom.Whole(Path(one.path), *uids, one.offset, one.length)


def left_out(instances: Sequence[Instance], case: SlideCase) -> dict[str, TodokeError]:
    """Return what of a study's slides stays here, by UID, and why (PRI-04).

    That is label and macro nobody asked for, and what cannot be told from them.
    """
    asked = {"LABEL": case.send_label, "OVERVIEW": case.send_macro}
    if all(asked.values()):
        return {}
    stays: dict[str, TodokeError] = {}
    for one in instances:
        if dicom.is_slide(one.sop_class):
            try:
                flavor = dicom.flavor(dataset.open_header(Path(one.path))[0])
            except Exception as failure:  # a parser may raise anything
                stays[one.sop_uid] = NotDicom(cause=type(failure).__name__)
            else:
                if not asked.get(flavor, True):
                    stays[one.sop_uid] = LeftOut(cause=flavor)
    return stays


def arranged(instances: Sequence[Instance]) -> tuple[list[Instance], bool]:
    """Order the instances of a study that has slides: the smallest picture first.

    Returns
    -------
    list of Instance
        Others come first; a level's parts in their order.
    bool
        Whether all can go frame by frame, so that they are seen while they arrive.
    """
    slides = [one for one in instances if dicom.is_slide(one.sop_class)]
    others = [one for one in instances if not dicom.is_slide(one.sop_class)]
    places = {one.sop_uid: dicom.place(dataset.open_header(Path(one.path))[0]) for one in slides}
    slides.sort(key=lambda one: (places[one.sop_uid], one.number or 0, one.path))
    if others:
        return others + slides, False
    slide = dicom.open_instances([_whole(one) for one in slides])
    if slide is None:
        return slides, False
    with slide:
        framed = [replace(i, frames=v.frames) for i, v in zip(slides, slide.instances, strict=True)]
    return framed, True
