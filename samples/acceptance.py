"""検収記録: a run from a real sender to a real receiver with samples, and what it showed (SUB-07).

As the demo does, everything goes through the verbs of the rooms.  The record says which
program was installed, when and by whom, what was sent, and which of its points were
seen to hold; it is marked 試験 and counts in no report.
"""

from __future__ import annotations

import contextlib
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import console, durable
from common.errors import NotInitialised, TodokeError
from common.proof import install, software
from samples import demo

TYPE, VERSION = "todoke-acceptance", 1
PATIENCE = 600.0  # seconds until every receipt is here
KINDS = {"dicom": ("CT (DICOM)", "CT (DICOM)"), "slide": ("スライド", "slide")}
#: The points of an acceptance, in their order: id, ja, en.
POINTS = {
    "installed": ("導入記録がある", "there is an install record"),
    "software": ("版とSBOMのSHA-256が分かる", "version and SBOM digest are known"),
    "paired": ("送信側と受信側が互いを登録している", "sender and receiver know one another"),
    "samples": ("CTとスライドの合成サンプルを作った", "synthetic CT and slide were made"),
    "sent": ("すべてのサンプルが送られた", "every sample was sent"),
    "dicom": ("CTが受領され、両端のダイジェストが一致した", "CT: receipted, digests equal"),
    "slide": (
        "スライドが受領され、両端のダイジェストが一致した",
        "slide: receipted, digests equal",
    ),
    "marked": ("送ったものに試験の印がある", "what was sent is marked as a test"),
}
NOT_SHOWN = (
    "この記録は、合成サンプルによる送受信の試験の結果です。装置からの取込、診療での利用、"
    "相手の施設の同一性は、この試験では確かめていません。"
)


def program() -> dict[str, str]:
    """Return version, commit and SBOM digest of this todoke, each empty where unknown."""
    facts = software.facts()
    return {**facts, "commit": facts["commit"] or install.commit() or ""}


@dataclass
class Run:
    """One acceptance run, and what it has found so far."""

    operator: str
    at: datetime
    points: dict[str, tuple[bool, str]] = field(default_factory=dict)
    install: dict[str, Any] = field(default_factory=dict)
    transfers: list[dict[str, Any]] = field(default_factory=list)
    ends: str = "pair"

    def found(self, point: str, holds: object, detail: object = "") -> None:
        """Note whether a point holds, and what was seen."""
        self.points[point] = bool(holds), str(detail)

    @property
    def failed(self) -> list[str]:
        """The points that were not seen to hold; what was never reached is among them."""
        return [point for point in POINTS if not self.points.get(point, (False, ""))[0]]

    def as_json(self) -> dict[str, Any]:
        """Return the acceptance record."""
        return {
            "type": TYPE,
            "version": VERSION,
            "test": True,
            "at": self.at.isoformat(timespec="seconds"),
            "operator": self.operator,
            "software": program(),
            "machine": {
                "system": platform.platform(),
                "python": platform.python_version(),
            },
            "ends": self.ends,
            "install": self.install,
            "points": [
                {"id": point, "ja": ja, "en": en, "holds": self.points.get(point, (False,))[0],
                 "detail": self.points.get(point, (False, ""))[1]}
                for point, (ja, en) in POINTS.items()
            ],
            "transfers": self.transfers,
            "failed": self.failed,
            "not_shown": NOT_SHOWN,
        }  # fmt: skip


def run(operator: str, sender: Path | None, to: str | None, patience: float = PATIENCE) -> Run:
    """Send samples from a sender to its receiver, and see what holds.

    Parameters
    ----------
    operator : str
        The person who accepts.
    sender : Path, optional
        Data directory of an installed sender that is paired with an installed receiver;
        by default two ends are set up for the test, on this machine.
    to : str, optional
        Its partner, where it has several.
    patience : float
        Seconds until every receipt must be here.
    """
    made = Run(operator, datetime.now(UTC))
    facts = program()
    made.found(
        "software", facts["version"] and facts["sbom"], " ".join(filter(None, facts.values()))
    )
    with tempfile.TemporaryDirectory(prefix="todoke-acceptance-") as name:
        folder = Path(name)
        try:
            with _ends(made, folder, sender) as data:
                _install(made, data)
                paths = _samples(made, folder)
                _send(made, data, paths, to, patience)
        except TodokeError as error:
            missed = made.failed[0] if made.failed else "sent"
            made.found(missed, False, error.words(console.language()))
    return made


