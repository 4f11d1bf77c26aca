"""A record of a transfer on one A4 page in Japanese (EVD-01, EVD-03, DIR-15).

It says in a person's words what the machine's record says, and gives the SHA-256 of
that record, in letters and as a QR code: who has the record can hold the two together.
It states facts and no verdict (EVD-08).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from common import durable
from common.errors import IntegrityError
from common.paper import font, words
from common.paper import patient as patients
from common.paper.sheet import Cell, Sheet
from common.proof import jws
from common.proof import record as records
from common.states import WORDS, TransferState

LONGEST = 300  # letters of a value; the rest is in the machine's record
CODE = "todoke-record:{}"
_THIRD = (0.11, 0.11, 0.66, 0.12)


def save(path: Path, file: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """Write the page of a record file, whole or not at all; raises as :func:`pdf`.

    Parameters
    ----------
    model : mapping
        Patient and study level as DICOM JSON; printed with the view ``inside`` alone.
    """
    inside = file.get("view") == "inside"
    made = pdf(file, patients.words(model) if inside else None)
    durable.save(path.absolute(), made, private=inside)


def pdf(file: Mapping[str, Any], patient: Mapping[str, str] | None = None) -> bytes:
    """Return the page of a record file.

    Parameters
    ----------
    file : mapping
        A ``todoke-record``; its ``view`` decides whether the patient stands on the page.
    patient : mapping, optional
        ``name``, ``birth_date`` and what else the site knows of the patient, by the
        label to print; used with the view ``inside`` alone.

    Returns
    -------
    bytes
        PDF.

    Raises
    ------
    IntegrityError
        A signature of the file does not hold: nothing is printed of an altered record.
    ProtocolError
        It is no record.
    DocumentTooLong, FontMissing
    """
    statement = file["record"]
    of_sender = file["certificates"]["sender"]
    record = records.read_record(jws.verify(statement, of_sender))
    inside = file.get("view") == "inside"
    sheet = Sheet(
        title="医用画像の伝送の記録",
        subtitle=f"{words.VIEWS['inside' if inside else 'outside']}  {words.ASPECT}",
        made=datetime.fromisoformat(record.times["signed"] or ""),
        test=record.test,
        code=CODE.format(records.name(statement)),
    )
    _transfer(sheet, record)
    _subject(sheet, record, file, patient if inside else None, inside=inside)
    _parts(sheet, record)
    _rules(sheet, record.declaration)
    _identity(sheet, record)
    _signatures(sheet, record, file)
    _limits(sheet, record)
    return sheet.pdf()


def _short(text: object) -> str:
    """Return a value a person typed, cut where it would fill the page; it says so."""
    said = str(text)
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}… (以下は機械可読の記録)"


def _transfer(sheet: Sheet, record: records.Record) -> None:
    state = WORDS[TransferState(record.state)].ja
    sheet.section("伝送")
    sheet.fact("記録番号", f"{record.number} (この相手への通し番号)", "伝送の番号", record.transfer)
    for label, end in (("依頼側", record.sender), ("支援側", record.receiver)):
        sheet.fact(label, f"{_short(end['name'])}  医療機関コード {end['code'] or 'なし'}")
    sheet.fact(
        "種類・目的",
        f"{words.KINDS.get(record.kind, record.kind)} / "
        f"{words.PURPOSES.get(record.purpose, record.purpose)} / "
        f"{words.PRIORITIES.get(record.priority, record.priority)}",
        "状態",
        state,
    )
    reason = record.reason or {}
    if reason or record.person:
        why = f"{reason.get('ja', 'なし')}"
        sheet.fact("理由", _short(why), "責任者", _short(record.person or "なし"))


def _subject(
    sheet: Sheet,
    record: records.Record,
    file: Mapping[str, Any],
    patient: Mapping[str, str] | None,
    *,
    inside: bool,
) -> None:
    sheet.section("対象")
    if inside:
        for label, value in (patient or {}).items():
            sheet.fact(label, _short(value))
        known = file.get("subject") or {}
        of_patient = known.get("patient") or {}
        sheet.fact(
            "患者ID", of_patient.get("PatientID", "なし"), "検査UID", known.get("study", "なし")
        )
        if known.get("said"):
            sheet.fact("理由 (記入)", _short(known["said"]))
    sheet.fact("患者 (HMAC)", record.subject["patient"])
    sheet.fact("検査 (HMAC)", record.subject["study"])


def _parts(sheet: Sheet, record: records.Record) -> None:
    sheet.section(f"五つの観点  {words.ASPECT}")
    for part, name in words.PARTS.items():
        found = record.established[part]
        sheet.row(
            Cell(name, bold=True),
            Cell(words.ESTABLISHED[found["is"]]),
            Cell(_short(found.get("ja", "")), size=7.5),
            widths=(0.13, 0.12, 0.75),
        )


def _rules(sheet: Sheet, judged: Mapping[str, Any]) -> None:
    sheet.section("規則ごとの結果")
    if not judged:
        sheet.sentence("規則による確認は行われていません。")
        return
    roles = judged.get("roles") or {}
    counts = "  ".join(f"{words.ROLES.get(r, r)} {n}" for r, n in roles.items() if n)
    sheet.fact(
        "規則の版",
        f"{judged.get('rule_set', '')} ({words.SETS.get(judged.get('set', ''), '')})",
        "取込の等級",
        f"{judged.get('grade', 'なし')}  {counts}",
    )
    released = judged.get("released")
    if released:
        by = f"{released.get('by', '')}  {words.time(released.get('at'))}"
        sheet.fact("送り方", words.AS.get(judged.get("as", ""), ""), "参考とした者", _short(by))
        sheet.fact("その理由", _short(released.get("reason", "")))
    else:
        sheet.fact("送り方", words.AS.get(judged.get("as", ""), judged.get("as", "")))
    for rule in judged.get("rules") or []:
        result = rule.get("result", "")
        sheet.row(
            Cell(str(rule.get("id", "")), bold=True, size=7.5),
            Cell(words.RESULTS.get(result, result), size=7.5, bold=result in {"fail", "warn"}),
            Cell(_short(rule.get("ja", "")), size=7),
            Cell(f"{rule['count']} 件" if rule.get("count") is not None else "", size=7),
            widths=_THIRD,
        )


def _identity(sheet: Sheet, record: records.Record) -> None:
    sheet.section("画像・経路・時刻")
    instances = record.instances
    sheet.fact(
        "画像",
        f"{instances['count']} 件  {words.size(instances['bytes'])}",
        "両端の照合",
        words.EQUAL[record.digests_equal],
    )
    sheet.fact("画像のMerkle根", instances["root"] or "なし")
    names = {"opening": "開始", "closing": "完了", "receipt": "受領証"}
    for kind, label in names.items():
        sheet.fact(f"{label} SHA-256", record.statements[kind] or "なし")
    for way, label in (("dicom", "TLS (DICOM)"), ("link", "TLS (link)")):
        facts = record.tls.get(way)
        said = _line(facts or {})
        sheet.row(
            Cell(label, grey=True, size=7.5), Cell(said or "なし", size=6.5), widths=(0.15, 0.85)
        )
    known = [*words.TIMES, *(k for k in record.times if k not in words.TIMES)]
    at = [
        f"{words.TIMES.get(k, k)} {words.time(record.times[k])}"
        for k in known
        if record.times.get(k)
    ]
    sheet.row(Cell("時刻", grey=True, size=7.5), Cell("、".join(at), size=7), widths=(0.15, 0.85))
    clock = record.clock
    drift = (
        f"ずれ {clock.get('offset_ms')} ms、往復 {clock.get('round_trip_ms')} ms、"
        f"許容 {clock.get('bound_ms')} ms"
        if clock
        else "測っていない"
    )
    sheet.fact("時計のずれ", drift)
    for end, label in (("sender", "依頼側ソフト"), ("receiver", "支援側ソフト")):
        software = record.software.get(end) or {}
        said = "  ".join(f"{k} {v}" for k, v in software.items() if v)
        sheet.row(
            Cell(label, grey=True, size=7.5), Cell(said or "不明", size=6.5), widths=(0.15, 0.85)
        )


def _line(facts: Mapping[str, Any]) -> str:
    """Return the facts of a connection: version, cipher, and both certificates' SHA-256."""
    shown = facts.get("certificates")
    certificates = shown if isinstance(shown, Mapping) else {}
    ends = {"sender": "依頼側の証明書", "receiver": "支援側の証明書"}
    said = [str(facts[name]) for name in ("version", "cipher") if facts.get(name)]
    said += [f"{ends[end]} {certificates[end]}" for end in ends if certificates.get(end)]
    return "  ".join(said)


