"""No patient data in operational logs (AUD-10): logs, audit trails and status of both ends.

Everything about the patient, the folders and files that carry the name and the words of
the request are strings that occur nowhere else.  They go through whatever can happen:
transfers, refusals, strangers' words, failures in the middle of a thread.  Then every
log is searched for each of them, in every encoding that it could have been written in.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import urllib.parse
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest

from common import link, tls
from common.dicom import uids
from common.dicom.association import Context, Outgoing, Requestor
from common.dicom.dataset import file_prefix, read_part10
from common.errors import TodokeError
from common.free_ports import free_ports
from common.link import Opening, Slot
from common.proof import jws
from common.proof.identity import Node
from common.proof.role import Role
from sender import sending
from sender.partners import find_partner
from tests.sender.slides.vendor_files import Svs
from tests.system import synthetic
from tests.system.ends import (
    RECEIVER_CODE,
    SENDER_CODE,
    Ends,
    command,
    first_object,
    must,
    start,
    until,
    verb,
)
from tests.system.hospital import Bytes, ForeignEnd
from tests.system.series import write_series

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found by /proc"),
]

ROMAJI, KANJI, KANA, HALF = "WANIBUCHQ", "鰐淵纏", "ワニブチマトイ", "ﾜﾆﾌﾞﾁﾏﾄｲ"
IDENTIFIER, BIRTH, ACCESSION, WORDS = "PIDQ773199", "19231231", "ACCQ551020", "主訴咽頭痛疑"
#: What headers and requests say of the patient: nowhere but in the images and their index.
OF_THE_PATIENT = (ROMAJI, KANJI, KANA, HALF, IDENTIFIER, BIRTH, ACCESSION, WORDS)
#: What names of files and folders say: also in what a verb answers to whoever named them.
OF_THE_PATH = ("鮫島澪", "SAMEJIMAQ")
#: Where a Patient ID may stand (AUD-10): who looked at whom, and what was sent of whom.
MAY_NUMBER = {f"{end}/audit/{name}.jsonl" for end in ("sender", "receiver")
              for name in ("transfers", "web")}  # fmt: skip
TALKATIVE = Path(__file__).parent / "talkative"
ENCODINGS = ("utf-8", "shift_jis", "euc_jp", "iso2022_jp", "utf-16-le")
PASSWORD = "Abcdef-123456!"


def found(token: str, text: bytes) -> bool:
    """Whether a string is in a log, however it was written."""
    forms = {json.dumps(token)[1:-1].encode(), urllib.parse.quote(token).encode()}
    forms |= {repr(token.encode())[2:-1].encode(), ascii(token)[1:-1].encode()}
    forms |= {urllib.parse.quote(token).lower().encode()}
    for encoding in ENCODINGS:
        with contextlib.suppress(UnicodeEncodeError):
            forms.add(token.encode(encoding))
    return any(form in text for form in forms)


@dataclass
class Spoken:
    """Two ends, what they wrote, and what a verb printed when asked how things stand."""

    ends: Ends
    says: Path
    printed: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)

    def planted(self, place: str) -> None:
        """Let a place fail, once, with a message that quotes the patient."""
        said = " ".join((*OF_THE_PATIENT, *OF_THE_PATH))
        self.says.write_text(f"{place}\n{said}", "utf-8")

    def happened(self) -> bool:
        """Whether it has."""
        return not self.says.read_text("utf-8")

    def logs(self) -> dict[str, bytes]:
        """Every log, audit trail and answer about the state of things."""
        files = [*self.ends.folder.glob("*.log"), *self.ends.folder.glob("*/audit/*.jsonl")]
        written = {str(path.relative_to(self.ends.folder)): path.read_bytes() for path in files}
        return written | {name: text.encode() for name, text in self.printed.items()}


# -- what happens -----------------------------------------------------------


def patient(path: Path, charset: str | list[str], name: str, **more: Any) -> Path:
    """Give a file of a series the patient of this test."""
    ds = pydicom.dcmread(path)
    ds.SpecificCharacterSet = charset
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = name, IDENTIFIER, BIRTH
    ds.AccessionNumber, ds.StudyDescription = ACCESSION, ROMAJI
    ds.OtherPatientNames = name
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    ds.save_as(path)
    return path


def sources(folder: Path) -> dict[str, Path]:
    """Sound images in three character sets, and files that are refused for many reasons."""
    found = {}
    names = {
        "ISO_IR 192": f"{ROMAJI}^A={KANJI}^一={KANA}^ア",
        "\\ISO 2022 IR 87": f"{ROMAJI}^A={KANJI}^一={KANA}^ア",
        "ISO_IR 13": f"{HALF}^ｱ",
    }
    for number, (charset, name) in enumerate(names.items()):
        found[charset] = folder / f"{OF_THE_PATH[0]}_{OF_THE_PATH[1]}_{number}"
        for path in write_series(found[charset], number, slices=3, side=32):
            patient(path, charset.split("\\") if "\\" in charset else charset, name)
    bad = found["bad"] = folder / f"不可_{OF_THE_PATH[0]}"
    one, *rest = write_series(bad, 9, slices=5, side=32)
    two_patients, cut, same, odd = rest
    patient(one, "ISO_IR 192", names["ISO_IR 192"])
    patient(two_patients, "ISO_IR 192", names["ISO_IR 192"], PatientID=f"{IDENTIFIER}X")
    patient(cut, "ISO_IR 192", names["ISO_IR 192"])
    cut.write_bytes(cut.read_bytes()[:-100])
    same_uid = read_part10(one).sop_instance_uid
    patient(same, "ISO_IR 192", names["ISO_IR 192"], SOPInstanceUID=same_uid)
    (bad / f"{OF_THE_PATH[1]}.txt").write_text(" ".join(OF_THE_PATIENT), "utf-8")
    (bad / f"{OF_THE_PATH[0]}.svs").write_bytes(b"II*\0" + KANJI.encode() * 9)
    odd.write_bytes(strange(odd))
    found["slide"] = Svs(width=500, height=400, label=False, macro=False).write(
        folder / f"{OF_THE_PATH[1]}_{OF_THE_PATH[0]}.svs"
    )
    return found


def strange(path: Path) -> bytes:
    """Values of which a library complains, and quotes them when it does."""
    ds = pydicom.dcmread(path)
    del ds.PixelData
    head = synthetic.encoded(ds, synthetic.EXPLICIT)
    texts = ((0x0008, 0x0020, b"DA", f"19{IDENTIFIER}"), (0x0010, 0x0030, b"DA", ROMAJI + BIRTH),
             (0x0010, 0x1010, b"AS", IDENTIFIER), (0x0020, 0x0011, b"IS", f"{IDENTIFIER} "),
             (0x0028, 0x1050, b"DS", f"{IDENTIFIER} "))  # fmt: skip
    elements = {(g, e): g.to_bytes(2, "little") + e.to_bytes(2, "little") + vr
                + len(t.encode()).to_bytes(2, "little") + t.encode()
                for g, e, vr, t in texts}  # fmt: skip
    whole = head + b"".join(elements[tag] for tag in sorted(elements))
    return file_prefix(ds.SOPClassUID, ds.SOPInstanceUID, synthetic.EXPLICIT) + whole


def send_everything(spoken: Spoken, found: dict[str, Path]) -> None:
    """By the verb, which answers the person who named the files; no daemon runs."""
    request = (
        *("--patient-id", IDENTIFIER, "--patient-name", f"{ROMAJI}^A={KANJI}={KANA}"),
        *("--birth-date", BIRTH, "--sex", "M", "--accession", ACCESSION),
        *("--container", f"{ACCESSION}-1"),
    )
    sound = [path for name, path in found.items() if name != "bad"]
    for name, paths in {"sound": sound, "bad": [found["bad"]]}.items():
        said = verb("sender", "send", *paths, *request, "--data", spoken.ends.sender)
        spoken.answers[name] = json.dumps(said.words, ensure_ascii=False) + said.errors
    assert spoken.answers["sound"].count('"receipted"') == len(sound)
    assert "E-2123" in spoken.answers["bad"], "two patients in one study"


def change_a_source(spoken: Spoken, path: Path) -> None:
    """A file that changes between its reading and its sending: held, and the path is known."""
    sender = spoken.ends.sender
    key = find_partner(sender).key
    spoken.ends.stop_receiver()
    job = sending.submit(sender, key, [path], {"request": {"words": WORDS}, "slide": {}})
    with daemon(spoken), spoken.ends.outbox() as box:
        until(lambda: box.job(job).scanned, "the job is read")
        for one in path.iterdir():
            one.write_bytes(one.read_bytes() + b"\0\0")
        start_receiver(spoken)
        until(lambda: all(t.finished for t in box.transfers(job)), "the source has changed")
        assert [str(t.state) for t in box.transfers(job)] == ["held"]


@contextlib.contextmanager
def daemon(spoken: Spoken) -> Iterator[Any]:
    """Run `sender run` with a watched folder and a door for modalities."""
    watched = spoken.ends.folder / f"見張り_{OF_THE_PATH[0]}"
    watched.mkdir(exist_ok=True)
    (port,) = free_ports(1)
    env = environment(spoken) | {
        "TODOKE_SENDER_WATCH": str(watched),
        "TODOKE_SENDER_SETTLE_SECONDS": "1",
        "TODOKE_SENDER_MODALITY_BIND": "127.0.0.1",
        "TODOKE_SENDER_MODALITY_PORT": str(port),
    }
    line = command("sender", "run", "--data", spoken.ends.sender, "--json")
    running = start(line, spoken.ends.folder / "sender.log", env)
    try:
        yield {**first_object(running), "process": running, "watched": watched}
    finally:
        running.terminate()
        running.communicate(timeout=60)


def environment(spoken: Spoken) -> dict[str, str]:
    paths = os.pathsep.join([str(TALKATIVE), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": paths, "TODOKE_SAYS": str(spoken.says)}


def start_receiver(spoken: Spoken) -> None:
    spoken.ends.start_receiver(environment(spoken))


def by_doors_of_the_house(spoken: Spoken, found: dict[str, Path]) -> None:
    """From a modality and a watched folder, without a rule that says where to."""
    must("sender", "modality", "add", "CT1", "--address", "127.0.0.1", "--data", spoken.ends.sender)
    image = next(iter(sorted(found["ISO_IR 13"].iterdir())))
    with daemon(spoken) as words, spoken.ends.outbox() as box:
        for path in found["bad"].iterdir():
            (words["watched"] / path.name).write_bytes(path.read_bytes())
        door = words["modality"]
        address = door["address"], door["port"]
        with Requestor.open(
            address, tls=None, server_hostname=None, calling_aet="CT1", called_aet=ROMAJI,
            contexts=[Context(synthetic.CT, synthetic.EXPLICIT)],
        ) as association:  # fmt: skip
            list(association.store([whole(image), garbage(), whole(image, "1.2.3.4.5")]))
        jobs = len(box.jobs())
        until(lambda: len(box.jobs()) > jobs and all(job.scanned for job in box.jobs()), "read")


def whole(path: Path, uid: str = "") -> Outgoing:
    """A file's data set, under another UID than its own if one is given."""
    part, data = read_part10(path), path.read_bytes()
    return Outgoing(part.sop_class_uid, uid or part.sop_instance_uid, part.transfer_syntax_uid,
                    part.length, lambda: Bytes(data[part.offset :]))  # fmt: skip


