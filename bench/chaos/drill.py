"""One application's process of a drill: `python -m bench.chaos.drill '{"url": …}'`; see `Order`.

It records numbered messages in one thread, with recalls, ends, clearings, imports and deletions of another
user in between, while its calls are interrupted by signals or cancelled. A journal says of each message
whether `record` returned; a message whose call ended otherwise may be stored or not, but not twice.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from recallrai_integrations import Connection, DeliveryOptions, RecallrAIIntegrationError, connect

DUE, MAYBE, ENDED, LOCKED = "due", "maybe", "ended", "locked"
TIMEOUT = 0.5
SETTLING = 1.5
LATE = 0.8
"""Seconds: what a request may take, what is waited for it to settle, when late ones take effect at most."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a process of a drill does.

    Args:
        url: of the service.
        journal: where it tells what became of its messages.
        user: whose thread it writes in.
        name: begins each of its messages.
        count: how many messages.
        disturbed: how its calls are ended early.
        mode: of delivery.
        outbox: a path, or None for memory.
        seed: of its dice.
    """

    url: str
    journal: str
    user: str
    name: str
    count: int
    disturbed: Literal["signals", "cancellations", "kills"]
    mode: Literal["inline", "background"]
    outbox: str | None
    seed: int = 0

    def text(self) -> str:
        return json.dumps(asdict(self))


class Interrupted(BaseException):
    """What the signal handler raises."""


def journal_of(file: Path) -> list[tuple[str, str]]:
    """What was written: the fate and the text of each message, in order."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [(fate, text) for fate, _, text in (line.partition(" ") for line in lines)]


class _Drill:
    def __init__(self, order: Order, connection: Connection) -> None:
        self.order = order
        self.connection = connection
        self.conversation = connection.conversation(order.user, "shared")
        self.other = f"{order.user}-other"
        self._dice = random.Random(order.seed)
        self._journal = Path(order.journal).open("ab", buffering=0)  # noqa: SIM115 - as long as the process
        self._begun = len([fate for fate, _ in journal_of(Path(order.journal)) if fate == "begun"])

    def numbers(self) -> range:
        return range(self._begun, self.order.count)

    def tell(self, fate: str, text: str = "") -> None:
        self._journal.write(f"{fate} {text}\n".encode())

    def text(self, number: int) -> str:
        return f"{self.order.name} {number:05d}"

    def calls(self, number: int) -> Generator[tuple[Callable[..., Any], tuple[Any, ...]]]:
        """What a turn does beside recording: methods, of which async code calls the twin."""
        if number % 3 == 0:
            yield self.conversation.recall, ()
        if number % 10 == 4:
            yield self.conversation.end_run, ()
        if number % 20 == 7:
            yield self.conversation.finish, ()
        if number % 25 == 12:
            yield self.conversation.clear, ()
        if number % 25 == 18:
            said = [{"role": "user", "content": f"imported {number}"}]
            yield self.connection.import_user, (self.other, [{"messages": said}])
        if number % 25 == 21:
            yield self.connection.forget, (self.other,)

    def within(self) -> float:
        """Seconds after which a call is ended early, if it lasts so long."""
        return self._dice.choice((0.001, 0.01, 0.1, 5.0, 5.0)) * self._dice.random()

    def steps(self, most: int) -> int:
        return self._dice.randrange(1 + self._dice.choice((8, 40, 300, most, most)))


def interrupt(drill: _Drill) -> None:
    """Interrupts calls of the main thread by a signal whose handler raises."""

    def strike(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted

    signal.signal(signal.SIGALRM, strike)

    def attempt(call: Callable[[], object]) -> bool:
        done = False
        try:
            signal.setitimer(signal.ITIMER_REAL, drill.within() + 1e-6)
            call()
            done = True
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Interrupted:
            pass
        except RecallrAIIntegrationError as error:  # forget and import always raise in an outage
            signal.setitimer(signal.ITIMER_REAL, 0)
            drill.tell("error", f"{type(error).__name__}")
        return done

    for number in drill.numbers():
        text = drill.text(number)
        drill.tell("begun", text)
        drill.tell(
            DUE if attempt(lambda text=text: drill.conversation.record(("user", text))) else MAYBE, text
        )
        for method, arguments in drill.calls(number):
            attempt(lambda method=method, arguments=arguments: method(*arguments))


async def cancel(drill: _Drill) -> None:
    """Cancels calls after so many iterations of the event loop, which sweep over all of their awaits."""

    def twin(method: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        return getattr(method.__self__, f"a{method.__name__}")  # type: ignore[attr-defined, no-any-return]

    async def attempt(call: Awaitable[Any], steps: int) -> bool:
        task = asyncio.ensure_future(call)
        for _ in range(steps):
            if task.done():
                break
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return False
        except RecallrAIIntegrationError as error:  # as in `interrupt`
            drill.tell("error", f"{type(error).__name__}")
            return False
        return True

    for number in drill.numbers():
        text = drill.text(number)
        drill.tell("begun", text)
        recorded = await attempt(drill.conversation.arecord(("user", text)), drill.steps(200_000))
        drill.tell(DUE if recorded else MAYBE, text)
        for method, arguments in drill.calls(number):
            await attempt(twin(method)(*arguments), drill.steps(200_000))


def run_until_killed(drill: _Drill) -> None:
    """Is not disturbed from within: others kill it."""
    for number in drill.numbers():
        text = drill.text(number)
        drill.tell("begun", text)
        drill.conversation.record(("user", text))
        drill.tell(DUE, text)
        if number % 5 == 0:
            drill.conversation.recall()


def main(order: Order) -> None:
    connection = connect(
        api_key="rai_local",
        project_id="local",
        base_url=order.url,
        timeout=TIMEOUT,
        delivery=DeliveryOptions(
            mode=order.mode,
            outbox=order.outbox,
            settling_time=SETTLING,
            recall_deadline=1.0,
            breaker_threshold=1_000_000,
            breaker_reset=0.5,
        ),
    )
    drill = _Drill(order, connection)
    if order.disturbed == "signals":
        interrupt(drill)
    elif order.disturbed == "cancellations":
        asyncio.run(cancel(drill))
    else:
        run_until_killed(drill)
    ended = threading.Thread(target=_end, args=(drill,), daemon=True)
    ended.start()
    ended.join(60)
    drill.tell(LOCKED if ended.is_alive() else ENDED)


def _end(drill: _Drill) -> None:
    """Delivers what is left; what never returns has found a lock that nobody holds."""
    while drill.conversation.flush():
        pass
    drill.connection.close()


if __name__ == "__main__":
    main(Order(**json.loads(sys.argv[1])))
