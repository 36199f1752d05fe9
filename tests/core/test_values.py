"""What public methods return are plain values, whose types are public as well."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator

import pytest
from recallrai.models.user import MemoryVersionInfo

import recallrai_integrations
from recallrai_integrations import (
    ConflictingMemory,
    Connection,
    Conversation,
    Forgotten,
    Imported,
    MemoryVersion,
    Question,
    UserInfo,
    UserMemory,
    connect,
    models,
)
from recallrai_integrations.local import LocalRecallrAI
from tests.conftest import Call

BLUE, RED = "My favourite colour is blue.", "My favourite colour is red."


async def told(connection: Connection, call: Call, *facts: str) -> None:
    for fact in facts:
        conversation = connection.conversation("ada")
        await call(conversation.record, ("user", fact))
        await call(conversation.finish, wait=30)


@pytest.mark.usefixtures("server")  # skipped on the real service, where the setting is the project's
async def test_a_contradiction_tells_both_sides_and_what_to_ask(call: Call) -> None:
    with (
        LocalRecallrAI(merge_conflict_enabled=True) as local,
        connect(api_key=local.api_key, project_id=local.project_id, base_url=local.base_url) as connection,
    ):
        await told(connection, call, BLUE, RED)
        (known,) = await call(connection.user("ada").memories)
        (conflict,) = await call(connection.user("ada").conflicts)
    (old,) = conflict.conflicting
    assert old == ConflictingMemory(known.memory_id, known.content, old.reason)
    (asked,) = conflict.questions
    assert asked == Question(asked.question, (known.content, conflict.proposed))


async def test_a_memory_tells_what_was_known_before(connection: Connection, call: Call) -> None:
    await told(connection, call, BLUE)
    (before,) = await call(connection.user("ada").memories)
    await told(connection, call, RED)
    (now,) = await call(connection.user("ada").memories)
    (older,) = now.previous_versions
    assert isinstance(older, MemoryVersion)
    assert (older.content, older.version) == (before.content, 1)
    # The oldest SDKs do not hand on the id of a version: it has the memory's then.
    has_id = "memory_id" in MemoryVersionInfo.model_fields
    assert older.memory_id == (before if has_id else now).memory_id
    assert older.reason
    assert older.expired_at is not None
    assert older.expired_at >= older.created_at


async def test_a_user_is_told_as_the_service_knows_them(connection: Connection, call: Call) -> None:
    await call(connection.conversation("ada").record, ("user", BLUE))
    user = await call(connection.user("ada").info)
    assert user == UserInfo("ada", user.metadata, None, user.created_at, user.last_active_at)
    assert user.created_at <= user.last_active_at


async def test_what_was_brought_in_and_what_was_deleted_is_told(connection: Connection, call: Call) -> None:
    await call(connection.conversation("ada", "t").record, ("user", BLUE))
    lines = list(connection.export("ada"))
    (imported,) = await call(connection.import_user, "bob", lines)
    assert imported == Imported(imported.session_ids, stored=1, already=0)
    (again,) = await call(connection.import_user, "bob", lines)
    assert again == Imported(imported.session_ids, stored=0, already=1)
    session = (await call(connection.conversation("ada", "t").info)).session_id
    gone = await call(connection.forget, "ada", thread_id="t")
    assert gone == Forgotten("ada", sessions=(session,))


def named(owner: type) -> Iterator[str]:
    """What the signatures of public methods, or the fields of a value, name."""
    if dataclasses.is_dataclass(owner):
        yield from (str(field.type) for field in dataclasses.fields(owner))
        return
    for name, method in inspect.getmembers(owner, inspect.isfunction):
        if not name.startswith("_"):
            yield str(inspect.signature(method))


def test_every_type_that_public_methods_name_can_be_imported_from_the_root() -> None:
    seen: set[str] = set()
    rest: list[type] = [Connection, Conversation, UserMemory]
    while rest:
        words = set(re.findall(r"\w+", " ".join(named(rest.pop()))))
        found = words & set(models.__all__) - seen
        seen |= found
        rest.extend(getattr(models, name) for name in found)
    assert {"Memory", "MemoryVersion", "Question", "Imported"} <= seen
    assert seen <= set(recallrai_integrations.__all__)
