"""`todoke bench slide`: its slide, its rows, what it says of what it cannot run; never how fast."""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
import tifffile

from common.errors import NotFound, VerbFailed
from conformance.bench import dicom, table
from conformance.bench.processes import PRODUCT
from conformance.bench.slides import mosaic, others, push, screen
from conformance.bench.slides.mosaic import Slide
from conformance.bench.slides.push import BESIDE as BESIDE_CT
from conformance.bench.slides.push import CONVERTED, COPIED, DICOMIZED, OURS, SEEN, ZOOMED
from conformance.bench.slides.rows import Case, rows
from conformance.bench.slides.run import Outcome, Run, alternate
from samples import names, slide

#: Issue 5's rows: bounds in seconds with their goal, then what stands side by side.
SHOW = [("bound 0.4 s", 1.0), ("bound 1.2 s", 1.0), ("bound 0.2 s", 1.0)]
BESIDE = [(COPIED, None), (COPIED, None), (CONVERTED, None), (DICOMIZED, None)]


def of(lengths: list[list[int]], size: int = 1000) -> Slide:
    return Slide(Path("a.svs"), (512, 512), 256, size, np.array(lengths, np.int64))


def done(**ours: float) -> dict[str, Outcome]:
    """Every entrant ran once: ours in these times, each other in one second."""
    times = {"view": 1.0, "viewport": 1.0, "total": 1.0, "receipt": 1.0, "sender": 1.0}
    times["tissue"] = 1.0
    every = {name: Outcome([Run(times, 2.0, {PRODUCT: 9})]) for name in
             (OURS, SEEN, COPIED, CONVERTED, DICOMIZED)}  # fmt: skip
    memory = {"sender": 60_000_000, "receiver_other": 80_000_000}
    every[OURS] = Outcome([Run(times | ours, 3.0, memory)])
    return every


# -- the slide -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small slide, and a larger one laid of its tiles."""
    folder = tmp_path_factory.mktemp("mosaic")
    source, _ = slide.write_slide(
        folder, names.YOSHIDA, seed=3, colour="ycbcr", size=(1024, 1024), quality=60
    )
    mosaic._lay(source, folder / "large.svs", (2900, 2100))
    return source, folder / "large.svs"


def streams(path: Path, number: int) -> tuple[list[bytes], Any]:
    with tifffile.TiffFile(path) as file, path.open("rb") as raw:
        every: list[Any] = list(file.pages)
        page = [one for one in every if one.is_tiled][number]
        found = []
        for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
            raw.seek(offset)
            found.append(raw.read(size))
        return found, page.jpegtables


def test_mosaic_is_made_of_the_smaller_slides_own_streams(laid: tuple[Path, Path]) -> None:
    source, large = laid
    for number, (own, across, width) in enumerate([(4, 12, 2900), (1, 3, 725)]):
        pieces, tables = streams(source, number)
        copies, same = streams(large, number)
        assert same == tables
        assert len(copies) % across == 0, width
        for place, stream in enumerate(copies):
            row, column = divmod(place, across)
            assert stream == pieces[(row % own) * own + column % own]


def test_mosaic_is_a_slide_that_openslide_reads_the_same_at_every_level(
    laid: tuple[Path, Path],
) -> None:
    with openslide.OpenSlide(laid[1]) as opened:
        assert opened.properties["openslide.vendor"] == "aperio"
        assert float(opened.properties["openslide.mpp-x"]) == slide.MPP
        assert opened.level_dimensions == ((2900, 2100), (725, 525), (181, 131))
        assert "thumbnail" in opened.associated_images
        whole = [
            np.asarray(opened.read_region((0, 0), level, size).convert("RGB").resize((90, 65)))
            for level, size in enumerate(opened.level_dimensions)
        ]
    for smaller in whole[1:]:
        assert np.abs(whole[0].astype(int) - smaller).mean() < 6


def test_facts_of_a_slide_are_read_from_the_file(laid: tuple[Path, Path]) -> None:
    found = mosaic.of_file(laid[1])
    assert (found.size, found.tile) == ((2900, 2100), 256)
    assert (found.across, found.down, found.tiles) == (12, 9, 108)
    assert found.bytes == laid[1].stat().st_size
    assert found.lengths.sum() < found.bytes


def test_viewport_is_the_heaviest_block_of_the_lower_half() -> None:
    lengths = [[9, 9, 9, 9], [9, 9, 9, 9], [1, 1, 1, 1], [1, 1, 5, 5], [1, 1, 5, 5], [1, 1, 1, 1]]
    assert of(lengths).viewport(2, 2) == [14, 15, 18, 19]
    assert of([[1, 2], [3, 4]]).viewport() == [0, 1, 2, 3], "a small one is shown whole"


# -- the rows --------------------------------------------------------------------------


def test_rows_are_those_of_the_issue() -> None:
    cases = push.cases(of([[1]], size=197_700_000), [push.PUSH])
    assert [(case.peer_name, case.goal) for case in cases[:3]] == SHOW
    total, receipt, cpu = cases[3:6]
    assert total.peer == pytest.approx(197.7e6 * 8 / 100e6), "the line's own time"
    assert total.goal == pytest.approx(1 / 1.06)
    assert (receipt.time, receipt.peer) == ("receipt", 2.0), "issue 6's, after the last byte"
    assert (cpu.time, cpu.peer) == ("sender", 5.0)
    assert [(case.peer_name, case.goal) for case in cases[6:]] == BESIDE
    every = push.cases(of([[1]], size=197_700_000))
    assert every[: len(cases)] == cases
    more = [(case.ours, case.peer_name, case.goal) for case in every[len(cases) :]]
    assert more[0] == (ZOOMED, "bound 0.5 s", 1.0)
    assert [peer for _, peer, _ in more[1:]] == [cases[n].peer_name for n in (0, 2, 3)], (
        "an urgent slide keeps the bounds that it has alone"
    )
    assert {ours for ours, *_ in more[1:]} == {BESIDE_CT}
    assert len({(case.name, case.peer_name) for case in every}) == len(every)


