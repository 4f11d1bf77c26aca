"""Roles, second factors, the lock and emergencies, at the viewer's door."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
from sqlalchemy import select
from starlette.routing import Route

from common.errors import NotSignedIn, PasswordTooWeak, SignInFailed
from common.web import account_tables, accounts
from common.web.accounts import Accounts
from common.web.passwords import Hashes
from common.web.peer import Listener
from receiver import roles
from receiver.index import Index
from receiver.web_app import viewer_app
from tests.receiver.conftest import ViewerServer
from tests.receiver.filled import PASSWORD, USER, Filled, client, uid
from tests.receiver.test_sign_in import Clock, guarded_routes

#: A stream without an end, and what ends or locks the session that asks.
LEFT_OUT = {"/api/events", "/api/sign-out", "/api/session/lock"}
ADMIN, AUDITOR = "kanri", "kansa"


@dataclass
class Door:
    """A viewer's door at which everybody has a second factor, and what its trail was told."""

    url: str
    filled: Filled
    told: list[dict[str, Any]] = field(default_factory=list)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"X-Todoke": "1"})

    def events(self, event: str, **facts: Any) -> list[dict[str, Any]]:
        return [one for one in self.told if one["event"] == event and facts.items() <= one.items()]

    def first_step(self, page: httpx.Client, name: str = USER, password: str = PASSWORD) -> Any:
        return page.post("/api/sign-in", json={"name": name, "password": password}).json()

    def enrol(self, page: httpx.Client) -> tuple[str, list[str]]:
        """Sign in for the first time; gives the secret of the codes and the recovery codes."""
        assert self.first_step(page)["next"] == "enrol"
        secret = page.post("/api/account/totp", json={}).json()["secret"]
        picture = page.get("/api/account/totp/code")
        assert picture.headers["content-type"] == "image/png"
        code = pyotp.TOTP(secret).now()
        said = page.post("/api/account/totp/confirm", json={"code": code}).json()
        assert page.post("/api/account/enrolled").status_code == 200
        return secret, said["recovery"]


@pytest.fixture
def door(filled: Filled) -> Iterator[Door]:
    told: list[dict[str, Any]] = []
    services = replace(
        filled.services(),
        second_factor=True,
        note=lambda event, **facts: told.append({"event": event, **facts}),
    )
    with Listener(viewer_app(services), "127.0.0.1", 0, grace=1).in_thread() as (host, port):
        yield Door(f"http://{host}:{port}", filled, told)


def later(secret: str, steps: int) -> str:
    """A code of the next time step: each is taken once."""
    return pyotp.TOTP(secret).at(int(time.time()) + 30 * steps)


# --- roles (AUT-04) -----------------------------------------------------------------------


@pytest.mark.requirement("AUT-04")
def test_every_route_has_a_row_and_every_row_a_route(filled: Filled) -> None:
    paths = [route.path for route in guarded_routes(viewer_app(filled.services()))]
    for path in paths:
        assert path == "/api/sign-in" or roles.roles_of(path), f"{path} is for nobody"
    for row in roles.TABLE:
        assert any(roles.covers(row, path) for path in paths), f"{row} is about nothing"


@pytest.mark.requirement("AUT-04")
def test_the_matrix_of_roles_and_paths(viewer_server: ViewerServer) -> None:
    """Each route is asked by each role; what is another role's is refused before its route."""
    filled = viewer_server.filled
    key = filled.ct(count=1)
    door = Accounts(filled.index)
    for name, role in ((ADMIN, "administrator"), (AUDITOR, "auditor")):
        door.add(name, PASSWORD, role=role)
    refused: dict[str, set[str]] = {}
    routes = guarded_routes(viewer_app(filled.services()))
    filled_in = {
        **{"key": key, "study": uid("北見/study"), "series": uid("北見/series")},
        **{"instance": uid("北見/image/1"), "frames": "1"},
    }
    asked = [route for route in routes if route.path not in LEFT_OUT]
    for role, name in (("reader", USER), ("administrator", ADMIN), ("auditor", AUDITOR)):
        with client(viewer_server.url, signed_in=False) as page:
            page.post("/api/sign-in", json={"name": name, "password": PASSWORD})
            refused[role] = {one.path for one in asked if _refused(page, one, filled_in)}
    images = {route.path for route in asked if route.path.startswith(("/dicomweb", "/api/studies"))}
    assert len(images) > 40
    patients = images | {"/api/worklist"}
    assert patients <= refused["administrator"]
    assert patients <= refused["auditor"]
    assert not patients & refused["reader"]
    people = {route.path for route in asked if route.path.startswith("/api/people")}
    assert people <= refused["reader"]
    assert people <= refused["auditor"]
    assert not people & refused["administrator"]
    # nobody, the administrator least of all, has a path that changes a log
    writes = {one.path for one in routes if "audit" in one.path and "POST" in (one.methods or ())}
    assert writes <= refused["administrator"]


