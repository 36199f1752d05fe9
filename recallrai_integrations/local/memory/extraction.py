"""What of a conversation is kept: the user's facts, one memory each, in the user's own words.

Greetings, thanks, questions and requests go; everything else stays. A sentence that leans on the one
before ("It was great") stays with it. A line of a transcript ("Ana: text") is one memory with its speaker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .lexicon import word_list
from .person import third_person
from .statements import is_change
from .text import clean, one_line, split_speaker, words
from .types import Message

_USUAL: Final = 280  # characters of one memory before the next sentence begins another
_LONGEST: Final = 1_000  # characters after which even a single sentence is cut, at a space

_SENTENCE_END: Final = re.compile(r"(?<=[.!?\u2026])[\"')\u201d\u2019]*\s+|(?<=[\u3002\uff01\uff1f])")
_ABBREVIATION: Final = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|approx|no|dept|inc|ltd|co|e\.g|i\.e|a\.m|p\.m|u\.s)|\b[A-Z])\.$",
    re.IGNORECASE,
)
_QUESTION: Final = re.compile(r"[?\uff1f\u061f]\W*$")
_ASKS: Final = re.compile(
    r"^(?:(?:and|but|so|ok|okay|well|hey|hi|also|then|please|now)[, ]+)*"
    r"(?:what|which|who|whom|whose|when|where|why|how|can you|could you|would you|will you|do you|did you"
    r"|are you|"
    r"have you|is there|are there|should i|can i|could i|may i|do i|am i|did i|is it|does|shall we)\b",
    re.IGNORECASE,
)
_INVERTED: Final = re.compile(
    r"^(?:(?:and|but|so|ok|okay|well|hey|hi|also|then)[, ]+)*"
    r"(?:(?:what|which|who|when|where|why|how)(?: \w+)? )?(?:do|does|did|is|are|can|could|should|would|will"
    r"|am|was|were) "
    r"(?:i|you|we|he|she|they|it|there|my|the)\b",
    re.IGNORECASE,
)
_REQUEST: Final = re.compile(
    r"^(?:(?:and|but|so|ok|okay|well|hey|hi|also|then|now|thanks|great|perfect)[, ]+)*(?:please\b|"
    r"(?:can|could|would|will) you\b|"
    r"(?:tell|show|give|help|write|explain|suggest|recommend|list|find|translate|summari[sz]e|describe|create|generate|"
    r"make|draft|compare|let's|let us|let me know|walk me|remind)\b(?! (?:was|is|are|of)\b))",
    re.IGNORECASE,
)
_TOLD: Final = re.compile(
    r"^(?:(?:and|also|ok|okay|well|so|hey|hi|please|by the way|btw|fyi|just so you know|for the record"
    r"|note)[,: ]+)*"
    r"(?:please )?(?:(?:do you|can you|could you|don't forget to|you should|did you) )?"
    r"(?:remember|note|know|keep in mind|bear in mind|don't forget|be aware|did i tell you|have i told you|"
    r"did i mention|have i mentioned|i(?:'ve| have)? (?:told|mentioned to) you|i (?:want|wanted|should) "
    r"(?:you to know|to tell you|to mention)|"
    r"i'd like you to know|you should know)\b(?: that|:|,)? ?",
    re.IGNORECASE,
)
_REASON: Final = re.compile(
    r"^(?:since|because|as|given that|considering|seeing that|now that)\s+(?=(?:i|my|we|our)\b)",
    re.IGNORECASE,
)
_CLAUSE: Final = re.compile(
    r"[,;:\u2014]\s+|\s+[\u2013-]\s+|\s+(?=(?:so|and|but) (?:what|which|who|when|where|why|how|can|could"
    r"|should|do|is|would)\b)"
)
_OWN: Final = re.compile(
    r"^(?:(?:and|but|so|also|well|hi|hey|hello|ok|okay|yes|no)[, ]+)*(?:i|i'm|i've|my|we|we're|we've|our)\b",
    re.IGNORECASE,
)
_LEANS: Final = re.compile(
    r"^(?:it|its|it's|that|that's|this|these|those|they|they're|he|he's|she|she's|his|her|their|there|which|such|then|so)\b",
    re.IGNORECASE,
)
_JUDGES: Final = re.compile(r"^(?:it|they|he|she)\b(?:'s)? ?(?:is|was|are|were)\b", re.IGNORECASE)
_OPENER: Final = re.compile(
    r"^(?:(?:hi|hello|hey|thanks|thank you|ok|okay|well|oh|yes|yeah|yep|sure|great|wow|cool|btw|by the way"
    r"|also|anyway|and|so|fyi|actually|no(?=[,.!]))\b"
    r"(?: there| so much| a lot| again| everyone| all)?[,.! \u2014-]+)+(?=\S)",
    re.IGNORECASE,
)
_JOINED: Final = re.compile(
    r",? (?:and|but) (?=(?:I|I'm|I've)\s|my (?:[\w'-]+ ){1,4}?(?:is|are|was|has|lives|works|called|named)\b)"
)
_JOINED_VERB: Final = re.compile(
    r"^(I(?:'m)?(?: [^\s,]+){2,8}?) and ((?:work (?:as|at|for|in)|live in|study|play the|speak|drive an?"
    r"|have an?)\s.+)$"
)
_WISH: Final = re.compile(r"\b(?:to|want|hope|plan|can|could|will|would|should|used|might|may|if|when)\b")
_CHITCHAT: Final = word_list(
    "hi hello hey hiya howdy greetings thanks thank thx ty you u ok okay k sure great cool nice awesome "
    "good perfect "
    "excellent wonderful fantastic amazing lovely brilliant super morning afternoon evening night day bye "
    "goodbye see "
    "lot lots bunch later soon tomorrow yes no yeah yep nope yup lol haha hahaha please welcome wow oh ah "
    "hmm um cheers sorry got it "
    "its sounds thats that this is was fine alright right so much very the a an to there all again i ill "
    "will do "
    "makes sense understood try then too for your help helpful really appreciate have weekend one how are "
    "doing "
    "going whats up everything everyone guys well glad happy hear be take care talk im am and of course "
    "absolutely "
    "exactly true indeed interesting go ahead continue hola gracias bonjour merci ciao grazie danke hallo "
    "tschuss "
    "buenos dias oi obrigado obrigada adios salut namaste"
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was told.

    Args:
        content: the memory's text, one line.
        position: index of its message in the session.
        question: the assistant's question that it answers, otherwise empty.
        change: whether the user said that something changed or was told wrongly before.
    """

    content: str
    position: int
    question: str = ""
    change: bool = False


