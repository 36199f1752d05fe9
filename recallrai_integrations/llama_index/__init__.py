"""RecallrAI for LlamaIndex: memory for chat engines and agents, a memory block, a retriever and tools."""

from recallrai_integrations.errors import MissingDependencyError

try:
    from .memory import RecallrAIMemory
except ModuleNotFoundError as error:
    if error.name not in ("llama_index", "llama_index.core"):
        raise
    raise MissingDependencyError.for_extra("llama-index", "llama-index-core") from error

__all__ = ["RecallrAIMemory"]
