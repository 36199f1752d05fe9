"""`RecallrAIPlugin`: memory for all agents of an app."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from google.adk.agents import BaseAgent, InvocationContext, LlmAgent
from google.adk.agents.callback_context import CallbackContext
from google.adk.events import Event
from google.adk.models.llm_request import LlmRequest
from google.adk.plugins import BasePlugin
from google.adk.tools.base_tool import BaseTool
from google.adk.tools.tool_context import ToolContext
from typing_extensions import Unpack, override

from recallrai_integrations.adapter import Binding, Turn, TurnCache, begin_tool, end_tool
from recallrai_integrations.connection import Connection
from recallrai_integrations.options import MemoryOptions

from ._events import answer_in, conversation_of, put_into, questions_in, said_in

__all__ = ["WHERE", "RecallrAIPlugin"]

WHERE: Final = "Runner.run_async(user_id=…)"


@dataclass(slots=True)
class _Run:
    """One invocation: its turn, and what was marked before each tool that is at work."""

    turn: Turn
    tools: dict[str | None, Turn | None] = field(default_factory=dict[str | None, "Turn | None"])
    stored: int = 0  # of what was said over a live connection


class RecallrAIPlugin(BasePlugin):
    """Remembers the user in all agents of an app: `App(plugins=[RecallrAIPlugin(connection)])`.

    In each invocation it stores what the user said, recalls once, puts the memories into every request to a
    model, whichever agent makes it, and stores the last agent's final text. Nothing of the memories is in an
    event, a session or a state. The user is the `user_id` of the run, the thread its session.

    List it first: a plugin before it that answers for a hook keeps the hook from it. What agents in an
    `AgentTool` ask and answer is not stored, since a model wrote the question; they get the memories of the
    run around them. In live mode (`run_live`) what was said, or transcribed, is stored turn by turn.

    ADK traces requests with their texts, memories among them, unless the environment has
    `ADK_CAPTURE_MESSAGE_CONTENT_IN_SPANS=false`.

    Failure: outages follow the connection's `on_error`; with `"degrade"` the answer comes without fresh
    memories, and what could not be stored is sent later, in order. What is raised here arrives as ADK's
    `RuntimeError`, with the cause in its text and in `__cause__`. A run that fails, is left, or waits for an
    approval stores no answer; its question is stored once, however often it is resumed.

    Args:
        connection: from `connect()`; None makes one from the environment on first use.
        user_id: the user, when the app serves only one.
        thread_id: the thread, when it is not the run's session.
        store_structured: store the answers of agents with an `output_schema`, as JSON.
        name: of the plugin, once in an app.
        **options: recall, context, metadata, process, process_every, auto_process_after_seconds; see
            `MemoryOptions`.

    Raises:
        InvalidInputError: a wrong option or id.

    Example:
        ```python
        import asyncio

        from google.adk.agents import LlmAgent
        from google.adk.apps import App
        from google.adk.runners import InMemoryRunner

        from recallrai_integrations import connect
        from recallrai_integrations.google_adk import RecallrAIPlugin
        from recallrai_integrations.testing.offline import QuotingLlm

        with connect(local=":memory:") as connection:
            agent = LlmAgent(name="cook", model=QuotingLlm(), instruction="You are a cook.")
            app = App(name="kitchen", root_agent=agent, plugins=[RecallrAIPlugin(connection)])
            runner = InMemoryRunner(app=app)
            asyncio.run(runner.run_debug("What shall I cook?", user_id="ada", session_id="t1", quiet=True))
        ```
    """

    def __init__(
        self,
        connection: Connection | None = None,
        *,
        user_id: str | None = None,
        thread_id: str | None = None,
        store_structured: bool = False,
        name: str = "recallrai",
        **options: Unpack[MemoryOptions],
    ) -> None:
        super().__init__(name)
        self._binding = Binding.of(connection, user_id, thread_id, where=WHERE, **options)
        self._store_structured = store_structured
        self._runs = TurnCache[_Run]()

    @override
    async def before_run_callback(self, *, invocation_context: InvocationContext) -> None:
        """Stores what the user said and recalls, once."""
        self._runs.put(invocation_context.invocation_id, await self._begun(invocation_context))

    @override
    async def before_model_callback(
        self, *, callback_context: CallbackContext, llm_request: LlmRequest
    ) -> None:
        """Puts the memories into a request, of whichever agent."""
        run = self._runs.get(callback_context.invocation_id)
        if run is not None:
            sent = [*run.turn.questions, *conversation_of(llm_request.contents)]
            put_into(llm_request, run.turn.prompt(sent))

    @override
    async def before_tool_callback(
        self, *, tool: BaseTool, tool_args: dict[str, Any], tool_context: ToolContext
    ) -> None:
        """Marks what the tool runs: an agent in it is not asked by the user."""
        run = self._runs.get(tool_context.invocation_id)
        if run is not None:
            run.tools[tool_context.function_call_id] = begin_tool(run.turn)

    @override
    async def after_tool_callback(
        self, *, tool: BaseTool, tool_args: dict[str, Any], tool_context: ToolContext, result: dict[str, Any]
    ) -> None:
        """Takes the mark back."""
        self._tool_ended(tool_context)

    @override
    async def on_tool_error_callback(
        self, *, tool: BaseTool, tool_args: dict[str, Any], tool_context: ToolContext, error: Exception
    ) -> None:
        """Takes the mark back."""
        self._tool_ended(tool_context)

    @override
    async def on_event_callback(self, *, invocation_context: InvocationContext, event: Event) -> None:
        """Stores what was said over a live connection, turn by turn."""
        run = self._runs.get(invocation_context.invocation_id)
        if run is not None and event.turn_complete and invocation_context.live_request_queue is not None:
            await _store_live(run, invocation_context)

    @override
    async def after_run_callback(self, *, invocation_context: InvocationContext) -> None:
        """Stores the answer, if the run came to one; ADK calls this for runs that were left or wait, too."""
        run = self._runs.pop(invocation_context.invocation_id)
        if run is None:
            return
        events = invocation_context.session.events
        if invocation_context.live_request_queue is not None:
            await _store_live(run, invocation_context)
            await run.turn.aend()
            return
        found = answer_in(events, invocation_context.invocation_id)
        if found is not None:
            answer, event = found
            await run.turn.aend(answer if self._stores(event, invocation_context.agent) else None)

    async def _begun(self, context: InvocationContext) -> _Run:
        questions, ran = questions_in(context.session.events, context.invocation_id)
        identity = {"user_id": context.user_id, "thread_id": context.session.id}
        return _Run(await Turn.abegin(self._binding, questions, identity, resumed=ran))

    def _stores(self, event: Event, agent: object) -> bool:
        if self._store_structured or not isinstance(agent, BaseAgent):
            return True
        author = agent.root_agent.find_agent(event.author)
        return not (isinstance(author, LlmAgent) and author.output_schema is not None)

    def _tool_ended(self, context: ToolContext) -> None:
        run = self._runs.get(context.invocation_id)
        if run is not None and context.function_call_id in run.tools:
            end_tool(run.tools.pop(context.function_call_id))


async def _store_live(run: _Run, context: InvocationContext) -> None:
    said = said_in(one for one in context.session.events if one.invocation_id == context.invocation_id)
    new, run.stored = said[run.stored :], len(said)
    for message in new:
        await run.turn.aanswer(message)
