"""What a session's last message asks for."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from . import dates, facets
from .dates import Span
from .facets import Facet
from .lexicon import FIRST_PERSON, word_list
from .telling import is_chitchat, sentences
from .text import clean, terms, words
from .types import Message

_MOST_PARTS: Final = 3
_MOST_FACETS: Final = 16
_MOST_CHARACTERS: Final = 4_000  # of a message, its end: that is where people ask
_FOLLOW_UP: Final = 3  # with fewer facets the messages before are hints
_ENGLISH: Final = word_list(
    "what who whom where when which how why is are was were do does did has have the a of"
)
_NAME: Final = re.compile(r"(?<=[a-z,] )[A-Z][\w'-]+")  # a capital inside a sentence
_PROFILE: Final = re.compile(
    r"\b(?:what (?:do|did|can) you (?:know|remember|recall|tell me)(?: all| everything)? (?:about|of) me\b"
    r"|(?:tell me|know|remember|recall|say) (?:\w+ )?(?:about|of) (?:me|myself)\b|who am i$|describe me\b"
    r"|what have i told you)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, ready to be searched for.

    Args:
        text: the last user message.
        parts: the facets of each thing it asks; a memory has to answer one of them.
        hints: facets of the messages before it, for follow-ups.
        spans: the days it names.
        names: terms that are written like names.
        first_person: the words in which the user asks about themselves.
        about_everything: whether it asks for all that is known about the user.
    """

    text: str
    parts: Sequence[Sequence[Facet]]
    hints: Sequence[Facet]
    spans: Sequence[Span]
    names: Collection[str] = ()
    first_person: Collection[str] = ()
    about_everything: bool

    def facets(self) -> list[Facet]:
        """All facets, each once."""
        return list({facet.term: facet for part in self.parts for facet in part}.values())


def read(messages: Sequence[Message], today: date) -> Question:
    """The question that a conversation has come to.

    Args:
        messages: the session so far; the last message of the user is the question.
        today: the day that relative dates in it refer to.
    """
    last = next((i for i in range(len(messages) - 1, -1, -1) if messages[i].role == "user"), None)
    if last is None:
        return Question(text="", parts=(), hints=(), spans=(), about_everything=False)
    text = clean(messages[last].content)[-_MOST_CHARACTERS:]
    spans = dates.find(text, today)
    before = " ".join(clean(m.content)[-500:] for m in messages[max(0, last - 2) : last])
    hints = facets.of(terms(before))[:_MOST_FACETS]
    english = len(_ENGLISH.intersection(words(text))) > 1  # other languages write other words with capitals
    names = {term for name in _NAME.findall(text) for term in terms(name)} if english else set[str]()
    parts = [
        wanted
        for part in _parts(text)
        if (wanted := facets.of(terms(_without(part, spans)), names)[:_MOST_FACETS])
    ]
    if not parts and not spans:
        # "What about it?" asks about anything that the user spoke of right before.
        earlier = [clean(m.content)[-500:] for m in messages[:last] if m.role == "user"][-1:]
        parts = [[facet] for facet in facets.of(terms(" ".join(earlier)))[:_MOST_FACETS]]
    asked = " ".join(words(text))
    return Question(
        text=text,
        parts=parts,
        hints=hints if sum(map(len, parts)) < _FOLLOW_UP else (),
        spans=spans,
        names=names,
        first_person=FIRST_PERSON.intersection(words(text)),
        about_everything=bool(_PROFILE.search(asked)),
    )


def _parts(text: str) -> list[str]:
    """What to search for: the last questions of a message, or else its last sentences, and all of it."""
    said = [
        sentence for line in text.splitlines() for sentence in sentences(line) if not is_chitchat(sentence)
    ]
    asked = [sentence for sentence in said if sentence.rstrip("\"')").endswith(("?", "\uff1f", "\u061f"))]
    if len(said) <= 1:
        return [text]
    return list(dict.fromkeys([*(asked or said)[-_MOST_PARTS:], text]))


def _without(text: str, spans: Sequence[Span]) -> str:
    """The text without its date phrases: those narrow the search and are not words to look for."""
    flat = " ".join(text.lower().split())
    for span in spans:
        flat = flat.replace(span.phrase, " ")
    return flat