@contextlib.contextmanager
def _ends(made: Run, folder: Path, sender: Path | None) -> Iterator[Path]:
    """Give the sender's data directory: the installed one, or one of a pair made here."""
    if sender is not None:
        made.ends = "installed"
        data = sender.absolute()
        partners = demo.must("sender", "partner", "list", "--data", data)
        todoke = [one for one in partners["partners"] if one["kind"] == "todoke"]
        made.found("paired", todoke, " ".join(str(one["name"]) for one in todoke))
        yield data
        return
    pair = demo.Demo(folder)
    with pair.doors:
        pair.open()
        made.found("paired", True, f"{demo.SENDER[0]} → {demo.RECEIVER[0]}")
        yield folder / "sender"


def _install(made: Run, data: Path) -> None:
    path = data / "install.json"
    if not path.exists():
        made.found("installed", False, path.name)
        raise NotInitialised(path=data, room="sender")
    made.install = json.loads(path.read_text("utf-8"))
    institution = made.install["institution"]
    seen = f"{made.install['date']} {institution['name']} {made.install['operator']}"
    made.found("installed", True, seen)


def _samples(made: Run, folder: Path) -> list[Path]:
    where = folder / "acceptance"
    said = demo.must("samples", "make", where, "--quick")
    kinds = {one["kind"] for one in said["made"]}
    made.found("samples", {"ct", "slide"} <= kinds, ", ".join(sorted(kinds)))
    return [where / kind for kind in ("ct", "slide")]


def _send(made: Run, data: Path, paths: list[Path], to: str | None, patience: float) -> None:
    options = [
        "--patient-id",
        demo.SLIDE[0],
        "--patient-name",
        demo.SLIDE[1],
        "--attest",
        made.operator,
    ]
    said = _verb("sender", "send", *paths, *options, *(["--to", to] if to else []),
                 "--data", data, patience=patience)  # fmt: skip
    refused = said.get("refused", [])
    sent = said.get("transfers", [])
    # the text that lies beside the samples is no image and is refused in words
    made.found("sent", sent and not refused, f"{len(sent)} / {len(refused)}")
    for one in sent:
        kept = ("id", "kind", "state", "instances", "bytes", "digests_equal", "test", "error")
        made.transfers.append({name: one[name] for name in kept})
    for kind in KINDS:
        of_kind = [one for one in made.transfers if one["kind"] == kind]
        good = [one for one in of_kind if one["state"] == "receipted" and one["digests_equal"]]
        states = ", ".join(f"{one['state']} {one['instances']}" for one in of_kind)
        made.found(kind, of_kind and good == of_kind, states)
    marked = [one for one in made.transfers if one["test"]]
    made.found(
        "marked", marked and marked == made.transfers, f"{len(marked)}/{len(made.transfers)}"
    )


def _verb(*words: str | Path, patience: float) -> dict[str, Any]:
    """Run a verb that may fail, but not for ever; return what it said."""
    line = [sys.executable, "-m", "common.command", *map(str, words), "--json"]
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=patience)
        said: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return {}
    return said


def write(made: Run, folder: Path) -> list[Path]:
    """Write the acceptance record into a folder: JSON, and one page to be printed and signed.

    Raises
    ------
    FontMissing
    """
    name = f"acceptance-{made.at.astimezone().strftime('%Y%m%d-%H%M%S')}"
    folder.mkdir(parents=True, exist_ok=True)
    words, page = folder.absolute() / f"{name}.json", folder.absolute() / f"{name}.pdf"
    text = json.dumps(made.as_json(), ensure_ascii=False, indent=1).encode()
    durable.save(words, text)
    from samples import acceptance_page

    durable.save(page, acceptance_page.pdf(made.as_json(), text))
    return [words, page]
