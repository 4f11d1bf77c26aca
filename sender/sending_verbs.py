"""The verbs of daily sending: send, run, status, show, retry, release."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common import console, descriptors, durable, logs
from common.errors import DiskFull, UsageError
from common.setting_checks import check_legal_basis
from common.settings import data_folder
from sender.checking_verbs import Gross, Label, Macro, Micro, photographs, preview
from sender.leaving import INTERRUPTED, Leaving, by_signals, interruptible
from sender.request_verbs import (
    BodyPart,
    Clinical,
    Department,
    For,
    Forms,
    Priors,
    Purpose,
    Reason,
    Requester,
    RequestFile,
    Telephone,
    Urgency,
)

if TYPE_CHECKING:
    pass

Data = Annotated[
    Path | None, typer.Option("--data", help="データフォルダー / data directory", metavar="DIR")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSONで出す / print JSON")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the sender's room."""
    for verb in (send, run, status, show):
        app.command()(verb)


def data_of(given: Path | None) -> Path:
    """Return the sender's data directory.

    Raises
    ------
    NotInitialised
        It is none, or a receiver's.
    """
    folder = data_folder("sender", given).absolute()
    from common.proof import role

    role.read(folder, role.Role.REQUESTER)
    return folder


def send(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="DICOM・スライド・フォルダー / what to send")
    ] = None,
    micro: Micro = None,
    gross: Gross = None,
    to: Annotated[str | None, typer.Option(help="相手 (1つなら省ける) / partner")] = None,
    urgency: Urgency = None,
    purpose: Purpose = None,
    requester: Requester = None,
    department: Department = None,
    telephone: Telephone = None,
    clinical: Clinical = None,
    reason: Reason = None,
    body_part: BodyPart = None,
    file: RequestFile = None,
    form: Forms = None,
    prior: Priors = None,
    closes: For = None,
    attest: Annotated[
        str | None, typer.Option(help="媒体からの取込を確認した人 / who attests a media import")
    ] = None,
    basis: Annotated[
        str | None,
        typer.Option(help="送信の根拠 posted | explicit | emergency | law / legal basis"),
    ] = None,
    patient_id: Annotated[str | None, typer.Option(help="スライドの患者ID / of a slide")] = None,
    patient_name: Annotated[
        str | None, typer.Option(help="スライドの患者名 ROMAJI=漢字=カナ / of a slide")
    ] = None,
    birth_date: Annotated[str | None, typer.Option(help="YYYYMMDD")] = None,
    sex: Annotated[str | None, typer.Option(help="M | F | O")] = None,
    accession: Annotated[str | None, typer.Option(help="受付番号 / accession number")] = None,
    container: Annotated[str | None, typer.Option(help="標本番号 / container identifier")] = None,
    label: Label = None,
    macro: Macro = None,
    spacing: Annotated[
        float | None, typer.Option(help="画素間隔 µm (ファイルに無いとき) / pixel size")
    ] = None,
    wait: Annotated[bool, typer.Option(help="受領まで待つ / wait for the receipt")] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="送らずに中身を見る / only say what would be sent")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """画像を送信箱に入れ、受領まで見届ける / put images into the outbox, wait for the receipt."""
    from common.dicom import uids
    from common.settings import Sender
    from sender import request_verbs, sending, slide_request
    from sender.partners import find_partner
    from sender.watching_verbs import attested

    with console.verb(as_json=as_json):
        folder = data_of(data)
        if basis is not None and (wrong := check_legal_basis(basis)):
            raise UsageError(cause=f"--basis {basis}: {wrong}")
        words = request_verbs.words_of({
            "priority": urgency, "purpose": purpose, "doctor": requester,
            "department": department, "phone": telephone, "clinical": clinical,
            "reason": reason, "body_part": body_part,
        }, file)  # fmt: skip
        beside = request_verbs.options_of(folder, words, paths or [], form, prior, closes)
        settings = Sender.load(folder)
        slide: dict[str, Any] = {
            "patient_id": patient_id,
            "patient_name": patient_name,
            "birth_date": birth_date,
            "sex": sex,
            "accession_number": accession,
            "container_id": container,
            "send_label": settings.send_label if label is None else label,
            "send_macro": settings.send_macro if macro is None else macro,
            **settings.recoding(),
        }
        stills = photographs(micro, gross)
        if not (paths or stills or prior):
            raise UsageError(cause="PATHS")
        if stills:  # they and the slides beside them are one case
            slide["study_uid"] = uids.new_uid()
        request = request_verbs.asked(words)
        if attest:
            request["import"] = {"attested_by": attest}
        if (size := attested(spacing, attest)) is not None:
            slide["spacing_um"], slide["spacing_by"] = size
        options: dict[str, Any] = {
            **beside,
            "basis": basis,
            "request": request,
            "slide": slide_request.of_words(words) | {k: v for k, v in slide.items() if v},
            "stills": stills,
            "still_metadata": settings.still_metadata,
        }
        if dry_run:
            preview(folder, paths or [], options, as_json=as_json)
            return
        partner = find_partner(folder, to).key
        logs.quiet_pydicom()
        job = sending.submit(folder, partner, paths or [], options)
        if wait:
            _wait(folder, job)
        _report(folder, job, as_json)


