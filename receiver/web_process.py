"""The process of viewer, link and pairing: one event loop, three listeners."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import ssl
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from starlette.types import ASGIApp

from common import audit, console, descriptors, durable, logs, memory, signals, tls
from common.proof import software
from common.proof.identity import Node
from common.proof.role import Role
from common.refusals import Refusals
from common.settings import Receiver
from common.web.peer import Listener
from receiver import queries, sign_in_service, telling, upkeep
from receiver.attendance import Attendance
from receiver.child import attended
from receiver.doors import pairing
from receiver.doors.link import LinkServices, link_app
from receiver.escalation import Escalation
from receiver.evidence import Evidence
from receiver.frames import Frames
from receiver.index import Index
from receiver.receipts import Receipts
from receiver.revocation import Lists
from receiver.store import Store
from receiver.viewer_names import by_https, viewer_names
from receiver.waiting import Waiting
from receiver.web_app import ViewerServices, viewer_app

GRACE = 0.5  # seconds that open requests have at the end: questions for news stand for 20


def viewer_tls(node: Node, settings: Receiver) -> tls.Credentials | None:
    """Return what the viewer's port shows: None is plain HTTP, for this machine's eyes only."""
    if settings.web_cert:
        return tls.Credentials(Path(settings.web_key), Path(settings.web_cert))
    return node.credentials if by_https(settings) else None


def _contexts(
    node: Node,
    settings: Receiver,
    lists: Lists,
    shown: tls.Credentials | None,
    trail: audit.Trail,
) -> dict[str, tls.Following]:
    """Return the contexts of the ports, each as new as the files it is made of."""
    own = node.credentials

    def follow(
        build: Callable[[], ssl.SSLContext], files: tls.Credentials, more: Path | None = None
    ) -> tls.Following:
        watched = [files.key, files.chain, *([more] if more else [])]
        alarm = partial(_kept, trail)
        return tls.Following(build, partial(tls.stamp, watched), alarm)

    def mutual() -> ssl.SSLContext:
        # products have no business on the link: our own CA's leaves alone
        return tls.server_context(own, [node.ca], profile=settings.profile, lists=[lists.own()])

    def one_sided() -> ssl.SSLContext:
        return tls.server_context(own, profile=settings.profile, client_required=False)

    def page() -> ssl.SSLContext:
        return tls.server_context(shown or own, profile="dicom-b12", client_required=False)

    made = {
        "link": follow(mutual, own, node.revocation_list),
        "pairing": follow(one_sided, own),
    }
    return made | {"viewer": follow(page, shown)} if shown else made


def _kept(trail: audit.Trail, cause: str) -> None:
    trail.note("alarm", cause=f"{tls.KEPT}: {cause}")


def _trail(data: Path) -> audit.Trail:
    trail = audit.Trail(data / "audit", "web")
    trail.note("started", of="web")
    return trail


def _viewer(
    node: Node, settings: Receiver, index: Index, store: Store, *, https: bool
) -> ViewerServices:
    """What the viewer's door knows of this site."""
    return ViewerServices(
        index=index,
        store=store.root,
        institution_name=node.institution.name,
        institution_code=node.institution.code,
        https=https,
        version=importlib.metadata.version("todoke"),
        keep_tiles_seconds=60 * settings.tile_cache_minutes,
        signing_certificate=node.signing_certificate,
        audit_years=settings.audit_years,
        names=viewer_names(settings),
        second_factor=settings.second_factor,
        lock_seconds=60 * settings.lock_minutes,
        advice=settings.advice_text,
        purge_days=settings.purge_days,
        purge_notice_days=settings.purge_notice_days,
    )


async def serve(data: Path) -> None:
    """Open the three ports, say them on stdout as JSON, serve until told to stop."""
    settings = Receiver.load(data)
    descriptors.raise_limit()
    node = Node.load(data, Role.SUPPORTER)
    version = importlib.metadata.version("todoke")
    index, store = Index.at(data), Store.at(data, settings)
    receipts = Receipts(index, store, node, {"software": f"todoke {version}", **software.facts()})
    trail = _trail(data)
    lists, refusals = Lists(index, node.ca, node.revocation_list), Refusals(trail)
    waiting, attendance = Waiting(index), Attendance()
    queries.switched(index, trail.note, advice=settings.advice_text)
    escalation = Escalation(index, settings, telling.ways(settings, data), trail.note)
    services = LinkServices(
        index,
        Frames(index, store, settings.max_instance_gb),
        waiting,
        receipts,
        node.ca,
        node.institution.code,
        refusals.at("link"),
        lists,
        partial(upkeep.issue, node, index),
        trail.note,
        Evidence(index, node, data, settings.clock_bound_ms, trail.note),
        attendance,
        settings.telephone,
    )
    shown = viewer_tls(node, settings)
    viewer = replace(
        _viewer(node, settings, index, store, https=shown is not None),
        refused=refusals.at("viewer"),
        note=trail.note,
        waiting=waiting,
        attendance=attendance,
        sign_in=sign_in_service.of(settings, data),
        sign_in_label=settings.oidc_label,
    )
    contexts = _contexts(node, settings, lists, shown, trail)
    kept_up = upkeep.Upkeep(node, index, lists, trail, list(contexts.values()))
    doors = {
        "link": link_app(services),
        "pairing": pairing.application(node, index, settings, refused=refusals.at("pairing")),
        "viewer": viewer_app(viewer),
    }
    listeners = _listeners(settings, doors, contexts, refusals)
    _end_by_signals(listeners)
    console.tell(json.dumps({name: one.address[1] for name, one in listeners.items()}))
    for running in (kept_up.rounds, escalation.rounds):
        running.start()
    await asyncio.gather(*(one.serve() for one in listeners.values()))
    for running in (kept_up.rounds, escalation.rounds):
        running.stop()
    for held in (receipts, index, refusals):
        held.close()
    trail.note("stopped", of="web")
    trail.close()


def _listeners(
    settings: Receiver,
    doors: Mapping[str, ASGIApp],
    contexts: Mapping[str, tls.Following],
    refusals: Refusals,
) -> dict[str, Listener]:
    """Bind the three ports; what each refuses is noted with its name."""
    places = {
        "link": (settings.bind, settings.link_port),
        "pairing": (settings.bind, settings.pairing_port),
        "viewer": (settings.viewer_bind, settings.viewer_port),
    }
    return {
        name: Listener(
            door, *places[name], tls=contexts.get(name), refused=refusals.at(name), grace=GRACE
        )
        for name, door in doors.items()
    }


def _end_by_signals(listeners: Mapping[str, Listener]) -> None:
    signals.end_by(lambda: _stop(listeners.values()))


def _stop(listeners: Iterable[Listener]) -> None:
    for one in listeners:
        one.stop()


if __name__ == "__main__":
    logs.begin()
    durable.end_on_failure()
    memory.give_back()
    with attended(Path(sys.argv[1]), "web"):
        asyncio.run(serve(Path(sys.argv[1])))
