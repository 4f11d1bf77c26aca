"""How else a slide comes to the other hospital: a copied file, wsidicomizer, Orthanc.

wsidicomizer and the OrthancWSIDicomizer are looked for in an environment of their own
(``.ci/slidepeers``, or the folder that TODOKE_BENCH_PEERS names) and on the PATH.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

from common.errors import NotFound
from common.free_ports import free_ports
from conformance.bench import peers
from conformance.bench.peers import PDU, Products, environment
from conformance.bench.processes import Sample, cpu_seconds, timed, with_listener
from conformance.bench.site import Site
from conformance.bench.slides.mosaic import Slide
from conformance.bench.slides.run import Run

FOLDER = Path("build/slidepeers")
COPYING = "conformance.bench.slides.copying"


def folder() -> Path:
    """Return where the other slide products lie."""
    return Path(os.environ.get("TODOKE_BENCH_PEERS", FOLDER)).absolute()


def program(name: str) -> str:
    """Return the path of a slide product's program.

    Raises
    ------
    NotFound
    """
    for place in (folder() / "bin", folder() / "debian/usr/bin"):
        if found := shutil.which(name, path=str(place)):
            return found
    return peers.program(name)


def libraries() -> dict[str, str]:
    """Return the environment in which Debian's programs find the libraries beside them."""
    beside = folder() / "debian/usr/lib/x86_64-linux-gnu"
    said = os.environ.get("LD_LIBRARY_PATH", "")
    return dict(os.environ) | {"LD_LIBRARY_PATH": f"{beside}:{said}".rstrip(":")}


def library(name: str) -> Path:
    """Return the path of a shared library of one of them.

    Raises
    ------
    NotFound
    """
    for root in (folder() / "debian/usr", Path("/usr")):
        for place in ("share/orthanc/plugins", "lib/x86_64-linux-gnu", "lib"):
            if (path := root / place / name).exists():
                return path
    raise NotFound(thing=name)


def versions() -> dict[str, str | None]:
    """Return the versions of the slide products, None for one that is not there."""
    places = [str(path) for path in folder().glob("lib/python*/site-packages")]
    products = ("wsidicomizer", "openslide-python", "openslide-bin", "large-image")
    found: dict[str, str | None] = dict.fromkeys(products)
    for one in distributions(path=places):
        if one.name in found:
            found[one.name] = one.version
    try:
        # libOrthancWSI.so leads to libOrthancWSI.so.1.1
        found["orthanc-wsi"] = library("libOrthancWSI.so").resolve().name.partition(".so.")[2]
    except NotFound:
        found["orthanc-wsi"] = None
    return found


def copied(site: Site, slide: Slide) -> Run:
    """Copy the file over HTTPS and look at it with OpenSlide."""
    line = [sys.executable, "-m", COPYING]
    out = site.folder / "copied.json"
    products = site.products
    with products.out() as into:
        shown = products.identity.script()
        serve = [*line, "receive", site.far["peer"], into, *shown]
        with products.listening(serve, site.far["peer"]) as pid:
            before = cpu_seconds(pid)
            told = [*line, "send", site.near["peer"], slide.path, *shown, out]
            sample = with_listener(timed([told], products.log), pid, before)
    return Run(json.loads(out.read_text()), sample.cpu, sample.memory)


def converted(site: Site, slide: Slide) -> Run:
    """Make DICOM of it with wsidicomizer, then send that with tuned DCMTK."""
    made = site.folder / "converted"
    products = site.products
    convert = [program("wsidicomizer"), "-i", slide.path, "-o", made]
    try:
        turbo = {"TURBOJPEG": str(library("libturbojpeg.so.0"))}  # opentile does not find it
        first = timed([convert], products.log, os.environ | turbo)
        files = sorted(made.glob("*.dcm"))
        with products.storescp(site.far["peer"], tuned=True, all_syntaxes=True) as pid:
            before = cpu_seconds(pid)
            send: list[object] = [
                peers.program("storescu"),
                "-R",
                "-pdu",
                PDU,
                "-xy",
                *products.identity.dcmtk(),
            ]
            send += ["-aet", "BENCH", "-aec", "PEER", "localhost", site.near["peer"], *files]
            second = timed([send], products.log, environment(tuned=True))
            second = with_listener(second, pid, before)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return _together(first, second)


def dicomized(site: Site, slide: Slide) -> Run:
    """Let the OrthancWSIDicomizer write it into an Orthanc at the other end."""
    products = site.products
    with _orthanc(products, site.far["peer"]) as pid:
        before = cpu_seconds(pid)
        sample = dicomize(products, slide, site.near["peer"])
        sample = with_listener(sample, pid, before)
    return _together(sample, Sample(0.0))


def dicomize(products: Products, slide: Slide, port: int) -> Sample:
    """Run the OrthancWSIDicomizer against an Orthanc without TLS on this machine.

    Raises
    ------
    NotFound, VerbFailed
    """
    line = [
        *(program("OrthancWSIDicomizer"), slide.path, "--threads", os.cpu_count() or 1),
        *("--openslide", library("libopenslide.so.0")),
        *("--orthanc", f"http://localhost:{port}/"),
    ]
    return timed([line], products.log, libraries())


@contextlib.contextmanager
def _orthanc(products: Products, web: int) -> Iterator[int]:
    (dicom,) = free_ports(1)
    with products.out() as out:
        settings = {
            "StorageDirectory": str(out / "storage"),
            "IndexDirectory": str(out / "index"),
            "HttpPort": web,
            "DicomPort": dicom,
            "RemoteAccessAllowed": True,
            "AuthenticationEnabled": False,
            "Plugins": [],
        }
        path = out / "orthanc.json"
        path.write_text(json.dumps(settings))
        with products.listening([peers.program("Orthanc"), path], web) as pid:
            yield pid


def _together(first: Sample, second: Sample) -> Run:
    memory = {
        role: max(first.memory.get(role, 0), second.memory.get(role, 0))
        for role in {*first.memory, *second.memory}
    }
    return Run({"total": first.seconds + second.seconds}, first.cpu + second.cpu, memory)
