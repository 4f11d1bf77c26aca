"""`todoke demo`: a sender and a receiver as two hospitals run them, on this machine.

Everything is done through the verbs, with their ``--json``: nothing here knows
how a room works inside.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from common import console
from common.errors import UsageError, VerbFailed
from common.free_ports import free_ports

RECEIVER = ("旭川支援病院 (試験)", "0110000001")
SENDER = ("北見依頼病院 (試験)", "0110000002")
READER = "demo"
SLIDE = ("TODOKE-DEMO", "HYOHON^SHIKEN=標本^試験=ヒョウホン^シケン")
NOT_DIRECT = "E-2130"  # a transfer is held because it is no direct transmission
STOPPED = ("held", "failed")
PATIENCE = 60.0  # seconds for a process to open its doors


def verb(*words: str | Path, stdin: str | None = None) -> tuple[Any, int]:
    """Run one verb with ``--json``; return what it printed and its exit code."""
    line = [sys.executable, "-m", "common.command", *map(str, words), "--json"]
    done = subprocess.run(line, stdout=subprocess.PIPE, input=stdin, text=True, check=False)
    try:
        return json.loads(done.stdout), done.returncode
    except ValueError:
        raise VerbFailed(verb=" ".join(line[3:5]), cause=done.returncode) from None


def must(*words: str | Path, stdin: str | None = None) -> Any:
    """Run one verb that has to succeed.

    Raises
    ------
    VerbFailed
    """
    said, code = verb(*words, stdin=stdin)
    if code:
        raise VerbFailed(verb=f"{words[0]} {words[1]}", cause=said.get("error", code))
    return said


@contextlib.contextmanager
def process(*words: str | Path) -> Iterator[Any]:
    """Run a daemon; gives the JSON object in which it says that it is ready."""
    line = [sys.executable, "-m", "common.command", *map(str, words), "--json"]
    running = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    late = threading.Timer(PATIENCE, running.kill)
    late.start()
    try:
        ready = _first_object(running)
        late.cancel()
        if "error" in ready:
            raise VerbFailed(verb=f"{words[0]} {words[1]}", cause=ready["error"])
        yield ready
    finally:
        late.cancel()
        running.terminate()
        running.wait()


def _first_object(running: subprocess.Popen[str]) -> Any:
    text = ""
    while line := running.stdout.readline() if running.stdout else "":
        text += line
        with contextlib.suppress(ValueError):
            return json.loads(text)
    raise VerbFailed(verb=" ".join(map(str, running.args[3:5])), cause=running.wait())  # type: ignore[index]


@dataclass(slots=True)
class Demo:
    """Two paired ends below one folder."""

    folder: Path
    viewer: str = ""
    password: str = field(default_factory=lambda: secrets.token_urlsafe(9) + "-7aZ")
    doors: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def _sender(self) -> Path:
        return self.folder / "sender"

    @property
    def _receiver(self) -> Path:
        return self.folder / "receiver"

    def open(self) -> None:
        """Set both ends up, pair them, start them."""
        ports = dict(zip(("dicom", "link", "pairing", "viewer"), free_ports(4), strict=True))
        options = [word for name, port in ports.items() for word in (f"--{name}-port", str(port))]
        here = ("--address", "localhost", "--operator", READER)
        name, code = RECEIVER
        must("receiver", "init", "--data", self._receiver, "--name", name, "--code", code,
             *here, "--host", "localhost", "--bind", "127.0.0.1", "--no-second-factor",
             *options)  # fmt: skip
        must("receiver", "user", "add", READER, "--display", "試験 読影医",
             "--password-stdin", "--data", self._receiver, stdin=f"{self.password}\n")  # fmt: skip
        ready = self.doors.enter_context(process("receiver", "run", "--data", self._receiver))
        self.viewer = ready["viewer"]
        name, code = SENDER
        invited = must("receiver", "invite", name, "--code", code, "--address", "localhost",
                       "--out", self.folder, "--data", self._receiver)  # fmt: skip
        must("sender", "init", "--data", self._sender, "--name", name, "--code", code, *here)
        must("sender", "join", invited["path"], "--data", self._sender)
        self.doors.enter_context(process("sender", "run", "--data", self._sender))

    def send(
        self, paths: list[Path], spacing: float | None, language: str
    ) -> tuple[dict[str, Any], int]:
        """Send what lies under `paths`; return the demo's words and the exit code.

        Parameters
        ----------
        language : {'ja', 'en'}
            Of the reasons.
        """
        options = ["--patient-id", SLIDE[0], "--patient-name", SLIDE[1], "--label", "--macro"]
        if spacing is not None:
            options += ["--spacing", str(spacing)]
        with FirstViews(self.viewer, self.password) as views:
            said, code = verb("sender", "send", *paths, "--attest", READER, *options,
                              "--data", self._sender)  # fmt: skip
            if "transfers" not in said:
                raise VerbFailed(verb="sender send", cause=said.get("error", code))
            for one in said["transfers"]:
                if (one["error"] or {}).get("number") == NOT_DIRECT:
                    one |= self._as_reference(one["id"])
                    stopped = [t["error"] for t in said["transfers"] if t["state"] in STOPPED]
                    code = max((int(error["exit"]) for error in stopped if error), default=0)
        arrived = {
            row["id"]: row["arrived"]
            for row in must("receiver", "status", "--data", self._receiver)["transfers"]
        }
        words = {
            "transfers": [
                _transfer(t, arrived, views.seconds, language) for t in said["transfers"]
            ],
            "refused": [
                {"path": row["path"], "reason": row[language].removesuffix(f" {row['number']}")}
                for row in said["refused"]
            ],
            "receiver": {"url": self.viewer},
        }
        return words, code

    def _as_reference(self, transfer: str) -> dict[str, Any]:
        """Let a transfer go that is no direct transmission, as 参考; return how it ended."""
        must("sender", "release", transfer, "--as", "reference", "--by", READER,
             "--reason", "demo", "--data", self._sender)  # fmt: skip
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            shown: dict[str, Any] = must("sender", "show", transfer, "--data", self._sender)
            if shown["finished"] or shown["state"] in STOPPED:
                del shown["instances"]  # each of them, where send counts them
                return shown
        raise VerbFailed(verb="sender release", cause=f"{transfer}: {PATIENCE:.0f} s")


def _transfer(
    told: dict[str, Any], arrived: dict[str, int], views: dict[str, float], language: str
) -> dict[str, Any]:
    judgement = told["judgement"]
    reasons = [told["error"][language]] if told["error"] else []
    if judgement["direct"] is not True:
        failing = [rule[language] for rule in judgement["rules"] if rule["result"] == "fail"]
        reasons += failing or [judgement["basis"][language]]
    view = views.get(told["study_uid"])
    return {
        "kind": told["kind"],
        "instances": told["instances"],
        "bytes": told["bytes"],
        "stored": arrived.get(told["id"], 0),
        "digests_equal": told["digests_equal"],
        "state": told["state"],
        "direct": judgement["direct"],
        "reasons": reasons,
        "seconds": _seconds(told["started"], told["finished"]),
        "first_view_seconds": None if view is None else round(view, 3),
    }


def _seconds(began: str | None, ended: str | None) -> float | None:
    if began is None or ended is None:
        return None
    between = datetime.fromisoformat(ended) - datetime.fromisoformat(began)
    return round(between.total_seconds(), 3)


class FirstViews:
    """Looks at the reader's work list and notes when a study's first image can be opened."""

    def __init__(self, viewer: str, password: str) -> None:
        self.seconds: dict[str, float] = {}
        self._viewer = viewer
        self._password = password
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> FirstViews:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        headers = {"X-Todoke": "1", "Origin": self._viewer}
        with httpx.Client(base_url=self._viewer, headers=headers, trust_env=False) as browser:
            signed = {"name": READER, "password": self._password}
            browser.post("/api/sign-in", json=signed).raise_for_status()
            began = time.monotonic()
            while True:
                ending = self._stop.is_set()
                rows = browser.get("/api/worklist").raise_for_status().json()["rows"]
                for row in rows:
                    if row["arrived"]:
                        self.seconds.setdefault(row["study_uid"], time.monotonic() - began)
                if ending:
                    return
                self._stop.wait(0.05)


def run(paths: list[Path], *, once: bool, as_json: bool, spacing: float | None, quick: bool) -> int:
    """Run the demo; return its exit code.

    Parameters
    ----------
    paths : list of Path
        What is sent; empty for samples made on the spot.
    once : bool
        End after the receipts instead of staying up for a browser.
    """
    for path in paths:
        if not path.exists():
            raise UsageError(cause=f"--from {path}")
    # a demo that is told to end takes its hospitals along
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="todoke-demo-") as name, contextlib.ExitStack() as end:
        folder = Path(name)
        if not paths:
            console.say("合成サンプルを作っています (患者データではありません)…",
                        "Making synthetic samples (no patient data)…")  # fmt: skip
            made = folder / "samples"
            must("samples", "make", made, *(["--quick"] if quick else []))
            paths = [made]
        demo = Demo(folder)
        end.enter_context(demo.doors)
        console.say("送信側と受信側を組み合わせています…", "Pairing a sender and a receiver…")
        demo.open()
        console.say("送っています…", "Sending…")
        words, code = demo.send(paths, spacing, "en" if as_json else console.language())
        if as_json:
            console.emit(words)
        else:
            _tell(words)
        if not once:
            _stay(demo)
        return code


def _tell(words: dict[str, Any]) -> None:
    ja = console.language() == "ja"
    for row in words["transfers"]:
        equal = ("照合不一致", "照合一致") if ja else ("digests NOT equal", "digests equal")
        line = f"{row['kind']:5}  {row['stored']}/{row['instances']}  {row['state']}"
        told = f"{equal[row['digests_equal']]}  {row['seconds']} s  {' '.join(row['reasons'])}"
        console.tell(f"{line}  {told}")
    for row in words["refused"]:
        console.tell(f"{'送らない' if ja else 'refused'}: {row['path']}: {row['reason']}")


def _stay(demo: Demo) -> None:
    console.say(
        f"サインイン: 名前 {READER}  パスワード {demo.password}\n終わるには Ctrl-C",
        f"Sign in: name {READER}  password {demo.password}\nCtrl-C ends the demo",
    )
    console.tell(demo.viewer)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
