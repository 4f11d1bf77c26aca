"""Slides that the tests of this room open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread

from common.dicom.dataset import file_prefix
from common.dicom.layout import Layout
from sender.slides import Slide, VirtualInstance, open_slide
from tests.sender.slides.vendor_files import CASE, OTHER_PROFILE, Svs

SYNTHETIC = {
    "ycc": Svs(),
    "ycc422": Svs(width=517, height=390, chroma="422", factors=(1, 4)),
    "ycc444": Svs(width=700, height=560, chroma="444", factors=(1,)),
    "rgb": Svs(rgb=True, chroma="444", icc=OTHER_PROFILE, bigtiff=True),
    "holes": Svs(rgb=True, chroma="444", holes=frozenset({0, 5, 17}), factors=(1, 4), test=True),
}


@dataclass
class Sent:
    """A source slide, the same slide as instances, and the folder a receiver would have."""

    source: Path
    slide: Slide
    folder: Path

    def file(self, instance: VirtualInstance) -> Path:
        return self.folder / f"{self.slide.instances.index(instance)}.dcm"

    @property
    def levels(self) -> list[VirtualInstance]:
        """Largest first."""
        return sorted(
            (i for i in self.slide.instances if i.level is not None), key=lambda i: i.level or 0
        )


def stored(instance: VirtualInstance) -> bytes:
    """The Part 10 file that a receiver makes of an instance."""
    layout = Layout(instance.header, instance.lengths)
    prefix = file_prefix(
        instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid
    )
    return prefix + b"".join(layout.stream(instance.frame))


@pytest.fixture(scope="session")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Sent]:
    """Make, open and store a slide by name, once per session."""
    made: dict[str, Sent] = {}

    def get(name: str, source: Path | None = None) -> Sent:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            path = source or SYNTHETIC[name].write(folder / "source.svs")
            slide = open_slide(path, CASE)
            series = folder / "series"
            series.mkdir()
            made[name] = Sent(path, slide, series)
            for instance in slide.instances:
                made[name].file(instance).write_bytes(stored(instance))
                dcmread(made[name].file(instance))
        return made[name]

    return get


@pytest.fixture(params=["real", *SYNTHETIC])
def one(request: pytest.FixtureRequest, sent: Callable[..., Sent]) -> Sent:
    """Every slide of the room in turn, the real one among them."""
    if request.param == "real":
        folder: Path = request.getfixturevalue("real_data")
        return sent("real", folder / "wsi" / "aperio" / "cmu-1-small-region.svs")
    return sent(request.param)
