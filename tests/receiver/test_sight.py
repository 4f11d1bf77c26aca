"""A reader limited to some institutions: what is another's is answered as what is not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from starlette.routing import Route
from typer.testing import CliRunner

from common.errors import NotFound, NotSignedIn, SeveralInstitutions, UsageError
from common.web.accounts import Accounts
from common.web.peer import Listener
from receiver import forward_targets, index, sight
from receiver.attendance import Attendance
from receiver.sight import Sight
from receiver.stored import Address, Stored
from receiver.web_app import viewer_app
from tests.receiver.filled import EAST, NORTH, PASSWORD, USER, Filled, SlideCase, client, uid
from tests.receiver.test_live import Stream, listening
from tests.receiver.test_sign_in import guarded_routes, with_a_derived_level

LIMITED = "mori"
#: Bodies that a study's writes take; the others need none.
BODIES: dict[str, dict[str, Any]] = {
    "/take-over": {"reason": "当直交代"},
    "/done": {"accept": 2, "told": None},
    "/messages": {"kind": "query", "text": "部位を教えてください"},
    "/forwards": {"target": "inbox"},
    "/marks": {"marks": [], "keys": [], "layout": "1x1"},
    "/slide-marks": {"kind": "point", "unit": "um", "points": [[1, 2]]},
    "/rescans": {"reason": "focus"},
    "/hold": {"reason": "裁判"},
    "/prior-links": {"prior": "f" * 32, "step": "link", "seen": "0" * 64},
}


@dataclass(frozen=True)
class Place:
    """What addresses are made of: of one study, or of none."""

    key: str
    code: str
    name: str
    slide: SlideCase | None = None

    def of(self, route: Route) -> str:
        """Fill a route's parameters."""
        series = self.slide.series_uid if self.slide else uid(f"{self.name}/series")
        sop = self.slide.sop_uid(0) if self.slide else uid(f"{self.name}/image/1")
        path = route.path
        for name, value in {
            **{"key": self.key, "sop": sop, "factor:int": "4", "number:int": "1"},
            **{"institution": self.code, "study": self.study, "series": series},
            **{"instance": sop, "frames": "1", "uid": sop},
            **{"forward": "1", "tag": "60003000"},
        }.items():
            path = path.replace(f"{{{name}}}", value)
        assert "{" not in path, path
        return path

    @property
    def study(self) -> str:
        return self.slide.study_uid if self.slide else uid(f"{self.name}/study")


NOTHING = Place("f" * 32, "0999999999", "nowhere")


@dataclass
class House:
    """Two institutions with a study and a slide each, and a reader of one of them."""

    filled: Filled
    url: str
    ours: list[Place]
    theirs: list[Place]
    told: list[dict[str, Any]]
    refused: list[str]
    routes: list[Route]
    attendance: Attendance

    @contextmanager
    def page(self, name: str = LIMITED) -> Iterator[httpx.Client]:
        with client(self.url, signed_in=False) as page:
            words = {"name": name, "password": PASSWORD}
            page.post("/api/sign-in", json=words).raise_for_status()
            yield page

    def of_studies(self) -> list[tuple[Route, str]]:
        """Every route that names a study or goes over studies, with each of its methods."""
        return [
            (route, method)
            for route in self.routes
            if "{key}" in route.path or route.path.startswith("/dicomweb")
            for method in sorted((route.methods or set()) - {"HEAD"})
        ]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    filled = Filled(folder / "receiver")
    filled.user()
    near, far = filled.ct("北見", count=2), filled.ct("釧路", EAST[1], count=2)
    slides = [
        with_a_derived_level(filled, NORTH[1], "near"),
        with_a_derived_level(filled, EAST[1], "far"),
    ]
    door = Accounts(filled.index)
    door.add(LIMITED, PASSWORD, "森医師")
    assert sight.limit(door, filled.index, LIMITED, [NORTH[1]]) == [NORTH[1]]
    (folder / "inbox").mkdir()
    inbox = forward_targets.folder("inbox", folder / "inbox", "手順書3", "abe")
    forward_targets.add(filled.index, inbox)
    told, refused = list[dict[str, Any]](), list[str]()
    services = replace(
        filled.services(),
        note=lambda event, **facts: told.append({"event": event, **facts}),
        refused=lambda _address, cause, _certificate: refused.append(cause),
    )
    app = viewer_app(services)
    with Listener(app, "127.0.0.1", 0, grace=1).in_thread() as (host, port):
        yield House(
            filled,
            f"http://{host}:{port}",
            [Place(near, NORTH[1], "北見"), Place(slides[0].key, NORTH[1], "", slides[0])],
            [Place(far, EAST[1], "釧路"), Place(slides[1].key, EAST[1], "", slides[1])],
            told,
            refused,
            guarded_routes(app),
            services.attendance,
        )
    filled.close()


