"""What an agent's hooks have to do for memory: decided from state and config, without I/O."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from langchain.agents.middleware import AgentState
from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.runnables import RunnableConfig

from recallrai_integrations.adapter import TurnCache
from recallrai_integrations.messages import Message
from recallrai_integrations.recall import Recall

from ._binding import Binding
from ._messages import from_langchain, native_of
from ._provenance import Nested, Nesting, is_nested, outermost
from ._telling import Once
from ._turns import Asked, Handed, Ledger, Storing, Turn, answer_of, is_resuming, not_landed

__all__ = ["Planner", "Step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a hook has to do.

    Args:
        ledger: whose conversation it is, and which turn.
        messages: to be stored.
        asked: where they stand, when they are questions.
        in_doubt: they may be stored already: by a step that was cut off, or by another agent.
        question: the user's text as it is stored.
        recalls: nothing was recalled for this turn yet.
        update: of the agent's state.
    """

    ledger: Ledger
    messages: list[Message]
    asked: Asked | None = None
    in_doubt: bool
    question: str | None = None
    recalls: bool = False
    update: dict[str, Any] | None = None

    def not_landed(self, tail: Sequence[Message]) -> list[Message]:
        """What is to be stored, in view of the latest messages of the thread."""
        if self.asked is None:
            return not_landed(self.messages, tail)
        return self.asked.not_landed(self.messages, tail)


class Planner:
    """Decides for one middleware.

    Args:
        binding: whose memory runs are about.
        nested: what agents within graphs do.
        should_store: the application's word on each message.
        structured: structured responses are stored; None warns once that they are not.
        direct: results of tools with `return_direct` are stored; None warns once that they are not.

    Raises:
        InvalidInputError: an unknown `nested`.
    """

    def __init__(
        self,
        binding: Binding,
        *,
        nested: Nested,
        should_store: Callable[[Storing], bool] | None,
        structured: bool | None,
        direct: bool | None,
    ) -> None:
        self._binding = binding
        self._nesting = Nesting(nested, "RecallrAIMiddleware")
        self._should_store = should_store
        self._structured = structured
        self._direct = direct
        self._turns = TurnCache[Turn]()
        self._handed = Handed()
        self._order = Once(
            "A middleware changed the user's message after it had been stored in RecallrAI. "
            "List RecallrAIMiddleware last, behind PIIMiddleware and the like."
        )
        self._lost_structured = Once(
            "The agent's structured response is not stored in RecallrAI. Pass "
            "RecallrAIMiddleware(store_structured=True) to store it as JSON, or False to leave it out."
        )
        self._lost_direct = Once(
            "The result of a tool was the agent's answer, and is not stored in RecallrAI. Pass "
            "RecallrAIMiddleware(store_direct=True) to store it, or False to leave it out."
        )

    def question(self, state: AgentState[Any], context: Any, config: RunnableConfig) -> Step | None:
        """Before a model call: what the user said that is new, and whether to recall; None: nothing to do."""
        if self._nesting.is_off(config):
            return None
        identity = self._binding.identity(config, context)
        asked = Asked.of(state["messages"])
        before = Ledger.read(_values(state))
        ours = before is not None and before.identity == identity
        if before is not None and ours and asked.continues(before.turn) and self._known(before) is not None:
            return None  # a further call of the model in a turn that is under way
        run = ""
        if identity.thread_id is None:
            run = before.run if before is not None else ""
            run = run or (outermost(config) if is_nested(config) else "") or uuid.uuid4().hex
        goes_on = before is not None and asked.continues(before.turn)
        stores = (
            before.stores if before is not None and goes_on else self._nesting.stores(asked.native, config)
        )
        turn = before.turn if before is not None and goes_on else asked.key
        ledger = Ledger(identity, run, turn, stores, asked.keys)
        new = [] if goes_on else asked.questions(before.seen if before is not None else ())
        messages = [one for one in new if stores and self._may_store(one, ledger, state)]
        cached = (asked.has_id or goes_on) and self._known(ledger) is not None
        recalls = not cached and asked.native is not None and from_langchain(asked.native) is not None
        # Nothing to recall by: a question that was kept out, or a sub-agent's conversation of its own.
        if recalls and (
            (stores and new and (not messages or messages[-1] != new[-1]))
            or (not stores and identity.thread_id is None)
        ):
            self._turns.put(_key(ledger), Turn(None))
            recalls = False
        in_doubt = before is None and self._handed.in_doubt(None, identity, asked)
        return Step(
            ledger=ledger,
            messages=messages,
            asked=asked,
            in_doubt=bool(messages) and (in_doubt or (not cached and is_resuming(config))),
            question=messages[-1].content if messages else None,
            recalls=recalls,
            update=None if ledger == before else {"recallrai": ledger.written()},
        )

    def answer(self, state: AgentState[Any], context: Any, config: RunnableConfig) -> Step | None:
        """After a run: what was answered; None when the turn has not come to the model."""
        before = Ledger.read(_values(state))
        asked = Asked.of(state["messages"])
        if (
            before is None
            or not before.stores
            or not (asked.continues(before.turn) or asked.key in before.seen)
        ):
            return None
        ledger = replace(before, identity=self._binding.identity(config, context))
        answer = answer_of(_values(state), structured=bool(self._structured), direct=bool(self._direct))
        if answer is None:
            self._warn_of_a_lost_answer(state)
        keep = answer is not None and self._may_store(answer, ledger, state)
        return Step(
            ledger=ledger,
            messages=[answer] if answer is not None and keep else [],
            in_doubt=keep and self._known(ledger) is None and is_resuming(config),
        )

    def turn_of(self, state: AgentState[Any]) -> tuple[Ledger | None, Turn | None]:
        """At a model call: whose conversation it is, and what this process knows of its turn."""
        ledger = Ledger.read(_values(state))
        if ledger is None:
            return None, None
        turn = self._known(ledger)
        asked = Asked.of(state["messages"]).native
        now = from_langchain(asked) if asked is not None else None
        if (
            turn is not None
            and turn.question is not None
            and now is not None
            and now.content != turn.question
        ):
            self._order.warn()
        return ledger, turn

    def keep(self, ledger: Ledger, recall: Recall, question: str | None = None) -> Turn:
        """Keeps what was recalled for a turn."""
        kept = Turn(recall, question)
        self._turns.put(_key(ledger), kept)
        return kept

    def _known(self, ledger: Ledger) -> Turn | None:
        return self._turns.get(_key(ledger))

    def _warn_of_a_lost_answer(self, state: AgentState[Any]) -> None:
        if state.get("structured_response") is not None:
            if self._structured is None:
                self._lost_structured.warn()
        elif self._direct is None and isinstance(state["messages"][-1], ToolMessage):
            self._lost_direct.warn()

    def _may_store(self, message: Message, ledger: Ledger, state: AgentState[Any]) -> bool:
        if self._should_store is None:
            return True
        native = native_of(message, state["messages"])
        message = replace(message, id=native.id or None)
        identity = ledger.identity
        return bool(
            self._should_store(
                Storing(
                    message=message, user_id=identity.user_id, thread_id=identity.thread_id, native=native
                )
            )
        )


def _key(ledger: Ledger) -> Hashable:
    """A turn is known by its question."""
    return ledger.identity, ledger.run, ledger.turn


def _values(state: AgentState[Any]) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", state)
