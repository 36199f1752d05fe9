"""The models without a key quote what they were sent, in each framework, and know nothing else."""

from __future__ import annotations

import pytest

pytest.importorskip("agents", reason="the agent frameworks are not installed")
pytest.importorskip("google.adk", reason="the agent frameworks are not installed")
pytest.importorskip("pydantic_ai", reason="the agent frameworks are not installed")

from recallrai_integrations import connect
from recallrai_integrations.testing.offline import (
    QuotingAgentModel,
    QuotingChatModel,
    QuotingLLM,
    QuotingLlm,
    QuotingModel,
    Said,
    answer,
)

QUESTION = "What is my dog called?"
FACT = "My dog is called Biscuit."


def test_without_anything_that_fits_it_says_so():
    assert "Nothing that I was sent fits" in answer([Said("user", QUESTION)])
    assert "Nothing that I was sent fits" in answer([Said("assistant", FACT), Said("user", QUESTION)])


@pytest.mark.parametrize("role", ["system", "user"])
def test_a_memory_is_quoted_wherever_it_stands_in_the_request(role):
    with connect(local=":memory:") as connection:
        with connection.conversation("ada") as earlier:
            earlier.record(("user", FACT))
            earlier.finish(wait=True)
        conversation = connection.conversation("ada")
        conversation.record(("user", QUESTION))
        memories = conversation.recall().text
    sent = [Said("system", memories), Said("user", QUESTION)]
    if role == "user":
        sent = [Said("user", f"{memories}\n\n{QUESTION}")]
    assert "My memory of you says" in answer(sent)
    assert "Biscuit" in answer(sent)


def langchain(request):
    model, messages = QuotingChatModel(), [(one.role, one.text) for one in request]

    async def later():
        streamed = [piece.text async for piece in model.astream(messages)]
        return [(await model.ainvoke(messages)).text, "".join(streamed)]

    return [model.invoke(messages).text, "".join(piece.text for piece in model.stream(messages))], later


def llama_index(request):
    from llama_index.core.base.llms.types import ChatMessage

    model, messages = QuotingLLM(), [ChatMessage(role=one.role, content=one.text) for one in request]

    async def later():
        streamed = [piece.delta async for piece in await model.astream_chat(messages)]
        return [(await model.achat(messages)).message.content, "".join(streamed)]

    streamed = "".join(piece.delta for piece in model.stream_chat(messages))
    return [model.chat(messages).message.content, streamed], later


def openai_agents(request):
    from agents import Agent, Runner

    agent = Agent("Friend", model=QuotingAgentModel())
    items = [{"role": one.role, "content": one.text} for one in request]

    async def later():
        streamed = Runner.run_streamed(agent, items)
        pieces = [
            event.data.delta
            async for event in streamed.stream_events()
            if hasattr(event, "data") and hasattr(event.data, "delta")
        ]
        return [(await Runner.run(agent, items)).final_output, streamed.final_output, "".join(pieces)]

    return [], later


def pydantic_ai(request):
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart

    *before, last = request
    history = [
        ModelRequest([UserPromptPart(one.text)])
        if one.role == "user"
        else ModelResponse([TextPart(one.text)])
        for one in before
    ]
    agent = Agent(QuotingModel())

    async def later():
        async with agent.run_stream(last.text, message_history=history) as streamed:
            text = "".join([piece async for piece in streamed.stream_text(delta=True)])
        return [(await agent.run(last.text, message_history=history)).output, text]

    return [], later


def google_adk(request):
    from google.adk.models import LlmRequest
    from google.genai import types

    contents = [
        types.Content(role="user" if one.role == "user" else "model", parts=[types.Part(text=one.text)])
        for one in request
    ]

    async def answered(*, stream):
        answers = QuotingLlm().generate_content_async(LlmRequest(contents=contents), stream)
        return [(one.content.parts[0].text, one.partial) async for one in answers]

    async def later():
        ((whole, _),) = await answered(stream=False)
        *pieces, (last, _) = await answered(stream=True)
        return [whole, last, "".join(piece for piece, _ in pieces)]

    return [], later


@pytest.mark.parametrize("framework", [google_adk, langchain, llama_index, openai_agents, pydantic_ai])
async def test_a_models_answer_is_the_same_streamed_or_whole_and_in_both_colours(framework):
    request = [Said("user", FACT), Said("assistant", "A fine name."), Said("user", QUESTION)]
    now, later = framework(request)
    assert {*now, *await later()} == {answer(request)}
    assert answer(request) == f"(offline model) Earlier you said: “{FACT}”"
