"""A reader's Chromium: from the work list to the first canvas that shows tissue."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from common.errors import NotFound, VerbFailed
from conformance.bench.pairing import OPERATOR, Pair

PATIENCE = 60.0  # seconds
LOOKING = 0.05  # seconds between two questions to the page, which notes the times by itself
SWITCHES = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")

#: Runs at every frame of the page: opens the study as soon as the list has it, and
#: notes when a canvas of the slide holds tissue, which is redder than it is green.
WATCH = """() => {
  const known = new Set([...document.querySelectorAll('tr.row')].map((row) => row.dataset.key));
  const noted = (window.__bench = { row: 0, tissue: 0 });
  const small = new OffscreenCanvas(96, 72);
  const context = small.getContext('2d', { willReadFrequently: true });
  const isTissue = (canvas) => {
    context.clearRect(0, 0, 96, 72);
    context.drawImage(canvas, 0, 0, 96, 72);
    const { data } = context.getImageData(0, 0, 96, 72);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] && data[i] - data[i + 1] > 25) count += 1;
    }
    return count > 100;
  };
  const look = () => {
    if (!noted.row) {
      const fresh = document.querySelector('button.fresh');
      if (fresh && !fresh.hidden) fresh.click();
      const rows = [...document.querySelectorAll('tr.row')];
      const row = rows.find((one) => !known.has(one.dataset.key));
      if (row) {
        noted.row = Date.now();
        row.click();
      }
    } else {
      const canvas = document.querySelector('.slide-area .openseadragon-canvas canvas');
      if (canvas && canvas.width && isTissue(canvas)) {
        noted.tissue = Date.now();
        return;
      }
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


#: Notes when the key that zooms in was pressed, whether what it shows was missing then,
#: and when it was drawn at its own level with nothing missing.
ZOOMED = """() => {
  const noted = (window.__zoom = { key: 0, missing: 0, sharp: 0 });
  addEventListener('keydown', () => { noted.key ||= Date.now(); }, { capture: true, once: true });
  const look = () => {
    const view = window.__todoke.view;
    if (noted.key && view) {
      if (view.missing) noted.missing = view.missing;
      if (noted.missing && !view.missing && view.settled) {
        noted.sharp = Date.now();
        return;
      }
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
FULL_SIZE = "j"  # the key that shows a pixel of the scan as one of the screen


@dataclass
class Screen:
    """A page that is signed in and looks at the work list."""

    page: Any

    def watch(self) -> None:
        """Begin to look, before the slide is sent."""
        self.page.evaluate(WATCH)

    def tissue_at(self) -> float:
        """Return when the first canvas showed tissue, in seconds since 1970.

        Raises
        ------
        VerbFailed
            It never did.
        """
        return float(self._noted("__bench", "tissue")["tissue"]) / 1e3

    def zoom_seconds(self) -> float:
        """Show the middle of the slide at full size; return after how long all of it was there.

        Raises
        ------
        VerbFailed
            It never was, or had come before.
        """
        self.page.evaluate(ZOOMED)
        self.page.keyboard.press(FULL_SIZE)
        noted = self._noted("__zoom", "sharp")
        return float(noted["sharp"] - noted["key"]) / 1e3

    def _noted(self, name: str, what: str) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            noted: dict[str, Any] = self.page.evaluate(f"window.{name}")
            if noted[what]:
                return noted
            time.sleep(LOOKING)
        raise VerbFailed(verb="Chromium", cause=f"no {what}: {noted}")


@contextlib.contextmanager
def opened(viewer: str, pair: Pair) -> Iterator[Screen]:
    """Start Chromium, sign in, wait for the work list.

    Raises
    ------
    NotFound
        Playwright (a development dependency) or Chromium is not there.
    VerbFailed
        The page does not come.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise NotFound(thing="Playwright for Python") from error
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        if chromium is None and not shutil.which(playwright.chromium.executable_path):
            raise NotFound(thing="Chromium")
        try:
            started = playwright.chromium.launch(executable_path=chromium, args=list(SWITCHES))
            # the bench's own CA is in no store of this machine
            context = started.new_context(
                viewport={"width": 1920, "height": 1080}, locale="ja-JP", ignore_https_errors=True
            )
            page = context.new_page()
            page.goto(viewer)
            page.locator("input[autocomplete='username']").fill(OPERATOR)
            page.locator("input[type='password']").fill(pair.password)
            page.locator("button[type='submit']").click()
            page.locator("tr.row").first.wait_for()
            yield Screen(page)
            started.close()
        except Error as error:
            raise VerbFailed(verb="Chromium", cause=str(error).splitlines()[0]) from error
