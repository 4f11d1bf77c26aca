"""Ends that a sender knows without pairing: products, devices, and the files they are kept in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from common import tls
from common.errors import PeerCertificateRefused, SettingsError, TodokeError, UsageError
from common.proof import certificates
from common.proof.certificates import Authority
from common.proof.identity import Institution, Node
from common.settings import Sender
from sender import pairing
from sender.partners import Modality, find_partner, load_modalities, load_partners, save_modality

THERE = Institution("山﨑診療所", "0110000019")


@pytest.fixture
def sender(tmp_path: Path) -> Node:
    return pairing.init(tmp_path / "sender", THERE, Sender(), operator="test")


def nothing_kept(node: Node) -> bool:
    return not list((node.data / "partners").glob("*"))


@pytest.fixture
def product_ca(tmp_path: Path) -> Path:
    path = tmp_path / "product.crt"
    path.write_text(Authority.create("product").pem)
    return path


def test_a_product_is_entered_with_a_certificate_made_for_it(
    sender: Node, product_ca: Path
) -> None:
    added = pairing.add_product(
        sender, "orthanc", addresses=["10.0.0.9"], port=4242, aet="ORTHANC",
        calling_aet="US", ca=product_ca,
    )  # fmt: skip
    assert find_partner(sender.data, "orthanc") == added
    assert (added.kind, added.code, added.link_port, added.host) == ("dicom", None, 0, "10.0.0.9")
    given = certificates.from_pem(pairing.product_ca_file(added).read_text())
    certificates.from_pem(added.credentials.chain.read_text()).verify_directly_issued_by(given)
    tls.client_context(added.credentials, [added.ca])
    with pytest.raises(UsageError, match="orthanc"):
        pairing.add_product(
            sender, "orthanc", addresses=["a"], port=1, aet="A", calling_aet="B", ca=product_ca
        )


def test_a_pinned_product_is_known_by_its_certificate(sender: Node, product_ca: Path) -> None:
    added = pairing.add_product(
        sender, "old", addresses=["10.0.0.9"], port=4242, aet="OLD", calling_aet="US",
        ca=product_ca, pin=True,
    )  # fmt: skip
    assert added.leaf == tls.fingerprint_of_pem(product_ca.read_text())


@pytest.mark.parametrize(
    "change",
    [{"name": "../x"}, {"name": ""}, {"aet": "日本"}, {"calling_aet": ""}, {"code": "1"},
     {"code": THERE.code}, {"ca": Path("none.crt")}, {"certificate": Path("a.crt")}],
)  # fmt: skip
def test_a_wrong_product_is_refused(change: dict[str, Any], sender: Node, product_ca: Path) -> None:
    good: dict[str, Any] = {
        "name": "x", "addresses": ["a"], "port": 1, "aet": "A", "calling_aet": "B",
        "ca": product_ca,
    }  # fmt: skip
    with pytest.raises(TodokeError):
        pairing.add_product(sender, **good | change)
    assert nothing_kept(sender)


def test_key_and_certificate_that_do_not_fit_are_refused(
    sender: Node, product_ca: Path, tmp_path: Path
) -> None:
    key = tmp_path / "other.key"
    key.write_bytes(certificates.key_to_pem(certificates.new_key()))
    with pytest.raises(PeerCertificateRefused):
        pairing.add_product(
            sender, "x", addresses=["a"], port=1, aet="A", calling_aet="B", ca=product_ca,
            certificate=product_ca, key=key,
        )  # fmt: skip
    assert load_partners(sender.data) == []


def test_modalities_are_kept_by_ae_title(tmp_path: Path) -> None:
    assert load_modalities(tmp_path) == []
    save_modality(tmp_path, Modality("CT02", "192.168.1.6"))
    save_modality(tmp_path, Modality("CT01", "192.168.1.5"))
    save_modality(tmp_path, Modality("CT02", "192.168.1.7"))
    assert load_modalities(tmp_path) == [
        Modality("CT01", "192.168.1.5"),
        Modality("CT02", "192.168.1.7"),
    ]
    with pytest.raises(UsageError):
        save_modality(tmp_path, Modality("TOO LONG FOR AN AE TITLE", "192.168.1.5"))


def test_a_partner_file_of_another_form_or_version_is_named(sender: Node, tmp_path: Path) -> None:
    folder = sender.data / "partners"
    folder.mkdir()
    for content in ("", "[]", "{}", '{"version": 1}', '{"version": 2}'):
        (folder / "x.json").write_text(content)
        with pytest.raises(TodokeError, match=r"x\.json"):
            load_partners(sender.data)


@pytest.mark.requirement("NET-14")
def test_what_is_set_of_the_line_is_kept_and_old_files_have_none(
    sender: Node, product_ca: Path
) -> None:
    added = pairing.add_product(
        sender, "x", addresses=["a"], port=1, aet="A", calling_aet="B", ca=product_ca,
        limits=["20", "08:00-18:00=5"], associations=2,
    )  # fmt: skip
    assert find_partner(sender.data, "x") == added
    assert (added.limits, added.most_associations(4)) == (("20", "08:00-18:00=5"), 2)
    words = json.loads(added.file.read_text("utf-8"))
    for name in ("limits", "associations"):
        del words[name]
    added.file.write_text(json.dumps(words), "utf-8")
    old = find_partner(sender.data, "x")
    assert (old.limits, old.most_associations(4)) == ((), 4)
    assert old.with_line(["5"], None).with_line(None, 3).limits == ("5",)
    assert old.with_line(["5"], 3).with_line(["none"], 0) == old


@pytest.mark.parametrize(
    ("key", "value"),
    [("limits", ["fast"]), ("limits", [20]), ("limits", 5), ("limits", ["1", "2"]),
     ("limits", ["08:00-18:00=5", "17:00-19:00=5"]), ("associations", 17), ("associations", -1),
     ("associations", "4")],
)  # fmt: skip
def test_a_line_that_is_not_right_is_refused_from_the_file_and_from_the_verb(
    key: str, value: Any, sender: Node, product_ca: Path
) -> None:
    added = pairing.add_product(
        sender, "x", addresses=["a"], port=1, aet="A", calling_aet="B", ca=product_ca
    )
    words = json.loads(added.file.read_text("utf-8"))
    added.file.write_text(json.dumps(words | {key: value}), "utf-8")
    with pytest.raises(SettingsError, match=r"x\.json"):
        load_partners(sender.data)
    if isinstance(value, list) and isinstance(value[0], str):
        with pytest.raises(UsageError, match="limit"):
            added.with_line(value, None)
    elif isinstance(value, int) and key == "associations":
        with pytest.raises(UsageError, match="associations"):
            added.with_line(None, value)
