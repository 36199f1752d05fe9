"""A small chat model that needs no key and no network, for examples, demos and tests.

It quotes the line of its prompt that fits the question best, so its only knowledge is the prompt. `quoting`
chooses the line; `QuotingChatModel` (LangChain), `QuotingLLM` (LlamaIndex), `QuotingAgentModel` (OpenAI
Agents) and `QuotingModel` (Pydantic AI) are models of their frameworks, each imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recallrai_integrations.testing._missing import naming_what_is_missing

with naming_what_is_missing():
    from .quoting import Said, answer

if TYPE_CHECKING:
    from .langchain import QuotingChatModel
    from .llama_index import QuotingLLM
    from .openai_agents import QuotingAgentModel
    from .pydantic_ai import QuotingModel

__all__ = ["QuotingAgentModel", "QuotingChatModel", "QuotingLLM", "QuotingModel", "Said", "answer"]


def __getattr__(name: str) -> Any:
    if name == "QuotingChatModel":
        with naming_what_is_missing():
            from .langchain import QuotingChatModel  # noqa: PLC0415 - needs the extra langchain

        return QuotingChatModel
    if name == "QuotingLLM":
        with naming_what_is_missing():
            from .llama_index import QuotingLLM  # noqa: PLC0415 - needs the extra llama-index

        return QuotingLLM
    if name == "QuotingAgentModel":
        with naming_what_is_missing():
            from .openai_agents import QuotingAgentModel  # noqa: PLC0415 - needs the extra openai-agents

        return QuotingAgentModel
    if name == "QuotingModel":
        with naming_what_is_missing():
            from .pydantic_ai import QuotingModel  # noqa: PLC0415 - needs the extra pydantic-ai

        return QuotingModel
    raise AttributeError(name)
