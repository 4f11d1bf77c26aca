"""What is read in a run: studies that our sender brought to our receiver, found by their UID."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import VerbFailed
from conformance.bench import series
from conformance.bench.line import Quality
from conformance.bench.ours import DONE, OFF
from conformance.bench.pairing import OPERATOR, Pair
from conformance.bench.processes import first_object, running
from conformance.bench.series import Series
from conformance.bench.site import Site
from conformance.bench.slides.mosaic import Slide
from conformance.bench.slides.ours import PATIENT
from conformance.bench.slides.reader import browser, study_keys
from conformance.bench.viewer.screen import Screen

PHOTOGRAPH = 640, 480  # pixels


@dataclass
class Room:
    """A receiver with studies in it, and the address at which its viewer is asked.

    Attributes
    ----------
    address : str
        Of the viewer, or of the line before it.
    """

    site: Site
    pair: Pair
    address: str
    _made: int = 0

    def ct(self, count: int, *, compression: str = OFF) -> str:
        """Bring a new CT series of so many slices, as stored by its scanner; return its key."""
        with self.series(count) as made:
            self.site.ends.send(made, compression=compression)
        os.sync()
        return self.key(made.study_uid)

    @contextlib.contextmanager
    def series(self, count: int) -> Iterator[Series]:
        """Write a CT series of a patient of its own, and remove it."""
        self._made += 1
        folder = self.site.folder / "series"
        try:
            yield series.make(folder, count, f"{self.site.folder}/viewer/{self._made}")
        finally:
            shutil.rmtree(folder)

    def case(self, slides: list[Slide]) -> str:
        """Bring slides as one case; return its key.

        A photograph of the gross specimen is beside them: that makes them one case.
        """
        from PIL import Image

        folder = self.site.folder / "case"
        folder.mkdir()
        for number, slide in enumerate(slides, 1):
            os.link(slide.path, folder / f"{number}.svs")
        photograph = self.site.folder / "gross.jpg"
        Image.new("RGB", PHOTOGRAPH, (176, 96, 104)).save(photograph)
        ends = self.site.ends
        ends.ready()
        before = self._rows()
        sent = ends.send_verb(folder, self.pair.key, *PATIENT, "--gross", str(photograph))
        said = ends.wait(sent)
        shutil.rmtree(folder)
        if not said["transfers"] or any(one["state"] not in DONE for one in said["transfers"]):
            raise VerbFailed(verb="sender send", cause=str(said))
        new = [key for key in self._rows() if key not in before]
        if len(new) != 1:
            raise VerbFailed(verb="sender send", cause=f"{len(new)} cases")
        return new[0]

    def _rows(self) -> dict[str, Any]:
        with browser(self.site.ends.viewer, self.pair) as client:
            return study_keys(client)

    def key(self, study_uid: str) -> str:
        """Return the key of a study.

        Raises
        ------
        VerbFailed
            It is not in the work list.
        """
        for key, row in self._rows().items():
            if row["study_uid"] == study_uid:
                return str(key)
        raise VerbFailed(verb="work list", cause=study_uid)

    def patient(self, key: str) -> str:
        """Return the Patient ID of a row of the work list; each study here has one of its own."""
        return str(self._rows()[key]["patient"]["id"])

    def sign_in(self, screen: Screen) -> None:
        """Sign in, and wait for the work list."""
        page = screen.page
        page.goto(self.address)
        page.locator("input[autocomplete='username']").fill(OPERATOR)
        page.locator("input[type='password']").fill(self.pair.password)
        page.locator("button[type='submit']").click()
        page.locator("tr.row").first.wait_for()

    def enter(self, screen: Screen, key: str, what: str) -> float:
        """Open a study from the list by Enter; return the seconds until its picture."""
        row = screen.page.locator(f"tr[data-key='{key}']")
        row.wait_for()
        row.focus()
        return screen.press("Enter", what)

    def back(self, screen: Screen) -> None:
        """Go back to the list."""
        screen.page.locator("button.back").first.click()
        screen.page.locator("tr.row").first.wait_for()


@contextlib.contextmanager
def behind(port: int, folder: Path, quality: Quality | None) -> Iterator[int]:
    """Put a line before a port of this machine; return the port that a reader asks."""
    if quality is None:
        yield port
        return
    words = ["--delay-ms", quality.delay * 1e3, "--mbit", quality.rate * 8 / 1e6]
    line = [sys.executable, "-m", "conformance.bench.line", *words, "--route", f"0:{port}"]
    with running(line, folder / "reader-line.log") as process:
        yield int(first_object(process)["ports"][0])
