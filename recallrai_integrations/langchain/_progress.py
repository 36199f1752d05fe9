"""Progress of a recall, told through the stream of a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import set_config_context

from recallrai_integrations.recall import Recall

__all__ = ["Progress"]


class Progress:
    """Tells `stream_mode="custom"` what a recall is doing.

    Events are `{"type": "recallrai.progress", "text": "searching memories"}`; the last one of a recall also
    has the number of `memories` and whether it was `degraded`. They hold no memory.

    Args:
        write: LangGraph's stream writer.
        config: of the run.
        wanted: None tells only while somebody streams.
    """

    def __init__(
        self, write: Callable[[Any], object], config: RunnableConfig, *, wanted: bool | None
    ) -> None:
        self._write = write
        # A writer that closes over nothing has nowhere to write to: LangGraph's for runs without a stream.
        self.wanted = bool(getattr(write, "__closure__", None)) if wanted is None else wanted
        if self.wanted:
            # The writer looks up the run where it is called; a recall may report from a thread of its own.
            with set_config_context(config) as context:
                self._context = context.copy()  # the original is undone at the end of the block

    @property
    def listener(self) -> Callable[[str], object] | None:
        """For `Conversation.recall`; None leaves the recall an ordinary request."""
        return self.tell if self.wanted else None

    def tell(self, text: str, **figures: Any) -> None:
        """Tells one step."""
        event = {"type": "recallrai.progress", "text": text, **figures}
        self._context.copy().run(self._write, event)

    def begin(self) -> None:
        """Tells that a recall begins."""
        if self.wanted:
            self.tell("searching memories")

    def end(self, recall: Recall) -> None:
        """Tells what a recall brought."""
        if self.wanted:
            count = len(recall.memory_ids)
            text = "1 memory" if count == 1 else f"{count} memories"
            self.tell(text, memories=count, degraded=recall.degraded)
