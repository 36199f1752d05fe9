"""RecallrAI for LlamaIndex: memory for chat engines and agents, a memory block, a retriever and tools."""

from recallrai_integrations.errors import MissingDependencyError

try:
    from .block import RecallrAIMemoryBlock
    from .memory import RecallrAIMemory
    from .retriever import RecallrAIRetriever
    from .tools import RecallrAIToolSpec
    from .workflow import (
        MergeConflictAnswersEvent,
        MergeConflictsEvent,
        MergeConflictWorkflow,
        ask_merge_conflicts,
    )
except ModuleNotFoundError as error:
    if error.name not in ("llama_index", "llama_index.core"):
        raise
    raise MissingDependencyError.for_extra("llama-index", "llama-index-core") from error

__all__ = [
    "MergeConflictAnswersEvent",
    "MergeConflictWorkflow",
    "MergeConflictsEvent",
    "RecallrAIMemory",
    "RecallrAIMemoryBlock",
    "RecallrAIRetriever",
    "RecallrAIToolSpec",
    "ask_merge_conflicts",
]
