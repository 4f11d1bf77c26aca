"""Whatever the kit sends is marked, belongs to nobody, and is the same each time."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.uid import ImplicitVRLittleEndian, JPEGLSLossless, RLELossless

from conformance import oracle
from conformance.objects import CREATOR, KANJI_JIS, MARK, Instance, elements, make, parse
from conformance.readback import Folder
from tests.conformance.receivers import Receiver, serving
from tests.conformance.rig import run, target


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless, JPEGLSLossless, None])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_same_arguments_same_bytes(modality: str, syntax: str | None) -> None:
    options = {} if syntax is None else {"transfer_syntax_uid": syntax}
    first = make("run", "case", modality=modality, **options)  # type: ignore[arg-type]
    assert first == make("run", "case", modality=modality, **options)  # type: ignore[arg-type]
    assert first.sop_instance_uid != make("other", "case").sop_instance_uid
    assert first.sop_instance_uid != make("run", "case", number=2).sop_instance_uid
    assert parse(first.data, first.transfer_syntax_uid).pixel_array.shape == (64, 64)


def test_variant_changes_pixels_alone() -> None:
    one, two = make("run", "case"), make("run", "case", variant=1)
    before, after = (elements(i.data, i.transfer_syntax_uid) for i in (one, two))
    assert {tag for tag in before if before[tag] != after[tag]} == {0x7FE00010}


def test_names_are_in_the_bytes_that_were_meant() -> None:
    utf8 = make("run", "case", name="TAKAHASHI^TARO=髙橋^太郎=タカハシ^タロウ")
    expected = "TAKAHASHI^TARO=髙橋^太郎=タカハシ^タロウ".encode()
    assert elements(utf8.data, utf8.transfer_syntax_uid)[0x00100010].rstrip(b" ") == expected
    jis = make("run", "case", name="YAMADA^TARO=山田^太郎", charset=KANJI_JIS)
    # PS3.5 H.3.1: ESC $ B opens JIS X 0208, ESC ( B goes back
    assert b"\x1b$B;3ED\x1b(B" in elements(jis.data, jis.transfer_syntax_uid)[0x00100010]


@pytest.mark.filterwarnings("ignore:Failed to encode value")
def test_name_that_cannot_be_written_is_no_question_mark() -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        make("run", "case", name="X=髙橋", charset=KANJI_JIS)


def test_everything_that_arrives_is_marked(store: Path) -> None:
    """Looks at what a receiver got in a whole run, not at what was meant to be sent."""
    with serving(Receiver(store)) as port:
        report = run(target(port), store, "STO", "IDN")
    files = list(store.iterdir())
    assert len(files) > 20
    look = Folder(store)
    seen = set()
    for file in files:
        uid = file.stem
        (held,) = look.copies(Instance("", "", uid, "", "", "", b""))
        dataset = parse(held.data, held.transfer_syntax_uid)
        assert dataset.PatientID.startswith("TODOKE-TEST")
        assert dataset.StudyDescription == MARK
        mark = dataset.private_block(0x0011, CREATOR)[0x01].value
        assert mark in (MARK, MARK.encode())  # Implicit VR tells nobody the VR of a private one
        seen.add(uid)
    assert seen == {left.sop_instance_uid for left in report.left}


def test_oracle_sends_the_bytes_it_was_given(store: Path) -> None:
    aim = target(0)
    made = make("run", "case")
    with serving(Receiver(store)) as port:
        aim = target(port)
        with oracle.associated(aim, [(made.sop_class_uid, made.transfer_syntax_uid)]) as assoc:
            assert oracle.store(assoc, made) == 0
    (held,) = Folder(store).copies(made)
    assert held.digest == made.digest
