"""What of a conversation is kept: what the user said, in the user's own words.

Sentences that belong together are one memory; no sentence is split or rewritten. What was said in a
question or a request stays with it, an answer stays with what was asked, a line of a transcript with its
speaker, and pasted text with the request that it came with. Greetings, thanks, and requests that tell
nothing are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .lexicon import CHITCHAT, CONNECTIVES, FIRST_PERSON, LABELS, LASTING
from .text import clean, is_unspaced, one_line, split_speaker, words
from .types import Message

_USUAL: Final = 320  # characters of one memory before the next sentence begins another
_ASKING: Final = 600  # the same of what is told with a question or a request
_LONGEST: Final = 1_000  # characters after which even a single sentence is cut, at a space
_LEAD: Final = 160  # characters of a request that are repeated with what came with it
_ANSWER: Final = 12  # words of a short answer
_BARE: Final = 7  # words of a question that tells nothing
_LONG: Final = 20  # words of a request that tells something even without "I" or "my"
_ELLIPSIS: Final = 4  # words of a sentence that says nothing by itself ("But I am not.")

_SENTENCE_END: Final = re.compile(
    r"(?<=[.!?\u2026])[\"')\u201d\u2019]?\s+|(?<=[\u3002\uff01\uff1f\u0964])\s*"
)
_ABBREVIATION: Final = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|approx|no|dept|inc|ltd|co|e\.g|i\.e|a\.m|p\.m|u\.s)|\b[A-Z]|^\d{1,3})\.\Z",
    re.IGNORECASE,
)
_QUESTION: Final = re.compile(r"[?\uff1f\u061f][\"')\u201d\u2019 ]*\Z")
_REQUEST: Final = re.compile(
    r"(?:(?:and|but|so|ok|okay|well|hey|hi|hello|also|now|then|just)[, ]+)*(?:please|(?:can|could|would"
    r"|will) you"
    r"|tell|show|give|help|write|explain|suggest|recommend|list|find|compare|create|generate|draft|remind|remember|note"
    r"|translate|proofread|polish|rewrite|rephrase|summari[sz]e|review|correct|improve|edit|shorten|paraphrase|fix|reply"
    r"|imagine|pretend|suppose|act as|act like|let's|what|which|who|when|where|why|how"
    r"|bitte|\u00fcbersetze|s'il te|s'il vous|traduis|traduisez|por favor|traduce|traduza|traduz|imagina"
    r"|\u8bf7|\u8acb|\u7ffb\u8bd1|\u7ffb\u8b6f|\u7ffb\u8a33|\ubc88\uc5ed|\u0905\u0928\u0941\u0935\u093e\u0926|\u062a\u0631\u062c\u0645)\b",
    re.IGNORECASE,
)
_STANDING: Final = re.compile(
    r"(?:(?:please|and|also|so|bitte|por favor|s'il te pla\u00eet|\u8bf7|\u8acb)[, ]*)*"
    r"(?:(?:always|never|from now on|whenever i ask|every time i ask|immer|ab jetzt|toujours"
    r"|d\u00e9sormais|siempre|nunca|a partir de ahora|sempre|a partir de agora"
    r"|\u0939\u092e\u0947\u0936\u093e|\u062f\u0627\u0626\u0645\u0627)\b"
    r"(?! (?:i|my|we|been|had|was|loved|wanted)\b)"
    r"|\u603b\u662f|\u7e3d\u662f|\u6c38\u8fdc\u4e0d|\u4ee5\u540e\u8bf7"
    r"|\u3044\u3064\u3082|\u4eca\u5f8c\u306f|\ud56d\uc0c1|\uc55e\uc73c\ub85c)"
    r"|.{3,200}\b(?:whenever|every time|each time|when) i ask\b|.{3,200}\bfrom now on[.!]*\Z",
    re.IGNORECASE,
)
_OWN_BUSINESS: Final = re.compile(
    r"\b(?:that|because|since) (?:i|my|we)\b|\b(?:call|remind|contact) me\b|\b(?:my|our) .{0,60}\b[A-Z]"
)
_ABOUT_TEXT: Final = re.compile(
    r"\b(?:translat|proofread|polish|rewrit|rephras|summari[sz]|review|correct|improv|edit|shorten|paraphras|fix"
    r"|repl(?:y|ies) to|imagin|pretend|suppos|act (?:as|like)|role.?play|lyrics|quote|\u00fcbersetz"
    r"|korrigier|tradui|traduc"
    r"|traduz|corrig|imagin)|\u7ffb\u8bd1|\u7ffb\u8b6f|\u7ffb\u8a33|\u6821\u6b63|\ubc88\uc5ed|\u0905\u0928\u0941\u0935\u093e\u0926|\u062a\u0631\u062c\u0645"
    r"|[:\uff1a]\s*\Z",
    re.IGNORECASE,
)
_BEGINS: Final = ("\u6211", "\u79c1", "\u50d5", "\u4ffa")
_FENCE: Final = re.compile(r"\s*(?:```|~~~)")
_CODE: Final = re.compile(
    r"Traceback \(most recent|\s*File \"|\s{4,}\S|\t|>>> |\$ |[\w.]*(?:Error|Exception): |#include|import \w|from \w+ import"  # noqa: E501 - one form a line
    r"|(?:async )?def \w|class \w+[:({]|return\b|(?:const|let|var) \w+ ?=|function \w|(?:public"
    r"|private) \w|<[/!a-z]"
    r"|\s*[{}\])]+[;,]?\Z|[^.!?]*[;{]\Z"
)
_ITEM: Final = re.compile(r"[ \t]{0,12}(?:[-*\u2022]|\d{1,3}[.)])\s+(?=\S)")
_LABELLED: Final = re.compile(r"[^\W\d_][^:\n.!?]{0,30}:\s+\S")


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was told.

    Args:
        content: the memory's text, one line.
        position: index of its message in the session.
        question: the assistant's question that it answers, otherwise empty.
        asks: whether it is a question or a request.
    """

    content: str
    position: int
    question: str = ""
    asks: bool = False

    @property
    def standing(self) -> bool:
        """Whether it is an instruction for the assistant that is meant to last."""
        return bool(_STANDING.match(self.content))


