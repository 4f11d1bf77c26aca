"""The rule file: the first rule that fits, nothing by half a rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import SettingsError
from sender import routing
from sender.routing import Rule, choose

RULES = """
[[rule]]
from = "modality:CT1"
modality = ["CT", "MR"]
to = "asahikawa"
priority = "urgent"

[[rule]]
modality = "SM"
to = "sapporo"
purpose = "advice"

[[rule]]
from = "folder:all"
to = "obihiro"
"""


@pytest.fixture
def rules(tmp_path: Path) -> list[Rule]:
    (tmp_path / "rules.toml").write_text(RULES, "utf-8")
    return routing.load(tmp_path)


@pytest.mark.requirement("PRI-02")
@pytest.mark.parametrize(
    ("source", "modality", "to"),
    [
        ("modality:CT1", "CT", "asahikawa"),
        ("modality:CT1", "MR", "asahikawa"),
        ("modality:CT1", "US", None),
        ("modality:CT2", "CT", None),
        ("modality:CT1", "SM", "sapporo"),
        ("folder:all", "SM", "sapporo"),
        ("folder:all", "US", "obihiro"),
        ("folder:other", "US", None),
        ("", "", None),
    ],
)
def test_the_first_rule_that_fits(
    rules: list[Rule], source: str, modality: str, to: str | None
) -> None:
    found = choose(rules, source, modality)
    assert (found.to if found else None) == to


def test_a_rule_carries_urgency_and_purpose(rules: list[Rule]) -> None:
    assert [(r.priority, r.purpose) for r in rules] == [
        ("urgent", "diagnosis"),
        ("routine", "advice"),
        ("routine", "diagnosis"),
    ]


@pytest.mark.requirement("PRI-02")
def test_without_a_file_nothing_is_forwarded(tmp_path: Path) -> None:
    assert routing.load(tmp_path) == []
    assert choose([], "folder:all", "CT") is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[[rule]]\nto = ''", "to"),
        ("[[rule]]\nfrom = 'x'", "to"),
        ("[[rule]]\nto = 5", "to"),
        ("[[rule]]\nto = 'a'\nfrom = 5", "from"),
        ("[[rule]]\nto = 'a'\nmodality = 5", "modality"),
        ("[[rule]]\nto = 'a'\nmodality = [5]", "modality"),
        ("[[rule]]\nto = 'a'\npriority = 'now'", "priority"),
        ("[[rule]]\nto = 'a'\npurpose = 'fun'", "purpose"),
        ("[[rule]]\nto = 'a'\nform = 'x'", "form"),
        ("[rule]\nto = 'a'", "rule"),
        ("rule = ['a']", "rule"),
        ("rules = []", "rules"),
        ("[[rule", "TOML"),
    ],
)
def test_half_a_rule_is_refused_and_named(tmp_path: Path, text: str, key: str) -> None:
    (tmp_path / "rules.toml").write_text(text, "utf-8")
    with pytest.raises(SettingsError) as refused:
        routing.load(tmp_path)
    assert refused.value.facts["key"] == key


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").mkdir()
    with pytest.raises(SettingsError):
        routing.load(tmp_path)


VALUE = st.one_of(
    st.booleans(), st.integers(-9, 9), st.text("ab:", max_size=3), st.lists(st.text("ab")).map(list)
)
KEYS = st.sampled_from(["from", "modality", "to", "priority", "purpose", "other"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(KEYS, VALUE, max_size=4), max_size=3))
def test_any_table_is_rules_or_refused(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    tables = ["\n".join(f"{k} = {json.dumps(v)}" for k, v in row.items()) for row in rows]
    text = "".join(f"[[rule]]\n{table}\n" for table in tables)
    (tmp_path / "rules.toml").write_text(text, "utf-8")
    try:
        rules = routing.load(tmp_path)
    except SettingsError:
        return
    assert [rule.to for rule in rules] == [row["to"] for row in rows]
    for rule in rules:
        source, modality = rule.source or "anything", (*rule.modalities, "XX")[0]
        assert choose([rule], source, modality) is rule
