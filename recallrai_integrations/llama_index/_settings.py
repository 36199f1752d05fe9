"""The options of a memory, checked once, and what is made by them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from recallrai_integrations.adapter import Binding, ConnectionSource, Identity
from recallrai_integrations.connection import Connection
from recallrai_integrations.errors import InvalidInputError
from recallrai_integrations.options import ContextOptions, Placement

from ._snapshot import dump_options, load_context, load_recall
from ._states import History
from ._transcript import Transcript

__all__ = ["Settings", "arguments", "check"]


@dataclass(slots=True)
class Settings:
    """What a memory and its copies share.

    Args:
        binding: connection and options; identity is in the memory's own fields.
        narration: store what an agent says while it calls tools.
        resume: read a thread's earlier messages.
        made_up: the thread id that the memory made up; None when the application gave one.
    """

    binding: Binding
    narration: bool
    resume: bool
    made_up: str | None = None

    def new_thread_id(self) -> str:
        """Makes a thread id up."""
        self.made_up = f"llama-index-{uuid.uuid4().hex}"
        return self.made_up

    def identity(self, user_id: object, thread_id: object) -> Identity:
        """Whose conversation it is, by the fields of a memory as they are now."""
        return self.binding.identity({"user_id": user_id, "thread_id": thread_id})

    def transcript(self, identity: Identity) -> Transcript:
        """An empty history of a conversation; a thread that was made up here holds nothing yet."""
        is_new = not self.resume or identity.thread_id == self.made_up
        return Transcript(
            identity,
            History.IN_STEP if is_new else History.UNREAD,
            narration=self.narration,
            ends_runs=self.binding.process in ("every_run", "every_n_turns"),
        )

    def bind(self, transcript: Transcript, connection: Connection) -> Transcript:
        """The transcript with its conversation."""
        if transcript.stored.at is None:
            binding = replace(
                self.binding,
                source=ConnectionSource(connection),
                process=self.binding.process or "manual",
            )
            transcript.stored.at = binding.conversation(transcript.identity)
        return transcript

    def placed(self, connection: Connection, method: Placement | None) -> ContextOptions:
        """How memories are put into the prompt."""
        context = self.binding.context or connection.context_options
        return context if method is None else replace(context, placement=method)

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON values: no key, but a mark by which this process finds its connection."""
        binding = self.binding
        return {
            "recall": dump_options(binding.recall),
            "context": dump_options(binding.context),
            "narration": self.narration,
            "process": binding.process,
            "process_every": binding.process_every,
            "metadata": None if binding.metadata is None else dict(binding.metadata),
            "auto_process_after_seconds": binding.auto_process_after_seconds,
            "connection": binding.source.mark,
            "made_up": self.made_up,
        }


def arguments(data: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the constructor, of what `to_dict` made; objects are taken as they are."""
    values = dict(data)
    mark = values.get("connection")
    values |= {
        "connection": ConnectionSource.marked(mark) if isinstance(mark, str) else mark,
        "recall": load_recall(values.get("recall")),
        "context": load_context(values.get("context")),
    }
    return values


def check(method: object, context: ContextOptions | None, token_limit: int) -> None:
    """Raises an `InvalidInputError` for options of a memory that cannot be."""
    if method not in (None, "system", "user"):
        raise InvalidInputError(f'insert_method must be "system", "user" or None, not {method!r}.')
    placement = "system" if context is None else context.placement
    if (placement == "split" and method is not None) or (placement == "user" and method == "system"):
        raise InvalidInputError(
            f'insert_method="{method}" contradicts ContextOptions(placement="{placement}"); '
            "leave one of them out."
        )
    if isinstance(token_limit, bool) or token_limit < 1:
        raise InvalidInputError(f"token_limit must be at least 1, not {token_limit!r}.")
