"""What an agent's hooks have to do for memory: decided from state and config, without I/O."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, cast, get_args

from langchain.agents.middleware import AgentState
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig

from recallrai_integrations.adapter import TurnCache
from recallrai_integrations.errors import InvalidInputError
from recallrai_integrations.messages import Message
from recallrai_integrations.recall import Recall

from ._binding import Binding, Identity
from ._messages import from_langchain, is_user, last_user, turn_questions
from ._turns import Ledger, Storing, Turn, answer_of, is_inside_tool, is_nested, is_resuming

__all__ = ["Nested", "Planner", "Step"]

Nested = Literal["auto", "store", "recall_only", "off"]
_SEEN_KEPT = 50  # of the latest user messages; older ones stand before an answer anyway

logger = logging.getLogger("recallrai_integrations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a hook has to do.

    Args:
        ledger: whose conversation it is.
        turn: which turn of it, for `Planner.keep`.
        messages: to be stored.
        in_doubt: they may have been stored by a step that was cut off.
        question: the user's text as it is stored.
        recalls: nothing was recalled for this turn yet.
        update: of the agent's state.
    """

    ledger: Ledger
    turn: Hashable
    messages: list[Message]
    in_doubt: bool
    question: str | None = None
    recalls: bool = False
    update: dict[str, Any] | None = None


class Planner:
    """Decides for one middleware.

    Args:
        binding: whose memory runs are about.
        nested: what agents within graphs do.
        should_store: the application's word on each message.
        structured: structured responses are stored.
        direct: results of tools with `return_direct` are stored.

    Raises:
        InvalidInputError: an unknown `nested`.
    """

    def __init__(
        self,
        binding: Binding,
        *,
        nested: Nested,
        should_store: Callable[[Storing], bool] | None,
        structured: bool,
        direct: bool,
    ) -> None:
        if nested not in get_args(Nested):
            raise InvalidInputError(f"nested must be one of {', '.join(get_args(Nested))}, not {nested!r}.")
        self._binding = binding
        self._nested: Nested = nested
        self._should_store = should_store
        self._structured = structured
        self._direct = direct
        self._turns = TurnCache[Turn]()
        self._warned_of_order = False

    def question(self, state: AgentState[Any], context: Any, config: RunnableConfig) -> Step | None:
        """Before a model call: what the user said that is new, and whether to recall; None: nothing to do."""
        mode = self._mode(config)
        if mode == "off":
            return None
        identity = self._binding.identity(config, context)
        before = Ledger.read(_values(state))
        run = ""
        if identity.thread_id is None:
            run = before.run if before is not None and before.run else uuid.uuid4().hex
        asked = last_user(state["messages"])
        turn = _turn(identity, run, asked)
        cached = self._turns.get(turn) is not None
        if cached and before is not None and before.identity == identity and _was_seen(asked, before):
            return None  # a further call of the model in a turn that is under way
        users = (one.id for one in reversed(state["messages"]) if is_user(one) and one.id is not None)
        ledger = Ledger(identity, run, frozenset(islice(users, _SEEN_KEPT)))
        new = turn_questions(state["messages"], before.seen if before is not None else frozenset())
        messages = [one for one in new if mode == "store" and self._may_store(one, ledger, state)]
        recalls = not cached and asked is not None and from_langchain(asked) is not None
        # Nothing to recall by: a question that was kept out, or a sub-agent's conversation of its own.
        if recalls and (
            (mode == "store" and new and (not messages or messages[-1] != new[-1]))
            or (mode == "recall_only" and identity.thread_id is None)
        ):
            self._turns.put(turn, Turn(None))
            recalls = False
        return Step(
            ledger=ledger,
            turn=turn,
            messages=messages,
            in_doubt=bool(messages) and not cached and is_resuming(config),
            question=messages[-1].content if messages else None,
            recalls=recalls,
            update=None if ledger == before else {"recallrai": ledger.written()},
        )

    def answer(self, state: AgentState[Any], context: Any, config: RunnableConfig) -> Step | None:
        """After a run: what was answered; None when the turn has not come to the model."""
        before = Ledger.read(_values(state))
        asked = last_user(state["messages"])
        if self._mode(config) != "store" or before is None or not _was_seen(asked, before):
            return None
        ledger = Ledger(self._binding.identity(config, context), before.run, before.seen)
        turn = _turn(ledger.identity, ledger.run, asked)
        answer = answer_of(_values(state), structured=self._structured, direct=self._direct)
        keep = answer is not None and self._may_store(answer, ledger, state)
        return Step(
            ledger=ledger,
            turn=turn,
            messages=[answer] if answer is not None and keep else [],
            in_doubt=keep and self._turns.get(turn) is None and is_resuming(config),
        )

    def turn_of(self, state: AgentState[Any]) -> tuple[Ledger | None, Hashable, Turn | None]:
        """At a model call: whose conversation it is, which turn, and what this process knows of that."""
        ledger = Ledger.read(_values(state))
        if ledger is None:
            return None, None, None
        asked = last_user(state["messages"])
        key = _turn(ledger.identity, ledger.run, asked)
        turn = self._turns.get(key)
        if turn is not None and turn.question is not None and not self._warned_of_order:
            now = from_langchain(asked) if asked is not None else None
            if now is not None and now.content != turn.question:
                self._warned_of_order = True
                logger.warning(
                    "A middleware changed the user's message after it had been stored in RecallrAI. "
                    "List RecallrAIMiddleware last, behind PIIMiddleware and the like."
                )
        return ledger, key, turn

    def keep(self, turn: Hashable, recall: Recall, question: str | None = None) -> Turn:
        """Keeps what was recalled for a turn."""
        kept = Turn(recall, question)
        self._turns.put(turn, kept)
        return kept

    def _mode(self, config: RunnableConfig) -> Literal["store", "recall_only", "off"]:
        if not is_nested(config):
            return "store"
        if self._nested != "auto":
            return self._nested
        return "recall_only" if is_inside_tool(config) else "store"

    def _may_store(self, message: Message, ledger: Ledger, state: AgentState[Any]) -> bool:
        if self._should_store is None:
            return True
        native = next(one for one in reversed(state["messages"]) if one.id == message.id)
        identity = ledger.identity
        return bool(
            self._should_store(
                Storing(
                    message=message, user_id=identity.user_id, thread_id=identity.thread_id, native=native
                )
            )
        )


def _turn(identity: Identity, run: str, asked: BaseMessage | None) -> Hashable:
    """A turn is known by its question."""
    return identity, run, None if asked is None else asked.id


def _was_seen(asked: BaseMessage | None, ledger: Ledger) -> bool:
    return asked is not None and asked.id in ledger.seen


def _values(state: AgentState[Any]) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", state)
