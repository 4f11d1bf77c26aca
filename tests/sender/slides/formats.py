"""The table of every format: what it says, and what was measured.

``python -m tests.sender.slides.formats [--check]`` writes docs/reference/slide-formats.md
from formats.toml and measured.json; ``--measure`` measures anew before, 200 regions on
every level (needs TODOKE_REAL_DATA).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import made_page
from samples.formats import FORMS, VENDOR_FORMS, write_formats
from tests.sender.slides.measured import Measured, measure

PAGE = Path("docs/reference/slide-formats.md")
HERE = Path(__file__).parent
COUNTS = HERE / "measured.json"
REGIONS = 200
HEAD = """<!-- made by `python -m tests.sender.slides.formats`: change tests/sender/slides/formats.toml -->

# 形式の一覧 / Every format

「片」はタイル、NDPI ではリスタート間隔。「同じ」は、その符号がバイトのまま元のファイルにある数。\
「領域」は、そのファイル自身が持つ各レベルで無作為に選んだ 96 x 96 画素のうち、元のファイルを \
OpenSlide (開けないか、穴を他の段で埋めるなら tifffile) で読んだ画素とすべて等しかったもの。片が同じでない形式は、画素が\
等しいだけで、ファイルの証拠は元のファイル一式のダイジェスト。「実物」は実在のスキャナーの\
ファイル、他は `todoke samples make --only slide` が作る合成。

A "piece" is a tile, in NDPI a restart interval; "same" counts those whose coded bytes stand in the
source. "Regions" are random ones of 96 x 96 pixels on every level that the file itself holds, equal
in every pixel to OpenSlide's reading of the source (tifffile's where that cannot open it, or fills holes). Where
pieces are not the same, pixels are equal and the digest of the vendor's file set is the evidence.
"real" is a file of a real scanner, all others are made by `todoke samples make --only slide`.

| 形式 / Format | 扱い / Handling | 試したもの / Tried on | 片 / Pieces | 同じ / Same | 未走査 / Not scanned | 領域 / Regions |
|---|---|---|---|---|---|---|
"""  # noqa: E501 - a row of Markdown
NEVER = "**実物でも合成でも未試験 / never tried**"
FOOT = """
未試験の形式は OpenSlide の読み取りに頼ります。送るときに `sender` の記録が未試験と述べます。\
焦点面が複数のものと、OpenSlide が保存後を読まないものは、片だけを比べました。

「可逆 JPEG 2000 に一度だけ」とある所は、施設が `reencode_codec`・`reencode_quality`・`reencode_by`
(方式・画質・決めた人) の3つを設定したときに限り JPEG (非可逆) になり、\
「再符号化・非可逆」と示します。\
この表は設定のない場合です。ラベルとマクロは常に可逆です。

Formats never tried rest on OpenSlide's reading; the sender's log says so when one is sent. Of
slides with several focal planes, and of others that OpenSlide does not read as stored, only the
pieces were compared.

What is "coded once as reversible JPEG 2000" becomes lossy JPEG only where a site has set codec,
quality and the person who decided (`reencode_codec`, `reencode_quality`, `reencode_by`), and is
then shown as encoded again, lossy. This table is without that setting. Labels and macros never lose
anything.
"""


def formats() -> list[dict[str, Any]]:
    """Return what formats.toml says."""
    found: list[dict[str, Any]] = tomllib.loads((HERE / "formats.toml").read_text("utf-8"))[
        "format"
    ]
    return found


def tried() -> list[str]:
    """Name every file that some format was tried on."""
    return [name for one in formats() for name in one["tried"]]


def synthetic(folder: Path) -> dict[str, Path]:
    """Write the samples; return the file to open of each by its name."""
    found, forms = {}, (*FORMS, *VENDOR_FORMS)
    for form, (path, _) in zip(forms, write_formats(folder, 1, forms=forms), strict=True):
        found[form.name] = path / f"slide{form.suffix}" if form.apart else path
    return found


def known() -> dict[str, Measured]:
    """Return what was measured when the page was made."""
    counts = json.loads(COUNTS.read_text("utf-8"))
    return {name: Measured(**words) for name, words in counts.items()}


def page() -> str:
    """Return the page as Markdown."""
    counts = known()
    rows = []
    for one in formats():
        first = [one["name"], f"{one['ja']}<br>{one['en']}"]
        for name in one["tried"]:
            found = counts[name]
            where = name.replace("real/", "実物 / real: ")
            told = [where, found.pieces, found.same, found.blanks]
            regions = f"{found.equal} / {found.regions}" if found.regions else "-"
            rows.append("| " + " | ".join([*first, *map(str, told), regions]) + " |")
            first = ["", ""]
        if not one["tried"]:
            rows.append("| " + " | ".join([*first, NEVER, "-", "-", "-", "-"]) + " |")
    return HEAD + "\n".join(rows) + "\n" + FOOT


def _measure(real: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = synthetic(Path(folder) / "made")
        counts = {}
        for number, name in enumerate(tried()):
            source = made.get(name) or real / "wsi" / name.removeprefix("real/")
            found = measure(source, Path(folder) / str(number), REGIONS)
            counts[name] = asdict(found)
            print(name, counts[name], file=sys.stderr)
    COUNTS.write_text(json.dumps(counts, indent=1, ensure_ascii=False) + "\n", "utf-8")


def main() -> int:
    """Write the page, or compare it."""
    arguments = sys.argv[1:]
    if "--measure" in arguments:
        arguments.remove("--measure")
        _measure(Path(os.environ["TODOKE_REAL_DATA"]))
    return made_page.keep(PAGE, page, __doc__, "tests.sender.slides.formats", arguments)


if __name__ == "__main__":
    sys.exit(main())
