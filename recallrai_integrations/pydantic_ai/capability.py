"""`RecallrAIMemory`: a capability by which an agent remembers its users."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter
from pydantic_ai import DeferredToolRequests, RunContext, capabilities
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.output import OutputContext
from pydantic_ai.run import AgentRunResult
from pydantic_ai.tools import ToolDefinition
from typing_extensions import Self, Unpack, override

from recallrai_integrations.adapter import Binding, Identity, Turn, calling_tool, outer_turn
from recallrai_integrations.connection import Connection
from recallrai_integrations.messages import Message
from recallrai_integrations.options import MemoryOptions
from recallrai_integrations.recall import Recall

from ._identity import WHERE, places
from ._messages import answer_text, new_in
from ._model import with_memories

__all__ = ["RecallrAIMemory"]

Hook = TypeVar("Hook", bound=Callable[..., Awaitable[Any]])

_RECALL: Final = TypeAdapter(Recall)


def _step(name: str) -> Callable[[Hook], Hook]:
    """Marks what talks to the service: engines for durable execution, which replay runs, carry it out once.

    Versions of Pydantic AI before 2.40 have no such marks.
    """
    mark = getattr(capabilities, "durable_operation", None)
    return (lambda hook: hook) if mark is None else mark(name)


class RecallrAIMemory(AbstractCapability[Any]):
    """Gives an agent the memory of its user: stores what is said, recalls what helps.

    At the start of a run the user's prompt is stored and memories are recalled, once; every request to the
    model gets them; at its end the final output is stored. Memories are in no message, history, state or
    trace. One capability serves many users and conversations at once.

    Who is remembered: the arguments, else the run's `deps` (an attribute or key `user_id`, `thread_id`),
    else its `metadata`. A thread is Pydantic AI's conversation: `conversation_id=`, or that of the
    `message_history`. A run without either begins a conversation, and a new one stays open until the
    service's timer ends it: use `process="every_run"` where each run is a separate conversation.

    Runs in tools and output functions of a run store nothing, since a model wrote their prompts, and have
    the memories of the run around them if they are about the same user.

    Failure: outages follow the connection's `on_error`; with `"degrade"` the answer comes without fresh
    memories, and what could not be stored is sent later, in order. Credentials, wrong input and a failing
    hook of yours are raised from the run. Errors of the model are not touched. A run that fails, is left or
    waits for an approval stores no answer; its question is stored once, however often it is resumed.

    Args:
        connection: from `connect()`; None makes one from the environment on first use.
        user_id: the user, when the agent serves only one.
        thread_id: the thread, when it is not the run's conversation.
        store_structured: store structured output, as JSON; otherwise only text is an answer.
        id: of the capability. One that is given to a run replaces the agent's with the same id.
        **options: recall, context, metadata, process, process_every, auto_process_after_seconds; see
            `MemoryOptions`.

    Raises:
        InvalidInputError: a wrong option or id.

    Example:
        ```python
        from pydantic_ai import Agent
        from pydantic_ai.models.test import TestModel
        from recallrai_integrations import connect
        from recallrai_integrations.pydantic_ai import RecallrAIMemory

        with connect(local=":memory:") as connection:
            model = TestModel(custom_output_text="Try the tofu curry.")
            agent = Agent(model, deps_type=dict, capabilities=[RecallrAIMemory(connection)])
            agent.run_sync(
                "I am vegetarian. What shall I cook?", deps={"user_id": "ada"}, conversation_id="thread-1"
            )
        ```
    """

    def __init__(
        self,
        connection: Connection | None = None,
        *,
        user_id: str | None = None,
        thread_id: str | None = None,
        store_structured: bool = False,
        id: str | None = "recallrai_memory",  # noqa: A002 - as all capabilities have it
        **options: Unpack[MemoryOptions],
    ) -> None:
        self.id = id
        self._binding = Binding.of(connection, user_id, thread_id, where=WHERE, **options)
        self._structured = store_structured
        self._turn: Turn | None = None  # of the copy for a run

    @override
    async def for_run(self, ctx: RunContext[Any]) -> Self:
        return copy.copy(self)

    @override
    async def before_run(self, ctx: RunContext[Any]) -> None:
        if getattr(ctx, "realtime", False):  # a session without requests that memories could be put into
            return
        questions, resumed = new_in(ctx.prompt, ctx.messages, ctx.run_id)
        identity = self._binding.identity(*places(ctx))
        if outer_turn() is not None:
            self._turn = await Turn.abegin(self._binding, questions, identity)
            return
        recalled = await self._begin(ctx, identity, questions, resumed)
        connection = await self._binding.source.aget()
        options = self._binding.context or connection.context_options
        recall = None if recalled is None else replace(_RECALL.validate_python(recalled), options=options)
        conversation = await self._binding.aconversation(identity)
        self._turn = Turn(identity, conversation, tuple(questions), recall)

    @override
    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        if self._turn is not None:
            request_context.model = with_memories(request_context.model, self._turn)
        return request_context

    @override
    async def prepare_model_request(  # of versions that try another model when one has failed
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        return await self.before_model_request(ctx, request_context)

    @override
    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: Callable[[dict[str, Any]], Awaitable[Any]],
    ) -> Any:
        with calling_tool(self._turn):
            return await handler(args)

    @override
    async def wrap_output_process(
        self,
        ctx: RunContext[Any],
        *,
        output_context: OutputContext,
        output: Any,
        handler: Callable[[Any], Awaitable[Any]],
    ) -> Any:
        with calling_tool(self._turn):
            return await handler(output)

    @override
    async def after_run(self, ctx: RunContext[Any], *, result: AgentRunResult[Any]) -> AgentRunResult[Any]:
        turn = self._turn
        if turn is not None and turn.stores and not isinstance(result.output, DeferredToolRequests):
            answer = answer_text(result.output, structured=self._structured)
            await self._end(ctx, turn.identity, answer)
        return result

    @_step("begin")
    async def _begin(
        self,
        ctx: RunContext[Any],  # noqa: ARG002 - by which an engine finds the run
        identity: Identity,
        questions: list[Message],
        resumed: bool,
    ) -> dict[str, Any] | None:
        """What was recalled, as JSON values, which engines keep; its options may hold functions."""
        turn = await Turn.abegin(self._binding, questions, identity, resumed=resumed)
        if turn.recall is None:
            return None
        values: dict[str, Any] = _RECALL.dump_python(turn.recall, mode="json", exclude={"options", "_latest"})
        return values

    @_step("end")
    async def _end(
        self,
        ctx: RunContext[Any],  # noqa: ARG002 - as in `_begin`
        identity: Identity,
        answer: str | None,
    ) -> None:
        conversation = await self._binding.aconversation(identity)
        await Turn(identity, conversation, (), None).aend(answer)
