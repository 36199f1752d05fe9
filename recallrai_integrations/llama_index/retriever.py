"""`RecallrAIRetriever`: a user's memories as nodes, for query engines and postprocessors."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from typing_extensions import override

from recallrai_integrations.adapter import Binding, Steps, Twin, arun, run
from recallrai_integrations.connection import Connection
from recallrai_integrations.errors import InvalidInputError
from recallrai_integrations.models import Memory
from recallrai_integrations.options import RecallOptions

__all__ = ["RecallrAIRetriever"]

_HIDDEN = ["memory_id", "session_id", "version", "connected"]
"""Metadata that is no use to a model or an embedding."""


class RecallrAIRetriever(BaseRetriever):
    """Retrieves what is remembered of one user, most similar first.

    Each node's id is the memory's, its text the memory's, its score the similarity (0 to 1). Metadata, as
    text: `memory_id`, `session_id`, `categories` (comma-separated), `created_at`, `event_start`, `event_end`
    (ISO 8601), `version`, `connected` (ids of connected memories, comma-separated); what is not known is
    absent. Costs three requests and one for each memory; see `UserMemory.search`.

    Errors are raised also in an outage: an empty result means that nothing is remembered.

    Args:
        user_id: the application's id of the user; an attribute, which a copy may set for another user.
        connection: where memories are; None connects with the environment's credentials at the first use.
        k: most nodes to return, at least 1.
        recall: strategy and thresholds; replaces the connection's.
        callback_manager: the framework's.

    Raises:
        MissingIdentityError: no user id.
        InvalidInputError: k below 1.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.llama_index import RecallrAIRetriever

        with connect(local=":memory:") as connection:
            with connection.conversation("ada") as conversation:
                conversation.record(("user", "My dog is called Biscuit."))
                conversation.finish(wait=True)
            for node in RecallrAIRetriever("ada", connection=connection).retrieve("Who is Biscuit?"):
                print(node.score, node.text)
        ```
    """

    def __init__(
        self,
        user_id: str,
        *,
        connection: Connection | None = None,
        k: int = 10,
        recall: RecallOptions | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        if isinstance(k, bool) or k < 1:
            raise InvalidInputError(f"k must be at least 1, not {k!r}.")
        self._binding = Binding.of(connection, recall=recall, where="RecallrAIRetriever(user_id=…)")
        self.user_id = self._binding.identity({"user_id": user_id}).user_id
        self._k = k
        super().__init__(callback_manager=callback_manager)  # pyright: ignore[reportUnknownMemberType] - bare Dict

    @override
    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return run(self._searching(query_bundle))

    @override
    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await arun(self._searching(query_bundle))

    def _searching(self, asked: QueryBundle) -> Steps[list[NodeWithScore]]:
        user = yield from self._binding.remembering({"user_id": self.user_id})
        options = self._binding.recall
        return _nodes(
            (yield from Twin(user.search, user.asearch, asked.query_str, k=self._k, options=options))
        )


def _nodes(memories: list[Memory]) -> list[NodeWithScore]:
    return [NodeWithScore(node=_node(memory), score=memory.similarity or 0.0) for memory in memories]


def _node(memory: Memory) -> TextNode:
    metadata: dict[str, Any] = {
        "memory_id": memory.memory_id,
        "session_id": memory.session_id,
        "categories": ", ".join(memory.categories) or None,
        "created_at": _iso(memory.created_at),
        "event_start": _iso(memory.event_start),
        "event_end": _iso(memory.event_end),
        "version": memory.version,
        "connected": ", ".join(memory_id for memory_id, _ in memory.connected) or None,
    }
    return TextNode(
        id_=memory.memory_id,
        text=memory.content,
        metadata={name: value for name, value in metadata.items() if value is not None},
        excluded_llm_metadata_keys=_HIDDEN,
        excluded_embed_metadata_keys=_HIDDEN,
    )


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