def answer(page: httpx.Client, route: Route, method: str, place: Place) -> tuple[int, str, bytes]:
    """What is answered, but for the moment at which it is."""
    ending = next((end for end in BODIES if route.path.endswith(end)), "")
    body = BODIES.get(ending)
    if body is not None and place.slide is not None:
        body = {**body, "series": place.slide.series_uid}
    said = page.request(method, place.of(route), json=body)
    kept = {name: value for name, value in said.headers.items() if name != "date"}
    return said.status_code, json.dumps(kept, sort_keys=True), said.content


@pytest.mark.requirement("AUT-04")
def test_lists_searches_and_priors_are_of_ones_own(house: House) -> None:
    mine, studies = {one.key for one in house.ours}, {one.study for one in house.ours}
    with house.page() as page, house.page(USER) as whole:
        assert {row["key"] for row in page.get("/api/worklist").json()["rows"]} == mine
        assert len(whole.get("/api/worklist").json()["rows"]) == 4
        for path in ("studies", "series", "instances"):
            found = page.get(f"/dicomweb/{path}").json()
            assert {one["0020000D"]["Value"][0] for one in found} == studies, path
            assert {one["00100021"]["Value"][0] for one in found} == {NORTH[1]}, path
            assert len(whole.get(f"/dicomweb/{path}").json()) > len(found)
        sought = {"StudyInstanceUID": house.theirs[0].study}
        assert page.get("/dicomweb/studies", params=sought).json() == []
        assert whole.get("/dicomweb/studies", params=sought).json()
        said = page.get("/api/session").json()["user"]
        assert said["institutions"] == [NORTH[1]]
        assert "institutions" not in whole.get("/api/session").json()["user"]


@pytest.mark.requirement("AUT-04")
@pytest.mark.badinput(77, "reader limited to one institution")
def test_what_is_another_institutions_is_answered_as_what_is_not_there(house: House) -> None:
    """Each route of the application's own table, with each method and with what it takes."""
    routes, shown = house.of_studies(), 0
    assert len(routes) > 50
    with house.page() as page:
        for route, method in routes:
            nothing = answer(page, route, method, NOTHING)
            for place in house.theirs:
                assert answer(page, route, method, place) == nothing, (method, route.path)
        for route, method in routes:  # and what is one's own is there
            shown += any(answer(page, route, method, one)[0] < 300 for one in house.ours)
    assert shown > 45
    hidden = {one.key for one in house.theirs}
    assert not [one for one in house.told if one.get("study") in hidden], "nobody looked at it"
    assert any(EAST[1] in cause and LIMITED in cause for cause in house.refused)
    assert not any("北見" in cause or NORTH[1] in cause for cause in house.refused)
    with house.filled.index.read() as db:
        of_readers = (index.reader_marks, index.slide_marks, index.rescans, index.messages)
        for table in (*of_readers, index.prior_links):
            column = table.c.study
            count = select(func.count()).where(column.in_(hidden))
            assert not db.execute(count).scalar(), table.name
        held = select(index.studies.c.held).where(index.studies.c.key.in_(hidden))
        assert set(db.execute(held).scalars()) == {None}


@pytest.mark.slow
@pytest.mark.requirement("AUT-04")
def test_a_uid_that_another_institution_uses_too_is_ones_own(house: House) -> None:
    """Nothing says that there is a second one: 409 would."""
    key = house.filled.ct("北見", EAST[1], count=1)
    with house.page() as page, house.page(USER) as whole:
        for path in ("metadata", "series", "instances", "thumbnail"):
            address = f"/dicomweb/studies/{house.ours[0].study}/{path}"
            assert page.get(address).status_code == 200, path
            assert whole.get(address).status_code == 409, path
        assert page.get(f"/api/studies/{key}").status_code == 404
        looked = [one for one in house.told if one["event"] == "study-accessed"]
    assert {one["institution"] for one in looked if one["user"] == LIMITED} == {NORTH[1]}


@pytest.mark.slow
@pytest.mark.requirement("AUT-04")
def test_news_and_listening_are_of_ones_own(house: House) -> None:
    with house.page() as page, listening(page) as stream:
        for place in house.theirs:
            with house.filled.index.write() as db:
                index.announce(db, "study", place.key)
        house.filled.ct("別件", EAST[1], count=1)
        slide = house.filled.slide("遠方", EAST[1])
        slide.lay_out(2)
        slide.send(2, [1, 2])
        key = house.filled.ct("今", count=1, arrived=0)
        assert news(stream) == ("study", {"key": key})
        assert page.post("/api/listening", json={"page": "a", "sound": True}).status_code == 200
    assert house.attendance.somebody(NORTH[1])
    assert not house.attendance.somebody(EAST[1]), "nobody sees what comes from there"
    assert house.attendance.somebody()


@pytest.mark.slow
def test_news_of_a_line_that_is_gone_comes_to_who_saw_it(filled: Filled) -> None:
    key, other = filled.ct(count=1), filled.ct("釧路", EAST[1], count=1)
    door = Accounts(filled.index)
    door.limit(USER, [NORTH[1]])
    user, _ = door.sign_in(USER, PASSWORD)
    seeing = Sight(filled.index)
    rows = [{"key": k, "institution": {"code": c}} for k, c in ((key, NORTH[1]), (other, EAST[1]))]
    assert seeing.only({"todoke_user": user}, rows) == rows[:1]
    with filled.index.write() as db:
        db.execute(index.studies.delete())
    assert seeing.sees(user, key)
    assert not seeing.sees(user, other)
    assert not seeing.sees(user, "0" * 32)


