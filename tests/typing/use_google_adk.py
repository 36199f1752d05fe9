"""What users write with Google ADK, for the type checkers; never run. See `use_core`."""

from __future__ import annotations

from google.adk.agents import LlmAgent
from google.adk.apps import App
from google.adk.memory.base_memory_service import SearchMemoryResponse
from google.adk.runners import InMemoryRunner, Runner
from google.adk.sessions import InMemorySessionService
from typing_extensions import assert_type

from recallrai_integrations import Connection, ContextOptions, RecallOptions
from recallrai_integrations.google_adk import RecallrAIMemoryService, RecallrAIPlugin


def apps(connection: Connection, agent: LlmAgent) -> None:
    plugin = RecallrAIPlugin(
        connection, context=ContextOptions(), recall=RecallOptions(), process="every_run"
    )
    app = App(name="app", root_agent=agent, plugins=[plugin])
    InMemoryRunner(app=app)
    service = RecallrAIMemoryService(connection, k=5, recall=RecallOptions())
    Runner(app=app, session_service=InMemorySessionService(), memory_service=service)


async def memories(service: RecallrAIMemoryService) -> None:
    found = await service.search_memory(app_name="app", user_id="ada", query="my dog")
    assert_type(found, SearchMemoryResponse)


def wrong(connection: Connection) -> None:
    RecallrAIPlugin("rai_key")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RecallrAIPlugin(connection, process="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RecallrAIPlugin(connection, "ada")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RecallrAIMemoryService(connection, k="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RecallrAIMemoryService("rai_key")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