def _refused(page: httpx.Client, route: Route, filled_in: dict[str, str]) -> bool:
    path = route.path
    for name, value in filled_in.items():
        path = path.replace(f"{{{name}}}", value)
    (method,) = (route.methods or set()) - {"HEAD"}
    answer = page.request(method, path)
    if answer.status_code != 403:
        return False
    return bool(answer.json()["error"]["number"] == "E-1310")


@pytest.mark.requirement("AUT-04")
def test_what_no_row_is_about_is_for_nobody(viewer_server: ViewerServer) -> None:
    with client(viewer_server.url) as page:
        for path in (
            "/api",
            "/api/nothing",
            "/api/worklist2",
            "/dicomwebx/../api/x",
            "/api/Session",
        ):
            answer = page.get(path)
            if path.startswith("/api"):
                assert answer.status_code == 403, path
                assert answer.json()["error"]["number"] == "E-1310"


@pytest.mark.requirement("AUT-04")
def test_accounts_of_an_older_index_are_readers(tmp_path: Path) -> None:
    """The tables as they were before there were roles."""
    folder = tmp_path / "old"
    with contextlib.closing(Index.at(folder)) as old, old.write() as db:
        db.exec_driver_sql(
            "CREATE TABLE users (name VARCHAR(64) PRIMARY KEY, display TEXT NOT NULL,"
            " password TEXT NOT NULL, disabled BOOLEAN NOT NULL, made_at FLOAT NOT NULL)"
        )
        db.exec_driver_sql(
            "CREATE TABLE sessions (digest VARCHAR(64) PRIMARY KEY, user VARCHAR(64) NOT NULL,"
            " made_at FLOAT NOT NULL, used_at FLOAT NOT NULL)"
        )
        hashed = Hashes().make(PASSWORD)
        db.exec_driver_sql("INSERT INTO users VALUES (?, '山本', ?, 0, 1.0)", (USER, hashed))
    with contextlib.closing(Index.at(folder)) as index:
        door = Accounts(index)
        user, number = door.sign_in(USER, PASSWORD)
        assert user.role == "reader"
        assert door.session(number)[0] == user
        assert door.names()[0]["role"] == "reader"


# --- the second factor (AUT-02) -----------------------------------------------------------


@pytest.mark.requirement("AUT-02")
def test_nothing_is_served_before_the_second_factor(door: Door) -> None:
    with door.client() as page:
        assert door.first_step(page)["next"] == "enrol"
        for path in ("/api/worklist", "/dicomweb/studies", "/api/events", "/api/account"):
            answer = page.get(path)
            assert (answer.status_code, answer.json()["error"]["number"]) == (401, "E-1312")
        assert page.post("/api/account/enrolled").status_code == 400, "without a factor"
    with door.client() as page:
        secret, _ = door.enrol(page)
        assert page.get("/api/worklist").status_code == 200
        assert page.post("/api/account/enrolled").status_code == 403
    with door.client() as page:
        said = door.first_step(page)
        assert (said["next"], said["factors"]) == ("second", ["totp", "recovery"])
        assert page.get("/api/worklist").status_code == 401
        assert page.post("/api/account/totp", json={}).status_code == 401, "no second one instead"
        before = dict(page.cookies)
        right = page.post("/api/sign-in/totp", json={"code": later(secret, 1)})
        assert right.status_code == 200
        assert dict(page.cookies) != before
        assert page.get("/api/worklist").status_code == 200
    assert [one["factor"] for one in door.events("sign-in", outcome="ok")] == ["enrolment", "totp"]
    assert door.events("account", what="factor-added", user=USER)


