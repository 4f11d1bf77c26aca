"""A sender without what Windows lacks, towards a receiver that has everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sender.slides.vendor_files import Svs
from tests.system.ends import SENDER_CODE, Ends, must, verb
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


def test_it_joins_and_sends_a_series_and_a_slide(
    without_posix_env: dict[str, str], ends: Ends, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    ran.mkdir()
    env = {**without_posix_env, "TODOKE_WITHOUT_POSIX": str(ran)}
    data = ("--data", tmp_path / "sender")
    code = SENDER_CODE[:-1] + str((int(SENDER_CODE[-1]) + 1) % 10)
    invited = must(
        *("receiver", "invite", "網走依頼病院", "--code", code, "--address", "localhost"),
        *("--out", tmp_path, "--data", ends.receiver),
    )
    who = ("--name", "網走依頼病院", "--code", code, "--address", "網走市", "--operator", "試験")
    for line in (("init", *who), ("join", invited["path"])):
        said = verb("sender", *line, *data, env=env)
        assert said.code == 0, said.errors
    write_series(tmp_path / "ct", 1, slices=5, side=64)
    slide = Svs(width=900, height=700, factors=(1, 2)).write(tmp_path / "slide.svs")
    for source, kind in ((tmp_path / "ct", "dicom"), (slide, "slide")):
        said = verb("sender", "send", source, "--label", "--macro", *data, env=env)
        assert said.code == 0, said.errors
        (transfer,) = said.words["transfers"]
        assert (transfer["kind"], transfer["state"]) == (kind, "receipted")
        assert transfer["digests_equal"] is True
    lines = [path.read_text("utf-8") for path in ran.iterdir()]
    for word in ("sender init", "sender join", "sender send"):
        assert any(word in line for line in lines), f"{word} ran with everything there"
