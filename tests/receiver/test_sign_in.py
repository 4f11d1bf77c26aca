"""Who gets in: nothing with patient data without a session, no write from elsewhere."""

from __future__ import annotations

import gzip
import json
import statistics
import time
from contextlib import closing
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.routing import Route
from typer.testing import CliRunner

from common.errors import NotSignedIn, PasswordTooWeak, SignInFailed, UsageError
from common.web import accounts
from common.web.accounts import Accounts, Failures
from receiver import sign_in_door
from receiver.deriving import Deriving
from receiver.web_app import viewer_app
from tests.receiver.conftest import ViewerServer
from tests.receiver.filled import NORTH, PASSWORD, USER, Filled, SlideCase, client, uid
from tests.receiver.test_deriving import Clock as Hours
from tests.receiver.test_deriving import LongSlide, verify, work

OWN = ("/api/sign-in", "/api/session/", "/api/account", "/api/people")

#: Ends of paths whose requests say something.
NEED_WORDS = (
    *("/take-over", "/done", "/messages", "/listening", "/forwards", "/monitor", "/marks"),
    *("/slide-marks", "/rescans", "/labels", "/hold", "/prior-links"),
)


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def guarded_routes(app: Starlette) -> list[Route]:
    """Return every route that is not the pages'."""
    found = [route for route in app.routes if isinstance(route, Route)]
    return [route for route in found if route.path != "/{path:path}"]


def in_address(path: str, key: str, derived: SlideCase) -> str:
    """Fill a route's parameters with what exists."""
    if "/derived/" in path:
        key = derived.key
    for name, value in {
        "key": key,
        "sop": derived.sop_uid(0),
        "factor:int": "4",
        "number:int": "1",
        "institution": NORTH[1],
        "study": uid("北見/study"),
        "series": uid("北見/series"),
        "instance": uid("北見/image/1"),
        "frames": "1",
        "tag": "60003000",
    }.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def with_a_derived_level(
    filled: Filled, institution: str = NORTH[1], name: str = "long"
) -> SlideCase:
    """Let a slide arrive, and the level be made that it lacks."""
    slide = LongSlide(filled, name, institution)
    slide.lay_out(0)
    slide.send(0)
    verify(slide)
    clock = Hours()
    with closing(Deriving(filled.index, filled.store.root, 0, clock)) as deriving:
        assert work(deriving, clock) > 0
    return slide


@pytest.mark.requirement("AUT-01")
def test_every_route_needs_a_session(viewer_server: ViewerServer) -> None:
    """Walks the application's own table, so that a new route is asked too."""
    key, slide = viewer_server.filled.ct(), with_a_derived_level(viewer_server.filled)
    routes = guarded_routes(viewer_app(viewer_server.filled.services()))
    assert len(routes) > 40
    asked = 0
    with (
        client(viewer_server.url, signed_in=False) as stranger,
        client(viewer_server.url) as reader,
    ):
        for route in routes:
            path = in_address(route.path, key, slide)
            for method in sorted((route.methods or set()) - {"HEAD"}):
                if path == "/api/sign-in" or path in sign_in_door.OPEN:
                    continue  # nothing of a patient, nor of anybody
                answer = stranger.request(method, path)
                assert answer.status_code == 401, (method, path)
                assert answer.json()["error"]["number"] == "E-5002"
                assert answer.headers["cache-control"] == "private, no-store"
                asked += 1
                # of people, factors and the lock: tests/receiver/test_people.py
                if not path.startswith((*OWN, "/api/events", "/api/sign-out")):
                    here = {200, 204}
                    absent = ("/forms/", "/colours/", "/papers/", "/settled")
                    if any(one in path for one in absent) or method == "DELETE":
                        here = {404}  # no form, profile, document or mark
                    elif "/bulkdata/" in path:
                        here = {406}  # bits, and this reader takes pictures
                    elif method == "POST" and path.endswith(NEED_WORDS):
                        here = {400}
                    elif path.startswith("/api/audit/"):
                        here = {403}  # the auditor's
                    assert reader.request(method, path).status_code in here, path
        for path in ("/api", "/api/", "/api/nothing", "/dicomweb", "/dicomweb/", "/api/../api/x"):
            assert stranger.get(path).status_code == 401
    assert asked >= len(routes) - 1 - len(sign_in_door.OPEN)


