"""The table of interoperation: which file came how through which product."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common.dicom import uids

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "reference" / "interop.md"
ARTIFACTS = REPOSITORY / "artifacts"

MARKS = ("bytes", "elements", "samples", "refused", "not sent")  # each outcome begins with one

HEAD = """# ほかの製品との接続 / Interoperation

実データを相互TLSで送受信し、何が同じだったかを転送構文ごとに数えたもの。
`tests/system/test_interop.py` が測り、この表と違えば失敗する。
Real files over mutual TLS, by transfer syntax: what was the same at the other end.
`tests/system/test_interop.py` measures it and fails where this page says otherwise.

| 印 / mark | 意味 / meaning |
|---|---|
| bytes | データセットがバイト単位で同じ / the data set is the same, byte for byte |
| elements | 全要素とD2 (画素) が同じ。相手が書き直した / every element and D2 equal, written anew |
| samples | 先に届いた同じ画像の別の符号化 / another coding of what came first and stays |
| refused | 受け手が理由を述べて断った / refused by the receiving end, with its reason |
| not sent | 送る側が理由を述べて送らなかった / kept back by the sending end, with its reason |

受信側への行は「電文を記録した中継が見たもの」と「保存されたもの」の比較、送信側からの行は
「元のファイル」と「相手が保存したもの」の比較。
Rows into our receiver compare what a recorder saw on the wire with what is stored; rows from our
sender compare the source with what the other product stored.
"""


@dataclass(frozen=True)
class Row:
    """One file through one product."""

    peer: str
    file: str
    syntax: str
    outcome: str


@dataclass
class Table:
    """Rows as the tests find them."""

    root: Path  # of the files, which are named from there
    rows: list[Row] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)  # by peer
    others: dict[Path, str] = field(default_factory=dict)  # file -> why it is no instance

    def add(self, peer: str, path: Path, syntax: str, outcome: str) -> None:
        """Add a row; `outcome` begins with one of :data:`MARKS`."""
        self.rows.append(Row(peer, self._name(path), syntax, outcome.replace("|", "/")))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def outcomes(self, peer: str) -> Counter[str]:
        """How many files of a peer ended how."""
        return Counter(_mark(row.outcome) for row in self.rows if row.peer == peer)

    def save(self, name: str) -> None:
        """Write every row, and the page as it would be now."""
        ARTIFACTS.mkdir(exist_ok=True)
        lines = ["# 接続試験の全行 / Every row of the interoperation tests", ""]
        lines += ["| file | transfer syntax | peer | outcome |", "|---|---|---|---|"]
        lines += [f"| {r.file} | {_name(r.syntax)} | {r.peer} | {r.outcome} |" for r in self.rows]
        lines += ["", "## 保存の対象でないファイル / Files that are no instance", ""]
        lines += [f"- {self._name(path)}: {why}" for path, why in sorted(self.others.items())]
        (ARTIFACTS / f"{name}.md").write_text("\n".join(lines) + "\n", "utf-8")
        (ARTIFACTS / f"{name}-page.md").write_text(self.page(), "utf-8")

    def page(self) -> str:
        """The summary by transfer syntax, and why what is not the same bytes is not."""
        peers = list(dict.fromkeys(row.peer for row in self.rows))
        lines = [HEAD, "| 相手 / peer | 版 / version |", "|---|---|"]
        lines += [f"| {peer} | {self.versions.get(peer, '')} |" for peer in peers]
        lines += ["", "## 転送構文ごと / By transfer syntax", ""]
        lines += ["| 転送構文 / transfer syntax | " + " | ".join(peers) + " |"]
        lines += ["|---" * (len(peers) + 1) + "|"]
        for syntax in sorted({row.syntax for row in self.rows}, key=_order):
            lines.append(f"| {_name(syntax)} | " + " | ".join(self._cells(syntax, peers)) + " |")
        lines += ["", "## 理由 / Reasons", "", "| 相手 / peer | 結果 / outcome | 件 / files |"]
        lines += ["|---|---|---|"]
        for peer in peers:
            counted = Counter(row.outcome for row in self.rows if row.peer == peer)
            for outcome in sorted(counted):
                lines.append(f"| {peer} | {outcome} | {counted[outcome]} |")
        return "\n".join(lines) + "\n"

    def _cells(self, syntax: str, peers: Sequence[str]) -> list[str]:
        cells = []
        for peer in peers:
            found = Counter(
                _mark(r.outcome) for r in self.rows if (r.peer, r.syntax) == (peer, syntax)
            )
            cells.append(", ".join(f"{found[m]} {m}" for m in MARKS if found[m]) or "—")
        return cells


def _mark(outcome: str) -> str:
    return next(mark for mark in MARKS if outcome.startswith(mark))


def _order(syntax: str) -> list[int]:
    return [int(part) for part in syntax.split(".")]


def _name(syntax: str) -> str:
    return uids.TRANSFER_SYNTAXES.get(syntax, syntax)
