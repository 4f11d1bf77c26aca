"""Where a group of cases runs: our two ends, the other products, and the line between."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

from common.errors import VerbFailed
from common.free_ports import free_ports
from conformance.bench.line import Quality
from conformance.bench.ours import Ends
from conformance.bench.pairing import LISTENERS, Pair
from conformance.bench.peers import Products
from conformance.bench.processes import first_object, running


@dataclass(slots=True)
class Site:
    """One group's ends.

    Attributes
    ----------
    near, far : dict of int
        Port that a sender dials, and port that a listener opens, by listener:
        ``dicom`` and ``link`` of our receiver, ``peer`` for every other product.
        They differ where a line lies between.
    """

    folder: Path
    products: Products
    ends: Ends
    near: dict[str, int]
    far: dict[str, int]
    _first: dict[int, list[float]] = field(default_factory=dict)
    _heard: threading.Condition = field(default_factory=threading.Condition)

    def first_byte(self, listener: str, since: float, patience: float = 10.0) -> float:
        """Return when the first byte after `since` came to a listener (seconds since 1970)."""

        def found() -> list[float]:
            return [at for at in self._first.get(self.near[listener], []) if at >= since]

        with self._heard:
            if not self._heard.wait_for(found, patience):
                raise VerbFailed(verb="sender send", cause=f"{listener}: no byte came")
            return found()[0]

    def listen(self, line: Popen[str]) -> None:
        """Note what the line's process tells of connections, until it ends."""
        for row in line.stdout or ():
            words: dict[str, Any] = json.loads(row)
            with self._heard:
                self._first.setdefault(words["port"], []).append(words["first"])
                self._heard.notify_all()


@contextlib.contextmanager
def opened(
    folder: Path,
    pair: Pair,
    quality: Quality | None,
    receiver: Mapping[str, str] | None = None,
) -> Iterator[Site]:
    """Set a site up in a new folder, and remove it.

    Parameters
    ----------
    pair : Pair
        Our two ends, of which the site gets a copy.
    quality : Quality or None
        Of the line between; None for none at all.
    receiver : mapping of str, optional
        More of our receiver's settings, as variables of its environment.
    """
    folder.mkdir(parents=True)
    near = pair.near
    far = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True)) if quality else near
    ends = Ends(folder / "todoke", pair, far, receiver_environ=dict(receiver or {}))
    site = Site(folder, Products(folder, pair.identity), ends, near, far)
    try:
        with contextlib.ExitStack() as stack:
            if quality is not None:
                stack.enter_context(_line(site, quality))
            stack.callback(ends.close)
            ends.start()
            yield site
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _line(site: Site, quality: Quality) -> Iterator[None]:
    words = ["--delay-ms", quality.delay * 1e3, "--mbit", quality.rate * 8 / 1e6]
    for name in LISTENERS:
        words += ["--route", f"{site.near[name]}:{site.far[name]}"]
    line = [sys.executable, "-m", "conformance.bench.line", *words]
    with running(line, site.folder / "line.log") as process:
        first_object(process)
        hearing = threading.Thread(target=site.listen, args=(process,))
        hearing.start()
        try:
            yield
        finally:
            process.terminate()
            hearing.join()
