"""The instruction prompts that go before a context, one for structured texts and one for written analyses."""

from __future__ import annotations

from typing import Final

_HEAD: Final = "# Instructions for using the Recallr AI's memory context\n\n"
_STRUCTURED: Final = _HEAD + "Use the memory context below.\n"
_AGENTIC: Final = _HEAD + "Use the memory analysis below.\n"


def system_prompt(strategy: str) -> str:
    """The instructions for a strategy's context; only `agentic` has its own."""
    return _AGENTIC if strategy == "agentic" else _STRUCTURED
