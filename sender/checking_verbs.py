"""``todoke sender check``: what would be sent, and what can show a name, before it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common import console, logs

if TYPE_CHECKING:
    from sender.checking import Checked

Label = Annotated[
    bool | None, typer.Option(help="ラベル画像を送る / send the label (may show a name)")
]
Macro = Annotated[
    bool | None, typer.Option(help="全体写真を送る / send the macro (may show a name)")
]
Micro = Annotated[
    list[Path] | None, typer.Option(help="顕微鏡画像の写真 / microscope still (JPEG, PNG, TIFF)")
]
Gross = Annotated[
    list[Path] | None, typer.Option(help="肉眼像の写真 / gross photograph (JPEG, PNG, TIFF)")
]
UNTRIED = (
    "実物で試していない形式。受信側で画像を確かめてください",
    "a format never tried on a real file: look at the picture at the receiver",
)
#: Of a picture that does not go as it is stored.
_CODED = {
    "reencoded": ("再符号化 (可逆)", "encoded again (lossless)"),
    "recoded": ("再符号化・非可逆", "encoded again, lossy"),
}
_KINDS = {
    "slide": ("スライド", "slide"),
    "dicom": ("DICOM", "DICOM"),
    "micro": ("顕微鏡画像", "microscope still"),
    "gross": ("肉眼像", "gross photograph"),
    "refused": ("送れない", "refused"),
}


def register(app: typer.Typer) -> None:
    """Add the verb to the sender's room."""
    app.command()(check)


def photographs(micro: list[Path] | None, gross: list[Path] | None) -> dict[str, list[Path]]:
    """Return the photographs of a job by their kind."""
    return {kind: of for kind, of in (("micro", micro), ("gross", gross)) if of}


def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="DICOM・スライド・フォルダー / what would be sent")
    ] = None,
    micro: Micro = None,
    gross: Gross = None,
    label: Label = None,
    macro: Macro = None,
    spacing: Annotated[
        float | None, typer.Option(help="画素間隔 µm (ファイルに無いとき) / pixel size")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="データフォルダー / data directory", metavar="DIR")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSONで出す / print JSON")] = False,
) -> None:
    """送る前に、送るもの・送らないもの・氏名が写り得るものを見る / look before sending."""
    from common.settings import Sender, data_folder

    with console.verb(as_json=as_json):
        folder = data_folder("sender", data).absolute()
        settings = Sender.load(folder)
        slide: dict[str, Any] = {
            "send_label": settings.send_label if label is None else label,
            "send_macro": settings.send_macro if macro is None else macro,
            "spacing_um": spacing,
            **settings.recoding(),
        }
        options = {
            "slide": slide,
            "stills": photographs(micro, gross),
            "still_metadata": settings.still_metadata,
        }
        preview(folder, paths or [], options, as_json=as_json)


def preview(folder: Path, paths: list[Path], options: dict[str, Any], *, as_json: bool) -> None:
    """Say what a job would send; the exit code is that of the worst file.

    Parameters
    ----------
    folder : Path
        Data directory, with the list of blocked patients.

    Raises
    ------
    NotFound
        A path does not exist.
    """
    from common.errors import NotFound
    from sender.checking import check
    from sender.safety.blocked import Blocked

    logs.quiet_pydicom()
    named = [path for of in options["stills"].values() for path in of]
    for path in [*paths, *named]:
        if not path.exists():
            raise NotFound(thing=path)
    worst, found = 0, []
    for one in check(paths, options, Blocked(folder)):
        worst = max(worst, one.error.exit_code if one.error else 0)
        if as_json:
            found.append(one.as_json())
        else:
            _tell(one)
    if as_json:
        console.emit({"files": found})
    if worst:
        raise SystemExit(worst)


def _tell(one: Checked) -> None:
    ja = console.language() == "ja"
    console.tell(f"{one.path}: {_KINDS[one.kind][0 if ja else 1]}")
    if one.error:
        console.tell(f"  {one.error.words(console.language())}")
    if one.untried:
        console.tell(f"  {UNTRIED[0 if ja else 1]}")
    for note in one.notes:
        console.say(f"  注意: {note['ja']}", f"  note: {note['en']}")
    goes, stays = ("送る    ", "送らない") if ja else ("sent    ", "kept    ")
    named = "  氏名が写ることがある" if ja else "  may show a name"
    for part in one.parts:
        coded = _CODED.get(part.coded, ("", ""))[0 if ja else 1]
        words = "  ".join(one for one in (part.what, part.size, coded, part.why) if one)
        console.tell(f"  {goes if part.goes else stays}  {words}{named if part.may_name else ''}")
    for tag in one.tags:
        if tag.may_name or tag.goes:
            into = f" -> {tag.into}" if tag.goes else ""
            console.tell(f"  {goes if tag.goes else stays}  {tag.name} = {tag.value}{into}")
