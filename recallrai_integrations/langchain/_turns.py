"""Turns of an agent: which messages were handled, how a run is nested, what its answer is."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, cast

from langchain_core.messages import AIMessage, BaseMessage
from pydantic import BaseModel

from recallrai_integrations._flows import rules
from recallrai_integrations.messages import Message, clean_text
from recallrai_integrations.recall import Recall

from ._binding import Identity, configurable
from ._messages import turn_answer

__all__ = [
    "Ledger",
    "Storing",
    "Turn",
    "answer_of",
    "is_inside_tool",
    "is_nested",
    "is_resuming",
    "not_landed",
]

_VERSION: Final = 1
_NOTICE: Final = re.compile(
    r"Model call limits exceeded: |('[^']+' tool|Tool) call limit reached: "
    r"|Model call failed after \d+ attempt"
)
"""What the framework's own limits and retries put into the conversation as if the model had said it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Storing:
    """What a `should_store` hook decides about; True stores it.

    Args:
        message: role, text and id, as they would be stored.
        user_id: whose memory it would go to.
        thread_id: the thread, or None.
        native: the LangChain message.

    Example:
        ```python
        from langchain.agents import create_agent

        from recallrai_integrations import connect
        from recallrai_integrations.langchain import RecallrAIMiddleware, Storing
        from recallrai_integrations.testing.langchain import ScriptedChatModel

        def unless_secret(storing: Storing) -> bool:
            return "password" not in storing.message.content

        with connect(local=":memory:") as connection:
            memory = RecallrAIMiddleware(
                connection, user_id="ada", thread_id="thread-1", should_store=unless_secret
            )
            agent = create_agent(ScriptedChatModel(script=["Noted."]), middleware=[memory])
            agent.invoke({"messages": [("user", "My password is hunter2.")]})
            stored = connection.conversation("ada", "thread-1").history()
            assert [message.content for message in stored] == ["Noted."]
        ```
    """

    message: Message
    user_id: str
    thread_id: str | None
    native: BaseMessage = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True)
class Turn:
    """What this process knows of a user turn.

    Args:
        recall: what was recalled; None when nothing is to be recalled for it.
        question: the user's text as it was stored.
    """

    recall: Recall | None
    question: str | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the agent's state says of us: whose turn it is, and which user messages were handled. No text.

    Args:
        identity: user and thread of the run.
        run: tells runs without a thread apart; "" in a thread.
        seen: ids of the user messages in the state that were handled, stored or not.
    """

    identity: Identity
    run: str
    seen: frozenset[str]

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Ledger | None:
        """The ledger of a state; None in a conversation that is new to us.

        A ledger of another version counts as none: then only the messages behind the last answer are new.
        """
        value = state.get("recallrai")
        if not isinstance(value, Mapping):
            return None
        kept = cast("Mapping[str, Any]", value)
        try:
            if kept["version"] != _VERSION:
                return None
            identity = Identity(str(kept["user_id"]), kept["thread_id"])
            return cls(identity, str(kept["run"]), frozenset(kept["seen"]))
        except (KeyError, TypeError):
            return None

    def written(self) -> dict[str, Any]:
        """The ledger as JSON, for the state."""
        return {
            "version": _VERSION,
            "user_id": self.identity.user_id,
            "thread_id": self.identity.thread_id,
            "run": self.run,
            "seen": sorted(self.seen),
        }


def is_nested(config: Mapping[str, Any]) -> bool:
    """Whether the run belongs to a graph within another one."""
    return len(_levels(config)) > 1


def is_inside_tool(config: Mapping[str, Any]) -> bool:
    """Whether some graph around the run called it from its tools, so that a model wrote the question."""
    return "tools" in _levels(config)[:-1]


def _levels(config: Mapping[str, Any]) -> list[str]:
    namespace = str(configurable(config).get("checkpoint_ns") or "")
    return [level.split(":", 1)[0] for level in namespace.split("|")]


def is_resuming(config: Mapping[str, Any]) -> bool:
    """Whether the run goes on from a checkpoint, and a step may be one that was cut off half-way."""
    return bool(configurable(config).get("__pregel_resuming"))


def not_landed(messages: Sequence[Message], tail: Sequence[Message]) -> list[Message]:
    """Those of a repeated step's messages that its first try had not stored.

    Args:
        messages: questions, or an answer.
        tail: the latest messages of the conversation. What landed stands at its very end, with nothing of
            the other side behind it; the same words further up were said before.
    """
    if not messages or not tail:
        return list(messages)
    last = list(takewhile(lambda one: one.role == messages[0].role, reversed(tail)))
    return rules.unsent(messages, last[::-1])


def answer_of(state: Mapping[str, Any], *, structured: bool, direct: bool) -> Message | None:
    """What the agent answered in the end, as it is stored; None when there is no answer to store.

    Args:
        state: the agent's state when the run has ended.
        structured: a structured response is stored, as JSON.
        direct: the result of a tool with `return_direct` is stored.
    """
    messages = cast("list[BaseMessage]", state["messages"])
    response = state.get("structured_response")
    if response is not None:
        last_id = messages[-1].id if messages else None
        return Message("assistant", clean_text(_json(response)), id=last_id) if structured else None
    answer = turn_answer(messages, direct=direct)
    if answer is not None and isinstance(messages[-1], AIMessage) and _NOTICE.match(answer.content):
        return None
    return answer


def _json(response: Any) -> str:
    if isinstance(response, BaseModel):
        return response.model_dump_json()
    if dataclasses.is_dataclass(response) and not isinstance(response, type):
        response = dataclasses.asdict(response)
    return json.dumps(response, ensure_ascii=False, default=str)