def facts(messages: Sequence[Message]) -> Iterator[Fact]:
    """Every fact the user told, in order.

    Args:
        messages: the whole session, oldest first; assistant messages only give answers their meaning.
    """
    for position, message in enumerate(messages):
        if message.role != "user":
            continue
        asked = _asked_before(messages, position)
        text = clean(message.content)
        short = len(words(text)) <= _SHORT_ANSWER
        if asked and short and not _QUESTION.search(text) and not _self_standing(text) and words(text):
            yield Fact(f'User was asked "{asked}" and answered: {one_line(text)}', position, asked)
            continue
        for speaker, part in _speeches(text):
            for content, change in _split(part, speaker):
                yield Fact(content, position, change=change)


_SHORT_ANSWER: Final = 12


def _asked_before(messages: Sequence[Message], position: int) -> str:
    """The last question of the assistant's message right before, or nothing."""
    if position == 0 or messages[position - 1].role != "assistant":
        return ""
    asked = [s for s in sentences(messages[position - 1].content) if _QUESTION.search(s)]
    return one_line(asked[-1])[:200].replace('"', "'") if asked else ""


def _self_standing(text: str) -> bool:
    found = words(text)
    if not found or all(word in _CHITCHAT for word in found):
        return not any(word in ("yes", "no", "yeah", "yep", "nope", "yup") for word in found)
    return bool(_OWN.match(text)) and len(found) > 3  # noqa: PLR2004  ("I do", "my dog" say nothing by themselves)


def _speeches(text: str) -> Iterator[tuple[str, str]]:
    """The text by speakers where its lines begin with names, otherwise whole."""
    speaker, lines = "", list[str]()
    for line in text.splitlines() or [""]:
        name, said = split_speaker(line)
        if name:
            if lines:
                yield speaker, "\n".join(lines)
            speaker, lines = name, [said]
        else:
            lines.append(line)
    if lines:
        yield speaker, "\n".join(lines)


