"""``verify``: everything that is not as it was signed is found, by name, and nothing else is."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from common import tls
from common.errors import IntegrityError
from common.proof import certificates, jws, record, verify
from tests.common.proof import handed, mutants
from tests.common.proof.handed import Case, Handed, hand_over, make_case
from tests.common.proof.mutants import MUTANTS, VARIANTS

pytestmark = pytest.mark.evidence
VECTORS = Path(__file__).parents[3] / "docs" / "reference" / "link-vectors"
KINDS = ("held", "differs", "open")
#: Runs the program once a line, in a Python that has the standard library and cryptography.
ALONE = """
import contextlib, io, json, runpy, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"cryptography", "cffi", "_cffi_backend"}:
            return None
        if name.partition(".")[0] in sys.stdlib_module_names:
            return None
        raise ImportError(name)
sys.meta_path.insert(0, Nothing())
program, lines = json.load(sys.stdin)
main = runpy.run_path(program)["main"]
for line in lines:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        code = main(line)
    print(json.dumps([code, out.getvalue()]))
"""


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def lines(case: Case, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Per mutant the line that checks it; "" is what is sound."""
    folder = tmp_path_factory.mktemp("handed")
    made = {name: make(case) for name, (_, make) in MUTANTS.items()}
    made[""] = Handed(case.files, [])
    return {
        name: list(hand_over(case, one, folder / str(n)))
        for n, (name, one) in enumerate(made.items())
    }


