"""A slide through our two ends, looked at by a reader while it comes."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import VerbFailed
from conformance.bench.ours import DONE, Ends, at
from conformance.bench.pairing import Pair
from conformance.bench.slides import screen
from conformance.bench.slides.mosaic import Slide
from conformance.bench.slides.reader import Reader
from conformance.bench.slides.run import Run

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
        with Reader(self.ends.viewer, self.ends.pair, slide.viewport()) as reader:
            sent = self.send(slide.path)
        reader.check()
        begun = sent.times.pop("submitted")
        seen = {"view": reader.overview_at - begun, "viewport": reader.viewport_seconds}
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

    def send(self, path: Path) -> Run:
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
        said = self.ends.wait(self.ends.send_verb(path, self.ends.pair.key, *PATIENT))
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