def garbage() -> Outgoing:
    data = " ".join(OF_THE_PATIENT).encode()
    data += b" " * (len(data) % 2)
    return Outgoing(
        synthetic.CT, uids.new_uid(), synthetic.EXPLICIT, len(data), lambda: Bytes(data)
    )


def by_a_foreign_product(spoken: Spoken, found: dict[str, Path]) -> None:
    """Sound, garbage, another UID in the command, and other content under a known UID."""
    code, folder = "0112345678", spoken.ends.folder / "foreign"
    must(
        *("receiver", "partner", "add", "FOREIGN", "--aet", "FOREIGN", "--code", code),
        *("--issue", folder, "--data", spoken.ends.receiver),
    )
    own = tls.Credentials(folder / f"{code}.key", folder / f"{code}.crt")
    image, other, *_ = sorted(found["\\ISO 2022 IR 87"].iterdir())
    uid = read_part10(image).sop_instance_uid
    patient(other, "ISO_IR 192", f"{KANJI}^{ROMAJI}", SOPInstanceUID=uid)
    context = tls.client_context(own, [(folder / "ca.crt").read_text("ascii")])
    with Requestor.open(
        ("127.0.0.1", spoken.ends.ports["dicom"]), tls=context, server_hostname="localhost",
        calling_aet="FOREIGN", called_aet="TODOKE",
        contexts=[Context(synthetic.CT, synthetic.EXPLICIT)],
    ) as association:  # fmt: skip
        asked = [whole(image), garbage(), whole(image, "1.2.3.4.5"), whole(other, uid)]
        statuses = [one.status for each in asked for one in association.store([each])]
    assert statuses[0] == 0
    assert 0 not in statuses[1:], statuses


