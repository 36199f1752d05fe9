"""`RecallrAIMemory` in the agents of llama-index-core."""

# Annotations are not postponed here: the framework reads those of tools.

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, CodeActAgent, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context

from recallrai_integrations import Connection
from recallrai_integrations.llama_index import RecallrAIMemory
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.testing.llama_index import ScriptedLLM

Stored = Callable[..., list[tuple[str, str]]]
Count = Callable[[str], int]

QUESTION = "What is my dog called?"
THINK = "Thought: I need a tool.\nAction: weather\nAction Input: {'city': 'Lisbon'}"
ANSWER = "Thought: I can answer.\nAnswer: The Answer: 42"
CODE = "I run this.\n<execute>print(6 * 7)</execute>"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the framework's own agents


def weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}. Answer: no"


async def run_code(code: str) -> str:
    return "42"


def function_agent(*script: Any, **options: Any) -> FunctionAgent:
    return FunctionAgent(tools=[weather], llm=ScriptedLLM(*script), **options)


def react_agent(*script: Any, **options: Any) -> ReActAgent:
    return ReActAgent(tools=[weather], llm=ScriptedLLM(*script), **options)


def code_agent(*script: Any, **options: Any) -> CodeActAgent:
    return CodeActAgent(code_execute_fn=run_code, llm=ScriptedLLM(*script), **options)


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_turn_with_five_tool_calls_makes_one_user_add_one_recall_and_one_assistant_add(
    streaming: bool, memory: RecallrAIMemory, stored: Stored, count: Count
) -> None:
    calls = [[("weather", {"city": "Lisbon"})]] * 5
    agent = function_agent(*calls, "Sunny.", streaming=streaming)
    result = await agent.run(user_msg="What is the weather?", memory=memory)
    assert str(result) == "Sunny."
    assert stored() == [("user", "What is the weather?"), ("assistant", "Sunny.")]
    assert count("/context") == 1
    assert count("/add-message") == 2
    assert len(memory.get_all()) == 12  # the question, five calls and their results, the answer


async def test_narration_is_stored_when_it_is_wanted(connection: Connection, stored: Stored) -> None:
    memory = RecallrAIMemory("ada", "thread-1", connection=connection, narration=True)
    await function_agent([("weather", {"city": "Lisbon"})], "Sunny.").run(user_msg="Weather?", memory=memory)
    assert stored() == [("user", "Weather?"), ("assistant", "Let me see."), ("assistant", "Sunny.")]


@pytest.mark.parametrize("make", [function_agent, react_agent, code_agent])
async def test_an_agent_without_a_system_prompt_is_told_by_insertion_into_the_users_message(
    make: Any, connection: Connection, knows: Any, count: Count, caplog: pytest.LogCaptureFixture
) -> None:
    knows("My dog is called Biscuit.")
    memory = RecallrAIMemory("ada", "thread-1", connection=connection, insert_method="user")
    agent = make(ANSWER)
    await agent.run(user_msg=QUESTION, memory=memory)
    told = [one for one in agent.llm.requests[0] if "Biscuit" in str(one.content)]
    assert [one.role.value for one in told] == ["user"]
    assert str(told[0].content).endswith(QUESTION)
    assert count("/context") == 1
    assert "insert_method" not in caplog.text


@pytest.mark.parametrize(
    ("make", "prompts"), [(function_agent, ["Be kind."]), (function_agent, []), (react_agent, ["Be kind."])]
)
async def test_an_agent_is_told_by_a_system_message_behind_that_of_its_own(
    make: Any, prompts: list[str], memory: RecallrAIMemory, knows: Any
) -> None:
    knows("My dog is called Biscuit.")
    agent = make(ANSWER, **({"system_prompt": prompts[0]} if prompts else {}))
    await agent.run(user_msg=QUESTION, memory=memory)
    *systems, question = agent.llm.requests[0]
    assert [one.role.value for one in systems] == ["system", *("system" for _ in prompts)]
    # The oldest releases of llama-index-core lose the prompt of a ReActAgent.
    loses_it = make is react_agent and "{context}" not in agent.formatter.system_header
    assert loses_it or all(prompt in str(systems[0].content) for prompt in prompts)
    assert "Biscuit" in str(systems[-1].content)
    assert question.content == QUESTION


