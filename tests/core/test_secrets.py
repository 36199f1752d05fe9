"""The key is in no variable of our frames: error trackers record them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from recallrai import AsyncRecallrAI, RecallrAI

import recallrai_integrations
from recallrai_integrations import Connection, DeliveryOptions, connect
from recallrai_integrations.credentials import Credentials, Secret
from recallrai_integrations.errors import RecallrAIIntegrationError
from recallrai_integrations.local import LocalRecallrAI
from tests.conftest import Call

KEY = "rai_" + "s3cr3t" * 5
PACKAGE = Path(recallrai_integrations.__file__).parent


def variables(error: BaseException | None) -> Iterator[tuple[str, str, object]]:
    """The variables of our frames in the traces of an error and of those behind it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        trace: TracebackType | None = error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            if Path(code.co_filename).is_relative_to(PACKAGE):
                for name, value in trace.tb_frame.f_locals.items():
                    yield code.co_qualname if hasattr(code, "co_qualname") else code.co_name, name, value
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


def shown(error: BaseException) -> list[str]:
    """Where the key can be read in what a tracker records of an error."""
    found = list(variables(error))
    assert found, "an error out of our frames"
    return [f"{where}: {name}" for where, name, value in found if KEY in repr(value)]


@pytest.fixture
def server() -> Iterator[LocalRecallrAI]:
    with LocalRecallrAI(api_key=KEY) as server:
        yield server


@pytest.mark.parametrize(
    "arguments",
    [
        {"project_id": "a project"},
        {"project_id": "p", "base_url": "ftp://host"},
        {"project_id": "p", "base_url": "http://[::1"},
        {"project_id": "p", "timeout": 0},
        {"project_id": "p", "local": ":memory:"},
        {"project_id": "p", "delivery": DeliveryOptions(outbox="/")},
    ],
    ids=str,
)
def test_connecting_that_fails_shows_no_key(arguments: dict[str, Any]) -> None:
    with pytest.raises((RecallrAIIntegrationError, ValueError)) as caught:
        connect(api_key=KEY, **arguments)
    assert shown(caught.value) == []


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"status": 401}, {"status": 422}, {"drop": True}], ids=str
)
@pytest.mark.parametrize("form", ["credentials", "environment", "client", "async client"])
async def test_a_call_that_fails_shows_no_key(
    server: LocalRecallrAI, call: Call, fault: dict[str, Any], form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account: dict[str, Any] = {"api_key": KEY, "project_id": server.project_id, "base_url": server.base_url}
    options: dict[str, Any] = {"delivery": DeliveryOptions(on_error="raise", retries=1)}
    sdk, asdk = RecallrAI(**account), AsyncRecallrAI(**account)
    if form == "client":
        options["client"] = sdk
    elif form == "async client":
        options["async_client"] = asdk
    elif form == "environment":
        for name, value in account.items():
            monkeypatch.setenv(f"RECALLRAI_{name.upper()}", value)
    else:
        options |= account
    connection: Connection = connect(**options)
    try:
        server.faults.add(**fault)
        conversation = connection.conversation("ada", "t1")
        for method, *arguments in ((conversation.record, ("user", "hi")), (connection.user("ada").info,)):
            with pytest.raises(RecallrAIIntegrationError) as caught:
                await call(method, *arguments)
            assert shown(caught.value) == []
    finally:
        server.faults.clear()
        await call(connection.close)
        sdk._http.client.close()
        await asdk.close()  # type: ignore[no-untyped-call]


def test_a_key_is_in_no_repr() -> None:
    credentials = Credentials(Secret(KEY), "p")
    assert KEY not in f"{credentials!r} {credentials} {credentials.api_key!r} {credentials.api_key}"
    assert credentials.api_key.reveal() == KEY
