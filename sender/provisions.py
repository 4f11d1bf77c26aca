"""What this sender gave to third parties, transfer by transfer (AUD-08, Article 29)."""

from __future__ import annotations

import contextlib
from datetime import tzinfo
from pathlib import Path

from common import provision, request, usage
from common.errors import SettingsError
from common.proof.identity import Node
from common.proof.role import Role
from common.provision import Provision, Records
from sender.outbox import Outbox, Transfer
from sender.partners import Partner, load_partners
from sender.safety import basis


def records(data: Path, first: str = "", last: str = "", zone: tzinfo | None = None) -> Records:
    """Return the records of a span of days.

    A transfer has one as soon as it was begun: its opening told the partner of the patient.

    Parameters
    ----------
    first, last : str
        YYYY-MM-DD, by the clock of the place; empty for no bound.
    zone : tzinfo, optional
        By default that of this machine.

    Raises
    ------
    UsageError, NotInitialised
    """
    span = provision.days(first, last)
    node = Node.load(data, Role.REQUESTER)
    partners: dict[str, Partner] = {}
    with contextlib.suppress(SettingsError):  # whoever sends is told; what was given still counts
        partners = {one.key: one for one in load_partners(data)}
    with contextlib.closing(Outbox(data)) as outbox:
        begun = [one for one in outbox.transfers() if one.started is not None]
        known = [_provision(outbox, one, partners) for one in begun if not one.test]
    return provision.made(
        provision.GIVEN, node.institution, span, known, len(begun) - len(known), zone
    )


def _provision(outbox: Outbox, one: Transfer, partners: dict[str, Partner]) -> Provision:
    partner = partners.get(one.partner)
    return Provision(
        moment=one.delivered or one.started or one.created,
        third_party=(partner.code or "", partner.name) if partner else ("", one.partner),
        attributes=one.attributes,
        modality=usage.modality(one.attributes, one.kind),
        images=sum(bool(each.acked) for part in outbox.parts(one.id) for each in part),
        asked=request.told(one.request),
        purpose=one.purpose,
        state=one.state,
        transfer=one.id,
        study=one.study,
        basis=one.request.get(basis.OPTION) or {},
        institution=provision.institution_of(one.attributes),
    )
