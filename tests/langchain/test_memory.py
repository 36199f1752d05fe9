"""`RecallrAIMemory` in the chains of langchain-classic; the rest is in the contract suite."""

from __future__ import annotations

import logging
import sys

import pytest
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate
from pydantic import ValidationError

from recallrai_integrations import ContextOptions, MissingDependencyError
from recallrai_integrations.langchain import RecallrAIMemory
from recallrai_integrations.testing.langchain import ScriptedChatModel

chains = pytest.importorskip("langchain_classic.chains")
pytestmark = pytest.mark.filterwarnings("ignore:The class `(ConversationChain|LLMChain)` was deprecated")


async def test_a_conversation_chain_remembers_across_threads_and_turns(connection, teach, stored, call):
    teach("ada", "My dog is called Biscuit.")
    model = ScriptedChatModel(script=["Biscuit.", "Yes."])
    memory = RecallrAIMemory(user_id="ada", thread_id="t", connection=connection)
    chain = chains.ConversationChain(llm=model, memory=memory)
    output = await call(chain.invoke, {"input": "What is my dog called?"})
    assert output["response"] == "Biscuit."
    await call(chain.invoke, {"input": "Sure?"})
    first, second = (request[0].text for request in model.requests)
    assert "dog is called Biscuit" in first
    assert (
        second.index("Human: What is my dog called?") < second.index("AI: Biscuit.") < second.index("Sure?")
    )
    assert [text for _, text in stored("ada", "t")] == ["What is my dog called?", "Biscuit.", "Sure?", "Yes."]


async def test_an_llm_chain_takes_it_as_text_or_messages(connection, teach, call):
    teach("ada", "My motto is {braces} & <b>.")
    for return_messages in (False, True):
        prompt = (
            ChatPromptTemplate.from_messages([MessagesPlaceholder("known"), ("human", "{q}")])
            if return_messages
            else PromptTemplate.from_template("{known}\n\n{q} ({style})")
        )
        model = ScriptedChatModel()
        memory = RecallrAIMemory(
            user_id="ada",
            thread_id=f"t{return_messages}",
            connection=connection,
            memory_key="known",
            input_key="q",
            return_messages=return_messages,
        )
        chain = chains.LLMChain(llm=model, prompt=prompt, memory=memory)
        await call(chain.invoke, {"q": "What is my motto?", "style": "short"})
        assert "{braces}" in model.requests[0][0].text


@pytest.mark.parametrize("placement", ["system", "user"])
async def test_messages_bring_a_system_message_behind_that_of_the_prompt_and_text_goes_into_it(
    connection, teach, call, placement
):
    teach("ada", "My dog is called Biscuit.")
    apart = [("system", "Be kind."), MessagesPlaceholder("history"), ("human", "{input}")]
    within = [("system", "Be kind.\n\n{history}"), ("human", "{input}")]
    for prompt, return_messages in ((apart, True), (within, False)):
        model = ScriptedChatModel()
        memory = RecallrAIMemory(
            user_id="ada",
            connection=connection,
            return_messages=return_messages,
            context=ContextOptions(placement=placement),
        )
        chain = chains.LLMChain(llm=model, prompt=ChatPromptTemplate(prompt), memory=memory)
        await call(chain.invoke, {"input": "What is my dog called?"})
        *systems, question = model.requests[0]
        assert [one.type for one in systems] == ["system"] * (1 + return_messages)
        assert systems[0].text.startswith("Be kind.")
        assert "Biscuit" in systems[-1].text
        assert question.text == "What is my dog called?"


async def test_a_failing_store_never_loses_the_answer(make_connection, server, call, caplog):
    connection = make_connection(deliver={"on_error": "raise", "retries": 0})
    memory = RecallrAIMemory(user_id="ada", thread_id="t", connection=connection)
    chain = chains.ConversationChain(llm=ScriptedChatModel(script=["precious"]), memory=memory)
    server.faults.add(status=503, path="*/add-message", nth=2)
    assert (await call(chain.invoke, {"input": "q"}))["response"] == "precious"
    assert [one.levelno for one in caplog.records if "could not be stored" in one.message] == [logging.ERROR]


async def test_a_question_asked_again_after_an_error_is_stored_once(connection, stored, call):
    model = ScriptedChatModel(script=[RuntimeError("no model"), "a"])
    memory = RecallrAIMemory(user_id="ada", thread_id="t", connection=connection)
    chain = chains.ConversationChain(llm=model, memory=memory)
    with pytest.raises(RuntimeError):
        await call(chain.invoke, {"input": "q"})
    await call(chain.invoke, {"input": "q"})
    assert stored("ada", "t") == [("user", "q"), ("assistant", "a")]
    assert model.requests[1][0].text.count("q") == model.requests[0][0].text.count("q")


async def test_clearing_begins_anew_and_finishing_makes_memories(connection, stored, call):
    memory = RecallrAIMemory(user_id="ada", thread_id="t", connection=connection)
    await call(memory.save_context, {"input": "My dog is called Biscuit."}, {"output": "ok"})
    await call(memory.clear)
    assert stored("ada", "t") == []
    await call(memory.save_context, {"input": "My cat is called Tom."}, {"output": "ok"})
    assert (await call(memory.finish, wait=30)).status == "processed"
    known = " ".join(one.content for one in connection.user("ada").memories())
    assert "Biscuit" in known
    assert "Tom" in known


def test_wrong_arguments_are_errors_when_it_is_made(connection):
    with pytest.raises(ValidationError, match="No user id"):
        RecallrAIMemory(connection=connection)
    with pytest.raises(ValidationError, match="too long"):
        RecallrAIMemory(user_id="x" * 10_000, connection=connection)


def test_the_key_is_in_no_repr_or_dump(connection, server):
    memory = RecallrAIMemory(user_id="ada", connection=connection)
    for text in (repr(memory), repr(memory.model_dump()), repr(memory.to_json())):
        assert server.api_key not in text


@pytest.mark.parametrize("absent", ["langchain_classic", "langchain", "langgraph"])
def test_an_absent_extra_is_named_with_the_command_that_installs_it(monkeypatch, absent):
    import recallrai_integrations  # noqa: F401

    for name in list(sys.modules):
        if name.split(".")[0] == absent or name.startswith("recallrai_integrations.langchain"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Absent(absent), *sys.meta_path])
    extra = "langchain-classic" if absent == "langchain_classic" else "langchain"
    with pytest.raises(MissingDependencyError, match=rf'pip install "recallrai-integrations\[{extra}\]"'):
        from recallrai_integrations.langchain import RecallrAIMemory  # noqa: F401


class _Absent:
    """A finder that behaves as if a package were not installed."""

    def __init__(self, package):
        self.package = package

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
