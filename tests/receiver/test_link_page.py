"""The published words of the link hold: OpenAPI file, test vectors, and a client of nobody's."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from pydicom import dcmread
from sqlalchemy import select, update
from starlette.routing import Route

from common import link
from common.dicom import dataset
from common.errors import TodokeError
from common.link import Opening, Slot
from common.proof import certificates, jws
from receiver import index
from receiver.doors.link import link_app
from tests.receiver.filled import NORTH, RECEIVER
from tests.receiver.linking import Linked

PAGES = Path(__file__).parents[2] / "docs" / "reference"
VECTORS = PAGES / "link-vectors"
SPEC: dict[str, Any] = yaml.safe_load((PAGES / "link.openapi.yaml").read_text("utf-8"))


def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text("utf-8"))


KEYS, CASE = vectors("keys"), vectors("case")


def script(name: str) -> ModuleType:
    """Load a script that stands beside the page."""
    spec = importlib.util.spec_from_file_location(name, PAGES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def statement(kind: str, name: str) -> str:
    (found,) = (v for v in vectors("statements") if (v["kind"], v["name"]) == (kind, name))
    return str(found["jws"])


def schema(name: str) -> Draft202012Validator:
    """Return the validator of a schema of the OpenAPI file."""
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", **SPEC})


def resolved(one: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in one:
        found: Any = SPEC
        for step in one["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        one = found
    return one


def check_answer(answer: httpx.Response) -> None:
    """Hold an answer against the OpenAPI file: path, method, status and body."""
    path = answer.request.url.path.removeprefix(link.ROOT)
    patterns = {re.sub(r"\{\w+\}", "[^/]+", template): template for template in SPEC["paths"]}
    (template,) = (patterns[p] for p in patterns if re.fullmatch(p, path))
    operation = SPEC["paths"][template][answer.request.method.lower()]
    said = resolved(operation["responses"][str(answer.status_code)])
    if "content" not in said:
        assert not answer.content
        return
    words = said["content"]["application/json"]["schema"]
    Draft202012Validator({**words, "components": SPEC["components"]}).validate(answer.json())


def read_and_checked(answer: httpx.Response) -> None:
    answer.read()
    check_answer(answer)


@pytest.fixture
def known(linked: Linked) -> Linked:
    """The receiver has pinned the published key, and every answer is held against the file."""
    pinned = {"signing_certificate": KEYS["sender"]["certificate"]}
    with linked.filled.index.write() as db:
        db.execute(update(index.partners).where(index.partners.c.code == NORTH[1]).values(**pinned))
    linked.client.event_hooks["response"] = [read_and_checked]
    return linked


# -- the OpenAPI file -----------------------------------------------------------


def test_the_file_is_openapi_and_names_every_route_and_no_other(linked: Linked) -> None:
    validate(SPEC)
    routes: set[tuple[str, str]] = set()
    for route in link_app(linked.services).routes:
        assert isinstance(route, Route)
        path = route.path.removeprefix(link.ROOT).replace(":int", "")
        routes |= {(path, method) for method in (route.methods or set()) - {"HEAD"}}
    written = {
        (path, method.upper())
        for path, operations in SPEC["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert written == routes


def test_a_status_that_the_file_does_not_name_is_found_out(known: Linked) -> None:
    del known.client.event_hooks["response"][0]
    answer = known.client.get("/hello")
    answer.status_code = 418
    with pytest.raises(KeyError):
        check_answer(answer)
    answer.status_code = 201
    with pytest.raises(KeyError):
        check_answer(answer)


# -- test vectors ---------------------------------------------------------------


def test_the_vectors_are_what_their_script_makes() -> None:
    made = script("link_vectors").files()
    assert {path.name: path.read_text("utf-8") for path in VECTORS.iterdir()} == made


def test_signed_sentences_that_are_right_have_the_published_form() -> None:
    for kind in ("opening", "closing", "receipt"):
        schema(kind.capitalize()).validate(CASE[kind])
    digests = {"uid": "1", "length": 1, "d1": "0"}
    assert list(schema("Digest").iter_errors(digests))


@pytest.mark.requirement("DIR-07", "DIR-11")
def test_our_receiver_takes_what_is_right_and_refuses_what_is_wrong(known: Linked) -> None:
    """Every vector in its order: what is refused changes nothing for what follows."""
    path = f"/transfers/{CASE['transfer']}"
    said = vectors("statements")
    for wrong_first in sorted((v for v in said if v["kind"] == "opening"), key=_right_last):
        answer = known.client.post("/transfers", content=wrong_first["jws"])
        assert answer.status_code == wrong_first["status"], wrong_first["name"]
    for one in vectors("lengths"):
        body = base64.b64decode(one["body"])
        answer = known.client.put(f"{path}/lengths/{one['place']}", content=body)
        assert answer.status_code == one["status"], one["name"]
    assert known.client.post(f"{path}/complete", content=statement("closing", "right")).json()
    for one in vectors("batches"):
        answer = known.client.post(f"{path}/frames", content=base64.b64decode(one["body"]))
        assert answer.status_code == one["status"], (one["name"], answer.text)
    assert known.client.get(f"{path}/missing").json()["levels"] == {"0": "AQ==", "1": "Pw=="}
    for one in sorted((v for v in said if v["kind"] == "closing"), key=_right_last):
        if one["name"] == "other root":
            continue  # frames that differ are missing again: the next test
        answer = known.client.post(f"{path}/complete", content=one["jws"])
        assert answer.status_code == one["status"], (one["name"], answer.text)
    receipt = link.read_receipt(
        jws.verify(answer.json()["receipt"], known.receiver.signing_certificate)
    )
    named = link.read_receipt({**CASE["receipt"], "receipted_at": receipt.receipted_at})
    assert receipt.closing == named.closing
    assert not link.compare(named.instances, receipt.instances)
    assert known.client.get(f"{path}/receipt").json() == answer.json()
    assert known.client.get(path).json()["repeats"] == 1, "the batch that came again"


def _right_last(one: dict[str, Any]) -> bool:
    return bool(one["name"] == "right")


def _held(known: Linked) -> str:
    """Bring the slide of the vectors whole to the receiver; return the path of its transfer."""
    path = f"/transfers/{CASE['transfer']}"
    known.client.post("/transfers", content=statement("opening", "right"))
    for one in vectors("lengths"):
        if one["status"] == 204:
            known.client.put(
                f"{path}/lengths/{one['place']}", content=base64.b64decode(one["body"])
            )
    for one in vectors("batches"):
        if one["status"] == 200:
            known.client.post(f"{path}/frames", content=base64.b64decode(one["body"]))
    return path


@pytest.mark.requirement("DIR-07")
def test_a_closing_with_another_root_gets_no_receipt(known: Linked) -> None:
    path = _held(known)
    answer = known.client.post(f"{path}/complete", content=statement("closing", "other root"))
    assert answer.status_code == 422
    assert answer.json()["unequal"] == [CASE["closing"]["instances"][1]["uid"]]
    assert known.client.get(path).json()["state"] != "receipted"


@pytest.mark.parametrize("one", vectors("bitmaps"), ids=lambda one: str(one["name"]))
def test_our_sender_reads_bitmaps(one: dict[str, Any]) -> None:
    if one["held"] is None:
        with pytest.raises(TodokeError):
            link.unpack_bits(one["bitmap"], one["frames"])
    else:
        assert link.unpack_bits(one["bitmap"], one["frames"]) == set(one["held"])
        assert link.pack_bits(one["held"], one["frames"]) == one["bitmap"]


# -- a client that imports nothing of todoke ------------------------------------


def slide_files(folder: Path) -> list[Path]:
    """Write the slide of the vectors as DICOM files, as the receiver writes them."""
    made = script("link_vectors")
    paths = []
    for place in range(len(made.LEVELS)):
        prefix = dataset.file_prefix(made.WSI, made.uid(place), made.JPEG)
        paths.append(folder / f"{place}.dcm")
        paths[-1].write_bytes(prefix + made.data_set(place))
    return paths


@pytest.mark.requirement("DIR-08", "DIR-11")
def test_a_client_of_nobodys_sends_a_slide_and_reads_the_receipt(
    linked: Linked, tmp_path: Path
) -> None:
    source = (PAGES / "link_client.py").read_text("utf-8")
    assert not re.search(r"^\s*(from|import) (common|sender|receiver|samples)\b", source, re.M)
    levels = slide_files(tmp_path)
    files = ("receiver.crt", "own.crt", "own.key", "ca.crt")
    theirs, own, key, ca = (tmp_path / name for name in files)
    ca.write_text(linked.receiver.ca)
    theirs.write_text(linked.receiver.signing_certificate)
    own.write_text(linked.sender.signing_certificate)
    key.write_bytes(certificates.key_to_pem(linked.sender.signing_key))
    done = subprocess.run(
        [
            *(sys.executable, "-P", PAGES / "link_client.py"),
            *("--link", httpx.URL(linked.url).netloc.decode()),
            *("--sender", NORTH[1], "--receiver", RECEIVER[1], "--ca", ca),
            *("--cert", linked.own.chain, "--key", linked.own.key),
            *("--signing-cert", own, "--signing-key", key, "--receiver-signing-cert", theirs),
            *levels,
        ],
        capture_output=True, text=True, check=False, timeout=100, env={},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    receipt = json.loads(done.stdout)
    schema("Receipt").validate(receipt)
    with linked.filled.index.read() as db:
        rows = db.execute(select(index.instances.c.sop_uid, index.instances.c.path)).all()
    here = {row.sop_uid: linked.filled.store.path(row.path).read_bytes() for row in rows}
    assert here == {dcmread(path).SOPInstanceUID: path.read_bytes() for path in levels}


def test_the_client_refuses_receipts_that_are_not_right() -> None:
    client: Any = script("link_client")
    trusted = client.x509.load_pem_x509_certificate(KEYS["receiver"]["certificate"].encode())
    names = ("type", "transfer", "sender", "receiver", "closing", "version", "instances")
    right = {name: CASE["receipt"][name] for name in names}
    for one in (v for v in vectors("statements") if v["kind"] == "receipt"):
        try:
            payload = client.verify(one["jws"], trusted)
            refused = {name: payload[name] for name in names} != right
        except Exception:  # whatever a library says of a signature
            refused = True
        assert refused == one["refused"], one["name"]


def test_slots_and_openings_are_written_as_published() -> None:
    opening = Opening(
        "0" * 32, "slide", "1", "2", "1.2", {}, (Slot("1.3", "1.4", "1.5", "1.6", frames=1),)
    )
    schema("Opening").validate(json.loads(link.dumps(link.words(opening))))
