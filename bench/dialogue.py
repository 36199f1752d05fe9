"""What is said and what is remembered: a chat of 20 turns, and for each turn a context text of the service.

Written for this benchmark in the structure, the sizes and the proportions of real contexts: some 10,000
characters, a quarter of them histories of memories with one version only. Every turn recalls other
memories, and some of them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

TURNS = 20
APP_PROMPT = "You are the assistant of a small travel agency. Answer in a friendly way, and keep it short."
NARRATION = "One moment, I look that up for the two of you."

_FACTS = (  # newest version first
    ("User is allergic to hazelnuts and carries an adrenaline pen",),
    ("User lives in Porto, in a flat with a view of the river", "User lives in Braga near the station"),
    ("User works night shifts as a nurse in the children's hospital",),
    ("User is planning a rail journey through Japan in late October with a partner",),
    ("User prefers window seats and does not like to fly",),
    ("User has a partner called Ines who is a vegetarian", "User is single"),
    ("User's budget for the autumn journey is 4,200 euros for two", "User's budget is 3,000 euros for two"),
    ("User learned basic Japanese for two years and reads hiragana",),
    ("User sleeps badly in rooms that face a street",),
    ("User's passport expires in February and has to be renewed before the visa",),
    ("User collects old railway timetables and has more than three hundred of them",),
    ("User had knee surgery in spring and avoids long stairs", "User climbs mountains at weekends"),
    ("User wants to see the maple trees of Kyoto in the early morning",),
    ("User books only rooms with free cancellation until the day before",),
    ("User drinks green tea and never coffee", "User drinks four coffees a day", "User drinks only water"),
    ("User's mother Lucia looks after the cat Trovoada during journeys",),
    ("User visited Hokkaido alone in 2019 and liked Otaru best",),
    ("User pays with a card that has no foreign transaction fee",),
    ("User wants to meet a pen friend called Kenji in Kanazawa",),
    ("User takes photographs on film with a camera from 1974", "User takes photographs with a phone"),
    ("User cannot swim and is afraid of small boats",),
    ("User likes small family-run inns more than hotels", "User likes large hotels with a pool"),
    ("User needs a gluten-free breakfast because of coeliac disease",),
    ("User reads crime novels on trains, at the moment one by Seicho Matsumoto",),
    ("User has a loyalty card of an airline with 48,000 miles on it",),
    ("User's birthday is on the 29th of October, in the middle of the journey",),
    ("User wants no plan at all for the last two days in Tokyo", "User wants every day to be planned"),
    ("User carries a rucksack of 40 litres and no suitcase",),
    ("User's phone supports eSIM and needs ten gigabytes for two weeks",),
    ("User was robbed in a night bus once and keeps documents in a belt",),
)
_PAST = (
    (
        (
            "User asked for a rail pass that covers the west of Japan and compared it with single "
            "tickets. The assistant worked out that the pass pays off from the third long ride on. "
            "User decided to buy it once the dates are fixed, and wanted to be reminded that "
            "reservations open one month ahead."
        ),
        (3, 17, 24),
    ),
    (
        (
            "User told about the surgery on the left knee and asked for walks without many steps. The "
            "assistant suggested the philosophers' path and the garden of Kenrokuen with its level "
            "ways. User liked both, and asked to leave out the shrine on the mountain unless there is "
            "a cable car."
        ),
        (11, 12, 18),
    ),
    (
        (
            "User and the assistant talked about food on the road: hazelnuts in pastries, gluten in "
            "soy sauce, and inns that cook without fish stock. User wants a small card in Japanese "
            "that explains both conditions, and a list of three places in each town where that is no "
            "trouble."
        ),
        (0, 5, 22),
    ),
    (
        (
            "User moved to another town and updated the address for the insurance. The assistant "
            "explained that the travel insurance covers the camera only with its serial number. User "
            "promised to look it up on the weekend and to send the number together with the new "
            "policy."
        ),
        (1, 19, 29),
    ),
    (
        (
            "User asked how to keep in touch while travelling. The assistant compared an eSIM with a "
            "pocket router; the user chose the eSIM and wanted to try it at home first. The cat stays "
            "with the user's mother, who wants one photograph a day as a sign of life."
        ),
        (15, 28, 7),
    ),
)
_ELSEWHERE = (
    ("USER", "Can you remind me next week to renew the passport before I send off anything else?"),
    ("ASSISTANT", "I will. The office in your town opens at nine, and you need a new photograph for it."),
)
_TOPICS = (
    ("the first three days in Tokyo", "Yanaka"),
    ("the train from Tokyo to Kanazawa", "the Hokuriku line"),
    ("a quiet inn in Kanazawa", "the old tea district"),
    ("breakfast without gluten", "rice, pickles and grilled vegetables"),
    ("meeting my pen friend", "the garden of Kenrokuen"),
    ("the way from Kanazawa to Kyoto", "a change at Tsuruga"),
    ("maple trees without crowds", "Eikan-do just after six"),
    ("an inn in Kyoto with a garden", "the streets behind Nanzen-ji"),
    ("film for my camera", "a shop in Teramachi"),
    ("a birthday dinner for two", "a temple kitchen with eight seats"),
    ("getting about without long stairs", "the lifts at the Keihan stations"),
    ("a day out by train", "the Sagano line along the gorge"),
    ("luggage between the inns", "the delivery service at the counter"),
    ("a rainy day in Kyoto", "the railway museum near Umekoji"),
    ("money and cards", "the machines in post offices"),
    ("the night train to Izumo", "a single compartment on the upper floor"),
    ("a walk in Matsue", "the moat and the samurai street"),
    ("the way back to Tokyo", "an early train with a window on the right"),
    ("the last two days", "nothing but the river and a bath house"),
    ("the airport and the way home", "the express from Ueno"),
)
_INSTRUCTION = (
    "When the context names a {0}, take it as the newest state that is known of it, compare its dates with "
    "the question before you use it, and never mention to the user that a {0} was looked up for the answer."
)
_INSTRUCTION_TOPICS = (
    "memory",
    "version of a memory",
    "summary of a conversation",
    "similarity",
    "connected memory",
    "merge conflict",
    "recent message",
    "preference",
)
INSTRUCTIONS_CHARACTERS = 11_700

_BEGIN = datetime(2026, 3, 2, 19, 30, tzinfo=timezone.utc)
_MEMORIES_PER_TURN = 14
_SUMMARIES_PER_TURN = 3


@dataclass(frozen=True)
class Line:
    """One message of the current conversation, with its place in it."""

    role: str
    text: str
    place: int


def instructions() -> str:
    """An instruction prompt as long as the service's."""
    head = "# Instructions for using the Recallr AI's memory context\n"
    parts, n = [head], 0
    while sum(map(len, parts)) < INSTRUCTIONS_CHARACTERS:
        topic = _INSTRUCTION_TOPICS[n % len(_INSTRUCTION_TOPICS)]
        n += 1
        parts.append(f"\n## Rule {n}\n{_INSTRUCTION.format(topic)}\n")
    return "".join(parts)[:INSTRUCTIONS_CHARACTERS]


