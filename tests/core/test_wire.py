"""The requests of a turn, pinned on the wire.

The cassettes were recorded against the local service and are replayed as the hosted one, without a server:
another request, another order or another body is an error. `RECALLRAI_RECORD=1` records them anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import vcr

from recallrai_integrations import Connection, Message, RecallOptions, connect
from recallrai_integrations.local import LocalRecallrAI
from tests.conftest import Call

CASSETTES = Path(__file__).parent / "cassettes"
HOSTED = "https://api.recallrai.com"
KEY = "rai_" + "recorded"
RECORDING = os.environ.get("RECALLRAI_RECORD") == "1"


def as_hosted(request: Any) -> Any:
    """The request as the hosted service would get it, without the key."""
    request.uri = HOSTED + request.path + ("?" + request.uri.partition("?")[2] if "?" in request.uri else "")
    return request


@contextmanager
def tape(name: str) -> Iterator[Connection]:
    """A connection that records to, or replays from, a cassette."""
    recorder = vcr.VCR(
        cassette_library_dir=str(CASSETTES),
        match_on=["method", "uri", "body"],
        filter_headers=["X-Recallr-Api-Key", "Host", "Accept-Encoding", "Connection", "User-Agent"],
        before_record_request=as_hosted,
        record_mode="all" if RECORDING else "none",
        decode_compressed_response=True,
    )
    if RECORDING:
        with (
            LocalRecallrAI(api_key=KEY, project_id="recorded") as server,
            recorder.use_cassette(name),
            connect(api_key=KEY, project_id="recorded", base_url=server.base_url) as connection,
        ):
            yield connection
    else:
        with recorder.use_cassette(name) as cassette:
            with connect(api_key=KEY, project_id="recorded", base_url=HOSTED) as connection:
                yield connection
            assert cassette.play_count == len(cassette), [str(r) for r in cassette.requests]


async def cold_and_warm_turn(connection: Connection, call: Callable[..., Awaitable[Any]]) -> None:
    conversation = connection.conversation("ada@example.com", "thread/1", metadata={"topic": "food"})
    for number, said in enumerate(("I am allergic to nuts.", "What should I cook? 🍲")):
        await call(conversation.record, Message("user", said, id=f"m{number}"))
        await call(conversation.recall)
        await call(conversation.record, ("assistant", "Let us see."))


async def recall_with_every_option(connection: Connection, call: Callable[..., Awaitable[Any]]) -> None:
    conversation = connection.conversation("ada")
    await call(conversation.record, ("user", "What should I cook?"))
    options = RecallOptions(
        strategy="low_latency",
        min_top_k=5,
        max_top_k=10,
        memories_threshold=0.2,
        summaries_threshold=0.8,
        last_n_messages=3,
        last_n_summaries=2,
        timezone="Europe/Lisbon",
        include_system_prompt=False,
    )
    await call(conversation.recall, options=options)


async def finish_and_go_on(connection: Connection, call: Callable[..., Awaitable[Any]]) -> None:
    conversation = connection.conversation("ada", "thread-1")
    await call(conversation.record, ("user", "I moved to Lisbon."))
    await call(conversation.finish)
    await call(conversation.record, ("user", "Hello again."))
    await call(conversation.history)


@pytest.mark.parametrize("story", [cold_and_warm_turn, recall_with_every_option, finish_and_go_on])
async def test_the_requests_are_exactly_the_recorded_ones(
    story: Callable[..., Awaitable[None]], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = SimpleNamespace(uuid4=lambda: UUID(int=0))  # marks a conversation without a thread
    monkeypatch.setattr("recallrai_integrations.connection.uuid", same)
    with tape(f"{story.__name__}.yaml") as connection:
        await story(connection, call)


def test_no_cassette_holds_a_key_or_an_address_of_the_machine() -> None:
    for cassette in CASSETTES.glob("*.yaml"):
        text = cassette.read_text(encoding="utf-8")
        assert KEY not in text
        assert "127.0.0.1" not in text
        assert "api-key" not in text.lower()


def test_a_warm_turn_on_the_wire_is_add_context_add() -> None:
    text = (CASSETTES / "cold_and_warm_turn.yaml").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()]
    uris = [line.removeprefix("uri: ").partition("?")[0] for line in lines if line.startswith("uri: ")]
    warm = [uri.rsplit("/", 1)[-1] for uri in uris[-3:]]
    assert warm == ["add-message", "context", "add-message"]
    assert json.dumps("enc-ada_40example.com") in json.dumps(uris[0].split("/"))
