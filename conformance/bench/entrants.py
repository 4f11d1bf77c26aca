"""Who sends to whom: our ends and the other products in every pairing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from common import durable
from conformance.bench.ours import AUTO, OFF
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


def _we_send(compression: str) -> Sender:
    return lambda site, series: site.ends.send(series, product=True, compression=compression)


def _pair(sender: Sender, listener: Listener) -> Entrant:
    def run(site: Site, series: Series) -> Sample:
        with listener(site) as pid:
            before = cpu_seconds(pid)
            return with_listener(sender(site, series), pid, before)

    return run


def _then_synced(sender: Sender) -> Sender:
    """Make durable what the listener wrote before the clock stops."""

    def run(site: Site, series: Series) -> Sample:
        sample = sender(site, series)
        began = time.monotonic()
        for path in site.products.written.iterdir():
            with path.open("rb") as file:
                durable.sync_data(file.fileno())
        durable.sync_folder(site.products.written)
        return replace(sample, seconds=sample.seconds + time.monotonic() - began)

    return run


def _todoke(compression: str) -> Entrant:
    return lambda site, series: site.ends.send(series, compression=compression)


def _to_todoke(site: Site, series: Series) -> Sample:
    send = partial(
        site.products.storescu,
        site.near["dicom"],
        series,
        tuned=False,
        called="TODOKE",
        identity=site.ends.pair.product,
    )
    return site.ends.received(send)


def _first_view(site: Site, series: Series) -> Sample:
    return site.ends.first_view(series)


def _one(*, daemon: bool) -> Entrant:
    def run(site: Site, series: Series) -> Sample:
        return site.ends.send_one(series, partial(site.first_byte, "dicom"), daemon=daemon)

    return run


def _process(room: str) -> Entrant:
    return lambda site, _series: site.ends.process_start(room)


ENTRANTS: dict[str, Entrant] = {
    "todoke": _todoke(AUTO),
    "todoke uncompressed": _todoke(OFF),
    "todoke -> storescp": _pair(_we_send(AUTO), _storescp(tuned=True)),
    "todoke -> storescp as installed": _pair(_we_send(AUTO), _storescp(tuned=False)),
    "todoke -> storescp --fork": _pair(_we_send(OFF), _storescp(tuned=True, several=True)),
    "todoke -> Orthanc": _pair(_we_send(OFF), _orthanc),
    "storescu as installed -> todoke": _to_todoke,
    "todoke without evidence": lambda site, series: site.ends.without_evidence(series),
    "receipt": lambda site, series: site.ends.receipt(series),
    "first view": _first_view,
    "send with daemon": _one(daemon=True),
    "send without daemon": _one(daemon=False),
    "sender run": _process("sender"),
    "receiver run": _process("receiver"),
    "DCMTK": _pair(_storescu(tuned=True), _storescp(tuned=True)),
    "DCMTK, then synced": _pair(_then_synced(_storescu(tuned=True)), _storescp(tuned=True)),
    "DCMTK x 4": _pair(_storescu(tuned=True, parts=4), _storescp(tuned=True, several=True)),
    "DCMTK as installed": _pair(_storescu(tuned=False), _storescp(tuned=False)),
    "DCMTK -> Orthanc": _pair(_storescu(tuned=True), _orthanc),
    "pynetdicom": _pair(_script_sends("ae"), _script("ae")),
    "raw TLS": _pair(_script_sends("raw"), _script("raw")),
}
