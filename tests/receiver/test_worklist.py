"""The work list over HTTP: identity, slots, progress, names."""

from __future__ import annotations

import pytest
from pydicom import Dataset
from sqlalchemy import select, update

from common.dicom import misdeclared, person_name
from common.errors import MixedPatients
from common.states import InstanceState, TransferState
from receiver import index
from receiver.attributes import first, study_attributes
from tests.receiver.conftest import ViewerServer
from tests.receiver.filled import NORTH, Filled, SlideCase, client, ct_image, uid


def test_slots_exist_from_the_opening(viewer_server: ViewerServer) -> None:
    key = viewer_server.filled.ct(count=5, arrived=3)
    with client(viewer_server.url) as page:
        [row] = page.get("/api/worklist").json()["rows"]
        assert (row["arrived"], row["expected"], row["kind"]) == (3, 5, "dicom")
        assert row["state"] == TransferState.SENDING
        assert (row["state_ja"], row["state_en"]) == ("送信中", "Sending")
        assert row["dicomweb"] == f"/dicomweb/at/{NORTH[1]}"
        study = page.get(f"/api/studies/{key}").json()
        assert {name: study[name] for name in row} == row
        [series] = study["series"]
        assert series["expected"] == 5
        assert [one["number"] for one in series["instances"]] == [1, 2, 3, 4, 5]
        states = [one["state"] for one in series["instances"]]
        assert states == [InstanceState.STORED] * 3 + [InstanceState.EXPECTED] * 2
        assert series["instances"][4]["state_ja"] == "未着"
        assert (series["instances"][0]["columns"], series["instances"][0]["rows"]) == (64, 48)
        assert series["instances"][4]["columns"] is None


def test_missing_slice_in_the_middle_keeps_its_place(viewer_server: ViewerServer) -> None:
    filled = viewer_server.filled
    images = [ct_image("間", number) for number in (3, 1, 2)]
    key = filled.open(images)
    filled.arrive([images[0], images[1]])
    with client(viewer_server.url) as page:
        [series] = page.get(f"/api/studies/{key}").json()["series"]
        states = [(one["number"], one["state"]) for one in series["instances"]]
        assert states == [(1, "stored"), (2, "expected"), (3, "stored")]


def test_study_without_an_opening_expects_nothing_known(viewer_server: ViewerServer) -> None:
    viewer_server.filled.arrive([ct_image("素", 1)])
    with client(viewer_server.url) as page:
        [row] = page.get("/api/worklist").json()["rows"]
        assert (row["arrived"], row["expected"], row["state"]) == (1, None, "delivered")
        assert row["modalities"] == ["CT"]


def test_patient_as_a_reader_needs_it(viewer_server: ViewerServer) -> None:
    viewer_server.filled.ct()
    with client(viewer_server.url) as page:
        [row] = page.get("/api/worklist").json()["rows"]
    assert row["patient"] == {
        "id": "0012345",
        "issuer": NORTH[1],
        "issued_by": "",
        "ideographic": "髙橋 花子",
        "phonetic": "たかはし はなこ",
        "alphabetic": "TAKAHASHI HANAKO",
        "raw": "TAKAHASHI^HANAKO=髙橋^花子=たかはし^はなこ",
        "guessed": False,
        "birth_date": "1958-03-07",
        "sex": "F",
        "age": 68,
    }
    assert (row["study_date"], row["study_time"]) == ("2026-11-22", "11:35:00")
    assert (row["body_part"], row["accession_number"]) == ("HEAD", "A0001")


def test_urgent_first_and_read_last(viewer_server: ViewerServer) -> None:
    filled = viewer_server.filled
    keys = {
        name: filled.open([ct_image(name, 1)], priority=priority)
        for name, priority in (
            ("通", "routine"),
            ("急", "urgent"),
            ("至", "soon"),
            ("済", "urgent"),
        )
    }
    filled.arrive([ct_image("済", 1)])
    filled.verify(keys["済"])
    with client(viewer_server.url) as page:
        assert page.post(f"/api/studies/{keys['済']}/opened").status_code == 204
        rows = page.get("/api/worklist").json()["rows"]
        assert [row["key"] for row in rows] == [keys[name] for name in "急至通済"]
        assert rows[-1]["state"] == "opened"
        assert page.post(f"/api/studies/{keys['済']}/opened").status_code == 204
        assert page.post(f"/api/studies/{'0' * 32}/opened").status_code == 404
    with filled.index.read() as db:
        states = set(db.execute(select(index.transfers.c.state)).scalars())
    assert states == {TransferState.SENDING, TransferState.OPENED}


