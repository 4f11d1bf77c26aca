"""DICOM associations in both roles: the interface the rooms use.

A requestor verifies and stores; an acceptor streams what arrives into a sink, and
hands the commands of other services to them.
pynetdicom's words, our own mouth: its classes encode and decode the
negotiation, the socket is driven here.
"""

from common.dicom.acceptor import Acceptor
from common.dicom.admission import CALLED_UNKNOWN, CALLING_UNKNOWN
from common.dicom.negotiation import Role
from common.dicom.normalized import NormalizedRequestor
from common.dicom.outlay import Pieces
from common.dicom.peer import (
    Context,
    Incoming,
    Outcome,
    Outgoing,
    Peer,
    Placing,
    Sink,
    Source,
    Writing,
)
from common.dicom.requestor import Paced, Requestor
from common.dicom.services import Collecting, Line, Notice, Services

__all__ = [
    "CALLED_UNKNOWN",
    "CALLING_UNKNOWN",
    "Acceptor",
    "Collecting",
    "Context",
    "Incoming",
    "Line",
    "NormalizedRequestor",
    "Notice",
    "Outcome",
    "Outgoing",
    "Paced",
    "Peer",
    "Pieces",
    "Placing",
    "Requestor",
    "Role",
    "Services",
    "Sink",
    "Source",
    "Writing",
]
