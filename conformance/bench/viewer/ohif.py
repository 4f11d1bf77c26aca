"""OHIF as npm has it, reading our DICOMweb on the same server.

Its pages and our ``/dicomweb`` are served from one origin by nginx, as its own image does,
which shows our receiver the session of a signed-in reader.  ``.ci/viewerpeers`` fetches both.
"""

from __future__ import annotations

import contextlib
import getpass
import grp
import json
import os
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import NotFound, TodokeError
from common.free_ports import free_ports
from conformance.bench.line import Quality
from conformance.bench.processes import await_port, running
from conformance.bench.slides.reader import browser
from conformance.bench.slides.run import Run
from conformance.bench.viewer import screen as screens
from conformance.bench.viewer.ours import PICTURES, TURNING, look_through
from conformance.bench.viewer.room import Room, behind
from conformance.bench.viewer.screen import Screen, memory

FOLDER = Path("build/viewerpeers")
PATIENTS = "TODOKE-TEST"  # how the identifiers of the bench's patients begin

#: As after the first visit: its guided tour would lie over everything.
NO_TOUR = """localStorage.setItem('shownTours', '["basicViewerTour"]')"""

#: Where OHIF finds DICOMweb; no other option but those without which it shows nothing.
CONFIG = """window.config = {
  routerBasename: '/', extensions: [], modes: [], showStudyList: true,
  showWarningMessageForCrossOrigin: false, showCPUFallbackMessage: false,
  investigationalUseDialog: { option: 'never' },
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName: 'dicomweb',
    configuration: {
      friendlyName: 'todoke', name: 'todoke',
      wadoUriRoot: '/dicomweb', qidoRoot: '/dicomweb', wadoRoot: '/dicomweb',
      qidoSupportsIncludeField: true, supportsReject: false, imageRendering: 'wadors',
      thumbnailRendering: 'wadors', enableStudyLazyLoad: true, supportsFuzzyMatching: false,
      supportsWildcard: true, singlepart: 'bulkdata,video,pdf',
      bulkDataURI: { enabled: true, relativeResolution: 'studies' },
    },
  }],
  defaultDataSourceName: 'dicomweb',
};
"""

NGINX = """
user {user}; daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 256; }}
http {{
  access_log off; default_type application/octet-stream; sendfile on; gzip on;
  gzip_types text/css application/javascript application/wasm application/json
    application/dicom+json;
  types {{ text/html html; text/css css; application/javascript js mjs; application/wasm wasm;
    application/json json; image/svg+xml svg; image/png png; font/woff2 woff2; }}
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream todoke {{ server localhost:{viewer}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate}; ssl_certificate_key {key};
    location /dicomweb/ {{
      proxy_pass https://todoke; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_set_header Cookie "{cookie}";
      proxy_buffering off;
    }}
    location = /app-config.js {{ alias {folder}/app-config.js; }}
    location / {{ root {dist}; try_files $uri /index.html; }}
  }}
}}
"""


def folder() -> Path:
    """Return where the other viewers lie."""
    return Path(os.environ.get("TODOKE_BENCH_VIEWERS", FOLDER)).absolute()


def dist() -> Path:
    """Return OHIF's built pages.

    Raises
    ------
    NotFound
    """
    there = folder() / "ohif/package/dist"
    if not (there / "index.html").exists():
        raise NotFound(thing="OHIF (.ci/viewerpeers)")
    return there


def nginx() -> Path:
    """Return the web server's program.

    Raises
    ------
    NotFound
    """
    places = (folder() / "debian/usr/sbin", *map(Path, os.environ["PATH"].split(":")), "/usr/sbin")
    for place in places:
        if found := shutil.which("nginx", path=str(place)):
            return Path(found)
    raise NotFound(thing="nginx (.ci/viewerpeers)")


def versions() -> dict[str, str | None]:
    """Return the version of OHIF, None where it is not there."""
    try:
        said = json.loads((dist().parent / "package.json").read_text("utf-8"))
    except (NotFound, OSError):
        return {"OHIF": None}
    return {"OHIF": str(said["version"])}


@dataclass
class Ohif:
    """OHIF's pages at an address, or the reason why they are not there."""

    room: Room
    address: str = ""
    failure: TodokeError | None = None

    def ct(self, slices: int) -> Run:
        """Open a new CT study twice from its list, and scroll through it."""
        patient = self._new(slices)
        with screens.opened() as screen:
            times = self._first_images(screen, patient)
            screen.loaded()
            look_through(screen, slices)  # it may fetch as it comes to a slice
            screen.loaded()
            times["scroll"] = PICTURES / screen.scroll(TURNING, 1)
        return Run(times)

    def first_images(self, slices: int) -> Run:
        """Open a new CT study twice from its list."""
        patient = self._new(slices)
        with screens.opened() as screen:
            return Run(self._first_images(screen, patient))

    def memory(self, slices: int) -> Run:
        """Look at every slice of a long series; the megabytes that the browser took for it."""
        patient = self._new(slices)
        with screens.opened() as screen:
            self._list(screen)
            with memory(screen.pid) as taken:
                self._open(screen, patient)
                screen.loaded()
                look_through(screen, slices)
        return Run({"memory": taken.bytes / 1e6})

    def _new(self, slices: int) -> str:
        if self.failure is not None:
            raise self.failure
        return self.room.patient(self.room.ct(slices))

    def _first_images(self, screen: Screen, patient: str) -> dict[str, float]:
        self._list(screen)
        cold = self._open(screen, patient)
        screen.loaded()
        screen.page.go_back()
        screen.loaded()
        return {"cold": cold, "warm": self._open(screen, patient)}

    def _list(self, screen: Screen) -> None:
        screen.page.add_init_script(NO_TOUR)
        screen.page.goto(self.address)
        screen.page.locator("tr", has_text=PATIENTS).first.wait_for()

    def _open(self, screen: Screen, patient: str) -> float:
        """Press what opens a study in the basic viewer; the seconds until its picture."""
        page = screen.page
        page.locator("tr", has_text=patient).first.click()
        opens = page.get_by_role("button", name="Basic Viewer", exact=True).first
        opens.wait_for()
        screen.arm("picture")
        opens.click()
        return screen.seconds()


@contextlib.contextmanager
def served(room: Room, quality: Quality | None) -> Iterator[Ohif]:
    """Serve OHIF beside a receiver, with a line before it where the reader has one."""
    try:
        pages, program = dist(), nginx()
    except NotFound as error:
        yield Ohif(room, failure=error)
        return
    here = room.site.folder / "ohif"
    here.mkdir()
    (here / "app-config.js").write_text(CONFIG)
    (port,) = free_ports(1)
    viewer = room.site.ends.viewer
    with browser(viewer, room.pair) as client:
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        identity = room.pair.identity
        words: dict[str, Any] = {
            "user": f"{getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name}",
            "folder": here, "dist": pages, "port": port, "cookie": cookie,
            "viewer": viewer.rpartition(":")[2].strip("/"),
            "certificate": identity.certificate, "key": identity.key,
        }  # fmt: skip
        settings = here / "nginx.conf"
        settings.write_text(textwrap.dedent(NGINX).format(**words))
        line = [program, "-c", settings, "-p", here, "-e", "stderr"]
        with running(line, room.site.folder / "nginx.log") as process:
            await_port(process, port)
            with behind(port, room.site.folder, quality) as near:
                yield Ohif(room, f"https://localhost:{near}/")