def question(turn: int) -> str:
    """What the user asks in a turn, counted from 0; about 200 characters, as real users do."""
    topic, _ = _TOPICS[turn % len(_TOPICS)]
    return (
        f"Let us talk about {topic} now (point {turn + 1} on my list). What would you suggest, given all "
        "that you know about the two of us, and is there anything that I should arrange before we leave?"
    )


def answer(turn: int) -> str:
    """What the model answers in a turn; about 600 characters."""
    topic, tip = _TOPICS[turn % len(_TOPICS)]
    return (
        f"For point {turn + 1}, {topic}, I would begin with {tip}. It suits the pace that you two like, it "
        "needs no climbing, and it leaves room for a second cup of tea. Reserve it about four weeks ahead; "
        "after that, only the early hours are left. Take the printed confirmation with you, since the staff "
        f"there prefer paper, and keep half an hour in hand. If the weather turns, {topic} can move by a day "
        "without any cost, because your rooms can be cancelled until the evening before. Shall I put it on "
        f"the plan as number {turn + 1}, or would you like to see two alternatives that cost less first?"
    )


def context(turn: int, current: Sequence[Line]) -> str:
    """The service's text for a turn: memories, summaries, ongoing conversations."""
    memories = "\n\n".join(_memory(place, fact) for place, fact in enumerate(_recalled(turn), 1))
    summaries = "\n\n\n\n".join(
        _summary(place, session) for place, session in enumerate(_summarised(turn), 1)
    )
    said = "\n".join(f"{one.role.upper()} (at {_stamp(one.place)}): {one.text}" for one in current)
    elsewhere = "\n".join(
        f"{role} (at {_stamp(-900 + n)}): {text}" for n, (role, text) in enumerate(_ELSEWHERE)
    )
    return (
        "# Here are the relevant memories that will help you to answer the user's query:\n\n"
        f"{memories}\n\n"
        "# Here are some summaries of the previous relevant conversations with their respective memories:\n\n"
        f"{summaries}\n\n\n\n"
        "# Here are some ongoing conversations with the user:\n\n"
        f"## Ongoing Conversation 1 (Started: {_stamp(0)})\n{said}\n\n"
        f"## Ongoing Conversation 2 (Started: {_stamp(-900)})\n{elsewhere}\n\n\n"
        "# Here are some recent conversations you had with the user:\n"
        "No recent user messages requested.\n\n\n"
        "# Here are the summaries of some recent conversations you had with the user:\n"
        "No recent session summaries requested.\n"
    )


