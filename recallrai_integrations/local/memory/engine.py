"""The optional models."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Engine:
    """The model-free default."""

    model: str | None = None
    embeddings: str | None = None