@pytest.mark.requirement("AUT-02", "AUT-07")
def test_a_code_is_good_once_and_guesses_lock(door: Door) -> None:
    with door.client() as page:
        secret, _ = door.enrol(page)
    with door.client() as page:
        door.first_step(page)
        code = later(secret, 1)
        assert page.post("/api/sign-in/totp", json={"code": code}).status_code == 200
    with door.client() as page:
        door.first_step(page)
        words = page.post("/api/sign-in", json={"name": USER, "password": "wrong"}).text
        for wrong in (code, "000000", "", "é", "1" * 3000):
            answer = page.post("/api/sign-in/totp", json={"code": wrong})
            assert (answer.status_code, answer.text) == (401, words)
        gone = page.post("/api/sign-in/totp", json={"code": later(secret, 1)})
        assert (gone.status_code, gone.json()["error"]["number"]) == (401, "E-5002")
        locked = page.post("/api/sign-in", json={"name": USER, "password": PASSWORD})
        assert (locked.status_code, locked.text) == (401, words)
    assert door.events("account", what="lockout", user=USER)
    assert door.events("sign-in", outcome="refused", user=USER)


@pytest.mark.requirement("AUT-03")
def test_a_flood_of_guesses_is_one_line_and_its_count(filled: Filled) -> None:
    told: list[dict[str, Any]] = []
    services = filled.services()
    services = replace(services, note=lambda of, **facts: told.append({"event": of, **facts}))
    with (
        Listener(viewer_app(services), "127.0.0.1", 0, grace=1).in_thread() as (host, port),
        httpx.Client(base_url=f"http://{host}:{port}", headers={"X-Todoke": "1"}) as page,
    ):
        for _ in range(5):
            given = {"name": "nobody", "password": "wrong"}
            assert page.post("/api/sign-in", json=given).status_code == 401
        assert [one.get("repeats") for one in told if one["event"] == "sign-in"] == [None]
    refused = [one for one in told if one["event"] == "sign-in"]
    assert [one.get("repeats") for one in refused] == [None, 4], "closing the door writes the count"
    assert {one["outcome"] for one in refused} == {"refused"}
    assert "nobody" not in str(refused), "a password may have been typed as a name"


@pytest.mark.requirement("AUT-02")
def test_recovery_codes_are_good_once_and_kept_as_digests(door: Door) -> None:
    with door.client() as page:
        _, codes = door.enrol(page)
    assert len(set(codes)) == 10
    for used in (codes[0], codes[1].upper().replace("-", " ")):
        with door.client() as page:
            door.first_step(page)
            assert page.post("/api/sign-in/recovery", json={"code": used}).status_code == 200
            again = door.first_step(page)
            assert again["next"] == "second"
            assert page.post("/api/sign-in/recovery", json={"code": used}).status_code == 401
    for path in door.filled.data.glob("index.sqlite*"):
        content = path.read_bytes()
        assert not any(code.encode() in content for code in codes)


@pytest.mark.requirement("AUT-02", "AUT-03")
def test_own_account_asks_for_the_password_again(door: Door) -> None:
    with door.client() as page, door.client() as other:
        secret, codes = door.enrol(page)
        door.first_step(other)
        other.post("/api/sign-in/totp", json={"code": later(secret, 1)})
        (factor,) = page.get("/api/account").json()["factors"]
        assert "secret" not in factor
        for path in ("totp", "recovery", "password", f"factors/{factor['id']}/remove"):
            words = {"password": "wrong", "new": "Short-1a"}
            answer = page.post(f"/api/account/{path}", json=words)
            assert (answer.status_code, answer.json()["error"]["number"]) == (403, "E-1316")
        words = {"password": PASSWORD}
        last = page.post(f"/api/account/factors/{factor['id']}/remove", json=words)
        assert last.json()["error"]["number"] == "E-1315"
        fresh = page.post("/api/account/recovery", json=words).json()["recovery"]
        assert not set(fresh) & set(codes)
        (theirs,) = [
            one for one in page.get("/api/account").json()["sessions"] if not one["present"]
        ]
        assert page.post(f"/api/account/sessions/{theirs['id']}/end").status_code == 204
        assert other.get("/api/worklist").status_code == 401
        changed = page.post("/api/account/password", json={**words, "new": "Eight-8!"})
        assert changed.status_code == 204, "eight are enough beside a second factor"
        assert page.get("/api/worklist").status_code == 200


