"""Our own pages under a reader's hand."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.errors import VerbFailed
from conformance.bench.ours import AUTO, at
from conformance.bench.slides.run import Run
from conformance.bench.viewer import screen as screens
from conformance.bench.viewer.room import Room
from conformance.bench.viewer.screen import Screen, memory

PICTURES = 35  # that are to be drawn in one second while the wheel turns
PANNED = 40  # the same while a slide is dragged
TURNING = 5.0  # seconds
JUMPS = 40
ACROSS, MOVES = 800, 60  # pixels of a drag, and moves of the hand in it
MAGNIFIED = "5"  # the key for 20x
SEED = 5

#: Opens a study that was not in the list as soon as its row is there, asks to see it
#: incomplete, and notes when a canvas shows its picture; with the clock of this machine.
ARRIVING = """() => {
  const known = new Set([...document.querySelectorAll('tr.row')].map((row) => row.dataset.key));
  const noted = (window.__first = { shown: 0 });
  let opened = false;
  const look = () => {
    const fresh = document.querySelector('button.fresh');
    if (fresh && !fresh.hidden) fresh.click();
    const row = [...document.querySelectorAll('tr.row')].find((one) => !known.has(one.dataset.key));
    if (row && !opened) {
      opened = true;
      dispatchEvent(new KeyboardEvent('keydown', { key: 'Unidentified' }));
      row.click();
    }
    document.querySelector(".ask:not([hidden]) [data-role='view-incomplete']")?.click();
    if (window.__bench.noted.shown) noted.shown = Date.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


@dataclass
class Reading:
    """Reads in a browser of its own each time.

    Parameters
    ----------
    slices : int
        Of a CT series.
    """

    room: Room
    slices: int

    def ct(self) -> Run:
        """Open a new CT study twice, scroll through it, cut it."""
        key = self.room.ct(self.slices)
        with screens.opened() as screen:
            times = self._first_images(screen, key)
            screen.loaded()
            rate = screen.scroll(TURNING, 1)
            times["scroll"] = PICTURES / rate
            times["mpr"] = screen.press("m", "planes")
        return Run(times)

    def first_images(self) -> Run:
        """Open a new CT study twice."""
        key = self.room.ct(self.slices)
        with screens.opened() as screen:
            return Run(self._first_images(screen, key))

    def _first_images(self, screen: Screen, key: str) -> dict[str, float]:
        self.room.sign_in(screen)
        cold = self.room.enter(screen, key, "picture")
        screen.loaded()
        self.room.back(screen)
        screen.loaded()
        return {"cold": cold, "warm": self.room.enter(screen, key, "picture")}

    def memory(self, count: int) -> Run:
        """Look at every slice of a long series; the megabytes that the browser took for it."""
        key = self.room.ct(count)
        with screens.opened() as screen:
            self.room.sign_in(screen)
            with memory(screen.pid) as taken:
                self.room.enter(screen, key, "picture")
                screen.loaded()
                look_through(screen, count)
        return Run({"memory": taken.bytes / 1e6})

    def arriving(self) -> Run:
        """Send a CT study while the work list is shown; until a canvas shows an image of it."""
        room = self.room
        ends = room.site.ends
        ends.ready(AUTO)
        with room.series(self.slices) as made, screens.opened() as screen:
            room.sign_in(screen)
            screen.loaded()
            screen.arm("picture")
            screen.page.evaluate(ARRIVING)
            sent = ends.send_verb(made.folder, room.pair.key)
            try:
                shown = _shown(screen.page)
            finally:
                said = ends.wait(sent)
        return Run({"job": shown - at(said["submitted"])})


def _shown(page: Any) -> float:
    """Return when a canvas showed an image, in seconds since 1970."""
    end = time.monotonic() + screens.PATIENCE
    while time.monotonic() < end:
        if shown := page.evaluate("window.__first.shown"):
            return float(shown) / 1e3
        page.wait_for_timeout(screens.LOOKING)
    raise VerbFailed(verb="Chromium", cause="no image of what was sent")


def look_through(screen: Screen, count: int) -> None:
    """Scroll over so many slices, there and back."""
    for by in (1, -1):
        screen.turn(count / PICTURES, by)


@dataclass
class Slides:
    """Reads a case of two slides.

    Parameters
    ----------
    key : str
        Of the case in the work list.
    """

    room: Room
    key: str

    def read(self) -> Run:
        """Open the case, go to its other slide and back, jump about in it, drag it."""
        with screens.opened() as screen:
            self.room.sign_in(screen)
            screen.loaded()
            times = {"open": self.room.enter(screen, self.key, "slide")}
            screen.loaded()
            turned = [screen.press(key, "slide") for key in (".", ",")]
            times["next"] = statistics.median(turned)
            screen.loaded()
            times["jump"] = _jumps(screen)
            screen.page.keyboard.press(MAGNIFIED)
            screen.loaded()
            times["pan"] = PANNED / screen.drag(ACROSS, MOVES)
        return Run(times)

    def opened(self) -> Run:
        """Open the case."""
        with screens.opened() as screen:
            self.room.sign_in(screen)
            screen.loaded()
            return Run({"open": self.room.enter(screen, self.key, "slide")})


def _jumps(screen: Screen) -> float:
    """Press on the overview at random places; the 95th percentile of the seconds until sharp."""
    page = screen.page
    page.keyboard.press(MAGNIFIED)
    box = page.locator(".overview-map").first.bounding_box()
    chance = np.random.default_rng(SEED)
    took = []
    for x, y in chance.uniform(0.15, 0.85, (JUMPS, 2)):
        screen.arm("field")
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        took.append(screen.seconds())
    return float(np.percentile(took, 95))
