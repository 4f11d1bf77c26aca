"""A Chromium as a reader has it, in which pages are timed; and what memory it takes."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import NotFound, VerbFailed
from conformance.bench.most import Most
from conformance.bench.processes import family

WATCH = Path(__file__).with_name("watch.js")
PATIENCE = 120.0  # seconds
LOOKING = 25  # milliseconds between two questions to the page, which notes the times by itself
LOADED = 1.0  # seconds without an answer on its way: all that is fetched ahead is here
SWITCHES = (
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # as on a machine without a graphics card: WebGL by the processor, canvases in memory.
    # With --use-angle=swiftshader canvases would lie behind it too, and each look at one be slow
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
)
WIDTH, HEIGHT = 1920, 1080  # CSS pixels, of the device as many


@dataclass
class Screen:
    """One page of a browser that was started for it."""

    page: Any
    pid: int

    def arm(self, what: str) -> None:
        """Wait, in the page, for what the next key brings; see ``watch.js``."""
        self.page.evaluate(WATCH.read_text("utf-8"))
        self.page.evaluate("what => window.__bench.arm(what)", what)

    def seconds(self) -> float:
        """Return the time from the key to the frame that showed what was waited for.

        Raises
        ------
        VerbFailed
            It never did.
        """
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            noted = self.page.evaluate("window.__bench.noted")
            if noted["shown"]:
                return float(noted["shown"] - noted["began"]) / 1e3
            self.page.wait_for_timeout(LOOKING)
        raise VerbFailed(verb="Chromium", cause=f"nothing was shown at {self.page.url}")

    def press(self, key: str, what: str) -> float:
        """Press a key; return the seconds until the page showed what was waited for."""
        self.arm(what)
        self.page.keyboard.press(key)
        return self.seconds()

    def loaded(self) -> None:
        """Wait until nothing has been on its way for a while.

        Raises
        ------
        VerbFailed
            There always is something.
        """
        page, end = self.page, time.monotonic() + PATIENCE
        count = [0]

        def answered(_request: object) -> None:
            count[0] += 1

        for event in ("requestfinished", "requestfailed"):
            page.on(event, answered)
        try:
            before, since = -1, time.monotonic()
            while time.monotonic() - since < LOADED:
                if count[0] != before:
                    before, since = count[0], time.monotonic()
                if time.monotonic() > end:
                    raise VerbFailed(verb="Chromium", cause="it never ends to fetch")
                page.wait_for_timeout(LOOKING)
        finally:
            for event in ("requestfinished", "requestfailed"):
                page.remove_listener(event, answered)

    def scroll(self, seconds: float, by: int) -> float:
        """Turn the wheel a step a frame; return the pictures a second.

        Raises
        ------
        VerbFailed
            The picture stands still.
        """
        return _moving(self.turn(seconds, by))

    def turn(self, seconds: float, by: int) -> float:
        """Turn the wheel a step a frame, at the end of a series too, where nothing moves."""
        self.page.evaluate(WATCH.read_text("utf-8"))
        return float(self.page.evaluate("of => window.__bench.scroll(...of)", [seconds, by]))

    def drag(self, across: int, moves: int) -> float:
        """Drag the slide to the left and back; return the pictures a second."""
        page = self.page
        self.page.evaluate(WATCH.read_text("utf-8"))
        middle = WIDTH // 2, HEIGHT // 2
        left, right = middle[0] - across // 2, middle[0] + across // 2
        page.mouse.move(right, middle[1])
        page.mouse.down()
        page.evaluate("window.__bench.watchSlide()")
        page.mouse.move(left, middle[1], steps=moves)
        page.mouse.move(right, middle[1], steps=moves)
        rate = page.evaluate("window.__bench.watched()")
        page.mouse.up()
        return _moving(rate)


def _moving(rate: float) -> float:
    if not rate:
        raise VerbFailed(verb="Chromium", cause="the picture stood still")
    return float(rate)


@contextlib.contextmanager
def opened() -> Iterator[Screen]:
    """Start a Chromium of which nothing is in any cache, with an empty page.

    Raises
    ------
    NotFound
        Playwright (a development dependency) or Chromium is not there.
    VerbFailed
        A page does not do what is waited for.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise NotFound(thing="Playwright for Python") from error
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    before = set(family(os.getpid()))
    with sync_playwright() as playwright:
        if chromium is None and not shutil.which(playwright.chromium.executable_path):
            raise NotFound(thing="Chromium")
        try:
            started = playwright.chromium.launch(executable_path=chromium, args=list(SWITCHES))
            # the bench's own CA is in no store of this machine
            context = started.new_context(
                viewport={"width": WIDTH, "height": HEIGHT},
                locale="ja-JP",
                device_scale_factor=1,
                ignore_https_errors=True,
            )
            yield Screen(context.new_page(), _root(before))
            started.close()
        except Error as error:
            raise VerbFailed(verb="Chromium", cause=str(error).splitlines()[0]) from error


def _root(before: set[int]) -> int:
    """Return the process of the browser itself: the first of those below us that are its."""
    for one in family(os.getpid()):
        with contextlib.suppress(OSError):
            if one not in before and "chrom" in Path(f"/proc/{one}/comm").read_text():
                return one
    raise VerbFailed(verb="Chromium", cause="its process is not found")


def facts() -> dict[str, str]:
    """Return the browser's version and what draws in it, for the page of figures."""
    with opened() as screen:
        draws = screen.page.evaluate(
            """() => {
              const gl = document.createElement('canvas').getContext('webgl2');
              const named = gl?.getExtension('WEBGL_debug_renderer_info');
              const which = named?.UNMASKED_RENDERER_WEBGL ?? gl?.RENDERER;
              return gl ? String(gl.getParameter(which)) : '-';
            }"""
        )
        version = screen.page.context.browser.version
    return {"chromium": str(version), "webgl": str(draws)}


def memory(pid: int) -> Most:
    """Return what notes the most that a browser takes, all its processes together.

    Of what several of them share each counts its part (Pss of proc(5), smaps_rollup).
    """
    return Most(lambda: sum(map(_proportional, family(pid))), 0.5)


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
