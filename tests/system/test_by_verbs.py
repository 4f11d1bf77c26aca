"""One transfer of each kind to its end by verbs alone; its record, verified by an outsider.

The outsider has the other side's copy of the record, a folder with the two signing
certificates, and `todoke verify`: no data directory, no database, no network.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.sender.slides import dicom_files
from tests.sender.slides.vendor_files import Svs, tissue
from tests.sender.stills.photographs import jpeg
from tests.system import peers
from tests.system.ends import Ends, must, until, verb
from tests.system.series import write_series
from tests.system.test_interop import CT, enter_receiver

pytestmark = [pytest.mark.system, pytest.mark.evidence, pytest.mark.timeout(240)]
WHO = ("--patient-id", "0012345", "--patient-name", "TAKAHASHI^HANAKO=髙橋^花子")
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\nstartxref\n9\n%%EOF\n"
EXPLICIT = "1.2.840.10008.1.2.1"
Transfers = list[dict[str, Any]]


@dataclass
class Script:
    """What a person types, in a folder of their own."""

    ends: Ends
    folder: Path
    trust: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.trust = self.folder / "trust"
        self.trust.mkdir()
        for end in (self.ends.sender, self.ends.receiver):
            shutil.copy(end / "identity" / "signing.crt", self.trust / f"{end.name}.crt")

    def send(self, *words: object, code: int = 0) -> Transfers:
        said = verb("sender", "send", *words, "--data", self.ends.sender)
        assert said.code == code, said.errors
        assert said.words["refused"] == []
        return list(said.words["transfers"])

    def say(self, *words: object) -> Any:
        return must("sender", *words, "--data", self.ends.sender)

    def ct(self, name: str, seed: int = 7, **words: Any) -> Path:
        """Write a small CT study; `words` are attributes of every image."""
        for path in write_series(self.folder / name, seed, slices=2, side=24):
            image = dcmread(path)
            for keyword, value in words.items():
                setattr(image, keyword, value)
            image.save_as(path)
        return self.folder / name

    @contextlib.contextmanager
    def running(self, transfer: str, state: str) -> Iterator[None]:
        """Have `sender run` beside what is typed, and wait for what it brings about."""
        with self.ends.daemon():
            yield
            until(lambda: self.show(transfer)["state"] == state, f"{transfer} is {state}")

    def show(self, transfer: str) -> dict[str, Any]:
        return dict(self.say("show", transfer))


def ct(script: Script) -> Transfers:
    return script.send(script.ct("ct"))


def mr(script: Script) -> Transfers:
    must("samples", "make", script.folder / "samples", "--only", "mr")
    return script.send(*(one for one in (script.folder / "samples").iterdir() if one.is_dir()))


def slide(script: Script) -> Transfers:
    made = Svs(width=700, height=500, factors=(1, 2)).write(script.folder / "a.svs")
    return script.send(made, *WHO)


def dicom_slide(script: Script) -> Transfers:
    source = Svs(width=700, height=500, factors=(1, 2), label=False, macro=False)
    folder = script.folder / "wsi"
    folder.mkdir()
    for number, level in enumerate(dicom_files.levels(script.folder, source)):
        dicom_files.write(folder / f"{number}.dcm", level.copy(), level.frames)
    return script.send(folder)


def stills(script: Script) -> Transfers:
    for name in ("micro.jpg", "gross.jpg"):
        (script.folder / name).write_bytes(jpeg(tissue(96, 64)))
    named = ("--micro", script.folder / "micro.jpg", "--gross", script.folder / "gross.jpg")
    return script.send(*named, *WHO)


def request(script: Script) -> Transfers:
    (script.folder / "依頼票.pdf").write_bytes(PDF)
    now, old = script.ct("now"), script.ct("old", StudyDate="20200101")
    asked = ("--urgency", "緊急", "--reason", "頭蓋内出血の有無", "--requester", "山﨑 一郎")
    form = ("--form", script.folder / "依頼票.pdf", "--prior", old)
    sent = script.send(now, *asked, *form)
    assert sorted(one["prior"] for one in sent) == [False, True]
    assert {one["instances"] for one in sent} == {2, 3}
    return sent


def announced(script: Script) -> Transfers:
    told = script.say("announce", "--patient-id", "T8", "--modality", "CT", "--reason", "撮影予定")
    assert told["state"] == "announced"
    sent = script.send(script.ct("ct", 8), "--for", told["id"])
    assert [one["id"] for one in sent] == [told["id"]]
    return sent


def recalled(script: Script) -> Transfers:
    (sent,) = script.send(script.ct("ct"))
    why = ("--by", "佐藤", "--reason", "患者の取り違え")
    assert script.say("recall", sent["id"], *why)["state"] == "recalled"
    script.say("anchor")
    return [script.show(sent["id"])]


def reference(script: Script) -> Transfers:
    must("samples", "make", script.folder / "samples", "--only", "forged")
    (photograph,) = (script.folder / "samples" / "forged").glob("*-ct-film-df")
    (held,) = script.send(photograph, code=28)
    assert held["state"] == "held"
    with script.running(held["id"], "receipted"):
        script.say(
            *("release", held["id"], "--as", "参考", "--by", "山本"),
            *("--reason", "他院の写真しかない"),
        )
    script.say("anchor")
    (sent,) = [script.show(held["id"])]
    assert sent["judgement"]["direct"] is False
    assert sent["direct_ja"].startswith("参考として送信 (山本)")
    return [sent]


#: By kind: how it is sent, the state in its record, and whether it is direct.
KINDS: dict[str, tuple[Callable[[Script], Transfers], str]] = {
    "CT": (ct, "receipted"),
    "MR": (mr, "receipted"),
    "slide": (slide, "receipted"),
    "DICOM slide": (dicom_slide, "receipted"),
    "microscope stills": (stills, "receipted"),
    "request with form and priors": (request, "receipted"),
    "予告": (announced, "receipted"),
    "recall": (recalled, "recalled"),
    "参考": (reference, "receipted"),
}


@pytest.mark.requirement("EVD-01", "EVD-02", "DIR-06", "DIR-07")
@pytest.mark.parametrize(
    "kind", [name if name == "CT" else pytest.param(name, marks=pytest.mark.slow) for name in KINDS]
)
def test_the_other_side_shows_what_came(kind: str, ends: Ends, tmp_path: Path) -> None:
    script = Script(ends, tmp_path / "script")
    send, state = KINDS[kind]
    for sent in send(script):
        assert sent["state"] == state
        path = tmp_path / f"{sent['id']}.json"
        must("receiver", "record", sent["id"], path, "--data", ends.receiver)
        said = verb("verify", path, "--trust", script.trust)
        assert said.code == 0, said.words
        (found,) = said.words["records"]
        assert (found["verdict"], found["state"], found["differs"]) == ("as-signed", state, [])
        holds = {"sender", "receiver"} | ({"same"} if state == "receipted" else set())
        assert holds <= {one["code"] for one in found["held"]}
        assert found["transfer"] == sent["id"]


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.requirement("EVD-01", "EVD-02", "EVD-09")
@pytest.mark.parametrize("takes", [CT, "1.2.840.10008.5.1.4.1.1.4"], ids=["delivered", "failed"])
def test_a_product_signs_nothing_and_the_record_says_so(
    takes: str, ends: Ends, tmp_path: Path
) -> None:
    """To storescp; to one that takes no CT it fails, and the record keeps number and reason."""
    script = Script(ends, tmp_path / "script")
    for folder in ("product", "out"):
        (script.folder / folder).mkdir()
    name = "taker" if takes == CT else "refuser"
    port, identity = enter_receiver(ends, name, script.folder / "product")
    fails = takes != CT
    with peers.storescp(script.folder / "out", port, identity, [(takes, EXPLICIT)], "+B"):
        said = verb("sender", "send", script.ct("ct"), "--to", name, "--data", ends.sender)
    (sent,) = said.words["transfers"]
    assert (said.code == 0) is not fails
    assert sent["state"] == ("failed" if fails else "delivered")
    path = tmp_path / "record.json"
    script.say("anchor")
    script.say("show", sent["id"], "--record", path)
    checked = verb("verify", path, "--trust", script.trust)
    (found,) = checked.words["records"]
    assert (checked.code, found["verdict"], found["differs"]) == (4, "sender-only", [])
    assert found["state"] == sent["state"]
    assert {"identity", "endpoint"} <= set(found["not_proven"])
