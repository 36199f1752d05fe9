"""What the service, the SDK and the network do, and which of our errors comes of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from recallrai_integrations import (
    Connection,
    CredentialsError,
    MissingDependencyError,
    NotFoundError,
    RecallrAIIntegrationError,
    RequestRejectedError,
    ServiceError,
    ServiceUnavailableError,
    errors,
)
from recallrai_integrations.local import LocalRecallrAI
from tests.conftest import Call

OUTAGES: list[tuple[dict[str, Any], int | None]] = [
    ({"status": 500}, 500),
    ({"status": 502, "body": "<html>Bad gateway</html>"}, 502),
    ({"status": 503, "body": ""}, 503),
    ({"status": 504}, 504),
    ({"status": 429}, 429),
    ({"status": 408}, 408),
    ({"status": 200, "body": "<html>captive portal</html>"}, 200),
    ({"status": 200, "body": []}, 200),
    ({"status": 200, "body": {"user": {}}}, 200),
    ({"status": 204}, 204),
    ({"status": 307, "body": "", "headers": {"Location": "/elsewhere"}}, 307),
    ({"status": 404, "body": "404 page not found"}, 404),
    ({"status": 404, "body": "<html>nginx</html>"}, 404),
    ({"drop": True}, None),
    ({"drop": True, "when": "after"}, None),
    ({"hang": True}, None),
]


@pytest.mark.parametrize(("fault", "status"), OUTAGES, ids=lambda value: str(value)[:40])
async def test_what_is_no_answer_of_the_api_is_an_outage(
    make_connection: Callable[..., Connection],
    server: LocalRecallrAI,
    call: Call,
    fault: dict[str, Any],
    status: int | None,
) -> None:
    connection = make_connection(timeout=0.5, deliver={"retries": 0})
    server.faults.add(path="*/users/ada", **fault)
    with pytest.raises(ServiceUnavailableError) as caught:
        await call(connection.user("ada").info)
    assert caught.value.status == status
    assert "rai_local" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_are_never_an_outage(
    connection: Connection, server: LocalRecallrAI, call: Call, status: int
) -> None:
    server.faults.add(status=status)
    conversation = connection.conversation("ada", "t")
    for action in (conversation.recall, conversation.history, conversation.info):
        with pytest.raises(CredentialsError, match="RECALLRAI_API_KEY"):
            await call(action)
    with pytest.raises(CredentialsError):
        await call(conversation.record, ("user", "hi"))


@pytest.mark.parametrize("status", [400, 402, 405, 409, 413, 422])
async def test_a_request_that_is_refused_is_an_error_with_the_services_words(
    connection: Connection, server: LocalRecallrAI, call: Call, status: int
) -> None:
    server.faults.add(status=status, body={"detail": "because of reasons"})
    with pytest.raises(RequestRejectedError) as caught:
        await call(connection.user("ada").info)
    assert caught.value.status == status
    assert status == 422 or "because of reasons" in str(caught.value)


async def test_what_does_not_exist_is_not_found(connection: Connection, call: Call) -> None:
    with pytest.raises(NotFoundError, match="ada"):
        await call(connection.user("ada").info)


async def test_reads_are_tried_again_and_a_retry_after_is_waited_for(
    make_connection: Callable[..., Connection], server: LocalRecallrAI, call: Call
) -> None:
    connection = make_connection(deliver={"retries": 2})
    await call(connection.conversation("ada").record, ("user", "hi"))
    server.faults.add(status=503, path="*/users/ada", times=1)
    server.faults.add(status=429, path="*/users/ada", times=1, retry_after=1)
    server.requests.clear()
    assert (await call(connection.user("ada").info)).user_id == "ada"
    tries = [one for one in server.requests if one.path.endswith("/users/ada")]
    assert [one.status for one in tries] == [503, 429, 200]
    assert tries[2].at - tries[1].at >= 0.99


async def test_a_message_that_was_turned_away_unread_is_sent_again_at_once(
    connection: Connection, server: LocalRecallrAI, call: Call
) -> None:
    server.faults.add(status=429, path="*/add-message", times=1)
    await call(connection.conversation("ada", "t").record, ("user", "hi"))
    tried = [one for one in server.requests if "/sessions/" in one.path]
    assert [one.path.rsplit("/", 1)[-1] for one in tried] == ["add-message"] * 2, "and nothing is read back"
    assert [one.status for one in tried] == [429, 200]


async def test_a_wait_longer_than_the_budget_is_not_waited_for(
    make_connection: Callable[..., Connection], server: LocalRecallrAI, call: Call
) -> None:
    connection = make_connection(deliver={"retries": 3, "retry_budget": 0.5})
    server.faults.add(status=429, retry_after=3600)
    with pytest.raises(ServiceUnavailableError) as caught:
        await call(connection.user("ada").info)
    assert caught.value.retry_after == 3600
    assert len(server.requests) == 1


async def test_after_failures_in_a_row_a_dead_service_is_left_alone_and_found_again(
    make_connection: Callable[..., Connection],
    server: LocalRecallrAI,
    call: Call,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "recallrai_integrations")
    connection = make_connection(deliver={"retries": 0, "breaker_threshold": 2, "breaker_reset": 3600.0})
    conversation = connection.conversation("ada", "t")
    await call(conversation.record, ("user", "one"))
    server.faults.add(status=503)
    for n in range(5):
        await call(conversation.record, ("user", f"during {n}"))
        assert (await call(conversation.recall)).degraded
    refused = [one for one in server.requests if one.status == 503 and "system-prompt" not in one.path]
    assert len(refused) == 2
    assert caplog.text.count("is not available") == 1
    server.faults.clear()
    assert (await call(conversation.recall)).degraded, "the breaker is still open"
    assert await call(conversation.flush) == 0, "a flush tries all the same, and closes it"
    assert not (await call(conversation.recall)).degraded
    said = [one.content for one in await call(conversation.history)]
    assert said == ["one", *(f"during {n}" for n in range(5))]
    assert caplog.text.count("is available again") == 1


async def test_a_request_that_nobody_repeats_keeps_no_outage_alive(
    make_connection: Callable[..., Connection],
    server: LocalRecallrAI,
    call: Call,
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection = make_connection(deliver={"retries": 0, "breaker_reset": 0.1})
    conversation = connection.conversation("ada", "t")
    await call(conversation.record, ("user", "one"))
    for outage in (1, 2):
        server.faults.add(status=503)
        with pytest.raises(ServiceUnavailableError):
            await call(connection.user("ada").memories)
        await call(conversation.record, ("user", "more"))
        assert connection.is_down
        assert caplog.text.count("is not available") == outage
        server.faults.clear()
        await asyncio.sleep(0.3)
        assert await call(conversation.flush) == 0
        await call(conversation.info)
        assert not connection.is_down


@pytest.mark.parametrize("action", ["record", "recall", "history", "finish"])
async def test_the_policy_raise_raises_and_the_policy_degrade_goes_on(
    make_connection: Callable[..., Connection], server: LocalRecallrAI, call: Call, action: str
) -> None:
    for policy in ("raise", "degrade"):
        connection = make_connection(deliver={"retries": 0, "on_error": policy})
        conversation = connection.conversation(policy, "t")
        await call(conversation.record, ("user", "known"))
        server.faults.add(status=503)
        arguments = [("user", "more")] if action == "record" else []
        if policy == "raise":
            with pytest.raises(ServiceUnavailableError):
                await call(getattr(conversation, action), *arguments)
        else:
            result = await call(getattr(conversation, action), *arguments)
            assert action != "history" or [one.content for one in result] == ["known"]
            assert action != "recall" or (result.degraded and result.text == "")
        server.faults.clear()


def test_the_tree_of_errors_is_the_one_its_docstring_draws() -> None:
    drawn = errors.__doc__ or ""
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, RecallrAIIntegrationError)
        assert name in drawn
    assert issubclass(ServiceUnavailableError, ServiceError)
    assert issubclass(MissingDependencyError, ImportError)


def test_an_absent_extra_is_an_error_with_the_command_that_mends_it() -> None:
    error = MissingDependencyError.for_extra("langchain", "langchain")
    assert str(error) == 'langchain is not installed. Run: pip install "recallrai-integrations[langchain]"'
