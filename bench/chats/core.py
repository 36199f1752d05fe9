"""Our core by itself, for applications without a framework."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from bench import dialogue
from bench.chats.base import Chat, Recorder
from bench.service import StandIn
from recallrai_integrations import ContextOptions, DeliveryOptions, Message, RecallOptions, connect


@contextmanager
def chat(
    service: StandIn, recorder: Recorder, *, context: ContextOptions, delivery: DeliveryOptions
) -> Iterator[Chat]:
    """The loop of the documentation: record, recall, ask the model, record."""
    recall = RecallOptions(strategy="low_latency")
    with connect(**service.credentials, recall=recall, context=context, delivery=delivery) as connection:
        conversation = connection.conversation(uuid.uuid4().hex, "thread")
        said: list[Message] = []

        def turn(n: int) -> None:
            said.append(Message("user", dialogue.question(n)))
            conversation.record(said[-1])
            prompt = conversation.recall().prompt(sent=said)
            system, question = dialogue.APP_PROMPT, said[-1].content
            if context.placement == "user":
                question = f"{prompt.text}\n\n{question}"
            else:
                system = f"{system}\n\n{prompt.text}"
            before = [(one.role, one.content) for one in said[:-1]]
            answer = recorder.answer([("system", system), *before, ("user", question)])
            said.append(Message("assistant", answer))
            conversation.record(said[-1])

        yield Chat(turn, connection.flush)
