"""Turns the service's context text into a prompt: parses it, selects entries, and prints them.

```text
structure    text -> sections of entries, or one free section if the structure is unknown
current      leaves out what the request already contains as messages
compaction   leaves out version histories that only repeat the memory above them
budget       leaves out whole entries, the least valuable first, until the block fits
fence        the delimiters, and making untrusted text harmless inside them
```

Pure: no I/O, no framework, no SDK. No text makes these functions raise an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from recallrai_integrations.messages import Message, clean_text
from recallrai_integrations.options import ContextOptions, Placement

from .budget import fit
from .compaction import compact
from .current import without_sent
from .fence import neutralize, plain
from .structure import parse, split_instructions

__all__ = ["Prompt", "neutralize", "render"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """The parts of a prompt for one request.

    Args:
        instructions: how to read the memories; the same in every turn, so it comes first; or "".
        memories: the delimited block, which changes from turn to turn; "" if there are no memories.
        omitted: number of memories, summaries, messages, paragraphs and version histories that were left out
            because of `max_chars` or `max_tokens`; the block contains this number too.
        placement: where they go, see `ContextOptions`.
    """

    instructions: str
    memories: str
    omitted: int = 0
    placement: Placement = "system"

    @property
    def system(self) -> str:
        """The text for the end of the system prompt; "" if there is none.

        With `"split"` the instructions, also in a turn without memories: a prefix that changes is cached
        anew.
        """
        if self.placement == "split":
            return self.instructions
        return self.text if self.placement == "system" else ""

    @property
    def beside(self) -> str:
        """The text to put before the user's last message; "" if there is none."""
        if self.placement == "split":
            return self.memories
        return self.text if self.placement == "user" else ""

    @property
    def text(self) -> str:
        """Instructions and memories, separated by a blank line; "" when there are no memories."""
        return "\n\n".join(filter(None, (self.instructions, self.memories))) if self.memories else ""


def render(
    context: str | None,
    *,
    strategy: str,
    instructions: str = "",
    options: ContextOptions,
    sent: Sequence[Message] = (),
) -> Prompt:
    """Turns a context text into the parts of a prompt.

    Args:
        context: the service's text; it may begin with its instruction prompt.
        strategy: the strategy that was used; `"agentic"` text has no fixed form and stays unchanged, except
            for the sections at its end.
        instructions: the service's instruction prompt. `options.instructions` replaces it, and with placement
            `"user"` it is left out.
        options: placement, budget, compaction.
        sent: conversation messages in the same request. With `options.drop_current_conversation`, lines of
            the ongoing conversation that repeat them are left out.

    Returns:
        The prompt. Text of an unknown structure stays complete, so no memory is lost. Only a budget leaves
        out memories, and then `omitted` and the block say how many.

    Example:
        ```python
        from recallrai_integrations import ContextOptions
        from recallrai_integrations.context import render

        prompt = render("User dislikes olives", strategy="agentic", options=ContextOptions())
        assert "User dislikes olives" in prompt.text
        ```
    """
    found, text = split_instructions(plain(clean_text(context or "")), _clean(instructions))
    guidance = _guidance(instructions or found, options)
    sections = parse(text, free=strategy in ("agentic", "deep"))
    if options.drop_current_conversation:
        sections = without_sent(sections, sent)
    if options.compact:
        sections = compact(sections)
    memories, omitted = fit(sections, options)
    return Prompt(guidance, memories, omitted, options.placement)


@lru_cache(maxsize=8)
def _clean(instructions: str) -> str:
    """The same few long texts in every turn; nothing of any user is in them."""
    return plain(clean_text(instructions))


def _guidance(instructions: str, options: ContextOptions) -> str:
    """The user's own text, or the service's where it is paid once and then cached by the provider."""
    if options.instructions is not None:
        return options.instructions.strip()
    return "" if options.placement == "user" else instructions.strip()
