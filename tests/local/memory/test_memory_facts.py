"""What is kept of a conversation: facts in the user's own words, with their days, categories and versions."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("I live in Lisbon", ["I live in Lisbon"]),
        ("i work as a nurse.", ["i work as a nurse."]),
        ("I\u2019m a nurse and I don\u2019t like olives", ["I\u2019m a nurse and I don\u2019t like olives"]),
        ("Hi! I'm Bob.", ["I'm Bob."]),
        ("hi i'm bob", ["hi i'm bob"]),
        ("Hi! Thanks a lot. I have two kids. See you!", ["I have two kids."]),
        # nothing is split inside a sentence, and what belongs together stays together
        ("Tom and I are getting married in June.", ["Tom and I are getting married in June."]),
        ("Anna and I broke up", ["Anna and I broke up"]),
        ("I thought I was lactose intolerant, but I am not.", ["I thought I was lactose intolerant, but I am not."]),
        ("I thought I was lactose intolerant. But I am not.", ["I thought I was lactose intolerant. But I am not."]),
        ("Maria thinks I am vegan, but I am not.", ["Maria thinks I am vegan, but I am not."]),
        ("I went to Kyoto. It was wonderful. I live in Oslo.", ["I went to Kyoto. It was wonderful.", "I live in Oslo."]),
        ('My sister says: "I am vegan. I hate meat." So I cook for her.', ['My sister says: "I am vegan. I hate meat." So I cook for her.']),
        ("Dr. Smith called at 9 a.m. about my knee.", ["Dr. Smith called at 9 a.m. about my knee."]),
        # other languages and scripts
        ("Je suis n\u00e9 \u00e0 Lyon. J'ai un chien.", ["Je suis n\u00e9 \u00e0 Lyon.", "J'ai un chien."]),
        ("Ich wohne in Berlin. Ich habe einen Hund.", ["Ich wohne in Berlin.", "Ich habe einen Hund."]),
        ("\u6211\u4f4f\u5728\u4e0a\u6d77\u3002\u6211\u7684\u72d7\u53eb\u5c0f\u767d\u3002", ["\u6211\u4f4f\u5728\u4e0a\u6d77\u3002", "\u6211\u7684\u72d7\u53eb\u5c0f\u767d\u3002"]),
        ("\u042f \u0436\u0438\u0432\u0443 \u0432 \u041c\u043e\u0441\u043a\u0432\u0435", ["\u042f \u0436\u0438\u0432\u0443 \u0432 \u041c\u043e\u0441\u043a\u0432\u0435"]),
        ("I love \U0001f355", ["I love \U0001f355"]),
        # what is told within a question, a request or an instruction stays in it
        ("I'm allergic to nuts, what can I eat?", ["I'm allergic to nuts, what can I eat?"]),
        ("Please call me Sam.", ["Please call me Sam."]),
        ("Please remember that my locker code is 4521.", ["Please remember that my locker code is 4521."]),
        ("Remind me that I have a dentist appointment on Friday.", ["Remind me that I have a dentist appointment on Friday."]),
        ("Write me a poem about my dog Rex, who is 3.", ["Write me a poem about my dog Rex, who is 3."]),
        ("Which visa do I need as a Brazilian citizen living in Germany?", ["Which visa do I need as a Brazilian citizen living in Germany?"]),
        ("Always answer in bullet points", ["Always answer in bullet points"]),
        ("Can you help me plan dinner? I am vegan.", ["Can you help me plan dinner? I am vegan."]),
        # pasted text belongs to the request that it came with
        ("Translate this mail to German:\n\nDear Anna,\nI live in Rome and I am vegan.",
         ["Translate this mail to German:", 'Asked "Translate this mail to German" about: Dear Anna, I live in Rome and I am vegan.']),
        ("Imagine you are a pirate. I am your parrot. I love gold.", ["Imagine you are a pirate. I am your parrot. I love gold."]),
        # lists, profiles, code
        ("1. I am allergic to nuts\n2. I live in Rome\n3. I have a dog", ["I am allergic to nuts", "I live in Rome", "I have a dog"]),
        ("My plans:\n- learn piano\n- run a marathon", ["My plans:", "My plans: learn piano", "My plans: run a marathon"]),
        ("Name: Sam Lee\nAge: 34\nAllergies: peanuts", ["Name: Sam Lee", "Age: 34", "Allergies: peanuts"]),
        ("Why does my script fail?\n```python\nimport os\nI = 3\n```\nI use Linux.",
         ["Why does my script fail?", 'Asked "Why does my script fail?" about: import os I = 3', 'Asked "Why does my script fail?" about: I use Linux.']),
        ("Traceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 'X'", ["Traceback (most recent call last): File \"a.py\", line 1 KeyError: 'X'"]),
    ],
)  # fmt: skip
def test_a_fact_is_kept_in_the_users_words(user, said, kept):
    user.tell(said)
    assert sorted(item["content"] for item in user.items()) == sorted(kept)


@pytest.mark.parametrize(
    "said",
    [
        "Hi there!", "Thanks a lot, that makes sense.", "ok great", "What is the capital of France?", "Tell me a joke.",
        "Can you write a poem about cats", "how do I sort a list", "Please summarise this.", "lol", "", "   ", "\u00bfQu\u00e9 hora es?",
        "What's my name?", "Do you know where I live?", "\u6211\u4f4f\u5728\u54ea\u91cc\uff1f", "Wo wohne ich?",
    ],
)  # fmt: skip
def test_greetings_thanks_questions_and_requests_are_not_facts(user, said):
    user.tell(said)
    assert user.items() == []


def test_the_assistants_words_are_no_facts_but_give_a_short_answer_its_meaning(user):
    user.tell("A: I love Paris. What is your cat's name?", "Luna", "A: Do you eat meat?", "No, never")
    assert user.known() == {
        'Asked "What is your cat\'s name?", I said: Luna',
        'Asked "Do you eat meat?", I said: No, never',
    }
    assert user.recalled("What is my cat called?") == ['Asked "What is your cat\'s name?", I said: Luna']


def test_lines_of_a_transcript_are_kept_whole_with_their_speaker(user):
    user.tell("Ana: I adopted a puppy! How are you?\nBen: Fine. I sold my boat last week.")
    assert user.known() == {"Ana: I adopted a puppy! How are you?", "Ben: Fine. I sold my boat last week."}
    assert user.recalled("What did Ben sell?")[0] == "Ben: Fine. I sold my boat last week."


def test_nothing_of_a_long_pasted_text_is_lost(user):
    sentences = [f"Room {n} of the museum shows the {word} collection of the {n}th century." for n, word in
                 enumerate(["amber", "bronze", "coral", "denim", "ebony", "flint", "glass", "horn", "ivory", "jade"], 1)]  # fmt: skip
    user.tell(" ".join(sentences) + "\n\n" + " ".join(f"word{n}" for n in range(700)))
    stored = " ".join(item["content"] for item in user.items())
    assert all(sentence.rstrip(".") in stored for sentence in sentences)
    assert all(f"ord{n}" in stored for n in range(700))
    assert max(len(item["content"]) for item in user.items()) <= 1000
    assert any("coral" in found for found in user.recalled("Which room has the coral collection?"))


@pytest.mark.parametrize(
    ("said", "first", "last"),
    [
        ("I went to the dentist yesterday", "2026-03-10", "2026-03-10"),
        ("I ran a race three days ago", "2026-03-08", "2026-03-08"),
        ("I was in Rome last week", "2026-03-02", "2026-03-08"),
        ("I will fly to Oslo next month", "2026-04-01", "2026-04-30"),
        ("I was born on 5 May 1990", "1990-05-05", "1990-05-05"),
        ("I graduated in June 2015", "2015-06-01", "2015-06-30"),
        ("I moved here in 2019", "2019-01-01", "2019-12-31"),
        ("I saw her last Friday", "2026-03-06", "2026-03-06"),
        ("My exam is on 2026-04-02", "2026-04-02", "2026-04-02"),
        ("I broke my leg on December 24", "2025-12-24", "2025-12-24"),
        ("My lease ends on February 31", "2026-03-11", "2026-03-11"),  # no such day: the day it was told
        ("I like tea", "2026-03-11", "2026-03-11"),
    ],
)
def test_an_event_is_dated_from_the_day_it_was_told(user, said, first, last):
    user.tell(said)
    (item,) = user.items()
    assert (item["event_date_start"][:10], item["event_date_end"][:10]) == (first, last)


def test_a_backdated_session_dates_its_memories_and_their_events(user):
    user.tell("I went hiking yesterday", backdated=datetime(2023, 5, 8, 13, 56, tzinfo=timezone.utc))
    (item,) = user.items()
    assert item["created_at"].startswith("2023-05-08T13:56:00")
    assert item["event_date_start"].startswith("2023-05-07")


@pytest.mark.parametrize(
    ("said", "categories"),
    [
        ("My dog is called Biscuit", ["pets"]),
        ("I work as a nurse", ["work"]),
        ("I'm allergic to peanuts", ["food", "health"]),
        ("Zorp glimmers", ["other"]),
    ],
)
def test_a_memory_has_categories(user, said, categories):
    user.tell(said)
    assert user.items()[0]["categories"] == categories


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        ("I live in Berlin", "I moved to Lisbon", "TEMPORAL_CONFLICT"),
        ("My favourite colour is blue", "My favourite colour is now green", "TEMPORAL_CONFLICT"),
        ("My favorite color is blue", "My favourite colour is now green", "TEMPORAL_CONFLICT"),
        ("I like olives", "I no longer like olives", "TEMPORAL_CONFLICT"),
        ("I work at Acme", "I started working at Globex", "TEMPORAL_CONFLICT"),
        ("I'm single", "I got married", "TEMPORAL_CONFLICT"),
        ("I'm 30 years old", "I'm 31", "TEMPORAL_CONFLICT"),
        ("I live in Berlin", "Actually I live in Lisbon", "TEMPORAL_CONFLICT"),
        ("My phone number is 123", "My phone number changed to 456", "TEMPORAL_CONFLICT"),
        ("I have a cat", "I don't have a cat anymore", "TEMPORAL_CONFLICT"),
        ("Ana: I live in Rome", "Ana: I moved to Oslo", "TEMPORAL_CONFLICT"),
        ("My sister lives in Rome", "My sister moved to Oslo", "TEMPORAL_CONFLICT"),
        ("I have a dog", "I have a dog called Biscuit", "ADDITION_TO_EXISTING_MEMORY"),
        ("I live in Lisbon", "I live in Lisbon, Portugal", "ADDITION_TO_EXISTING_MEMORY"),
        ("I work as a nurse", "I work as a nurse at the hospital", "ADDITION_TO_EXISTING_MEMORY"),
    ],
)
@pytest.mark.parametrize("conflicts", [False, True])
def test_a_change_or_more_detail_is_a_new_version_and_never_a_conflict(user, before, now, reason, conflicts):
    user.tell(before, conflicts=conflicts)
    (old,) = user.known()
    user.tell(now, conflicts=conflicts)
    (new,) = user.items()
    assert user.history(new["content"]) == [(old, reason)]
    assert (new["version_number"], new["total_versions"], new["has_previous_versions"]) == (2, 2, True)
    assert user.conflicts() == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("My sister lives in Rome", "I live in Lisbon"),
        ("I like tea", "I like coffee"),
        ("I used to live in Rome", "I live in Lisbon"),
        ("My wife is Maria", "My wife is a doctor"),
        ("My favourite food is sushi", "My favourite restaurant is Noma"),
        ("I speak French", "I speak German"),
        ("I'm moving to Berlin next month", "I live in Lisbon"),
        ("I went running yesterday", "I went swimming yesterday"),
        ("Ana: I live in Rome", "Ben: I live in Oslo"),
    ],
)
def test_facts_that_can_both_hold_stay_apart(user, one, other):
    user.tell(one, conflicts=True)
    user.tell(other, conflicts=True)
    assert [item["total_versions"] for item in user.items()] == [1, 1]
    assert user.conflicts() == []


def test_a_fact_told_twice_is_one_memory_and_survives_the_first_session(user):
    first = user.tell("I live in Lisbon")
    second = user.tell("I live in Lisbon")
    assert [item["session_id"] for item in user.items()] == [first]
    from recallrai_integrations.local import memory

    memory.delete_session(user.db, user.pk, first)
    assert [(item["content"], item["session_id"]) for item in user.items()] == [("I live in Lisbon", second)]


def test_an_event_told_on_two_days_is_two_memories(user):
    user.tell("I went running", at=datetime(2026, 3, 1, tzinfo=timezone.utc))
    user.tell("I went running", at=datetime(2026, 3, 4, tzinfo=timezone.utc))
    assert len(user.items()) == 2


def test_related_memories_are_connected_both_ways(user):
    user.tell("My dog Biscuit loves the beach")
    user.tell("Biscuit the dog had surgery")
    first, second = user.items()
    assert [c["memory_id"] for c in first["connected_memories"]] == [second["memory_id"]]
    assert [c["content"] for c in second["connected_memories"]] == [first["content"]]
