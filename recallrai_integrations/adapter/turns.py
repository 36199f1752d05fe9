"""`Turn`, which an adapter makes for each run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from recallrai_integrations.context import Prompt
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.messages import Message
from recallrai_integrations.recall import Recall

from .alignment import not_landed
from .binding import Binding, Identity
from .mapping import answer_of, question_of
from .nesting import outer_turn
from .repeats import ending_run, recording
from .steps import Steps, Twin, arun, run

__all__ = ["Turn"]

_NOTHING = Prompt("", "")


@dataclass(eq=False, slots=True)
class Turn:
    """One turn of one user: stores the question, recalls once, and stores the answer.

    `begin` or `abegin` makes it before the first request to the model. Keep it for the run: in a variable if
    one function spans the run, in an object that the framework creates for each run, or in a `TurnCache`
    under the framework's run id. Never keep it in a field of the adapter, which serves many users at once.

    After a run that failed, was abandoned or waits for approval, call nothing: its question is stored, and
    there is no answer. Call `begin` with `resumed=True` when such a run continues.

    Inside a tool of another run (see `calling_tool`) a turn stores nothing, because a model wrote its
    question. It has the memories of the outer run, if that has the same user.

    Attributes:
        identity: the user and the thread.
        conversation: where messages are stored. Without a thread, only this object leads to the conversation.
        questions: the user's messages, as they are stored; empty in a turn without a new question, such as a
            later step of a workflow.
        recall: the memories; None if there was no message to recall by.
        stores: False inside a tool of another run.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.adapter import Binding, Turn

        with connect(local=":memory:") as connection:
            binding = Binding.of(connection)
            turn = Turn.begin(binding, "What shall I cook?", {"user_id": "ada", "thread_id": "t"})
            for _ in range(2):  # requests to the model
                system_prompt = f"You are a cook. {turn.prompt().system}"
            turn.end("Try the tofu curry.")
        ```
    """

    identity: Identity
    conversation: Conversation
    questions: tuple[Message, ...]
    recall: Recall | None
    stores: bool = True
    _ended: bool = False

    @classmethod
    def begin(
        cls,
        binding: Binding,
        questions: str | Message | Sequence[Message],
        *places: Any,
        resumed: bool = False,
        on_progress: Callable[[str], object] | None = None,
    ) -> Turn:
        """Stores the user's new messages and recalls the memories that help with them.

        Args:
            binding: connection, identity and options of the adapter.
            questions: the user's new messages; "" or an empty list if there are none. Text is stored
                unchanged. Messages keep their ids, so one that this process has stored before is skipped.
            places: where the framework keeps identity, for `Binding.identity`.
            resumed: the run may have begun before, here or in another process, as after an approval, a
                crash or a retry. Stored messages are then read first (one request), and questions among them
                are not stored again.
            on_progress: called with the status texts of a slow recall; see `Conversation.recall`.

        Raises:
            MissingIdentityError: there is no user id.
            RecallrAIIntegrationError: as `Conversation.record` and `Conversation.recall` do.
        """
        return run(cls.beginning(binding, questions, *places, resumed=resumed, on_progress=on_progress))

    @classmethod
    async def abegin(
        cls,
        binding: Binding,
        questions: str | Message | Sequence[Message],
        *places: Any,
        resumed: bool = False,
        on_progress: Callable[[str], object] | None = None,
    ) -> Turn:
        """The async twin of `begin`."""
        return await arun(
            cls.beginning(binding, questions, *places, resumed=resumed, on_progress=on_progress)
        )

    @classmethod
    def beginning(
        cls,
        binding: Binding,
        questions: str | Message | Sequence[Message],
        *places: Any,
        resumed: bool = False,
        on_progress: Callable[[str], object] | None = None,
    ) -> Steps[Turn]:
        """`begin` as steps, for an adapter whose hooks are steps themselves."""
        identity = binding.identity(*places)
        outer = outer_turn()
        if outer is not None:
            recall = outer.recall if outer.identity.user_id == identity.user_id else None
            return cls(identity, outer.conversation, (), recall, stores=False)
        asked = _messages(questions)
        conversation = yield from binding.opening(identity)
        in_doubt = partial(not_landed, asked) if resumed and identity.thread_id is not None else None
        yield from recording(conversation, asked, in_doubt=in_doubt)
        recall = None
        if asked or identity.thread_id is not None:  # a new conversation without a question recalls nothing
            recall = yield from Twin(
                conversation.recall,
                conversation.arecall,
                options=binding.recall,
                context=binding.context,
                on_progress=on_progress,
            )
        return cls(identity, conversation, tuple(asked), recall)

    def prompt(self, sent: Sequence[Message] | None = None) -> Prompt:
        """Returns the memories for one request to the model; no I/O. Do not save them anywhere.

        `Prompt.system` belongs at the end of the system prompt, `Prompt.beside` before the user's last
        message; each is "" if the placement does not use it.

        Args:
            sent: all conversation messages in the same request, which the memories do not repeat; None means
                the questions of this turn.
        """
        if self.recall is None:
            return _NOTHING
        return self.recall.prompt(self.questions if sent is None else sent)

    def answer(self, answer: str | Message | None, *, resumed: bool = False) -> None:
        """Stores an answer without the reasoning in it. Blank text and None are not stored.

        Args:
            answer: the final text for the user. Narration between tool calls is not an answer.
            resumed: the answer may be stored already, as in `begin`.

        Raises:
            RecallrAIIntegrationError: as `Conversation.record` does.
        """
        run(self.answering(answer, resumed=resumed))

    async def aanswer(self, answer: str | Message | None, *, resumed: bool = False) -> None:
        """The async twin of `answer`."""
        await arun(self.answering(answer, resumed=resumed))

    def answering(self, answer: str | Message | None, *, resumed: bool = False) -> Steps[None]:
        """`answer` as steps."""
        message = answer_of(answer) if isinstance(answer, str) else answer
        if message is None or not self.stores:
            return
        in_doubt = partial(not_landed, [message]) if resumed and self.identity.thread_id is not None else None
        yield from recording(self.conversation, [message], in_doubt=in_doubt)

    def end(self, answer: str | Message | None = None, *, resumed: bool = False) -> None:
        """Stores the answer, if there is one, and ends the run: the `process` policy decides what follows.

        Only for runs that completed. A second call does nothing, and neither does a call inside a tool of
        another run.

        Args:
            answer: as in `answer`.
            resumed: as in `answer`.
        """
        run(self.ending(answer, resumed=resumed))

    async def aend(self, answer: str | Message | None = None, *, resumed: bool = False) -> None:
        """The async twin of `end`."""
        await arun(self.ending(answer, resumed=resumed))

    def ending(self, answer: str | Message | None = None, *, resumed: bool = False) -> Steps[None]:
        """`end` as steps."""
        if self._ended or not self.stores:
            return
        self._ended = True
        yield from self.answering(answer, resumed=resumed)
        yield from ending_run(self.conversation)


def _messages(questions: str | Message | Sequence[Message]) -> list[Message]:
    if isinstance(questions, str):
        question = question_of(questions)
        return [] if question is None else [question]
    return [questions] if isinstance(questions, Message) else list(questions)
