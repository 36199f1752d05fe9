"""The categories of a memory, by the words in it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from .text import stem

_WORDS: Final = {
    "identity": ("name age old birthday born birth nationality gender pronoun"),
    "family": (
        "mother father parent sister brother sibling son daughter child baby wife husband spouse "
        "aunt uncle cousin grandmother grandfather niece nephew family twin married wedding"
    ),
    "relationships": ("friend partner boyfriend girlfriend dating engaged divorced single neighbor roommate"),
    "pets": ("dog cat puppy kitten pet hamster rabbit parrot vet breed"),
    "work": (
        "work job company office boss colleague career employer project manager salary interview "
        "client startup nurse engineer teacher developer designer promotion meeting team business"
    ),
    "education": (
        "study school university college degree exam course student class learn homework teacher thesis"
    ),
    "food": (
        "eat food cook meal dinner lunch breakfast restaurant recipe vegetarian vegan allergic "
        "allergy diet drink coffee tea wine beer cheese meat fish olive pizza sushi"
    ),
    "health": (
        "health doctor ill sick allergy allergic medication medicine disease diagnosed hospital "
        "therapy injury pain sleep stress anxiety diabetes asthma"
    ),
    "hobbies": (
        "hobby play guitar piano music song band read book movie paint draw photography garden game "
        "chess knit sport run swim hike climb yoga football soccer tennis dance sing concert"
    ),
    "travel": ("travel trip visit fly flight vacation hotel airport passport journey abroad tour"),
    "home": ("live move house apartment rent city neighborhood address garden furniture"),
    "finance": ("money budget bank loan mortgage invest save pay price cost tax insurance"),
    "technology": ("computer laptop phone software app code python programming linux server database api"),
    "preferences": ("like love hate dislike prefer favorite enjoy"),
    "goals": ("goal plan want hope dream intend aim learn"),
    "events": ("party wedding festival conference appointment ceremony anniversary"),
}
OTHER: Final = "other"
KNOWN: Final = (*_WORDS, OTHER)


@lru_cache(maxsize=1)
def _by_term() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for category, listed in _WORDS.items():
        for term in {stem(word) for word in listed.split()}:
            found[term] = (*found.get(term, ()), category)
    return found


def categorise(found_terms: Iterable[str]) -> list[str]:
    """The categories of a memory with these terms, in a fixed order; `other` where none fits."""
    chosen = {category for term in found_terms for category in _by_term().get(term, ())}
    return [category for category in KNOWN if category in chosen] or [OTHER]
