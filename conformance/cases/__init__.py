"""The catalogue of cases for a receiver, one file per area, in the order in which they run."""

from __future__ import annotations

from conformance.case import Area, Case
from conformance.cases import certificates, identity, storage, tls, verification

AREAS: tuple[Area, ...] = (
    verification.AREA,
    tls.AREA,
    certificates.AREA,
    storage.AREA,
    identity.AREA,
)
CASES: tuple[Case, ...] = tuple(case for area in AREAS for case in area)
