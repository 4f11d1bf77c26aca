"""What is known of a slide that does not stand in its file."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass
from typing import Any

from common.dicom.testmark import is_test_description
from common.errors import InputError


@dataclass(frozen=True, slots=True)
class SlideCase:
    """The patient, the order and the decisions that belong to one slide.

    The outbox keeps it as JSON: the same case and the same file give the same
    headers byte by byte on every opening.

    Attributes
    ----------
    patient_name : str
        As a PN value with its groups, ``YAMADA^TARO=山田^太郎=ヤマダ^タロウ``.
    patient_id, issuer : str
        Patient ID and its issuer.
    birth_date, study_date : str
        DA (``YYYYMMDD``), "" when not known.
    sex : str
        ``M``, ``F``, ``O`` or "".
    study_time : str
        TM, "" when not known.
    study_uid, series_uid : str
        UIDs of study and series; a series holds the one slide.
    uid_seed : str
        Every other UID is derived from it; another slide needs another seed.
    created : str
        When the case was made, DT with offset (``20260401093000+0900``).
    container_id : str or None
        What stands on the glass.
    specimen_id, specimen_uid, specimen_description : str
        Of the specimen on the glass; "" takes the container's identifier and a
        derived UID.
    series_description : str
        What tells this slide from the others of its case, as its stain.
    send_label, send_macro : bool
        Label and macro pictures show the patient (PRI-04): sent only when asked.
    test : bool
        Carries the mark 試験.
    spacing_um : float or None
        Pixel size attested by a person, in micrometres; used only where the
        file holds none.
    lossy_codec, lossy_quality, lossy_by : str, int, str
        The site's decision to code again with loss what cannot go as it is stored, and
        who made it (:mod:`common.slide_settings`); "", 0 and "": without loss.
    """

    patient_name: str
    patient_id: str
    study_uid: str
    series_uid: str
    uid_seed: str
    created: str
    issuer: str = ""
    birth_date: str = ""
    sex: str = ""
    accession_number: str = ""
    study_date: str = ""
    study_time: str = ""
    study_description: str = ""
    series_number: int = 1
    series_description: str = ""
    container_id: str | None = None
    specimen_id: str = ""
    specimen_uid: str = ""
    specimen_description: str = ""
    institution_name: str = ""
    send_label: bool = False
    send_macro: bool = False
    test: bool = False
    spacing_um: float | None = None
    lossy_codec: str = ""
    lossy_quality: int = 0
    lossy_by: str = ""

    def marked(self, description: str) -> SlideCase:
        """Return the case, with the mark 試験 if the file's description carries it."""
        if self.test or not is_test_description(description):
            return self
        return dataclasses.replace(self, test=True)

    def to_json(self) -> dict[str, Any]:
        """Return the case as plain values for :func:`json.dumps`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, words: dict[str, Any]) -> SlideCase:
        """Make the case again from :meth:`to_json`.

        Raises
        ------
        InputError
            A field is missing, unknown or of another type.
        """
        kinds = typing.get_type_hints(cls)
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name, value in words.items():
            if name not in fields or not _is(value, kinds[name]):
                raise InputError(cause=f"slide case: {name}")
        for name, field in fields.items():
            if name not in words and field.default is dataclasses.MISSING:
                raise InputError(cause=f"slide case: {name}")
        return cls(**words)


def _is(value: object, kind: Any) -> bool:
    if isinstance(kind, types.UnionType):
        return any(_is(value, one) for one in typing.get_args(kind))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind
