"""`RecallrAIMiddleware`: long-term memory for agents made with `create_agent`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, cast

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ModelCallResult, PrivateStateAttr
from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime
from typing_extensions import NotRequired, Unpack, override

from recallrai_integrations.adapter import Steps, Turn, TurnCache, Twin, arun, ending_run, recording, run
from recallrai_integrations.connection import Connection
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.options import MemoryOptions
from recallrai_integrations.recall import Recall

from ._identity import Bound, bind, current_config
from ._planning import Planner, Step
from ._progress import Progress
from ._prompting import with_memories
from ._provenance import Nested
from ._turns import Ledger, Storing

__all__ = ["MemoryState", "RecallrAIMiddleware"]

_runs = TurnCache[Conversation](10_000)
"""Conversations of runs without a thread, which the agents of one graph share."""

_NO_CONFIG: RunnableConfig = {}  # hooks called by hand; LangGraph hands over its own


class MemoryState(AgentState[Any]):
    """The agent's state with our ledger in it: ids, never text, never memories."""

    recallrai: NotRequired[Annotated[dict[str, Any], PrivateStateAttr]]


class RecallrAIMiddleware(Bound, AgentMiddleware[AgentState[Any], Any]):
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
        thread_id: the thread, when it is not the run's. Without any, each run is a separate conversation.
        nested: for an agent within another graph. `"auto"` stores when it is asked what the user said, as a
            node and behind the hand-over of another agent. It only recalls when a tool calls it, or when the
            question is none of the words that the application's call was given: then a model wrote it.
            `"store"`, `"recall_only"` and `"off"` (no memory at all) hold for all of them.
        should_store: asked with one `Storing` for each message; False keeps it out of the memory. A turn
            whose question is not stored recalls nothing.
        store_structured: store structured responses, as JSON; None does not, and warns once.
        store_direct: store the results of tools with `return_direct` as answers; None does not, and warns
            once.
        progress: tell what the recall does in `stream_mode="custom"`; None while somebody streams.
        **options: recall, context, metadata, process, process_every, auto_process_after_seconds; see
            `MemoryOptions`.

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
        nested: Nested = "auto",
        should_store: Callable[[Storing], bool] | None = None,
        store_structured: bool | None = None,
        store_direct: bool | None = None,
        progress: bool | None = None,
        **options: Unpack[MemoryOptions],
    ) -> None:
        super().__init__()
        self.tools = []
        self._binding = bind(connection, user_id, thread_id, **options)
        self._progress = progress
        self._planner = Planner(
            self._binding,
            nested=nested,
            should_store=should_store,
            structured=store_structured,
            direct=store_direct,
        )

    @override
    def before_model(
        self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> dict[str, Any] | None:
        """Stores what the user said and recalls, both once per turn."""
        return run(self._asking(state, runtime, config))

    @override
    async def abefore_model(
        self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> dict[str, Any] | None:
        """The async twin of `before_model`."""
        return await arun(self._asking(state, runtime, config))

    @override
    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelCallResult[Any]:
        """Puts what was recalled into this request, and into nothing else."""
        return handler(run(self._informing(request)))

    @override
    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelCallResult[Any]:
        """The async twin of `wrap_model_call`."""
        return await handler(await arun(self._informing(request)))

    @override
    def after_agent(
        self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> dict[str, Any] | None:
        """Stores the final answer; a run that is a separate conversation is made into memories."""
        return run(self._ending(state, runtime, config))

    @override
    async def aafter_agent(
        self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> dict[str, Any] | None:
        """The async twin of `after_agent`."""
        return await arun(self._ending(state, runtime, config))

    def _asking(
        self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig
    ) -> Steps[dict[str, Any] | None]:
        step = self._planner.question(state, runtime.context, config)
        if step is None:
            return None
        if step.messages or step.begins:
            progress = Progress(runtime.stream_writer, config, wanted=self._progress)
            turn = yield from self._begun(step, progress)
            if step.begins:
                self._planner.keep(step.ledger, turn, step.call)
        return step.update

    def _begun(self, step: Step, progress: Progress) -> Steps[Turn]:
        conversation = yield from self._conversation(step.ledger)
        yield from recording(conversation, step.messages, in_doubt=step.in_doubt)
        recall = step.recall
        if step.recalls:
            progress.begin()
            recall = yield from self._recalling(conversation, on_progress=progress.listener)
            progress.end(recall)
        return Turn(step.ledger.identity, conversation, tuple(step.messages), recall)

    def _informing(self, request: ModelRequest[Any]) -> Steps[ModelRequest[Any]]:
        ledger, turn = self._planner.turn_of(request.state)
        if ledger is None:
            return request
        config, runtime = current_config(), request.runtime
        step = self._planner.edit(request.state, turn, getattr(runtime, "context", None), config)
        if step is not None:
            progress = Progress(runtime.stream_writer, config, wanted=self._progress)
            turn = self._planner.keep(ledger, (yield from self._begun(step, progress)))
        elif turn is None:  # resumed in another process, or long ago
            conversation = yield from self._conversation(ledger)
            recall = yield from self._recalling(conversation)
            turn = self._planner.keep(ledger, Turn(ledger.identity, conversation, (), recall))
        if turn.recall is None:
            return request
        system, messages = with_memories(turn.recall, request.system_message, request.messages)
        if messages == request.messages:  # the same list: middleware behind us may add to it in place
            return request.override(system_message=system)
        return request.override(system_message=system, messages=cast("list[AnyMessage]", messages))

    def _ending(
        self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig
    ) -> Steps[dict[str, Any] | None]:
        step = self._planner.answer(state, runtime.context, config)
        if step is not None:
            conversation = yield from self._conversation(step.ledger)
            yield from recording(conversation, step.messages, in_doubt=step.in_doubt)
            yield from ending_run(conversation)
        return None

    def _recalling(
        self, conversation: Conversation, on_progress: Callable[[str], object] | None = None
    ) -> Steps[Recall]:
        recall, context = self._binding.recall, self._binding.context
        return (
            yield from Twin(
                conversation.recall,
                conversation.arecall,
                options=recall,
                context=context,
                on_progress=on_progress,
            )
        )

    def _conversation(self, ledger: Ledger) -> Steps[Conversation]:
        """A conversation without a thread is found again by its run."""
        running = _runs.get((self._binding.source.mark, ledger.run)) if ledger.run else None
        if running is None:
            running = yield from self._binding.opening(ledger.identity)
            if ledger.run:
                _runs.put((self._binding.source.mark, ledger.run), running)
        return running
