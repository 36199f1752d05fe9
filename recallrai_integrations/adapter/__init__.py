"""What the adapters of all frameworks share: getting a connection late, and one recall for each user turn."""

from typing import Final

from .connections import ConnectionSource
from .turns import TurnCache

__all__ = ["IMAGE_PLACEHOLDER", "ConnectionSource", "TurnCache"]

IMAGE_PLACEHOLDER: Final = "[image]"
"""Stands for a message that holds no text but an image (ours)."""
