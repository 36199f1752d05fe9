"""The HTTP side: one module per part of the API, put together by `create_app`."""

from __future__ import annotations

from .app import create_app, get_ready

__all__ = ["create_app", "get_ready"]
