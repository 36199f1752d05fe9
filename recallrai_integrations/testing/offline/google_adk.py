"""The offline model as a model of Google's Agent Development Kit."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from google.adk.models import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.genai import types
from typing_extensions import override

from .quoting import Said, answer

__all__ = ["QuotingLlm"]


class QuotingLlm(BaseLlm):
    """Quotes the line of its request that fits the question best; calls no tools.

    Example:
        ```python
        from google.adk.agents import LlmAgent
        from recallrai_integrations.testing.offline import QuotingLlm

        agent = LlmAgent(name="friend", model=QuotingLlm())
        ```
    """

    model: str = "quoting"

    @override
    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        text = _answer(llm_request)
        if stream:
            for line in text.splitlines(keepends=True):
                yield _response(line, partial=True)
        yield _response(text)


def _response(text: str, *, partial: bool | None = None) -> LlmResponse:
    return LlmResponse(
        content=types.Content(role="model", parts=[types.Part(text=text)]),
        partial=partial,
        # ADK logs a warning about a model that counts no tokens.
        usage_metadata=types.GenerateContentResponseUsageMetadata(
            prompt_token_count=0, candidates_token_count=0
        ),
    )


def _answer(request: LlmRequest) -> str:
    system = request.config.system_instruction
    said = [Said("system", system if isinstance(system, str) else "")]
    for content in request.contents:
        text = "\n".join(part.text for part in content.parts or [] if part.text)
        said.append(Said("user" if content.role == "user" else "assistant", text))
    return answer(said)
