"""The contract of an adapter holds for the adapters shown in the documentation, and tells when one is wrong."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from recallrai_integrations import Connection, NotFoundError
from recallrai_integrations.adapter import Binding, Turn, TurnCache
from recallrai_integrations.testing import AdapterContract, Answered
from recallrai_integrations.testing.adapter import ABILITIES

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


class Bot:
    """A framework: it drafts, then answers, and asks its memory before each request and after the answer."""

    ids = itertools.count()

    def __init__(self, model, memory):
        self.model, self.memory = model, memory

    async def ask(self, text, **settings):
        run = {"id": next(self.ids), "text": text, **settings}
        for _ in ("draft", "answer"):
            answer = self.model(f"{await self.memory.before_model(run)}\n{text}")
        await self.memory.after_run(run, answer)
        return answer


class BotMemory:
    """Long-term memory for a bot.

    Args:
        connection: None connects with the environment's credentials at the first use.
        user_id: wins over what a run says.
    """

    def __init__(self, connection: Connection | None = None, *, user_id: str | None = None) -> None:
        self._binding = Binding.of(connection, user_id, where="bot.ask(text, user_id=…)")
        self._turns = TurnCache[Turn]()

    async def before_model(self, run):
        turn = self._turns.get(run["id"])
        if turn is None:  # the first request of the run: the others get the same memories
            turn = self._turns.put(run["id"], await Turn.abegin(self._binding, run["text"], run))
        return turn.prompt().text

    async def after_run(self, run, answer):
        await self._turns.pop(run["id"]).aend(answer)


class TestBotMemory(AdapterContract):
    lacks = (
        dict.fromkeys(["stream", "leave"], "a bot answers at once")
        | dict.fromkeys(["narrate", "delegate", "hand_off", "pause"], "a bot has no tools")
        | {"retry": "a bot does not try again", "kept": "a bot keeps nothing"}
    )

    async def turn(self, connection, user_id, thread_id, text):
        prompts = []

        def model(prompt):
            prompts.append(prompt)
            return f"answer {len(prompts)}"

        bot = Bot(model, BotMemory(connection))
        return Answered(await bot.ask(text, user_id=user_id, thread_id=thread_id), prompts)

    async def fail(self, connection, user_id, thread_id, text):
        def model(prompt):
            raise ConnectionError

        with suppress(ConnectionError):
            await Bot(model, BotMemory(connection)).ask(text, user_id=user_id, thread_id=thread_id)

    async def cancel(self, connection, user_id, thread_id, text):
        def model(prompt):
            raise asyncio.CancelledError

        with suppress(asyncio.CancelledError):
            await Bot(model, BotMemory(connection)).ask(text, user_id=user_id, thread_id=thread_id)

    async def at_once(self, connection, asked):
        memory = BotMemory(connection)  # one for all

        async def one(user_id, thread_id, text):
            prompts = []
            bot = Bot(lambda prompt: prompts.append(prompt) or f"answer to {user_id}", memory)
            return Answered(await bot.ask(text, user_id=user_id, thread_id=thread_id), prompts)

        return await asyncio.gather(*(one(*which) for which in asked))


class TestNoFramework(AdapterContract):
    """The calls that every adapter comes down to, in the other colour."""

    lacks = dict.fromkeys(ABILITIES, "there is no framework")

    def turn(self, connection, user_id, thread_id, text):
        conversation = connection.conversation(user_id, thread_id)
        conversation.record(("user", text))
        prompt = f"{conversation.recall().text}\n{text}"
        conversation.record(("assistant", "an answer"))
        conversation.end_run()
        return Answered("an answer", [prompt])


class StoresAfterTheRecall(AdapterContract):
    def turn(self, connection, user_id, thread_id, text):
        conversation = connection.conversation(user_id, thread_id)
        recalled = conversation.recall().text
        conversation.record([("user", text), ("assistant", "an answer")])
        conversation.end_run()
        return Answered("an answer", [f"{recalled}\n{text}"])


class ForgetsItsConversation(AdapterContract):
    """It asks for a new one with each call, which without a thread id is another conversation."""

    def turn(self, connection, user_id, thread_id, text):
        connection.conversation(user_id, thread_id).record(("user", text))
        recalled = connection.conversation(user_id, thread_id).recall().text
        connection.conversation(user_id, thread_id).record(("assistant", "an answer"))
        connection.conversation(user_id, thread_id).end_run()
        return Answered("an answer", [f"{recalled}\n{text}"])


class StoresThePrompt(AdapterContract):
    def turn(self, connection, user_id, thread_id, text):
        conversation = connection.conversation(user_id, thread_id)
        conversation.record(("user", text))
        prompt = f"{conversation.recall().text}\n{text}"
        conversation.record(("assistant", f"{prompt}\nan answer"))
        conversation.end_run()
        return Answered("an answer", [prompt])


class SharesADefaultUser(TestNoFramework):
    def turn(self, connection, user_id, thread_id, text):
        return super().turn(connection, user_id or "default", thread_id, text)


class KeepsWhatItRecalled(AdapterContract):
    """By the thread alone, though the threads of two users may have the same id."""

    def __init__(self):
        self.kept = {}

    def turn(self, connection, user_id, thread_id, text):
        conversation = connection.conversation(user_id, thread_id)
        conversation.record(("user", text))
        recalled = self.kept.setdefault(thread_id, conversation.recall().text)
        conversation.record(("assistant", "an answer"))
        conversation.end_run()
        return Answered("an answer", [f"{recalled}\n{text}"])


class AsksAgainForEachRequest(AdapterContract):
    """Memories are recalled for a request to the model, not for the turn."""

    def turn(self, connection, user_id, thread_id, text):
        conversation = connection.conversation(user_id, thread_id)
        conversation.record(("user", text))
        prompts = [f"{conversation.recall().text}\n{text}" for _ in ("draft", "answer")]
        conversation.record(("assistant", "an answer"))
        conversation.end_run()
        return Answered("an answer", prompts)


class SendsMemoriesOnlyAtFirst(TestNoFramework):
    """The request after a tool call begins with the conversation as the framework keeps it."""

    def turn(self, connection, user_id, thread_id, text):
        answered = super().turn(connection, user_id, thread_id, text)
        return Answered(answered.answer, [*answered.prompts, text])


class FinishesEachRun(TestNoFramework):
    def turn(self, connection, user_id, thread_id, text):
        answered = super().turn(connection, user_id, thread_id, text)
        if thread_id:
            connection.conversation(user_id, thread_id).finish()
        return answered


class GivesUpInAnOutage(AdapterContract):
    """It has no answer to store when there is nothing to recall."""

    def turn(self, connection, user_id, thread_id, text):
        conversation = connection.conversation(user_id, thread_id)
        conversation.record(("user", text))
        recall = conversation.recall()
        if recall.degraded:
            return Answered("Try again later.", [])
        conversation.record(("assistant", "an answer"))
        conversation.end_run()
        return Answered("an answer", [f"{recall.text}\n{text}"])


class StoresAgainAfterAnOutage(AdapterContract):
    """It takes what waits for what was lost."""

    def turn(self, connection, user_id, thread_id, text):
        conversation = connection.conversation(user_id, thread_id)
        conversation.record(("user", text))
        recall = conversation.recall()
        if recall.degraded:
            conversation.record(("user", text))
        conversation.record(("assistant", "an answer"))
        conversation.end_run()
        return Answered("an answer", [f"{recall.text}\n{text}"])


class TakesTheSessionForTheThread(TestNoFramework):
    """What it cannot put into the session any more, it puts into a thread that nobody asks for."""

    def turn(self, connection, user_id, thread_id, text):
        with suppress(NotFoundError):
            if connection.conversation(user_id, thread_id).info().status != "pending":
                thread_id = f"{thread_id}, continued"
        return super().turn(connection, user_id, thread_id, text)


FAULTS: dict[type[AdapterContract], Callable[..., None]] = {
    StoresAfterTheRecall: AdapterContract.test_the_question_is_stored_before_the_recall_and_the_answer_after_it,
    ForgetsItsConversation: (
        AdapterContract.test_a_run_without_a_thread_is_one_session_that_is_processed_at_its_end
    ),
    StoresThePrompt: AdapterContract.test_memories_are_not_stored_as_if_somebody_had_said_them,
    SharesADefaultUser: AdapterContract.test_a_missing_user_id_is_an_error,
    KeepsWhatItRecalled: AdapterContract.test_one_users_memory_never_reaches_another,
    AsksAgainForEachRequest: (
        AdapterContract.test_a_warm_turn_makes_two_requests_before_the_model_and_one_after
    ),
    SendsMemoriesOnlyAtFirst: AdapterContract.test_what_an_earlier_thread_told_reaches_every_prompt,
    FinishesEachRun: AdapterContract.test_a_thread_stays_open_after_a_run,
    GivesUpInAnOutage: AdapterContract.test_an_outage_costs_no_answer_and_no_message,
    StoresAgainAfterAnOutage: AdapterContract.test_an_outage_costs_no_answer_and_no_message,
    TakesTheSessionForTheThread: (
        AdapterContract.test_a_session_that_was_processed_between_turns_is_followed_by_another
    ),
}
"""Adapters as one writes them at first, and the test that has to fail for each."""


def test_each_test_of_the_contract_has_an_adapter_that_fails_it():
    tests = {test for name, test in vars(AdapterContract).items() if name.startswith("test_")}
    assert tests == set(FAULTS.values())


@pytest.mark.parametrize(("wrong", "test"), FAULTS.items(), ids=lambda one: one.__name__)
def test_a_wrong_adapter_is_caught(wrong, test):
    suite = wrong()
    thread = {"thread_id": "t"} if "thread_id" in inspect.signature(test).parameters else {}
    with suite.serving(), pytest.raises((AssertionError, pytest.fail.Exception)) as caught:
        test(suite, **thread)
    assert str(caught.value), "pytest shows what was compared"


@pytest.mark.parametrize("part", [Bot, BotMemory, TestBotMemory], ids=lambda part: part.__name__)
def test_the_architecture_page_shows_the_adapter_that_is_tested_here(part):
    assert inspect.getsource(part) in PAGE.read_text(encoding="utf-8")
