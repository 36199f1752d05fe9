"""What a middleware has to do."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType] - a generic without arguments upstream
from langchain.agents.middleware import AgentMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    SystemMessage,
)
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from ._colours import Colour, InBothColours, Said, run
from .model import ScriptedChatModel, tool_call

__all__ = ["MiddlewareContract"]


class MiddlewareContract(InBothColours, ABC):
    """What a long-term memory has to do as a middleware of `create_agent`.

    The user and the thread are in `config["configurable"]` as `user_id` and `thread_id`.

    Example:
        ```python
        import pytest
        from langchain.agents.middleware import AgentMiddleware

        from recallrai_integrations import connect
        from recallrai_integrations.langchain import RecallrAIMiddleware
        from recallrai_integrations.testing.langchain import MiddlewareContract

        class TestMyMiddleware(MiddlewareContract):
            @pytest.fixture(autouse=True)
            def connected(self):
                with connect(local=":memory:") as self.connection:
                    yield

            def make_middleware(self) -> AgentMiddleware:
                return RecallrAIMiddleware(self.connection)

            def teach(self, user_id: str, fact: str) -> None:
                with self.connection.conversation(user_id) as conversation:
                    conversation.record(("user", fact))
                    conversation.finish(wait=True)

            def stored(self, user_id: str, thread_id: str) -> list[tuple[str, str]]:
                history = self.connection.conversation(user_id, thread_id).history()
                return [(message.role, message.content) for message in history]
        ```
    """

    fact = "Ada's dog is called Biscuit."
    """What `teach` is given, and `question` asks for."""
    question = "What is my dog called?"
    clue = "Biscuit"
    """What must show in a request when the fact was recalled."""

    @abstractmethod
    def make_middleware(self) -> AgentMiddleware:
        """The middleware; called again, it stands for another process."""

    @abstractmethod
    def teach(self, user_id: str, fact: str) -> None:
        """Has a fact remembered, from an earlier conversation."""

    @abstractmethod
    def stored(self, user_id: str, thread_id: str) -> Said:
        """What was stored of a thread: `("user" | "assistant", text)`, in order."""

    def test_question_and_answer_are_stored_once_in_order(self, user_id: str, colour: Colour) -> None:
        """Turn after turn with a checkpointer, though every turn sees all messages again."""
        agent = self._agent(ScriptedChatModel(script=["first", "second", "third"]))
        for n in range(3):
            run(colour, agent, _asks(f"question {n}"), _config(user_id))
        answers = ("first", "second", "third")
        wanted = [pair for n in range(3) for pair in (("user", f"question {n}"), ("assistant", answers[n]))]
        assert self.stored(user_id, "t") == wanted

    def test_of_a_whole_history_only_the_end_is_new(self, user_id: str, colour: Colour) -> None:
        """Without a checkpointer callers send all that was said, with every turn."""
        agent = self._agent(ScriptedChatModel(script=["a1", "a2"]), checkpointer=None)
        run(colour, agent, _asks("q1"), _config(user_id))
        run(colour, agent, {"messages": [("user", "q1"), ("ai", "a1"), ("user", "q2")]}, _config(user_id))
        wanted = [("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2")]
        assert self.stored(user_id, "t") == wanted

    def test_every_model_call_of_a_turn_sees_the_memories(self, user_id: str, colour: Colour) -> None:
        """Before and after each tool call, in one system message that comes first."""
        self.teach(user_id, self.fact)
        model = ScriptedChatModel(script=[tool_call("look_up"), tool_call("look_up"), "Biscuit."])
        run(colour, self._agent(model), _asks(self.question), _config(user_id))
        assert len(model.requests) == 3
        for request in model.requests:
            assert [type(one) for one in request].count(SystemMessage) == 1
            assert self.clue in request[0].text
        assert self.stored(user_id, "t") == [("user", self.question), ("assistant", "Biscuit.")]

    def test_memories_are_in_no_state_checkpoint_or_stream(self, user_id: str, colour: Colour) -> None:
        """They are for the model's eyes only."""
        self.teach(user_id, self.fact)
        agent = self._agent(ScriptedChatModel(script=["I see."]))
        modes = ["values", "updates", "debug", "tasks", "checkpoints", "messages", "custom"]
        given, config = _asks(self.question), _config(user_id)

        async def streamed() -> list[Any]:
            return [part async for part in agent.astream(given, config, stream_mode=modes)]

        parts = (
            list(agent.stream(given, config, stream_mode=modes))
            if colour == "sync"
            else asyncio.run(streamed())
        )
        assert "I see." in repr(parts)
        assert self.clue not in repr(parts)
        assert self.clue not in repr(list(agent.get_state_history(config)))

    def test_a_resumed_interrupt_stores_nothing_twice_and_still_recalls(
        self, user_id: str, colour: Colour
    ) -> None:
        """Also when another process goes on with the checkpoint."""
        self.teach(user_id, self.fact)
        saver = InMemorySaver()
        model = ScriptedChatModel(script=[tool_call("confirm"), "Biscuit."])
        agent = self._agent(model, checkpointer=saver)
        assert "__interrupt__" in run(colour, agent, _asks(self.question), _config(user_id))
        assert self.stored(user_id, "t") == [("user", self.question)]
        agent = self._agent(model, checkpointer=saver)
        run(colour, agent, Command(resume="yes"), _config(user_id))
        assert self.clue in model.requests[-1][0].text
        assert self.stored(user_id, "t") == [("user", self.question), ("assistant", "Biscuit.")]

    def test_a_failed_model_call_is_resumed_without_storing_the_question_again(
        self, user_id: str, colour: Colour
    ) -> None:
        """By `invoke(None)`, in the same process or in another one."""
        for again_in_another_process in (False, True):
            saver, thread = InMemorySaver(), f"t-{again_in_another_process}"
            model = ScriptedChatModel(script=[RuntimeError("no model"), "here I am"])
            agent = self._agent(model, checkpointer=saver)
            with pytest.raises(RuntimeError, match="no model"):
                run(colour, agent, _asks("anyone?"), _config(user_id, thread))
            if again_in_another_process:
                agent = self._agent(model, checkpointer=saver)
            run(colour, agent, None, _config(user_id, thread))
            assert self.stored(user_id, thread) == [("user", "anyone?"), ("assistant", "here I am")]

    def test_a_sub_agent_that_a_tool_calls_stores_nothing(self, user_id: str, colour: Colour) -> None:
        """A model wrote its question. An agent that is a node of a graph stores what the user says."""
        helper = self._agent(ScriptedChatModel(script=["helper's answer"]), checkpointer=None)

        @tool
        def delegate(task: str) -> str:
            """Has a helper do it."""
            return str(helper.invoke(_asks(task))["messages"][-1].text)

        @tool
        async def adelegate(task: str) -> str:
            """Has a helper do it."""
            return str((await helper.ainvoke(_asks(task)))["messages"][-1].text)

        name = "delegate" if colour == "sync" else "adelegate"
        model = ScriptedChatModel(script=[tool_call(name, task="written by a model"), "done"])
        agent = self._agent(model, tools=[delegate if colour == "sync" else adelegate])
        run(colour, agent, _asks("please"), _config(user_id))
        assert self.stored(user_id, "t") == [("user", "please"), ("assistant", "done")]

    def test_users_and_threads_are_apart(self, user_id: str, colour: Colour) -> None:
        """One agent serves all of them."""
        self.teach(user_id, self.fact)
        model = ScriptedChatModel()
        agent = self._agent(model)
        other = f"{user_id}-other"
        run(colour, agent, _asks(self.question), _config(other))
        assert self.clue not in repr(model.requests[-1])
        run(colour, agent, _asks(self.question), _config(user_id, "t2"))
        assert self.clue in model.requests[-1][0].text
        assert self.stored(other, "t") == [("user", self.question), ("assistant", "answer 1")]
        assert self.stored(user_id, "t2") == [("user", self.question), ("assistant", "answer 2")]

    def test_a_missing_user_is_an_error(self, colour: Colour) -> None:
        """Never a default that users share."""
        with pytest.raises(Exception, match="user"):
            run(colour, self._agent(ScriptedChatModel()), _asks("hi"), {"configurable": {"thread_id": "t"}})

    def _agent(self, model: BaseChatModel, *, checkpointer: Any = "memory", tools: Sequence[Any] = ()) -> Any:
        @tool
        def look_up() -> str:
            """Looks something up."""
            return "found nothing"

        @tool
        def confirm() -> str:
            """Asks the user."""
            return str(interrupt("sure?"))

        return create_agent(
            model,
            tools=[look_up, confirm, *tools],
            middleware=[self.make_middleware()],
            checkpointer=InMemorySaver() if checkpointer == "memory" else checkpointer,
        )


def _asks(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def _config(user_id: str, thread_id: str = "t") -> dict[str, Any]:
    return {"configurable": {"user_id": user_id, "thread_id": thread_id}}
