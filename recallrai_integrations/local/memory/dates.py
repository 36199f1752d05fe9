"""Date phrases: the days an event happened on, and the span of days a question asks about.

One parser serves both: `find(text, today)` gives every phrase with its span of days. "Last week" is the
calendar week before (Monday to Sunday), "last Friday" the latest Friday before today, a month without a
year the latest one that has begun.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Final

from .lexicon import IRREGULAR_PAST, NUMBERS

_MONTHS: Final = {name.lower(): i for i, name in enumerate(calendar.month_name) if name} | {
    name.lower(): i for i, name in enumerate(calendar.month_abbr) if name
}
_DAYS: Final = {name.lower(): i for i, name in enumerate(calendar.day_name)}
_SEASONS: Final = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}

_MONTH = (
    r"(?P<month>january|february|march|april|may|june|july|august|september|october|november|december"
    r"|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec)"
)
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_COUNT = (
    r"(?P<count>\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
    r"|a few|a couple of|few|couple)"
)
_UNIT = r"(?P<unit>day|week|weekend|fortnight|month|year)s?"
_WEEKDAY = r"(?P<weekday>monday|tuesday|wednesday|thursday|friday|saturday|sunday)"


@dataclass(frozen=True, slots=True)
class Span:
    """Whole days, both ends included, and the phrase that named them."""

    first: date
    last: date
    phrase: str = ""

    def start(self) -> datetime:
        """The first moment."""
        return datetime.combine(self.first, time.min, timezone.utc)

    def end(self) -> datetime:
        """The last second."""
        return datetime.combine(self.last, time(23, 59, 59), timezone.utc)


def _month(year: int, month: int) -> tuple[date, date]:
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def _shift(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _count(text: str) -> int:
    if text.isdigit():
        return int(text)
    return {"a": 1, "an": 1, "a few": 3, "few": 3, "a couple of": 2, "couple": 2}.get(text) or int(
        NUMBERS[text]
    )


def _week(day: date) -> tuple[date, date]:
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=6)


def _iso(m: re.Match[str], _today: date) -> tuple[date, date]:
    day = date(int(m["year"]), int(m["mm"]), int(m["day"]))
    return day, day


def _day_of_month(m: re.Match[str], today: date) -> tuple[date, date]:
    month, day = _MONTHS[m["month"][:3]], int(m["day"])
    year = int(m["year"]) if m["year"] else today.year
    found = date(year, month, day)
    if not m["year"] and found > today + timedelta(days=183):
        found = date(year - 1, month, day)
    return found, found


def _whole_month(m: re.Match[str], today: date) -> tuple[date, date]:
    month = _MONTHS[m["month"][:3]]
    year = int(m["year"]) if m["year"] else today.year - (month > today.month)
    if m.group().startswith("next "):
        year = today.year + (month <= today.month)
    return _month(year, month)


def _whole_year(m: re.Match[str], _today: date) -> tuple[date, date]:
    return date(int(m["year"]), 1, 1), date(int(m["year"]), 12, 31)


def _season(m: re.Match[str], today: date) -> tuple[date, date]:
    first = _SEASONS[m["season"]]
    if m["year"]:
        year = int(m["year"])
    else:
        year = today.year - (first > today.month) - (m["which"] == "last" and first <= today.month)
        year += m["which"] == "next"
    start = date(year, first, 1)
    return start, _shift(start, 3) - timedelta(days=1)


def _named_day(m: re.Match[str], today: date) -> tuple[date, date]:
    shift = {"today": 0, "tonight": 0, "this morning": 0, "this evening": 0, "this afternoon": 0,
             "yesterday": -1, "last night": -1, "tomorrow": 1}  # fmt: skip
    day = today + timedelta(days=shift[" ".join(m.group().split())])
    return day, day


def _before_or_after(m: re.Match[str], today: date) -> tuple[date, date]:
    day = today + timedelta(days=2 if m["side"] == "after tomorrow" else -2)
    return day, day


def _ago(m: re.Match[str], today: date) -> tuple[date, date]:
    return _steps(m["unit"], today, -_count(m["count"]))


def _ahead(m: re.Match[str], today: date) -> tuple[date, date]:
    return _steps(m["unit"], today, _count(m["count"]))


def _steps(unit: str, today: date, count: int) -> tuple[date, date]:
    if unit == "day":
        day = today + timedelta(days=count)
        return day, day
    if unit in ("week", "weekend", "fortnight"):
        first, last = _week(today + timedelta(weeks=count * (2 if unit == "fortnight" else 1)))
        return (first + timedelta(days=5), last) if unit == "weekend" else (first, last)
    if unit == "month":
        moved = _shift(today, count)
        return _month(moved.year, moved.month)
    return date(today.year + count, 1, 1), date(today.year + count, 12, 31)


def _relative(m: re.Match[str], today: date) -> tuple[date, date]:
    return _steps(
        m["unit"], today, {"last": -1, "past": -1, "previous": -1, "this": 0, "next": 1}[m["which"]]
    )


def _weekday(m: re.Match[str], today: date) -> tuple[date, date]:
    ahead = (_DAYS[m["weekday"]] - today.weekday()) % 7
    if m["which"] in ("next", "this", "coming"):
        day = today + timedelta(days=ahead or 7)
    else:
        day = today + timedelta(days=ahead - 7)
    return day, day


def _running(m: re.Match[str], today: date) -> tuple[date, date]:
    count = _count(m["count"])
    back = {"day": timedelta(days=count), "week": timedelta(weeks=count), "weekend": timedelta(weeks=count),
            "fortnight": timedelta(weeks=2 * count)}  # fmt: skip
    first = (
        today - back[m["unit"]]
        if m["unit"] in back
        else _shift(today, -count * (12 if m["unit"] == "year" else 1))
    )
    return first, today


_RULES: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str], date], tuple[date, date]]], ...]] = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        (rf"\b{_YEAR}-(?P<mm>[01]\d)-(?P<day>[0-3]\d)\b", _iso),
        (rf"\b{_MONTH}\.? {_DAY},? {_YEAR}\b", _day_of_month),
        (rf"\b{_DAY} (?:of )?{_MONTH}\.?,? {_YEAR}\b", _day_of_month),
        (rf"\b{_MONTH},? (?:of )?{_YEAR}\b", _whole_month),
        (rf"\b{_MONTH} {_DAY}\b(?P<year>)", _day_of_month),
        (rf"\b{_DAY} (?:of )?{_MONTH}\b(?P<year>)", _day_of_month),
        (rf"\b(?:the )?(?:last|past|previous) {_COUNT} {_UNIT}\b", _running),
        (rf"\b{_COUNT} {_UNIT} (?:ago|back|earlier)\b", _ago),
        (rf"\bin {_COUNT} {_UNIT}\b(?! time)", _ahead),
        (rf"\b(?P<which>last|past|previous|this|next) {_UNIT}\b", _relative),
        (
            (
                r"\b(?:(?P<which>last|this|next) |in (?:the )?)(?P<season>spring|summer|autumn|fall|winter)"
                r"(?:,? (?:of )?(?P<year>20\d\d))?\b"
            ),
            _season,
        ),
        (rf"\b(?:(?P<which>last|this|next|coming|past) |on |to |by |until ){_WEEKDAY}\b", _weekday),
        (r"\bday (?P<side>before yesterday|after tomorrow)\b", _before_or_after),
        (
            (
                r"\b(?:today|tonight|yesterday|tomorrow|last night|this (?:morning|evening"
                r"|afternoon))\b"
            ),
            _named_day,
        ),
        (rf"\b(?:in|during|since|early|late|mid|of|for|last|next|this) {_MONTH}\b(?P<year>)", _whole_month),
        (rf"\b(?:in|during|since|of|for|from|year) {_YEAR}\b", _whole_year),
    )
)  # fmt: skip


def _coming_week(day: date, today: date) -> date:
    return day + timedelta(weeks=1) if day < today else day


def _coming_year(day: date, today: date) -> date:
    return _shift(day, 12) if day < today else day


_AHEAD: Final = re.compile(
    r"\b(?:moved to|postponed|rescheduled|will|going to|gonna|getting|planning|plan to|planned"
    r"|appointment|scheduled|booked|have to|need to|i'll|we'll)\b"
)
_FIXED: Final = re.compile(r"\b(?:last|past|since|this|next|\d{4})\b")
_SHORTEST_PAST: Final = 4
_REPEATS: Final[dict[Callable[[re.Match[str], date], tuple[date, date]], Callable[[date, date], date]]] = {
    _weekday: _coming_week,
    _whole_month: _coming_year,
}


def _looks_ahead(text: str) -> bool:
    """Whether a text speaks of something planned: nothing in it is past, or it says so."""
    return bool(_AHEAD.search(text)) or not any(
        word in IRREGULAR_PAST or (word.endswith("ed") and len(word) > _SHORTEST_PAST)
        for word in text.split()
    )


def find(text: str, today: date) -> list[Span]:
    """Every date phrase in a text, in the order of the rules; overlapping phrases count once.

    A day or month without a year ("on Friday", "in June") is the coming one where the text looks ahead.

    Args:
        text: any text; impossible dates ("February 31") are passed over.
        today: the day to which relative phrases refer.
    """
    text = " ".join(text.lower().split())
    ahead = _looks_ahead(text)
    taken: list[tuple[int, int]] = []
    spans: list[Span] = []
    for pattern, rule in _RULES:
        for match in pattern.finditer(text):
            if any(match.start() < end and start < match.end() for start, end in taken):
                continue
            try:
                first, last = rule(match, today)
            except (ValueError, OverflowError):
                continue
            taken.append(match.span())
            if ahead and last < today and (step := _REPEATS.get(rule)) and not _FIXED.search(match.group()):
                first, last = step(first, today), step(last, today)
            spans.append(Span(first, last, match.group()))
    return spans


def event_span(text: str, today: date) -> Span:
    """The days a told fact is about: its first date phrase, otherwise the day it was told."""
    found = find(text, today)
    return found[0] if found else Span(today, today)
