"""Reading whole sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recallrai_integrations.messages import Message
from recallrai_integrations.models import MessagePage

from . import rules
from .ops import Flow, Gather, ReadMessages

__all__ = ["read_sessions"]


def read_sessions(
    user_id: str, session_ids: Sequence[str], known: Mapping[str, MessagePage] | None = None
) -> Flow[list[Message]]:
    """Returns all messages of some sessions, in order; the pages are read in parallel.

    Args:
        user_id: the user of the sessions.
        session_ids: in the order of the result.
        known: first pages that have been read already, by session.
    """
    known = known or {}
    unknown = [session_id for session_id in session_ids if session_id not in known]
    read: list[MessagePage] = (
        (yield from Gather([ReadMessages(user_id, session_id) for session_id in unknown])) if unknown else []
    )
    pages_of = {**known, **dict(zip(unknown, read, strict=True))}
    first = [pages_of[session_id] for session_id in session_ids]
    rest = [
        ReadMessages(user_id, session_id, offset=offset)
        for session_id, page in zip(session_ids, first, strict=True)
        for offset in rules.page_offsets(page.total, have=len(page.messages))
        if page.messages
    ]
    pages: list[MessagePage] = (yield from Gather(rest)) if rest else []
    following: dict[str, list[Message]] = {}
    for op, page in zip(rest, pages, strict=True):
        following.setdefault(op.session_id, []).extend(page.messages)
    return [
        message
        for session_id, page in zip(session_ids, first, strict=True)
        for message in [*page.messages, *following.get(session_id, [])]
    ]
