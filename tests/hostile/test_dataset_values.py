"""Values that say what they should not: kept byte by byte, shown as text, parsed into no crash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.errors import NotAnImage, NotDicom, ProgramToo, UidInvalid
from sender import identity, ingest
from sender.outbox import Outbox
from tests.hostile.dataset_objects import (
    Instance,
    element,
    image,
    instance,
    item,
    name_of,
    sequence,
    text,
)
from tests.hostile.dataset_rig import Standing, send_file, standing

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom's, which the programs ignore too

MISMATCH = 0xA900  # data set does not match SOP class, PS3.4 table B.2-1
NAME, CHARSET = 0x00100010, 0x00080005
SOP, STUDY, SERIES = 0x00080018, 0x0020000D, 0x0020000E
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
CDA = "1.2.840.10008.5.1.4.1.1.104.2"
BASIC_SR = "1.2.840.10008.5.1.4.1.1.88.11"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with standing(tmp_path_factory.mktemp("values")) as made:
        yield made


UIDS = {
    "UID with ../": "../../../etc/x",
    "UID /etc/passwd": "/etc/passwd",
    "UID C:\\x": "C:\\x",
    "UID CON": "CON",
    "UID with NUL": "1.2\0.3",
    "UID over 64": "1." + "2" * 63,
    "UID empty": "",
    "UID 1..2": "1..2",
    "UID non-ASCII": "1.2.髙",
    "UID with newline": "1.2.3\n4",
}
BAD_UIDS = [
    pytest.param(uid, marks=pytest.mark.badinput(43, variant), id=variant)
    for variant, uid in UIDS.items()
]


@pytest.mark.parametrize("uid", BAD_UIDS)
def test_a_sop_instance_uid_that_is_none(receiver: Standing, uid: str) -> None:
    value = uid.encode() + b"\0" * (len(uid.encode()) & 1)
    made = instance(f"sop {uid!r}", {SOP: (b"UI", value)})
    answer = receiver.meet(replace(made, uid=uid))
    assert answer.status == MISMATCH
    assert answer.files == set()
    # the command may say one thing and the data set another
    assert receiver.meet(made).status == MISMATCH
    assert receiver.rows(made.uid) == []


@pytest.mark.parametrize("tag", [STUDY, SERIES], ids=["study", "series"])
@pytest.mark.parametrize("uid", BAD_UIDS)
def test_a_study_or_series_uid_that_is_none(receiver: Standing, uid: str, tag: int) -> None:
    value = uid.encode() + b"\0" * (len(uid.encode()) & 1)
    made = instance(f"{tag} {uid!r}", {tag: (b"UI", value)})
    receiver.refuses(made, UidInvalid if uid else NotDicom)


@pytest.mark.parametrize("uid", BAD_UIDS)
def test_a_file_with_a_uid_that_is_none(tmp_path: Path, uid: str) -> None:
    value = uid.encode() + b"\0" * (len(uid.encode()) & 1)
    made = instance(f"file {uid!r}", {SOP: (b"UI", value)})
    assert isinstance(send_file(tmp_path, made.as_file()), NotDicom)


@pytest.mark.badinput(43, "UID with leading zero")
def test_a_uid_with_a_leading_zero_is_taken_and_names_no_file(receiver: Standing) -> None:
    uid = "1.2.007.0012"
    made = instance("zero", {SOP: (b"UI", text(uid, b"\0"))})
    row = receiver.takes(replace(made, uid=uid))
    assert uid not in str(row.path)


def _named(case: str, charset: bytes, name: bytes) -> Instance:
    padded = name + b" " * (len(name) & 1)
    return instance(case, {CHARSET: (b"CS", charset), NAME: (b"PN", padded)})


JIS = b"\\ISO 2022 IR 87 "
NAMES = [
    (44, "ISO 2022 JP broken escape", JIS, b"YAMADA^TARO=\x1b$B;3\x1b$;3ED\xff", None),
    (44, "wrong SpecificCharacterSet", b"ISO_IR 192", "山田^太郎".encode("cp932"), "山田^太郎"),
    (44, "wrong SpecificCharacterSet", b"NO SUCH SET ", "山田^太郎".encode(), None),
    (44, "bad UTF-8", b"ISO_IR 192", b"YAMADA^\xff\xfe\xe5\xb1", "\ufffd"),
    (44, "bad UTF-8", b"ISO_IR 192", b"YAMADA^\xed\xa0\x80", "\ufffd"),
    (44, "NUL in a name", b"ISO_IR 192", b"YAMADA\0TARO", None),
    (44, "overlong UTF-8", b"ISO_IR 192", b"YAMADA^\xc0\xbc\xe0\x80\xbc", "\ufffd"),
    (45, "script element", b"ISO_IR 192", b"<script>alert(1)</script>", "<script>"),
    (45, "img onerror", b"ISO_IR 192", b'"><img src=x onerror=alert(1)>', "onerror"),
    (45, "template {{7*7}}", b"ISO_IR 192", b"{{7*7}}", "{{7*7}}"),
    (45, "javascript: address", b"ISO_IR 192", b"javascript:alert(1)", "javascript:"),
    (45, "RTL override", b"ISO_IR 192", "A\u202eB".encode(), "\u202e"),
    (45, "name of 64 kB", b"ISO_IR 192", b"A" * 65000, "AAAA"),
]


@pytest.mark.parametrize(
    ("case", "charset", "name", "shown"),
    [
        pytest.param(f"{number} {at}", *rest, marks=pytest.mark.badinput(number, variant))
        for at, (number, variant, *rest) in enumerate(NAMES)
    ],
)
def test_a_name_is_text_whatever_it_holds(
    receiver: Standing, case: str, charset: bytes, name: bytes, shown: str | None
) -> None:
    made = _named(case, charset, name)
    receiver.takes(made)
    receiver.describe()
    study = receiver.row(made.uid).study_uid
    answer = receiver.viewer.get("/dicomweb/studies", params={"StudyInstanceUID": study})
    assert answer.status_code == 200
    [model] = answer.json()
    found = json.dumps(model["00100010"], ensure_ascii=False)
    if shown is not None:
        assert shown in found.replace('\\"', '"')
    [metadata] = receiver.viewer.get(f"{receiver.at(made.uid)}/metadata").json()
    assert "00100010" in metadata
    rows = receiver.viewer.get("/api/worklist")
    assert rows.status_code == 200
    assert rows.headers["content-type"].startswith("application/json")
    assert (
        study in rows.text
        or shown is None
        or shown[:4] in json.dumps(rows.json(), ensure_ascii=False).replace('\\"', '"')
    )


RUBBISH = [
    (47, "DA rubbish", 0x00080020, b"DA", b"2026-1-1"),
    (47, "DA rubbish", 0x00100030, b"DA", b"99999999"),
    (47, "TM rubbish", 0x00080030, b"TM", b"noon o'clock"),
    (47, "IS rubbish", 0x00200013, b"IS", b"one "),
    (47, "IS rubbish", 0x00200011, b"IS", b"1\\2\\x "),
    (47, "DS rubbish", 0x00180050, b"DS", b"5mm!"),
    (48, "InstanceNumber of 400 digits", 0x00200013, b"IS", b"1" + b"0" * 399),
    (48, "DS NaN", 0x00281053, b"DS", b"NaN "),
    (48, "DS 1e999", 0x00281052, b"DS", b"1e999 "),
]


@pytest.mark.parametrize(
    ("case", "tag", "vr", "value"),
    [
        pytest.param(f"rubbish {at}", *rest, marks=pytest.mark.badinput(number, variant))
        for at, (number, variant, *rest) in enumerate(RUBBISH)
    ],
)
def test_a_value_that_is_none_is_stored_and_answered(
    receiver: Standing, case: str, tag: int, vr: bytes, value: bytes
) -> None:
    made = instance(case, {tag: (vr, value)})
    receiver.takes(made)
    receiver.describe()
    answer = receiver.viewer.get(f"{receiver.at(made.uid)}/metadata")
    assert answer.status_code == 200
    [model] = json.loads(answer.text, parse_constant=_no_number)
    assert model["00080018"]["Value"] == [made.uid]
    study = receiver.row(made.uid).study_uid
    for path in ("/api/worklist", f"/dicomweb/studies/{study}/instances", "/dicomweb/studies"):
        found = receiver.viewer.get(path)
        assert found.status_code == 200
        json.loads(found.text, parse_constant=_no_number)


def _no_number(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


PREAMBLES = {
    "MZ": b"MZ\x90\0",
    "ELF": b"\x7fELF\2\1\1",
    "Mach-O": b"\xcf\xfa\xed\xfe",
    "#!": b"#!/bin/sh\n",
    "PK": b"PK\3\4",
    "%PDF": b"%PDF-1.7\n",
    "HTML": b"<html><script>alert(1)</script>",
    "TIFF": b"II*\0\x08\0\0\0",
}


@pytest.mark.parametrize(
    ("variant", "start"),
    [
        pytest.param(name, start, marks=pytest.mark.badinput(49, name), id=name)
        for name, start in PREAMBLES.items()
    ],
)
def test_a_preamble_goes_no_further_than_its_file(
    receiver: Standing, tmp_path: Path, variant: str, start: bytes
) -> None:
    made = instance(f"preamble {variant}")
    path = tmp_path / "one.dcm"
    path.write_bytes(start.ljust(128, b"\0") + made.as_file()[128:])
    if variant != "TIFF":
        with pytest.raises(ProgramToo):
            identity.read(str(path))
    else:
        found = identity.read(str(path))
        assert found is not None
        owed = found.instance
        sent = path.read_bytes()[owed.offset : owed.offset + owed.length]
        assert sent == made.data
    row = receiver.takes(made)
    stored = receiver.filled.store.path(str(row.path)).read_bytes()
    assert stored[:128] == bytes(128)


DICOMDIRS = {
    "file ID with ..": b"..\\..\\SECRET",
    "absolute file ID": b"/etc/passwd",
    "file ID through a symlink": b"LINK\\SECRET ",
}


@pytest.mark.parametrize(
    "file_id",
    [
        pytest.param(one, marks=pytest.mark.badinput(50, name), id=name)
        for name, one in DICOMDIRS.items()
    ],
)
def test_a_dicomdir_is_not_followed(receiver: Standing, tmp_path: Path, file_id: bytes) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "SECRET").write_bytes(instance("secret").as_file())
    media = tmp_path / "media"
    media.mkdir()
    (media / "LINK").symlink_to(outside)
    padded = file_id + b" " * (len(file_id) & 1)
    records = sequence(0x00041220, item(element(0x00041500, b"CS", padded)))
    directory = Instance("1.2.3", records, sop_class=identity.DICOMDIR)
    (media / "DICOMDIR").write_bytes(directory.as_file())
    with closing(Outbox(tmp_path / "outbox")) as outbox:
        found = ingest.scan(outbox.job(outbox.submit("north", [media], {})))
    assert found.transfers == []
    assert sorted(Path(path).name for path, _ in found.refused) == ["DICOMDIR", "LINK"]
    assert {type(error) for _, error in found.refused} == {NotAnImage}
    assert receiver.meet(directory).status == 0x0122  # there is no context for one


JAVASCRIPT = b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n%%EOF"
XXE = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "lol">'
    + b"".join(
        b'<!ENTITY %c "%s">' % (letter, b"&%c;" % (letter - 1) * 10) for letter in b"cdefghij"
    )
    + b"]><a>&j;</a>"
)


def _document(case: str, sop_class: str, mime: str, content: bytes) -> Instance:
    values = {tag: value for tag, value in image(case).items() if tag < 0x00280000}
    values[0x00080016] = (b"UI", text(sop_class, b"\0"))
    if mime:
        values[0x00420011] = (b"OB", content + b"\0" * (len(content) & 1))
        values[0x00420012] = (b"LO", text(mime))
    else:
        values[0x0040A160] = (b"UT", content + b" " * (len(content) & 1))
    data = b"".join(element(tag, *values[tag]) for tag in sorted(values))
    return Instance(name_of(case), data, sop_class=sop_class)


DOCUMENTS = [
    ("encapsulated PDF with JavaScript", PDF, "application/pdf", JAVASCRIPT),
    ("SR with a URL", BASIC_SR, "", b"see http://169.254.169.254/latest and file:///etc/passwd"),
    ("CDA with XXE", CDA, "text/XML", XXE),
    ("CDA with billion laughs", CDA, "text/XML", LAUGHS),
]


@pytest.mark.parametrize(
    ("case", "sop_class", "mime", "content"),
    [pytest.param(*one, marks=pytest.mark.badinput(51, one[0]), id=one[0]) for one in DOCUMENTS],
)
def test_a_document_is_a_download_and_nothing_else(
    receiver: Standing, case: str, sop_class: str, mime: str, content: bytes
) -> None:
    made = _document(case, sop_class, mime, content)
    receiver.takes(made)
    receiver.describe()
    at = receiver.at(made.uid)
    for path in ("/rendered", "/thumbnail", "/frames/1/rendered"):
        assert receiver.viewer.get(at + path).status_code in {404, 406}
    answer = receiver.viewer.get(f"{at}/metadata")
    assert answer.status_code == 200
    assert "lollol" not in answer.text
    assert "root:" not in answer.text
    whole = receiver.viewer.get(at, headers={"Accept": "application/dicom"})
    assert whole.headers["content-type"] == "application/dicom"
    assert whole.headers["content-disposition"].startswith("attachment")
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.content.endswith(made.data)