def test_pages_are_open_and_carry_the_policy(viewer_server: ViewerServer, tmp_path: Path) -> None:
    built = tmp_path / "built"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<!doctype html>page", encoding="utf-8")
    (built / "assets" / "app-1a2b.js").write_text("1", encoding="utf-8")
    (built / "assets" / "app-1a2b.js.gz").write_bytes(gzip.compress(b"1"))
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    with viewer_server.filled.serve(pages=built) as url, client(url, signed_in=False) as page:
        for path in ("/", "/study/abc", "/index.html"):
            answer = page.get(path)
            assert (answer.status_code, answer.text) == (200, "<!doctype html>page")
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self' 'wasm-unsafe-eval';" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe-inline" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cross-origin-opener-policy"] == "same-origin"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            assert answer.headers["referrer-policy"] == "no-referrer"
        script = page.get("/assets/app-1a2b.js")
        assert script.headers["content-type"].startswith("text/javascript")
        assert "immutable" in script.headers["cache-control"]
        plain = page.get("/assets/app-1a2b.js", headers={"Accept-Encoding": "identity"})
        codings = [one.headers.get("content-encoding") for one in (script, plain)]
        assert (codings, script.text, plain.text) == (["gzip", None], "1", "1")
        assert page.get("/assets/app-1a2b.js.gz").status_code == 404
        assert page.get("/assets/other.js").status_code == 404
        for trick in ("/..%2fsecret", "/assets/..%2f..%2fsecret", "/%2e%2e/secret", "//secret"):
            assert "secret" not in page.get(trick).text
    with (
        viewer_server.filled.serve(pages=tmp_path / "none") as url,
        client(url, signed_in=False) as page,
    ):
        assert page.get("/").status_code == 503
        assert "make setup" in page.get("/").text


def test_cookie_is_for_this_door_alone(viewer_server: ViewerServer) -> None:
    for https, name in ((False, "todoke_session"), (True, "__Host-todoke_session")):
        with viewer_server.filled.serve(https=https) as url, client(url, signed_in=False) as page:
            answer = page.post("/api/sign-in", json={"name": USER, "password": PASSWORD})
            assert answer.json() == {
                "user": {"name": USER, "display": "山本医師", "role": "reader"}
            }
            cookie = SimpleCookie(answer.headers["set-cookie"])[name]
            assert cookie["httponly"] is True
            assert cookie["samesite"] == "strict"
            assert cookie["path"] == "/"
            assert not cookie["domain"]
            assert bool(cookie["secure"]) is https
            assert len(cookie.value) >= 43  # 256 bits in base64
            assert ("strict-transport-security" in answer.headers) is https


def test_session_tells_who_and_where(viewer_server: ViewerServer) -> None:
    with client(viewer_server.url) as page:
        said = page.get("/api/session").json()
        assert said["user"] == {"name": USER, "display": "山本医師", "role": "reader"}
        assert said["institution"] == {"name": "網走中央病院", "code": "0110000018"}
        assert said["version"] == "0.0-test"


def test_sign_out_ends_the_session_everywhere(viewer_server: ViewerServer) -> None:
    with client(viewer_server.url) as page:
        stolen = dict(page.cookies)
        answer = page.post("/api/sign-out")
        assert answer.status_code == 204
        assert "cache" in answer.headers["clear-site-data"]
        assert not page.cookies
        page.cookies.update(stolen)
        assert page.get("/api/worklist").status_code == 401


