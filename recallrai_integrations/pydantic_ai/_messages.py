"""From Pydantic AI's messages to what was said.

```text
user prompt                    its texts, one below the other; "[image]" and the like where only media are
prompt enqueued during a run   not the user's words: nothing
retry feedback, tool returns   nothing
response with tool calls       nothing: its text is narration
other responses                their text, without thinking
```
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from pydantic import TypeAdapter
from pydantic_ai import DeferredToolRequests
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextContent,
    TextPart,
    ToolCallPart,
    UserContent,
    UserPromptPart,
)

from recallrai_integrations.adapter import answer_of, placeholder, question_of
from recallrai_integrations.messages import Message

__all__ = ["answer_text", "conversation_of", "new_in", "prompt_text"]


def prompt_text(content: str | Sequence[UserContent] | None) -> str:
    """The text of a user prompt; a placeholder where only media are."""
    if content is None or isinstance(content, str):
        return content or ""
    texts = [text for item in content if (text := _text(item)).strip()]
    return "\n".join(texts) or placeholder(map(_kind, content))


def new_in(
    prompt: str | Sequence[UserContent] | None, history: Sequence[ModelMessage], run_id: str | None
) -> tuple[list[Message], bool]:
    """What the user said that a run is to answer, and whether an earlier run may have stored some of it.

    Args:
        prompt: of this run. Without one the run goes on with its history, as after an approval or a crash
            and with the adapters for user interfaces.
        history: that the application handed over.
        run_id: by which a question is told from another one with the same text.
    """
    questions: list[Message] = []
    resumed = False
    if prompt is None or (history and not _ends_turn(history[-1]) and isinstance(history[-1], ModelResponse)):
        runs: set[str] = set()
        for request in _unanswered(history):
            said = _said(request)
            if said is None or request.run_id in runs:  # enqueued while that run was on its way
                continue
            if request.run_id is not None:
                resumed = True
                runs.add(request.run_id)
            questions.append(Message("user", said.content, id=request.run_id or run_id))
    question = question_of(prompt_text(prompt), id=run_id)
    return (questions if question is None else [*questions, question]), resumed


def conversation_of(messages: Sequence[ModelMessage]) -> list[Message]:
    """What the user and the assistant said, as a request to the model repeats it."""
    conversation: list[Message | None] = []
    for message in messages:
        if isinstance(message, ModelRequest):
            prompts = [part for part in message.parts if isinstance(part, UserPromptPart)]
            conversation += [question_of(prompt_text(part.content)) for part in prompts]
        elif _ends_turn(message):
            texts = [part.content for part in message.parts if isinstance(part, TextPart)]
            conversation.append(answer_of("".join(texts)))
    return [message for message in conversation if message is not None]


def answer_text(output: object, *, structured: bool) -> str | None:
    """A run's final output as an answer to be stored; None when it is none.

    Args:
        output: of the run.
        structured: anything but text is stored as JSON.
    """
    if isinstance(output, str):
        return output
    if output is None or isinstance(output, DeferredToolRequests) or not structured:
        return None
    return TypeAdapter[object](type(output)).dump_json(output).decode()


def _unanswered(history: Sequence[ModelMessage]) -> list[ModelRequest]:
    """The requests behind the last answer, oldest first."""
    since = takewhile(lambda one: not _ends_turn(one), reversed(history))
    return [one for one in reversed(list(since)) if isinstance(one, ModelRequest)]


def _ends_turn(message: ModelMessage) -> bool:
    return isinstance(message, ModelResponse) and not any(
        isinstance(part, ToolCallPart) for part in message.parts
    )


def _said(request: ModelRequest) -> Message | None:
    """The user's words in a request; behind those of a request that was in a run stands what was enqueued."""
    prompts = [part for part in request.parts if isinstance(part, UserPromptPart)]
    texts = [prompt_text(part.content) for part in (prompts if request.run_id is None else prompts[:1])]
    return question_of("\n".join(texts))


def _text(item: UserContent) -> str:
    if isinstance(item, TextContent):
        return item.content
    return item if isinstance(item, str) else ""


def _kind(item: object) -> str:
    kind = str(getattr(item, "kind", ""))
    if kind in ("binary", "uploaded-file"):
        kind = str(getattr(item, "media_type", None) or "file").split("/", maxsplit=1)[0]
        return kind if kind in ("image", "audio", "video") else "file"
    return kind.removesuffix("-url")
