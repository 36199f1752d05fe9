"""Our core by itself, for applications without a framework."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from bench import dialogue
from bench.chats.base import Chat, Recorder
from bench.chats.ours import Setting
from recallrai_integrations import Message


@contextmanager
def chat(setting: Setting, recorder: Recorder) -> Iterator[Chat]:
    """The loop of the documentation: record, recall, ask the model, record."""
    with setting.connect() as connection:
        conversation = connection.conversation(uuid.uuid4().hex, "thread")
        said: list[Message] = []

        def turn(n: int) -> None:
            said.append(Message("user", dialogue.question(n)))
            conversation.record(said[-1])
            prompt = conversation.recall().prompt(sent=said)
            system, question = dialogue.APP_PROMPT, said[-1].content
            if setting.context.placement == "user":
                question = f"{prompt.text}\n\n{question}"
            else:
                system = f"{system}\n\n{prompt.text}"
            before = [(one.role, one.content) for one in said[:-1]]
            answer = recorder.answer([("system", system), *before, ("user", question)])
            said.append(Message("assistant", answer))
            conversation.record(said[-1])

        yield Chat(turn, connection.flush)
