"""The process of viewer, link and pairing: one event loop, three listeners."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import signal
import ssl
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from starlette.applications import Starlette

from common import audit, console, descriptors, logs, memory, tls
from common.proof.identity import Node
from common.proof.role import Role
from common.refusals import Refusals
from common.settings import Receiver
from common.web.peer import Listener
from receiver import partners
from receiver.child import attended
from receiver.doors import pairing
from receiver.doors.link import LinkServices, link_app
from receiver.frames import Frames
from receiver.index import Index
from receiver.receipts import Receipts
from receiver.store import Store
from receiver.web_app import ViewerServices, viewer_app

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def viewer_tls(node: Node, settings: Receiver) -> tls.Credentials | None:
    """Return what the viewer's port shows: None is plain HTTP, for this machine's eyes only."""
    if settings.web_cert:
        return tls.Credentials(Path(settings.web_key), Path(settings.web_cert))
    return None if settings.viewer_bind in LOOPBACK else node.credentials


async def serve(data: Path) -> None:
    """Open the three ports, say them on stdout as JSON, serve until told to stop."""
    settings = Receiver.load(data)
    descriptors.raise_limit()
    node = Node.load(data, Role.SUPPORTER)
    version = importlib.metadata.version("todoke")
    index = Index.at(data)
    store = Store(data / "store")
    receipts = Receipts(index, store, node, {"software": f"todoke {version}"})
    trail = audit.Trail(data / "audit", "web")
    refusals = Refusals(trail)
    services = LinkServices(
        index,
        Frames(index, store, settings.max_instance_gb),
        receipts,
        node.ca,
        node.institution.code,
        refused=refusals.at("link"),
    )
    shown = viewer_tls(node, settings)
    viewer = ViewerServices(
        index=index,
        store=store.root,
        institution_name=node.institution.name,
        institution_code=node.institution.code,
        https=shown is not None,
        version=version,
        refused=refusals.at("viewer"),
    )
    mutual = tls.server_context(
        node.credentials, partners.trusted(index, node.ca), profile=settings.profile
    )
    one_sided = tls.server_context(
        node.credentials, profile=settings.profile, client_required=False
    )
    page = tls.server_context(shown, profile="dicom-b12", client_required=False) if shown else None
    contexts = {"link": mutual, "pairing": one_sided, "viewer": page}
    apps = {
        "link": link_app(services),
        "pairing": pairing.application(node, index, settings, refused=refusals.at("pairing")),
        "viewer": viewer_app(viewer),
    }
    listeners = _listeners(settings, apps, contexts, refusals)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: _stop(listeners.values()))
    ports = {name: one.address[1] for name, one in listeners.items()}
    console.tell(json.dumps(ports))
    await asyncio.gather(*(one.serve() for one in listeners.values()))
    receipts.close()
    index.close()
    refusals.close()
    trail.close()


def _listeners(
    settings: Receiver,
    apps: Mapping[str, Starlette],
    contexts: Mapping[str, ssl.SSLContext | None],
    refusals: Refusals,
) -> dict[str, Listener]:
    """Bind the three ports; what each refuses is noted with its name."""
    places = {
        "link": (settings.bind, settings.link_port),
        "pairing": (settings.bind, settings.pairing_port),
        "viewer": (settings.viewer_bind, settings.viewer_port),
    }
    return {
        name: Listener(apps[name], *place, tls=contexts[name], refused=refusals.at(name))
        for name, place in places.items()
    }


def _stop(listeners: Iterable[Listener]) -> None:
    for one in listeners:
        one.stop()


if __name__ == "__main__":
    logs.begin()
    memory.give_back()
    with attended(Path(sys.argv[1]), "web"):
        asyncio.run(serve(Path(sys.argv[1])))