def _wait(folder: Path, job: int) -> None:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from sender import sending

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    ja = console.language() == "ja"
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("読込中" if ja else "reading", total=None)

        def watch(progress: sending.Progress) -> None:
            if progress.scanned:
                words = "送信中" if ja else "sending"
                bar.update(task, description=words, total=progress.total, completed=progress.held)

        leaving = Leaving(130, INTERRUPTED)
        try:
            with interruptible(leaving) as asked:
                sending.work(folder, job, watch, asked)
        except KeyboardInterrupt:
            leaving.say()
            raise SystemExit(130) from None


def _report(folder: Path, job: int, as_json: bool) -> None:
    from sender import sending
    from sender.outbox import Outbox

    with contextlib.closing(Outbox(folder)) as outbox:
        transfers = outbox.transfers(job)
        refused = outbox.refused(job)
        words = [sending.describe(outbox, transfer) for transfer in transfers]
        asked = outbox.job(job)
    lang = console.language()
    if as_json:
        named = {"job": job, "submitted": asked.created, "files": asked.found}
        console.emit({**named, "transfers": words, "refused": refused})
    else:
        for one in words:
            line = f"{one[f'state_{lang}']}  {one['held']}/{one['of']}  {one['id'][:8]}"
            error = one["error"][lang] if one["error"] else ""
            console.tell(f"{line}  {error}".rstrip())
            _tell_notes(one)
        for row in refused:
            console.say(f"送らない: {row['path']}: {row['ja']}", f"{row['path']}: {row['en']}")
    if code := sending.exit_code(transfers):
        raise SystemExit(code)


def _tell_notes(row: dict[str, Any]) -> None:
    for note in row["notes"]:
        console.say(f"  注意: {note['ja']}", f"  note: {note['en']}")


def run(data: Data = None, as_json: AsJson = False) -> None:
    """送信を続ける常駐 / the daemon that works off the outbox."""
    with console.verb(as_json=as_json):
        from common import memory
        from sender import routing, sending
        from sender.engine import Engine

        folder = data_of(data)
        routing.load(folder)  # what is wrong is said to whoever starts it
        logs.begin()
        memory.give_back()
        descriptors.raise_limit()
        with durable.lock(folder / "lock"):
            durable.end_on_failure(sending.begin_again(time.monotonic()))
            engine = Engine(folder, asks=True)
            leaving = by_signals(engine.end)
            with contextlib.closing(engine), _doors(engine) as words:
                if as_json:
                    console.emit(words)
                else:
                    console.say("送信を始めました", "The sender is running")
                engine.run()
            if leaving.begun:
                leaving.say()


@contextlib.contextmanager
def _doors(engine: Any) -> Any:
    from sender import audit_transfers, hearing, upkeep
    from sender.doors import open_doors

    with (
        audit_transfers.audited(engine),
        upkeep.keeping(engine),
        hearing.keeping(engine),
        open_doors(engine) as words,
    ):
        yield words


def status(data: Data = None, as_json: AsJson = False) -> None:
    """送信箱の様子 / what is owed, and how far it is."""
    from dataclasses import asdict

    from sender import correspondence, sending, upkeep
    from sender.outbox import Outbox

    with console.verb(as_json=as_json):
        folder = data_of(data)
        with contextlib.closing(Outbox(folder)) as outbox:
            owed = outbox.transfers()
            rows = [sending.describe(outbox, one, named=False) for one in owed]
            ears = outbox.ears()
        running = runs(folder)
        disk = sending.disk(folder)
        partners = [asdict(one) for one in upkeep.standings(folder)]
        if as_json:
            words = {"running": running, "disk": disk, "transfers": rows, "partners": partners}
            console.emit(words | {"reading_rooms": ears})
            return
        from rich.console import Console
        from rich.table import Table

        lang = console.language()
        ja = "番号", "相手", "状態", "受領側", "作成", "直接伝送", "理由"
        en = "id", "partner", "state", "held", "created", "direct", "cause"
        heads = ja if lang == "ja" else en
        table = Table(*heads)
        for row in rows:
            held = f"{row['held']}/{row['of']}"
            table.add_row(
                row["id"][:8], row["partner"], row[f"state_{lang}"], held, row["created"][:19],
                row[f"direct_{lang}"],
                "  ".join(
                    [row["error"][lang]] * bool(row["error"])
                    + [n[lang] for n in row["notes"]]
                    + [correspondence.words(row["reader"], lang)] * bool(row["reader"])
                ),
            )  # fmt: skip
        Console().print(table)
        for one in partners:
            for ja, en in one["warnings"]:
                console.say(f"{one['partner']}: {ja}", f"{one['partner']}: {en}")
        _tell_ears(ears)
        console.say("常駐は動いています" if running else "常駐は止まっています",
                    "The daemon runs" if running else "The daemon does not run")  # fmt: skip
        if disk["low"]:
            error = DiskFull(path=folder)
            console.say(error.words("ja"), error.words("en"))


