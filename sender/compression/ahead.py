"""Work ahead of the socket, in threads, within a bound, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

BUDGET = 96 << 20  # bytes that may be worked on or ready, unless a single one is larger
SPARE = 4  # results that may be ready beside those being made

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    cost: Callable[[Item], int],
    workers: int,
    budget: int = BUDGET,
    meanwhile: Callable[[Item], Result] | None = None,
    hungry: Callable[[], bool] = lambda: False,
) -> Generator[Result]:
    """Yield the result for each item, while the next ones are made.

    In order, but for what goes `meanwhile`.  What `work` raises is raised where its
    result was due.  A caller that stops early closes the iterator: what was not begun
    never is, and at most one item a thread is waited for.

    Parameters
    ----------
    work : callable
        Called in a thread; it should release the GIL where it takes long.
    cost : callable
        Bytes of an item, before it is worked on; one that costs nothing is worked on
        by the caller, where it is due.
    workers : int
    budget : int
        Bytes of items taken and not yet yielded.
    meanwhile : callable, optional
        Gives at once what can be yielded of an item that no worker has begun.
    hungry : callable
        Asked where a result is due and not ready: whether another item, the last one
        taken, goes meanwhile.
    """
    remaining = iter(items)
    pending: deque[tuple[int, Future[Result] | None, Item]] = deque()
    taken = 0
    more = True
    pool = ThreadPoolExecutor(workers, thread_name_prefix="encode")
    try:
        while more or pending:
            while more and len(pending) < workers + SPARE and (not pending or taken < budget):
                try:
                    item = next(remaining)
                except StopIteration:
                    more = False
                    break
                size = cost(item)
                taken += size
                pending.append((size, pool.submit(work, item) if size else None, item))
            if not pending:
                return
            if meanwhile and _late(pending[0][1]) and hungry() and _put_off(pending[-1][1]):
                size, _, item = pending.pop()
                result = meanwhile(item)
            else:
                size, made, item = pending.popleft()
                result = made.result() if made else work(item)
                del made
            taken -= size
            yield result
            del result
    finally:
        pool.shutdown(cancel_futures=True)


def _late(made: Future[Result] | None) -> bool:
    return made is not None and not made.done()


def _put_off(made: Future[Result] | None) -> bool:
    """Whether no worker has begun it, and none will."""
    return made is not None and made.cancel()
