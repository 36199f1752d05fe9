"""No id reaches another user's path: every operation, found by introspection, with ids made to try it."""

from __future__ import annotations

import inspect
import json
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from recallrai import RecallrAI

from recallrai_integrations import (
    Connection,
    Conversation,
    DeliveryOptions,
    InvalidInputError,
    Message,
    NotFoundError,
    OutboxError,
    RecallOptions,
    ServiceError,
    ServiceUnavailableError,
    UserMemory,
    connect,
)
from recallrai_integrations._backend import requests
from recallrai_integrations._flows.ops import ServiceOp
from recallrai_integrations.identity import encode_id
from tests.conftest import LIVE, Call
from tests.ids import UNFIT, Users, two_users

pytestmark = pytest.mark.skipif(LIVE, reason="reads the local service's request log")

GOOD = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def users() -> Iterator[Users]:
    with two_users() as both:
        yield both


@pytest.fixture
def mode() -> str:
    return "inline"


@pytest.fixture
def ours(mode: Any, users: Users) -> Iterator[Connection]:
    """The connection that serves ada."""
    delivery = DeliveryOptions(mode=mode, retries=1, on_error="degrade")
    with connect(**users.service, delivery=delivery) as connection:  # type: ignore[arg-type]
        yield connection


def stays_with(users: Users, user_id: str) -> None:
    """All requests were for one user."""
    own = f"/api/v1/users/{encode_id(user_id)}"
    strays = [path for path in users.paths() if path != own and not path.startswith(f"{own}/")]
    assert set(strays) <= {"/api/v1/users"}, (user_id, strays)


# --- every op


def all_ops(op: type[Any] = ServiceOp) -> list[type[Any]]:
    found = [one for sub in op.__subclasses__() for one in all_ops(sub)]
    # A dataclass with slots is made twice; the module has the one that is used. Those of this file are left out.
    is_used = getattr(sys.modules[op.__module__], op.__name__, None) is op and op.__module__ != __name__
    return [*found, op] if is_used and not op.__subclasses__() else found


OPS = sorted(all_ops(), key=lambda one: str(one.__name__))
SAMPLES = {
    "user_id": "ada",
    "metadata": {},
    "auto_process_after_seconds": 600,
    "message": Message("user", "Hi."),
    "options": RecallOptions(),
    "previous_versions": True,
    "answers": (),
}


def make(op: type[Any], **given: Any) -> Any:
    required = [one.name for one in fields(op) if one.default is one.default_factory is MISSING]
    values = {name: SAMPLES.get(name, GOOD) for name in required}
    return op(**{**values, **given})


@pytest.fixture
def engine_call(call: Call) -> Call:
    async def in_colour(connection: Connection, op: Any) -> Any:
        return await call(connection.runtime.run, iter(op))

    return in_colour


def test_the_ops_are_found() -> None:
    assert {"DeleteUser", "GetMemory", "ResolveConflict", "AddMessage"} <= {one.__name__ for one in OPS}


@pytest.mark.parametrize("op", OPS)
async def test_no_op_sends_an_id_that_fits_no_path(
    op: type[Any], users: Users, ours: Connection, engine_call: Call
) -> None:
    before = users.bob()
    for field in fields(op):
        if field.name == "user_id" or "str" not in str(field.type) or "Mapping" in str(field.type):
            continue
        many = "Sequence" in str(field.type)
        for unfit in users.unfit:
            if many:  # sent in the query or the body
                with suppress(ServiceError, InvalidInputError):
                    await engine_call(ours, make(op, **{field.name: (unfit,)}))
                stays_with(users, "ada")
            elif field.name.endswith("_id"):
                with pytest.raises(InvalidInputError):
                    await engine_call(ours, make(op, **{field.name: unfit}))
                assert users.paths() == []
            else:
                with suppress(ServiceError, InvalidInputError):
                    await engine_call(ours, make(op, **{field.name: unfit}))
                stays_with(users, "ada")
        users.server.requests.clear()
    assert users.bob() == before


@pytest.mark.parametrize("op", OPS)
async def test_each_op_asks_for_its_own_path_with_ids_that_fit(
    op: type[Any], users: Users, ours: Connection, engine_call: Call
) -> None:
    """An op that keeps an id from the gate fails here: the transport lets no path pass that it does not know."""
    users.bob()
    with suppress(ServiceError):
        await engine_call(ours, make(op, user_id="carl"))
    [path] = set(users.paths())
    assert path == "/api/v1/users" or path.split("/")[4::2] == list(make(op, user_id="carl").path_ids)


