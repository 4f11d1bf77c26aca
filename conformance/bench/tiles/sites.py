"""Servers of `todoke bench tiles`, each with the addresses of the same random places."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from common.errors import NotFound, VerbFailed
from common.free_ports import free_ports
from conformance.bench import peers, site
from conformance.bench.pairing import Pair
from conformance.bench.processes import await_port, running
from conformance.bench.slides import others
from conformance.bench.slides.mosaic import Slide
from conformance.bench.slides.ours import PATIENT, shown_by_https
from conformance.bench.slides.reader import browser, levels, study_keys

SCRIPT = Path(__file__).with_name("servers.py")
PATIENCE = 300.0  # seconds until a slide that was taken in can be read
PLACES = 4000  # random places; a run that needs more begins again

Place = tuple[float, float]  # fractions of width and height


@dataclass(frozen=True, slots=True)
class Served:
    """A running server.

    Attributes
    ----------
    pid : int
        Of its first process.
    paths : tuple of str
        Of tiles of the slide's full resolution, in the order of the places.
    """

    pid: int
    url: str
    paths: tuple[str, ...]
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Room:
    """What all servers have in common.

    Attributes
    ----------
    cores : tuple of int
        On which servers run; none: any.
    """

    folder: Path
    pair: Pair
    slide: Slide
    places: Sequence[Place]
    cores: tuple[int, ...]

    def on_cores(self, line: Sequence[object]) -> list[object]:
        """Return a line that keeps a server and all below it to its cores (taskset(1))."""
        if not self.cores:
            return list(line)
        return [peers.program("taskset"), "-c", ",".join(map(str, self.cores)), *line]

    def aligned(self, form: str, size: int) -> tuple[str, ...]:
        """Return paths with the ``{column}`` and ``{row}`` of each place."""
        across, down = (-(-side // size) for side in self.slide.size)
        return tuple(form.format(column=int(x * across), row=int(y * down)) for x, y in self.places)


Server = Callable[[Room], contextlib.AbstractContextManager[Served]]


@contextlib.contextmanager
def todoke(room: Room) -> Iterator[Served]:
    """Our receiver with the slide in it, its tiles behind the session check."""
    slide = room.slide
    with site.opened(room.folder / "todoke", room.pair, None, shown_by_https(room.pair)) as here:
        ends = here.ends
        ends.ready()
        ends.wait(ends.send_verb(slide.path, room.pair.key, *PATIENT))
        ends.stop_sender()
        with browser(ends.viewer, room.pair) as client:
            (row,) = [one for one in study_keys(client).values() if one["kind"] == "slide"]
            largest = levels(client, row)[0]
            cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        pid = ends.pid("receiver")
        if room.cores:
            _keep_to(pid, room.cores)
        numbers = [
            int(y * slide.down) * slide.across + int(x * slide.across) + 1 for x, y in room.places
        ]
        paths = tuple(f"{largest['address']}/{number}" for number in numbers)
        yield Served(pid, ends.viewer, paths, {"Cookie": cookies, "Accept": "image/jpeg"})


def _keep_to(pid: int, cores: Sequence[int]) -> None:
    """Keep a running family, each thread of it, to some cores."""
    from conformance.bench.processes import family

    for one in family(pid):
        for thread in Path(f"/proc/{one}/task").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it may have ended
                os.sched_setaffinity(int(thread.name), cores)


def script(*words: str, size: int, own: bool = False) -> Server:
    """Return a server of :mod:`conformance.bench.tiles.servers`.

    Parameters
    ----------
    size : int
        Pixels from tile to tile.
    own : bool
        Run by our own Python, without any other product.
    """

    @contextlib.contextmanager
    def run(room: Room) -> Iterator[Served]:
        python = Path(sys.executable) if own else others.folder() / "bin/python"
        if not python.exists():
            raise NotFound(thing=f"{words[0]} (.ci/slidepeers)")
        if not own and not _imports(python, {"deepzoom": "openslide"}.get(words[0], words[0])):
            raise NotFound(thing=words[0])
        (port,) = free_ports(1)
        shown = room.pair.identity
        what = words[1:] if own else (room.slide.path, *words[1:])
        line = [python, SCRIPT, words[0], port, shown.key, shown.certificate, *what]
        log = room.folder / f"{'-'.join(words)}.log"
        with running(room.on_cores(line), log, _plain()) as process:
            await_port(process, port)
            paths = room.aligned("/tiles/0/{column}_{row}.jpeg", size)
            yield Served(process.pid, f"https://localhost:{port}", paths)

    return run


def _imports(python: Path, module: str) -> bool:
    import subprocess

    line = [str(python), "-c", f"import {module}"]
    return subprocess.run(line, capture_output=True, check=False, env=_plain()).returncode == 0


def _plain() -> dict[str, str]:
    """Return the environment without our own modules."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@contextlib.contextmanager
def orthanc(room: Room) -> Iterator[Served]:
    """Orthanc with its plugin for slides, behind a front that takes the TLS off.

    The OrthancWSIDicomizer has put the slide in.  Debian's Orthanc 1.10.1 ends in a
    segmentation fault at the first request over its own https.
    """
    plugin = others.library("libOrthancWSI.so")
    others.program("OrthancWSIDicomizer")  # before anything is started
    web, dicom, near = free_ports(3)
    identity = room.pair.identity
    products = peers.Products(room.folder / "orthanc", identity)
    products.folder.mkdir()
    settings: dict[str, Any] = {
        "StorageDirectory": str(products.folder / "storage"),
        "IndexDirectory": str(products.folder / "index"),
        "HttpPort": web,
        "DicomPort": dicom,
        "AuthenticationEnabled": False,
        "KeepAlive": True,
        "Plugins": [str(plugin)],
    }
    path = products.folder / "orthanc.json"
    path.write_text(json.dumps(settings))
    log = room.folder / "orthanc.log"
    program = room.on_cores([peers.program("Orthanc"), path])
    front = [sys.executable, SCRIPT, "front", near, identity.key, identity.certificate, web]
    try:
        with running(program, log, others.libraries()) as process:
            await_port(process, web)
            others.dicomize(products, room.slide, web)
            with running(room.on_cores(front), log) as before:
                await_port(before, near)
                paths = _orthanc_paths(room, f"http://localhost:{web}")
                yield Served(process.pid, f"https://localhost:{near}", paths)
    finally:
        shutil.rmtree(products.folder, ignore_errors=True)


def _orthanc_paths(room: Room, url: str) -> tuple[str, ...]:
    try:
        with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as client:
            every = client.get("/series").raise_for_status().json()
            if len(every) != 1:
                raise VerbFailed(verb="OrthancWSIDicomizer", cause=f"{len(every)} series")
            answer = client.get(f"/wsi/pyramids/{every[0]}").raise_for_status().json()
    except httpx.HTTPError as error:
        raise VerbFailed(verb="Orthanc-WSI", cause=error) from error
    size = int(answer["TilesSizes"][0][0])  # of the largest level
    return room.aligned(f"/wsi/tiles/{every[0]}/0/{{column}}/{{row}}", size)