@pytest.mark.requirement("AUT-03")
def test_the_rule_of_passwords(filled: Filled) -> None:
    alone, beside = Accounts(filled.index), Accounts(filled.index, second_factor=True)
    with pytest.raises(PasswordTooWeak):
        alone.add("mori", "Eight-8!")
    with pytest.raises(PasswordTooWeak):
        beside.add("mori", "Seven-7")
    beside.add("mori", "Eight-8!")
    _, number = alone.sign_in("mori", "Eight-8!")  # the setting was turned off since
    assert alone.sessions.standing(number).stage == "enrol"
    for new in ("Second-22-word!", "Third-333-word!"):
        alone.set_password("mori", new)
    for old in ("Second-22-word!", "Third-333-word!"):
        with pytest.raises(PasswordTooWeak):
            alone.set_password("mori", old)


# --- the lock (AUT-06) --------------------------------------------------------------------


@pytest.mark.requirement("AUT-06")
def test_nothing_is_served_while_locked(door: Door) -> None:
    with door.client() as page:
        door.enrol(page)
        assert page.post("/api/session/lock").status_code == 204
        for path in ("/api/worklist", "/dicomweb/studies", "/api/account", "/api/events"):
            answer = page.get(path)
            assert (answer.status_code, answer.json()["error"]["number"]) == (401, "E-1311")
        assert page.get("/api/session").json()["stage"] == "locked"
        wrong = page.post("/api/session/unlock", json={"password": "wrong"})
        assert wrong.json()["error"]["number"] == "E-5001"
        assert page.post("/api/session/unlock", json={"password": PASSWORD}).status_code == 204
        assert page.get("/api/worklist").status_code == 200
        page.post("/api/session/lock")
        for _ in range(accounts.UNLOCK_TRIES):
            page.post("/api/session/unlock", json={"password": "wrong"})
        gone = page.post("/api/session/unlock", json={"password": PASSWORD})
        assert gone.json()["error"]["number"] == "E-5002"
    assert [one["event"] for one in door.told if one["event"].startswith("session-")] == [
        "session-locked",
        "session-unlocked",
        "session-locked",
    ]


@pytest.mark.requirement("AUT-06")
def test_idle_locks_and_the_day_ends(filled: Filled) -> None:
    clock = Clock()
    door = Accounts(filled.index, clock, idle_seconds=60)
    _, number = door.sign_in(USER, PASSWORD)
    clock.now += 61
    assert door.sessions.standing(number).stage == "locked"
    door.sessions.unlock(number)
    assert door.session(number)[0].name == USER
    clock.now += accounts.ABSOLUTE_SECONDS
    with pytest.raises(NotSignedIn):
        door.sessions.standing(number)


# --- emergencies and the console (AUT-05) -------------------------------------------------


@pytest.mark.requirement("AUT-05")
def test_break_glass_alarms_and_is_disabled_after(filled: Filled) -> None:
    told: list[tuple[str, Any]] = []
    clock = Clock()
    door = Accounts(
        *(filled.index, clock),
        second_factor=True,
        note=lambda event, **facts: told.append((event, facts.get("what"))),
    )
    word = door.seal("hijo", "非常時")
    assert door.names()[0]["seal"] == "sealed"
    user, number = door.sign_in("hijo", word)
    assert user.emergency
    assert door.session(number)[0].emergency, "without a second factor"
    assert told == [("break-glass", "opened"), ("alarm", None)]
    clock.now += accounts.EMERGENCY_SECONDS
    with pytest.raises(NotSignedIn):
        door.session(number)
    with pytest.raises(SignInFailed):
        door.sign_in("hijo", word)
    assert door.names()[0]["seal"] == "used"
    fresh = door.seal("hijo")
    clock.now += 301
    with pytest.raises(SignInFailed):
        door.sign_in("hijo", word)
    assert door.sign_in("hijo", fresh)[0].emergency


