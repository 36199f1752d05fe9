"""What all requests share: the database, the memory's engine, the jobs and the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from .database import Database
from .faults import Faults, Outcome
from .jobs import Jobs
from .memory import Engine

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models import BaseChatModel


PUBLIC_KEY: Final = "rai_local"
"""Stands in the documentation, so it keeps nobody on this machine out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a service is set up.

    Args:
        api_key: what `X-Recallr-Api-Key` must be.
        project_id: what `X-Recallr-Project-Id` must be.
        min_auto_process_seconds: the least `auto_process_after_seconds` that is accepted; the hosted
            service's is 600.
        merge_conflict_enabled: whether contradictions become merge conflicts for users who do not say.
        model: a chat model or its name for `init_chat_model`; None for the rules.
        embeddings: embeddings or their name for `init_embeddings`; None for those of the extra
            `semantic` where it is installed, "off" for words alone.
    """

    api_key: str = PUBLIC_KEY
    project_id: str = "local"
    min_auto_process_seconds: float = 600
    merge_conflict_enabled: bool = False
    model: str | BaseChatModel | None = None
    embeddings: str | Embeddings | None = None

    @override
    def __repr__(self) -> str:
        return f"Settings(project_id={self.project_id!r})"  # the key is a secret


class Service:
    """A running service, without its HTTP side.

    Args:
        path: the database file, or `":memory:"`. Sessions that were being processed when it was last closed
            are taken up.
        settings: how it is set up.
        faults: what goes wrong on purpose; may be replaced at any time.

    Raises:
        LocalServiceError: the database cannot be used.
    """

    def __init__(self, path: str, settings: Settings, faults: Faults) -> None:
        self.settings = settings
        self.faults = faults
        self.engine = Engine.local(settings.model, settings.embeddings)
        self.database = Database(path)
        self.jobs = Jobs(
            self.database,
            self.engine,
            next_outcome=self._next_outcome,
            merge_conflict_enabled=settings.merge_conflict_enabled,
            tick=min(1.0, max(0.02, settings.min_auto_process_seconds / 10)),
        )

    def _next_outcome(self) -> Outcome | None:
        return self.faults.next_outcome()

    def close(self) -> None:
        """Let the job in hand finish, then close the database; what is left is taken up at the next start."""
        self.jobs.close()
        self.database.close()
