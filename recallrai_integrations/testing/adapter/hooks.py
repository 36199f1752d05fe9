"""What a suite tells of its framework: a turn, and a hook for each thing that not all frameworks can do."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar, cast

import pytest

from recallrai_integrations import Connection

__all__ = ["ABILITIES", "Answered", "Hooks", "RunFailed", "Turned", "done"]

T = TypeVar("T")

ABILITIES: Final = (
    "kept",
    "stream",
    "leave",
    "cancel",
    "fail",
    "retry",
    "narrate",
    "delegate",
    "hand_off",
    "pause",
    "at_once",
)
"""`kept` is a field of `Answered`; all others are hooks. `pause` comes with `resume`."""


class RunFailed(Exception):  # noqa: N818 - the framework's word: it has no error
    """To be raised by a hook, with the framework's text, where it returns a run with the status of an error.

    Example:
        ```python
        from recallrai_integrations.testing import RunFailed

        def checked(run):
            if run["status"] == "error":
                raise RunFailed(run["content"])
            return run
        ```
    """


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a turn of the adapter under test.

    Args:
        answer: what the user gets to see.
        prompts: all that the model was sent, one text for each request of the turn, system prompt included.
        kept: all that the framework keeps of the turn, as text: saved sessions, states, histories,
            checkpoints, results that an application may save. None when the suite does not look.

    Example:
        ```python
        from recallrai_integrations.testing import Answered

        answered = Answered("Biscuit.", prompts=["Known: the dog is called Biscuit. My dog's name?"])
        assert "Biscuit" in answered.prompts[0]
        ```
    """

    answer: str
    prompts: Sequence[str]
    kept: Sequence[str] | None = None


Turned: TypeAlias = Answered | Coroutine[Any, Any, Answered]


class Hooks(ABC):
    """The hooks of a suite. Each may be a coroutine function; it then has an event loop of its own.

    Attributes:
        lacks: abilities that the framework does not have, by name, each with the reason. Whatever a suite
            neither implements nor lists here makes a test fail.
        narration: what the model says in `narrate` while it calls a tool.
        delegated: the question that the model writes in `delegate`.
        where: what the error for a missing user must name: where the framework takes identity from.
    """

    lacks: Mapping[str, str] = MappingProxyType({})
    narration = "Let me look that up for you."
    delegated = "Summarise what there is to know about household pets."
    where = "user_id"

    @abstractmethod
    def turn(self, connection: Connection, user_id: str | None, thread_id: str | None, text: str) -> Turned:
        """One run of the framework with the adapter and a fake model, to its normal end.

        The answer is not to quote the prompt. Errors come as the framework raises them, as they are or as
        the cause of its own; where it has none, raise `RunFailed`.

        Args:
            connection: what the adapter is given.
            user_id: where the framework keeps it; None leaves it out.
            thread_id: the same.
            text: what the user says.
        """

    def stream(self, connection: Connection, user_id: str, thread_id: str, text: str) -> Turned:
        """`turn`, streamed, and read to the end."""
        raise NotImplementedError

    def leave(self, connection: Connection, user_id: str, thread_id: str, text: str) -> Turned:
        """`turn`, streamed, and left behind its first piece; the answer is the whole one of the model."""
        raise NotImplementedError

    def cancel(
        self, connection: Connection, user_id: str, thread_id: str, text: str
    ) -> Coroutine[Any, Any, None] | None:
        """`turn` in a task that is cancelled while the model is at work."""
        raise NotImplementedError

    def fail(
        self, connection: Connection, user_id: str, thread_id: str | None, text: str
    ) -> Coroutine[Any, Any, None] | None:
        """`turn` with a model that raises an error, which is caught here."""
        raise NotImplementedError

    def retry(self, connection: Connection, user_id: str, thread_id: str, text: str) -> Turned:
        """A run that fails in the model and is run as a whole again, as the framework does that."""
        raise NotImplementedError

    def narrate(self, connection: Connection, user_id: str, thread_id: str, text: str) -> Turned:
        """`turn` with a model that first says `narration` and calls a tool, in one message, then answers."""
        raise NotImplementedError

    def delegate(self, connection: Connection, user_id: str, thread_id: str, text: str) -> Turned:
        """`turn` with a tool that is an agent with the adapter too, called with `delegated`.

        The prompts are those of both agents.
        """
        raise NotImplementedError

    def hand_off(self, connection: Connection, user_id: str, thread_id: str, text: str) -> Turned:
        """`turn` with an agent that hands over to another one, which answers the user."""
        raise NotImplementedError

    def pause(
        self, connection: Connection, user_id: str, thread_id: str, text: str
    ) -> str | Coroutine[Any, Any, str]:
        """`turn` up to a tool that needs somebody's approval; returns what an application saves of it."""
        raise NotImplementedError

    def resume(self, connection: Connection, user_id: str, thread_id: str, saved: str) -> Turned:
        """The rest of a run from `pause`, approved, with new objects, as in another process.

        The prompts are those of the rest.
        """
        raise NotImplementedError

    def at_once(
        self, connection: Connection, asked: Sequence[tuple[str, str, str]]
    ) -> list[Answered] | Coroutine[Any, Any, list[Answered]]:
        """Turns at the same time on one and the same adapter object, each of (user_id, thread_id, text)."""
        raise NotImplementedError

    def _implements(self, ability: str) -> bool:
        return getattr(type(self), ability) is not getattr(Hooks, ability)

    def _needs(self, ability: str) -> None:
        """Skips a test whose ability is missing; another test says so where it is not in `lacks`."""
        if ability in self.lacks or (ability != "kept" and not self._implements(ability)):
            pytest.skip(f"{ability}: {self.lacks.get(ability, 'not implemented')}")


def done(turned: T | Coroutine[Any, Any, T]) -> T:
    """What a hook of either colour returns."""
    if isinstance(turned, Coroutine):
        return asyncio.run(cast("Coroutine[Any, Any, T]", turned))
    return turned