def test_session_changes_at_sign_in(viewer_server: ViewerServer) -> None:
    """No fixation: a number from before is worth nothing after."""
    with client(viewer_server.url) as page:
        before = dict(page.cookies)
        page.post("/api/sign-in", json={"name": USER, "password": PASSWORD})
        assert dict(page.cookies) != before
        page.cookies.clear()
        page.cookies.update(before)
        assert page.get("/api/session").status_code == 401
        page.cookies.update({"todoke_session": "chosen-by-an-attacker"})
        assert page.get("/api/session").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Todoke": "0"},
        {"X-Todoke": "1", "Origin": "https://evil.example"},
        {"X-Todoke": "1", "Origin": "null"},
        {"X-Todoke": "1", "Sec-Fetch-Site": "cross-site"},
        {"X-Todoke": "1", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_writes_from_elsewhere_are_refused(
    viewer_server: ViewerServer, headers: dict[str, str]
) -> None:
    key = viewer_server.filled.ct(count=1)
    with client(viewer_server.url) as page, httpx.Client(base_url=viewer_server.url) as other:
        other.cookies.update(page.cookies)
        for path in (f"/api/studies/{key}/opened", "/api/sign-out", "/api/sign-in"):
            answer = other.post(path, headers=headers)
            assert answer.status_code == 403
            assert answer.json()["error"]["number"] == "E-5003"
        assert other.get("/api/session").status_code == 200
        [row] = page.get("/api/worklist").json()["rows"]
        assert row["state"] == "receipted"


def test_own_origin_may_write(viewer_server: ViewerServer) -> None:
    with client(viewer_server.url) as page:
        own = {"Origin": viewer_server.url, "Sec-Fetch-Site": "same-origin"}
        assert page.post("/api/sign-out", headers=own).status_code == 204


def test_reads_never_write(viewer_server: ViewerServer) -> None:
    key = viewer_server.filled.ct(count=1)
    with client(viewer_server.url) as page:
        for path in (f"/api/studies/{key}/opened", "/api/sign-out", "/api/sign-in"):
            assert page.get(path).status_code in {404, 405}
        for method in ("PUT", "DELETE", "PATCH"):
            assert page.request(method, f"/api/studies/{key}").status_code == 405
        assert page.options("/api/worklist", headers={"X-Todoke": ""}).status_code == 403


@pytest.mark.requirement("AUT-07")
def test_one_message_whatever_was_wrong(viewer_server: ViewerServer) -> None:
    answers = set()
    with client(viewer_server.url, signed_in=False) as page:
        for name, password in (
            (USER, "wrong"),
            ("nobody", PASSWORD),
            (USER, ""),
            ("", ""),
            ("' or 1=1", "x"),
            (USER, "x" * 3000),
        ):
            answer = page.post("/api/sign-in", json={"name": name, "password": password})
            kept = {k: v for k, v in answer.headers.items() if k != "date"}
            answers.add((answer.status_code, answer.text, json.dumps(kept)))
    assert len(answers) == 1
    [(status, body, _)] = answers
    assert status == 401
    assert json.loads(body)["error"]["number"] == "E-5001"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"name": 1, "password": 2}', b'{"name": "a"}', b"\xff", b"9" * 9999],
)
def test_sign_in_takes_nothing_else(viewer_server: ViewerServer, body: bytes) -> None:
    with client(viewer_server.url, signed_in=False) as page:
        assert page.post("/api/sign-in", content=body).status_code == 400


@pytest.mark.requirement("AUT-03")
def test_repeated_failure_locks_even_the_right_password(filled: Filled) -> None:
    clock = Clock()
    door = Accounts(filled.index, clock)
    for _ in range(5):
        with pytest.raises(SignInFailed):
            door.sign_in(USER, "wrong", "10.0.0.1")
    with pytest.raises(SignInFailed):
        door.sign_in(USER, PASSWORD, "10.0.0.1")
    door.sign_in(USER, PASSWORD, "10.0.0.2")  # nobody is locked out by a stranger elsewhere
    clock.now += 301
    door.sign_in(USER, PASSWORD, "10.0.0.1")


def test_an_address_that_guesses_names_is_locked(filled: Filled) -> None:
    failures = Failures(3, 60, clock := Clock())
    for _ in range(3):
        assert not failures.blocked("a")
        failures.add("a")
    assert failures.blocked("a")
    assert not failures.blocked("b")
    clock.now += 61
    assert not failures.blocked("a")


@pytest.mark.badinput(81, "user enumeration by timing")
def test_unknown_names_take_as_long(filled: Filled) -> None:
    door = Accounts(filled.index)

    def seconds(name: str) -> float:
        taken = []
        for number in range(4):
            begin = time.perf_counter()
            with pytest.raises(SignInFailed):
                door.sign_in(name, "wrong", f"{name}{number}")
            taken.append(time.perf_counter() - begin)
        return statistics.median(taken)

    known, unknown = seconds(USER), seconds("nobody")
    assert 0.2 < known / unknown < 5  # without a hash it is a hundredth


