"""How a watched folder is taken: to whom, how urgently, and what makes slides one case."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import UsageError
from common.setting_checks import check_case_from
from common.settings import Sender


@dataclass(frozen=True, slots=True)
class Way:
    """How one watched folder is taken.

    Attributes
    ----------
    partner : str
        Key of the partner; empty: whom the rules say.
    priority, purpose : str
        Empty: what the rules say.  A request file goes before both.
    settle : float
        Seconds without a change after which a file is looked at.
    spacing : tuple of (float, str) or None
        Pixel size in micrometres for slides that hold none, and who attests it.
    case_from : str
        ``sidecar``, ``folder`` or ``name:REGEX``.
    hurried : bool
        Slides that cannot be read are refused at once, not waited for.
    recoding : dict
        How slides are encoded again, as fields of their case.
    """

    root: Path
    partner: str = ""
    priority: str = ""
    purpose: str = ""
    settle: float = 10.0
    spacing: tuple[float, str] | None = None
    send_label: bool = False
    send_macro: bool = False
    case_from: str = "sidecar"
    hurried: bool = False
    recoding: dict[str, Any] = field(default_factory=dict, hash=False)
    pattern: re.Pattern[str] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Check the pattern.

        Raises
        ------
        UsageError
        """
        if wrong := check_case_from(self.case_from):
            raise UsageError(cause=f"--case-from {self.case_from}: {wrong}")
        if self.case_from.startswith("name:"):
            pattern = re.compile(self.case_from.removeprefix("name:"))
            object.__setattr__(self, "pattern", pattern)

    def case_of(self, slide: Path) -> str | None:
        """Return the name of a slide's case, where folder or file name gives it."""
        if self.case_from == "folder":
            return slide.parent.relative_to(self.root).as_posix() if self._below(slide) else None
        if self.pattern is not None and (found := self.pattern.search(slide.name)):
            return found[1] if self.pattern.groups else found[0]
        return None

    def _below(self, slide: Path) -> bool:
        return slide.parent != self.root

    def options(self) -> dict[str, Any]:
        """Return what every job of this folder has in its options."""
        pictures = {"send_label": self.send_label, "send_macro": self.send_macro}
        slide = pictures | self.recoding
        options: dict[str, Any] = {"source": f"folder:{self.root.name}", "slide": slide}
        if self.priority:
            options["priority"] = self.priority
        if self.purpose:
            options["purpose"] = self.purpose
        return options


def of_settings(settings: Sender) -> list[Way]:
    """Return the ways of the folders that the settings name."""
    return [
        Way(
            Path(folder),
            settle=settings.settle_seconds,
            send_label=settings.send_label,
            send_macro=settings.send_macro,
            case_from=settings.watch_case_from,
            recoding=settings.recoding(),
        )
        for folder in settings.watch
    ]
