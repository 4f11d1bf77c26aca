"""What a person does and sees, as words for the tests."""

from __future__ import annotations

import base64
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from playwright.sync_api import Page

from tests.receiver.viewer.room import PASSWORD, READER

DEADLINE = 20.0

# Reads a canvas as RGBA; on the processor the picture is a plain 2D canvas.
_PIXELS = """(selector) => {
  const canvas = document.querySelector(selector);
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext('2d', {willReadFrequently: true});
  context.drawImage(canvas, 0, 0);
  const {data, width, height} = context.getImageData(0, 0, canvas.width, canvas.height);
  let text = '';
  for (let i = 0; i < data.length; i += 32768)
    text += String.fromCharCode(...data.subarray(i, i + 32768));
  return [btoa(text), width, height];
}"""

PICTURE = ".viewport canvas"
SLIDE = ".slide-area .openseadragon-canvas canvas"
HATCH = ".slide-area > .hatch"


class Screen:
    """One page of the viewer."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address

    def sign_in(self, name: str = READER) -> None:
        """Sign in as a reader and wait for the work list."""
        self.first_step(name)
        self.page.locator("tr.row").first.wait_for()

    def first_step(self, name: str) -> None:
        """Give name and password."""
        self.page.goto(self.address)
        self.page.get_by_label("利用者名").fill(name)
        self.page.get_by_label("パスワード").fill(PASSWORD)
        self.page.get_by_role("button", name="サインイン").click()

    def open(self, key: str) -> None:
        """Open a study from the list and wait for its first picture."""
        self.page.locator(f"tr[data-key='{key}']").click()
        self.until("window.__todoke.view?.ready === true", "a picture")

    def until(self, script: str, what: str) -> None:
        """Poll a condition in the page: its policy forbids Playwright's own waiting."""
        end = time.monotonic() + DEADLINE
        while not self.page.evaluate(f"Boolean({script})"):
            assert time.monotonic() < end, f"{what}: {self.view()}"
            self.page.wait_for_timeout(20)

    def view(self) -> dict[str, Any]:
        """Return what the view says of itself."""
        found: dict[str, Any] = self.page.evaluate("window.__todoke.view") or {}
        return found

    def settled(self) -> None:
        """Wait until the slide is drawn at its own level."""
        self.until("window.__todoke.view?.settled === true", "a sharp slide")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def frames(self, count: int = 2) -> None:
        """Wait until the page has drawn."""
        for _ in range(count):
            self.page.evaluate("new Promise(done => requestAnimationFrame(() => done(0)))")

    def text(self, role: str) -> str:
        """Return the text of a part of the page."""
        return self.page.locator(f"[data-role='{role}']").first.inner_text()

    def pixels(self, selector: str) -> npt.NDArray[np.uint8]:
        """Return a canvas, rows x columns x RGBA."""
        encoded, width, height = self.page.evaluate(_PIXELS, selector)
        flat = np.frombuffer(base64.b64decode(encoded), np.uint8)
        return flat.reshape(height, width, 4)

    def shot(self, path: str) -> None:
        """Keep a picture of the page."""
        self.page.screenshot(path=path)
