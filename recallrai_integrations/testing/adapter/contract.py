"""What an adapter has to do, whatever its framework is: see `AdapterContract`."""

from __future__ import annotations

import pytest

from recallrai_integrations import MissingIdentityError

from .abilities import AbilityContract
from .hooks import RunFailed
from .served import TURN, said

__all__ = ["AdapterContract"]


class AdapterContract(AbilityContract):
    """Tests what every adapter must do, with the real local service. Subclass it and implement `turn`.

    Then implement a hook for each further ability of the framework: streams, sub-agents, hand-offs, approvals
    … (see `testing.adapter.hooks`). List in `lacks` what the framework cannot do, with the reason.

    Each test has its own service and connection, and needs no pytest plugin. For an adapter with a sync and
    an async form, write a subclass for each.

    Attributes:
        server: the service, with the log of its requests and its faults.
        connection: to that service; the adapter under test must use it.
        elsewhere: a second connection, as of another process.

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

    def test_the_question_is_stored_before_the_recall_and_the_answer_after_it(self) -> None:
        """The service recalls by what the session holds: a question that comes later recalls nothing."""
        answers = [self._turn("ada", "t", text).answer for text in ("one", "two")]
        assert self._requests("/add-message", "/context") == TURN * 2
        (session,) = self._sessions("ada")
        assert session == [*said("one", answers[0]), *said("two", answers[1])]

    def test_what_an_earlier_thread_told_reaches_every_prompt(self) -> None:
        """Also the later requests of a tool loop."""
        self._teach("ada")
        prompts = self._turn("ada", "t", self.question).prompts
        assert prompts, "the turn reports no request to the model"
        assert all(self.clue in prompt for prompt in prompts)

    def test_a_warm_turn_makes_two_requests_before_the_model_and_one_after(self) -> None:
        """The question, one recall however often the model is asked, and the answer."""
        self._turn("ada", "t", "one")
        self.server.requests.clear()
        self._turn("ada", "t", "two")
        assert self._requests() == TURN

    def test_memories_are_not_stored_as_if_somebody_had_said_them(self) -> None:
        """Only the user's own words and the answer are: the rest would be remembered again."""
        self._teach("ada")
        answered = self._turn("ada", "t", self.question)
        again = self._turn("ada", "t", "And my cat?")
        stored = [*said(self.question, answered.answer), *said("And my cat?", again.answer)]
        assert self._history("ada", "t") == stored

    def test_a_run_without_a_thread_is_one_session_that_is_processed_at_its_end(self) -> None:
        """Question and answer are in the same one: the adapter keeps its `Conversation` for the run."""
        for run in ("one", "two"):
            self.server.requests.clear()
            answered = self._turn("ada", None, run)
            sent = self._requests("/add-message", "/process")
            assert sent == ["POST add-message", "POST add-message", "POST process"]
            assert said(run, answered.answer) in self._sessions("ada")
        assert len(self._sessions("ada")) == 2

    def test_a_thread_stays_open_after_a_run(self) -> None:
        """It goes on with the next one; `finish` and the service's timer end it."""
        for text in ("one", "two"):
            self._turn("ada", "t", text)
        assert self._requests("/process") == []
        assert self.elsewhere.conversation("ada", "t").info().status == "pending"

    @pytest.mark.parametrize("thread_id", ["t", None])
    def test_an_outage_costs_no_answer_and_no_message(self, thread_id: str | None) -> None:
        """Turns continue without memories; pending messages arrive afterwards, in order and once."""
        self.server.faults.add(status=503)
        one, two = (said(text, self._turn("ada", thread_id, text).answer) for text in ("one", "two"))
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
        assert self._sessions("bob") == [said(self.question, other.answer)]

    @pytest.mark.parametrize("thread_id", ["t", None])
    def test_a_missing_user_id_is_an_error(self, thread_id: str | None) -> None:
        """Never a default, which all users would share."""
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the framework's own, with ours as its cause
            self._turn(None, thread_id, "hi")
        told = _missing_identity(caught.value)
        assert told, f"no MissingIdentityError, but {caught.value!r}"
        assert self.where in told, f"{told!r} does not say where identity is taken from: {self.where}"
        assert self._requests() == []

    def test_a_session_that_was_processed_between_turns_is_followed_by_another(self) -> None:
        """By the service's timer or another process: the thread goes on, and knows what was said."""
        first = self._turn("ada", "t", self.fact)
        self.elsewhere.conversation("ada", "t").finish(wait=30)
        second = self._turn("ada", "t", self.question)
        assert self.clue in "".join(second.prompts)
        halves = [said(self.fact, first.answer), said(self.question, second.answer)]
        assert self._sessions("ada") == halves
        assert self._history("ada", "t") == halves[0] + halves[1]


def _missing_identity(error: BaseException) -> str:
    """The text of our error, in what a framework made of it; "" when it is another one."""
    if isinstance(error, RunFailed):
        return str(error) if "No user id" in str(error) else ""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MissingIdentityError):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    return ""