async def test_react_stores_the_answer_it_returns_and_no_reasoning(
    memory: RecallrAIMemory, stored: Stored, count: Count
) -> None:
    result = await react_agent(THINK, ANSWER).run(user_msg="What?", memory=memory)
    assert stored() == [("user", "What?"), ("assistant", str(result))]
    assert str(result) == "The Answer: 42"
    assert count("/context") == 1


async def test_codeact_stores_no_tool_output(memory: RecallrAIMemory, stored: Stored, count: Count) -> None:
    result = await code_agent(CODE, "It is 42.").run(user_msg="6 times 7?", memory=memory)
    assert stored() == [("user", "6 times 7?"), ("assistant", str(result))]
    assert str(result) == "It is 42."
    assert count("/context") == 1


async def test_a_person_who_quotes_a_code_result_is_stored(memory: RecallrAIMemory, stored: Stored) -> None:
    said = "Result of executing the code given:\n\nis what it printed"
    await function_agent("I see.").run(user_msg=said, memory=memory)
    assert stored() == [("user", said), ("assistant", "I see.")]


@pytest.mark.parametrize(("make", "answer"), [(react_agent, ANSWER), (code_agent, None)])
async def test_an_agent_that_drops_system_messages_is_warned_of_once(
    make: Any, answer: str | None, memory: RecallrAIMemory, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        script = [ANSWER] if answer else [CODE, "It is 42."]
        await make(*script).run(user_msg="What?", memory=memory)
    assert caplog.text.count('insert_method="user"') == 1


async def test_a_handoff_is_not_stored_and_recalls_once(
    memory: RecallrAIMemory, stored: Stored, count: Count
) -> None:
    first = FunctionAgent(
        name="first",
        description="begins",
        llm=ScriptedLLM([("handoff", {"to_agent": "second", "reason": "it knows"})]),
        can_handoff_to=["second"],
    )
    second = FunctionAgent(name="second", description="ends", llm=ScriptedLLM("Done."))
    workflow = AgentWorkflow(agents=[first, second], root_agent="first")
    await workflow.run(user_msg="Do it", memory=memory)
    assert stored() == [("user", "Do it"), ("assistant", "Done.")]
    assert count("/context") == 1


async def test_a_tool_that_answers_directly_is_stored_once(memory: RecallrAIMemory, stored: Stored) -> None:
    direct = FunctionTool.from_defaults(weather, return_direct=True)
    agent = FunctionAgent(tools=[direct], llm=ScriptedLLM([("weather", {"city": "Lisbon"})]))
    result = await agent.run(user_msg="Weather?", memory=memory)
    assert stored() == [("user", "Weather?"), ("assistant", str(result))]


async def test_a_model_error_leaves_the_question_and_the_next_turn_intact(
    memory: RecallrAIMemory, stored: Stored
) -> None:
    with pytest.raises(Exception, match="no model"):
        await function_agent(RuntimeError("no model")).run(user_msg="one", memory=memory)
    await function_agent("fine").run(user_msg="two", memory=memory)
    assert stored() == [("user", "one"), ("user", "two"), ("assistant", "fine")]


async def test_a_context_goes_through_json_and_on_in_the_same_session(
    memory: RecallrAIMemory, connection: Connection, server: LocalRecallrAI, stored: Stored
) -> None:
    agent = function_agent("one", "two", "three")
    ctx = Context(agent)
    await agent.run(user_msg="first", memory=memory, ctx=ctx)
    dumped = json.dumps(ctx.to_dict())
    assert connection._credentials.api_key.reveal() not in dumped
    restored = Context.from_dict(agent, json.loads(dumped))
    await agent.run(user_msg="second", ctx=restored)
    await agent.run(user_msg="third", ctx=restored)
    assert [text for _, text in stored()] == ["first", "one", "second", "two", "third", "three"]
    assert [one.content for one in agent.llm.requests[-1]][-5:] == ["first", "one", "second", "two", "third"]
    assert sum(one.method == "POST" and one.path.endswith("/sessions") for one in server.requests) == 1


async def test_a_context_restored_without_credentials_says_what_is_missing(connection: Connection) -> None:
    memory = RecallrAIMemory("ada", "thread-1", connection=connection)
    data = json.loads(json.dumps(memory.to_dict()))
    data["connection"] = "a mark of another process"
    agent = function_agent("one")
    with pytest.raises(Exception, match="RECALLRAI_API_KEY"):
        await agent.run(user_msg="first", memory=RecallrAIMemory.from_dict(data))


async def test_the_credentials_of_the_environment_serve_a_restored_context(
    connection: Connection, server: LocalRecallrAI, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = RecallrAIMemory("ada", connection=connection)
    await memory.aput(ChatMessage(content="before"))
    data = json.loads(json.dumps(memory.to_dict()))
    data["connection"] = "a mark of another process"
    for name in ("api_key", "project_id", "base_url"):
        monkeypatch.setenv(f"RECALLRAI_{name.upper()}", getattr(server, name))
    await RecallrAIMemory.from_dict(data).aput(ChatMessage(content="after"))
    assert stored("ada", memory.thread_id) == [("user", "before"), ("user", "after")]


async def test_a_tool_that_edits_the_state_leaves_the_memory_alive(
    memory: RecallrAIMemory, stored: Stored
) -> None:
    async def note(ctx: Context, text: str) -> str:
        """Notes a text."""
        async with ctx.store.edit_state() as state:
            state["noted"] = text
        return "noted"

    agent = FunctionAgent(tools=[note], llm=ScriptedLLM([("note", {"text": "x"})], "one", "two"))
    ctx = Context(agent)
    await agent.run(user_msg="first", memory=memory, ctx=ctx)
    assert [one.content for one in memory.get_all()][-1] == "one"
    await agent.run(user_msg="second", ctx=ctx)
    assert [text for _, text in stored()] == ["first", "one", "second", "two"]


async def test_the_state_prompt_changes_no_stored_message(memory: RecallrAIMemory, stored: Stored) -> None:
    agent = function_agent("one", initial_state={"mood": "good"})
    await agent.run(user_msg="first", memory=memory)
    assert "mood" in str(agent.llm.requests[0][-1].content)
    assert memory.get_all()[0].content == "first"
    assert stored()[0] == ("user", "first")


async def test_a_history_instead_of_a_question_is_answered(
    memory: RecallrAIMemory, stored: Stored, count: Count
) -> None:
    history = [
        ChatMessage(role="user", content="one"),
        ChatMessage(role="assistant", content="1"),
        ChatMessage(role="user", content="two"),
    ]
    await function_agent([("weather", {"city": "x"})], "2").run(chat_history=history, memory=memory)
    assert [text for _, text in stored()] == ["one", "1", "two", "2"]
    assert count("/context") == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_two_hundred_conversations_at_once_lose_and_mix_nothing(
    connection: Connection, stored: Stored
) -> None:
    async def converse(n: int) -> None:
        memory = RecallrAIMemory(f"user-{n}", f"thread-{n}", connection=connection)
        for turn in range(20):
            await memory.aput(ChatMessage(role="user", content=f"{n} asks {turn}"))
            sent = await memory.aget()
            assert all(str(n) == str(one.content).split(" ")[0] for one in sent)
            await memory.aput(ChatMessage(role="assistant", content=f"{n} answers {turn}"))

    await asyncio.gather(*(converse(n) for n in range(200)))
    for n in range(200):
        assert stored(f"user-{n}", f"thread-{n}") == [
            (role, f"{n} {verb} {turn}")
            for turn in range(20)
            for role, verb in (("user", "asks"), ("assistant", "answers"))
        ]