@pytest.mark.slow
@pytest.mark.requirement("AUT-02", "AUT-05")
def test_the_console_resets_and_is_written_down(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from common import audit
    from common.proof.identity import Institution
    from common.settings import Receiver
    from receiver import setup
    from receiver.user_verbs import app

    data = tmp_path / "receiver"
    hospital = Institution("試験病院", "0110812345", "札幌市")
    setup.init(data, hospital, Receiver(hosts=("localhost",)), operator="tester")
    runner = CliRunner()

    def said(*line: str, typed: str = "") -> Any:
        ran = runner.invoke(app, [*line, "--data", str(data), "--json"], input=typed)
        assert ran.exit_code == 0, ran.output
        return json.loads(ran.stdout)

    made = said("add", "mori", "--role", "administrator", "--password-stdin", typed="Eight-8!\n")
    assert made["role"] == "administrator"
    with contextlib.closing(Index.at(data)) as index:
        door = Accounts(index, second_factor=True)
        _, number = door.sign_in("mori", "Eight-8!")
        secret = door.factors.begin_totp(number)
        door.factors.confirm_totp(number, "mori", pyotp.TOTP(secret).now(), "")
        whole = door.whole(number)
        assert len(said("recovery", "mori")["recovery"]) == 10
        assert said("list")["users"][0]["factors"] == ["totp", "recovery"]
        (session,) = said("sessions", "mori")["sessions"]
        assert said("end", "mori", "--session", session["id"]) == {"name": "mori", "ended": 1}
        with pytest.raises(NotSignedIn):
            door.session(whole)
        assert said("reset", "mori") == {"name": "mori", "cleared": 1}
        with index.read() as db:
            assert not db.execute(select(account_tables.recovery_codes)).all()
        _, number = door.sign_in("mori", "Eight-8!")
        assert door.sessions.standing(number).stage == "enrol"
    assert said("role", "mori", "auditor")["role"] == "auditor"
    assert "password" in said("seal", "hijo")
    noted = [one["what"] for one in audit.last(data / "audit", "account", 99)]
    assert noted == ["added", "recovery-codes", "sessions-ended", "reset", "role"]
    assert audit.last(data / "audit", "break-glass", 9)[0]["what"] == "sealed"


@pytest.mark.slow
@pytest.mark.requirement("AUT-04")
def test_the_administrator_sets_people_up(door: Door) -> None:
    Accounts(door.filled.index, second_factor=True).add(ADMIN, PASSWORD, role="administrator")
    with door.client() as page:
        assert door.first_step(page, ADMIN)["next"] == "enrol"
        secret = page.post("/api/account/totp", json={}).json()["secret"]
        page.post("/api/account/totp/confirm", json={"code": pyotp.TOTP(secret).now()})
        page.post("/api/account/enrolled")
        words = {"name": "mori", "password": "Eight-8!", "display": "森医師", "role": "reader"}
        assert page.post("/api/people", json=words).json()["role"] == "reader"
        for what, body in (
            *(("role", {"role": "auditor"}), ("password", {"password": "Nine-nine9"})),
            *(("reset", {}), ("end", {}), ("disable", {})),
        ):
            assert page.post(f"/api/people/mori/{what}", json=body).status_code == 204, what
        (mori,) = [one for one in page.get("/api/people").json()["people"] if one["name"] == "mori"]
        assert (mori["role"], mori["disabled"]) == ("auditor", True)
        own = page.post(f"/api/people/{ADMIN}/role", json={"role": "reader"})
        assert own.json()["error"]["number"] == "E-1318"
    done = [one["what"] for one in door.events("account", user=ADMIN, of="mori")]
    assert done == ["added", "role", "password", "reset", "sessions-ended", "disabled"]
