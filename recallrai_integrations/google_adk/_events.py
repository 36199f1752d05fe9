"""From ADK's events to what was said, and memories into a request.

```text
event of the user              its texts, one below the other; "[image]" and the like where only media are
event with a function call     nothing: its text is narration
event with an error, partial   nothing
transcription of speech        its text
other events of an agent       their text, without thoughts
```
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from google.adk.events import Event
from google.adk.models.llm_request import LlmRequest
from google.genai import types

from recallrai_integrations.adapter import answer_of, placeholder, question_of
from recallrai_integrations.context import Prompt
from recallrai_integrations.messages import Message

__all__ = ["answer_in", "conversation_of", "put_into", "questions_in", "said_in"]


def said_in(events: Iterable[Event]) -> list[Message]:
    """What the user and the agents said, oldest first."""
    return [message for event in events if (message := _said(event)) is not None]


def questions_in(events: Sequence[Event], invocation_id: str) -> tuple[list[Message], bool]:
    """What the user said in an invocation, and whether it has run before, as after an approval."""
    own = [event for event in events if event.invocation_id == invocation_id]
    ran = any(event.author != "user" or event.get_function_responses() for event in own)
    return [message for message in said_in(own) if message.role == "user"], ran


def answer_in(events: Sequence[Event], invocation_id: str) -> tuple[Message, Event] | None:
    """The last thing that an agent said in an invocation; None when it ended otherwise, as in a pause."""
    for event in reversed(events):
        if event.invocation_id == invocation_id and event.author == "user":
            return None
        if event.invocation_id == invocation_id and (_parts(event.content) or event.error_code):
            message = _said(event) if event.is_final_response() else None
            return None if message is None else (message, event)
    return None


def conversation_of(contents: Iterable[types.Content]) -> list[Message]:
    """What the user and the assistant said, as a request to the model repeats it."""
    messages = (
        question_of(_text(content)) if content.role == "user" else answer_of(_text(content))
        for content in contents
        if not _calls(content)
    )
    return [message for message in messages if message is not None]


def put_into(request: LlmRequest, prompt: Prompt) -> None:
    """Puts memories into one request: into its instructions, or before the user's last words."""
    if prompt.system:
        request.append_instructions([prompt.system])
    if prompt.beside:
        asked = (n for n in reversed(range(len(request.contents))) if _is_said(request.contents[n]))
        content = types.Content(role="user", parts=[types.Part(text=prompt.beside)])
        request.contents.insert(next(asked, len(request.contents)), content)


def _said(event: Event) -> Message | None:
    if event.partial or event.error_code or event.get_function_calls() or event.long_running_tool_ids:
        return None
    heard, spoken = event.input_transcription, event.output_transcription
    text = _text(event.content) or next((one.text for one in (heard, spoken) if one and one.text), "")
    is_users = event.author == "user" or heard is not None
    return question_of(text, id=event.id) if is_users else answer_of(text, id=event.id)


def _text(content: types.Content | None) -> str:
    parts = _parts(content)
    texts = [part.text for part in parts if part.text and not part.thought]
    if texts:  # an agent's parts are pieces of one text
        return ("\n" if content is not None and content.role == "user" else "").join(texts)
    return placeholder(map(_kind, parts))


def _kind(part: types.Part) -> str:
    media = part.inline_data or part.file_data
    if media is None:
        return ""
    kind = (media.mime_type or "file").split("/", maxsplit=1)[0]
    return kind if kind in ("image", "audio", "video") else "file"


def _parts(content: types.Content | None) -> list[types.Part]:
    return [] if content is None else content.parts or []


def _calls(content: types.Content) -> bool:
    return any(part.function_call for part in _parts(content))


def _is_said(content: types.Content) -> bool:
    return content.role == "user" and not any(part.function_response for part in _parts(content))
