"""`Recall`: the memories for one turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from .context import Prompt, render
from .messages import Message, fingerprint
from .options import ContextOptions

__all__ = ["Recall"]


@dataclass(frozen=True, slots=True)
class Recall:
    """Memories recalled for one turn, ready for a prompt.

    Args:
        context: the service's text, without instructions; "" if there is none.
        strategy: the strategy that was used (with `"auto"`, the one that the service chose).
        memory_ids: ids of the memories in it.
        session_ids: ids of the conversations in it.
        elapsed: seconds that the turn waited.
        degraded: True if the service did not answer, or not in time; `context` is then "" or, with
            `on_deadline="stale"`, the previous one. Also True if another process is delivering the question;
            `context` is then recalled without the question. Also True if the recall by `fallback_strategy`
            failed; `context` is then the result of the first strategy.
        instructions: the service's text on how to read the memories; "" if left out.
        options: how it is rendered.
        stored_as: the redacted form of messages of this conversation, by their fingerprints: the service, and
            so `context`, contains this form.

    Example:
        ```python
        from recallrai_integrations import connect

        with connect(local=":memory:") as connection:
            conversation = connection.conversation("ada", "thread-1")
            conversation.record(("user", "What should I cook tonight?"))
            recall = conversation.recall()
            system_prompt = "You are a cook." + recall.text  # goes into this request only
        ```
    """

    context: str = field(repr=False)
    strategy: str
    memory_ids: tuple[str, ...] = field(default=(), repr=False)
    session_ids: tuple[str, ...] = field(default=(), repr=False)
    elapsed: float = 0.0
    degraded: bool = False
    instructions: str = field(default="", repr=False)
    options: ContextOptions = field(default_factory=ContextOptions, repr=False)
    stored_as: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    _latest: list[tuple[Sequence[Message], Prompt]] = field(
        default_factory=list["tuple[Sequence[Message], Prompt]"], init=False, repr=False, compare=False
    )

    @property
    def text(self) -> str:
        """Instructions and memories as one text for a system prompt; "" if there are no memories."""
        return self.prompt().text

    @property
    def omitted(self) -> int:
        """Number of entries left out of `text` because of `max_chars` or `max_tokens`."""
        return self.prompt().omitted

    def prompt(self, sent: Sequence[Message] = ()) -> Prompt:
        """Returns the parts of the text, for a request that also contains these messages.

        Args:
            sent: messages of the conversation in the same request; the context does not repeat them.
        """
        said = list(map(self._stored, sent)) if self.stored_as else list(sent)
        for same, prompt in self._latest:  # a tool loop asks for the same prompt several times
            if same == said:
                return prompt
        prompt = render(
            self.context,
            strategy=self.strategy,
            instructions=self.instructions,
            options=self.options,
            sent=said,
        )
        self._latest[:] = [(said, prompt)]
        return prompt

    def _stored(self, message: Message) -> Message:
        text = self.stored_as.get(fingerprint(message))
        return message if text is None else replace(message, content=text)
