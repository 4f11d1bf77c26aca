"""The verbs that put something into the outbox and watch it: send, retry, release."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import durable, errors, request, space
from common.errors import (
    DataInUse,
    NotDirect,
    NotFound,
    PatientUnknown,
    PeerError,
    RequestOfAnother,
    RequestUnreadable,
    StorageError,
    UsageError,
)
from common.settings import Sender
from common.states import AT_REST, WORDS, TransferState
from sender import bell, judging
from sender.outbox import Outbox, Transfer, fault, now
from sender.partners import find_partner
from sender.safety import notes
from sender.safety.blocked import Blocked

QUICK = 5.0  # seconds; a daemon that fails sooner ends
STOPPED = (TransferState.HELD, TransferState.FAILED)
#: Held so until a request says of whom the slide is.
NAMELESS = frozenset({PatientUnknown.number, RequestUnreadable.number, RequestOfAnother.number})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is, for a person who waits.

    Attributes
    ----------
    scanned : bool
        Whether the paths have been read.
    held, total : int
        Bytes that the receiver holds, and bytes in all.
    """

    scanned: bool
    finished: bool
    held: int
    total: int


def submit(data: Path, partner: str, paths: list[Path], options: dict[str, Any]) -> int:
    """Put paths into the outbox; return the job's number.

    Raises
    ------
    NotFound
        A path does not exist.
    """
    stills: dict[str, list[Path]] = options.get("stills", {})
    beside = {key: [Path(one) for one in options.get(key, [])] for key in ("priors", "forms")}
    for path in [*paths, *itertools.chain(*stills.values(), *beside.values())]:
        if not path.exists():
            raise NotFound(thing=path)
    options = options | {
        key: [str(_absolute(one)) for one in of] for key, of in beside.items() if of
    }
    if stills:
        named = {kind: [str(_absolute(path)) for path in of] for kind, of in stills.items()}
        options = options | {"stills": named}
    with contextlib.closing(Outbox(data)) as outbox:
        job = outbox.submit(partner, [_absolute(path) for path in paths], options)
    bell.ring(data)
    return job


def _absolute(path: Path) -> Path:
    """Return a path as the person named it: links are not followed, so it is told back so."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links


def work(data: Path, job: int, watch: Callable[[Progress], None], asked: threading.Event) -> None:
    """Bring a job to rest: by a running daemon, or here if there is none.

    Parameters
    ----------
    asked : threading.Event
        Set when the person wants it to end.

    Raises
    ------
    KeyboardInterrupt
        What was begun is kept; ``todoke sender run`` or the same verb goes on.
    """
    watching = threading.Event()
    outbox = Outbox(data)
    try:
        with engine_here(data, lambda box: look(box, job).finished, watching) as here:
            while True:
                progress = look(outbox, job)
                watch(progress)
                # our own engine ends by itself, when the records were sent or tried
                if here() or (progress.finished and here is daemon_works):
                    break
                if asked.is_set():
                    raise KeyboardInterrupt
                watching.wait(0.1)
        watch(look(outbox, job))
    finally:
        outbox.close()


def daemon_works() -> bool:
    """Say of a daemon that it has not ended by itself."""
    return False


@contextlib.contextmanager
def engine_here(
    data: Path, done: Callable[[Outbox], bool], watching: threading.Event
) -> Iterator[Callable[[], bool]]:
    """Run the engine in a thread unless a daemon runs; gives "has it ended by itself".

    Parameters
    ----------
    done : callable
        Given the engine's outbox, whether it may end.
    watching : threading.Event
        Set when it has ended.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(durable.lock(data / "lock"))
        except DataInUse:
            yield daemon_works
            return
        from common import memory
        from sender.doors.commitment import open_doors
        from sender.engine import Engine

        memory.give_back()
        engine = Engine(data)
        held.enter_context(open_doors(engine))
        failure: list[BaseException] = []

        def run() -> None:
            try:
                engine.run(lambda: done(engine.outbox))
            except BaseException as error:  # raised again below
                failure.append(error)
            watching.set()

        thread = threading.Thread(target=run, name="engine")
        thread.start()
        try:
            yield lambda: not thread.is_alive()
        finally:
            engine.end()
            thread.join()
            engine.close()
        if failure:
            raise failure[0]