def by_the_link(spoken: Spoken) -> None:
    """What a partner may say that is no opening, with words that a log might repeat."""
    node = Node.load(spoken.ends.sender, Role.REQUESTER)
    partner = find_partner(spoken.ends.sender)
    context = tls.client_context(partner.credentials, [partner.ca])
    slot = Slot("1.2.3", synthetic.CT, synthetic.EXPLICIT, "1.2.4", 1, 10)
    opening = link.words(Opening(uuid.uuid4().hex, "dicom", SENDER_CODE, RECEIVER_CODE, "1.2.9",
                                 {}, (slot,)))  # fmt: skip
    bad: list[dict[str, Any]] = [
        {**opening, KANJI: IDENTIFIER},
        {**opening, "kind": KANJI},
        {**opening, "version": KANJI},
        {**opening, "study": IDENTIFIER},
        {**opening, "instances": [{KANJI: ROMAJI}]},
        {**opening, "instances": [KANJI]},
        {**opening, "transfer": ROMAJI},
        {**opening, "attributes": {"00100010": KANJI}},
        {**opening, "sender": KANJI},
    ]
    with httpx.Client(
        base_url=f"https://localhost:{spoken.ends.ports['link']}{link.ROOT}", verify=context
    ) as client:
        answers = [client.post("/transfers", content=jws.sign(one, node)) for one in bad]
        words = " ".join(OF_THE_PATIENT)
        answers += [client.post("/transfers", content=words.encode())]
        for name in (KANJI, ROMAJI, IDENTIFIER):
            answers += [client.get(f"/transfers/{name}/missing")]
            answers += [client.post(f"/transfers/{name}/complete", content=b"e30.e30.e30")]
            answers += [client.get(f"/{name}", params={"name": KANJI})]
        spoken.planted("web handler")
        answers += [client.post("/transfers", content=jws.sign(opening, node))]
    assert all(one.status_code >= 400 for one in answers[:7]), [a.status_code for a in answers]
    assert answers[-1].status_code == 500
    assert spoken.happened()


