"""What is read from the items of a request to the model, and what is put into them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any, cast

from agents import TResponseInputItem
from agents.run_config import ModelInputData
from pydantic import BaseModel

from recallrai_integrations.adapter import from_openai_all
from recallrai_integrations.context import Prompt
from recallrai_integrations.messages import Message

__all__ = ["answer_text", "asked_before", "is_answer", "new_questions", "said_in", "with_memories"]


def new_questions(items: Sequence[TResponseInputItem]) -> list[Message]:
    """What the user says at the end of the items; nothing when somebody else has the last word."""
    latest = (item for item in reversed(items) if _get(item, "role") not in _INSTRUCTIONS)
    return said_in(list(takewhile(_is_users, latest))[::-1])


def said_in(items: Sequence[TResponseInputItem]) -> list[Message]:
    """What the user and the assistant said; without ids, which may be the same for all items."""
    return [Message(message.role, message.content) for message in from_openai_all(items)]


def asked_before(items: Sequence[TResponseInputItem]) -> list[Message]:
    """What the user said last, where a run goes on behind it: after tool calls, an approval, a crash."""
    last = max((n for n, item in enumerate(items) if _is_users(item)), default=-1)
    return new_questions(items[: last + 1])


def is_answer(items: Iterable[TResponseInputItem], output: object, *, of_tool: bool) -> bool:
    """Whether what a session is given holds the output of the run.

    What the user said comes late in streams that a guardrail refuses, and the result of a tool that a
    guardrail blocks is kept with another text in its place. A message that is blocked is not kept at all.
    """
    if of_tool:
        return any(str(output) in str(_get(item, "output")) for item in items)
    return any(not _is_users(item) for item in items)


def answer_text(output: Any) -> str:
    """The final output of a run as text: structured output as JSON."""
    if isinstance(output, str):
        return output
    if isinstance(output, BaseModel):
        return output.model_dump_json()
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        output = dataclasses.asdict(output)
    return json.dumps(output, ensure_ascii=False, default=str)


def with_memories(request: ModelInputData, prompt: Prompt, *, only_instructions: bool) -> ModelInputData:
    """The same request with memories.

    Args:
        request: as it would be sent without them.
        prompt: instructions and memories.
        only_instructions: the provider keeps the items of the request, which memories must not outlive.
    """
    system, items = prompt.system, list(request.input)
    if prompt.beside:
        place = max((n for n, item in enumerate(items) if _is_users(item)), default=None)
        if place is None or only_instructions:
            system = _joined(system, prompt.beside)
        else:
            items[place] = _beside(items[place], prompt.beside)
    return ModelInputData(input=items, instructions=_joined(request.instructions, system) or None)


def _beside(item: TResponseInputItem, text: str) -> TResponseInputItem:
    """A copy: the item belongs to the run, which keeps it."""
    copied = dict(item)
    content = copied.get("content")
    if isinstance(content, str):
        copied["content"] = f"{text}\n\n{content}"
    else:
        parts = cast("list[Any]", content or [])
        copied["content"] = [{"type": "input_text", "text": text}, *parts]
    return cast("TResponseInputItem", copied)


def _joined(*texts: str | None) -> str:
    return "\n\n".join(filter(None, texts))


_INSTRUCTIONS = ("system", "developer")


def _get(item: object, name: str) -> Any:
    return cast("Mapping[str, Any]", item).get(name) if isinstance(item, Mapping) else None


def _is_users(item: object) -> bool:
    return bool(_get(item, "role") == "user")
