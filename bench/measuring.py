"""Time and processor time of turns, taken by turns, so that a busy moment of the machine hits all alike."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

Turn = Callable[[int], object]


@dataclass(frozen=True)
class Cost:
    """The median of some turns, in seconds."""

    elapsed: float
    processor: float


def compare(ways: Sequence[Turn], rounds: int, *, warm_up: int = 2) -> list[Cost]:
    """What each way costs, in the median; each round asks all of them the same, in changing order."""
    taken: list[list[Cost]] = [[] for _ in ways]
    with no_collection():
        for n in range(rounds + warm_up):
            gc.collect()
            order = range(len(ways)) if n % 2 else reversed(range(len(ways)))
            for place in order:
                cost = cost_of(ways[place], n)
                if n >= warm_up:
                    taken[place].append(cost)
    return [medians(costs) for costs in taken]


def cost_of(turn: Turn, n: int) -> Cost:
    """What one turn costs, in all threads of this process."""
    processor, elapsed = time.process_time(), time.perf_counter()
    turn(n)
    return Cost(time.perf_counter() - elapsed, time.process_time() - processor)


def medians(costs: Sequence[Cost]) -> Cost:
    """Each figure's median."""
    return Cost(median(one.elapsed for one in costs), median(one.processor for one in costs))


def on_loop(loop: asyncio.AbstractEventLoop, turn: Callable[[int], Coroutine[Any, Any, object]]) -> Turn:
    """An async turn as a sync one, so that both colours are measured by the same code."""
    return lambda n: loop.run_until_complete(turn(n))


@contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop of one's own, with what it left open closed at the end."""
    loop = asyncio.new_event_loop()
    try:
        yield loop
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


@contextmanager
def no_collection() -> Iterator[None]:
    """Keeps the garbage collector from landing in one turn and not in the next.

    What is there already is set aside: collections between turns would walk through all of it, and whoever
    comes first afterwards would find the processor's caches empty.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