@pytest.mark.parametrize("op", OPS)
async def test_an_op_for_a_strange_user_asks_only_for_that_user(
    op: type[Any], users: Users, ours: Connection, engine_call: Call
) -> None:
    before = users.bob()
    for user_id in users.unfit:
        with suppress(ServiceError, InvalidInputError):
            await engine_call(ours, make(op, user_id=user_id))
        with suppress(InvalidInputError):  # too long: nothing was sent
            stays_with(users, user_id)
        users.server.requests.clear()
    assert users.bob() == before


@dataclass(frozen=True, slots=True)
class Forgetful(ServiceOp[None]):
    """An op whose author did not say that it has an id."""

    which: str


@requests.send.register
def _(op: Forgetful, sdk: Any) -> Any:
    return sdk.user(op.user_id).get_memory(op.which)


@pytest.mark.parametrize("which", [*UNFIT, GOOD])
async def test_the_transport_refuses_ids_that_passed_no_gate(
    which: str, users: Users, ours: Connection, engine_call: Call
) -> None:
    users.bob()
    with suppress(ServiceError), pytest.raises(InvalidInputError):
        await engine_call(ours, Forgetful("ada", which))
    stays_with(users, "ada")
    assert which != GOOD or users.paths() == []


def test_the_applications_own_use_of_its_client_is_not_checked(users: Users) -> None:
    client = RecallrAI(**users.service)
    with connect(client=client) as connection:
        assert connection.user("ada").memories()
        assert client.get_user("bob").user_id == "bob"
    client._http.client.close()


# --- every public method


def methods(owner: type[Any]) -> list[str]:
    return [
        name
        for name, member in vars(owner).items()
        if inspect.isfunction(member) and not name.startswith("_") and texts(member)
    ]


def texts(method: Callable[..., Any]) -> list[str]:
    """Parameters that are, or hold, an id or another text."""
    return [
        name
        for name, one in inspect.signature(method).parameters.items()
        if name in HELD or re.fullmatch(r"str( \| None)?|Sequence\[str\]", str(one.annotation))
    ]


HELD = {"conflict", "lines"}
CALLS = [
    (owner, name)
    for owner in (Connection, UserMemory, Conversation)
    for name in methods(owner)
    if name not in {"run", "arun", "redacted", "redacted_metadata", "operation"}
]


def valid(users: Users, name: str) -> Any:
    return {
        "user_id": "ada",
        "query": "dog?",
        "lines": [],
        "conflict": users.conflict,
        "answers": {one.question: one.options[0] for one in users.conflict.questions},
    }.get(name, GOOD)


def holding(users: Users, name: str, unfit: str) -> Any:
    if name == "conflict":
        return replace(users.conflict, conflict_id=unfit)
    if name == "lines":
        said = [{"role": "user", "content": "Hi."}]
        line = {"type": "session", "created_at": "2026-01-01T00:00:00+00:00", "metadata": {}}
        return [{**line, "session_id": unfit, "messages": said}]
    return (unfit,) if name in {"categories", "session_ids"} else unfit


async def use(connection: Connection, owner: type[Any], name: str, given: dict[str, Any]) -> None:
    held: Any = {
        Connection: connection,
        UserMemory: connection.user("ada"),
        Conversation: connection.conversation("ada", "thread-1"),
    }[owner]
    answer = getattr(held, name)(**given)
    if inspect.isasyncgen(answer):
        answer = [one async for one in answer]
    elif inspect.isawaitable(answer):
        answer = await answer
    elif inspect.isgenerator(answer):
        answer = list(answer)
    if isinstance(answer, Conversation):
        answer.record(("user", "Hi."))
        await answer.arecall()
        answer.history()
        await answer.aupdate({"topic": "x"})
        answer.finish()
    elif isinstance(answer, UserMemory):
        with suppress(NotFoundError):
            answer.info()
        assert not await answer.amemories()


def test_the_methods_are_found() -> None:
    found = {f"{owner.__name__}.{name}" for owner, name in CALLS}
    assert {
        "Connection.aforget",
        "Connection.conversation",
        "UserMemory.resolve",
        "UserMemory.amemory",
    } <= found


