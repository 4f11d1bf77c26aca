"""What a run of cases shares: the target, the way to look inside it, and what was left there."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from cryptography import x509

from common.errors import UsageError
from conformance import oracle, wire
from conformance.case import Failed, Need, Skipped
from conformance.credentials import Issuer, read_issuer
from conformance.objects import Instance, make, parse
from conformance.readback import Held, ReadBack, wait_for
from conformance.target import Target
from conformance.wire import IMPLICIT, VERIFICATION

SUCCESS = 0x0000


def is_stored(status: int) -> bool:
    """Tell whether a status says that the object was stored: success or warning (PS3.7 C)."""
    return status == SUCCESS or status & 0xF000 == 0xB000


@dataclass(slots=True, frozen=True)
class Left:
    """One instance that the receiver said it stored."""

    label: str
    study_uid: str
    sop_instance_uid: str
    patient_id: str


@dataclass
class Session:
    """One run against one receiver.

    Parameters
    ----------
    target : Target
        The receiver.
    run : str
        Decides every UID of the run.
    read_back : ReadBack or None
        The look inside.
    settle : float
        Seconds after an acknowledgement within which an object may still appear.
    """

    target: Target
    run: str
    read_back: ReadBack | None = None
    settle: float = 3.0
    left: dict[str, Left] = field(default_factory=dict)
    acknowledged: dict[str, Instance] = field(default_factory=dict)
    refused: dict[str, Instance] = field(default_factory=dict)

    def lacks(self, need: Need) -> bool:
        """Tell whether this run cannot offer what a case needs."""
        match need:
            case Need.TLS:
                return self.target.credentials is None
            case Need.READ_BACK:
                return self.read_back is None
            case Need.ISSUER:
                return self.target.test_ca_key is None
            case Need.ADMITTED:
                return not self.admitted

    @cached_property
    def admitted(self) -> bool:
        """Whether the tester's right certificate and AE title get an association and an answer."""
        try:
            with wire.associated(self.target, [(VERIFICATION, IMPLICIT)]) as line:
                return line.echo() == SUCCESS
        except (OSError, wire.Ended, wire.Silent, KeyError):
            return False

    @cached_property
    def certificate(self) -> x509.Certificate:
        """The tester's own certificate, the model of the wrong ones."""
        if self.target.credentials is None:
            raise Skipped("TLSなし", "no TLS")
        return x509.load_pem_x509_certificate(self.target.credentials.certificate.read_bytes())

    @cached_property
    def issuer(self) -> Issuer:
        """The CA of ``--test-ca-key``."""
        key, certificate = self.target.test_ca_key, self.target.test_ca
        if key is None or certificate is None:
            raise UsageError(cause="--test-ca-key")
        return read_issuer(key, certificate)

    def bare_context(self) -> ssl.SSLContext:
        """Return a context that presents nothing and takes any receiver.

        A refusal must come from the receiver alone, so nothing of ours may refuse.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def store(self, instance: Instance, *, optional: bool = False) -> int:
        """Store by the well-behaved requestor on an association of its own; return the status.

        Parameters
        ----------
        instance : Instance
            What is stored.
        optional : bool
            A receiver may do without this transfer syntax: the case is then skipped.
        """
        context = (instance.sop_class_uid, instance.transfer_syntax_uid)
        try:
            with oracle.associated(self.target, [context]) as assoc:
                status = oracle.store(assoc, instance)
        except oracle.NotAssociated as error:
            if optional and error.no_context:
                raise Skipped(
                    "この転送構文は受け付けられませんでした",
                    "this transfer syntax was not accepted",
                ) from error
            raise Failed(f"{error}", f"{error}") from error
        except oracle.NoAnswer as error:
            raise Failed("C-STORE の応答がありません", "no response to C-STORE") from error
        self.note(instance, status)
        return status

    def note(self, instance: Instance, status: int) -> None:
        """Remember what the receiver said it stored: success, or a warning (PS3.4 B.2.3)."""
        if not is_stored(status):
            return
        self.acknowledged.setdefault(instance.sop_instance_uid, instance)
        patient = parse(instance.data, instance.transfer_syntax_uid).PatientID
        self.left[instance.sop_instance_uid] = Left(
            instance.label, instance.study_uid, instance.sop_instance_uid, str(patient)
        )

    def disown(self, instance: Instance) -> None:
        """Expect no longer that the instance is held unchanged: a case has told of it already."""
        self.acknowledged.pop(instance.sop_instance_uid, None)

    def require_stored(self, instance: Instance, *, optional: bool = False) -> None:
        """Store, and fail unless the status is 0000H."""
        status = self.store(instance, optional=optional)
        if status != SUCCESS:
            raise Failed(f"状態 {status:04X}H", f"status {status:04X}H")

    def copies(self, instance: Instance) -> list[Held]:
        """Return what the receiver holds under the SOP Instance UID, now."""
        if self.read_back is None:
            raise Skipped("読み戻す先がありません", "nowhere to read back from")
        return self.read_back.copies(instance)

    def wait(self, look: Callable[[], bool]) -> bool:
        """Look until it is so, at most for the time to settle."""
        return wait_for(look, self.settle)

    def held(self, instance: Instance) -> Held:
        """Return the one object held; fail when there is none or more than one."""
        copies: list[Held] = []

        def one() -> bool:
            copies[:] = self.copies(instance)
            return len(copies) == 1

        if not self.wait(one):
            raise Failed(
                f"受け付けたはずの画像が {len(copies)} 個あります",
                f"{len(copies)} objects are held of the instance that was acknowledged",
            )
        return copies[0]

    def make(self, label: str, **options: str | int | tuple[str, ...] | None) -> Instance:
        """Make a marked instance of this run."""
        return make(self.run, label, **options)  # type: ignore[arg-type]