@pytest.mark.slow
def test_an_address_finds_nothing_beyond_what_may_be_seen(filled: Filled) -> None:
    """Where two of a reader's own institutions use a UID, a third one is not named beside them."""
    for code in (NORTH[1], EAST[1]):
        filled.ct("北見", code, count=1)
    stored, study = Stored(filled.index, filled.store.root), uid("北見/study")
    (row,) = stored.find(Address(study=study, among=frozenset((EAST[1],))))
    assert row.institution == EAST[1]
    with pytest.raises(NotFound):
        stored.find(Address(NORTH[1], study, among=frozenset((EAST[1],))))
    with pytest.raises(SeveralInstitutions):
        stored.find(Address(study=study))


@pytest.mark.slow
@pytest.mark.requirement("AUT-04")
def test_who_may_be_limited_to_what(filled: Filled) -> None:
    door = Accounts(filled.index)
    _, number = door.sign_in(USER, PASSWORD)
    for wrong in ([], ["0119999999"], [NORTH[1], "' or 1=1"]):
        with pytest.raises(UsageError):
            sight.limit(door, filled.index, USER, wrong)
    with pytest.raises(NotFound):
        sight.limit(door, filled.index, "nobody", [NORTH[1]])
    assert door.session(number)[0].institutions is None
    sight.limit(door, filled.index, USER, [NORTH[1], EAST[1]])
    with pytest.raises(NotSignedIn):
        door.session(number)
    user, _ = door.sign_in(USER, PASSWORD)
    assert user.institutions == frozenset((NORTH[1], EAST[1]))
    sight.limit(door, filled.index, USER, None)
    assert door.sign_in(USER, PASSWORD)[0].institutions is None


@pytest.mark.slow
@pytest.mark.requirement("AUT-04")
def test_the_administrator_and_the_console_set_the_limit(house: House, tmp_path: Path) -> None:
    door = Accounts(house.filled.index)
    door.add("kanri", PASSWORD, role="administrator")
    with house.page("kanri") as page, house.page() as reader:
        found = page.get("/api/people").json()
        assert {one["code"] for one in found["partners"]} == {NORTH[1], EAST[1]}
        (mori,) = [one for one in found["people"] if one["name"] == LIMITED]
        assert mori["institutions"] == [NORTH[1]]
        path = f"/api/people/{LIMITED}/institutions"
        bad: list[dict[str, Any]] = [{}, {"institutions": "all"}, {"institutions": [1]}]
        for wrong in (*bad, {"institutions": []}):
            assert page.post(path, json=wrong).status_code == 400, wrong
        assert reader.get("/api/worklist").status_code == 200
        assert page.post(path, json={"institutions": [EAST[1]]}).status_code == 204
        assert reader.get("/api/worklist").status_code == 401, "open sessions end at once"
    (noted,) = [one for one in house.told if one.get("what") == "institutions"]
    assert (noted["user"], noted["of"], noted["institutions"]) == ("kanri", LIMITED, [EAST[1]])
    with house.page() as page:
        (one,) = page.get("/api/worklist").json()["rows"][:1]
        assert one["institution"]["code"] == EAST[1]


@pytest.mark.slow
@pytest.mark.requirement("AUT-04")
def test_the_verb_sets_and_says_the_limit(tmp_path: Path) -> None:
    from common import audit
    from common.proof.identity import Institution
    from common.settings import Receiver
    from receiver import setup
    from receiver.user_verbs import app

    data = tmp_path / "receiver"
    hospital = Institution("試験病院", "0110812345", "札幌市")
    setup.init(data, hospital, Receiver(hosts=("localhost",)), operator="tester")
    filled = Filled(data)
    filled.user()
    filled.close()

    def said(*line: str) -> tuple[int, Any]:
        ran = CliRunner().invoke(app, [*line, "--data", str(data), "--json"])
        return ran.exit_code, json.loads(ran.stdout) if ran.stdout else None

    assert said("institutions", USER) == (0, {"name": USER, "institutions": None})
    assert said("institutions", USER, NORTH[1]) == (0, {"name": USER, "institutions": [NORTH[1]]})
    assert said("institutions", USER) == (0, {"name": USER, "institutions": [NORTH[1]]})
    assert said("institutions", USER, "0119999999")[0] != 0
    (user,) = said("list")[1]["users"]
    assert user["institutions"] == [NORTH[1]]
    assert said("institutions", USER, "--all") == (0, {"name": USER, "institutions": None})
    noted = [one for one in audit.last(data / "audit", "account", 9)]
    assert [one["institutions"] for one in noted] == [[NORTH[1]], None]


def news(stream: Stream) -> tuple[str, Any]:
    """The next event of any kind but the heartbeat."""
    kind = ""
    for line in stream.lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: ") and kind != "heartbeat":
            return kind, json.loads(line.removeprefix("data: "))
    raise EOFError
