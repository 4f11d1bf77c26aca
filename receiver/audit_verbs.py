"""``todoke receiver audit`` and ``maintenance``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from common.audit.verbs import rooms


def register(app: typer.Typer) -> None:
    """Add the verbs to the receiver's room."""
    audit, maintenance = rooms(_node, _settings)
    app.add_typer(audit, name="audit")
    app.add_typer(maintenance, name="maintenance")


def _node(data: Path | None) -> Any:
    from common.proof.identity import Node
    from common.proof.role import Role
    from common.settings import data_folder

    return Node.load(data_folder("receiver", data).absolute(), Role.SUPPORTER)


def _settings(folder: Path) -> Any:
    from common.settings import Receiver

    return Receiver.load(folder)
