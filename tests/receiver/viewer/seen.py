"""What a robot has seen of a file."""

from __future__ import annotations

from dataclasses import dataclass

IMAGE, SAID, REFUSED, NOTHING = "image", "said", "refused", "nothing"


@dataclass
class Seen:
    """What became of a file.

    Attributes
    ----------
    result : str
        ``image``, ``said`` (words of the page), ``refused`` (before it was sent), ``nothing``.
    words : str
        What was said, in Japanese as on the screen.
    apart : int or None
        Largest difference from pydicom's picture, of 255; None where nothing was compared.
    """

    name: str
    kind: str = ""
    syntax: str = ""
    result: str = NOTHING
    words: str = ""
    apart: int | None = None
