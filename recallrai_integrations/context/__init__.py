"""From the service's context text to a prompt: parse, decide, print.

```text
structure    text -> sections of entries, or one free section when the structure is not the known one
current      leaves out what the request already sends as messages
compaction   leaves out version histories that only repeat the memory above them
budget       leaves out whole entries, the least valuable first, until the block fits
fence        the delimiters, and what makes untrusted text harmless inside them
```

Pure: no I/O, no framework, no SDK. Nothing in here raises for any text.
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
    """What goes into one request.

    Args:
        instructions: how to read the memories; the same from turn to turn, so it goes first. "" when none.
        memories: the delimited block, which changes from turn to turn; "" when there is nothing to tell.
        omitted: memories, summaries, messages, paragraphs and version histories that were left out of
            `memories` to keep `max_chars` or `max_tokens`; the block says the same number.
        placement: where they go, see `ContextOptions`.
    """

    instructions: str
    memories: str
    omitted: int = 0
    placement: Placement = "system"

    @property
    def system(self) -> str:
        """What goes at the end of the system prompt; "" when nothing does.

        With `"split"` the instructions, also in a turn without memories: a prefix that changes is cached
        anew.
        """
        if self.placement == "split":
            return self.instructions
        return self.text if self.placement == "system" else ""

    @property
    def beside(self) -> str:
        """What goes before the text of the user's last message; "" when nothing does."""
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
        context: the service's text as it came, also with its instruction prompt in front.
        strategy: the strategy that made it; `"agentic"` text has no fixed form and stays as it is, apart
            from the sections at its end.
        instructions: the service's instruction prompt. `options.instructions` wins over it, and with
            placement `"user"` it is left out.
        options: placement, budget, compaction.
        sent: conversation messages that the same request sends; lines of the ongoing conversation that
            repeat them are left out when `options.drop_current_conversation` says so.

    Returns:
        The prompt. Text of an unknown structure stays whole, so that no memory is lost; only a budget
        leaves memories out, and then `omitted` and the block itself say how many.

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
