"""The set of samples that `todoke samples make` writes, and the list of what is in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from common.console import language
from common.errors import UsageError
from samples.names import Patient
from samples.study import Study

KINDS: Final = ("ct", "mr", "slide")
ON_DEMAND: Final = ("forged",)
README: Final = """\
試験用の合成データです。実在の人のデータは含みません。氏名・患者IDは架空のものです。
Synthetic samples for tests. No data of any real person; names and IDs are invented.

ct/     胸部CT (CT Image Storage)               chest CT
mr/     頭部MR T1強調 (MR Image Storage)        head MR, T1-weighted
slide/  HE染色スライド (Aperio SVS)             H&E slides
slide/formats/ 形式ごとの小さなスライド (指定時のみ) a small slide of each format, when named
forged/ わざと紛らわしくした例 (指定時のみ)        odd cases, made only when named

DICOM: (0011,0010) TODOKE 1.0, (0011,1001) 試験      SVS, TIFF: |todoke = TEST
"""

Step = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Made:
    """One study that was written.

    Attributes
    ----------
    path
        Folder of a series or file of a slide, relative to the set.
    files
        Number of files.
    code
        The patient's code inside pixels and label.
    about
        What a forged case is, in Japanese and English; None for the others.
    expected
        What the rules are to say of it, see :class:`samples.forged.case.Expected`.
    """

    kind: str
    path: str
    files: int
    bytes: int
    study_uid: str
    study_date: str
    accession_number: str
    patient: dict[str, Any]
    code: int
    about: dict[str, str] | None = None
    expected: dict[str, Any] | None = None


def make_samples(
    folder: Path, *, only: tuple[str, ...] | None = None, seed: int = 1, quick: bool = False
) -> list[Made]:
    """Write the set: CT of 髙橋 and 山田, MR of 山﨑, slides of 𠮷田 and 髙橋.

    Parameters
    ----------
    folder
        Made if it does not exist; the same arguments write the same bytes again.
    only
        Kinds to write, of 'ct', 'mr', 'slide', and 'forged', which is made only when named;
        'slide' when named is one small slide of every format too.  None is what a demo shows.
    seed
        0 or more.
    quick
        Few slices and small slides, for tests.

    Raises
    ------
    UsageError
        An unknown kind, or a seed below 0.
    """
    kinds = (*KINDS, *ON_DEMAND)
    named, only = only is not None, KINDS if only is None else only
    if unknown := set(only) - set(kinds):
        raise UsageError(cause=f"--only {','.join(sorted(unknown))}: {','.join(kinds)}")
    if seed < 0:
        raise UsageError(cause=f"--seed {seed} < 0")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.txt").write_text(README, encoding="utf-8", newline="\n")
    makers = {"ct": _make_ct, "mr": _make_mr, "slide": _make_slides, "forged": _make_forged}
    made = [one for kind in kinds if kind in only for one in makers[kind](folder, seed, quick)]
    if named and "slide" in only:
        made += _make_formats(folder, seed)
    return made


def _make_ct(folder: Path, seed: int, quick: bool) -> Iterator[Made]:
    from samples import ct
    from samples.names import TAKAHASHI, YAMADA

    few = ct.QUICK_SLICES
    for patient, count in ((TAKAHASHI, few if quick else ct.SLICES), (YAMADA, few)):
        with _progress("CT", count) as step:
            study = ct.write_series(folder / "ct", patient, seed=seed, count=count, step=step)
        yield _made("ct", folder, folder / "ct" / study.folder, study)


def _make_mr(folder: Path, seed: int, quick: bool) -> Iterator[Made]:
    from samples import mr
    from samples.names import YAMAZAKI

    count = mr.QUICK_SLICES if quick else mr.SLICES
    with _progress("MR", count) as step:
        study = mr.write_series(folder / "mr", YAMAZAKI, seed=seed, count=count, step=step)
    yield _made("mr", folder, folder / "mr" / study.folder, study)


def _make_slides(folder: Path, seed: int, quick: bool) -> Iterator[Made]:
    from samples import slide
    from samples.aperio import Colour
    from samples.names import TAKAHASHI, YOSHIDA

    size = slide.QUICK_SIZE if quick else slide.SIZE
    cases: tuple[tuple[Patient, Colour], ...] = ((YOSHIDA, "rgb"), (TAKAHASHI, "ycbcr"))
    for patient, colour in cases:
        with _progress(f"WSI {colour}", -(-size[1] // slide.TILE[colour])) as step:
            path, study = slide.write_slide(
                folder / "slide", patient, seed=seed, colour=colour, size=size, step=step
            )
        yield _made("slide", folder, path, study)


def make_slide(
    folder: Path, *, size: str, colour: str, quality: int | None = None, seed: int
) -> Made:
    """Write one slide of 𠮷田 into a folder, for those who need another size.

    Parameters
    ----------
    size
        ``WIDTHxHEIGHT`` of level 0 in pixels, 1024 to 200,000 each.
    colour
        'rgb' or 'ycbcr', as `quality` see :func:`samples.slide.write_slide`.

    Raises
    ------
    UsageError
        Another size or colour.
    """
    import re

    from samples import slide
    from samples.names import YOSHIDA

    found = re.fullmatch(r"([0-9]{4,6})x([0-9]{4,6})", size)
    sides = tuple(map(int, found.groups())) if found else ()
    if len(sides) != 2 or min(sides) < 1024 or max(sides) > 200_000:
        raise UsageError(cause=f"--size {size}")
    coded = next((known for known in slide.TILE if known == colour), None)
    if coded is None:
        raise UsageError(cause=f"--colour {colour}: {', '.join(slide.TILE)}")
    with _progress(f"WSI {colour}", -(-sides[1] // slide.TILE[coded])) as step:
        path, study = slide.write_slide(
            folder,
            YOSHIDA,
            seed=seed,
            colour=coded,
            size=(sides[0], sides[1]),
            quality=quality,
            step=step,
        )
    return _made("slide", folder, path, study)


def _make_formats(folder: Path, seed: int) -> Iterator[Made]:
    from samples import formats

    forms = (*formats.FORMS, *formats.VENDOR_FORMS)
    with _progress("WSI", len(forms)) as step:
        for path, study in formats.write_formats(folder / "slide" / "formats", seed, step, forms):
            yield _made("slide", folder, path, study)


def _make_forged(folder: Path, seed: int, quick: bool) -> Iterator[Made]:
    from samples import forged

    with _progress("forged", len(forged.CASES)) as step:
        for number, (case, path, study) in enumerate(
            forged.write_forged(folder / "forged", seed), start=1
        ):
            step(number)
            about = {"ja": case.ja, "en": case.en}
            made = _made("forged", folder, path, study)
            yield replace(made, about=about, expected=case.expected.to_json())


def _made(kind: str, folder: Path, path: Path, study: Study) -> Made:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return Made(
        kind=kind,
        path=path.relative_to(folder).as_posix(),
        files=len(files),
        bytes=sum(file.stat().st_size for file in files),
        study_uid=study.study_uid,
        study_date=study.date,
        accession_number=study.accession_number,
        patient=asdict(study.patient),
        code=study.patient.code,
    )


@contextmanager
def _progress(words: str, total: int) -> Iterator[Step]:
    """Show a bar on stderr where a person looks, nothing where it is a pipe."""
    from rich.console import Console
    from rich.progress import Progress

    title = {"ja": f"{words} を作成中", "en": f"making {words}"}[language()]
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal or "CI" in os.environ) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)