def look(outbox: Outbox, job: int) -> Progress:
    """Return how far a job is."""
    if not outbox.job(job).scanned:
        return Progress(False, False, 0, 0)
    rest = all(at_rest(transfer) for transfer in outbox.transfers(job))
    sums = outbox.progress(job).values()
    return Progress(True, rest, sum(row[2] for row in sums), sum(row[3] for row in sums))


def at_rest(transfer: Transfer) -> bool:
    """Whether the sender has nothing more to do for a transfer by itself."""
    told = transfer.state is TransferState.ANNOUNCED and transfer.started is not None
    return told or transfer.finished is not None or transfer.state in AT_REST


def describe(outbox: Outbox, transfer: Transfer, *, named: bool = True) -> dict[str, Any]:
    """Return a transfer as ``--json`` shows it.

    Parameters
    ----------
    named : bool
        With the paths that an error is about, which may hold a patient's name: for the
        person who sent them, and not for what watches over the sender.
    """
    error = transfer.error if named or not transfer.error else _unnamed(transfer.error)
    held, total, held_bytes, total_bytes = outbox.progress(transfer.job).get(
        transfer.id, (0, 0, 0, 0)
    )
    words = WORDS[transfer.state]
    return {
        "id": transfer.id,
        "job": transfer.job,
        "partner": transfer.partner,
        "kind": transfer.kind,
        "state": str(transfer.state),
        "state_ja": words.ja,
        "state_en": words.en,
        "priority": transfer.priority,
        "purpose": transfer.purpose,
        "study_uid": transfer.study,
        "test": transfer.test,
        "requested": request.told(transfer.request),
        "prior": request.is_prior(transfer.request),
        "withdrawn": "withdrawn" in transfer.request,
        "instances": outbox.count(transfer.id),
        "held": held,
        "of": total,
        "bytes_held": held_bytes,
        "bytes": total_bytes,
        "digests_equal": bool(transfer.digests_equal),
        "attempts": transfer.attempts,
        "error": error,
        "judgement": transfer.judgement,
        "direct_ja": judging.words_of(transfer.judgement).ja,
        "direct_en": judging.words_of(transfer.judgement).en,
        "notes": notes.of(transfer.request),
        "basis": transfer.request.get("basis"),
        "created": transfer.created,
        "started": transfer.started,
        "delivered": transfer.delivered,
        "finished": transfer.finished,
        "reader": outbox.reader(transfer.partner, transfer.study),
    }


def _unnamed(error: dict[str, str]) -> dict[str, str]:
    """Return an error in the words of its number alone; what is said of a peer stays."""
    kind = errors.of_number(error["number"])
    if issubclass(kind, PeerError | NotDirect):
        return error
    return {**error, **kind().as_json()}


def exit_code(transfers: list[Transfer]) -> int:
    """Return the exit code of the worst transfer, 0 when all is well."""
    codes = [int((t.error or {}).get("exit", 1)) for t in transfers if t.state in STOPPED]
    return max(codes, default=0)


def retry(data: Path, name: str) -> Transfer:
    """Queue a held or failed transfer again.

    Raises
    ------
    UsageError
        It is neither.
    PatientBlocked
    """
    with contextlib.closing(Outbox(data)) as outbox:
        transfer = outbox.transfer(name)
        if transfer.state not in STOPPED:
            raise UsageError(cause=f"{transfer.id}: {transfer.state}")
        _of_somebody(data, transfer)
        _of_something(outbox, transfer)
        if judging.holds(transfer.judgement):
            raise UsageError(cause=f"todoke sender release {transfer.id[:8]} --as 参考")
        outbox.set_state(transfer.id, TransferState.QUEUED, finished=None, error=None, attempts=0)
        bell.ring(data)
        return outbox.transfer(transfer.id)


def _of_somebody(data: Path, transfer: Transfer) -> None:
    """Refuse what no name can stand in for: its patient is not known, or objects."""
    if transfer.error and transfer.error["number"] in NAMELESS:
        raise UsageError(cause=f"todoke sender request {transfer.id[:8]} --patient-id")
    Blocked(data).check(transfer.attributes)


def _of_something(outbox: Outbox, transfer: Transfer) -> None:
    """Refuse to send an announcement that ended as if it had images."""
    if outbox.count(transfer.id) == 0:
        raise UsageError(cause=f"{transfer.id}: todoke sender announce")


