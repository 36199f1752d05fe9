"""Reads back what the service holds, with the SDK alone, and compares it with what was said."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict

from recallrai import AsyncRecallrAI, AsyncSession

from .script import said, thread_of, user_of

Said = list[tuple[str, str]]


def expected(conversations: int, turns: int) -> dict[tuple[str, str], Said]:
    return {
        (user_of(number), thread_of(number)): [
            (message.role, message.content) for turn in range(turns) for message in said(number, turn)
        ]
        for number in range(conversations)
    }


def stored(port: int) -> dict[tuple[str, str], Said]:
    """All messages by user and thread, in the order of sessions and messages."""
    return asyncio.run(_read_all(f"http://127.0.0.1:{port}"))


async def _read_all(base_url: str) -> dict[tuple[str, str], Said]:
    """With the async client: the sync one has nothing to be closed by."""
    found: dict[tuple[str, str], Said] = defaultdict(list)
    async with AsyncRecallrAI("rai_local", "local", base_url, timeout=60) as sdk:
        for user in (await sdk.list_users(limit=100)).users:
            sessions: list[AsyncSession] = []
            while (page := await user.list_sessions(offset=len(sessions), limit=100)).sessions:
                sessions += page.sessions
            for session in sorted(sessions, key=lambda one: one.created_at):
                messages = (await session.get_messages(limit=500)).messages
                key = (user.user_id, str(session.metadata.get("thread_id")))
                found[key] += [(one.role.value, one.content) for one in messages]
    return found


def differences(wanted: dict[tuple[str, str], Said], found: dict[tuple[str, str], Said]) -> Counter[str]:
    """How many messages are lost, doubled, in a wrong thread, and how many threads are out of order."""
    wrong: Counter[str] = Counter()
    for key in wanted.keys() | found.keys():
        want, have = wanted.get(key, []), found.get(key, [])
        if key not in wanted:
            wrong["messages in a wrong thread"] += len(have)
            continue
        wrong["messages lost"] += (Counter(want) - Counter(have)).total()
        wrong["messages twice"] += (Counter(have) - Counter(want)).total()
        wrong["threads out of order"] += Counter(want) == Counter(have) and want != have
    return wrong
