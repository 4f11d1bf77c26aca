"""The requirements page counts a test by its marks and its name, and nothing else."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from conformance import requirements_page

ROOT = Path(__file__).parent.parent.parent
TEST_FILE = """
import pytest
pytestmark = pytest.mark.requirement("DAT-01")

@pytest.mark.requirement("DIR-04", "DIR-05")
def test_marked(): ...

def test_net_07_by_name_but_not_tls_12(): ...

class TestGroup:
    @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.requirement("UX-01"))])
    def test_inner(self, x): ...

def helper_evd_08(): "pytest.mark.requirement('EVD-01')"
"""


def test_marks_names_and_inheritance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(TEST_FILE)
    monkeypatch.chdir(tmp_path)
    found = requirements_page.cited(Path("tests"))
    at = "tests/test_it.py::"
    every = [f"{at}test_marked", f"{at}test_net_07_by_name_but_not_tls_12", f"{at}test_inner"]
    assert found == {
        "DAT-01": every,
        "DIR-04": [f"{at}test_marked"],
        "DIR-05": [f"{at}test_marked"],
        "NET-07": [f"{at}test_net_07_by_name_but_not_tls_12"],
        "UX-01": [f"{at}test_inner"],
    }


def test_a_row_without_a_test_is_open_and_counted() -> None:
    row = {"priority": "M", "source": "Q1", "ja": "届ける", "en": "It arrives"}
    text = requirements_page.page({"SUB-01": row, "SUB-02": row}, {"SUB-01": ["t.py::test_x"]})
    assert "M: 2, with tests: 1, open: 1." in text
    assert "| SUB-02 | M | Q1 | 届ける<br>It arrives | open |" in text


def test_an_unknown_id_and_an_old_page_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (requirements_page.TABLE, Path("tests/test_it.py")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / requirements_page.TABLE).write_bytes((ROOT / requirements_page.TABLE).read_bytes())
    (tmp_path / "tests" / "test_it.py").write_text(TEST_FILE)
    monkeypatch.chdir(tmp_path)
    assert requirements_page.main(["--check"]) == 1
    assert requirements_page.main([]) == 0
    assert requirements_page.main(["--check"]) == 0
    (tmp_path / "tests" / "test_it.py").write_text(TEST_FILE.replace("UX-01", "UX-99"))
    assert requirements_page.main(["--check"]) == 1
    assert "UX-99" in capsys.readouterr().err


def test_every_row_is_whole_and_of_a_known_group() -> None:
    table = tomllib.loads((ROOT / requirements_page.TABLE).read_text("utf-8"))["requirement"]
    assert len(table) == 180
    for identifier, row in table.items():
        assert identifier.split("-")[0] in requirements_page.GROUPS
        assert set(row) == {"priority", "source", "ja", "en"}
        assert row["priority"] in {"M", "S", "C"}
        assert row["source"]
        assert row["ja"]
        assert row["en"]
