"""What the core costs beside the same calls on the SDK: requests, time, processor time, history, import."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import uuid
from statistics import median
from typing import Any

import httpx
from recallrai.models import MessageRole

from bench import dialogue, sdk
from bench.measuring import Turn, compare, event_loop, on_loop
from bench.report import Figure, Table, goals
from bench.service import STORED_MESSAGES, STORED_SESSION, StandIn
from recallrai_integrations import Message, RecallOptions, connect

RECALL = RecallOptions(strategy="low_latency")

_PAGE = 500


def run(*, quick: bool) -> list[Table]:
    """The figures of the core with their goals."""
    with StandIn(latency=True) as slow, StandIn(latency=False) as fast:
        figures = [
            *_requests(fast),
            *_warm_turns(slow, fast, quick=quick),
            *_history(slow, rounds=3 if quick else 11),
            _import_time(rounds=3 if quick else 21),
        ]
    return [goals("The core beside the SDK", figures)]


def _requests(service: StandIn) -> list[Figure]:
    """Counts without the instruction prompt, which is fetched beside the first turn."""
    figures: list[Figure] = []
    with connect(**service.credentials, recall=RECALL) as connection:
        user = uuid.uuid4().hex
        for name, thread_id, goal in (
            ("first thread of a new user", "first", 6),
            ("new thread of a known user", "second", 4),
            ("known user without a thread", None, 3),
            ("warm", "first", 2),
        ):
            conversation = connection.conversation(user, thread_id)
            since = time.monotonic()
            conversation.record(("user", dialogue.question(0)))
            conversation.recall()
            figures.append(
                Figure(f"requests before the model, {name}", _count(service, since), goal, digits=0)
            )
            since = time.monotonic()
            conversation.record(("assistant", dialogue.answer(0)))
        figures.append(Figure("requests after the model, warm", _count(service, since), 1, digits=0))
    return figures


def _count(service: StandIn, since: float) -> int:
    return sum(not one.path.endswith("/system-prompt") for one in service.requests(since))


def _warm_turns(slow: StandIn, fast: StandIn, *, quick: bool) -> list[Figure]:
    """A turn through the core over the same three calls on the SDK; the prompt is rendered in neither."""
    figures: list[Figure] = []
    for name, service, rounds in (
        ("published latencies", slow, 3 if quick else 11),
        ("no latency", fast, 20 if quick else 200),
    ):
        for colour, ways in (("sync", _sync_ways), ("async", _async_ways)):
            raw, core = ways(service, rounds)
            figures.append(
                Figure(f"warm turn over the raw SDK, {name}, {colour}", core.elapsed / raw.elapsed, 1.1)
            )
            if service is fast:
                beyond = 1000 * (core.processor - raw.processor)
                figures.append(Figure(f"processor time beyond the raw SDK, {colour}", beyond, 1, " ms"))
    return figures


def _sync_ways(service: StandIn, rounds: int) -> list[Any]:
    client, user_id = sdk.client(service), uuid.uuid4().hex
    session = client.create_user(user_id).create_session()

    def raw(n: int) -> None:
        session.add_message(MessageRole.USER, dialogue.question(n))
        session.get_context(**sdk.CONTEXT)
        session.add_message(MessageRole.ASSISTANT, dialogue.answer(n))

    with connect(**service.credentials, recall=RECALL) as connection:
        conversation = connection.conversation(uuid.uuid4().hex, "thread")

        def core(n: int) -> None:
            conversation.record(Message("user", dialogue.question(n)))
            conversation.recall()
            conversation.record(Message("assistant", dialogue.answer(n)))

        return compare([raw, core], rounds)


def _async_ways(service: StandIn, rounds: int) -> list[Any]:
    with event_loop() as loop:
        client = sdk.async_client(service)
        user = loop.run_until_complete(client.create_user(uuid.uuid4().hex))
        session = loop.run_until_complete(user.create_session())
        connection = connect(**service.credentials, recall=RECALL)
        conversation = connection.conversation(uuid.uuid4().hex, "thread")

        async def raw(n: int) -> None:
            await session.add_message(MessageRole.USER, dialogue.question(n))
            await session.get_context(**sdk.CONTEXT)
            await session.add_message(MessageRole.ASSISTANT, dialogue.answer(n))

        async def core(n: int) -> None:
            await conversation.arecord(Message("user", dialogue.question(n)))
            await conversation.arecall()
            await conversation.arecord(Message("assistant", dialogue.answer(n)))

        costs = compare([on_loop(loop, raw), on_loop(loop, core)], rounds)
        loop.run_until_complete(connection.aclose())
        loop.run_until_complete(client.close())
        return costs


def _history(service: StandIn, rounds: int) -> list[Figure]:
    """A long history over its pages fetched by raw HTTP: the first one, which tells how many there are, then
    all others at once.
    """
    user_id = uuid.uuid4().hex
    sdk.client(service).create_user(user_id)
    with connect(**service.credentials) as connection, event_loop() as loop:
        conversation = connection.conversation(user_id, STORED_SESSION)
        raw = httpx.AsyncClient(base_url=service.base_url, headers=sdk.HEADERS, timeout=60)
        path = f"/api/v1/users/{user_id}/sessions/{STORED_SESSION}/messages"

        async def page(offset: int) -> dict[str, Any]:
            answer = await raw.get(path, params={"offset": offset, "limit": _PAGE})
            return answer.json()

        async def pages(_: int) -> None:
            first = await page(0)
            rest = await asyncio.gather(*map(page, range(_PAGE, first["total"], _PAGE)))
            assert sum(len(one["messages"]) for one in [first, *rest]) == STORED_MESSAGES

        async def ahistory(_: int) -> None:
            assert len(await conversation.ahistory()) == STORED_MESSAGES

        def history(_: int) -> None:
            assert len(conversation.history()) == STORED_MESSAGES

        history(0)  # finds the session, and with it the stand-in makes its messages
        http, ours, aours = compare([on_loop(loop, pages), history, on_loop(loop, ahistory)], rounds)
        loop.run_until_complete(raw.aclose())
        loop.run_until_complete(connection.aclose())
    return [
        Figure(
            f"history of {STORED_MESSAGES:,} messages over raw HTTP, {colour}",
            one.elapsed / http.elapsed,
            1.3,
        )
        for colour, one in (("sync", ours), ("async", aours))
    ]


def _import_time(rounds: int) -> Figure:
    """In fresh interpreters, one after the other by turns."""
    ways: list[Turn] = [_importing("recallrai"), _importing("recallrai_integrations")]
    taken = [[float(str(way(n))) for way in ways] for n in range(rounds)]
    raw, ours = (median(times) for times in zip(*taken, strict=True))
    return Figure("import of the root package over `import recallrai`", ours / raw, 1.1)


def _importing(module: str) -> Turn:
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    return lambda _: subprocess.run(command, capture_output=True, text=True, check=True).stdout
