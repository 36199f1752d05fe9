"""`RecallrAIMiddleware`: long-term memory for agents made with `create_agent`."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast, get_args

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ModelCallResult, PrivateStateAttr
from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime
from typing_extensions import NotRequired, override

from recallrai_integrations.adapter import TurnCache
from recallrai_integrations.connection import Connection
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.errors import InvalidInputError
from recallrai_integrations.messages import Message
from recallrai_integrations.options import ContextOptions, ProcessPolicy, RecallOptions
from recallrai_integrations.recall import Recall

from ._binding import Binding
from ._messages import from_langchain, is_user, last_user, turn_questions
from ._progress import Progress
from ._prompting import with_memories
from ._turns import (
    Ledger,
    Storing,
    Turn,
    answer_of,
    is_inside_tool,
    is_nested,
    is_resuming,
    not_landed,
)

__all__ = ["MemoryState", "Nested", "RecallrAIMiddleware"]

Nested = Literal["auto", "store", "recall_only", "off"]
_RUNS_IN_MIND = 10_000
_TAIL = 10
_SEEN_KEPT = 50  # of the latest user messages; older ones stand before an answer anyway

logger = logging.getLogger("recallrai_integrations")


_NO_CONFIG: RunnableConfig = {}  # hooks called by hand; LangGraph hands over its own


class MemoryState(AgentState[Any]):
    """The agent's state with our ledger in it: ids, never text, never memories."""

    recallrai: NotRequired[Annotated[dict[str, Any], PrivateStateAttr]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What a hook has to do, decided before any I/O."""

    ledger: Ledger
    turn: tuple[Any, ...]
    messages: list[Message]
    in_doubt: bool
    question: str | None = None
    recalls: bool = False
    update: dict[str, Any] | None = None


class RecallrAIMiddleware(AgentMiddleware):
    """Gives an agent the memory of its user: stores what is said, recalls what helps.

    For each turn the user's new message is stored, memories are recalled once, every model call of the turn
    gets them in its request, and the final answer is stored. Memories are in no state, checkpoint or stream.
    One middleware serves many users and threads at once.

    List it last: what other middleware redacts, adds to the prompt or marks for caching is done before.
    Recommended: `[…, PIIMiddleware, dynamic_prompt, AnthropicPromptCachingMiddleware, RecallrAIMiddleware]`.

    Who is remembered: the arguments, else the runtime context (`context={"user_id": …}`, a dataclass or a
    pydantic model), else `config={"configurable": {"user_id": …, "thread_id": …}}`.

    Failure: outages follow the connection's `on_error`; with `"degrade"` the answer comes without fresh
    memories, and what could not be stored is sent later, in order. Credentials, wrong input and a failing
    hook of yours always raise. Errors of the model and interrupts are not touched. A turn that fails or is
    aborted stores no answer; its question is stored once, however often it is resumed. A fork or a replay
    from an older checkpoint goes on in the same thread: what was said in each branch is remembered, nothing
    is unsaid.

    Args:
        connection: from `connect()`; None makes one from the environment on first use.
        user_id: the user, when the agent serves only one.
        thread_id: the thread, when it is not the run's. Without any, each run is a conversation by itself.
        recall: what to ask for, in place of the connection's options.
        context: how memories are put into the prompt, in place of the connection's options.
        process: when the session is made into memories; None: after each run without a thread, otherwise by
            the service's inactivity timer or `finish()`. See `Connection.conversation`.
        process_every: n of `process="every_n_turns"`.
        auto_process_after_seconds: inactivity after which the service processes a session, at least 600.
        metadata: for the sessions that are opened.
        nested: for an agent within another graph. `"auto"` stores when it is a node, whose question is the
            user's, and only recalls when a tool calls it, since then a model wrote the question. `"store"`,
            `"recall_only"` and `"off"` (no memory at all) hold for both.
        should_store: asked with one `Storing` for each message; False keeps it out of the memory. A turn
            whose question is not stored recalls nothing.
        store_structured: store structured responses, as JSON.
        store_direct: store the results of tools with `return_direct` as answers.
        progress: tell what the recall does in `stream_mode="custom"`; None while somebody streams.

    Raises:
        InvalidInputError: a wrong option or id.

    Example:
        ```python
        from langchain.agents import create_agent
        from langchain_core.language_models.fake_chat_models import FakeListChatModel
        from recallrai_integrations import connect
        from recallrai_integrations.langchain import RecallrAIMiddleware

        with connect(local=":memory:") as connection:
            model = FakeListChatModel(responses=["Try the tofu curry."])
            agent = create_agent(model, middleware=[RecallrAIMiddleware(connection)])
            agent.invoke(
                {"messages": [{"role": "user", "content": "I am vegetarian. What shall I cook?"}]},
                {"configurable": {"user_id": "ada", "thread_id": "thread-1"}},
            )
        ```
    """

    state_schema = MemoryState

    def __init__(
        self,
        connection: Connection | None = None,
        *,
        user_id: str | None = None,
        thread_id: str | None = None,
        recall: RecallOptions | None = None,
        context: ContextOptions | None = None,
        process: ProcessPolicy | None = None,
        process_every: int = 10,
        auto_process_after_seconds: int = 600,
        metadata: Mapping[str, Any] | None = None,
        nested: Nested = "auto",
        should_store: Callable[[Storing], bool] | None = None,
        store_structured: bool = False,
        store_direct: bool = False,
        progress: bool | None = None,
    ) -> None:
        super().__init__()
        if nested not in get_args(Nested):
            raise InvalidInputError(f"nested must be one of {', '.join(get_args(Nested))}, not {nested!r}.")
        self.tools = []
        self._binding = Binding.of(
            connection,
            user_id,
            thread_id,
            metadata=metadata,
            process=process,
            process_every=process_every,
            auto_process_after_seconds=auto_process_after_seconds,
        )
        self._recall_options = recall
        self._context_options = context
        self._nested: Nested = nested
        self._should_store = should_store
        self._store_structured = store_structured
        self._store_direct = store_direct
        self._progress = progress
        self._turns = TurnCache[Turn]()
        self._runs = TurnCache[Conversation](_RUNS_IN_MIND)
        self._warned_of_order = False

    @override
    def before_model(
        self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> dict[str, Any] | None:
        """Stores what the user said and recalls, both once per turn."""
        step = self._question(state, runtime, config)
        if step is None:
            return None
        if step.messages or step.recalls:
            conversation = self._conversation(step.ledger)
            tail = conversation.history(_TAIL) if step.in_doubt else []
            if messages := not_landed(step.messages, tail):
                conversation.record(messages)
            if step.recalls:
                progress = Progress(runtime.stream_writer, config, wanted=self._progress)
                self._keep(step, progress, conversation.recall(**self._recalling(progress)))
        return step.update

    @override
    async def abefore_model(
        self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> dict[str, Any] | None:
        """The async twin of `before_model`."""
        step = self._question(state, runtime, config)
        if step is None:
            return None
        if step.messages or step.recalls:
            conversation = await self._aconversation(step.ledger)
            tail = await conversation.ahistory(_TAIL) if step.in_doubt else []
            if messages := not_landed(step.messages, tail):
                await conversation.arecord(messages)
            if step.recalls:
                progress = Progress(runtime.stream_writer, config, wanted=self._progress)
                self._keep(step, progress, await conversation.arecall(**self._recalling(progress)))
        return step.update

    @override
    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelCallResult[Any]:
        """Puts what was recalled into this request, and into nothing else."""
        ledger, turn = self._turn_of(request)
        if ledger is None:
            return handler(request)
        if turn is None:  # resumed in another process, or long ago
            turn = Turn(self._conversation(ledger).recall(**self._recalling()))
            self._turns.put(_turn_key(ledger, request.state), turn)
        return handler(self._with_memories(request, turn))

    @override
    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelCallResult[Any]:
        """The async twin of `wrap_model_call`."""
        ledger, turn = self._turn_of(request)
        if ledger is None:
            return await handler(request)
        if turn is None:
            conversation = await self._aconversation(ledger)
            turn = Turn(await conversation.arecall(**self._recalling()))
            self._turns.put(_turn_key(ledger, request.state), turn)
        return await handler(self._with_memories(request, turn))

    @override
    def after_agent(
        self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> dict[str, Any] | None:
        """Stores the final answer; a run that is a conversation by itself is made into memories."""
        step = self._answer(state, runtime, config)
        if step is not None:
            conversation = self._conversation(step.ledger)
            tail = conversation.history(_TAIL) if step.in_doubt else []
            if messages := not_landed(step.messages, tail):
                conversation.record(messages)
            conversation.end_run()
        return None

    @override
    async def aafter_agent(
        self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> dict[str, Any] | None:
        """The async twin of `after_agent`."""
        step = self._answer(state, runtime, config)
        if step is not None:
            conversation = await self._aconversation(step.ledger)
            tail = await conversation.ahistory(_TAIL) if step.in_doubt else []
            if messages := not_landed(step.messages, tail):
                await conversation.arecord(messages)
            await conversation.aend_run()
        return None

    # --- decisions, without I/O

    def _mode(self, config: RunnableConfig) -> Literal["store", "recall_only", "off"]:
        if not is_nested(config):
            return "store"
        if self._nested != "auto":
            return self._nested
        return "recall_only" if is_inside_tool(config) else "store"

    def _question(
        self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig
    ) -> _Step | None:
        mode = self._mode(config)
        if mode == "off":
            return None
        identity = self._binding.identity(config, runtime.context)
        before = Ledger.read(_values(state))
        run = ""
        if identity.thread_id is None:
            run = before.run if before is not None and before.run else uuid.uuid4().hex
        users = [one.id for one in state["messages"] if is_user(one) and one.id is not None]
        ledger = Ledger(identity, run, frozenset(users[-_SEEN_KEPT:]))
        key = _turn_key(ledger, state)
        cached = self._turns.get(key) is not None
        new = turn_questions(state["messages"], before.seen if before is not None else frozenset())
        messages = [one for one in new if mode == "store" and self._may_store(one, ledger, state)]
        asked = last_user(state["messages"])
        recalls = asked is not None and from_langchain(asked) is not None and not cached
        # Nothing to recall by: a question that was kept out, or a sub-agent's conversation of its own.
        if recalls and (
            (mode == "store" and new and (not messages or messages[-1] != new[-1]))
            or (mode == "recall_only" and identity.thread_id is None)
        ):
            self._turns.put(key, Turn(None))
            recalls = False
        return _Step(
            ledger=ledger,
            turn=key,
            messages=messages,
            in_doubt=bool(messages) and not cached and is_resuming(config),
            question=messages[-1].content if messages else None,
            recalls=recalls,
            update=None if ledger == before else {"recallrai": ledger.written()},
        )

    def _answer(self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig) -> _Step | None:
        before = Ledger.read(_values(state))
        asked = last_user(state["messages"])
        if self._mode(config) != "store" or before is None or asked is None or asked.id not in before.seen:
            return None  # the turn has not come to the model
        ledger = Ledger(self._binding.identity(config, runtime.context), before.run, before.seen)
        key = _turn_key(ledger, state)
        answer = answer_of(_values(state), structured=self._store_structured, direct=self._store_direct)
        keep = answer is not None and self._may_store(answer, ledger, state)
        return _Step(
            ledger=ledger,
            turn=key,
            messages=[answer] if answer is not None and keep else [],
            in_doubt=keep and self._turns.get(key) is None and is_resuming(config),
        )

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

    def _turn_of(self, request: ModelRequest[Any]) -> tuple[Ledger | None, Turn | None]:
        ledger = Ledger.read(_values(request.state))
        if ledger is None:
            return None, None
        turn = self._turns.get(_turn_key(ledger, request.state))
        if turn is not None and turn.question is not None and not self._warned_of_order:
            asked = last_user(request.state["messages"])
            now = from_langchain(asked) if asked is not None else None
            if now is not None and now.content != turn.question:
                self._warned_of_order = True
                logger.warning(
                    "A middleware changed the user's message after it had been stored in RecallrAI. "
                    "List RecallrAIMiddleware last, behind PIIMiddleware and the like."
                )
        return ledger, turn

    def _with_memories(self, request: ModelRequest[Any], turn: Turn) -> ModelRequest[Any]:
        if turn.recall is None:
            return request
        system, messages = with_memories(turn.recall, request.system_message, request.messages)
        return request.override(system_message=system, messages=cast("list[AnyMessage]", messages))

    def _recalling(self, progress: Progress | None = None) -> dict[str, Any]:
        if progress is not None:
            progress.begin()
        return {
            "options": self._recall_options,
            "context": self._context_options,
            "on_progress": None if progress is None else progress.listener,
        }

    def _keep(self, step: _Step, progress: Progress, recall: Recall) -> None:
        self._turns.put(step.turn, Turn(recall, step.question))
        progress.end(recall)

    # --- conversations

    def _conversation(self, ledger: Ledger) -> Conversation:
        return self._running(ledger) or self._started(ledger, self._binding.conversation(ledger.identity))

    async def _aconversation(self, ledger: Ledger) -> Conversation:
        return self._running(ledger) or self._started(
            ledger, await self._binding.aconversation(ledger.identity)
        )

    def _running(self, ledger: Ledger) -> Conversation | None:
        return self._runs.get(ledger.run) if ledger.run else None

    def _started(self, ledger: Ledger, conversation: Conversation) -> Conversation:
        if ledger.run:
            self._runs.put(ledger.run, conversation)
        return conversation


def _turn_key(ledger: Ledger, state: AgentState[Any]) -> tuple[Any, ...]:
    asked = last_user(state["messages"])
    return ledger.identity, ledger.run, None if asked is None else asked.id


def _values(state: AgentState[Any]) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", state)
