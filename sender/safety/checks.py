"""All that is looked at when a job has been read, before any of it may go."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from common.dicom import patient
from common.dicom.patient import Patient
from common.errors import PatientBlocked, PatientsDiffer, SentOtherwise, TodokeError
from common.states import TransferState
from sender.outbox import Instance, fault
from sender.safety import basis, known
from sender.safety.blocked import Blocked

Left = Callable[[str], tuple[list[dict[str, Any]], list[tuple[str, Instance]]]]


@dataclass(frozen=True, slots=True)
class Checks:
    """What a site checks; without anything, what a job holds in itself alone.

    Attributes
    ----------
    blocked : Blocked, optional
        Patients of whom nothing is sent.
    left : callable
        As :meth:`sender.outbox.Outbox.left`.
    basis : dict
        As :func:`sender.safety.basis.basis` gives it for this job.
    """

    blocked: Blocked | None = None
    left: Left = lambda _study: ([], [])
    basis: dict[str, str] | None = None

    def look(self, values: dict[str, Any], instances: Sequence[Instance]) -> None:
        """Hold a transfer that may not go, in its values; write down on what it rests.

        Parameters
        ----------
        values : dict
            Of the transfer, as the outbox takes them; changed in place.

        Raises
        ------
        SettingsError
            The list of blocked patients cannot be read.
        """
        if self.basis is not None:
            request = json.loads(values["request"]) | {basis.OPTION: self.basis}
            values["request"] = json.dumps(request, ensure_ascii=False)
        attributes = json.loads(values["attributes"])
        error: TodokeError | None = None
        try:
            if self.blocked is not None:
                self.blocked.check(attributes)
        except PatientBlocked as blocked:  # before any other reason: none may release it
            error = blocked
        if error is None and values["state"] != TransferState.HELD:
            error = self._against_before(values["study"], attributes, instances)
        if error is not None:
            values |= {"state": TransferState.HELD, "error": fault(error)}

    def _against_before(
        self, study: str, attributes: dict[str, Any], instances: Sequence[Instance]
    ) -> TodokeError | None:
        told, sent = self.left(study)
        here = patient.of_model(attributes)
        for one in map(patient.of_model, told):
            if patient.contradict(here, one):
                return differ([here, one])
        before: dict[str, list[known.Sent]] = {}
        for transfer, instance in sent:
            before.setdefault(instance.sop_uid, []).append(known.Sent(transfer, instance))
        others = known.other_content(instances, before)
        return SentOtherwise(transfer=", ".join(one[:8] for one in others)) if others else None


#: What is checked where no site is known.
ALONE = Checks()


def differ(patients: Sequence[Patient]) -> PatientsDiffer:
    """Return the refusal of a study whose images name several patients (DAT-04).

    It says in what they differ, and never a value.
    """
    on = patient.words(patient.differing(patients))
    if patient.spelt(patients):
        on += "; 大文字小文字・全角半角・頭の0だけの違い / only letter case, width or zeros ahead"
    return PatientsDiffer(count=len(set(patients)), on=on)