def facts(messages: Sequence[Message]) -> Iterator[Fact]:
    """What the user told, in order.

    Args:
        messages: the whole session, oldest first; assistant messages only give answers their meaning.
    """
    speakers = _speakers(messages)
    for position, message in enumerate(messages):
        if message.role != "user":
            continue
        text = clean(message.content)
        asked = _asked_before(messages, position)
        if asked and _answers(text):
            yield Fact(f'Asked "{asked}", I said: {one_line(text)}', position, asked)
            continue
        for speaker, part in _speeches(text, speakers):
            if not speaker:
                yield from (Fact(content, position, asks=asks) for content, asks in _told(part))
            elif not is_chitchat(part):
                said = [sentence for line in part.splitlines() for sentence in sentences(line)]
                yield from (
                    Fact(f"{speaker}: {one}", position) for one in _grouped(said, _LONGEST, apart=False)
                )


def _asked_before(messages: Sequence[Message], position: int) -> str:
    """The last question of the assistant's message right before, or nothing."""
    if position == 0 or messages[position - 1].role != "assistant":
        return ""
    lines = clean(messages[position - 1].content).splitlines()
    asked = [s for line in lines for s in sentences(line) if _QUESTION.search(s)]
    return asked[-1][:200].replace('"', "'") if asked else ""


def _answers(text: str) -> bool:
    """Whether a text is a short answer that says nothing without its question."""
    found = words(text)
    if not found or len(found) > _ANSWER or _QUESTION.search(text):
        return False
    if is_chitchat(text):
        return any(word in ("yes", "no", "yeah", "yep", "nope", "yup") for word in found)
    return not (found[0] in FIRST_PERSON and len(found) > 3)  # noqa: PLR2004 - "I do", "my dog" say nothing alone


def _speakers(messages: Sequence[Message]) -> set[str]:
    """Names before lines that somebody speaks: they say sentences, or they come back."""
    found: dict[str, int] = {}
    for message in messages:
        for line in message.content.splitlines() if message.role == "user" else ():
            name, said = split_speaker(line)
            if name and name.lower() not in LABELS:
                found[name] = found.get(name, 0) + 1 + _is_spoken(said)
    return {name for name, count in found.items() if count > 1}


def _is_spoken(text: str) -> bool:
    return text.rstrip("\"')\u201d ")[-1:] in set(".!?\u2026\u3002\uff01\uff1f") or bool(
        FIRST_PERSON.intersection(words(text))
    )


def _speeches(text: str, speakers: set[str]) -> Iterator[tuple[str, str]]:
    """The text by speakers where its lines begin with their names, otherwise whole."""
    speaker, lines = "", list[str]()
    for line in text.splitlines() or [""]:
        name, said = split_speaker(line)
        if name in speakers:
            if lines:
                yield speaker, "\n".join(lines)
            speaker, lines = name, [said]
        else:
            lines.append(line)
    if lines:
        yield speaker, "\n".join(lines)


def sentences(line: str) -> list[str]:
    """The sentences of a line."""
    found, begin = list[str](), 0
    for end in _SENTENCE_END.finditer(line):
        piece = line[begin : end.start()]
        if not _ABBREVIATION.search(piece[-12:]) and not _quote_is_open(piece):
            found.append(line[begin : end.end()])
            begin = end.end()
    return [flat for piece in (*found, line[begin:]) if (flat := one_line(piece))]


def _quote_is_open(text: str) -> bool:
    return len(text) < _LONGEST and (text.count('"') % 2 == 1 or text.count("\u201c") > text.count("\u201d"))


