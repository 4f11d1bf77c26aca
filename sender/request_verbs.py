"""The verbs of what is asked: request, announce, withdraw; and the options of send for it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common import console

if TYPE_CHECKING:
    from sender.outbox import Outbox, Transfer

Data = Annotated[
    Path | None, typer.Option("--data", help="データフォルダー / data directory", metavar="DIR")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSONで出す / print JSON")]
Urgency = Annotated[
    str | None,
    typer.Option(
        "--urgency",
        "--priority",
        help="術中 | 緊急 | 至急 | 通常 / intraoperative | urgent | soon | routine",
    ),
]
Purpose = Annotated[str | None, typer.Option(help="診断 | 助言 / diagnosis | advice")]
Requester = Annotated[str | None, typer.Option(help="依頼医 / requesting doctor")]
Department = Annotated[str | None, typer.Option(help="診療科 / department")]
Telephone = Annotated[str | None, typer.Option(help="連絡先の電話 / telephone")]
Clinical = Annotated[str | None, typer.Option(help="臨床情報 / clinical information")]
Reason = Annotated[str | None, typer.Option(help="依頼内容 / what is asked")]
BodyPart = Annotated[str | None, typer.Option(help="部位 / body part")]
RequestFile = Annotated[
    Path | None,
    typer.Option("--request", help="依頼情報 JSON か CSV / request file", metavar="FILE"),
]
Forms = Annotated[
    list[Path] | None, typer.Option("--form", help="依頼票 PDF / scanned request form")
]
Priors = Annotated[
    list[Path] | None, typer.Option("--prior", help="過去画像 / images for comparison")
]
For = Annotated[
    str | None, typer.Option("--for", help="予告の番号 / announcement that these images close")
]
PatientId = Annotated[str | None, typer.Option(help="患者ID")]
PatientName = Annotated[str | None, typer.Option(help="患者名 漢字、またはROMAJI=漢字=カナ / name")]
Kana = Annotated[str | None, typer.Option(help="フリガナ / kana")]
BirthDate = Annotated[str | None, typer.Option(help="1950-04-01 | 昭和25年4月1日")]
Sex = Annotated[str | None, typer.Option(help="M | F | O | 男 | 女")]
Accession = Annotated[str | None, typer.Option(help="受付番号 / accession number")]
Which = Annotated[str, typer.Argument(help="番号の初め / beginning of its id")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the sender's room."""
    for verb in (request, announce, withdraw):
        app.command()(verb)


def words_of(given: Mapping[str, str | None], file: Path | None = None) -> dict[str, Any]:
    """Return the words of a request file, and over them what was typed.

    Parameters
    ----------
    given : mapping
        By the keys of :data:`sender.requests.values.COLUMNS`.

    Raises
    ------
    UsageError, RequestUnreadable, StorageError
    """
    from common.errors import RequestUnreadable
    from sender import slide_request
    from sender.requests import files, matching

    words: dict[str, Any] = {}
    if file is not None:
        rows = files.load(file)
        if len(rows) != 1:
            cause = f"{len(rows)} 件 / {len(rows)} requests"
            raise RequestUnreadable(place=file.name, cause=cause)
        words = matching.merged(rows)
    typed = slide_request.typed(given)
    if "name" in typed:  # not put together with an older one's kana
        words = {k: v for k, v in words.items() if k not in {"kana", "roman"}}
    return words | typed


