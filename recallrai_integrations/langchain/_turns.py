"""Turns of an agent: what its state says of them, and what its answer is."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from langchain_core.messages import AIMessage, BaseMessage
from pydantic import BaseModel

from recallrai_integrations.adapter import Identity
from recallrai_integrations.messages import Message, clean_text

from ._identity import configurable
from ._messages import turn_answer, versioned

__all__ = [
    "Ledger",
    "Storing",
    "as_json",
    "is_resuming",
    "run_answer",
]

_VERSION: Final = 2
_JSON: Final = (dict, list, tuple, str, int, float, bool, type(None))
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
class Ledger:
    """What the agent's state says of us: whose turn it is, and which user messages were handled. No text.

    Args:
        identity: user and thread of the run.
        run: tells runs without a thread apart; "" in a thread.
        turn: the key of the question that is being answered.
        stores: whether this turn is stored.
        seen: keys of the user messages in the state that were handled, stored or not.
    """

    identity: Identity
    run: str
    turn: str
    stores: bool
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
            turn, stores = str(kept["turn"]), bool(kept["stores"])
            return cls(identity, str(kept["run"]), turn, stores, frozenset(kept["seen"]))
        except (KeyError, TypeError):
            return None

    def written(self) -> dict[str, Any]:
        """The ledger as JSON, for the state."""
        return {
            "version": _VERSION,
            "user_id": self.identity.user_id,
            "thread_id": self.identity.thread_id,
            "run": self.run,
            "turn": self.turn,
            "stores": self.stores,
            "seen": sorted(self.seen),
        }


def is_resuming(config: Mapping[str, Any]) -> bool:
    """Whether the run goes on from a checkpoint, and a step may be one that was cut off half-way."""
    return bool(configurable(config).get("__pregel_resuming"))


def run_answer(state: Mapping[str, Any], *, structured: bool, direct: bool) -> Message | None:
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
        return (
            versioned(Message("assistant", clean_text(as_json(response)), id=last_id)) if structured else None
        )
    answer = turn_answer(messages, direct=direct)
    if answer is not None and isinstance(messages[-1], AIMessage) and _NOTICE.match(answer.content):
        return None
    return answer


def as_json(value: Any) -> str:
    """A structured answer as text."""
    return json.dumps(_plain(value), ensure_ascii=False, default=_plain, separators=(",", ":"))


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value if type(value) in _JSON else str(value)
