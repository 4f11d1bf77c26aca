"""XML out of a vendor's file: without document type or entities, which could swell or reach out."""

from __future__ import annotations

import xml.parsers.expat
from typing import Protocol

from common.errors import SlideUnreadable


class Reading(Protocol):
    """What is told of the elements, in their order."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the beginning of an element."""

    def end(self, name: str) -> None:
        """Take the end of an element."""

    def text(self, text: str) -> None:
        """Take a piece of an element's text."""


def parse(text: str, reading: Reading, kind: str, namespaces: str | None = None) -> None:
    """Read a whole text of XML.

    Parameters
    ----------
    kind : str
        What it is called in an error.
    namespaces : str, optional
        Stands between namespace and name; without it names are as written.

    Raises
    ------
    SlideUnreadable
        It is not well formed, or has a document type or an entity.
    """

    def refuse(*_: object) -> int:
        raise SlideUnreadable(cause=f"{kind} with a document type or an entity")

    parser = xml.parsers.expat.ParserCreate(namespace_separator=namespaces)
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except (xml.parsers.expat.ExpatError, LookupError, ValueError) as failure:
        raise SlideUnreadable(cause=f"{kind} that is not well formed") from failure
