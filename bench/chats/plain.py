"""No integration: the fewest raw HTTP calls that remember, and the pattern of the SDK's README."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from recallrai.models import MessageRole, RecallStrategy

from bench import dialogue, sdk
from bench.chats.base import Chat, Open, Recorder
from bench.measuring import event_loop
from bench.service import StandIn


@contextmanager
def raw_http(service: StandIn, recorder: Recorder) -> Iterator[Chat]:
    """The lower bound: the question is added, the context recalled; the answer is added when nobody waits."""
    user = uuid.uuid4().hex
    with httpx.Client(base_url=service.base_url, headers=sdk.HEADERS, timeout=60) as http:
        http.post("/api/v1/users", json={"custom_user_id": user})
        created = http.post(f"/api/v1/users/{user}/sessions", json={"metadata": {}})
        path = f"/api/v1/users/{user}/sessions/{created.json()['session']['session_id']}"

        def turn(n: int) -> None:
            http.post(f"{path}/add-message", json={"message": dialogue.question(n), "role": "user"})
            answer = http.get(f"{path}/context", params={"recall_strategy": "low_latency"}).json()
            recorder.answer([("system", answer["context"]), ("user", dialogue.question(n))])

        def settle() -> None:
            text = dialogue.answer(recorder.turn)
            http.post(f"{path}/add-message", json={"message": text, "role": "assistant"})

        yield Chat(turn, settle)


@contextmanager
def nothing(recorder: Recorder) -> Iterator[Chat]:
    """No framework, so nothing that it costs."""
    del recorder
    yield Chat(lambda _: None)


@contextmanager
def sdk_calls(service: StandIn, recorder: Recorder, *, around: Open = nothing) -> Iterator[Chat]:
    """The three calls of a turn on the SDK, two before a chat without memory and one behind it.

    What the processor time of that chat with our memory is compared with: the calls stand where ours do, so
    that whatever runs between them takes as much of the processor's caches from these as from ours.
    """
    session = sdk.client(service).create_user(uuid.uuid4().hex).create_session()

    def turn(n: int) -> None:
        session.add_message(MessageRole.USER, dialogue.question(n))
        session.get_context(**sdk.CONTEXT)
        chat.turn(n)
        session.add_message(MessageRole.ASSISTANT, dialogue.answer(n))

    with around(recorder) as chat:
        yield Chat(turn)


@contextmanager
def async_sdk_calls(service: StandIn, recorder: Recorder, *, around: Open = nothing) -> Iterator[Chat]:
    """The async twin of `sdk_calls`."""
    with event_loop() as loop, around(recorder) as chat:
        client = sdk.async_client(service)
        user = loop.run_until_complete(client.create_user(uuid.uuid4().hex))
        session = loop.run_until_complete(user.create_session())

        async def before(n: int) -> None:
            await session.add_message(MessageRole.USER, dialogue.question(n))
            await session.get_context(**sdk.CONTEXT)

        def turn(n: int) -> None:
            loop.run_until_complete(before(n))
            chat.turn(n)
            loop.run_until_complete(session.add_message(MessageRole.ASSISTANT, dialogue.answer(n)))

        yield Chat(turn)
        loop.run_until_complete(client.close())


@contextmanager
def readme(
    service: StandIn,
    recorder: Recorder,
    *,
    web_handler: bool = False,
    strategy: RecallStrategy = RecallStrategy.LOW_LATENCY,
) -> Iterator[Chat]:
    """The pattern of the SDK's README: context behind the system prompt, messages read back, in each turn.

    Args:
        service: which one.
        recorder: the model.
        web_handler: user and session are looked up in each turn, as a handler that keeps nothing must.
        strategy: of recall.
    """
    client, user_id = sdk.client(service), uuid.uuid4().hex
    kept = client.create_user(user_id).create_session()

    def turn(n: int) -> None:
        session = client.get_user(user_id).get_session(kept.session_id) if web_handler else kept
        session.add_message(role=MessageRole.USER, content=dialogue.question(n))
        context = session.get_context(recall_strategy=strategy)
        system = dialogue.APP_PROMPT + (context.context or "")
        said = session.get_messages(offset=0, limit=50).messages
        text = recorder.answer([("system", system), *((one.role.value, one.content) for one in said)])
        session.add_message(role=MessageRole.ASSISTANT, content=text)

    yield Chat(turn)
