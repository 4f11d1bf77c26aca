"""common/errors.py: one tree, each failure whole in both languages, each number once."""

from __future__ import annotations

import ast
import json
import string
from collections import Counter
from pathlib import Path

import pytest

from common import errors_page
from common.errors import DiskFull, InputError, PeerError, StorageError, TodokeError, UsageError

ROOT = Path(__file__).parent.parent.parent
TREE = list(errors_page.tree())
#: Failure statuses of PS3.7 annex C and PS3.4 annex B that a C-STORE may be answered with.
DIMSE = {0x0110, 0x0112, 0x0117, 0x0122, 0x0124, *range(0x0210, 0x0214), *range(0xA700, 0xCFFF)}


def fields(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name}


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
class TestEach:
    @pytest.mark.requirement("DCM-06")
    def test_it_says_itself_in_both_languages_with_the_same_facts(
        self, kind: type[TodokeError]
    ) -> None:
        assert {"number", "ja", "en"} <= set(vars(kind)), "each class has words of its own"
        assert fields(kind.ja) == fields(kind.en)
        assert any(ord(letter) > 0x3000 for letter in kind.ja)
        assert kind.en.isascii()

    def test_exit_codes_lie_in_the_published_decades(self, kind: type[TodokeError]) -> None:
        decades = {
            InputError: range(20, 30),
            StorageError: range(40, 50),
            PeerError: range(60, 70),
            UsageError: [2, *range(20, 30)],
        }
        allowed = next((codes for top, codes in decades.items() if issubclass(kind, top)), [1, 2])
        assert kind.exit_code in allowed

    @pytest.mark.requirement("DCM-06")
    def test_peers_are_told_a_defined_failure(self, kind: type[TodokeError]) -> None:
        assert kind.dimse_status in DIMSE
        assert 400 <= kind.http_status < 600

    def test_a_missing_fact_hides_nothing(self, kind: type[TodokeError]) -> None:
        for lang in ("ja", "en"):
            assert kind().words(lang).endswith(f" {kind.number}")


def test_every_number_is_given_once() -> None:
    assert not [number for number, n in Counter(k.number for k in TREE).items() if n > 1]


def test_what_a_script_reads_has_both_sentences() -> None:
    error = PeerError(cause="線が切れた")
    assert error.as_json() == {
        "number": "E-6000",
        "ja": error.words("ja"),
        "en": error.words("en"),
    }
    assert "線が切れた" in str(error)


@pytest.mark.parametrize(
    "error",
    [
        DiskFull(path=Path("/srv/todoke/store")),
        DiskFull(path=Path("store")),
        StorageError(cause="data/my store/index.sqlite: busy"),
        StorageError(cause=r"D:\todoke\index.sqlite: busy"),
        UsageError(cause="PermissionError: '/srv/todoke/a'"),
    ],
)
def test_no_peer_is_told_a_place_of_this_machine(error: TodokeError) -> None:
    words = json.dumps(error.for_peer().as_json())
    assert error.number in words
    for part in ("srv", "my store", "todoke", "(store)", "index.sqlite"):
        assert part not in words


@pytest.mark.parametrize("cause", ["Accept: image/jpeg; q=1", "未着 / not here yet", "AE title"])
def test_a_peer_is_told_the_cause(cause: str) -> None:
    assert cause in str(UsageError(cause=cause).for_peer())


def test_no_other_file_adds_to_the_tree() -> None:
    names = {kind.__name__ for kind in TREE}
    for room in ("common", "sender", "receiver", "conformance", "samples"):
        for path in (ROOT / room).rglob("*.py"):
            if path == ROOT / "common" / "errors.py" or "node_modules" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                    assert not bases & names, f"{path}: {node.name} belongs in common/errors.py"


def test_the_page_is_that_of_the_tree() -> None:
    assert (ROOT / errors_page.PAGE).read_text("utf-8") == errors_page.page()
