"""A slide through our two ends, looked at by a reader while it comes."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import VerbFailed
from conformance.bench import series
from conformance.bench.ours import DONE, Ends, at
from conformance.bench.pairing import Pair
from conformance.bench.slides import reader, screen
from conformance.bench.slides.mosaic import Slide
from conformance.bench.slides.reader import Reader
from conformance.bench.slides.run import Run

EARLY = 0.05  # share of a slide that is there when a reader zooms in
SLICES = 400  # of the series beside an urgent slide: 210 MB
UNDER_WAY = 10  # of them have arrived when the slide is sent
PATIENT = ("--patient-id", "TODOKE-TEST-BENCH", "--patient-name", "SHIKEN^BENCH")


def shown_by_https(pair: Pair) -> dict[str, str]:
    """Return the receiver's settings with which its viewer is served by https."""
    return {
        "TODOKE_RECEIVER_WEB_CERT": str(pair.identity.certificate),
        "TODOKE_RECEIVER_WEB_KEY": str(pair.identity.key),
    }


@dataclass
class Pushes:
    """Sends slides from a running, unconnected daemon.

    Parameters
    ----------
    small : Path
        A slide that a new daemon sends first: its first job alone pays for what it loads.
    """

    ends: Ends
    small: Path
    _warm: bool = False
    _series: int = 0

    def ready(self) -> None:
        """Have a daemon that has sent a slide before and holds no connection."""
        self.ends.ready()
        if not self._warm:
            self.send(self.small)
            self._warm = True
            self.ends.ready()
        os.sync()

    def read(self, slide: Slide) -> Run:
        """Send a slide while a reader waits for its overview and, in mid-push, for a viewport."""
        self.ready()
        return self._read(slide)

    def _read(self, slide: Slide, *options: str) -> Run:
        with Reader(self.ends.viewer, self.ends.pair, slide.viewport()) as one:
            sent = self.send(slide.path, *options)
        one.check()
        begun = sent.times.pop("submitted")
        seen = {"view": one.overview_at - begun, "viewport": one.viewport_seconds}
        return Run(sent.times | seen, sent.cpu, sent.memory)

    def seen(self, slide: Slide) -> Run:
        """Send a slide while Chromium shows the work list; until it shows tissue."""
        self.ready()
        with screen.opened(self.ends.viewer, self.ends.pair) as page:
            page.watch()
            started = self.ends.send_verb(slide.path, self.ends.pair.key, *PATIENT)
            try:
                tissue = page.tissue_at()
            finally:
                said = self.ends.wait(started)
        return Run({"tissue": tissue - at(said["submitted"])})

    def zoomed(self, slide: Slide) -> Run:
        """Send a slide while Chromium shows it, and zoom in to where nothing is yet.

        Raises
        ------
        VerbFailed
            The rest did not go on meanwhile.
        """
        self.ready()
        viewer, pair = self.ends.viewer, self.ends.pair
        with screen.opened(viewer, pair) as page, reader.browser(viewer, pair) as client:
            before = reader.study_keys(client)
            page.watch()
            started = self.ends.send_verb(slide.path, pair.key, *PATIENT)
            try:
                page.tissue_at()
                row = reader.await_row(client, before, lambda one: reader.is_there(one, EARLY))
                seconds = page.zoom_seconds()
                if reader.is_there(reader.study_keys(client)[row["key"]], 1.0):
                    raise VerbFailed(verb="Chromium", cause="all was there when it was sharp")
            finally:
                said = self.ends.wait(started)
        _check(said)
        return Run({"zoom": seconds})

    def beside_ct(self, slide: Slide, images: Path) -> Run:
        """Send an urgent slide while a CT series, routine, goes out as fast as it can."""
        self.ready()
        self._series += 1
        made = series.make(images, SLICES, f"{images}/{self._series}")
        os.sync()
        with reader.browser(self.ends.viewer, self.ends.pair) as client:
            before = reader.study_keys(client)
            ct = self.ends.send_verb(made.folder, self.ends.pair.key)
            try:
                row = reader.await_row(client, before, lambda one: one["arrived"] >= UNDER_WAY)
                run = self._read(slide, "--urgency", "urgent")
                now = reader.study_keys(client)[row["key"]]
                went_on = now["expected"] is None or now["arrived"] < SLICES
            finally:
                said = self.ends.wait(ct)
        _check(said)
        if not went_on:
            raise VerbFailed(verb="sender send", cause="the series ended before the slide")
        return run

    def send(self, path: Path, *options: str) -> Run:
        """Send one slide until its receipt.

        Returns
        -------
        Run
            ``submitted`` is seconds since 1970; ``total`` seconds until everything was
            acknowledged; ``receipt`` from then to the receipt; ``sender`` the processor
            seconds of the sender's daemon until the receipt.

        Raises
        ------
        VerbFailed
            Not everything arrived, or not as it was.
        """
        before = {room: self.ends.cpu(room) for room in ("sender", "receiver")}
        said = self.ends.wait(self.ends.send_verb(path, self.ends.pair.key, *PATIENT, *options))
        _check(said)
        submitted = at(said["submitted"])
        delivered = max(at(row["delivered"]) for row in said["transfers"])
        finished = max(at(row["finished"]) for row in said["transfers"])
        used = {room: self.ends.cpu(room) - taken for room, taken in before.items()}
        times = {
            "submitted": submitted,
            "total": delivered - submitted,
            "receipt": finished - delivered,
            "sender": used["sender"],
        }
        return Run(times, sum(used.values()), self.ends.memory("sender", "receiver"))


def _check(said: dict[str, Any]) -> None:
    rows = said["transfers"]
    if not rows or any(row["state"] not in DONE or not row["digests_equal"] for row in rows):
        raise VerbFailed(verb="sender send", cause=json.dumps(said, ensure_ascii=False))
