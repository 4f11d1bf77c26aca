"""DICOMweb (PS3.18) over what is stored: QIDO-RS and WADO-RS, read only.

Two roots: ``/dicomweb/at/{institution}/...`` shows one institution alone;
``/dicomweb/...`` shows all, and answers 409 for a UID that two of them use.
Nothing is transcoded: a frame is the bytes that arrived.

Every answer is ``private, no-store``, frames too: a shared reading desk must
hold no patient's pixels after sign-out (PRI-07), so the pages keep decoded
images in memory only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from receiver.decoding import Decoders
from receiver.facts import KnownFacts
from receiver.qido import Qido
from receiver.stored import Stored
from receiver.viewer_services import ViewerServices
from receiver.wado import Wado
from receiver.waiting import Waiting

Endpoint = Callable[[Request], Awaitable[Response]]

_STUDIES = "/studies"
_STUDY = "/studies/{study}"
_SERIES = "/studies/{study}/series/{series}"
_INSTANCE = "/studies/{study}/series/{series}/instances/{instance}"


def routes(
    services: ViewerServices, known: KnownFacts, decoders: Decoders, stored: Stored
) -> list[BaseRoute]:
    """Return the routes of both roots.

    Parameters
    ----------
    services : ViewerServices
    known : KnownFacts
        Shared with the work list.
    decoders : Decoders
        Closed by the caller.
    stored : Stored
    """
    qido = Qido(services.index, known, stored)
    wado = Wado(stored, decoders, services.waiting or Waiting(services.index))
    table: dict[str, Endpoint] = {
        _STUDIES: qido.studies,
        "/series": qido.series,
        "/instances": qido.instances,
        f"{_STUDY}/series": qido.series,
        f"{_STUDY}/instances": qido.instances,
        f"{_SERIES}/instances": qido.instances,
        _STUDY: wado.objects,
        _SERIES: wado.objects,
        _INSTANCE: wado.objects,
        f"{_STUDY}/metadata": wado.metadata,
        f"{_SERIES}/metadata": wado.metadata,
        f"{_INSTANCE}/metadata": wado.metadata,
        f"{_INSTANCE}/bulkdata/{{tag}}": wado.bulk,
        f"{_INSTANCE}/frames": wado.frames,
        f"{_INSTANCE}/frames/{{frames}}": wado.frames,
        f"{_INSTANCE}/frames/{{frames}}/rendered": wado.rendered,
        f"{_INSTANCE}/frames/{{frames}}/thumbnail": wado.thumbnail,
    }
    for level in (_STUDY, _SERIES, _INSTANCE):
        table[f"{level}/rendered"] = wado.rendered
        table[f"{level}/thumbnail"] = wado.thumbnail
    return [
        Route(root + path, endpoint, methods=["GET"])
        for root in ("/dicomweb/at/{institution}", "/dicomweb")
        for path, endpoint in table.items()
    ]
