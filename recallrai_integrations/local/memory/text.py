"""Words: how a text becomes the terms by which it is found.

A term is a normalised word: folded in case and accents, British and American spelling made one,
irregular forms reduced (`went` to `go`), then stemmed. Scripts written without spaces are cut into pairs
of characters; emoji are words of their own, so that whatever was told can be found again.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache
from typing import Any, Protocol, cast

import snowballstemmer  # type: ignore[import-untyped]  # it ships no types

from .lexicon import FIRST_PERSON, IRREGULAR, LABELS, NUMBERS, STOPWORDS, UNSPACED_STOPWORDS

_WORD = re.compile(r"(?:[^\W_]|[\u0900-\u0dff])+(?:['\u2019][^\W_]+)*|[\u2600-\u27bf\U0001f000-\U0001faff]")
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u0085\u2028\u2029]")
_BRITISH = re.compile(r"(?<=[a-z]{3})our(?=$|s$|ed$|ing$|ite$|ites$|able$|ful$|hood$|hoods$)")
_BRITISH_VERB = re.compile(r"(?<=[a-z]{4})is(?=e$|es$|ed$|ing$|ation$|ations$)")
_CONTRACTION = re.compile(r"(?:n't|'s|'re|'ve|'ll|'d|'m)$")

_SPEAKER = re.compile(r"(?P<name>[^\W\d_][\w.'\u2019-]{0,30}(?: [^\W\d_][\w.'\u2019-]{0,30}){0,2}): (?=\S)")
_FUNCTION = re.compile(UNSPACED_STOPWORDS)
_VOWEL_SIGNS = ("\u0900", "\u0dff")  # Indic scripts, whose combining signs are letters and not accents

_NO_NAMES = STOPWORDS | FIRST_PERSON
_SHORTENED = {"ca": "can", "wo": "will", "sha": "shall"}  # what is left of "can't", "won't", "shan't"

_local = threading.local()


def clean(text: str) -> str:
    """The text with spaces for control characters and `?` for lone surrogates, which UTF-8 cannot hold."""
    return _CONTROL.sub(" ", text.encode("utf-8", "replace").decode("utf-8"))


def one_line(text: str) -> str:
    """The text on a single line, so that nothing in it can pass for a line of the context's structure."""
    return " ".join(clean(text).split())


def words(text: str) -> list[str]:
    """The words of a text in order, lower case, without accents; contractions lose their ending."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    if not folded.isascii():
        folded = "".join(
            c for c in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(c) or _is_letter(c)
        )
        folded = unicodedata.normalize("NFC", folded)
    found: list[str] = []
    for match in _WORD.finditer(folded):
        word = match.group()
        if _UNSPACED.search(word):
            for run in _FUNCTION.split(word):
                found += [run[i : i + 2] for i in range(len(run) - 1)] or ([run] if run else [])
        elif word := _CONTRACTION.sub("", word):
            found.append(_SHORTENED.get(word, word))
    return found


def _is_letter(sign: str) -> bool:
    return _VOWEL_SIGNS[0] <= sign <= _VOWEL_SIGNS[1] or sign in "\u3099\u309a"


def is_unspaced(text: str) -> bool:
    """Whether a text holds a script that is written without spaces between words."""
    return bool(_UNSPACED.search(text))


@lru_cache(maxsize=30_000)
def stem(word: str) -> str:
    """The term for one word as `words` gives it."""
    if word in NUMBERS:
        return NUMBERS[word]
    if not word.isascii():
        return _stemmer("russian").stemWord(word) if "\u0400" <= word[0] <= "\u04ff" else word
    if not word.isalpha():
        return word
    word = IRREGULAR.get(word, word)
    word = _BRITISH_VERB.sub("iz", _BRITISH.sub("or", word))
    return _stemmer("english").stemWord(word)


class _Stemmer(Protocol):
    def stemWord(self, word: str) -> str: ...  # noqa: N802 - named by Snowball


def _stemmer(language: str) -> _Stemmer:
    # A stemmer keeps its word in the object: one per thread.
    stemmers: dict[str, _Stemmer] = _local.__dict__
    if language not in stemmers:
        stemmers[language] = cast("Any", snowballstemmer).stemmer(language)
    return stemmers[language]


def terms(text: str) -> list[str]:
    """The terms of a text in order, repeats and function words included out."""
    return [stem(word)[:40] for word in words(text) if word not in STOPWORDS]


def split_speaker(line: str) -> tuple[str, str]:
    """The name before a line of a transcript ("Ana: text"), or nothing, and what was said."""
    match = _SPEAKER.match(line[:120])
    if (
        match
        and match["name"].lower() not in LABELS
        and not _NO_NAMES.intersection(match["name"].lower().split())
    ):
        return match["name"], line[match.end() :]
    return "", line


def speaker_term(term: str) -> str:
    """The term under which what a person said is found, apart from what was said about that person."""
    return f"@{term}"


def document_terms(content: str) -> list[str]:
    """The terms by which a memory is found; a transcript's speaker counts as its speaker."""
    name, said = split_speaker(content)
    return [*(speaker_term(term) for term in terms(name)), *terms(said)]
