"""Data sets that are not built as they should be: taken as they came, or refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.dicom.dataset import file_prefix
from common.errors import (
    DataSetCut,
    DataSetUnsound,
    InflatedTooLarge,
    NestedTooDeep,
    NotAnImage,
    NotCarried,
    NotDicom,
    TodokeError,
    TooManyElements,
)
from tests.hostile.dataset_objects import (
    BIG_ENDIAN,
    CT,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    ITEM_END,
    PIXELS,
    SEQUENCE_END,
    UNDEFINED,
    Instance,
    bomb,
    deflated,
    element,
    encapsulated,
    encoded,
    encoded_implicit,
    image,
    implicit,
    instance,
    item,
    name_of,
    sequence,
    us,
    with_bytes,
)
from tests.hostile.dataset_rig import Standing, send_file, standing

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom's, which the programs ignore too

PRIVATE = 0x00211010
SEQUENCE = 0x00081140  # Referenced Image Sequence
JPEG = "1.2.840.10008.1.2.4.50"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with standing(tmp_path_factory.mktemp("structure")) as made:
        yield made


def _cut(made: Instance, behind: bytes, extra: int) -> Instance:
    """Cut a data set some bytes behind the first place that holds `behind`."""
    return replace(made, data=made.data[: made.data.index(behind) + extra])


def _nested(case: str, depth: int, *, undefined: bool, syntax: str = EXPLICIT) -> Instance:
    """Nest sequences of one item each within one another."""
    length = UNDEFINED if undefined else None
    heads: list[bytes] = []
    if undefined and syntax == EXPLICIT:
        inner = (
            b"".join(
                [(element(SEQUENCE, b"SQ", b"", UNDEFINED) + implicit(0xFFFEE000, b"", UNDEFINED))]
                * depth
            )
            + (implicit(ITEM_END, b"") + implicit(SEQUENCE_END, b"")) * depth
        )
        return with_bytes(case, inner, at=0x00100010)
    size = 0
    for _ in range(depth):  # from the inside to the outside, without copying what is inside
        if syntax == EXPLICIT:
            head = element(SEQUENCE, b"SQ", b"", 8 + size) + implicit(0xFFFEE000, b"", size)
        else:
            head = implicit(SEQUENCE, b"", 8 + size) + implicit(0xFFFEE000, b"", size)
        heads.append(head)
        size += len(head)
    assert length is None or syntax == IMPLICIT
    whole = b"".join(reversed(heads))
    if syntax == EXPLICIT:
        return with_bytes(case, whole, at=0x00100010)
    values = image(case)
    before = encoded_implicit({tag: one for tag, one in values.items() if tag < SEQUENCE})
    after = encoded_implicit({tag: one for tag, one in values.items() if tag > SEQUENCE})
    return Instance(name_of(case), before + whole + after, IMPLICIT)


def _flood(case: str, count: int) -> Instance:
    """Return an image with so many empty elements of private groups."""
    return with_bytes(case, _private(count, first=0x1000, to_a_group=0xEF00))


def _creators(case: str, count: int) -> Instance:
    """Return an image with so many private creators, 240 in each private group."""
    names = [b"TODOKE %5d" % (n % 9999) for n in range(count)]
    return with_bytes(case, _private(count, first=0x10, to_a_group=0xF0, values=names))


def _private(
    count: int, *, first: int, to_a_group: int, values: list[bytes] | None = None
) -> bytes:
    """Encode elements of private groups all at once: as :func:`element` does, one by one."""
    length = len(values[0]) if values else 0
    kind = [("group", "<u2"), ("element", "<u2"), ("vr", "S2"), ("length", "<u2")]
    made = np.zeros(count, [*kind, ("value", f"S{length}")] if length else kind)
    number = np.arange(count)
    made["group"] = 0x5001 + 2 * (number // to_a_group)
    made["element"] = first + number % to_a_group
    made["vr"], made["length"] = b"LO", length
    if values:
        made["value"] = values
    return made.tobytes()


@dataclass(frozen=True)
class Case:
    """One bad input and what has to come of it; no error means that it is stored."""

    number: int
    variant: str
    made: Instance
    error: type[TodokeError] | None
    flag: str = ""

    @property
    def param(self) -> Any:
        mark = pytest.mark.badinput(self.number, self.variant)
        return pytest.param(self, marks=mark, id=f"{self.number} {self.variant}")


def _truncated() -> Iterator[Case]:
    def case(variant: str, behind: bytes, extra: int) -> Case:
        made = _cut(instance(variant), behind, extra)
        return Case(30, variant, made, DataSetCut)

    yield case("truncated in an element header", b"\x28\0\x11\0US", 1)
    yield case("truncated in a value", b"\x28\0\x11\0US", 5)
    yield case("truncated in pixel data", b"\xe0\x7f\x10\0OW", 100)
    coded = encapsulated("fragment", JPEG, [bytes(1000)])
    yield Case(30, "truncated in a fragment", replace(coded, data=coded.data[:-500]), DataSetCut)


def _misnamed() -> Iterator[Case]:
    plain = instance("as big endian")
    cut = DataSetCut
    yield Case(31, "little endian written as big endian", replace(plain, syntax=BIG_ENDIAN), cut)
    values = image("implicit as explicit")
    called = Instance(name_of("implicit as explicit"), encoded_implicit(values), EXPLICIT)
    yield Case(31, "implicit VR called explicit", called, DataSetUnsound)
    called = replace(instance("explicit as implicit"), syntax=IMPLICIT)
    yield Case(31, "explicit VR called implicit", called, cut)


def _lengths() -> Iterator[Case]:
    for vr in (b"OW", b"UN"):
        claim = element(PRIVATE, vr, bytes(100), 0xFFFFFFFE)
        variant = f"{vr.decode()} of length FFFFFFFEH"
        yield Case(33, variant, with_bytes(variant, claim), DataSetCut)
    claim = element(PIXELS, b"OW", bytes(100), 0xFFFFFFFE)
    made = instance("pixels FFFFFFFE", {PIXELS: None})
    yield Case(33, "OW of length FFFFFFFEH", replace(made, data=made.data + claim), DataSetCut)
    variant = "OB not encapsulated"
    items = item(bytes(16)) + implicit(SEQUENCE_END, b"")
    claim = element(PRIVATE, b"OB", items, UNDEFINED)
    yield Case(34, variant, with_bytes(variant, claim), DataSetUnsound)
    made = instance("pixels undefined", {PIXELS: None})
    pixels = element(PIXELS, b"OW", items, UNDEFINED)
    yield Case(34, variant, replace(made, data=made.data + pixels), DataSetUnsound)
    claim = element(PRIVATE, b"US", us(1), 0xFFFF)
    yield Case(34, "US", with_bytes("US", claim, at=0x00280002), DataSetCut)
    made = with_bytes("odd text", element(PRIVATE, b"LO", b"abc"), at=0x00280002)
    yield Case(35, "odd length of a text", made, None, "odd length")
    made = instance("odd pixels", {PIXELS: (b"OB", bytes(255)), 0x00280100: (b"US", us(8))})
    yield Case(35, "odd length of pixel data", made, None)


def _order() -> Iterator[Case]:
    late = element(0x00081030, b"LO", b"HEAD")
    flag = "elements out of order or twice"
    yield Case(36, "tags out of order", with_bytes("order", late, at=0x00280002), None, flag)
    twice = element(0x00280010, b"US", us(16))
    yield Case(36, "duplicate element", with_bytes("twice", twice, at=0x00280011), None, flag)
    for tag, near in ((0x00080018, 0x00080020), (0x00080018, PIXELS), (0x00100020, PIXELS)):
        made = with_bytes(f"twice {tag:x} {near:x}", element(tag, b"UI", b"1.2\0"), at=near)
        yield Case(36, "duplicate SOPInstanceUID", made, DataSetUnsound)


def _deep() -> Iterator[Case]:
    for depth, variant, error in (
        (100, "nesting of 100", None),
        (101, "nesting of 101", NestedTooDeep),
        (100_000, "nesting of 100,000", NestedTooDeep),
    ):
        for undefined in (True, False):
            made = _nested(f"{depth} {undefined}", depth, undefined=undefined)
            yield Case(37, variant, made, error)
        made = _nested(f"{depth} implicit", depth, undefined=False, syntax=IMPLICIT)
        yield Case(37, variant, made, error)


def _many() -> Iterator[Case]:
    items = item(b"") * 1_500_000
    for name, length in (("defined", None), ("undefined", UNDEFINED)):
        made = with_bytes(f"items {name}", sequence(SEQUENCE, items, length), at=0x00100010)
        yield Case(38, "1.5 M empty items", made, TooManyElements)
    yield Case(38, "600,000 elements", _flood("flood", 600_000), TooManyElements)
    yield Case(46, "private creator flood", _creators("creators", 300_000), TooManyElements)
    yield Case(46, "private creator flood", _creators("fewer creators", 5_000), None)


def _delimiters() -> Iterator[Case]:
    inner = element(0x00081150, b"UI", b"1.2\0")
    head = implicit(0xFFFEE000, b"", UNDEFINED)
    made = with_bytes("item", sequence(SEQUENCE, head + inner, UNDEFINED), at=0x00100010)
    yield Case(39, "item without delimiter", made, DataSetUnsound)
    alone = element(SEQUENCE, b"SQ", item(inner), UNDEFINED)
    made = with_bytes("sequence", alone, at=0x00100010)
    yield Case(39, "sequence without delimiter", made, DataSetUnsound)
    for variant, tag in (
        ("orphan item delimiter", ITEM_END),
        ("orphan sequence delimiter", SEQUENCE_END),
    ):
        made = with_bytes(variant, implicit(tag, b""), at=0x00100010)
        yield Case(39, variant, made, DataSetUnsound)
    beyond = sequence(SEQUENCE, item(inner, len(inner) + 20))
    made = with_bytes("item beyond", beyond, at=0x00100010)
    yield Case(40, "item beyond its sequence", made, DataSetUnsound)
    long = element(0x00081150, b"UI", b"1.2\0", 40)
    made = with_bytes("element beyond", sequence(SEQUENCE, item(long)), at=0x00100010)
    yield Case(40, "element beyond its item", made, DataSetUnsound)
    long = element(0x00081199, b"SQ", item(inner), 400)
    made = with_bytes("sequence beyond", sequence(SEQUENCE, item(long)), at=0x00100010)
    yield Case(40, "sequence beyond its item", made, DataSetUnsound)


def _deflate() -> Iterator[Case]:
    yield Case(41, "deflate bomb 1000:1", bomb("bomb"), InflatedTooLarge)
    plain = encoded(image("garbage"))
    made = Instance(name_of("garbage"), deflated(plain) + b"garbage!", DEFLATED)
    yield Case(42, "trailing garbage", made, DataSetUnsound)
    plain = encoded(image("cut deflate"))
    made = Instance(name_of("cut deflate"), deflated(plain)[:-40], DEFLATED)
    yield Case(42, "truncated deflate", made, DataSetCut)
    made = replace(instance("no deflate"), syntax=DEFLATED)
    yield Case(42, "not deflate at all", made, DataSetUnsound)


MAKERS = (_truncated, _misnamed, _lengths, _order, _deep, _many, _delimiters, _deflate)
CASES = [case for maker in MAKERS for case in maker()]


@pytest.mark.parametrize("case", [case.param for case in CASES])
def test_through_the_dicom_door(receiver: Standing, case: Case) -> None:
    if case.error is not None:
        receiver.refuses(case.made, case.error)
        return
    receiver.takes(case.made)
    said = len(receiver.log.lines)
    receiver.describe()
    row = receiver.rows(case.made.uid)[0]
    flags = [line for line in receiver.log.lines[said:] if str(row.path) in line]
    assert len(flags) == bool(case.flag)
    assert case.flag in "".join(flags)
    assert "unreadable" not in "".join(flags)


@pytest.mark.parametrize("case", [case.param for case in CASES])
def test_as_a_file_to_send(tmp_path: Path, case: Case) -> None:
    refused = send_file(tmp_path, case.made.as_file())
    assert type(refused) is (case.error or type(None)), refused


def _meta(case: str, change: tuple[bytes, bytes]) -> bytes:
    """Return a sound file with some bytes of its group 0002 replaced."""
    whole = instance(case).as_file()
    end = len(file_prefix(CT, name_of(case), EXPLICIT))
    assert whole[:end].count(change[0]) == 1
    return whole[:end].replace(*change) + whole[end:]


SYNTAX = element(0x00020010, b"UI", b"1.2.840.10008.1.2.1\0")
STRANGE = element(0x00020010, b"UI", b"1.2.3.4.5.6.7.8.9.10")
FILES = [
    (29, "empty file", b"", NotAnImage),
    (29, "131 bytes", bytes(131), NotAnImage),
    (29, "no DICM", bytes(132) + instance("no DICM").data, NotAnImage),
    (29, "DICM only", bytes(128) + b"DICM", DataSetCut),
    (30, "truncated in meta", instance("meta").as_file()[:200], DataSetCut),
    (31, "group length lie", _meta("lie", (b"\2\0\0\0UL\4\0", b"\2\0\0\0UL\4\0\7")), NotDicom),
    (31, "missing transfer syntax", _meta("none", (SYNTAX, b"")), NotDicom),
    (31, "unknown transfer syntax", _meta("what", (SYNTAX, STRANGE)), NotCarried),
    (32, "VR ??", _meta("odd", (b"\2\0\x12\0UI", b"\2\0\x12\0??")), DataSetUnsound),
    (32, "VR 0000H", _meta("zero", (b"\2\0\x12\0UI", b"\2\0\x12\0\0\0")), DataSetUnsound),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "error"),
    [
        pytest.param(content, error, marks=pytest.mark.badinput(number, variant), id=variant)
        for number, variant, content, error in FILES
    ],
)
def test_a_file_whose_start_is_none(
    tmp_path: Path, content: bytes, error: type[TodokeError]
) -> None:
    refused = send_file(tmp_path, content)
    assert isinstance(refused, error)


@pytest.mark.badinput(31, "unknown transfer syntax")
def test_an_unknown_transfer_syntax_has_no_context(receiver: Standing) -> None:
    made = replace(instance("unknown"), syntax="1.2.3.4.5.6.7")
    answer = receiver.meet(made)
    assert answer.status == 0x0122  # SOP class not supported: the context was not accepted
    assert answer.files == set()