def _told(text: str) -> Iterator[tuple[str, bool]]:
    """The memories of what one person said, and whether each is a question or a request."""
    blocks = list(_blocks(text))
    prose = [sentence for kind, said in blocks if kind == "prose" for sentence in said]
    lead = next((sentence for sentence in prose if asks(sentence)), "")
    pasted = any(kind == "code" for kind, _ in blocks)
    if lead and not pasted and not _tells(" ".join(one for _, said in blocks for one in said), lead):
        return
    material = bool(lead) and (bool(_ABOUT_TEXT.search(lead)) or pasted)
    heading = ""
    for kind, said in blocks:
        under = heading if kind == "item" else f'Asked "{_short(lead)}" about: ' if material else ""
        if kind == "code":
            yield from ((f"{under}{piece}", False) for piece in _cut(one_line("\n".join(said))))
        elif kind == "item":
            yield from (
                (f"{under}{piece}", False)
                for one in said
                for piece in _cut(one_line(one))
                if not is_chitchat(one)
            )
        else:
            kept = [
                one
                for n, one in enumerate(said)
                if not is_chitchat(one)
                or (n and not lead and words(one)[:1] and words(one)[0] in CONNECTIVES)
            ]
            for group in _grouped(kept, _ASKING if lead else _USUAL, apart=not lead):
                own = lead in group or not material
                yield (
                    (group if own else under + group),
                    bool(lead) and own and any(map(asks, sentences(group))),
                )
            heading = one_line(said[-1]) + " " if said[-1].rstrip().endswith((":", "\uff1a")) else ""


def _short(lead: str) -> str:
    cut = lead if len(lead) <= _LEAD else lead[:_LEAD].rsplit(" ", 1)[0] + " ..."
    return cut.rstrip(":\uff1a ").replace('"', "'")


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Code, items of lists and profiles, and prose in sentences, in order; a blank line ends prose."""
    kind, held, fenced = "", list[str](), False
    lines = text.splitlines()
    labelled = sum(bool(_LABELLED.match(line)) for line in lines) > 1
    for line in [*lines, ""]:
        fence = bool(_FENCE.match(line))
        fenced = fenced != fence
        if fence or fenced or (_CODE.match(line) and line.strip()):
            now, part = "code", [] if fence else [line]
        elif (item := _ITEM.match(line)) or (labelled and _LABELLED.match(line)):
            now, part = "item", [line[item.end() :] if item else line]
        else:
            now, part = "prose", sentences(line)
        if held and (now != kind or (not part and not fence)):
            yield kind, held
            held = []
        kind = now
        held += part
    if held:
        yield kind, held


def asks(sentence: str) -> bool:
    """Whether a sentence is a question or a request."""
    return bool(_QUESTION.search(sentence) or _REQUEST.match(sentence))


def _tells(text: str, lead: str) -> bool:
    """Whether something with a question or a request in it tells of the user."""
    found = words(text)
    first, *others = re.split(r"[,;\uff0c\u3001\u060c]", lead, maxsplit=1)
    clause = bool(others) and not is_chitchat(first) and len(words(first)) > 1
    if LASTING.intersection(found) or len(found) > _LONG or "call me" in text.lower():
        return True
    if (
        one_line(text) == lead
        and not _OWN_BUSINESS.search(lead)
        and len(found) <= (3 * _BARE if is_unspaced(text) else _BARE)
    ):
        return clause
    return clause or is_unspaced(text) or bool(FIRST_PERSON.intersection(found))


def is_chitchat(text: str) -> bool:
    """Whether a text tells nothing: greetings, thanks, assent."""
    return all(word.replace("'", "") in CHITCHAT for word in words(text))


def _leans(sentence: str) -> bool:
    """Whether a sentence goes on with the one before it."""
    found = words(sentence)
    if is_unspaced(sentence):
        return not sentence.startswith(_BEGINS)
    return (
        (len(found) <= _ELLIPSIS and found[0] not in FIRST_PERSON)
        or len(found) < _ELLIPSIS - 1
        or found[0] in CONNECTIVES
        or found[0] not in FIRST_PERSON
    )


def _grouped(said: Iterable[str], limit: int, *, apart: bool) -> Iterator[str]:
    """Sentences that belong together, as one text each; `apart` begins another with each own one."""
    group = ""
    for sentence in said:
        if group and len(group) + len(sentence) < limit and (not apart or _leans(sentence)):
            group = f"{group} {sentence}"
            continue
        yield from _cut(group)
        group = sentence
    yield from _cut(group)


def _cut(text: str) -> Iterator[str]:
    while len(text) > _LONGEST:
        at = text.rfind(" ", _LONGEST // 2, _LONGEST)
        at = _LONGEST if at < 0 else at
        yield text[:at]
        text = text[at:].lstrip()
    if text.strip(" ?!.,;:-"):
        yield text