def by_the_viewer(spoken: Spoken) -> None:
    """Queries by name, with and without a person who signed in."""
    must("receiver", "user", "add", "yamamoto", "--display", "山本", "--password-stdin",
         "--data", spoken.ends.receiver, stdin=PASSWORD + "\n")  # fmt: skip
    studies = "/dicom-web/studies"
    asked = [f"{studies}?PatientName={KANJI}", f"{studies}?PatientID={IDENTIFIER}",
             f"{studies}/{ROMAJI}/series", f"{studies}?limit={IDENTIFIER}",
             f"/api/studies/{KANJI}", "/api/worklist"]  # fmt: skip
    with httpx.Client(base_url=spoken.ends.viewer, headers={"X-Todoke": "1"}) as client:
        answers = [client.get(path) for path in asked]
        client.post("/api/sign-in", json={"name": KANJI, "password": IDENTIFIER})
        client.post("/api/sign-in", json={"name": "yamamoto", "password": PASSWORD})
        answers += [client.get(path) for path in asked]
    assert KANJI in answers[-1].text, "the work list shows who it is"


def failures(spoken: Spoken, found: dict[str, Path]) -> None:
    """A failure in each thread and process whose message quotes the patient."""
    code, folder = "0112345678", spoken.ends.folder / "foreign"
    own = tls.Credentials(folder / f"{code}.key", folder / f"{code}.crt")
    foreign = ForeignEnd(code, own, (folder / "ca.crt").read_text("ascii"), None)  # type: ignore[arg-type]
    spoken.planted("dicom thread")
    with contextlib.suppress(TodokeError, OSError):
        foreign.store_at(spoken.ends.ports["dicom"], sorted(found["ISO_IR 13"].iterdir()))
    until(spoken.happened, "the commit fails")
    if spoken.ends.running is not None:
        spoken.ends.kill_receiver()
    start_receiver(spoken)
    for place in ("sender's scan", "sender's delivery", "sender's engine"):
        key = find_partner(spoken.ends.sender).key
        with daemon(spoken) as words:
            spoken.planted(place)
            options = {"request": {"words": WORDS}, "slide": {}}
            sending.submit(spoken.ends.sender, key, [found["ISO_IR 192"]], options)
            until(spoken.happened, f"{place} fails")
            if place != "sender's delivery":
                until(lambda words=words: words["process"].poll() is not None, "it ends")  # type: ignore[misc]
    spoken.planted("filler")
    foreign.store_at(spoken.ends.ports["dicom"], sorted(found["ISO_IR 13"].iterdir()))
    until(spoken.happened, "the filler fails")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spoken]:
    folder = Path(tmp_path_factory.mktemp("spoken"))
    made = sources(folder)
    (folder / "ends").mkdir()
    (folder / "says").write_text("")
    spoken = Spoken(Ends(folder / "ends"), folder / "says")
    try:
        spoken.ends.pair()
        spoken.ends.stop_receiver()
        start_receiver(spoken)
        send_everything(spoken, made)
        by_a_foreign_product(spoken, made)
        by_the_link(spoken)
        by_the_viewer(spoken)
        by_doors_of_the_house(spoken, made)
        failures(spoken, made)
        change_a_source(spoken, made["\\ISO 2022 IR 87"])
        for room in ("sender", "receiver"):
            said = verb(room, "status", "--data", spoken.ends.folder / room)
            spoken.printed[f"{room} status"] = json.dumps(said.words, ensure_ascii=False)
            spoken.printed[f"{room} status, stderr"] = said.errors
        yield spoken
    finally:
        if spoken.ends.running is not None:
            spoken.ends.kill_receiver()


