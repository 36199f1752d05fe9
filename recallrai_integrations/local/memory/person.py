"""From the first person to the third: "I live in Lisbon" becomes "User lives in Lisbon".

Only where it can be done cleanly; a sentence that resists keeps the user's own words unchanged.
"""

from __future__ import annotations

import re
from typing import Final

from .lexicon import IRREGULAR_PAST, word_list

_ADVERBS: Final = (
    "no longer|really|also|just|always|usually|never|currently|still|already|often|recently|finally|actually"
    "|sometimes"
    "|now|only|even|mostly|hardly|truly|both|once|(?!rely|apply|reply|supply|imply|multiply)[a-z]{2,}ly"
)
_VERB: Final = re.compile(rf"((?:\s+(?:{_ADVERBS})(?![\w']))*)\s+([a-z']+)(?![\w'])")
_UNCHANGED: Final = word_list(
    "can could will would should may might must shall used ought had was did cannot can't couldn't won't "
    "wouldn't "
    "shouldn't mustn't didn't hadn't wasn't put cut set hit let cost hurt quit shut spread beat bet read"
)
_FIXED: Final = {
    "am": "is",
    "have": "has",
    "do": "does",
    "don't": "doesn't",
    "haven't": "hasn't",
    "go": "goes",
}
_ENDS_IN_ED_BUT_PRESENT: Final = word_list(
    "need feed bleed breed speed seed weed heed exceed succeed proceed"
)
_COORDINATED: Final = word_list(
    "am have live work love like hate play study want prefer speak go run teach own enjoy think feel use "
    "drive "
    "eat drink need plan hope practice practise collect write read paint sing dance cook watch travel "
    "commute "
    "volunteer manage lead build make do don't can't avoid dislike"
)
_QUOTED: Final = re.compile(r"[\"\u201c\u201d\u00ab\u00bb]")
_I: Final = re.compile(r"(?<![\w'])[Ii](?:'(m|ve|ll|d|re))?(?![\w'])")
_AND: Final = re.compile(r"(\b(?:and|but|or|,)\s+(?:(?:then|also)\s+)?)([a-z']+)(?=\s)")


def third_person(sentence: str) -> str:
    """The sentence about "User", or unchanged where that cannot be done cleanly.

    Args:
        sentence: one sentence in English; typographic apostrophes are fine.
    """
    text = sentence.replace("\u2019", "'")
    if _QUOTED.search(text):
        return sentence
    first = _I.search(text)
    possessive = re.search(r"\bmy\b", text, re.IGNORECASE)
    if possessive and (first is None or possessive.start() < first.start()):
        text = _replace(text, possessive.start(), possessive.end(), "User's")
        return _others(text, possessive.start() + len("User's"))
    if first is None:
        return sentence
    rewritten = _subject(text, first)
    return sentence if rewritten is None else rewritten


def _replace(text: str, start: int, end: int, new: str) -> str:
    return text[:start] + new + text[end:]


def _subject(text: str, first: re.Match[str]) -> str | None:
    rest = text[first.end() :]
    head = text[: first.start()] + "User"
    contracted = first.group(1)
    if contracted in ("d", "re"):
        return None
    if contracted:
        verb = {"m": " is", "ve": " has", "ll": " will"}[contracted]
        return _others(head + verb + _coordinated(rest, present=contracted == "m"), len(head))
    match = _VERB.match(rest)
    if match is None or match[2] in ("kind", "sort"):  # "I kind of like it"
        return None
    skipped, verb = match.groups()
    conjugated = _conjugate(verb)
    tail = rest[match.end(2) :]
    new = head + skipped + " " + conjugated + _coordinated(tail, present=conjugated != verb)
    return _others(new, len(head))


def _conjugate(verb: str) -> str:
    if verb in _FIXED:
        return _FIXED[verb]
    past = verb in IRREGULAR_PAST or (verb.endswith("ed") and verb not in _ENDS_IN_ED_BUT_PRESENT)
    if past or verb in _UNCHANGED:
        return verb
    if verb.endswith(("s", "x", "z", "ch", "sh", "o")):
        return verb + "es"
    if verb.endswith("y") and verb[-2:-1] not in tuple("aeiou"):
        return verb[:-1] + "ies"
    return verb + "s"


def _coordinated(text: str, *, present: bool) -> str:
    if not present or re.search(r"\bto\b.*\b(?:and|but|or)\b", text):
        return text
    return _AND.sub(lambda m: m[1] + (_conjugate(m[2]) if m[2] in _COORDINATED else m[2]), text)


def _others(text: str, start: int) -> str:
    """The rest of the sentence: `I` to `they`, `my` to `their`, and so on."""
    head, rest = text[:start], text[start:]
    rest = re.sub(r"(?<![\w'])I'm(?![\w'])|(?<![\w'])[Ii] am\b", "they are", rest)
    rest = re.sub(r"(?<![\w'])I was\b", "they were", rest)
    rest = re.sub(r"(?<![\w'])I('(?:ve|ll|d))?(?![\w'])", lambda m: "they" + (m[1] or ""), rest)
    for mine, theirs in (("my", "their"), ("me", "them"), ("mine", "theirs"), ("myself", "themselves")):
        rest = re.sub(rf"\b{mine}\b", theirs, rest)
    return head + rest
