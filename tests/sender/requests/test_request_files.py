"""Request files as hospitals write them: read right, or refused in words that name the line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import RequestUnreadable, UsageError
from sender import slide_request
from sender.requests import values
from sender.requests.files import Row, parse
from sender.requests.matching import merged, speaking

CSV, JSON = Path("/w/iraisho.csv"), Path("/w/iraisho.json")
HEADS = (
    "ファイル名,患者ID,患者名,フリガナ,生年月日,性別,受付番号,標本番号,検体,染色,依頼内容,緊急度"
)
NAMES = (
    "a.svs,0012345,髙橋 花子,タカハシ ハナコ,昭和25年4月1日,女,P26-1,P26-1-A,胃,HE,"
    "良悪性の別,術中迅速"
)
READ = {
    "file": "a.svs",
    "patient_id": "0012345",
    "name": "髙橋^花子",
    "kana": "タカハシ^ハナコ",
    "birth_date": "19500401",
    "sex": "F",
    "accession_number": "P26-1",
    "container_id": "P26-1-A",
    "specimen_description": "胃",
    "stain": "HE",
    "reason": "良悪性の別",
    "priority": "urgent",
    "intraoperative": True,
}


def rows(text: str, encoding: str = "utf-8", path: Path = CSV) -> list[Row]:
    return parse(path, text.encode(encoding))


def wrong(row: Row) -> str:
    assert row.wrong is not None
    assert row.wrong.number == "E-2107"
    return row.wrong.words("ja") + row.wrong.words("en")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [",", "\t", ";"])
def test_a_request_reads_the_same_in_every_encoding(encoding: str, end: str, mark: str) -> None:
    text = end.join((HEADS, NAMES)).replace(",", mark) + end
    (row,) = rows(text, encoding)
    assert (row.words, row.wrong, row.place) == (READ, None, "iraisho.csv:2")
    assert values.person_name(row.words) == "=髙橋^花子=タカハシ^ハナコ"


@pytest.mark.requirement("CHR-03")
@pytest.mark.badinput(99, "request file with a name that lost a character")
@pytest.mark.parametrize("name", ["髙橋 花子", "山﨑 一郎", "𠮷田 次郎"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp932"])
def test_names_beyond_the_first_levels_arrive_whole_or_are_refused(
    name: str, encoding: str
) -> None:
    """CP932 has 髙 and 﨑; what saves 𠮷 in it leaves a question mark."""
    text = f"ファイル名,患者ID,患者名\na.svs,1,{name}\n"
    (row,) = parse(CSV, text.encode(encoding, "replace"))
    if encoding == "cp932" and "𠮷" in name:
        assert "iraisho.csv:2" in wrong(row)
        assert "UTF-8" in wrong(row)
        assert "田" not in wrong(row), "no patient in the words of an error"
        assert "name" not in row.words
    else:
        assert row.wrong is None
        assert row.words["name"] == name.replace(" ", "^")


def test_a_file_that_could_be_of_two_encodings_is_refused() -> None:
    """Two half-width kana of CP932 are one Latin letter of UTF-8."""
    text = "file,patient_id,kana\na.svs,1,ﾃｱ\n"
    with pytest.raises(RequestUnreadable, match="both fit"):
        rows(text, "cp932")
    (row,) = rows(text, "utf-8-sig")
    assert row.words["kana"] == "ﾃｱ"


def test_bad_rows_are_named_by_their_line_and_the_others_are_read() -> None:
    text = (
        "ファイル名,患者ID,生年月日,性別,依頼内容\r\n"
        'a.svs,1,1950/4/1 0:00,男,"二行\r\nにわたる"\r\n'
        "b.svs,2,1950-02-30,男,\r\n"
        "\r\n"
        "c.svs,1.23E+11,,,\r\n"
        "d.svs,３,,,\r\n"
        "e.svs,5,,不明,\r\n"
        "f.svs,6,,,見出しの,ない列\r\n"
        'g.svs,="007",S25.4.1,F,\r\n'
    )
    found = rows(text)
    assert [row.place.partition(":")[2] for row in found] == ["2", "4", "6", "7", "8", "9", "10"]
    assert [row.wrong is None for row in found] == [True, False, False, False, False, False, True]
    assert [row.words["file"] for row in found] == [f"{one}.svs" for one in "abcdefg"]
    assert found[0].words["reason"] == "二行\nにわたる"
    assert "生年月日 / birth_date" in wrong(found[1])
    assert found[-1].words["patient_id"] == "007"
    assert found[-1].words["birth_date"] == "19500401"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('患者ID,ファイル名\n1,a.svs\n"2,b.svs\n', "iraisho.csv:3"),
        ("患者ID,患者番号\n1,2\n", "iraisho.csv:1"),
        ("患者ID,ファイル名\n1,\x00\n", "iraisho.csv:2"),
    ],
)
def test_a_csv_that_is_broken_names_the_line(text: str, place: str) -> None:
    try:
        places = [row.place for row in rows(text) if row.wrong]
    except RequestUnreadable as failure:
        places = [failure.facts["place"]]
    assert places == [place]


def test_what_knows_no_column_is_no_request() -> None:
    assert rows("time,temperature\n10:00,23.4\n") == []
    assert rows('{"scanner": {"serial": 3}}', path=JSON) == []
    assert rows("[1, 2]", path=JSON) == []
    assert rows("", path=CSV) == []


def test_json_of_a_case_gives_each_slide_what_is_common_to_all() -> None:
    said = {
        "患者ID": "0012345",
        "受付番号": "P26-1",
        "slides": [{"file": "a.svs", "染色": "HE"}, {"file": "b.svs", "stain": "PAS"}],
    }
    one, two = rows(json.dumps(said, ensure_ascii=False), path=JSON)
    assert one.words == {
        "patient_id": "0012345",
        "accession_number": "P26-1",
        "file": "a.svs",
        "stain": "HE",
    }
    assert (two.words["patient_id"], two.words["stain"]) == ("0012345", "PAS")
    assert two.place == "iraisho.json[2]"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"患者ID": "1"', "iraisho.json:1"),
        ('{"患者ID": "1", "患者ID": "2"}', "twice"),
        ('{"患者ID": NaN}', "NaN"),
        ("[" * 100_000, "nested"),
        ('{"患者ID": "1", "slides": 3}', "slides"),
    ],
)
def test_json_that_is_broken_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(RequestUnreadable, match=words):
        rows(text, path=JSON)


@pytest.mark.parametrize(
    "value", ['{"patient_id": 1.5}', '{"patient_id": ["1"]}', '{"patient_id": true}',
              '{"patient_id": "1", "患者ID": "2"}']
)  # fmt: skip
def test_json_values_that_are_no_text_are_refused(value: str) -> None:
    (row,) = rows(value, path=JSON)
    assert "iraisho.json" in wrong(row)
    assert "患者ID" in wrong(row)


@pytest.mark.badinput(99, "request file of any bytes")
@given(data=st.binary(max_size=400), suffix=st.sampled_from([".csv", ".json", ".tsv"]))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_rows_or_are_refused(data: bytes, suffix: str) -> None:
    _read_or_refused(Path(f"/w/r{suffix}"), data)


_CELL = st.text(max_size=12) | st.sampled_from(["", '"', "=", "^", "1950/4/1", "R8.1.1", '="7"'])


@given(table=st.lists(st.lists(_CELL, max_size=14), max_size=6), encoding=st.sampled_from(
    ["utf-8", "utf-8-sig", "cp932", "utf-16", "euc-jp"]))  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_any_table_is_rows_or_is_refused(table: list[list[str]], encoding: str) -> None:
    text = "\n".join([HEADS, *(",".join(cells) for cells in table)])
    _read_or_refused(CSV, text.encode(encoding, "replace"))


_KEYS = st.sampled_from(["患者ID", "file", "slides", "生年月日", "spacing", "other"])
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(value=_ANY)
@settings(max_examples=80, deadline=None)
def test_any_json_is_rows_or_is_refused(value: Any) -> None:
    _read_or_refused(JSON, json.dumps(value).encode())


def _read_or_refused(path: Path, data: bytes) -> None:
    try:
        found = parse(path, data)
    except RequestUnreadable as failure:
        found, words = [], failure.words("ja")
    else:
        words = path.name
    assert path.name in words
    for row in found:
        assert row.place.startswith(path.name)
        if (born := row.words.get("birth_date")) is not None:
            assert len(born) == 8
        for value in row.words.values():
            assert not isinstance(value, str) or "\0" not in value


@pytest.mark.parametrize("given", [{"patient_id": "１２"}, {"sex": "x"}, {"birth_date": "1950"}])
def test_what_a_person_types_is_held_to_the_same_rules(given: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        slide_request.typed(given)


# -- of whom a row speaks -------------------------------------------------------

ROOT = Path("/w")
SLIDE = ROOT / "P26-1" / "a.svs"


def row(folder: Path = ROOT, stem: str = "list", line: int = 2, **words: Any) -> Row:
    return Row(folder, f"{stem}.csv:{line}", stem, words)


@pytest.mark.parametrize(
    ("one", "speaks"),
    [
        (row(file="a.svs"), True),
        (row(file="A.SVS"), True),
        (row(file="a"), True),
        (row(file="P26-1\\a.svs"), True),
        (row(file="b.svs"), False),
        (row(case="P26-1"), True),
        (row(case="P26-2"), False),
        (row(patient_id="1"), False),  # in the root it would speak of everybody's slides
        (row(SLIDE.parent, patient_id="1"), True),
        (row(SLIDE.parent, stem="a", patient_id="1"), True),
        (row(ROOT / "P26-2", file="a.svs"), False),
    ],
)
def test_a_row_speaks_of_its_slides_alone(one: Row, speaks: bool) -> None:
    assert bool(speaking([one], SLIDE, ROOT, "P26-1")) == speaks


def test_the_nearer_row_counts_and_two_patients_are_refused() -> None:
    near = row(SLIDE.parent, stem="a", stain="PAS")
    far = row(case="P26-1", stain="HE", patient_id="1", reason="良悪性の別")
    said = merged(speaking([far, near], SLIDE, ROOT, "P26-1"))
    assert said["stain"] == "PAS"
    assert said["patient_id"] == "1"
    other = row(file="a.svs", patient_id="2", line=3)
    with pytest.raises(RequestUnreadable, match="patient_id"):
        merged(speaking([far, other], SLIDE, ROOT, "P26-1"))


def test_two_lines_of_one_file_that_differ_are_refused() -> None:
    one, two = (row(file="a.svs", stain=stain, line=i) for i, stain in enumerate(("HE", "PAS"), 2))
    with pytest.raises(RequestUnreadable, match=r"list\.csv:3"):
        merged(speaking([one, two], SLIDE, ROOT, None))


def test_a_wrong_row_is_never_left_out_of_what_is_said() -> None:
    (bad,) = rows("ファイル名,患者ID,性別\na.svs,1,x\n")
    with pytest.raises(RequestUnreadable):
        merged([bad])
