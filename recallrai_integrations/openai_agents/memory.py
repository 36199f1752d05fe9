"""`RecallrAIMemory`: long-term memory for the runs of agents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agents import RunConfig, RunHooks, Session
from typing_extensions import Unpack

from recallrai_integrations.adapter import Binding
from recallrai_integrations.connection import Connection
from recallrai_integrations.errors import InvalidInputError
from recallrai_integrations.identity import thread_id_text
from recallrai_integrations.options import MemoryOptions

from ._run import Run
from ._watching import NoSession, watched_hooks, watched_session
from .session import WHERE, RecallrAISession

__all__ = ["RecallrAIMemory"]


class RecallrAIMemory:
    """Gives the runs of agents the memory of their users: stores what is said, recalls what helps.

    One memory serves an application; `for_run` makes the arguments of one run of it. In each turn what the
    user said is stored, memories are recalled once, each request to the model has them, and the final answer
    is stored once the guardrails have let it pass. Agents that are tools of the run have the same memories,
    and store nothing. Memories are in no session, result or `RunState`.

    Who is remembered: the arguments, else `user_id` and `thread_id` of the run's `context` (keys or
    attributes). The thread is otherwise the id of the session or of the conversation that OpenAI keeps.

    Failure: outages follow the connection's `on_error`; with `"degrade"` the answer comes without fresh
    memories, and what could not be stored is sent later, in order. Credentials, wrong input and a failing
    hook of yours always raise, out of the run. A run that fails, is cancelled, refused by a guardrail or
    waits for approval stores no answer. What the user said is stored as soon as the model is asked, so input
    that is never to be stored needs a guardrail with `run_in_parallel=False`.

    Args:
        connection: from `connect()`; None makes one from the environment on first use.
        user_id: the user, when the application serves only one.
        thread_id: the thread, when it is not the run's. Without any, each run is a separate conversation.
        store_structured: store structured output, as JSON.
        store_direct: store a tool's result where it is the output of the run (`tool_use_behavior`). Versions
            of the SDK before 0.22 keep such a result, so it is stored, even when a guardrail blocks it.
        trace_memories: leave tracing as it is. By default runs are traced without the texts that go to models
            and tools (`trace_include_sensitive_data=False`), since memories would be among them.
        **options: recall, context, metadata, process, process_every, auto_process_after_seconds; see
            `MemoryOptions`.

    Example:
        ```python
        from agents import Agent, Runner, SQLiteSession

        from recallrai_integrations import connect
        from recallrai_integrations.openai_agents import RecallrAIMemory
        from recallrai_integrations.testing.offline import QuotingAgentModel

        with connect(local=":memory:") as connection:
            memory = RecallrAIMemory(connection)
            agent = Agent("Cook", instructions="You are a cook.", model=QuotingAgentModel())
            run = memory.for_run(user_id="ada", session=SQLiteSession("thread-1"))
            print(Runner.run_sync(agent, "What shall I cook?", **run).final_output)
        ```
    """

    def __init__(
        self,
        connection: Connection | None = None,
        *,
        user_id: str | None = None,
        thread_id: str | None = None,
        store_structured: bool = False,
        store_direct: bool = False,
        trace_memories: bool = False,
        **options: Unpack[MemoryOptions],
    ) -> None:
        self._binding = Binding.of(connection, user_id, thread_id, where=WHERE, **options)
        self._store_structured = store_structured
        self._store_direct = store_direct
        self._trace_memories = trace_memories

    def for_run(
        self,
        user_id: str | None = None,
        thread_id: str | None = None,
        *,
        session: Session | None = None,
        hooks: RunHooks[Any] | None = None,
        run_config: RunConfig | Mapping[str, Any] | None = None,
        conversation_id: str | None = None,
        previous_response_id: str | None = None,
        auto_previous_response_id: bool = False,
    ) -> Mapping[str, Any]:
        """The arguments of one run, also of one that is resumed from a `RunState`; no I/O.

        What is passed here is not passed to the runner again. Ask for each run: a run that waits for approval
        may go on with the arguments it began with, or with new ones, in another process too.

        Args:
            user_id: of this run; None takes the memory's, else the context's.
            thread_id: the same.
            session: the application's, which keeps what it would keep without memory. None keeps nothing; a
                `RecallrAISession` hands the model the conversation that RecallrAI keeps.
            hooks: the application's.
            run_config: the application's; it is copied. Its `call_model_input_filter` sees requests before
                memories are in them.
            conversation_id: of a conversation that OpenAI keeps. Memories are then in the instructions
                alone, wherever the `placement` has them, since items would stay with the provider.
            previous_response_id: the same, by its latest response.
            auto_previous_response_id: the same, by each response.

        Returns:
            To be unpacked: `Runner.run(agent, text, **memory.for_run("ada", session=session))`.

        Raises:
            InvalidInputError: a session or hooks of another kind, or an id that cannot be sent.
        """
        served = {
            "conversation_id": conversation_id,
            "previous_response_id": previous_response_id,
            "auto_previous_response_id": auto_previous_response_id or None,
        }
        served = {name: value for name, value in served.items() if value is not None}
        if served and session is not None:
            raise InvalidInputError(
                f"{next(iter(served))} means that OpenAI keeps the conversation: leave the session out."
            )
        binding = self._binding if user_id is None else self._binding.with_user(user_id)
        if thread_id is not None:
            binding = replace(binding, thread_id=thread_id_text(thread_id))
        config = _config(run_config)
        own = isinstance(session, RecallrAISession)

        def place() -> Any:  # not before a request: the id of some sessions comes with their first use
            return session if own else {"thread_id": conversation_id or getattr(session, "session_id", None)}

        run = Run(
            binding,
            place,
            own_filter=config.call_model_input_filter,
            keeps_items=not own,
            served=bool(served),
            store_structured=self._store_structured,
            store_direct=self._store_direct,
        )
        arguments: dict[str, Any] = {
            "hooks": watched_hooks(RunHooks[Any]() if hooks is None else hooks, run),
            "run_config": replace(
                config,
                call_model_input_filter=run,
                trace_include_sensitive_data=config.trace_include_sensitive_data and self._trace_memories,
            ),
        }
        if served:
            return arguments | served
        kept = session if session is not None else NoSession(binding.thread_id or "recallrai")
        return {**arguments, "session": watched_session(kept, run)}


def _config(given: RunConfig | Mapping[str, Any] | None) -> RunConfig:
    if isinstance(given, RunConfig):
        return given
    try:
        return RunConfig(**(given or {}))
    except TypeError as error:
        raise InvalidInputError(f"run_config must be a RunConfig of the Agents SDK: {error}") from error
