"""Errors for missing dependencies of `testing`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from recallrai_integrations.errors import MissingDependencyError

__all__ = ["naming_what_is_missing"]

_EXTRAS: Final = {
    "langchain": "langchain",
    "langchain_core": "langchain",
    "langgraph": "langchain",
    "llama_index": "llama-index",
    "agents": "openai-agents",
    "google": "google-adk",
    "pydantic_ai": "pydantic-ai",
    "snowballstemmer": "local",
}


@contextmanager
def naming_what_is_missing() -> Generator[None]:
    """Runs a block of imports, and names the command that installs a missing package.

    Raises:
        MissingDependencyError: a framework, the extra `local` or pytest is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in _EXTRAS:
            raise MissingDependencyError.for_extra(_EXTRAS[package], package) from error
        if package == "pytest":
            raise MissingDependencyError("pytest is not installed. Run: pip install pytest") from error
        raise