def _tell_ears(ears: list[dict[str, Any]]) -> None:
    """Say of each reading room whether anybody listens there (VIEWING section 6)."""
    for one in ears:
        call = f" ☎{one['telephone']}" if one["telephone"] else ""
        if one["listening"] and one["audible"] is False:
            console.say(
                f"{one['partner']}: 読影室の画面は開いていますが、警報音が出ません。"
                f"緊急は電話してください{call}",
                f"{one['partner']}: pages are open, but their alarm is blocked."
                f" Telephone if it is urgent{call}",
            )
        elif one["listening"]:
            console.say(f"{one['partner']}: 読影室は応答あり", f"{one['partner']}: they listen")
        else:
            console.say(
                f"{one['partner']}: 読影室でだれも聞いていません。緊急は電話してください{call}",
                f"{one['partner']}: nobody is listening. Telephone if it is urgent{call}",
            )


def runs(folder: Path) -> bool:
    """Tell whether a daemon works off the outbox of a data directory."""
    from common.errors import DataInUse

    try:
        with durable.lock(folder / "lock"):
            return False
    except DataInUse:
        return True


def show(
    transfer: Annotated[str, typer.Argument(help="番号の初め / beginning of its id")],
    record: Annotated[
        Path | None, typer.Option(help="証跡記録をこのファイルに書く / write its record here")
    ] = None,
    pdf: Annotated[
        Path | None, typer.Option(help="証跡記録をA4一枚に印刷 / its record as one A4 page")
    ] = None,
    view: Annotated[str, typer.Option(help="inside 院内用 | outside 提出用")] = "inside",
    instance: Annotated[
        str | None, typer.Option(help="この1枚だけを示す証明を添える / with the proof of this UID")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """1件の詳細 / one transfer, with its instances."""
    from dataclasses import asdict

    from sender import correspondence, sending
    from sender.outbox import Outbox
    from sender.safety import reading

    with console.verb(as_json=as_json):
        with contextlib.closing(Outbox(data_of(data))) as outbox:
            row = outbox.transfer(transfer)
            if record is not None:
                from sender.record_verbs import write_file

                write_file(outbox, row.id, record, view, instance)
            if pdf is not None:
                from sender.record_verbs import write_page

                write_page(outbox, row, pdf, view)
            words = sending.describe(outbox, row)
            letters = outbox.letters(row.study, row.partner)
            words["correspondence"] = [asdict(one) for one in letters]
            words["key_images"] = outbox.key_images(row.partner, row.study)
            words["records"] = [one.number for one in outbox.records_of(row.id)]
            words["patient"] = reading.of(row.attributes)
            words["receipt"] = outbox.statement(row.id, "receipt")
            words["instances"] = [
                {"uid": i.sop_uid, "acked": i.acked, "of": max(1, i.frames),
                 "length": i.length, "d1": i.d1, "path": i.path, "role": i.role}
                for i in outbox.instances(row.id)
            ]  # fmt: skip
        if as_json:
            console.emit(words)
            return
        lang = console.language()
        console.tell(f"{words[f'state_{lang}']}  {words['held']}/{words['of']}  {words['id']}")
        of = words["patient"]
        console.tell(f"{of['name']}  {of['birth_date']}  ID {of['id']}".rstrip())
        if words["error"]:
            console.tell(words["error"][lang])
        if words["reader"]:
            console.tell(correspondence.words(words["reader"], lang))
        for said in words["correspondence"]:
            console.tell(f"  {said['at'][:16]}  {said['by']}: {said['text']}")
        for chosen in words["key_images"]:
            for one in chosen["images"]:
                number = "-" if one["number"] is None else one["number"]
                console.tell(f"  ★ {chosen['by']}  {number}  {one['path'] or one['sop']}")
        if words["judgement"]:
            console.tell(words[f"direct_{lang}"])
            for rule in words["judgement"]["rules"]:
                console.tell(f"  {rule['id']:3}  {rule['result']:14}  {rule[lang]}")
        _tell_notes(words)