def sentences(text: str) -> list[str]:
    """The sentences of a text, each on one line; list items and lines count as sentences."""
    found: list[str] = []
    for line in text.splitlines():
        begin = 0
        pieces: list[str] = []
        for end in _SENTENCE_END.finditer(line):
            piece = line[begin : end.start()]
            if _ABBREVIATION.search(piece):
                continue
            pieces.append(line[begin : end.end()])
            begin = end.end()
        pieces.append(line[begin:])
        found += [flat for piece in pieces if (flat := one_line(piece))]
    return found


def _split(text: str, speaker: str) -> Iterator[tuple[str, bool]]:
    """The memories of one speech, and whether each is told as a change."""
    if speaker:
        said = sentences(text)
        if any(not is_chitchat(sentence) and not _QUESTION.search(sentence) for sentence in said):
            for part in _grouped(said, limit=_LONGEST, merge_all=True):
                yield f"{speaker}: {part}", is_change(part)
        return
    kept: list[str] = []
    for sentence in sentences(text):
        if is_chitchat(sentence):
            # "It was wonderful" says something of what was told before it, and nothing by itself.
            if kept and _JUDGES.match(sentence):
                kept.append(sentence)
            continue
        kept += [fact for part in _kept(sentence) for fact in _separate(part)]
    for group in _grouped(kept, limit=_USUAL, merge_all=False):
        yield _polish(group), is_change(group)


def _kept(sentence: str) -> Iterator[str]:
    """A sentence without what is not told in it."""
    told = _TOLD.match(sentence)
    if told and told.end() < len(sentence):
        rest = sentence[told.end() :]
        if not _ASKS.match(rest):
            yield rest[:1].upper() + rest[1:].rstrip("?\uff1f ")
            return
    if _QUESTION.search(sentence):
        yield from _clauses(sentence)
    elif _INVERTED.match(sentence) or (
        _ASKS.match(sentence)
        and len(words(sentence)) <= _SHORT_ANSWER
        and not re.search(r"\b(?:I|my)\b", sentence)
    ):
        return
    elif _REQUEST.match(sentence):
        yield from _clauses(sentence)
    else:
        yield sentence


def _separate(sentence: str) -> Iterator[str]:
    """The facts of a sentence that joins several: "I live in Oslo and I work as a nurse"."""
    for part in _JOINED.split(sentence):
        match = _JOINED_VERB.match(part)
        if match and not _WISH.search(match[1]):
            yield match[1]
            yield f"I {match[2]}"
        else:
            yield part[:1].upper() + part[1:]


def _clauses(question: str) -> Iterator[str]:
    """What a question or request tells on the way: "I'm allergic to nuts, what can I eat?"."""
    for clause in _CLAUSE.split(question)[:-1]:
        reason = _REASON.match(clause)
        stated = clause[reason.end() :] if reason else clause
        if _OWN.match(stated) and not _QUESTION.search(stated) and not is_chitchat(stated):
            yield stated[:1].upper() + stated[1:]


def is_chitchat(sentence: str) -> bool:
    """Whether a sentence tells nothing: greetings, thanks, assent."""
    found = [word.replace("'", "") for word in words(sentence)]
    return all(word in _CHITCHAT for word in found)


def _grouped(kept: Iterable[str], *, limit: int, merge_all: bool) -> Iterator[str]:
    """Sentences that belong together, as one text each."""
    group = ""
    for sentence in kept:
        own = bool(_OWN.match(_OPENER.sub("", sentence)))
        joins = merge_all or bool(_LEANS.match(sentence)) or not own
        if group and joins and len(group) + len(sentence) < limit:
            group = f"{group} {sentence}"
            continue
        if group:
            yield from _cut(group)
        group = sentence
    if group:
        yield from _cut(group)


def _cut(text: str) -> Iterator[str]:
    while len(text) > _LONGEST:
        at = text.rfind(" ", _LONGEST // 2, _LONGEST)
        at = _LONGEST if at < 0 else at
        yield text[:at]
        text = text[at:].lstrip()
    yield text


def _polish(text: str) -> str:
    """The text as a memory reads: without its opener and full stop, in the third person."""
    text = _OPENER.sub("", text)
    parts = sentences(text)
    if not parts:
        return text
    text = " ".join([third_person(parts[0]), *(third_person(part) for part in parts[1:])])
    text = text[:1].upper() + text[1:]
    return text[:-1] if text.endswith(".") and not text.endswith("..") and text.count(". ") == 0 else text