def run(python: Path, program: Path, lines: list[list[str]], *options: str) -> list[Any]:
    """Run the program given out, once a line; returns exit code and what it printed."""
    ran = subprocess.run(
        [python, *options, "-c", ALONE],
        input=json.dumps([str(program), lines]),
        capture_output=True,
        text=True,
        timeout=50,
        cwd=program.parent,
        check=True,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.fixture(scope="module")
def said(lines: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the file that `--write` gives out says of each, in a Python that has little."""
    alone = tmp_path_factory.mktemp("alone") / "check.py"
    assert verify.main(["--write", str(alone)]) == 0
    answers = run(Path(sys.executable), alone, list(lines.values()), "-I")
    return dict(zip(lines, answers, strict=True))


def codes(answer: Any, kind: str = "differs") -> list[str]:
    every = [*answer["records"], *answer["series"]]
    return [finding["code"] for one in every for finding in one[kind]]


@pytest.mark.requirement("EVD-02", "DIR-06", "DAT-12")
@pytest.mark.parametrize("name", MUTANTS)
def test_what_was_spoilt_is_found_by_name(name: str, said: dict[str, Any]) -> None:
    code, text = said[name]
    answer = json.loads(text)
    wanted = MUTANTS[name][0]
    assert wanted in codes(answer)
    assert code == answer["exit"] == (2 if wanted == "unreadable" else 1)
    assert answer["verdict"] == ("unreadable" if wanted == "unreadable" else "differs")


def test_everything_that_can_differ_has_its_mutant() -> None:
    words = list(verify.WORDS)
    assert {finds for finds, _ in MUTANTS.values()} == set(words[: words.index("no-trust")])


@pytest.mark.requirement("EVD-02")
def test_what_is_sound_is_as_it_was_signed(said: dict[str, Any]) -> None:
    code, text = said[""]
    answer = json.loads(text)
    assert (code, answer["verdict"], codes(answer), codes(answer, "open")) == (
        0, "as-signed", [], []
    )  # fmt: skip
    for one in answer["records"]:
        held = [finding["code"] for finding in one["held"]]
        assert held == ["sender", "receiver", "same", "listed", "proven", "patient", "anchored"]
    assert codes({"records": [], "series": answer["series"]}, "held") == ["unbroken"]


def test_this_process_says_what_the_program_alone_says(
    lines: dict[str, list[str]], said: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (*list(MUTANTS)[::6], ""):
        code, text = said[name]
        assert verify.main(lines[name]) == code
        here, there = json.loads(capsys.readouterr().out), json.loads(text)
        assert [codes(here, kind) for kind in KINDS] == [codes(there, kind) for kind in KINDS]


def check(folder: Path, handed: Handed, case: Case, *, trusted: bool = True, **more: Any) -> Any:
    """Verify in this process."""
    line = list(hand_over(case, handed, folder))
    files = [Path(word) for word in line if word.startswith(str(folder)) and word.endswith("json")]
    trust = folder / "trust" if trusted else None
    return verify.verify(files, trust, handed.images, **more)


@pytest.mark.parametrize("at", range(len(VARIANTS)), ids=lambda at: "-".join(VARIANTS[at][:2]))
def test_each_reason_of_a_finding_is_told(at: int, case: Case, tmp_path: Path) -> None:
    finds, about, make = VARIANTS[at]
    answer = check(tmp_path / "a", make(case), case)
    told = [one for of in (*answer["records"], *answer["series"]) for one in of["differs"]]
    assert [one for one in told if one["code"] == finds and about in one["about"]]
    assert answer["exit"] == 1


def test_a_key_that_the_record_itself_does_not_show_is_not_even_consistent(
    case: Case, tmp_path: Path
) -> None:
    own = {**case.files[0]["certificates"], "sender": case.other.signing_certificate}
    answer = check(tmp_path / "a", Handed([{**case.files[0], "certificates": own}]), case,
                   trusted=False)  # fmt: skip
    assert (answer["exit"], codes(answer)) == (1, ["record-signature"])


@pytest.mark.requirement("EVD-02")
@pytest.mark.parametrize("name", ["", "a whole record made with two fresh keys"])
def test_without_trust_no_signer_is_established(name: str, case: Case, tmp_path: Path) -> None:
    """What agrees with itself agrees with itself: more cannot be said, and it is no success."""
    of = MUTANTS[name][1](case) if name else Handed(case.files)
    answer = check(tmp_path / "all", of, case, trusted=False)
    assert (answer["exit"], answer["verdict"]) == (3, "signers-not-established")
    assert not {"sender", "receiver"} & set(codes(answer, "held"))
    for edited in ("a record edited", "a leaf changed in the list"):
        spoilt = MUTANTS[edited][1](case)
        assert check(tmp_path / edited, spoilt, case, trusted=False)["exit"] == 1


def test_a_certificate_in_the_record_is_never_believed(case: Case, tmp_path: Path) -> None:
    false = MUTANTS["a whole record made with two fresh keys"][1](case)
    assert check(tmp_path / "a", false, case)["exit"] == 1
    none = {**case.files[0], "certificates": {"sender": "", "receiver": None}}
    assert check(tmp_path / "b", Handed([none]), case)["exit"] == 0


@pytest.mark.requirement("EVD-02")
def test_a_record_that_no_receiver_countersigned_is_the_senders_word(
    case: Case, tmp_path: Path
) -> None:
    alone = {**case.files[0], "countersignature": None}
    answer = check(tmp_path / "a", Handed([alone]), case)
    assert (answer["exit"], answer["verdict"]) == (4, "sender-only")
    assert "same" not in codes(answer, "held")


@pytest.mark.requirement("EVD-03", "DAT-12")
def test_the_outside_view_shows_one_image_without_the_others(case: Case, tmp_path: Path) -> None:
    uids = [one["uid"] for one in case.files[0]["instances"]]
    outside = {**case.files[0], "view": "outside", "subject": None,
               "instances": {"count": len(uids)}}  # fmt: skip
    shown = case.images[1]  # the proof in the file is of this one
    answer = check(tmp_path / "a", Handed([outside], [shown]), case)
    assert (answer["exit"], codes(answer, "held")[-3:]) == (0, ["proven", "file", "anchored"])
    assert not [uid for uid in uids if uid != uids[1] and uid in json.dumps(outside)]
    answer = check(tmp_path / "b", Handed([outside], [case.images[0]]), case)
    assert codes(answer) == ["file-unknown"]


@pytest.mark.requirement("EVD-07")
def test_records_outlive_the_keys_that_signed_them(case: Case, tmp_path: Path) -> None:
    """Time travel: the certificate ended, and the end has another key since."""
    of = Handed(case.files)
    later = datetime.now(UTC) + timedelta(days=25 * 365)
    answer = check(tmp_path / "later", of, case, now=later)
    assert (answer["exit"], set(codes(answer, "open"))) == (0, {"expired"})
    before = datetime.now(UTC) - timedelta(days=1)
    assert set(codes(check(tmp_path / "before", of, case, now=before))) == {"time-order"}

    rotated = mutants.fresh(case, handed.HERE)
    made = mutants.again(case, 1, rotated)
    words = {**case.read(1, "countersignature"), "record": record.name(made["record"])}
    made["countersignature"] = jws.sign(words, case.receiver)
    both = Handed([case.files[0], made], trust=[rotated.signing_certificate])
    both.files = [one | {"anchors": []} for one in both.files]
    assert check(tmp_path / "both", both, case)["exit"] == 0
    both.trust = None
    assert codes(check(tmp_path / "one", both, case)) == ["sender-key"]


@pytest.mark.requirement("EVD-06")
def test_the_copies_of_both_ends_are_one_record(case: Case, tmp_path: Path) -> None:
    theirs = [{**one, "subject": None} for one in case.files]
    answer = check(tmp_path / "a", Handed([*case.files, *theirs]), case)
    assert (answer["exit"], answer["series"][0]["records"]) == (0, len(case.files))
    answer = check(tmp_path / "b", Handed([one | {"anchors": []} for one in theirs[1:]]), case)
    assert (answer["exit"], codes(answer, "open")) == (0, ["begins"])


@pytest.mark.requirement("EVD-08", "DIR-15")
@pytest.mark.parametrize("language", ["ja", "en"])
def test_it_speaks_both_languages_and_gives_no_verdict_on_money(
    language: str, case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify.NOT_PROVEN == record.NOT_PROVEN
    at = language == "en"
    for n, name in enumerate(["a record deleted", "no record at all", "two images swapped"]):
        finds, make = MUTANTS[name]
        line = [word for word in hand_over(case, make(case), tmp_path / str(n)) if word != "--json"]
        assert verify.main([*line, "--lang", language]) in {1, 2}
        text = capsys.readouterr().out
        assert f"[{finds}]" in text
        assert verify.WORDS[finds][at].partition("{")[0] in text
        assert ("Q&A 2" if at else "Q&A第2版Q13の観点で確認した事実") in text
        if finds != "unreadable":
            assert record.NOT_PROVEN["source"][at] in text
        assert not re.search("補助対象|準拠|適合|eligible|compliant", text)


@pytest.mark.parametrize("spoilt", ["none", "empty", "garbage"])
def test_a_trust_folder_that_cannot_be_used_is_said(
    spoilt: str, case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = list(hand_over(case, Handed(case.files), tmp_path / "a"))
    trust = tmp_path / "trust"
    if spoilt != "none":
        trust.mkdir()
    if spoilt == "garbage":
        (trust / "a.pem").write_text("-----BEGIN CERTIFICATE-----", "ascii")
    line[line.index("--trust") + 1] = str(trust)
    assert verify.main(line) == 2
    assert "--trust" in capsys.readouterr().err


def test_the_reference_lists_every_code_and_every_finding() -> None:
    page = (VECTORS.parent / "verify.md").read_text("utf-8")
    for code, (verdict, ja, en) in verify.VERDICTS.items():
        assert f"| {code} | `{verdict}` | {ja} | {en} |" in page
    for name, (ja, en) in verify.WORDS.items():
        assert f"| `{name}` | {ja.format('…')} | {en.format('…')} |" in page
    found = re.findall(r"^\| `([a-z0-9-]+)` \|", page, re.MULTILINE)
    assert found == list(verify.WORDS)


# -- its own small readers against those of the ends --------------------------


def we_say(statement: str, certificate: str) -> Any:
    try:
        read = verify.Statement.read(statement)
        read.check(certificates.from_pem(certificate))
    except verify.Refused:
        return None
    return read.payload if read.kid == tls.fingerprint_of_pem(certificate) else None


def they_say(statement: str, certificate: str) -> Any:
    try:
        return jws.verify(statement, certificate)
    except IntegrityError:
        return None


def test_the_published_statements_are_judged_as_the_ends_judge_them() -> None:
    keys = json.loads((VECTORS / "keys.json").read_text("utf-8"))
    pems = [pem for pem in re.findall(r"-----BEGIN CERT.*?-----END CERTIFICATE-----\\n",
                                      json.dumps(keys))]  # fmt: skip
    pems = [json.loads(f'"{pem}"') for pem in pems]
    some = json.loads((VECTORS / "statements.json").read_text("utf-8"))
    judged = [(we_say(one["jws"], pem), they_say(one["jws"], pem)) for one in some for pem in pems]
    assert len(pems) > 1
    assert all(ours == theirs for ours, theirs in judged)
    assert [one for one in judged if one[0]]
    assert [one for one in judged if not one[0]]


@given(st.data())
def test_what_is_altered_is_never_believed_where_an_end_would_not(
    case: Case, data: st.DataObject
) -> None:
    """Stricter than the ends in how base64 and JSON are written, never laxer."""
    statement, pem = case.files[0]["record"], case.sender.signing_certificate
    at = data.draw(st.integers(0, len(statement)))
    letters = st.text("AQgw.=+/-_ é", max_size=2)
    other = statement[:at] + data.draw(letters) + statement[at + data.draw(st.integers(0, 2)) :]
    if other == statement:
        assert we_say(other, pem) == they_say(other, pem) != None  # noqa: E711
    else:
        assert we_say(other, pem) is None


@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "x"]),
        st.sampled_from(["ES256", "none", "HS256", ["b64"], False, 1, None]),
        min_size=1,
    )
)
def test_any_other_header_is_refused(case: Case, header: dict[str, Any]) -> None:
    said = {"alg": "ES256", "kid": case.sender.signing_fingerprint} | header
    parts = (json.dumps(said).encode(), b'{"a":1}', b"s" * 64)
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    if header == {"alg": "ES256"}:
        assert verify.Statement.read(text).payload == {"a": 1}
    else:
        with pytest.raises(verify.Refused):
            verify.Statement.read(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**70) | st.floats(allow_nan=False)
    | st.sampled_from(["", "ab" * 32, "2026-11-27", "ﾔﾏﾀﾞ", "\ud800"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=3,
)  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every member of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        yield (*at, key)
        if isinstance(one, dict | list):
            yield from places(one, (*at, key))


def put(value: Any, way: tuple[Any, ...], new: Any) -> Any:
    """Return a copy with the member at the end of a way replaced."""
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = new
    return copy


@settings(max_examples=100)
@given(data=st.data())
def test_nothing_that_it_is_handed_stops_it(
    case: Case, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any member of a file, and of what is signed in it, may be anything at all."""
    what = data.draw(st.sampled_from(["file", "record", "countersignature", "anchor"]))
    file = case.files[0]
    if what == "file":
        way = data.draw(st.sampled_from(list(places(file))))
        made = put(file, way, data.draw(JSON))
    else:
        entry = file["anchors"][0]["anchor"] if what == "anchor" else file[what]
        signer = case.receiver if what == "countersignature" else case.sender
        words = jws.verify(entry, signer.signing_certificate)
        words = put(words, data.draw(st.sampled_from(list(places(words)))), data.draw(JSON))
        assume("\\ud800" not in json.dumps(words))  # our own signing writes no such letter
        signed = jws.sign(words, signer)
        way = ("anchors", 0, "anchor") if what == "anchor" else (what,)
        made = put(file, way, signed)
    folder = tmp_path_factory.mktemp("any")
    answer = check(folder / "a", Handed([made, case.files[1]], [case.images[0]]), case)
    assert answer["exit"] in {0, 1, 2, 4}
    assert "".join(verify.lines(answer, "ja")).encode("utf-8", "replace")
    if made == file:
        assert answer["exit"] == 0


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian,
               DeflatedExplicitVRLittleEndian],
)  # fmt: skip
def test_it_digests_a_file_as_the_ends_do(syntax: UID, case: Case, tmp_path: Path) -> None:
    ds = pydicom.dcmread(case.images[0])
    ds.PixelData = bytes(512)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.PrivateInformationCreatorUID = UID("1.2.3")
    ds.file_meta.PrivateInformation = b"x" * 600
    path = tmp_path / "a.dcm"
    implicit, little = syntax.is_implicit_VR, syntax.is_little_endian
    pydicom.dcmwrite(path, ds, implicit_vr=implicit, little_endian=little,
                     enforce_file_format=True)  # fmt: skip
    found = handed.image_digest(path)
    uid = "" if syntax.is_deflated else found.uid
    assert verify.digest_of(path) == (found.uid, uid, found.length, found.d1)


@pytest.mark.slow
@pytest.mark.requirement("EVD-02")
def test_an_empty_environment_with_cryptography_alone_says_the_same(
    lines: dict[str, list[str]], said: dict[str, Any], tmp_path: Path
) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "cryptography"], check=True, timeout=300)
    shown = subprocess.run([python, "-m", "pip", "list", "--format", "json"], check=True,
                           capture_output=True, timeout=60).stdout  # fmt: skip
    assert {one["name"] for one in json.loads(shown)} <= {
        "cryptography", "cffi", "pycparser", "pip", "setuptools", "typing_extensions",
    }  # fmt: skip
    alone = tmp_path / "check.py"
    assert verify.main(["--write", str(alone)]) == 0
    answers = run(python, alone, list(lines.values()), "-I")
    for (code, text), (here, there) in zip(answers, said.values(), strict=True):
        kinds = [[codes(json.loads(one), kind) for kind in KINDS] for one in (text, there)]
        assert (code, kinds[0]) == (here, kinds[1])
