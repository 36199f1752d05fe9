"""A small chat model that needs no key and no network, for examples, demos and tests.

It quotes the line of its prompt that fits the question best, so its only knowledge is the prompt. `quoting`
chooses the line; the others are models of a framework, each imported on first use: `QuotingChatModel`
(LangChain), `QuotingLLM` (LlamaIndex), `QuotingAgentModel` (OpenAI Agents), `QuotingModel` (Pydantic AI),
`QuotingLlm` (Google ADK).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from recallrai_integrations.testing._missing import naming_what_is_missing

with naming_what_is_missing():
    from .quoting import Said, answer

if TYPE_CHECKING:
    from .google_adk import QuotingLlm
    from .langchain import QuotingChatModel
    from .llama_index import QuotingLLM
    from .openai_agents import QuotingAgentModel
    from .pydantic_ai import QuotingModel

__all__ = [
    "QuotingAgentModel",
    "QuotingChatModel",
    "QuotingLLM",
    "QuotingLlm",
    "QuotingModel",
    "Said",
    "answer",
]

_MODULES: Final = {
    "QuotingAgentModel": "openai_agents",
    "QuotingChatModel": "langchain",
    "QuotingLLM": "llama_index",
    "QuotingLlm": "google_adk",
    "QuotingModel": "pydantic_ai",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(name)
    with naming_what_is_missing():
        return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