def _signatures(sheet: Sheet, record: records.Record, file: Mapping[str, Any]) -> None:
    statement, below = file["record"], file.get("countersignature")
    sheet.section("署名")
    sheet.fact("この記録の SHA-256", records.name(statement))
    sheet.fact("依頼側の署名", "依頼側の署名鍵による (この文書を作るときに照合した)")
    if not below:
        sheet.fact("支援側の副署", "なし")
        return
    signed = records.read_countersignature(jws.verify(below, file["certificates"]["receiver"]))
    if signed.record != records.name(statement):
        raise IntegrityError(cause="countersignature of another record")
    same = signed.root == record.instances["root"] and signed.count == record.instances["count"]
    sheet.fact(
        "支援側の副署",
        f"{words.time(signed.signed_at)}  支援側が読み直した {signed.count} 件のMerkle根: "
        f"{words.EQUAL[same]}",
    )


def _limits(sheet: Sheet, record: records.Record) -> None:
    sheet.section("この記録が証明しないこと")
    for number, limit in enumerate(record.not_proven, 1):
        sheet.sentence(f"{number}. {records.NOT_PROVEN[limit][0]}", 7)
    sheet.foot += [
        f"{words.NO_VERDICT} 署名は todoke verify で、ネットワークなしに確かめられます。",
        f"作成 todoke  フォント {font.NAMED}",
    ]
