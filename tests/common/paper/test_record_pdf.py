"""The page of a record: one page of A4 that can be read, copied, and holds to the record."""

from __future__ import annotations

from pathlib import Path

import pypdfium2
import pytest

from common.errors import IntegrityError
from common.paper import font
from common.paper import record as page
from common.proof import jws
from common.proof import record as records
from common.proof.identity import Institution, Node
from common.proof.role import Role
from tests.common.paper.recorded import NAME, PATIENT, STUDY, recorded_file

pytestmark = pytest.mark.evidence
KNOWN = {"氏名": NAME, "読めない字": "𠮷田 ﾔﾏﾀﾞ 葛󠄀城 김"}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Node, Node]:
    folder = tmp_path_factory.mktemp("nodes")
    ends = (
        ("髙﨑𠮷田病院", "0110000002", Role.REQUESTER),
        ("旭川支援病院", "0110000001", Role.SUPPORTER),
    )
    made = [
        Node.create(folder / code, Institution(name, code), role, hosts=["localhost"])
        for name, code, role in ends
    ]
    return made[0], made[1]


def read(pdf: bytes) -> tuple[pypdfium2.PdfDocument, str]:
    document = pypdfium2.PdfDocument(pdf)
    return document, document[0].get_textpage().get_text_range()


def flat(text: str) -> str:
    return "".join(text.split())


@pytest.mark.requirement("EVD-01", "EVD-03", "DIR-15", "DIR-02")
def test_it_is_one_page_of_a4_with_its_text_in_it(nodes: tuple[Node, Node]) -> None:
    file = recorded_file(*nodes)
    document, text = read(page.pdf(file, KNOWN))
    assert len(document) == 1
    assert [round(side) for side in document[0].get_size()] == [595, 842]
    for said in (NAME, PATIENT["PatientID"], "髙﨑𠮷田病院", "𠮷田 ﾔﾏﾀﾞ 葛城 〓U+AE40", "直接伝送"):
        assert said in text
    assert flat(records.name(file["record"])) in flat(text)
    for rule in range(1, 13):
        assert f"R{rule}" in text
    for limit in records.ALWAYS:
        assert flat(records.NOT_PROVEN[limit][0]) in flat(text)
    assert "Q&A第2版Q13の観点で確認した事実" in text
    assert "Open Font License" in text


@pytest.mark.requirement("EVD-03", "PRI-05")
def test_the_view_for_the_outside_names_no_patient(nodes: tuple[Node, Node]) -> None:
    file = recorded_file(*nodes, "outside")
    pdf = page.pdf(file, KNOWN)  # given by mistake, and still not printed
    _, text = read(pdf)
    for secret in (*NAME.replace("^", "=").split("=")[1:], *PATIENT.values(), STUDY):
        if secret != "0110000002":  # the issuer is the institution
            assert secret not in text
            assert secret.encode() not in pdf
    assert "患者 (HMAC)" in text
    assert "院内用" not in text


@pytest.mark.requirement("EVD-03")
def test_even_the_longest_record_is_one_page_and_nothing_leaves_it(
    nodes: tuple[Node, Node], tmp_path: Path
) -> None:
    long = {"code": "0110000002", "name": "社会福祉法人" + "髙﨑𠮷田記念" * 40}
    released = {"by": "責任 者子" * 30, "reason": "理由" * 300, "at": "2026-11-27T02:00:00+00:00"}
    file = recorded_file(*nodes)
    made = records.read_record(jws.verify(file["record"], nodes[0].signing_certificate))
    rules = [{**rule, "ja": str(rule["ja"]) * 3} for rule in made.declaration["rules"]]
    declaration = {**made.declaration, "released": released, "rules": rules}
    reason = {"number": "E-2001", "ja": "失敗の理由 " * 30, "en": "", "said": ""}
    file = recorded_file(
        *nodes, sender=long, receiver=long, person="責任者 " * 40, reason=reason,
        declaration=declaration, test=True, not_proven=tuple(records.NOT_PROVEN),
    )  # fmt: skip
    document, text = read(page.pdf(file, {"氏名": NAME * 8}))
    assert len(document) == 1
    assert "試験" in text
    assert "以下は機械可読の記録" in text  # what was cut says so
    edges = document[0].render(scale=2).to_numpy()
    assert edges[:, :20].min() == 255, "something stands in the left margin"
    assert edges[:, -20:].min() == 255, "something stands in the right margin"
    assert edges[-40:].min() == 255, "something stands at the bottom"
    assert edges.min() < 80, "nothing is drawn"


@pytest.mark.requirement("EVD-01")
def test_nothing_is_printed_of_what_its_signatures_do_not_hold(nodes: tuple[Node, Node]) -> None:
    one, other = recorded_file(*nodes), recorded_file(*nodes, number=42)
    with pytest.raises(IntegrityError):
        page.pdf({**one, "countersignature": other["countersignature"]})
    with pytest.raises(IntegrityError):
        page.pdf(
            {**one, "certificates": {**one["certificates"], "sender": nodes[1].signing_certificate}}
        )
    _, text = read(page.pdf({**one, "countersignature": None}))
    assert "支援側の副署 なし" in " ".join(text.split())


@pytest.mark.requirement("EVD-08")
def test_it_gives_facts_and_no_verdict(nodes: tuple[Node, Node]) -> None:
    from tests.common.test_words import CLAIMS

    for state in ("receipted", "failed"):
        file = recorded_file(*nodes, "outside", state=state)
        assert not CLAIMS.search(flat(read(page.pdf(file))[1])), state


def test_the_font_covers_the_names_that_systems_lose() -> None:
    assert font.printable("髙﨑𠮷田") == "髙﨑𠮷田"
    assert "SIL OPEN FONT LICENSE" in font.file(font.LICENCE).read_text("utf-8")


def test_equal_records_make_equal_files(nodes: tuple[Node, Node]) -> None:
    file = recorded_file(*nodes)
    assert page.pdf(file) == page.pdf(file)


MODEL = {
    "00100010": {
        "vr": "PN",
        "Value": [{"Alphabetic": "YOSHIDA^KEN", "Ideographic": "𠮷田^健", "Phonetic": "ﾖｼﾀﾞ^ｹﾝ"}],
    },
    "00100030": {"vr": "DA", "Value": ["19580312"]},
    "00100040": {"vr": "CS", "Value": ["M"]},
}


@pytest.mark.requirement("EVD-03", "PRI-05")
def test_the_patient_is_printed_for_the_hospital_alone(
    nodes: tuple[Node, Node], tmp_path: Path
) -> None:
    shown = {}
    for view in ("inside", "outside"):
        path = tmp_path / f"{view}.pdf"
        page.save(path, recorded_file(*nodes, view), MODEL)
        shown[view] = read(path.read_bytes())[1]
    assert "𠮷田 健 (ﾖｼﾀﾞ ｹﾝ / YOSHIDA KEN)" in shown["inside"]
    assert "1958-03-12 男" in " ".join(shown["inside"].split())
    for part in ("𠮷田 健", "YOSHIDA", "ﾖｼﾀﾞ", "1958"):
        assert part not in shown["outside"]
