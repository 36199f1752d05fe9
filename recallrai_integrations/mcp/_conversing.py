"""A turn of a conversation: `recall` before the answer, `remember` after it."""

# No `from __future__ import annotations`: the server evaluates the annotations of functions in functions.

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, TypeVar

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult
from pydantic import Field, StringConstraints

from recallrai_integrations.adapter import (
    Binding,
    Identity,
    Turn,
    answer_of,
    arun,
    ending_run,
    question_of,
    recording,
)
from recallrai_integrations.errors import InvalidInputError
from recallrai_integrations.messages import Message

from ._caller import Caller, telling
from ._results import Recalled, Remembered, answered
from ._tools import hints

__all__ = ["add_conversation", "recalled", "told"]

T = TypeVar("T")

Naming = Callable[[Message, Identity], Message]

_REMEMBERED: Final = 10_000
"""Conversations whose latest message is known, so that a call that a client repeats stores it once."""

_ONE_TURN: Final = "turn-"
"""How conversation ids begin that were given out here: their sessions are processed at the answer."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
ConversationId = Annotated[
    str,
    Field(
        description="The conversation that this belongs to: what `recall` or `remember` returned, or the "
        "application's own id. Empty for a new one."
    ),
]


class _Latest:
    """Tells what a client says again, since it got no answer in time, from what is said twice.

    Between two turns with the same words somebody else speaks; a message that follows itself is a repetition.
    It has the id of the first one, by which the connection passes it over.
    """

    def __init__(self) -> None:
        self._latest: OrderedDict[Identity, Message] = OrderedDict()

    def named(self, message: Message, identity: Identity) -> Message:
        """The message with its id."""
        known = self._latest.pop(identity, None)
        if known is None or (known.role, known.content) != (message.role, message.content):
            known = replace(message, id=uuid.uuid4().hex)
        self._latest[identity] = known
        if len(self._latest) > _REMEMBERED:
            self._latest.popitem(last=False)
        return known


def add_conversation(server: MCPServer[Any], caller: Caller) -> None:
    """Adds the tools of a turn."""
    latest = _Latest()

    async def recall(
        message: Annotated[Text, Field(description="What the user said, word for word.")],
        context: Context[Any, Any],
        conversation_id: ConversationId = "",
    ) -> Annotated[CallToolResult, Recalled]:
        with telling(ToolError):
            found = await recalled(caller.binding(), message, conversation_id, context, latest.named)
        return answered(told(found), found)

    async def remember(
        text: Annotated[Text, Field(description="Your final answer, or what the user said, word for word.")],
        said_by: Annotated[
            Literal["assistant", "user"], Field(description="Whose words they are.")
        ] = "assistant",
        conversation_id: ConversationId = "",
    ) -> Annotated[CallToolResult, Remembered]:
        with telling(ToolError):
            remembered = await _remember(caller.binding(), text, said_by, conversation_id, latest.named)
        done = "Stored." if remembered.delivered else "The memory cannot be reached; this is stored later."
        return answered(f"{done} conversation_id: {remembered.conversation_id}", remembered)

    server.add_tool(
        recall,
        title="Recall",
        description="Call this first in each turn: stores what the user said and returns what is remembered "
        "that helps to answer.",
        annotations=hints(),
    )
    server.add_tool(
        remember,
        title="Remember",
        description="Stores your final answer to the user, at the end of a turn that began with `recall`; or "
        "something the user said that `recall` was not called with.",
        annotations=hints(),
    )


async def recalled(
    binding: Binding,
    said: str,
    conversation_id: str,
    context: Context[Any, Any] | None = None,
    named: Naming = lambda message, _: message,
) -> Recalled:
    """Stores what the user said and recalls what helps with it.

    Args:
        binding: of the caller.
        said: what the user said.
        conversation_id: "" for a new one.
        context: of the request; None where progress cannot be told.
        named: gives a message its id.

    Raises:
        InvalidInputError: a blank text, or an id that cannot be sent; nothing was sent.
    """
    question = question_of(said)
    if question is None:
        raise InvalidInputError("There is nothing to recall by: pass what the user said.")
    conversation_id = conversation_id or _new_id()
    place = {"thread_id": conversation_id}
    question = named(question, binding.identity(place))
    connection = await binding.source.aget()
    # Memories only: a result stands beside the question; the service's instructions are for system prompts.
    binding = replace(binding, context=replace(connection.context_options, placement="user"))
    turn = await _with_progress(
        context,
        lambda listener: Turn.abegin(binding, question, place, on_progress=listener),
    )
    recall = turn.recall
    return Recalled(
        conversation_id=conversation_id,
        memories=turn.prompt().beside,
        memory_ids=[] if recall is None else list(recall.memory_ids),
        degraded=recall is not None and recall.degraded,
    )


def told(found: Recalled) -> str:
    """What was recalled, as text for a model."""
    known = found.memories or (
        "The memory cannot be reached now." if found.degraded else "Nothing is remembered that helps here."
    )
    return (
        f"{known}\n\nWhen you have answered, call remember with your answer and "
        f"conversation_id {found.conversation_id}"
    )


async def _remember(
    binding: Binding,
    text: str,
    said_by: Literal["assistant", "user"],
    conversation_id: str,
    named: Naming,
) -> Remembered:
    message = answer_of(text) if said_by == "assistant" else question_of(text)
    if message is None:
        raise InvalidInputError("There is nothing to remember in this text.")
    is_new, conversation_id = not conversation_id, conversation_id or _new_id()
    if conversation_id.startswith(_ONE_TURN):
        binding = replace(binding, process="every_run")
    identity = binding.identity({"thread_id": conversation_id})
    conversation = await binding.aconversation(identity)
    await arun(recording(conversation, [named(message, identity)]))
    if is_new or said_by == "assistant":
        await arun(ending_run(conversation))
    return Remembered(conversation_id=conversation_id, delivered=not conversation.connection.is_down)


def _new_id() -> str:
    return f"{_ONE_TURN}{uuid.uuid4().hex}"


async def _with_progress(
    context: Context[Any, Any] | None, work: Callable[[Callable[[str], object] | None], Awaitable[T]]
) -> T:
    """Does some work, whose status texts are sent to a client that asked for progress.

    Args:
        context: of the request; None where progress cannot be told.
        work: takes the function to be told; None when nobody wants to know.
    """
    if context is None or (context.request_context.meta or {}).get("progress_token") is None:
        return await work(None)
    texts: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def tell(text: str | None) -> None:
        loop.call_soon_threadsafe(texts.put_nowait, text)

    async def report() -> None:
        step = 0
        while (text := await texts.get()) is not None:
            step += 1
            await context.report_progress(step, message=text)

    reporting = asyncio.create_task(report())
    try:
        return await work(tell)
    finally:
        tell(None)
        await reporting
