"""What an adapter has to do, whatever its framework is: see `AdapterContract`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import pytest

from recallrai_integrations import Connection, DeliveryOptions, MissingIdentityError, connect
from recallrai_integrations.local import LocalRecallrAI

__all__ = ["AdapterContract", "Answered"]

Said: TypeAlias = list[tuple[str, str]]

_TURN: Final = ["POST add-message", "GET context", "POST add-message"]


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a turn of the adapter under test.

    Args:
        answer: what the user gets to see.
        prompts: all that the model was sent, one text for each request of the turn, system prompt included.

    Example:
        ```python
        from recallrai_integrations.testing import Answered

        answered = Answered("Biscuit.", prompts=["Known: the dog is called Biscuit. My dog's name?"])
        assert "Biscuit" in answered.prompts[0]
        ```
    """

    answer: str
    prompts: Sequence[str]


class AdapterContract(ABC):
    """What an adapter has to do, over the real local service. Subclass it and implement `turn`.

    Each test has a service and a connection of its own, and needs no plugin of pytest. An adapter that comes
    in both colours has a subclass for each.

    Attributes:
        server: the service, with the log of its requests and its faults.
        connection: to that service; the adapter under test must use it.
        elsewhere: another process, which knows only what the service tells.

    Example:
        ```python
        from recallrai_integrations import Connection, Message
        from recallrai_integrations.testing import AdapterContract, Answered

        class TestNoFramework(AdapterContract):
            def turn(
                self, connection: Connection, user_id: str | None, thread_id: str | None, text: str
            ) -> Answered:
                conversation = connection.conversation(user_id, thread_id)  # kept until the run ends
                question = Message("user", text)
                conversation.record(question)
                prompt = f"{conversation.recall().prompt(sent=[question]).text} {text}"
                answer = f"You asked: {text}"  # what a model makes of the prompt
                conversation.record(("assistant", answer))
                conversation.end_run()
                return Answered(answer, [prompt])
        ```
    """

    server: LocalRecallrAI
    connection: Connection
    elsewhere: Connection

    fact = "My dog is called Biscuit."
    question = "What is my dog called?"
    clue = "Biscuit"
    """What must show in a prompt when the fact was recalled."""

    @abstractmethod
    def turn(
        self, connection: Connection, user_id: str | None, thread_id: str | None, text: str
    ) -> Answered | Coroutine[Any, Any, Answered]:
        """One run of the framework with the adapter and a fake model, to its normal end.

        It may be a coroutine function; every turn then has an event loop of its own. The answer is not to
        quote the prompt.

        Args:
            connection: what the adapter is given.
            user_id: where the framework keeps it; None leaves it out.
            thread_id: the same.
            text: what the user says.
        """

    @contextmanager
    def serving(self) -> Generator[None]:
        """The service and the connections of one test; a fixture does this for each."""
        with LocalRecallrAI() as self.server:
            api_key, project_id, base_url = self.server.api_key, self.server.project_id, self.server.base_url
            again = connect(api_key=api_key, project_id=project_id, base_url=base_url)
            # One try for each request: an outage on purpose is not worth waiting for.
            once = DeliveryOptions(retries=0)
            given = connect(api_key=api_key, project_id=project_id, base_url=base_url, delivery=once)
            with again as self.elsewhere, given as self.connection:
                yield

    @pytest.fixture(autouse=True)
    def _served(self) -> Generator[None]:
        with self.serving():
            yield

    def test_the_question_is_stored_before_the_recall_and_the_answer_after_it(self) -> None:
        """The service recalls by what the session holds: a question that comes later recalls nothing."""
        answers = [self._turn("ada", "t", text).answer for text in ("one", "two")]
        assert self._requests("/add-message", "/context") == _TURN * 2
        (session,) = self._sessions("ada")
        assert session == [*_said("one", answers[0]), *_said("two", answers[1])]

    def test_what_an_earlier_thread_told_reaches_every_prompt(self) -> None:
        """Also the later requests of a tool loop."""
        self._teach("ada")
        prompts = self._turn("ada", "t", self.question).prompts
        assert prompts, "the turn tells of no request to the model"
        assert all(self.clue in prompt for prompt in prompts)

    def test_a_warm_turn_makes_two_requests_before_the_model_and_one_after(self) -> None:
        """The question, one recall however often the model is asked, and the answer."""
        self._turn("ada", "t", "one")
        self.server.requests.clear()
        self._turn("ada", "t", "two")
        assert self._requests() == _TURN

    def test_memories_are_not_stored_as_if_somebody_had_said_them(self) -> None:
        """Only the user's own words and the answer are: the rest would be remembered again."""
        self._teach("ada")
        answered = self._turn("ada", "t", self.question)
        again = self._turn("ada", "t", "And my cat?")
        said = [*_said(self.question, answered.answer), *_said("And my cat?", again.answer)]
        assert self._history("ada", "t") == said

    def test_a_run_without_a_thread_is_one_session_that_is_processed_at_its_end(self) -> None:
        """Question and answer are in the same one: the adapter keeps its `Conversation` for the run."""
        for run in ("one", "two"):
            self.server.requests.clear()
            answered = self._turn("ada", None, run)
            sent = self._requests("/add-message", "/process")
            assert sent == ["POST add-message", "POST add-message", "POST process"]
            assert _said(run, answered.answer) in self._sessions("ada")
        assert len(self._sessions("ada")) == 2

    def test_a_thread_stays_open_after_a_run(self) -> None:
        """It goes on with the next one; `finish` and the service's timer end it."""
        for text in ("one", "two"):
            self._turn("ada", "t", text)
        assert self._requests("/process") == []
        assert self.elsewhere.conversation("ada", "t").info().status == "pending"

    @pytest.mark.parametrize("thread_id", ["t", None])
    def test_an_outage_costs_no_answer_and_no_message(self, thread_id: str | None) -> None:
        """Turns go on without memories; what waits arrives afterwards, in order and once."""
        self.server.faults.add(status=503)
        one, two = (_said(text, self._turn("ada", thread_id, text).answer) for text in ("one", "two"))
        self.server.faults.clear()
        self.server.requests.clear()
        assert self.connection.flush() == 0
        assert len(self._requests("/process")) == (0 if thread_id else 2)
        assert sorted(self._sessions("ada")) == ([one + two] if thread_id else [one, two])

    def test_one_users_memory_never_reaches_another(self) -> None:
        """Not by the service, and not by what the adapter keeps of a thread with the same id."""
        self._teach("ada")
        assert self.clue in "".join(self._turn("ada", "t", self.question).prompts)
        other = self._turn("bob", "t", self.question)
        assert self.clue not in "".join(other.prompts)
        assert self._sessions("bob") == [_said(self.question, other.answer)]

    @pytest.mark.parametrize("thread_id", ["t", None])
    def test_a_missing_user_id_is_an_error(self, thread_id: str | None) -> None:
        """Never a default, which all users would share."""
        with pytest.raises(MissingIdentityError):
            self._turn(None, thread_id, "hi")
        assert self._requests() == []

    def test_a_session_that_was_processed_between_turns_is_followed_by_another(self) -> None:
        """By the service's timer or another process: the thread goes on, and knows what was said."""
        first = self._turn("ada", "t", self.fact)
        self.elsewhere.conversation("ada", "t").finish(wait=30)
        second = self._turn("ada", "t", self.question)
        assert self.clue in "".join(second.prompts)
        halves = [_said(self.fact, first.answer), _said(self.question, second.answer)]
        assert self._sessions("ada") == halves
        assert self._history("ada", "t") == halves[0] + halves[1]

    def _turn(self, user_id: str | None, thread_id: str | None, text: str) -> Answered:
        turned = self.turn(self.connection, user_id, thread_id, text)
        return turned if isinstance(turned, Answered) else asyncio.run(turned)

    def _teach(self, user_id: str) -> None:
        with self.elsewhere.conversation(user_id, "earlier") as conversation:
            conversation.record(("user", self.fact))
            conversation.finish(wait=30)
        self.server.requests.clear()

    def _requests(self, *ends: str) -> list[str]:
        """The requests so far, instructions left out, or only those whose paths end so."""
        return [
            f"{one.method} {one.path.rsplit('/', 1)[-1]}"
            for one in self.server.requests
            if not one.path.endswith("system-prompt") and (not ends or one.path.endswith(ends))
        ]

    def _history(self, user_id: str, thread_id: str) -> Said:
        history = self.elsewhere.conversation(user_id, thread_id).history()
        return [(one.role, one.content) for one in history]

    def _sessions(self, user_id: str) -> list[Said]:
        """What each session of a user holds, oldest first."""
        lines = self.elsewhere.export(user_id)
        sessions = [line["messages"] for line in lines if line["type"] == "session"]
        return [[(one["role"], one["content"]) for one in messages] for messages in sessions]


def _said(question: str, answer: str) -> Said:
    return [("user", question), ("assistant", answer)]
