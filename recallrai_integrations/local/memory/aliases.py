"""Words by which a memory may be asked for without saying them: "I'm Bob" answers "What's my name?"."""

from __future__ import annotations

import re
from typing import Final

from .text import terms

_NAME: Final = r"(?:[^\W\d_][\w'-]*\b)"
_FORMS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE if loose else 0), asked_as)
    for pattern, asked_as, loose in (
        (r"\b[Ii](?:'m| am) (?!I\b)[A-Z][\w'-]+", "name", False),
        (rf"(?:^|\b(?:hi|hello|hey)[,!. ]+)i(?:'m| am) {_NAME}(?:$|[.,!]| and\b| from\b)", "name", True),
        (
            rf"\b(?:call me|this is|je m'appelle|ich hei(?:\u00df|ss)e|ich bin|me llamo|soy|meu nome|mi nombre|sou) {_NAME}",  # noqa: E501 - one form a line
            "name",
            True,
        ),
        (
            r"\u6211\u53eb|\u3068\u7533\u3057\u307e\u3059|\u3068\u3044\u3044\u307e\u3059|\uc774\ub984|\u0645\u064a",
            "name \u540d\u5b57 \u540d\u524d",
            True,
        ),
        (r"\u6211\u662f\u4e00[\u540d\u4e2a\u4f4d]", "\u5de5\u4f5c", True),
        (r"\u3068\u3057\u3066\u50cd|\u306b\u52e4\u3081", "\u4ed5\u4e8b", True),
        (
            r"\b(?:i'm|i am|turned|turn|turning) (?:\d{1,3}|thirty|forty|fifty|twenty)\b(?! ?(?:%|km|kg|cm|miles|minutes|hours))",  # noqa: E501 - one form a line
            "age old",
            True,
        ),
        (r"\b(?:i'm|i am) (?:an?|the|now an?) \w+", "work job", True),
        (r"\b(?:i|we)(?:'m| am|'re| are|'ve| have)? (?:\w+ )?(?:moved|relocated|moving) ", "live home", True),
        (r"\b(?:work|working|job|started) (?:at|for|as) ", "work job", True),
        (r"\b(?:weigh|weight)", "weight", True),
        (r"\b(?:drive|driving) ", "car", True),
        (r"\b(?:single|married|divorced|engaged|widowed|separated)\b", "relationship married", True),
    )
)
_WEIGHT: Final = 0.9


def aliases(content: str) -> dict[str, float]:
    """The terms by which a memory may be asked for, with what each counts."""
    said = content.replace("\u2019", "'")
    asked_as = " ".join(words for pattern, words in _FORMS if pattern.search(said))
    return dict.fromkeys(terms(asked_as), _WEIGHT)
