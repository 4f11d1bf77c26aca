"""Who sends to whom: our ends and the other products in every pairing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from conformance.bench.processes import Sample, cpu_seconds, with_listener
from conformance.bench.runner import Entrant
from conformance.bench.series import Series
from conformance.bench.site import Site

Listener = Callable[[Site], contextlib.AbstractContextManager[int]]
Sender = Callable[[Site, Series], Sample]


def _storescp(*, tuned: bool, several: bool = False) -> Listener:
    return lambda site: site.products.storescp(site.far["peer"], tuned=tuned, several=several)


def _orthanc(site: Site) -> contextlib.AbstractContextManager[int]:
    return site.products.orthanc(site.far["peer"])


def _script(name: str) -> Listener:
    return lambda site: site.products.script(name, site.far["peer"])


def _storescu(*, tuned: bool, parts: int = 1) -> Sender:
    return lambda site, series: site.products.storescu(
        site.near["peer"], series, tuned=tuned, parts=parts
    )


def _script_sends(name: str) -> Sender:
    return lambda site, series: site.products.send_script(name, site.near["peer"], series)


def _we_send(site: Site, series: Series) -> Sample:
    return site.ends.send(series, "peer")


def _pair(sender: Sender, listener: Listener) -> Entrant:
    def run(site: Site, series: Series) -> Sample:
        with listener(site) as pid:
            before = cpu_seconds(pid)
            return with_listener(sender(site, series), pid, before)

    return run


def _todoke(site: Site, series: Series) -> Sample:
    return site.ends.send(series)


def _to_todoke(site: Site, series: Series) -> Sample:
    before = site.ends.receiver_cpu()
    sample = site.products.storescu(
        site.near["dicom"],
        series,
        tuned=False,
        called="TODOKE",
        identity=site.ends.product,
    )
    return site.ends.with_receiver(sample, before)


def _first_view(site: Site, series: Series) -> Sample:
    return site.ends.first_view(series)


def _start(site: Site, series: Series) -> Sample:
    began = site.ends.send_one(series)
    return Sample(site.first_byte("dicom", began) - began, 0.0, 0)


def _start_alone(site: Site, series: Series) -> Sample:
    site.ends.stop_sender()
    try:
        return _start(site, series)
    finally:
        site.ends.start_sender()


ENTRANTS: dict[str, Entrant] = {
    "todoke": _todoke,
    "todoke -> storescp": _pair(_we_send, _storescp(tuned=True)),
    "todoke -> storescp as installed": _pair(_we_send, _storescp(tuned=False)),
    "todoke -> Orthanc": _pair(_we_send, _orthanc),
    "storescu as installed -> todoke": _to_todoke,
    "first view": _first_view,
    "start with daemon": _start,
    "start without daemon": _start_alone,
    "DCMTK": _pair(_storescu(tuned=True), _storescp(tuned=True)),
    "DCMTK x 4": _pair(_storescu(tuned=True, parts=4), _storescp(tuned=True, several=True)),
    "DCMTK as installed": _pair(_storescu(tuned=False), _storescp(tuned=False)),
    "DCMTK -> Orthanc": _pair(_storescu(tuned=True), _orthanc),
    "pynetdicom": _pair(_script_sends("ae"), _script("ae")),
    "raw TLS": _pair(_script_sends("raw"), _script("raw")),
}
