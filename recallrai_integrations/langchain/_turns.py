"""Turns of an agent: which messages were handled, how a run is nested, what its answer is."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any, Final, cast

from langchain_core.messages import AIMessage, BaseMessage
from pydantic import BaseModel

from recallrai_integrations._flows import rules
from recallrai_integrations.adapter import TurnCache
from recallrai_integrations.messages import Message, clean_text, fingerprint
from recallrai_integrations.recall import Recall

from ._binding import Identity, configurable
from ._messages import conversation_of, question_keys, turn_answer, turn_questions, versioned

__all__ = [
    "Asked",
    "Handed",
    "Ledger",
    "Storing",
    "Turn",
    "answer_of",
    "as_json",
    "is_resuming",
    "not_landed",
]

_VERSION: Final = 2
_SEEN_KEPT: Final = 50  # of the latest user messages; older ones stand before an answer anyway
_CONVERSATIONS_KEPT: Final = 10_000
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


@dataclass(frozen=True, slots=True)
class Asked:
    """What a conversation asks now: the user's latest message, and what stands around it.

    Args:
        native: that message; None where the user said nothing.
        key: tells it apart from all others.
        keys: of the latest user messages, itself included.
        before: the conversation up to it.
        behind: what stands behind it: nothing, a tool loop, a hand-over by another agent, an answer.
    """

    native: BaseMessage | None
    key: str
    keys: frozenset[str]
    before: Sequence[BaseMessage]
    behind: Sequence[BaseMessage]

    @classmethod
    def of(cls, messages: Sequence[BaseMessage]) -> Asked:
        """What is asked in the messages of a state."""
        keys = question_keys(messages)
        if not keys:
            return cls(None, "", frozenset(), messages, ())
        place = max(keys)
        latest = frozenset(islice(reversed(keys.values()), _SEEN_KEPT))
        return cls(messages[place], keys[place], latest, messages[: place + 1], messages[place + 1 :])

    @property
    def has_id(self) -> bool:
        """Whether it can be told apart from the same words, said at another time."""
        return self.native is not None and bool(self.native.id)

    def continues(self, turn: str) -> bool:
        """Whether a turn is under way: the model called tools, and has not answered yet.

        Its question may look otherwise by now, where a middleware behind us redacts it.
        """
        same_message = self.key.rsplit("#", 1)[0] == turn.rsplit("#", 1)[0]
        return self.key == turn or (same_message and bool(self.behind) and not conversation_of(self.behind))

    def questions(self, seen: Collection[str] = ()) -> list[Message]:
        """What is new of what the user said, oldest first."""
        return turn_questions(self.before, seen)

    def not_landed(self, questions: Sequence[Message], tail: Sequence[Message]) -> list[Message]:
        """Those of the questions that are not in the thread yet.

        Args:
            questions: of this conversation, as they would be recorded.
            tail: the latest messages of the thread. What landed stands at its end. Behind it may be answers
                that this conversation has too; or another answer, where the one before the question is the
                same: then this one is generated anew.
        """
        if not questions or not tail:
            return list(questions)
        said = [(one.role, one.content) for one in tail]
        asked = [(one.role, one.content) for one in questions]
        earlier = conversation_of(self.before)[: -len(asked)]
        unanswered = len(said)
        while unanswered and said[unanswered - 1][0] == "assistant":
            unanswered -= 1
        if earlier and said[:unanswered][-len(asked) - 1 :] == [
            (earlier[-1].role, earlier[-1].content),
            *asked,
        ]:
            return []
        answered = {(one.role, one.content) for one in conversation_of(self.behind)}
        while said and said[-1] in answered:
            said.pop()
        return not_landed(questions, tail[: len(said)])


class Handed:
    """Conversations that were handed over whole, by servers that keep none.

    Such a server hands over the same conversation again when an answer is to be generated anew, with fresh
    ids or none; and the turn before may have been another process's.
    """

    def __init__(self) -> None:
        self._known = TurnCache[bool](_CONVERSATIONS_KEPT)

    def in_doubt(self, connection: object, identity: Identity, asked: Asked) -> bool:
        """Whether the question may be in the thread already, so that the thread has to be read."""
        if asked.behind or identity.thread_id is None:
            return bool(asked.behind)
        thread = (connection, identity)
        said = conversation_of(asked.before)
        digest = (thread, fingerprint(Message("user", "\n".join(map(fingerprint, said)))))
        known, again = self._known.get(thread), self._known.get(digest)
        self._known.put(thread, True)
        self._known.put(digest, True)
        handed_whole = any(one.role == "assistant" for one in said)
        return handed_whole and (again is not None or known is None)


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
        return (
            versioned(Message("assistant", clean_text(as_json(response)), id=last_id)) if structured else None
        )
    answer = turn_answer(messages, direct=direct)
    if answer is not None and isinstance(messages[-1], AIMessage) and _NOTICE.match(answer.content):
        return None
    return answer


def as_json(response: Any) -> str:
    if isinstance(response, BaseModel):
        return response.model_dump_json()
    if dataclasses.is_dataclass(response) and not isinstance(response, type):
        response = dataclasses.asdict(response)
    return json.dumps(response, ensure_ascii=False, default=str)