@pytest.mark.parametrize("mode", ["inline", "background"])
@pytest.mark.parametrize(("owner", "name"), CALLS)
async def test_no_method_reads_or_changes_another_user(
    owner: type[Any], name: str, users: Users, ours: Connection
) -> None:
    parameters = inspect.signature(getattr(owner, name)).parameters
    before = users.bob()
    for tried in texts(getattr(owner, name)):
        required = [one for one, p in parameters.items() if p.default is p.empty and one != "self"]
        for unfit in users.unfit:
            given = {one: valid(users, one) for one in required} | {tried: holding(users, tried, unfit)}
            user_id = given.get("user_id", "ada")
            if tried in {"session_id", "memory_id", "conflict_id", "conflict", "lines"}:
                with pytest.raises(InvalidInputError):
                    await use(ours, owner, name, given)
                assert users.paths() == [], unfit
                continue
            with suppress(InvalidInputError, ServiceError):
                await use(ours, owner, name, given)
                ours.flush()
            with suppress(InvalidInputError):  # too long: nothing was sent
                stays_with(users, user_id)
            users.server.requests.clear()
    assert not ours.is_down
    assert users.bob() == before


# --- ids of answers and files


@pytest.mark.parametrize("of_memory", [True, False])
async def test_success_is_told_only_of_what_was_this_users(
    of_memory: bool, users: Users, ours: Connection, call: Call
) -> None:
    before = users.bob()
    [theirs, *_] = [line["memory_id"] for line in before[0] if line["type"] == "memory"]
    for memory_id in (theirs, GOOD, "nope"):
        deleting = (ours.user("ada").forget_memory, memory_id), {}
        if not of_memory:
            deleting = (ours.forget, "ada"), {"memory_id": memory_id}
        with pytest.raises(NotFoundError):
            await call(*deleting[0], **deleting[1])
    assert not [one for one in users.server.requests if one.method == "DELETE"]
    assert users.bob() == before


@pytest.mark.parametrize("name", ["memory", "conflict", "forget_memory"])
async def test_an_id_of_another_form_names_nothing(
    name: str, users: Users, ours: Connection, call: Call
) -> None:
    with pytest.raises(NotFoundError):
        await call(getattr(ours.user("ada"), name), "nope")


async def test_a_deletion_whose_answer_was_lost_is_a_success(
    connection: Connection, server: Any, call: Call
) -> None:
    with connection.conversation("ada") as earlier:
        earlier.record(("user", "My dog is called Biscuit."))
        earlier.finish(wait=30)
    memory, *_ = connection.user("ada").memories()
    server.faults.add(method="DELETE", path="*/memory/*", status=502, when="after", times=1)
    await call(connection.user("ada").forget_memory, memory.memory_id)
    assert memory.memory_id not in {one.memory_id for one in connection.user("ada").memories()}


def test_an_outbox_file_with_an_unfit_session_is_damaged_and_sends_nothing(
    users: Users, tmp_path: Path
) -> None:
    before = users.bob()
    file = tmp_path / "outbox.db"
    delivery = DeliveryOptions(outbox=file)
    with connect(**users.service, delivery=delivery) as connection:  # type: ignore[arg-type]
        connection.conversation("dora", "t").record(("user", "Hi."))
    with sqlite3.connect(file) as db:
        [cursor] = db.execute("SELECT cursor FROM conversations").fetchone()
        changed = json.dumps({**json.loads(cursor), "session_id": users.unfit[-3]})
        db.execute("UPDATE conversations SET cursor = ?", (changed,))
    db.close()
    users.server.requests.clear()
    again = connect(**users.service, delivery=delivery)  # type: ignore[arg-type]
    with again, pytest.raises(OutboxError, match="damaged"):
        again.conversation("dora", "t").record(("user", "Hi."))
    assert not [path for path in users.paths() if "bob" in path]
    assert users.bob() == before


def test_a_service_that_answers_with_an_unfit_session_is_an_outage() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.method == "GET":  # whether the session landed after all
            return httpx.Response(200, json={"sessions": [], "total": 0, "has_more": False})
        made = {"session_id": "../../bob/sessions/x", "status": "pending", "metadata": {}}
        return httpx.Response(201, json={**made, "created_at": "2026-01-01T00:00:00Z"})

    client = RecallrAI(api_key="rai_x", project_id="p", base_url="http://127.0.0.1:1")
    client._http.client = httpx.Client(transport=httpx.MockTransport(answer))
    delivery = DeliveryOptions(on_error="raise", retries=0)
    connection = connect(client=client, delivery=delivery)
    with connection, pytest.raises(ServiceUnavailableError, match="could not be read"):
        connection.conversation("ada").record(("user", "Hi."))
    assert set(asked) == {"/api/v1/users/ada/sessions"}
