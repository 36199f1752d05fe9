"""What an adapter has to do where its framework can do more than answer: see `AbilityContract`."""

from __future__ import annotations

import pytest

from .hooks import ABILITIES, done
from .served import TURN, Served, said

__all__ = ["AbilityContract"]


class AbilityContract(Served):
    """One test for each ability; it is skipped, with the reason in `lacks`, where the framework has none."""

    def test_each_ability_is_tried_or_known_to_be_missing(self) -> None:
        """Add the hook, or `lacks = {"stream": "why"}`; `kept` is missing where `Answered.kept` is None."""
        missing = {one for one in ABILITIES if one != "kept" and not self._implements(one)}
        undeclared = sorted(missing - set(self.lacks))
        assert not undeclared, f"neither implemented nor in `lacks`: {', '.join(undeclared)}"
        outdated = sorted(set(self.lacks) - missing - {"kept"})
        assert not outdated, f"in `lacks`, but implemented or unknown: {', '.join(outdated)}"

    def test_nothing_of_the_memories_is_kept_by_the_framework(self) -> None:
        """They belong to one request: whatever is saved outlives a memory that the user has deleted."""
        self._needs("kept")
        self._teach("ada")
        answered = [self._turn("ada", "t", text) for text in (self.question, "And my cat?")]
        assert self.clue in answered[0].prompts[0]
        for one in answered:
            assert one.kept is not None, (
                "Answered.kept is None: fill it, or say in `lacks` why there is nothing"
            )
            assert self.clue not in "".join(one.kept)

    def test_a_stream_that_is_read_to_its_end_is_stored_like_any_run(self) -> None:
        """With the whole answer, once."""
        self._needs("stream")
        self._teach("ada")
        answered = done(self.stream(self.connection, "ada", "t", self.question))
        assert self._history("ada", "t") == said(self.question, answered.answer)
        assert all(self.clue in prompt for prompt in answered.prompts)
        assert self._requests("/add-message", "/context") == TURN

    def test_a_stream_that_is_left_stores_the_whole_answer_or_none(self) -> None:
        """Half an answer was never said; the thread goes on."""
        self._needs("leave")
        left = done(self.leave(self.connection, "ada", "t", "one"))
        kept = self._history("ada", "t")
        assert kept in ([("user", "one")], said("one", left.answer))
        two = self._turn("ada", "t", "two")
        assert self._history("ada", "t") == [*kept, *said("two", two.answer)]

    def test_a_cancelled_run_keeps_the_question_and_stores_no_answer(self) -> None:
        """And the thread goes on."""
        self._needs("cancel")
        done(self.cancel(self.connection, "ada", "t", "one"))
        two = self._turn("ada", "t", "two")
        assert self._history("ada", "t") == [("user", "one"), *said("two", two.answer)]

    @pytest.mark.parametrize("thread_id", ["t", None])
    def test_a_run_whose_model_fails_stores_no_answer_and_is_not_ended(self, thread_id: str | None) -> None:
        """The user may ask again."""
        self._needs("fail")
        done(self.fail(self.connection, "ada", thread_id, "one"))
        assert self._sessions("ada") == [[("user", "one")]]
        assert self._requests("/process") == []

    def test_a_run_that_is_tried_again_stores_its_question_and_answer_once(self) -> None:
        """The user asked once."""
        self._needs("retry")
        answered = done(self.retry(self.connection, "ada", "t", "one"))
        assert self._history("ada", "t") == said("one", answered.answer)

    def test_what_a_model_says_while_it_calls_tools_is_no_answer(self) -> None:
        """Only the final text is."""
        self._needs("narrate")
        answered = done(self.narrate(self.connection, "ada", "t", "one"))
        assert self.narration not in answered.answer
        assert self._history("ada", "t") == said("one", answered.answer)

    def test_an_agent_that_a_tool_calls_stores_nothing_and_has_the_memories_of_the_run(self) -> None:
        """A model wrote its question; and nothing is recalled twice."""
        self._needs("delegate")
        self._teach("ada")
        answered = done(self.delegate(self.connection, "ada", "t", self.question))
        assert any(self.delegated in prompt for prompt in answered.prompts), "the sub-agent was not asked"
        assert all(self.clue in prompt for prompt in answered.prompts)
        assert self._sessions("ada")[1:] == [said(self.question, answered.answer)]
        assert self._requests("/add-message", "/context") == TURN

    def test_a_hand_off_is_one_turn(self) -> None:
        """Whoever answers in the end: the question once, the memories in all prompts, one answer."""
        self._needs("hand_off")
        self._teach("ada")
        answered = done(self.hand_off(self.connection, "ada", "t", self.question))
        assert self._history("ada", "t") == said(self.question, answered.answer)
        assert all(self.clue in prompt for prompt in answered.prompts)

    @pytest.mark.parametrize("place", ["here", "elsewhere"])
    def test_a_run_that_waited_for_approval_is_one_turn(self, place: str) -> None:
        """Also when it goes on in another process: nothing twice, and the memories are there again."""
        self._needs("pause")
        self._teach("ada")
        saved = done(self.pause(self.connection, "ada", "t", self.question))
        assert self._history("ada", "t") == [("user", self.question)]
        assert self.clue not in saved
        connection = self.connection if place == "here" else self.elsewhere
        answered = done(self.resume(connection, "ada", "t", saved))
        assert self._history("ada", "t") == said(self.question, answered.answer)
        assert answered.prompts, "the rest of the run asked the model nothing"
        assert all(self.clue in prompt for prompt in answered.prompts)

    def test_runs_at_the_same_time_on_one_adapter_do_not_mix(self) -> None:
        """Neither users nor threads."""
        self._needs("at_once")
        self._teach("ada")
        asked = [("ada", "t", self.question), ("bob", "t", self.question), ("ada", "t2", self.question)]
        answers = done(self.at_once(self.connection, asked))
        for (user_id, thread_id, text), answered in zip(asked, answers, strict=True):
            assert self._history(user_id, thread_id) == said(text, answered.answer)
            assert (self.clue in "".join(answered.prompts)) == (user_id == "ada")
