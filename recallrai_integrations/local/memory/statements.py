"""What a fact states: about whom, which property, and which value.

Two facts with the same subject and property can replace or contradict each other. Only forms of which that is
true are read ("User lives in ...", "User's favourite ... is ..."); everything else stands for itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from .lexicon import word_list
from .text import split_speaker, stem, terms, words

_SUBJECT: Final = r"(?P<subject>User(?:'s (?:[\w-]+ ){0,2}[\w-]+?)?|I|My (?:[\w-]+ )?[\w-]+?)"
_ADVERB: Final = (
    r"(?:(?:now|currently|recently|just|actually|really|still|already|since|also|officially|finally|always"
    r"|usually) )*"
)
_CHANGE: Final = re.compile(
    r"\b(?:now|changed to|nowadays|no longer|any ?more|moved|moving|relocated|switched|changed|became|become"
    r"|becoming|instead|stopped|quit"
    r"|gave up|as of|these days|from now on|started|new|got (?:a|married|engaged|divorced|promoted)|turned"
    r"|renamed|since"
    r"|used to|left|actually|correction|i meant|not any longer|lately|converted|retired|update)\b",
    re.IGNORECASE,
)
_NEGATION: Final = re.compile(r"\b(?:not|no longer|never|cannot|\w+n't|don't|doesn't)\b", re.IGNORECASE)
_PAST: Final = re.compile(
    r"\b(?:used to|was|were|had|lived|worked|liked|loved|years? ago|formerly|previously)\b", re.IGNORECASE
)

DIETS: Final = frozenset(map(stem, word_list("vegan vegetarian pescatarian carnivore omnivore")))
FISH_EATERS: Final = frozenset(map(stem, word_list("pescatarian carnivore omnivore")))
FISH: Final = frozenset(map(stem, word_list("fish seafood sushi salmon tuna shrimp")))
_ANIMAL_FOOD: Final = frozenset(
    map(stem, word_list("meat fish chicken beef pork steak bacon seafood sushi lamb"))
)
_PROFESSION: Final = re.compile(
    r"^(?:[\w-]+ ){0,2}(?:nurse|teacher|chef|cook|pilot|student|scientist|guide|coach|clerk|judge|lawyer"
    r"|plumber|[\w-]{3,}(?:er|or|ist|ian|man|woman|ant|eer|smith))\b",
    re.IGNORECASE,
)
_NOT_A_PROFESSION: Final = word_list(
    "vegetarian brother sister mother father daughter lover believer supporter member owner beginner "
    "sufferer australian "
    "italian canadian brazilian indian norwegian russian ukrainian belgian hungarian romanian bulgarian "
    "egyptian iranian "
    "minimalist pessimist optimist perfectionist christian buddhist protestant immigrant teenager smoker "
    "drinker runner "
    "person descendant"
)

# Pattern to property. `value` is what the property is said to be.
_FORMS: Final = tuple(
    (re.compile(rf"^{_SUBJECT} {_ADVERB}{form}$", re.IGNORECASE), prop)
    for form, prop in (
        (
            (
                r"(?:lives?|resides?|am living|is living|(?:is|am) based|moved|has moved|relocated)(?: \w+)??"
                r" (?:in|to|at|near)(?: to)? (?P<value>.+)"
            ),
            "home",
        ),
        (
            (
                r"(?:works?|is working|am working|started working|started) (?:now )?as (?:an? |the "
                r")?(?P<value>.+)"
            ),
            "occupation",
        ),
        (r"(?:became|has become|is now) (?:an? )(?P<value>.+)", "kind"),
        (
            (
                r"(?:works?|is working|am working|started working|started) (?:now )?(?:at|for) "
                r"(?P<value>.+)"
            ),
            "employer",
        ),
        (r"(?:is|am|turned|just turned|turns) (?P<value>\d{1,3})(?: years? old)?(?: now| today)?", "age"),
        (r"(?:weighs?) (?P<value>.+)", "weight"),
        (r"(?:drives?) (?P<value>.+)", "vehicle"),
        (
            (
                r"(?:is|am|got|has become|became) (?:now )?(?P<value>single|married|divorced|engaged|widowed"
                r"|separated)\b.*"
            ),
            "marital",
        ),
        (
            (
                r"(?:is|am|became|has become|turned|went)(?: now)? (?:an? )?"
                r"(?P<value>vegan|vegetarian|pescatarian|carnivore|omnivore)\b.*"
            ),
            "diet",
        ),
        (r"(?:is|am)(?: now)? (?:an? )(?P<value>.+)", "kind"),
        (r"(?:is|was) (?:called|named|now called|now named) (?P<value>.+)", "name"),
        (
            (
                r"(?P<verb>likes?|loves?|enjoys?|adores?|dislikes?|hates?|detests?|can't stand|can not stand"
                r"|(?:doesn't|don't|does not|do not) (?:really )?(?:like|love|enjoy)) (?P<value>.+)"
            ),
            "taste",
        ),
        (r"(?P<verb>can|can't|cannot|can not) (?P<value>.+)", "ability"),
        (r"(?P<verb>eats?|doesn't eat|don't eat|does not eat|never eats?) (?P<value>.+)", "eats"),
        (
            (
                r"(?P<verb>has|have|owns?|doesn't have|don't have|does not have|has no|have no) "
                r"(?P<value>.+)"
            ),
            "has",
        ),
        (
            (
                r"(?P<verb>smokes?|doesn't smoke|don't smoke|drinks? alcohol|doesn't drink alcohol"
                r"|don't drink alcohol)(?P<value>.*)"
            ),
            "habit",
        ),
    )
)  # fmt: skip
_PROPERTY: Final = re.compile(
    r"^(?:User's|My) (?P<property>(?:[\w'-]+ ){0,4}?[\w-]+) (?:is|are|(?:has |was )?changed to)(?: now| "
    r"currently)?(?: (?:called|named))? (?P<value>.+)$",
    re.IGNORECASE,
)
_CHANGED: Final = re.compile(
    r"^User (?:has )?(?:recently |just )?(?:changed|switched|updated) (?:their|the) (?P<property>(?:[\w'-]+ "
    r"){0,3}?[\w-]+) (?:from .+? )?to (?P<value>.+)$",
    re.IGNORECASE,
)
_NEGATIVE_VERBS: Final = re.compile(
    r"^(?:dislike|hate|detest|can't stand|can not stand|cannot|can't|can not|never|has no|have no)|n't|not",
    re.IGNORECASE,
)
# Nouns of which there is one value at a time ("User's phone number is ...") ...
_ATTRIBUTES: Final = word_list(
    "name nickname surname birthday birthdate anniversary email address number phone age height weight size "
    "nationality job "
    "occupation profession title employer company hometown salary rent budget sign type car bike major "
    "degree school "
    "university timezone language deadline code password pin username team religion color colour eyes hair "
    "commute"
)
# ... and people of whom there is one, when the value is a name.
_PEOPLE: Final = word_list(
    "wife husband spouse partner girlfriend boyfriend fiance fiancee boss manager doctor dentist therapist "
    "landlord"
)


_LEAD: Final = re.compile(
    r"^(?:Actually|Correction|Update|Now|Recently|Lately|These days|As of \w+)[,:]? ", re.IGNORECASE
)
_TAIL: Final = re.compile(
    r",? (?:actually|now|instead|these days|nowadays|any ?more|any longer|currently|lately|at the moment)$",
    re.IGNORECASE,
)
_NO_LONGER: Final = re.compile(r"\bno longer ", re.IGNORECASE)
# Where the value ends: at the next sentence or clause.
_END: Final = re.compile(
    r"(?:[.!;]\s|,? (?:because|but|although|though|which|and (?:i|they|she|he|it|we)\b)).*$|[.!\s]+$",
    re.IGNORECASE | re.DOTALL,
)


# By what a property may be asked for where the fact does not say it ("User is 26").
ASKED_AS: Final = {
    "home": "live home",
    "occupation": "work job",
    "employer": "work job",
    "age": "age old",
    "weight": "weight",
    "vehicle": "car",
    "marital": "relationship married",
    "diet": "diet eat food",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """What a fact states.

    Args:
        key: subject and property; facts with the same key are about the same thing.
        value: the terms of what is said of it.
        positive: False for "does not".
        change: whether it is told as a change.
        text: the value as it was told.
    """

    key: str
    value: frozenset[str]
    positive: bool
    change: bool
    text: str


def read(content: str, *, change: bool = False) -> Statement | None:
    """The statement of a memory's text, or None where it is of no known form or about the past.

    Args:
        content: the memory's text.
        change: whether it is known to be told as a change; its own words may say so too.
    """
    speaker, said = split_speaker(content.replace("\u2019", "'"))
    said = _END.sub("", said.strip())
    change = change or is_change(said)
    said = _LEAD.sub("", said)
    said = _TAIL.sub("", said)
    said, negations = _NO_LONGER.subn("", said)
    said = said[:1].upper() + said[1:]
    found = _of_property(said, change) or _of_form(said, change)
    if found is None or (_PAST.search(said) and not change):
        return None
    key = f"{speaker.lower()}: {found.key}" if speaker else found.key
    return replace(found, key=key, positive=found.positive != bool(negations))


def is_change(content: str) -> bool:
    """Whether something is told as having changed."""
    return bool(_CHANGE.search(content))


def _of_property(said: str, change: bool) -> Statement | None:
    match = _CHANGED.match(said) or _PROPERTY.match(said)
    if match is None:
        return None
    named, value = words(match["property"]), match["value"]
    called = bool(re.search(r" (?:called|named) ", match.group()[: match.start("value")]))
    single = _ATTRIBUTES & set(named) or any(stem(word) == "favorit" for word in named)
    if not (called or single or (named[-1] in _PEOPLE and value[:1].isupper())):
        return None
    if len(named) > 1 and named[-1] == "name":
        named = named[:-1]
    positive = not re.match(r"(?:not|no longer)\b", value)
    value = re.sub(r"^(?:not|no longer) ", "", value)
    key = " ".join(sorted(stem(word) for word in named))
    return Statement(f"user {key}", frozenset(terms(value) or words(value)), positive, change, value)


def _of_form(said: str, change: bool) -> Statement | None:
    for pattern, prop in _FORMS:
        match = pattern.match(said)
        if match is None:
            continue
        subject = " ".join(terms(match["subject"])) or "user"
        value = match["value"]
        verb = match.groupdict().get("verb") or ""
        positive = (
            not _NEGATIVE_VERBS.search(verb)
            if verb
            else not _NEGATION.search(match.group()[: match.start("value")])
        )
        return _statement(subject, prop, value, positive, change)
    return None


def _statement(subject: str, prop: str, value: str, positive: bool, change: bool) -> Statement | None:
    found = frozenset(terms(value) or words(value))
    if prop == "kind":
        last = words(
            value.split(" at ", maxsplit=1)[0].split(" in ", maxsplit=1)[0].split(" for ", maxsplit=1)[0]
        )
        if not _PROFESSION.match(value) or not last or last[-1] in _NOT_A_PROFESSION:
            return None
        prop = "occupation"
    if prop == "eats":
        if not found & _ANIMAL_FOOD:
            return None
        return Statement(f"{subject} diet", found, positive, change, value)
    if prop in ("taste", "ability", "has"):
        core = " ".join(
            sorted(
                terms(
                    re.split(r"\b(?:because|but|although|and|especially|with|called|named|,)\b|,", value)[0]
                )
            )
        )
        return Statement(f"{subject} {prop} {core}", frozenset(), positive, change, value) if core else None
    if prop == "name":
        return Statement(f"user {'name' if subject == 'user' else subject}", found, positive, change, value)
    return Statement(f"{subject} {prop}", found, positive, change, value)
