"""Where a run says whose it is."""

from __future__ import annotations

from typing import Any, Final

from pydantic_ai import RunContext

__all__ = ["WHERE", "places"]

WHERE: Final = 'agent.run(…, deps=…) with a field or key user_id, or agent.run(…, metadata={"user_id": …})'


def places(ctx: RunContext[Any]) -> tuple[Any, ...]:
    """For `Binding.identity`. A run always belongs to a conversation; Pydantic AI makes an id if need be."""
    return ctx.deps, ctx.metadata, {"thread_id": ctx.conversation_id}
