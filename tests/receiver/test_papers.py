"""Documents and videos of a study: the sender's own bytes, in parts, to readers alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset
from sqlalchemy import select, update

from common.states import TransferState
from common.web.headers import DOCUMENT_POLICY
from common.web.peer import Listener
from receiver import index
from receiver.paper_routes import span
from receiver.viewer_services import PAGES, ViewerServices
from receiver.web_app import viewer_app
from tests.receiver import papers_made as made
from tests.receiver.filled import Filled, as_file, client, ct_image

pytestmark = pytest.mark.readingroom

STREAM = made.boxed(900_001)
SCRIPT = made.pdf(script="app.alert(1)")
MARKUP = "<img src=x onerror=window.pwned()>"


@dataclass
class Shelf:
    """One study with a picture, three documents and three videos, and who reads it."""

    filled: Filled
    reader: httpx.Client
    key: str
    uids: dict[str, str]
    noted: list[dict[str, Any]]
    came: dict[str, bytes]

    def path(self, name: str, what: str = "") -> str:
        kind = what or ("video" if name.startswith("video") else "document")
        return f"/api/studies/{self.key}/papers/{self.uids[name]}/{kind}"

    def get(self, name: str, asked: str | None = None) -> httpx.Response:
        headers = {} if asked is None else {"Range": asked}
        return self.reader.get(self.path(name), headers=headers)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    filled = Filled(Path(tmp_path_factory.mktemp("papers")))
    filled.user()
    objects = {
        "letter": made.document("papers", SCRIPT, title=MARKUP),
        "cda": made.document("papers", b"<ClinicalDocument/>", made.CDA, title="CDA"),
        "solid": made.document("papers", b"solid\n", made.STL, title="STL"),
        "no pdf": made.document("papers", b"<html><script>1</script>", title="no pdf"),
        "video": made.video("papers", STREAM),
        "video in parts": made.video("papers", STREAM, made.AVC_IN_PARTS, fragments=7),
        "video in packets": made.video("papers", (b"G" + bytes(187)) * 4, made.HEVC),
    }
    images = [ct_image("papers", 1), *objects.values()]
    key = filled.open(images)
    filled.arrive(images)
    filled.verify(key)
    noted: list[dict[str, Any]] = []
    services: ViewerServices = replace(
        filled.services(), note=lambda event, **facts: noted.append({"event": event, **facts})
    )
    with (
        Listener(viewer_app(services), "127.0.0.1", 0, grace=1).in_thread() as (host, port),
        client(f"http://{host}:{port}") as reader,
    ):
        uids = {name: str(one.SOPInstanceUID) for name, one in objects.items()}
        came = {name: data_set(one) for name, one in objects.items()}
        yield Shelf(filled, reader, key, uids, noted, came)
    filled.close()


def data_set(one: Dataset) -> bytes:
    """Return an object without preamble and group 0002 (PS3.10 7.1)."""
    whole = as_file(one)
    return whole[144 + int.from_bytes(whole[140:144], "little") :]


@pytest.mark.requirement("SUB-05")
@pytest.mark.parametrize("name", ["video", "video in parts"])
def test_a_video_is_given_byte_for_byte_whatever_it_was_cut_into(shelf: Shelf, name: str) -> None:
    whole = shelf.get(name)
    assert whole.status_code == 200
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    sent = STREAM + b"\0"  # fragments are of even length (PS3.5 A.4)
    assert whole.content == sent
    assert int(whole.headers["content-length"]) == len(sent)
    for first, last in ((0, 0), (1, 130_000), (128_571, 128_572), (300_000, len(sent) - 1)):
        part = shelf.get(name, f"bytes={first}-{last}")
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {first}-{last}/{len(sent)}"
        assert part.content == sent[first : last + 1]
    assert shelf.get(name, f"bytes={len(sent) - 5}-").content == sent[-5:]
    assert shelf.get(name, "bytes=-7").content == sent[-7:]
    beyond = shelf.get(name, f"bytes={len(sent)}-")
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(sent)}"
    assert not beyond.content
    # and the object itself lies there as it came
    with shelf.filled.index.read() as db:
        of_it = index.instances.c.sop_uid == shelf.uids[name]
        row = db.execute(select(index.instances).where(of_it)).one()
    kept = (shelf.filled.store.root / row.path).read_bytes()[row.prefix_length :]
    assert kept == shelf.came[name]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (None, (0, 100, False)),
        ("bytes=0-", (0, 100, True)),
        ("bytes=10-19", (10, 10, True)),
        ("bytes=90-1000", (90, 10, True)),
        ("bytes=-10", (90, 10, True)),
        ("bytes=-1000", (0, 100, True)),
        ("bytes=-0", None),
        ("bytes=100-", None),
        ("bytes=0-1,5-6", (0, 100, False)),
        ("bytes=9-1", (0, 100, False)),
        ("bytes=-", (0, 100, False)),
        ("lines=1-2", (0, 100, False)),
        ("bytes=٣-", (0, 100, False)),
    ],
)
def test_a_range_is_read_as_the_standard_has_it(
    asked: str | None, found: tuple[int, int, bool] | None
) -> None:
    """RFC 9110 section 14: what is no single range of bytes is not heeded."""
    assert span(asked, 100) == found


def test_without_a_validator_no_if_range_can_hold(shelf: Shelf) -> None:
    headers = {"Range": "bytes=5-9", "If-Range": '"any"'}
    assert shelf.reader.get(shelf.path("video"), headers=headers).status_code == 200


@pytest.mark.requirement("PRI-07")
def test_a_document_runs_nothing_wherever_it_is_opened(shelf: Shelf) -> None:
    for name, media in (("letter", "application/pdf"), ("cda", "text/plain")):
        answer = shelf.get(name)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == media
        assert answer.headers["content-security-policy"] == DOCUMENT_POLICY
        assert "sandbox" in DOCUMENT_POLICY.split("; ")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "private, no-store"
        kept = answer.headers["content-disposition"]
        assert kept.startswith("attachment; filename=")
        assert "img" not in kept  # no word of the sender's is in a header
    assert shelf.get("letter").content == SCRIPT
    assert shelf.get("cda").content == b"<ClinicalDocument/>"


def test_no_interpreter_for_scripts_of_a_pdf_is_in_the_build() -> None:
    built = [path.name for path in PAGES.rglob("*") if path.is_file()]
    if not built:
        pytest.skip("the viewer has not been built")
    assert any(name.startswith("pdf.worker") for name in built)
    assert not [name for name in built if "quickjs" in name.lower() or "sandbox" in name]


@pytest.mark.parametrize(
    ("name", "number"),
    [("solid", "E-4571"), ("no pdf", "E-4571"), ("video in packets", "E-4570")],
)
def test_what_no_page_shows_is_refused_in_words(shelf: Shelf, name: str, number: str) -> None:
    answer = shelf.get(name)
    assert answer.status_code == 406
    error = answer.json()["error"]
    assert error["number"] == number
    assert "Shift+F" in error["ja"]
    assert "Shift+F" in error["en"]


def test_the_list_says_what_each_is(shelf: Shelf) -> None:
    rows = shelf.reader.get(f"/api/studies/{shelf.key}/papers").json()["papers"]
    assert {row["sop_uid"] for row in rows} == set(shelf.uids.values()), "and no picture"
    of = {row["sop_uid"]: row for row in rows}
    found = {name: of[uid] for name, uid in shelf.uids.items()}
    assert {name: row["kind"] for name, row in found.items()} == {
        "letter": "pdf", "cda": "cda", "solid": "other", "no pdf": "pdf",
        "video": "video", "video in parts": "video", "video in packets": "video",
    }  # fmt: skip
    assert [found[one]["container"] for one in ("video", "video in packets")] == ["mp4", "ts"]
    assert found["letter"]["title"] == MARKUP
    assert found["video"]["syntax"].startswith("MPEG-4 AVC")
    assert not any(row["form"] for row in rows)


@pytest.mark.requirement("AUD-01")
def test_each_opening_is_noted_and_what_was_refused_too(shelf: Shelf) -> None:
    shelf.noted.clear()
    shelf.get("letter")
    shelf.get("video", "bytes=0-99")
    shelf.get("video", "bytes=100-199")  # the same look goes on
    shelf.get("solid")
    found = [one for one in shelf.noted if one["event"] == "paper-opened"]
    assert [(one["what"], one["outcome"]) for one in found] == [
        ("document", "ok"), ("video", "ok"), ("document", "refused"),
    ]  # fmt: skip
    assert {one["user"] for one in found} == {"yamamoto"}
    assert {one["study"] for one in found} == {shelf.key}
    assert found[2]["cause"] == "E-4571"
    assert MARKUP not in str(shelf.noted)


@pytest.mark.requirement("DIR-06", "AUT-04")
def test_only_of_its_own_study_and_only_what_it_is(shelf: Shelf) -> None:
    other = shelf.filled.ct("another")
    for name in ("letter", "video"):
        path = shelf.path(name).replace(shelf.key, other)
        assert shelf.reader.get(path).status_code == 404
    assert shelf.reader.get(shelf.path("letter", "video")).status_code == 404
    assert shelf.reader.get(shelf.path("video", "document")).status_code == 404
    assert shelf.reader.get("/api/studies/00/papers").status_code == 404
    with client(str(shelf.reader.base_url), signed_in=False) as stranger:
        for path in (shelf.path("letter"), shelf.path("video"), f"/api/studies/{shelf.key}/papers"):
            assert stranger.get(path).status_code == 401


def test_what_is_damaged_not_here_or_taken_back_is_not_shown(filled: Filled) -> None:
    letter, film = made.document("gone", SCRIPT), made.video("gone", STREAM)
    key = filled.open([letter, film])
    with filled.serve() as url, client(url) as reader:
        paths = [
            f"/api/studies/{key}/papers/{letter.SOPInstanceUID}/document",
            f"/api/studies/{key}/papers/{film.SOPInstanceUID}/video",
        ]
        rows = reader.get(f"/api/studies/{key}/papers").json()["papers"]
        assert {row["state"] for row in rows} == {"expected"}
        assert [reader.get(path).status_code for path in paths] == [404, 404]
        filled.arrive([letter, film])
        assert [reader.get(path).status_code for path in paths] == [200, 200]
        with filled.index.read() as db:
            stored = list(db.execute(select(index.instances.c.path)).scalars())
        for one in stored:
            file = filled.store.root / one
            whole = bytearray(file.read_bytes())
            whole[len(whole) // 2] ^= 1
            file.write_bytes(whole)
        found = [reader.get(path) for path in paths]
        assert [one.json()["error"]["number"] for one in found] == ["E-4103", "E-4103"]
        with filled.index.write() as db:
            db.execute(update(index.transfers).values(state=TransferState.RECALLED))
        assert [reader.get(path).status_code for path in paths] == [404, 404]
        assert reader.get(f"/api/studies/{key}/papers").json()["papers"] == []