def asked(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of some words is told to the reader.

    Raises
    ------
    UsageError
        All of it together is longer than a request may be.
    """
    from common import request
    from common.errors import ProtocolError, UsageError
    from sender.slide_request import TOLD

    said = {key: words[key] for key in TOLD if words.get(key)}
    try:
        request.check(said)
    except ProtocolError as failure:
        raise UsageError(cause=failure.facts.get("cause", "")) from failure
    return said


def options_of(
    data: Path,
    words: Mapping[str, Any],
    paths: list[Path],
    forms: list[Path] | None,
    priors: list[Path] | None,
    closes: str | None,
) -> dict[str, Any]:
    """Return what a job's options say of its request.

    Raises
    ------
    NotFound, UsageError, RequestUnreadable
    """
    from common.errors import UsageError
    from common.request import MOST_FORMS
    from sender import asked as settling

    if forms:
        from sender.requests import form  # it takes pydicom with it

        for path in forms:
            form.read(path)  # a person is there who can put it right
    if len(forms or []) > MOST_FORMS:
        raise UsageError(cause=f"--form: > {MOST_FORMS}")
    older = [path.absolute() for path in priors or []]
    if both := [path for path in paths if settling.below(path.absolute(), older)]:
        raise UsageError(cause=f"--prior: {both[0]}")
    made: dict[str, Any] = {key: words[key] for key in ("priority", "purpose") if key in words}
    made["forms"] = [str(path) for path in forms or []]
    made["priors"] = [str(path) for path in priors or []]
    if of := {key: words[key] for key in ("patient_id", "birth_date") if key in words}:
        made["asked_of"] = of
    if closes is not None:
        made["for"] = _open(data, closes)
    return {key: value for key, value in made.items() if value}


def _open(data: Path, name: str) -> str:
    from common.errors import AnnouncementGone
    from common.states import TransferState
    from sender.outbox import Outbox

    with contextlib.closing(Outbox(data)) as outbox:
        row = outbox.transfer(name)
    if row.state is not TransferState.ANNOUNCED or "withdrawn" in row.request:
        raise AnnouncementGone(transfer=row.id[:8], cause=row.state)
    return row.id


def request(
    transfer: Which,
    patient_id: PatientId = None,
    patient_name: PatientName = None,
    kana: Kana = None,
    birth_date: BirthDate = None,
    sex: Sex = None,
    accession: Accession = None,
    container: Annotated[str | None, typer.Option(help="標本番号 / container identifier")] = None,
    specimen: Annotated[str | None, typer.Option(help="検体 / specimen")] = None,
    stain: Annotated[str | None, typer.Option(help="染色 / stain")] = None,
    reason: Reason = None,
    clinical: Clinical = None,
    requester: Requester = None,
    department: Department = None,
    telephone: Telephone = None,
    body_part: BodyPart = None,
    urgency: Urgency = None,
    purpose: Purpose = None,
    file: RequestFile = None,
    spacing: Annotated[float | None, typer.Option(help="画素間隔 µm / pixel size")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """送る前のものに依頼情報を入れる / give what has not been opened yet its request."""
    from sender import bell, completing, declaring, routing
    from sender.outbox import Outbox
    from sender.sending_verbs import data_of
    from sender.watching_verbs import attested

    with console.verb(as_json=as_json):
        where = data_of(data)
        words = words_of({
            "patient_id": patient_id, "name": patient_name, "kana": kana,
            "birth_date": birth_date, "sex": sex, "accession_number": accession,
            "container_id": container, "specimen_description": specimen, "stain": stain,
            "reason": reason, "clinical": clinical, "doctor": requester,
            "department": department, "phone": telephone, "body_part": body_part,
            "priority": urgency, "purpose": purpose,
        }, file)  # fmt: skip
        if (size := attested(spacing, None)) is not None:
            words |= {"spacing_um": size[0], "spacing_by": size[1]}
        with contextlib.closing(Outbox(where)) as outbox:
            row = outbox.transfer(transfer)
            if row.kind == "slide":
                house = declaring.house_of(outbox)
                completing.complete(outbox, row.id, words, routing.load(where), house)
            else:
                completing.ask(outbox, row, words)
            bell.ring(where)
            row = outbox.transfer(row.id)
        _tell(row, as_json)


def announce(
    patient_id: Annotated[str, typer.Option(help="患者ID")],
    to: Annotated[str | None, typer.Option(help="相手 (1つなら省ける) / partner")] = None,
    patient_name: PatientName = None,
    kana: Kana = None,
    birth_date: BirthDate = None,
    sex: Sex = None,
    accession: Accession = None,
    modality: Annotated[str | None, typer.Option(help="CT | MR | SM ... / modality")] = None,
    study: Annotated[
        str | None, typer.Option(help="検査UID (分かるとき) / Study Instance UID, if known")
    ] = None,
    description: Annotated[str | None, typer.Option(help="検査名 / study description")] = None,
    reason: Reason = None,
    clinical: Clinical = None,
    requester: Requester = None,
    department: Department = None,
    telephone: Telephone = None,
    body_part: BodyPart = None,
    urgency: Urgency = None,
    purpose: Purpose = None,
    file: RequestFile = None,
    wait: Annotated[bool, typer.Option(help="届くまで待つ / wait until it is there")] = True,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """画像ができる前に予告する / announce a study before its images exist."""
    from common.errors import UsageError
    from sender import announcing
    from sender.partners import find_partner
    from sender.sending_verbs import data_of

    with console.verb(as_json=as_json):
        where = data_of(data)
        words = words_of({
            "patient_id": patient_id, "name": patient_name, "kana": kana,
            "birth_date": birth_date, "sex": sex, "accession_number": accession,
            "reason": reason, "clinical": clinical, "doctor": requester,
            "department": department, "phone": telephone, "body_part": body_part,
            "priority": urgency, "purpose": purpose,
        }, file)  # fmt: skip
        partner = find_partner(where, to)
        if partner.kind != "todoke":
            raise UsageError(cause=f"{partner.key}: /link/v1")
        level = announcing.level(words, modality, study, description)
        values = announcing.new(
            partner.key, level, asked(words),
            priority=words.get("priority", "routine"),
            purpose=words.get("purpose", "diagnosis"),
        )  # fmt: skip
        _work(where, values["id"], lambda outbox: outbox.announce(values), wait, as_json)


def withdraw(
    transfer: Which,
    by: Annotated[str, typer.Option(help="取り消す人 / who withdraws it")],
    reason: Annotated[str, typer.Option(help="理由 / why")],
    wait: Annotated[bool, typer.Option(help="届くまで待つ / wait until it is known")] = True,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """予告を取り消す / withdraw an announcement."""
    from sender.outbox import Outbox
    from sender.sending_verbs import data_of

    with console.verb(as_json=as_json):
        where = data_of(data)
        with contextlib.closing(Outbox(where)) as outbox:
            name = outbox.transfer(transfer).id
        _work(where, name, lambda box: box.withdraw(name, by=by, reason=reason), wait, as_json)


def _work(
    data: Path,
    transfer: str,
    owe: Any,
    wait: bool,
    as_json: bool,
) -> None:
    """Owe something of an announcement, and see it to the receiver."""
    import threading

    from sender import bell, sending
    from sender.leaving import INTERRUPTED, Leaving, interruptible
    from sender.outbox import Outbox

    def rests(outbox: Outbox) -> bool:
        return sending.at_rest(outbox.transfer(transfer))

    with contextlib.closing(Outbox(data)) as outbox:
        owe(outbox)
        bell.ring(data)
        if wait:
            watching, leaving = threading.Event(), Leaving(130, INTERRUPTED)
            try:
                with (
                    interruptible(leaving) as asked,
                    sending.engine_here(data, rests, watching) as ended,
                ):
                    while not (rests(outbox) or ended()):
                        watching.wait(0.1)
                        if asked.is_set():
                            raise KeyboardInterrupt
            except KeyboardInterrupt:
                leaving.say()
                raise SystemExit(130) from None
        row = outbox.transfer(transfer)
        _tell(row, as_json)
        if code := sending.exit_code([row]):
            raise SystemExit(code)


def _tell(row: Transfer, as_json: bool) -> None:
    from common.states import WORDS

    if as_json:
        said = {"id": row.id, "state": str(row.state), "error": row.error}
        console.emit(said | {"told": row.started is not None or row.finished is not None})
        return
    state, lang = WORDS[row.state], console.language()
    error = row.error[lang] if row.error else ""
    console.say(
        f"{state.ja}: {row.id[:8]}  {error}".rstrip(),
        f"{state.en}: {row.id[:8]}  {error}".rstrip(),
    )