def test_idle_and_absolute_end(filled: Filled) -> None:
    clock = Clock()
    door = Accounts(filled.index, clock)
    _, number = door.sign_in(USER, PASSWORD)
    clock.now += accounts.IDLE_SECONDS - 1
    assert door.session(number)[1], "its use is to be noted"
    door.touch(number)
    clock.now += accounts.IDLE_SECONDS - 1
    door.session(number)
    clock.now += 2
    with pytest.raises(NotSignedIn):
        door.session(number)
    _, number = door.sign_in(USER, PASSWORD)
    end = clock.now + accounts.ABSOLUTE_SECONDS
    while clock.now + 600 < end:
        clock.now += 600
        door.session(number)
        door.touch(number)
    clock.now = end + 1
    with pytest.raises(NotSignedIn):
        door.session(number)


@pytest.mark.requirement("AUT-08")
def test_database_holds_no_secret(filled: Filled) -> None:
    door = Accounts(filled.index)
    _, number = door.sign_in(USER, PASSWORD)
    with filled.index.read() as db:
        user = db.execute(select(accounts.users)).one()
        session = db.execute(select(accounts.sessions)).one()
    assert user.password.startswith("$argon2id$")
    assert number not in str(session)
    for path in filled.data.glob("index.sqlite*"):
        content = path.read_bytes()
        assert number.encode() not in content
        assert PASSWORD.encode() not in content


@pytest.mark.requirement("AUT-03")
@pytest.mark.parametrize(
    "password",
    ["Short-1", "onlyletterslong", "1234567890123", "letters-only-sig", "a1-a1-a1-a1-a1",
     f"{USER}-Aa1!xyz", "x" * 300 + "1-"],
)  # fmt: skip
def test_weak_passwords_are_refused(filled: Filled, password: str) -> None:
    with pytest.raises(PasswordTooWeak):
        Accounts(filled.index).set_password(USER, password)


@pytest.mark.requirement("AUT-03")
def test_password_change_ends_sessions_and_takes_no_old_one(filled: Filled) -> None:
    door = Accounts(filled.index)
    _, number = door.sign_in(USER, PASSWORD)
    with pytest.raises(PasswordTooWeak):
        door.set_password(USER, PASSWORD)
    door.set_password(USER, "Another-Battery-7")
    with pytest.raises(NotSignedIn):
        door.session(number)
    with pytest.raises(SignInFailed):
        door.sign_in(USER, PASSWORD)
    door.sign_in("  ＹＡＭＡＭＯＴＯ ", "Another-Battery-7")
    door.disable(USER)
    with pytest.raises(SignInFailed):
        door.sign_in(USER, "Another-Battery-7")
    with pytest.raises(UsageError):
        door.add(USER, "Third-Battery-99x")


def test_verbs_never_take_a_password_as_an_argument(tmp_path: Path) -> None:
    from common.proof.identity import Institution
    from common.settings import Receiver
    from receiver import setup
    from receiver.user_verbs import app

    data = tmp_path / "receiver"
    setup.init(
        data,
        Institution("試験病院", "0110812345", "札幌市"),
        Receiver(hosts=("localhost",)),
        operator="tester",
    )
    runner = CliRunner()
    where = ["--data", str(data), "--json"]
    weak = runner.invoke(app, ["add", "mori", "--password-stdin", *where], input="weak\n")
    assert weak.exit_code == 2
    assert json.loads(weak.stdout)["error"]["number"] == "E-1008"
    good = "Rainy-Season-2026"
    made = runner.invoke(
        app, ["add", "mori", "--display", "森医師", "--password-stdin", *where], input=f"{good}\n"
    )
    assert made.exit_code == 0, made.output
    assert good not in made.output
    assert runner.invoke(app, ["add", "x", good, *where]).exit_code == 2
    assert runner.invoke(app, ["disable", "mori", *where]).exit_code == 0
    listed = json.loads(runner.invoke(app, ["list", *where]).stdout)
    (one,) = listed["users"]
    assert (one["name"], one["display"], one["disabled"]) == ("mori", "森医師", True)
    changed = runner.invoke(
        app, ["password", "mori", "--password-stdin", *where], input="Dry-Season-2027!\n"
    )
    assert changed.exit_code == 0
    assert runner.invoke(app, ["disable", "nobody", *where]).exit_code == 21