def remembered(turn: int) -> list[str]:
    """Everything that `context` tells of a turn and no later step may lose: the texts, and the dates."""
    facts: list[str] = []
    for fact in _recalled(turn):
        newest, *older = _FACTS[fact]
        facts += [f". {newest} (", f"{_day(fact, 0):%Y/%m/%d}"]  # of a single version only the day is kept
        for age, text in enumerate((newest, *older) if older else ()):
            facts += [f"Content: {text}\n", _event(fact, age), _created(fact, age)]
    for session in _summarised(turn):
        text, members = _PAST[session]
        facts += [text, *(_FACTS[fact][-1] for fact in members)]
    return [*facts, *(text for _, text in _ELSEWHERE)]


def memories(turn: int) -> list[str]:
    """The recalled memories of a turn as plain sentences, for services that send no more than that."""
    return [_FACTS[fact][0] for fact in _recalled(turn)]


def _recalled(turn: int) -> list[int]:
    """Half of a turn's memories were recalled in the turn before."""
    first = turn * (_MEMORIES_PER_TURN // 2)
    return [(first + n) % len(_FACTS) for n in range(_MEMORIES_PER_TURN)]


def _summarised(turn: int) -> list[int]:
    return [(turn + n) % len(_PAST) for n in range(_SUMMARIES_PER_TURN)]


def _memory(place: int, fact: int) -> str:
    versions = _FACTS[fact]
    similarity = 1.0 if place <= _MEMORIES_PER_TURN // 3 else 1 - place / 40
    marks = f"(Similarity: {similarity:.4f}) [Event Date: {_event(fact, 0)}] [Version {len(versions)}]"
    lines = [f"{place}. {versions[0]} {marks}", "<version_history>"]
    for age, text in enumerate(versions):
        number = len(versions) - age
        reason = "CURRENT_VERSION" if age == 0 else "TEMPORAL_CONFLICT"
        lines += [
            f"<version_{number}>",
            f"Content: {text}",
            f"Reason: {'INITIAL_MEMORY' if len(versions) == 1 else reason}",
            f"Event Date: {_event(fact, age)}",
            f"Created at: {_created(fact, age)}",
            f"Expired at: {'none' if age == 0 else _created(fact, age - 1)}",
            f"</version_{number}>",
        ]
    return "\n".join([*lines, "</version_history>", ""])


def _summary(place: int, session: int) -> str:
    text, members = _PAST[session]
    lines = [
        f"## Summary {place} (Created at: {_created(session, 3)})",
        text,
        "",
        "### Memories from this session:",
    ]
    for n, fact in enumerate(members, 1):
        oldest = len(_FACTS[fact]) - 1
        expired = "none" if oldest == 0 else _created(fact, oldest - 1)
        lines.append(
            f"{n}. {_FACTS[fact][-1]} (Event Date: {_event(fact, oldest)}, "
            f"Created at: {_created(fact, oldest)}, Expired at: {expired})"
        )
    return "\n".join(lines)


def _day(fact: int, age: int) -> datetime:
    return _BEGIN - timedelta(days=5 + 3 * fact + 120 * age, minutes=17 * fact)


def _event(fact: int, age: int) -> str:
    day = f"{_day(fact, age):%Y/%m/%d}"
    return f"{day} 12:00 AM to {day} 11:59 PM"


def _created(fact: int, age: int) -> str:
    return f"{_day(fact, age):%Y/%m/%d %I:%M %p}"


def _stamp(minutes: int) -> str:
    return f"{_BEGIN + timedelta(minutes=minutes):%Y/%m/%d %I:%M %p}"
