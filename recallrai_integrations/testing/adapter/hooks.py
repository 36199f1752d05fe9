"""The hooks that a suite implements for its framework: a turn, and one for each optional ability."""

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
    """The result of a turn of the adapter under test.

    Args:
        answer: the text that the user sees.
        prompts: everything the model received, one text per request, including the system prompt.
        kept: everything the framework keeps of the turn, as text: saved sessions, states, histories,
            checkpoints, results that an application may save. None if the suite does not check this.

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
        lacks: abilities that the framework does not have, by name, each with the reason. An ability
            that a suite
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
        """Runs the framework once with the adapter and a fake model, to its normal end.

        The answer must not quote the prompt. Let errors of the framework through, whether they are ours or
        have ours as their cause; if the framework raises none, raise `RunFailed`.

        Args:
            connection: for the adapter.
            user_id: to be put where the framework keeps it; None leaves it out.
            thread_id: the same.
            text: the user's message.
        """

    def stream(self, connection: Connection, user_id: str, thread_id: str, text: str) -> Turned:
        """Runs `turn` as a stream that is read to the end."""
        raise NotImplementedError

    def leave(self, connection: Connection, user_id: str, thread_id: str, text: str) -> Turned:
        """Runs `turn` as a stream, abandoned after its first piece; returns the model's complete answer."""
        raise NotImplementedError

    def cancel(
        self, connection: Connection, user_id: str, thread_id: str, text: str
    ) -> Coroutine[Any, Any, None] | None:
        """Runs `turn` in a task that is cancelled while the model works."""
        raise NotImplementedError

    def fail(
        self, connection: Connection, user_id: str, thread_id: str | None, text: str
    ) -> Coroutine[Any, Any, None] | None:
        """Runs `turn` with a model that raises an error, and catches it."""
        raise NotImplementedError

    def retry(self, connection: Connection, user_id: str, thread_id: str, text: str) -> Turned:
        """Runs `turn` with a model that fails once, and with the framework's retry of the whole run."""
        raise NotImplementedError

    def narrate(self, connection: Connection, user_id: str, thread_id: str, text: str) -> Turned:
        """Runs `turn` with a model whose first message has `narration` and a tool call; then it answers."""
        raise NotImplementedError

    def delegate(self, connection: Connection, user_id: str, thread_id: str, text: str) -> Turned:
        """Runs `turn` with a tool that is an agent with the adapter too, called with `delegated`.

        The prompts are those of both agents.
        """
        raise NotImplementedError

    def hand_off(self, connection: Connection, user_id: str, thread_id: str, text: str) -> Turned:
        """Runs `turn` with an agent that hands over to another one, which answers the user."""
        raise NotImplementedError

    def pause(
        self, connection: Connection, user_id: str, thread_id: str, text: str
    ) -> str | Coroutine[Any, Any, str]:
        """Runs `turn` up to a tool that needs approval; returns what an application saves of it."""
        raise NotImplementedError

    def resume(self, connection: Connection, user_id: str, thread_id: str, saved: str) -> Turned:
        """Runs the rest of a run from `pause`, approved, with new objects, as in another process.

        The prompts are those of the rest.
        """
        raise NotImplementedError

    def at_once(
        self, connection: Connection, asked: Sequence[tuple[str, str, str]]
    ) -> list[Answered] | Coroutine[Any, Any, list[Answered]]:
        """Runs several turns in parallel on one adapter object, each with (user_id, thread_id, text)."""
        raise NotImplementedError

    def _implements(self, ability: str) -> bool:
        return getattr(type(self), ability) is not getattr(Hooks, ability)

    def _needs(self, ability: str) -> None:
        """Skips a test whose ability is missing; another test says so where it is not in `lacks`."""
        if ability in self.lacks or (ability != "kept" and not self._implements(ability)):
            pytest.skip(f"{ability}: {self.lacks.get(ability, 'not implemented')}")


def done(turned: T | Coroutine[Any, Any, T]) -> T:
    """Returns the result of a sync or async hook."""
    if isinstance(turned, Coroutine):
        return asyncio.run(cast("Coroutine[Any, Any, T]", turned))
    return turned