def test_some_rows_are_run_alone() -> None:
    assert push.groups_of([]) == push.GROUPS
    assert push.groups_of([push.URGENT, push.PUSH]) == (push.PUSH, push.URGENT)
    with pytest.raises(NotFound, match="urgent-beside-ct"):
        push.groups_of(["urgent"])


def test_row_holds_the_time_it_is_about_and_what_it_cost() -> None:
    words = rows(push.cases(of([[1]]), [push.PUSH]), done(view=0.2, viewport=0.05), 18_526)
    assert words["left_out"] == []
    first, _, viewport, *_ = words["cases"]
    assert tuple(first) == (
        *("case", "ours", "peer", "slices", "ours_s", "peer_s", "ratio", "goal"),
        *("cpu_s", "memory_mb"),
    )
    assert (first["ours_s"], first["peer_s"], first["ratio"]) == ([0.2], [0.4], 2.0)
    assert (viewport["ours_s"], viewport["ratio"]) == ([0.05], 4.0)
    assert first["cpu_s"] == {"ours": 3.0, "peer": None}
    assert first["memory_mb"] == {
        "ours": 80.0, "sender": 60.0, "receiver_dicom": None, "peer": None,
    }  # fmt: skip
    beside = words["cases"][-1]
    assert (beside["goal"], table.reaches(beside), table.cells(beside)[6]) == (None, None, "-")


def test_what_is_not_on_this_machine_is_left_out_in_words_and_no_failure() -> None:
    outcomes = done()
    outcomes[CONVERTED] = Outcome(failure=NotFound(thing="wsidicomizer"))
    outcomes[SEEN] = Outcome(failure=NotFound(thing="Playwright for Python"))
    words = rows(push.cases(of([[1]]), [push.PUSH]), outcomes, 1)
    assert [row["peer"] for row in words["left_out"]] == ["bound 1.2 s", CONVERTED]
    assert "Playwright" in words["left_out"][0]["reason"]["ja"]
    assert not dicom.failed(words)
    outcomes[OURS] = Outcome([Run({})], VerbFailed(verb="sender send", cause="held"))
    assert dicom.failed(rows(push.cases(of([[1]]), [push.PUSH]), outcomes, 1))


def test_entrants_take_turns_and_one_that_fails_is_not_run_again() -> None:
    order: list[str] = []

    def fine(name: str) -> Run:
        order.append(name)
        return Run({"total": 1.0})

    def broken() -> Run:
        order.append("b")
        raise VerbFailed(verb="b", cause="1")

    found = alternate({"a": lambda: fine("a"), "b": broken, "c": lambda: fine("c")}, 3,
                      lambda *_: None)  # fmt: skip
    assert order == ["a", "b", "c", "c", "a", "c", "a"]
    assert [len(found[name].runs) for name in "abc"] == [3, 0, 3]
    assert isinstance(found["b"].failure, VerbFailed)


def test_without_playwright_the_browser_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("playwright"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with (
        pytest.raises(NotFound, match="Playwright"),
        screen.opened("https://localhost:1", None),  # type: ignore[arg-type]  # never looked at
    ):
        pass


def test_products_that_are_nowhere_are_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TODOKE_BENCH_PEERS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotFound, match="wsidicomizer-of-nowhere"):
        others.program("wsidicomizer-of-nowhere")
    with pytest.raises(NotFound, match=r"libNowhere\.so"):
        others.library("libNowhere.so")
    tool = tmp_path / "bin" / "wsidicomizer"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    assert others.program("wsidicomizer") == str(tool)


def test_case_with_a_peer_takes_the_peers_time_of_the_same_name() -> None:
    outcomes = {"us": Outcome([Run({"view": 2.0})]), "it": Outcome([Run({"view": 5.0})])}
    (row,) = rows([Case("seen", "us", "view", "it", None)], outcomes, 3)["cases"]
    assert (row["ours_s"], row["peer_s"], row["ratio"], row["slices"]) == ([2.0], [5.0], 2.5, 3)
    assert row["cpu_s"] == {"ours": None, "peer": None}, "a browser's cost is not ours"


# -- real runs -------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["slide", "tiles"])
def test_a_quick_run(tmp_path: Path, name: str) -> None:
    line = [sys.executable, "-m", "common.command", "bench", name, "--quick", "--json"]
    ran = subprocess.run(
        [*line, "--dir", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert not list(tmp_path.iterdir()), "nothing is left behind"
    words = json.loads(ran.stdout)
    assert words["machine"]["bench"] == name
    assert words["machine"]["slide"]["pixels"] == list(mosaic.QUICK_SIZE)
    assert {row["reason"]["number"] for row in words["left_out"]} <= {NotFound.number}
    ours = [row for row in words["cases"] if row["peer"].startswith("bound")]
    assert ours
    for row in words["cases"]:
        assert min(row["ours_s"]) > 0
        assert min(row["peer_s"]) > 0
