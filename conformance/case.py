"""What a case is: a permanent id, what is done, what is expected, and what was seen.

A case is a function that takes a :class:`~conformance.session.Session`.  It
returns what it saw, or raises :class:`Failed` or :class:`Skipped`; whatever else
it raises is an *error* of the trial, not a verdict on the receiver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from conformance.session import Session


class Words(NamedTuple):
    """One sentence in both languages."""

    ja: str
    en: str


class Verdict(StrEnum):
    """The four outcomes of a case."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    SKIP = "skip"
    ERROR = "error"


VERDICT_WORDS = {
    Verdict.PASS: Words("合格", "pass"),
    Verdict.FAIL: Words("不合格", "fail"),
    Verdict.SKIP: Words("省略", "skip"),
    Verdict.ERROR: Words("試験できず", "error"),
}


class Need(StrEnum):
    """What a case cannot do without; where it is missing the case is skipped with the reason."""

    TLS = "tls"
    READ_BACK = "read-back"
    ISSUER = "test-ca-key"
    ADMITTED = "admitted"


NEED_WORDS = {
    Need.TLS: Words("TLSなしの受け口です (--no-tls)", "the door is without TLS (--no-tls)"),
    Need.READ_BACK: Words(
        "読み戻す先がありません (--read-back か --query-dicomweb)",
        "nowhere to read back from (--read-back or --query-dicomweb)",
    ),
    Need.ISSUER: Words(
        "試験用の証明書を発行できません (--test-ca-key)",
        "no means to issue test certificates (--test-ca-key)",
    ),
    Need.ADMITTED: Words(
        "正しい証明書でも接続できないため、拒否を見ても何も示せません",
        "the right certificate is not admitted either, so a refusal shows nothing",
    ),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was observed, and a remark where the person should look although it passed."""

    words: Words
    remark: bool = False


def seen(ja: str, en: str, *, remark: bool = False) -> Seen:
    """Return an observation in both languages."""
    return Seen(Words(ja, en), remark)


class Failed(Exception):
    """The receiver did not do what is expected."""

    def __init__(self, ja: str, en: str) -> None:
        self.words = Words(ja, en)
        super().__init__(en)


class Skipped(Exception):
    """The case does not apply to this receiver."""

    def __init__(self, ja: str, en: str) -> None:
        self.words = Words(ja, en)
        super().__init__(en)


Trial = Callable[["Session"], Seen]


@dataclass(frozen=True, slots=True)
class Case:
    """One case of the catalogue; its id never changes and is never used again."""

    id: str
    title: Words
    clauses: tuple[str, ...]
    done: Words
    expected: Words
    needs: tuple[Need, ...]
    trial: Trial


@dataclass(frozen=True, slots=True)
class Result:
    """A case and its outcome."""

    case: Case
    verdict: Verdict
    observed: Words
    remark: bool
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the result for machines."""
        case = self.case
        return {
            "id": case.id,
            "title": case.title._asdict(),
            "clauses": list(case.clauses),
            "done": case.done._asdict(),
            "expected": case.expected._asdict(),
            "verdict": str(self.verdict),
            "observed": self.observed._asdict(),
            "remark": self.remark,
            "seconds": round(self.seconds, 3),
        }


@dataclass(slots=True)
class Area:
    """The cases of one file, all with the same prefix."""

    prefix: str
    title: Words
    cases: list[Case] = field(default_factory=list)

    def case(
        self,
        number: int,
        *,
        title: tuple[str, str],
        clauses: tuple[str, ...],
        done: tuple[str, str],
        expected: tuple[str, str],
        needs: tuple[Need, ...] = (),
    ) -> Callable[[Trial], Trial]:
        """Enter the decorated function as case ``PREFIX-number``.

        Parameters
        ----------
        number : int
            Permanent; a case that is dropped leaves its number empty.
        title, done, expected : tuple of str
            Japanese and English.
        clauses : tuple of str
            Parts and sections of DICOM, RFCs, ids of the requirements.
        needs : tuple of Need
            What the case cannot do without.
        """

        def enter(trial: Trial) -> Trial:
            name = f"{self.prefix}-{number:03d}"
            if name in {case.id for case in self.cases}:
                raise ValueError(f"{name} is taken")
            self.cases.append(
                Case(name, Words(*title), clauses, Words(*done), Words(*expected), needs, trial)
            )
            return trial

        return enter

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)