def test_slide_has_its_pyramid_before_any_frame(viewer_server: ViewerServer) -> None:
    slide = viewer_server.filled.slide()
    with client(viewer_server.url) as page:
        [row] = page.get("/api/worklist").json()["rows"]
        assert (row["kind"], row["unit"]) == ("slide", "tile")
        assert (row["arrived"], row["expected"]) == (0, 4 + 9 + 30)
        pyramid = page.get(f"/api/studies/{slide.key}").json()["series"][0]["slide"]
        assert [(one["columns"], one["rows"]) for one in pyramid["levels"]] == [
            (384, 320),
            (192, 160),
            (96, 80),
        ]
        assert [one["spacing_um"] for one in pyramid["levels"]] == [0.5, 1.0, 2.0]
        assert (pyramid["objective_power"], pyramid["icc"], pyramid["ratio"]) == (20, True, 12)
        slide.lay_out(0)
        slide.send(0, [1, 2])
        [row] = page.get("/api/worklist").json()["rows"]
        assert (row["arrived"], row["state"]) == (2, "sending")
        levels = page.get(f"/api/studies/{slide.key}").json()["series"][0]["slide"]["levels"]
        assert [one["arrived"] for one in levels] == [0, 0, 2]
        assert levels[0]["tile_columns"] == 64


def test_a_case_has_come_as_far_as_the_last_of_its_slides(viewer_server: ViewerServer) -> None:
    """Each slide is a transfer of its own; the case is urgent when one of them is."""
    filled = viewer_server.filled
    first = filled.slide("first")
    second = SlideCase(filled, "second", NORTH[1], study="first", priority="urgent")
    assert second.key == first.key
    filled.verify(first.key)  # the newest transfer, and what has arrived
    with client(viewer_server.url) as page:
        [row] = page.get("/api/worklist").json()["rows"]
        one = page.get(f"/api/studies/{first.key}").json()
        for said in (row, one):
            assert (said["state"], said["priority"]) == ("sending", "urgent")
            assert said["expected"] == 2 * (4 + 9 + 30)
        assert len(one["series"]) == 2
        with filled.index.write() as db:
            db.execute(update(index.transfers).values(state=TransferState.RECEIPTED))
        [row] = page.get("/api/worklist").json()["rows"]
        assert row["state"] == "receipted"


@pytest.mark.parametrize("key", ["0" * 32, "..", "%2e%2e", "x" * 32, "1' or 1=1", "1" * 500])
def test_no_such_study(viewer_server: ViewerServer, key: str) -> None:
    with client(viewer_server.url) as page:
        for path in ("", "/coverage"):
            # 403: what leads out of the studies leads to nobody's path
            assert page.get(f"/api/studies/{key}{path}").status_code in {404, 403, 307, 200}
            assert "rows" not in page.get(f"/api/studies/{key}{path}").text


def test_hostile_words_stay_words(viewer_server: ViewerServer) -> None:
    """A partner's own model of a study: whatever form it has, the list goes on (88, 45)."""
    filled = viewer_server.filled
    filled._open(
        [],
        {
            "00100010": {"vr": "PN", "Value": "<script>"},
            "00100020": "x",
            "00080020": {"vr": "DA", "Value": [{"a": 1}]},
            "00081030": {"vr": "LO", "Value": ["<img src=x onerror=alert(1)>"]},
            "00080060": None,
        },
        uid("hostile"),
        "dicom",
        NORTH[1],
    )
    filled.ct("良")
    with client(viewer_server.url) as page:
        answer = page.get("/api/worklist")
        assert answer.headers["content-type"] == "application/json"
        assert len(answer.json()["rows"]) == 2
        assert page.get("/dicomweb/studies").status_code == 200


def test_list_shows_what_the_images_say(viewer_server: ViewerServer) -> None:
    """An opening under one name, images under another: the list follows the images."""
    filled = viewer_server.filled
    announced = ct_image("違", 1, PatientName="SATO^KEI=佐藤^恵", PatientID="9")
    filled.open([announced])
    with client(viewer_server.url) as page:
        [row] = page.get("/api/worklist").json()["rows"]
        assert row["patient"]["ideographic"] == "佐藤 恵"
        filled.arrive([ct_image("違", 1)])
        [row] = page.get("/api/worklist").json()["rows"]
        assert (row["patient"]["ideographic"], row["patient"]["id"]) == ("髙橋 花子", "0012345")
        filled.open([ct_image("違", 1, PatientName="SATO^KEI=佐藤^恵")])  # as after a restart
        with pytest.raises(MixedPatients):
            filled.open([announced])
        [row] = page.get("/api/worklist").json()["rows"]
        assert row["patient"]["ideographic"] == "髙橋 花子"


