"""What an agent's hooks have to do for memory: decided from state and config, without I/O."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from langchain.agents.middleware import AgentState
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig

from recallrai_integrations.adapter import Binding, Identity, Turn, TurnCache, not_landed, outer_turn
from recallrai_integrations.messages import Message
from recallrai_integrations.recall import Recall

from ._asked import Asked, Handed, Landed
from ._identity import identity_of
from ._messages import from_langchain, native_of
from ._provenance import Nested, Nesting, is_nested, outermost
from ._telling import Once
from ._turns import Ledger, Storing, is_resuming, run_answer

__all__ = ["Planner", "Step"]


_unanswered = TurnCache[tuple[str, str | None]](10_000)
"""Of questions without an answer yet, by the call of the application: run and id."""

_recalled = TurnCache(1_000)
"""By the call of the application: a sub-agent in a tool has the memories of the run around it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a hook has to do.

    Args:
        ledger: whose conversation it is, and which turn.
        messages: to be stored.
        in_doubt: they may be stored already: by a step that was cut off, or by another agent.
        begins: this process knows nothing of the turn yet.
        recalls: something is to be recalled for it.
        recall: what the run around a sub-agent has recalled, which is the sub-agent's too.
        call: the call of the application, whose sub-agents are to have what is recalled.
        update: of the agent's state.
    """

    ledger: Ledger
    messages: list[Message]
    in_doubt: Landed | None
    begins: bool = False
    recalls: bool = False
    recall: Recall | None = None
    call: Hashable = None
    update: dict[str, Any] | None = None


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
        identity = identity_of(self._binding, config, context)
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
        new = [] if goes_on else asked.questions(before.seen if before is not None else ())
        run, new = self._asked_again(identity, run, new, config)
        ledger = Ledger(identity, run, turn, stores, asked.keys)
        messages = [one for one in new if stores and self._may_store(one, ledger, state)]
        begins = self._known(ledger) is None or not (asked.has_id or goes_on)
        resuming = begins and is_resuming(config)
        doubtful = resuming or (before is None and self._handed.in_doubt(None, identity, asked))
        # Nothing to recall by: a question that was kept out, or a sub-agent's conversation of its own.
        kept_out = stores and bool(new) and (not messages or messages[-1] != new[-1])
        nothing = not stores and identity.thread_id is None
        call = (self._binding.source.mark, identity, outermost(config))
        shared = None if stores else _shared_recall(identity, call)
        says = asked.native is not None and from_langchain(asked.native) is not None
        return Step(
            ledger=ledger,
            messages=messages,
            in_doubt=partial(asked.not_landed, messages) if doubtful else None,
            begins=begins,
            recalls=begins and says and not kept_out and not nothing and shared is None,
            recall=shared,
            call=call if stores and call[-1] else None,
            update=None if ledger == before else {"recallrai": ledger.written()},
        )

    def answer(self, state: AgentState[Any], context: Any, config: RunnableConfig) -> Step | None:
        """After a run: what was answered; None when the turn has not come to the model."""
        before = Ledger.read(_values(state))
        asked = Asked.of(state["messages"])
        if (
            before is None
            or not before.stores
            or not (asked.is_about(before.turn) or asked.key in before.seen)
        ):
            return None
        ledger = replace(before, identity=identity_of(self._binding, config, context))
        answer = run_answer(_values(state), structured=bool(self._structured), direct=bool(self._direct))
        if answer is None:
            self._warn_of_a_lost_answer(state)
        keep = answer is not None and self._may_store(answer, ledger, state)
        messages = [answer] if answer is not None and keep else []
        if messages:
            for one in asked.questions():
                _unanswered.drop((self._binding.source.mark, ledger.identity, outermost(config), one.content))
        resumed = self._known(ledger) is None and is_resuming(config)
        return Step(
            ledger=ledger,
            messages=messages,
            in_doubt=partial(not_landed, messages) if resumed else None,
        )

    def turn_of(self, state: AgentState[Any]) -> tuple[Ledger | None, Turn | None]:
        """At a model call: whose conversation it is, and what this process knows of its turn."""
        ledger = Ledger.read(_values(state))
        return ledger, None if ledger is None else self._known(ledger)

    def edit(
        self, state: AgentState[Any], turn: Turn | None, context: Any, config: RunnableConfig
    ) -> Step | None:
        """At a model call: what to do where the question was edited behind our hook, by `update_state`.

        In a run that was not resumed it is a middleware behind us that changed the question.
        """
        ledger = Ledger.read(_values(state))
        asked = Asked.of(state["messages"])
        if ledger is None or asked.native is None or asked.key == ledger.turn:
            return None
        if is_resuming(config) and not asked.behind:
            return self.question(state, context, config)
        now = from_langchain(asked.native)
        stored = turn.questions[-1] if turn is not None and turn.questions else None
        if stored is not None and now is not None and now.content != stored.content:
            self._order.warn()
        return None

    def keep(self, ledger: Ledger, turn: Turn, call: Hashable = None) -> Turn:
        """Keeps what this process knows of a turn, for the sub-agents of a call too."""
        if call is not None and turn.recall is not None:
            _recalled.put(call, turn.recall)
        return self._turns.put(_key(ledger), turn)

    def _asked_again(
        self, identity: Identity, run: str, questions: list[Message], config: RunnableConfig
    ) -> tuple[str, list[Message]]:
        """The run and the ids that the questions had at first, where a retry or a fallback runs all again."""
        around, same = outermost(config), list[Message]()
        for question in questions if around else ():
            key = (self._binding.source.mark, identity, around, question.content)
            known = _unanswered.get(key) or _unanswered.put(key, (run, question.id))
            run = known[0]
            same.append(replace(question, id=known[1]))
        return run, same or questions

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


def _shared_recall(identity: Identity, call: Hashable) -> Recall | None:
    outer = outer_turn()  # of another framework's agent
    if outer is not None and outer.identity.user_id == identity.user_id:
        return outer.recall
    return _recalled.get(call)


def _key(ledger: Ledger) -> Hashable:
    """A turn is known by its question."""
    return ledger.identity, ledger.run, ledger.turn


def _values(state: AgentState[Any]) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", state)
