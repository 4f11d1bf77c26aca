"""Which study goes to which partner: ``DATA/rules.toml``, the first rule that fits.

::

    [[rule]]
    from = "modality:CT1"       # or "folder:NAME"; left out: from anywhere
    modality = ["CT", "MR"]     # Modality (0008,0060); left out: any
    to = "asahikawa"            # key of a partner
    priority = "routine"        # urgent | soon | routine
    purpose = "diagnosis"       # diagnosis | advice

What no rule names is held and never sent by itself (PRI-02).
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import SettingsError
from common.link import PRIORITIES, PURPOSES
from common.settings import place


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; empty `source` and `modalities` fit anything."""

    to: str
    source: str = ""
    modalities: tuple[str, ...] = ()
    priority: str = "routine"
    purpose: str = "diagnosis"


def load(data: Path) -> list[Rule]:
    """Read the rules of a sender; none where there is no file.

    Raises
    ------
    SettingsError
        The file is not right; nothing is sent by half a rule.
    """
    path = data / "rules.toml"
    try:
        words = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise SettingsError(path=path, key="TOML", cause=failure) from failure
    rules = words.pop("rule", [])
    if words or not isinstance(rules, list) or not all(isinstance(row, dict) for row in rules):
        key = next(iter(words), "rule")
        raise SettingsError(path=place(path, key), key=key, cause="[[rule]]")
    return [_rule(path, number, row) for number, row in enumerate(rules)]


def _rule(path: Path, number: int, row: dict[str, Any]) -> Rule:
    known = {"from", "modality", "to", "priority", "purpose"}
    for key in row:
        if key not in known:
            where = place(path, key, number)
            raise SettingsError(path=where, key=key, cause="知らない項目 / unknown key")
    modality = row.get("modality", [])
    modalities = [modality] if isinstance(modality, str) else modality
    if not isinstance(modalities, list) or not all(isinstance(m, str) for m in modalities):
        where = place(path, "modality", number)
        raise SettingsError(path=where, key="modality", cause=modality)
    rule = Rule(
        to=row.get("to", ""),
        source=row.get("from", ""),
        modalities=tuple(modalities),
        priority=row.get("priority", "routine"),
        purpose=row.get("purpose", "diagnosis"),
    )
    for key, right in (
        ("to", isinstance(rule.to, str) and bool(rule.to)),
        ("from", isinstance(rule.source, str)),
        ("priority", rule.priority in PRIORITIES),
        ("purpose", rule.purpose in PURPOSES),
    ):
        if not right:
            raise SettingsError(path=place(path, key, number), key=key, cause=row.get(key))
    return rule


def choose(rules: Sequence[Rule], source: str, modality: str) -> Rule | None:
    """Return the first rule that fits a study, None where none does."""
    for rule in rules:
        if rule.source in ("", source) and (not rule.modalities or modality in rule.modalities):
            return rule
    return None
