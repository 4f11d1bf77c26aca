"""What the reading room shows of every real file: an image, or words.

``python -m tests.receiver.viewer.real_shown [--check]`` writes docs/reference/real-files-shown.md
from real_shown.json; ``--measure`` opens every file in Chromium before (needs TODOKE_REAL_DATA,
some ten minutes), ``--measure=PREFIX`` those alone whose names begin so.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from common import made_page
from tests.receiver.viewer.seen import IMAGE, NOTHING, REFUSED, SAID, Seen

PAGE = Path("docs/reference/real-files-shown.md")
KNOWN = Path(__file__).parent / "real_shown.json"
WIDTH, HEIGHT = 1280, 900

HEAD = """<!-- made by `python -m tests.receiver.viewer.real_shown`; measured with --measure -->

# 実物の表示 / What is shown of real files

装置やよく知られた試験データの実物 {files} ファイルを1つずつ読影室 (Chromium、画像処理装置なし)\
 で開いた結果です。画像が出たもの {image}、\
画像の代わりに言葉が出たもの {said}、送信側が送る前に断るもの {refused}、\
どちらもないもの {nothing}。画像は等倍にして pydicom で計算した画素\
 (窓・パレット・色空間の変換後) と比べ (長いシリーズは両端と中央)、\
最大の差 (255中) を載せます。\
「—」は比べていないもの (画面より大きい、VOI LUT、pydicom で読めない) です。

{files} real files, of devices and of well-known test sets, each opened in the reading room
(Chromium without a GPU). An image was shown of {image}, words instead of {said}; the
sending side refuses {refused} before they are sent; neither: {nothing}.
Images were compared at 1:1 with the pixels that pydicom computes (after window, palette
and colour space); the largest difference is told, of 255.
"—" means not compared: neither an end nor the middle of a long series, larger than the screen, by a
VOI LUT, or not read by pydicom.
"""
SAID_HEAD = """
## 画像の代わりに言葉が出るもの / Words instead of an image

| ファイル / File | 種類 / Kind | 転送構文 / Transfer syntax | 言葉 / Words |
|---|---|---|---|
"""
REFUSED_HEAD = """
## 送る前に断られるもの / Refused before they are sent

| ファイル / File | 言葉 / Words |
|---|---|
"""
IMAGE_HEAD = """
## 画像が出るもの / Shown

| フォルダ / Folder | 種類 / Kind | 転送構文 / Syntax | 差 / Difference | ファイル / Files |
|---|---|---|---|---|
"""


def measure(folder: Path, chosen: tuple[str, ...] = ()) -> list[Seen]:
    """Open every file of the folder's list in a reading room of its own."""
    from playwright.sync_api import sync_playwright

    from tests.receiver.viewer.conftest import start
    from tests.receiver.viewer.robot import Robot
    from tests.receiver.viewer.room import Room

    with tempfile.TemporaryDirectory() as place:
        room = Room(Path(place) / "receiver")
        robot = Robot(room, folder)
        robot.bring_all(chosen)
        with sync_playwright() as playwright:
            browser = start(playwright.chromium)
            context = browser.new_context(
                viewport={"width": WIDTH, "height": HEIGHT}, locale="ja-JP", device_scale_factor=1
            )
            with room.serve() as address:
                robot.look_at_all(context.new_page(), address)
                browser.close()
        room.close()
    return robot.seen


def known() -> list[Seen]:
    """Return what was seen when the page was made."""
    rows: list[list[Any]] = json.loads(KNOWN.read_text("utf-8")) if KNOWN.exists() else []
    return [Seen(*row) for row in rows]


def keep(seen: Iterable[Seen]) -> None:
    """Keep what was seen, one file a line."""
    lines = [json.dumps(dataclasses.astuple(one), ensure_ascii=False) for one in seen]
    KNOWN.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")


def page() -> str:
    """Return the page."""
    seen = known()
    count = {kind: sum(one.result == kind for one in seen) for kind in (IMAGE, SAID, REFUSED)}
    nothing = sum(one.result == NOTHING for one in seen)
    text = HEAD.format(files=len(seen), nothing=nothing, **count)
    text += SAID_HEAD
    for one in seen:
        if one.result in (SAID, NOTHING):
            words = one.words.replace("|", "/") or "**なし / none**"
            text += f"| `{one.name}` | {one.kind} | {one.syntax} | {words} |\n"
    text += REFUSED_HEAD
    for one in seen:
        if one.result == REFUSED:
            text += f"| `{one.name}` | {one.words.replace('|', '/')} |\n"
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for one in seen:
        if one.result == IMAGE:
            folder, _, name = one.name.rpartition("/")
            apart = "—" if one.apart is None else str(one.apart)
            groups[folder, one.kind, one.syntax, apart].append(name)
    text += IMAGE_HEAD
    for (folder, kind, syntax, apart), files in sorted(groups.items()):
        listed = ", ".join(f"`{name}`" for name in files)
        text += f"| {folder} | {kind} | {syntax} | {apart} | {len(files)}: {listed} |\n"
    return text


def main(arguments: list[str] | None = None) -> int:
    """Measure if asked to, and write the page, or compare it."""
    given = sys.argv[1:] if arguments is None else arguments
    asked = [one for one in given if one.partition("=")[0] == "--measure"]
    if asked:
        given = [one for one in given if one not in asked]
        chosen = tuple(one.partition("=")[2] for one in asked if "=" in one)
        folder = Path(os.environ["TODOKE_REAL_DATA"])
        seen = {one.name: one for one in (known() if chosen else [])}
        seen |= {one.name: one for one in measure(folder, chosen)}
        keep(seen[name] for name in sorted(seen))
    return made_page.keep(PAGE, page, __doc__, "tests.receiver.viewer.real_shown", given)


if __name__ == "__main__":
    sys.exit(main())
