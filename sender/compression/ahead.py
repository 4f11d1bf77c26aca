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
) -> Generator[Result]:
    """Yield the result for each item in order, while the next ones are made.

    What `work` raises is raised where its result was due.  A caller that stops early
    closes the iterator: what was not begun never is, and at most one item a thread is
    waited for.

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
    """
    remaining = iter(items)
    pending: deque[tuple[int, Future[Result] | Item]] = deque()
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
                pending.append((size, pool.submit(work, item) if size else item))
            if not pending:
                return
            size, first = pending.popleft()
            result = first.result() if isinstance(first, Future) else work(first)
            taken -= size
            del first
            yield result
            del result
    finally:
        pool.shutdown(cancel_futures=True)
