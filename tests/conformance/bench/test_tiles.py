"""`todoke bench tiles`: the load it puts on a server, and what it makes of the answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from common.free_ports import free_ports
from conformance.bench.pairing import Pair
from conformance.bench.peers import Identity
from conformance.bench.processes import await_port, running
from conformance.bench.slides.mosaic import Slide
from conformance.bench.slides.rows import rows
from conformance.bench.slides.run import Outcome, Run
from conformance.bench.tiles import load as loads
from conformance.bench.tiles import serve
from conformance.bench.tiles.load import Load, LoadFailed
from conformance.bench.tiles.sites import SCRIPT, Room


def room(folder: Path, cores: tuple[int, ...] = ()) -> Room:
    """A slide of 1000 x 600 with tiles of 256, and two places on it."""
    slide = Slide(folder / "a.svs", (1000, 600), 256, 1, np.ones((3, 4), np.int64))
    pair = Pair(folder, {}, "", "", Identity(folder, folder, folder))
    return Room(folder, pair, slide, [(0.0, 0.0), (0.999, 0.5)], cores)


# -- the rows --------------------------------------------------------------------------


def test_rows_are_those_of_the_issue() -> None:
    assert [(case.peer_name, case.goal) for case in serve.CASES] == [
        ("OpenSlide DeepZoom, as shipped", 20.0),
        ("OpenSlide DeepZoom, aligned", None),
        ("large_image", None),
        ("Orthanc-WSI", None),
        ("bound 0.02 s", 1.0),
        ("same bytes from memory", None),
    ]
    assert set(serve.servers(1)) == {case.ours for case in serve.CASES} | {
        case.peer for case in serve.CASES if isinstance(case.peer, str)
    }


def test_ratio_is_that_of_rates_whatever_number_was_read() -> None:
    ours = serve.as_run({"tiles": 4000, "seconds": 2.0, "cpu": 1.0, "taken": [0.01]}, 2.0, {})
    peer = serve.as_run({"tiles": 100, "seconds": 2.0, "cpu": 0.1, "taken": [0.2]}, 2.0, {})
    assert ours.times["tiles"] == 0.5, "seconds for a thousand"
    assert (ours.cpu, peer.cpu) == (0.5, 20.0)
    outcomes = {case.peer: Outcome([peer]) for case in serve.CASES if isinstance(case.peer, str)}
    words = rows(serve.CASES, {serve.OURS: Outcome([ours]), **outcomes}, serve.TILES)
    assert words["cases"][0]["ratio"] == 40.0
    bound = words["cases"][4]
    assert (bound["ours_s"], bound["ratio"]) == ([0.01], 2.0)


@pytest.mark.parametrize(
    ("values", "found"),
    [(range(1, 101), 99), (range(1, 102), 100), ([5], 5), ([2, 1], 2), (range(1, 1001), 990)],
)
def test_percentile(values: list[int], found: float) -> None:
    assert serve.percentile([float(one) for one in values][::-1], 99) == found


def test_servers_and_load_keep_to_different_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for have, expected in (({0, 1}, ((0,), (1,))), ({3, 5, 7}, ((3, 5), (7,))), ({2}, ((), ()))):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid, have=have: have, raising=False)
        assert serve.cores() == expected


def test_places_are_the_same_whatever_the_size_of_a_tile(tmp_path: Path) -> None:
    here = room(tmp_path)
    assert here.aligned("{column}_{row}", 256) == ("0_0", "3_1")
    assert here.aligned("{column}_{row}", 100) == ("0_0", "9_3")


def test_line_of_a_server_names_its_cores(tmp_path: Path) -> None:
    assert room(tmp_path).on_cores(["python", "x"]) == ["python", "x"]
    pinned = room(tmp_path, (0, 2)).on_cores(["python", "x"])
    assert pinned[1:] == ["-c", "0,2", "python", "x"]


# -- the load --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nServer: a\r\ncontent-length:  12",
        b"HTTP/1.1 200 OK\r\nContent-Length: 12",
    ],
)
def test_length_of_an_answer(head: bytes) -> None:
    assert loads.length_of(head) == 12


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 12", "404"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", "Content-Length"),
        (b"", "no status"),
    ],
)
def test_answer_that_is_no_tile_is_refused(head: bytes, words: str) -> None:
    with pytest.raises(LoadFailed, match=words):
        loads.length_of(head)


@contextmanager
def ceiling(folder: Path, size: int) -> Iterator[Load]:
    """Run the server of the same bytes; gives a short load on it."""
    identity = Identity.make(folder)
    (port,) = free_ports(1)
    line = [sys.executable, SCRIPT, "ceiling", port, identity.key, identity.certificate, size]
    with running(line, folder / "log") as process:
        await_port(process, port)
        yield Load(f"https://localhost:{port}", str(identity.ca), ("/a", "/b"), 3, 0.2)


def test_load_reads_whole_tiles_over_several_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ceiling(tmp_path, 70_000) as load:  # more than one TLS record, and than one read
        path = tmp_path / "load.json"
        path.write_text(json.dumps(asdict(load)))
        assert Load.read(path) == load
        line = [sys.executable, "-m", "conformance.bench.tiles.load", str(path)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert said["tiles"] == len(said["taken"]) >= 3
        assert said["seconds"] >= 0.2
        assert sum(said["taken"]) <= 3 * said["seconds"], "three at a time and no more"
        # make what counts as a picture something else: then no answer may count
        monkeypatch.setattr(loads, "JPEG", b"\xff\xd9")
        with pytest.raises(LoadFailed, match="no JPEG"):
            loads.run(replace(load, seconds=0.0, connections=1))


def test_run_keeps_the_median_too() -> None:
    run: Run = serve.as_run({"tiles": 3, "seconds": 1, "cpu": 0, "taken": [3.0, 1.0, 2.0]}, 0, {})
    assert run.times["median"] == 2.0
