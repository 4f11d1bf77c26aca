"""The `todoke` script: loads only the room named on the line.

A room is an entry point of the group ``todoke.rooms``; ``demo``, ``verify`` and
``bench`` are verbs of their rooms that stand at the top for short.  Our own rooms
are found by name: to read the entry points of everything installed takes longer
than ``sender send`` may take to its first byte.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from common import console

OURS = ("sender", "receiver", "conformance", "samples")

SHORT = {
    "demo": ("samples", "demo"),
    "bench": ("conformance", "bench"),
    "selftest": ("samples", "selftest"),
}

#: Verbs that belong to no room: they speak of the installation.
ALONE = {"inventory": "common.inventory_verb"}

HELP_JA = """todoke (届け): 医用画像を病院から病院へ直接届けます

  todoke demo                このマシンで送信・受信・閲覧を試す
  todoke sender ...          依頼側: init join send run status show retry release partner modality
  todoke receiver ...        支援側: init invite run status user partner web-root
  todoke conformance ...     試験: receiver list
  todoke samples make DIR    合成サンプルを作る
  todoke verify RECORD ...   証跡記録をオフラインで確かめる
  todoke bench dicom         速さを測る
  todoke selftest            送信から受領までを試し、検収記録を書く (--acceptance)
  todoke inventory           導入されたソフトウェアの一覧

  どの動詞も --help と --json があります。言語は --lang ja|en
"""
HELP_EN = """todoke: carries medical images straight from one hospital to another

  todoke demo                try sender, receiver and viewer on this machine
  todoke sender ...          requesting side: init join send run status show retry release
                             partner modality
  todoke receiver ...        supporting side: init invite run status user partner web-root
  todoke conformance ...     tests: receiver list
  todoke samples make DIR    make synthetic samples
  todoke verify RECORD ...   check evidence records, offline
  todoke bench dicom         measure speed
  todoke selftest            send samples to the end; --acceptance writes the record
  todoke inventory           what is installed on this machine

  Every verb has --help and --json. Language: --lang ja|en
"""


def _language(args: list[str]) -> list[str]:
    """Take ``--lang ja|en`` out of the line, wherever it stands."""
    rest: list[str] = []
    words = iter(args)
    for word in words:
        if word == "--lang":
            console.choose_language(next(words, None))
        elif word.startswith("--lang="):
            console.choose_language(word.partition("=")[2])
        else:
            rest.append(word)
    return rest


def main() -> None:
    """Run the verb on the command line and exit with its code."""
    args = _language(sys.argv[1:])
    if args[:1] in (["--version"], ["-V"]):
        from importlib.metadata import version

        print(f"todoke {version('todoke')}")
        return
    room, *rest = args or ["--help"]
    if room == "verify":  # a program of its own, which an auditor runs without todoke too
        from common.proof import verify

        raise SystemExit(verify.main([*rest, "--lang", console.language()], "todoke verify"))
    if room in SHORT:
        room, *rest = [*SHORT[room], *rest]
    app = _room(room)
    if app is None:
        print(HELP_EN if console.language() == "en" else HELP_JA, file=sys.stderr)
        raise SystemExit(0 if room in {"--help", "-h", "help"} else 2)
    app(args=rest, prog_name=f"todoke {room}")


def run() -> None:
    """Run :func:`main`; Ctrl-C while a room is still being loaded ends in words too."""
    try:
        main()
    except KeyboardInterrupt:
        console.interrupted()


def _room(name: str) -> Callable[..., Any] | None:
    if name in ALONE:
        alone: Callable[..., Any] = import_module(ALONE[name]).app
        return alone
    if name in OURS:
        found: Callable[..., Any] = import_module(f"{name}.cli").app
        return found
    from importlib.metadata import entry_points

    others = {entry.name: entry for entry in entry_points(group="todoke.rooms")}
    return others[name].load() if name in others else None


if __name__ == "__main__":
    run()