def release(
    data: Path, name: str, *, by: str, reason: str, to: str | None = None, way: str | None = None
) -> Transfer:
    """Let a held transfer go on, in a person's name.

    Parameters
    ----------
    to : str, optional
        The partner, where no rule named one.
    way : {'reference', 'direct'}, optional
        As 参考, which anything can be; or confirmed as direct, where only guesses speak
        against it (DIR-16).  Without it, what must not go as direct transmission stays held.

    Raises
    ------
    UsageError
        It is not held, no person or reason is named, or it is no guess that holds it.
    PatientBlocked
    """
    if not by.strip() or not reason.strip():
        raise UsageError(cause="--by, --reason")
    with contextlib.closing(Outbox(data)) as outbox:
        transfer = outbox.transfer(name)
        if transfer.state is not TransferState.HELD:
            raise UsageError(cause=f"{transfer.id}: {transfer.state}")
        _of_somebody(data, transfer)
        _of_something(outbox, transfer)
        if not (to or transfer.partner):
            raise UsageError(cause="--to")
        partner = find_partner(data, to).key if to else transfer.partner
        said = {"by": by, "reason": reason, "at": now()}
        judgement = _judged_anew(data, outbox, transfer, partner, way, said)
        request = transfer.request | {"released": said}
        values: dict[str, Any] = {
            "partner": partner,
            "opening": None,
            "request": json.dumps(request, ensure_ascii=False),
            "judgement": json.dumps(judgement, ensure_ascii=False),
        }
        if judgement and judging.holds(judgement):  # what it was held for before is settled
            if (transfer.error or {}).get("number") != NotDirect.number:
                error = fault(NotDirect(**judging.why(judgement)))
                outbox.keep(transfer.id, error=error, **values)
                return outbox.transfer(transfer.id)
            raise UsageError(cause=f"todoke sender release {transfer.id[:8]} --as 参考")
        state = TransferState.QUEUED
        outbox.set_state(transfer.id, state, finished=None, error=None, **values)
        bell.ring(data)
        return outbox.transfer(transfer.id)


def _judged_anew(
    data: Path, outbox: Outbox, transfer: Transfer, partner: str, way: str | None, said: Any
) -> dict[str, Any]:
    """Return how a transfer is judged for a partner, after what a person has decided."""
    if not transfer.judgement:  # of an older program
        return {}
    judgement = transfer.judgement
    if partner != transfer.partner:
        from sender import declaring

        house = declaring.house_of(outbox)
        if (ends := house.ends(partner)) is not None:
            judgement = judging.towards(judgement, ends, house.site)
    if way is None:
        return judgement
    if way == "direct" and judging.holds(judgement) and not judging.confirmable(judgement):
        raise UsageError(cause="--as direct; --as 参考")
    return judging.released(judgement, way, said["by"], said["reason"], said["at"])


def recall(data: Path, name: str, *, by: str, reason: str) -> Transfer:
    """Take a transfer back, in a person's name: the receiver hides what it has of it.

    Raises
    ------
    UsageError
        It is recalled already, or no person or reason is named.
    """
    if not by.strip() or not reason.strip():
        raise UsageError(cause="--by, --reason")
    with contextlib.closing(Outbox(data)) as outbox:
        transfer = outbox.transfer(name)
        if transfer.state is TransferState.RECALLED:
            raise UsageError(cause=f"{transfer.id}: {transfer.state}")
        recalled = {"by": by, "reason": reason, "at": now(), "was": str(transfer.state)}
        request = json.dumps(transfer.request | {"recalled": recalled}, ensure_ascii=False)
        outbox.set_state(transfer.id, TransferState.RECALLED, finished=now(), request=request)
        bell.ring(data)
        return outbox.transfer(transfer.id)


def disk(data: Path) -> dict[str, Any]:
    """Return the room on our own disk, as ``status`` shows it."""
    mark = Sender.load(data).keep_free_mb * space.MIB
    left = space.free(data)
    low = space.Space(data, mark).low()
    return {"free": left.size, "free_names": left.names, "keep_free": mark, "low": low}


def begin_again(begun: float) -> Callable[[StorageError], None]:
    """Return what begins the daemon anew in this process, after a failure of the disk.

    Nobody need watch over it: the program is loaded again, and nothing of the old one
    is left but its process id.  Windows has no such call; there, and when the disk
    fails at once again, the daemon ends and its service manager knows.

    Parameters
    ----------
    begun : float
        When this run began, by :func:`time.monotonic`.
    """

    def again(_failure: StorageError) -> None:
        if os.name != "nt" and time.monotonic() - begun >= QUICK:
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606

    return again
