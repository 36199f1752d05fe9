"""`RecallrAIRetriever`: a user's memories as documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.runnables.utils import ConfigurableFieldSpec, get_unique_config_specs
from pydantic import Field
from typing_extensions import override

from recallrai_integrations.adapter import Binding
from recallrai_integrations.adapter.copies import SharingConnection
from recallrai_integrations.models import Memory
from recallrai_integrations.options import RecallOptions

from ._identity import bind, config_specs, places

__all__ = ["RecallrAIRetriever"]


class RecallrAIRetriever(SharingConnection, BaseRetriever):
    """Searches a user's memories; the query may be any question, no conversation is needed.

    Each document is one memory, with its text as `page_content`, its id as `id`, and in `metadata`:
    `memory_id`, `similarity` (0 to 1, None where the service tells none), `categories`, `created_at`,
    `event_start`, `event_end` (ISO 8601 or None), `version`, `session_id` and `previous_versions` (a list of
    `content`, `created_at`, `expired_at`, `reason`), most similar first.

    Failure: outages raise `ServiceUnavailableError` whatever `on_error` says: no documents must mean that
    nothing is remembered.

    Attributes:
        connection: from `connect()`; None takes the one from the environment.
        user_id: the user; None reads the runtime context or `configurable` of the call.
        k: most documents, at least 1; also an argument of `invoke`.
        recall: strategy and thresholds; replaces the connection's options.

    Raises:
        ValidationError: pydantic's, which is a ValueError: an id that cannot be sent, a wrong type.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.langchain import RecallrAIRetriever

        with connect(local=":memory:") as connection:
            with connection.conversation("ada") as conversation:
                conversation.record(("user", "My dog is called Biscuit."))
                conversation.finish(wait=True)
            retriever = RecallrAIRetriever(connection=connection, user_id="ada", k=3)
            for document in retriever.invoke("What is my dog's name?"):
                print(document.page_content, document.metadata["similarity"])
        ```
    """

    user_id: str | None = None
    k: int = Field(default=10, ge=1)
    recall: RecallOptions | None = None

    @override
    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        self._binding()

    @property
    @override
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        ours = [one for one in config_specs(self._binding()) if one.id == "user_id"]
        return get_unique_config_specs([*super().config_specs, *ours])

    @override
    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """The documents for a question; `k=…` wins over the retriever's own."""
        return super().invoke(input, config, **self._for(config), **kwargs)

    @override
    async def ainvoke(
        self, input: str, config: RunnableConfig | None = None, **kwargs: Any
    ) -> list[Document]:
        """The async twin of `invoke`."""
        return await super().ainvoke(input, config, **self._for(config), **kwargs)

    @override
    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        for_user: str | None = None,
        k: int | None = None,
    ) -> list[Document]:
        del run_manager
        user = self._binding().user({"user_id": for_user})
        return _documents(user.search(query, k=self.k if k is None else k, options=self.recall))

    @override
    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        for_user: str | None = None,
        k: int | None = None,
    ) -> list[Document]:
        del run_manager
        user = await self._binding().auser({"user_id": for_user})
        return _documents(await user.asearch(query, k=self.k if k is None else k, options=self.recall))

    def _for(self, config: RunnableConfig | None) -> dict[str, Any]:
        """Retrievers are not handed the config of a call, so the user is read from it here."""
        return {"for_user": self._binding().identity(*places(ensure_config(config))).user_id}

    def _binding(self) -> Binding:
        return bind(self.connection, self.user_id)


def _documents(memories: Sequence[Memory]) -> list[Document]:
    return [
        Document(
            id=memory.memory_id,
            page_content=memory.content,
            metadata={
                "memory_id": memory.memory_id,
                "similarity": memory.similarity,
                "categories": list(memory.categories),
                "created_at": _iso(memory.created_at),
                "event_start": _iso(memory.event_start),
                "event_end": _iso(memory.event_end),
                "version": memory.version,
                "session_id": memory.session_id,
                "previous_versions": [
                    {
                        "content": one.content,
                        "created_at": _iso(one.created_at),
                        "expired_at": _iso(one.expired_at),
                        "reason": one.reason,
                    }
                    for one in memory.previous_versions
                ],
            },
        )
        for memory in memories
    ]


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
