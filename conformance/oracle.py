"""The well-behaved requestor: pynetdicom's own AE, as any product in the field would speak."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE

from conformance.objects import Instance, parse
from conformance.target import Target
from conformance.wire import Context


class NotAssociated(Exception):
    """No usable association.

    ``rejected`` tells an A-ASSOCIATE-RJ, ``no_context`` an acceptance of none of
    the contexts; neither is a broken connection.
    """

    def __init__(self, reason: str, *, rejected: bool = False, no_context: bool = False) -> None:
        self.rejected, self.no_context = rejected, no_context
        super().__init__(reason)


class NoAnswer(Exception):
    """The association was there, the response was not."""


@contextmanager
def associated(
    target: Target,
    contexts: Sequence[Context],
    *,
    calling: str | None = None,
    called: str | None = None,
) -> Iterator[Any]:
    """Hold an association; release it at the end.

    Raises
    ------
    NotAssociated
        Rejected, aborted or not connected.
    """
    ae = AE(ae_title=calling or target.calling_aet)
    ae.connection_timeout = ae.acse_timeout = target.patience
    ae.dimse_timeout = ae.network_timeout = 2 * target.patience
    for abstract, transfer in contexts:
        ae.add_requested_context(abstract, transfer)
    context = target.context()
    assoc = ae.associate(
        *target.address,
        ae_title=called or target.called_aet,
        tls_args=None if context is None else (context, target.server_name),
    )
    if not assoc.is_established:
        raise _not_associated(assoc)
    try:
        yield assoc
    finally:
        if assoc.is_established:
            assoc.release()


def echo(assoc: Any) -> int:
    """C-ECHO (PS3.4 A); return its status."""
    return _status(assoc.send_c_echo())


def store(assoc: Any, instance: Instance) -> int:
    """C-STORE (PS3.4 B) of the encoded bytes as they are; return the status.

    pydicom writes elements that nobody touched as they were read, so the bytes
    on the wire are those of the instance (measured against its digest in the tests).
    """
    return _status(assoc.send_c_store(parse(instance.data, instance.transfer_syntax_uid)))


def _status(response: Any) -> int:
    if "Status" not in response:
        raise NoAnswer("no response, or the association was aborted")
    return int(response.Status)


def _not_associated(assoc: Any) -> NotAssociated:
    if assoc.is_rejected:
        answer = assoc.acceptor.primitive
        words = f"A-ASSOCIATE-RJ {answer.result_str}: {answer.reason_str}"
        return NotAssociated(words, rejected=True)
    if assoc.rejected_contexts:
        # pynetdicom aborts an association on which it can say nothing
        return NotAssociated("no presentation context accepted", no_context=True)
    return NotAssociated("no A-ASSOCIATE-AC: connection refused, closed or aborted")
