"""The agentic strategy: several searches and a written analysis.

A chat model plans and writes where one is set, rules do otherwise. Unlike the other strategies it also quotes
what was said in past conversations, by the assistant too.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pydantic import BaseModel, Field

from . import conversations, finding, prompts, question, ranking
from .engine import Engine
from .finding import Found
from .question import Question
from .render import Clock, Entry
from .text import clean, one_line, terms
from .types import ContextQuery, Message, ModelError

logger = logging.getLogger("recallrai_integrations.local")

_MOST_QUERIES: Final = 4
_SESSIONS: Final = 3  # past conversations that are read again
_SESSION_THRESHOLD: Final = 0.4
_QUOTES: Final = 6
_QUOTE_LENGTH: Final = 300
_MOST_FINDINGS: Final = 10  # the rest is listed as related
_HEADING: Final = re.compile(r"^(#+ Here (?:is|are)\b)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found, in prose.

    Args:
        text: Markdown, beginning with its findings.
        reasoning: how it was come by.
        queries: what was searched for.
        found: the memories behind it.
        session_ids: the past conversations that were read again, best first.
    """

    text: str
    reasoning: str
    queries: list[str]
    found: Found
    session_ids: list[str]


class _Searches(BaseModel):
    """What to look up in the user's memory."""

    queries: list[str] = Field(default_factory=list)
    reasoning: str = ""


def analyse(
    db: sqlite3.Connection,
    user_pk: int,
    *,
    messages: Sequence[Message],
    asked: Question,
    query: ContextQuery,
    engine: Engine,
    now: datetime,
    clock: Clock,
) -> Iterator[str | Analysis]:
    """Status texts, then the analysis; rules plan and write where the model fails."""
    yield "Planning the search"
    plan = _plan(messages, asked, engine)
    queries = plan.queries
    found = Found()
    for text in queries:
        yield f"Searching for: {one_line(text)[:80]}"
        today = now.date()
        part = asked if text == asked.text else question.read([Message("user", text, now)], today)
        vector = engine.place(text) if asked.text else None
        found = _merged(
            found, finding.find(db, user_pk, part, query, thorough=True, vector=vector), query.max_top_k
        )
    yield "Reading past conversations"
    quotes, session_ids = _quotes(db, user_pk, asked, clock)
    yield "Writing the analysis"
    notes = _notes(found, quotes, clock)
    text = notes
    if engine.has_model and asked.text:
        try:
            text = engine.written(prompts.ANALYSIS, f"# Last user message\n{asked.text}\n\n# Found\n{notes}")
        except ModelError as error:
            logger.warning("agentic recall by rules: %s", error)
    yield Analysis(_HEADING.sub(r"\\\1", text), plan.reasoning, queries, found, session_ids)


def _plan(messages: Sequence[Message], asked: Question, engine: Engine) -> _Searches:
    if not asked.text:
        return _Searches(reasoning="There is no user message to search for.")
    if engine.has_model:
        end = "\n".join(f"{m.role.upper()}: {one_line(m.content)}" for m in messages[-_MOST_QUERIES:])
        try:
            plan = engine.structured(_Searches, prompts.SEARCHES, end)
        except ModelError as error:
            logger.warning("agentic recall plans by rules: %s", error)
        else:
            queries = [one_line(text) for text in plan.queries if text.strip()][:_MOST_QUERIES]
            return plan.model_copy(update={"queries": list(dict.fromkeys([asked.text, *queries]))})
    parts = [" ".join(facet.term for facet in part) for part in asked.parts]
    reasoning = (
        f"Searched the memories for the message and {len(parts)} part(s) of it ({'; '.join(parts)}), "
        f"followed each hit "
        "to what was told around it, and read the past conversations closest to it again."
    )
    return _Searches(queries=[asked.text], reasoning=reasoning)


def _merged(one: Found, other: Found, limit: int) -> Found:
    best: dict[int, Entry] = {}
    for entry in [*one.entries, *other.entries]:
        chain = entry.versions[0].chain_pk
        if chain not in best or (entry.similarity or 0) > (best[chain].similarity or 0):
            best[chain] = entry
    entries = sorted(best.values(), key=lambda entry: (-(entry.similarity or 0), -entry.versions[0].pk))[
        :limit
    ]
    filters = [*one.filters, *(f for f in other.filters if f not in one.filters)]
    return replace(one, entries=entries, filters=filters)


def _quotes(
    db: sqlite3.Connection, user_pk: int, asked: Question, clock: Clock
) -> tuple[list[str], list[str]]:
    """Lines of past conversations that share the most words with the question, and their sessions."""
    similar = ranking.session_similarities(db, user_pk, asked.facets())
    best = sorted(similar, key=lambda session_id: -similar[session_id])
    session_ids = [s for s in best if similar[s] >= _SESSION_THRESHOLD][:_SESSIONS]
    wanted = {variant for facet in asked.facets() for variant in facet.variants}
    lines: list[tuple[int, int, str]] = []
    for session_id in session_ids:
        for message in conversations.messages_of(db, user_pk, session_id):
            shared = len(wanted & set(terms(clean(message.content))))
            if shared:
                quote = one_line(message.content)[:_QUOTE_LENGTH]
                lines.append(
                    (
                        -shared,
                        len(lines),
                        f"{message.role.upper()} (at {clock.at(message.created_at)}): {quote}",
                    )
                )
    return [line for _, _, line in sorted(lines)[:_QUOTES]], session_ids


def _notes(found: Found, quotes: Sequence[str], clock: Clock) -> str:
    """The analysis by rules."""
    if not found.entries and not quotes:
        return "## Key Findings\n\nThe memory holds nothing about this message."
    parts = ["## Key Findings", ""]
    if not found.entries:
        parts.append("No memory of the user answers this message.")
    parts += [line for entry in found.entries[:_MOST_FINDINGS] for line in _finding(entry, clock)]
    related = found.entries[_MOST_FINDINGS:]
    if related:
        parts += ["", "## Related memories", ""]
        parts += [line for entry in related for line in _finding(entry, clock)]
    if quotes:
        parts += ["", "## Said in past conversations", "", *(f"- {quote}" for quote in quotes)]
    return "\n".join(parts)


def _finding(entry: Entry, clock: Clock, indent: str = "") -> Iterator[str]:
    current, *older = entry.versions
    days = clock.span(current)
    yield f"{indent}- **{one_line(current.content)}** (about {days}, told {clock.stored(current.created_at)})"
    for memory in older:
        kept = memory.expiration_reason == "ADDITION_TO_EXISTING_MEMORY"
        label = "with less detail" if kept else "before, no longer so"
        yield f"{indent}  - {label}: {one_line(memory.content)} (told {clock.stored(memory.created_at)})"
    for child in entry.children:
        yield from _finding(child, clock, indent + "  ")