@pytest.mark.requirement("CHR-04")
@pytest.mark.parametrize(
    ("value", "ideographic", "phonetic", "alphabetic"),
    [
        ("YAMADA^TARO=山田^太郎=やまだ^たろう", "山田 太郎", "やまだ たろう", "YAMADA TARO"),
        ("=日赤^太郎=ﾆｯｾｷ^ﾀﾛｳ", "日赤 太郎", "ニッセキ タロウ", ""),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎", "山田 太郎", "ヤマダ タロウ", ""),
        ("==カナ^ダケ", "", "カナ ダケ", ""),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "", "ヤマダ タロウ", ""),
        ("山﨑^𠮷田", "山﨑 𠮷田", "", ""),
        ("髙橋^花子^^様", "髙橋 花子 様", "", ""),
        ("SMITH^JOHN^^DR", "", "", "SMITH JOHN DR"),
        ("", "", "", ""),
    ],
)
def test_groups_of_names_as_seen_in_japan(
    value: str, ideographic: str, phonetic: str, alphabetic: str
) -> None:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = value
    name = person_name.from_json(first(study_attributes(ds), "00100010"))
    assert (name.ideographic, name.phonetic, name.alphabetic) == (ideographic, phonetic, alphabetic)
    assert name.raw == value.rstrip("=")


KANJI = "山田^春子"  # its JIS code has 3DH and 5EH in it, which are = and ^ in ASCII


@pytest.mark.requirement("CHR-05")
@pytest.mark.parametrize(
    ("raw", "declared", "ideographic", "phonetic"),
    [
        (f"Y={KANJI}=やまだ".encode("iso2022_jp"), [], "山田 春子", "やまだ"),
        (f"Y={KANJI}".encode("iso2022_jp"), ["ISO_IR 87"], "山田 春子", ""),
        (KANJI.encode("cp932"), ["ISO_IR 100"], "山田 春子", ""),
        (KANJI.encode("utf-8"), [""], "山田 春子", ""),
        (b"\xd4\xcf\xc0\xde^\xca\xd9\xba", ["", "ISO 2022 IR 87"], "", "ヤマダ ハルコ"),
        (
            b"Y=" + KANJI.encode("iso2022_jp") + b"=\xd4\xcf\xc0\xde",
            ["", "ISO 2022 IR 87"],
            "山田 春子",
            "ヤマダ",
        ),
    ],
)
def test_wrongly_declared_names_are_guessed(
    raw: bytes, declared: list[str], ideographic: str, phonetic: str
) -> None:
    guess = misdeclared.guess(raw, declared)
    assert guess is not None
    name = person_name.from_json(misdeclared.person_name(guess), guessed=True)
    assert (name.ideographic, name.phonetic) == (ideographic, phonetic)


@pytest.mark.parametrize(
    ("raw", "declared"),
    [
        ("Gérard^Müller".encode("latin-1"), ["ISO_IR 100"]),
        ("Yamada=山田^太郎=やまだ".encode("iso2022_jp"), ["", "ISO 2022 IR 87"]),
        ("山田^太郎".encode(), ["ISO_IR 192"]),
        (b"\xd4\xcf\xc0\xde", ["ISO_IR 13"]),
        (b"SMITH^JOHN", []),
        (b"\xff\xfe\xff", []),
    ],
)
def test_right_names_are_not_guessed(raw: bytes, declared: list[str]) -> None:
    assert misdeclared.guess(raw, declared) is None


@pytest.mark.requirement("CHR-05")
def test_guess_reaches_the_list_and_the_file_keeps_its_bytes(viewer_server: ViewerServer) -> None:
    filled: Filled = viewer_server.filled
    image = ct_image("推", 1)
    del image.SpecificCharacterSet
    image.StudyDescription = "CT"
    raw = f"YAMADA^HARUKO={KANJI}".encode("iso2022_jp")
    image.PatientName = raw.decode("latin-1")
    filled.arrive([image])
    with client(viewer_server.url) as page:
        [row] = page.get("/api/worklist").json()["rows"]
        assert (row["patient"]["ideographic"], row["patient"]["guessed"]) == ("山田 春子", True)
        whole = page.get(
            f"/dicomweb/studies/{image.StudyInstanceUID}", headers={"Accept": "multipart/related"}
        )
        assert raw in whole.content


def test_a_level_in_another_order_is_not_laid_out_as_if_it_were_full(
    viewer_server: ViewerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame's number says nothing of its place in TILED_SPARSE (PS3.3 C.7.6.17.3).

    The frames of this one do not say either: neither full nor empty is what it may look like.
    """
    header = SlideCase._header

    def sparse(case: SlideCase, level: int) -> Dataset:
        made = header(case, level)
        made.DimensionOrganizationType = "TILED_SPARSE" if level == 2 else "TILED_FULL"
        return made

    monkeypatch.setattr(SlideCase, "_header", sparse)
    slide = viewer_server.filled.slide()
    for level in range(3):
        slide.lay_out(level)
    with client(viewer_server.url) as page:
        said = page.get(f"/api/studies/{slide.key}").json()["series"][0]["slide"]
    assert said["sparse"] is True
    assert [one["sop_uid"] for one in said["levels"]] == [slide.sop_uid(1), slide.sop_uid(0)]
