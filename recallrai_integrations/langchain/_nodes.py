"""Nodes of plain graphs: runnables in both colours that say what they read of a run's config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.runnables.utils import ConfigurableFieldSpec
from typing_extensions import override

from recallrai_integrations.adapter import (
    Binding,
    Identity,
    Steps,
    TurnCache,
    Twin,
    arun,
    ending_run,
    recording,
    run,
)
from recallrai_integrations.conversation import Conversation

from ._asked import Asked, Handed
from ._identity import config_specs, places
from ._messages import conversation_of, turn_answer
from ._provenance import Nesting, outermost
from ._turns import is_resuming

__all__ = ["Finishing", "MemoryNode", "NodeWork", "Recalling", "Remembering"]

_open_turns = TurnCache[Conversation](10_000)
"""Conversations whose question was stored and whose answer is awaited, for all nodes of this process."""
_handed = Handed()


class NodeWork(Protocol):
    """What a node does, in both colours; an object of a module, so that nodes can be pickled."""

    @property
    def binding(self) -> Binding:
        """The connection and the identity of the node."""
        ...

    def run(self, state: Any, config: RunnableConfig, /) -> dict[str, Any]:
        """The update of a state."""
        ...

    async def arun(self, state: Any, config: RunnableConfig, /) -> dict[str, Any]:
        """The async twin of `run`."""
        ...


class MemoryNode(RunnableLambda[Any, dict[str, Any]]):
    """A node; `finish_node` and the like make one."""

    def __init__(self, work: NodeWork, name: str) -> None:
        super().__init__(work.run, afunc=work.arun, name=name)
        self._binding = work.binding

    @property
    @override
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        return config_specs(self._binding)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """What a node is asked to do in one run of it."""

    messages: list[BaseMessage]
    identity: Identity
    asked: Asked
    stores: bool
    key: tuple[Any, ...]

    def opened(self, conversation: Conversation) -> Conversation | None:
        """The conversation that has its question already."""
        return _open_turns.get((conversation.connection, *self.key))

    def open(self, conversation: Conversation) -> None:
        _open_turns.put((conversation.connection, *self.key), conversation)

    def close(self, conversation: Conversation) -> None:
        _open_turns.drop((conversation.connection, *self.key))


@dataclass(frozen=True, slots=True)
class _Step:
    """What the nodes of a turn have in common."""

    binding: Binding
    messages_key: str
    nesting: Nesting

    def run(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        return run(self._steps(state, config))

    async def arun(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        return await arun(self._steps(state, config))

    def _steps(self, state: Any, config: RunnableConfig) -> Steps[dict[str, Any]]:
        raise NotImplementedError

    def _turn(self, state: Any, config: RunnableConfig) -> _Turn | None:
        """Which turn it is; None where there is nothing to do."""
        if self.nesting.is_off(config):
            return None
        given = (
            cast("Mapping[str, Any]", state).get(self.messages_key, [])
            if isinstance(state, Mapping)
            else getattr(state, self.messages_key)
        )
        messages = convert_to_messages(given)
        identity = self.binding.identity(*places(config))
        asked = Asked.of(messages)
        told_apart = asked.key if asked.has_id else (asked.key, outermost(config))
        return _Turn(
            messages=messages,
            identity=identity,
            asked=asked,
            stores=self.nesting.stores(asked.native, config),
            key=(identity, told_apart),
        )


@dataclass(frozen=True, slots=True)
class Recalling(_Step):
    """Stores the question and writes the memories to the state."""

    context_key: str

    @override
    def _steps(self, state: Any, config: RunnableConfig) -> Steps[dict[str, Any]]:
        turn = self._turn(state, config)
        questions = [] if turn is None else turn.asked.questions()
        if turn is None or not questions or not (turn.stores or turn.identity.thread_id):
            return {self.context_key: ""}
        conversation = yield from self.binding.opening(turn.identity)
        if (opened := turn.opened(conversation)) is not None:
            conversation = opened
        elif turn.stores:
            doubtful = _handed.in_doubt(conversation.connection, turn.identity, turn.asked)
            landed = partial(turn.asked.not_landed, questions)
            yield from recording(
                conversation, questions, in_doubt=landed if doubtful or is_resuming(config) else None
            )
            turn.open(conversation)
        recalled = yield from Twin(
            conversation.recall,
            conversation.arecall,
            options=self.binding.recall,
            context=self.binding.context,
        )
        return {self.context_key: recalled.prompt(sent=conversation_of(turn.messages)).text}


@dataclass(frozen=True, slots=True)
class Remembering(_Step):
    """Stores the answer, and the question where nobody did."""

    @override
    def _steps(self, state: Any, config: RunnableConfig) -> Steps[dict[str, Any]]:
        turn = self._turn(state, config)
        if turn is not None and turn.stores:
            conversation = yield from self.binding.opening(turn.identity)
            opened = turn.opened(conversation)
            if opened is not None and turn.identity.thread_id is None:
                conversation = opened
            questions = [] if opened is not None else turn.asked.questions()
            # Without an open turn there is no recall node, or it ran in another process.
            landed = partial(turn.asked.not_landed, questions)
            yield from recording(conversation, questions, in_doubt=landed)
            answer = turn_answer(turn.messages)
            yield from recording(conversation, [] if answer is None else [answer])
            turn.close(conversation)
            yield from ending_run(conversation)
        return {}


@dataclass(frozen=True, slots=True)
class Finishing:
    """Ends the conversation of the run."""

    binding: Binding
    wait: bool | float

    def run(self, _: Any, config: RunnableConfig) -> dict[str, Any]:
        self.binding.conversation(self.binding.identity(*places(config))).finish(self.wait)
        return {}

    async def arun(self, _: Any, config: RunnableConfig) -> dict[str, Any]:
        conversation = await self.binding.aconversation(self.binding.identity(*places(config)))
        await conversation.afinish(self.wait)
        return {}
