"""What a question asks for: its terms, and what may stand in for each in an answer."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from .lexicon import KINDS, SAME, WEAK
from .text import stem

_SAME: Final = 0.8  # what a word of the same meaning counts
_MEMBER: Final = 0.65  # what "dog" counts when "pet" is asked for
_GENERAL: Final = 0.5  # what "pet" counts when "dog" is asked for


@dataclass(frozen=True, slots=True)
class Facet:
    """One thing a question asks for: a term and what may stand in for it.

    Args:
        term: the term as asked.
        variants: term to weight, 1.0 for the term itself.
        weight: how much the question is about it, before rarity.
        name: whether it is written like a name.
    """

    term: str
    variants: dict[str, float]
    weight: float = 1.0
    name: bool = False


@lru_cache(maxsize=1)
def _related() -> dict[str, dict[str, float]]:
    """For each term, what may stand in for it in an answer, and how well."""
    related: dict[str, dict[str, float]] = {}
    for head, members in KINDS:
        general = related.setdefault(stem(head), {})
        for term in map(stem, members):
            general[term] = _MEMBER
            related.setdefault(term, {}).setdefault(stem(head), _GENERAL)
    for group in SAME:
        stems = {stem(word) for word in group}
        for term in stems:
            related.setdefault(term, {}).update(dict.fromkeys(stems - {term}, _SAME))
    return related


@lru_cache(maxsize=1)
def _weak() -> frozenset[str]:
    return frozenset(stem(word) for word in WEAK)


def of(query_terms: Iterable[str], names: Collection[str] = ()) -> list[Facet]:
    """The facets of a question from its terms, each once; `names` are those that are written like names."""
    related, weak = _related(), _weak()
    return [
        Facet(
            term,
            related.get(term, {}) | {term: 1.0},
            0.4 if term in weak else 1.0,
            term in names,
        )
        for term in dict.fromkeys(query_terms)
    ]