@pytest.mark.requirement("AUD-10")
def test_nothing_of_the_patient_is_in_a_log(spoken: Spoken) -> None:
    places = [(where, token, text) for where, text in spoken.logs().items()
              for token in (*OF_THE_PATIENT, *OF_THE_PATH) if found(token, text)]  # fmt: skip
    # the audit store alone may say a Patient ID, and does
    stored = {where for where, token, _ in places if token == IDENTIFIER} & MAY_NUMBER
    assert "sender/audit/transfers.jsonl" in stored
    places = [one for one in places if one[1] != IDENTIFIER or one[0] not in MAY_NUMBER]
    told = {
        (where, token): [row for row in text.splitlines() if found(token, row)][:2]
        for where, token, text in places
    }
    assert not told


@pytest.mark.requirement("AUD-10")
def test_what_a_verb_answers_names_the_files_and_no_patient(spoken: Spoken) -> None:
    for name, said in spoken.answers.items():
        assert not [token for token in OF_THE_PATIENT if found(token, said.encode())], name
    assert OF_THE_PATH[0] in spoken.answers["bad"], "the person must know which files"


def test_the_failures_were_told(spoken: Spoken) -> None:
    """Nothing was found because it was not said what and where, and not because all was silent."""
    logs = spoken.logs()
    receiver, sender = logs["receiver.log"].decode(), logs["sender.log"].decode()
    for place in ("arrivals.py", "in open", "describe_process.py"):
        assert place in receiver, place
    assert receiver.count("RuntimeError") >= 3
    for place in ("ingest.scan", " _deliver > ", "self._owed"):
        assert place in sender, place
    assert {"receiver.log", "sender.log", "receiver/audit/dicom.jsonl"} <= logs.keys()
    assert b"E-" in logs["sender.log"]


@pytest.mark.parametrize("token", [*OF_THE_PATIENT, *OF_THE_PATH])
def test_the_search_finds(token: str) -> None:
    for encoding in ENCODINGS:
        with contextlib.suppress(UnicodeEncodeError):
            assert found(token, b"2026 x " + token.encode(encoding) + b" y")
    for written in (json.dumps(token), repr(token.encode()), ascii(token)):
        assert found(token, written.encode())
