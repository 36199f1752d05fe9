"""Our LangChain middleware and chain, and the same two without us."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import PrivateAttr
from recallrai.models import MessageRole

from bench import dialogue, sdk
from bench.chats.base import Chat, Recorder
from bench.chats.ours import Setting
from bench.service import StandIn
from recallrai_integrations.langchain import RecallrAIMiddleware, with_recallrai_memory


class RecordingModel(BaseChatModel):
    """Answers a question by calling the tool it has, if any, and a tool's result by the turn's answer."""

    _recorder: Recorder = PrivateAttr()
    _calls_tool: bool = PrivateAttr(default=False)

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    @property
    def _llm_type(self) -> str:
        return "recorder"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> RecordingModel:
        bound = RecordingModel(self._recorder)
        bound._calls_tool = bool(tools)
        return bound

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        text = self._recorder.answer((one.type, str(one.text)) for one in messages)
        answer = AIMessage(text)
        if self._calls_tool and isinstance(messages[-1], HumanMessage):
            call = {"name": "look_up", "args": {"what": "trains"}, "id": uuid.uuid4().hex}
            answer = AIMessage("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=answer)])


class CallsMiddleware(AgentMiddleware):
    """The least that any memory does in an agent's hooks: the calls, and the context behind the prompt.

    What our middleware is compared with: LangGraph makes a node of each hook, and a call costs more from
    within one than it does by itself. Both are the framework's price.
    """

    def __init__(self, service: StandIn) -> None:
        super().__init__()
        self._session = sdk.client(service).create_user(uuid.uuid4().hex).create_session()
        self._context = ""

    def before_model(self, state: Any, *_: Any) -> None:
        last = state["messages"][-1]
        if isinstance(last, HumanMessage):
            self._session.add_message(MessageRole.USER, last.text)
            self._context = self._session.get_context(**sdk.CONTEXT).context or ""

    def after_agent(self, state: Any, *_: Any) -> None:
        self._session.add_message(MessageRole.ASSISTANT, state["messages"][-1].text)

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        told = SystemMessage(f"{request.system_message.text}\n\n{self._context}")
        return handler(request.override(system_message=told))


@tool
def look_up(what: str) -> str:
    """Looks something up."""
    return f"Nothing new about {what}."


@contextmanager
def agent(
    setting: Setting,
    recorder: Recorder,
    *,
    tool: bool = False,
) -> Iterator[Chat]:
    """`create_agent` with our middleware and a checkpointer."""
    with setting.connect() as connection:
        middleware = RecallrAIMiddleware(connection, user_id=uuid.uuid4().hex)
        yield Chat(_agent_turn(recorder, [middleware], tool=tool), connection.flush)


@contextmanager
def agent_calls(service: StandIn, recorder: Recorder, *, tool: bool = False) -> Iterator[Chat]:
    """The agent with the SDK's calls in its hooks, and no more."""
    yield Chat(_agent_turn(recorder, [CallsMiddleware(service)], tool=tool))


@contextmanager
def chain(setting: Setting, recorder: Recorder) -> Iterator[Chat]:
    """A prompt and a model with our wrapper; the application keeps the history of the thread."""
    with setting.connect() as connection:
        runnable = with_recallrai_memory(
            _chain(recorder),
            connection=connection,
            user_id=uuid.uuid4().hex,
            thread_id="thread",
            input_messages_key="question",
        )
        yield Chat(_chain_turn(runnable), connection.flush)


@contextmanager
def chain_alone(recorder: Recorder) -> Iterator[Chat]:
    """The chain itself."""
    yield Chat(_chain_turn(_chain(recorder)))


def _agent_turn(recorder: Recorder, middleware: Sequence[Any], *, tool: bool) -> Callable[[int], object]:
    made = create_agent(
        RecordingModel(recorder),
        tools=[look_up] if tool else [],
        system_prompt=dialogue.APP_PROMPT,
        middleware=middleware,
        checkpointer=InMemorySaver(),
    )
    config: Any = {"configurable": {"thread_id": "thread"}}
    return lambda n: made.invoke({"messages": [HumanMessage(dialogue.question(n))]}, config)


def _chain(recorder: Recorder) -> Runnable[Any, Any]:
    prompt = ChatPromptTemplate.from_messages(
        [("system", dialogue.APP_PROMPT), MessagesPlaceholder("history"), ("human", "{question}")]
    )
    return prompt | RecordingModel(recorder)


def _chain_turn(runnable: Runnable[Any, Any]) -> Callable[[int], object]:
    history: list[BaseMessage] = []

    def turn(n: int) -> None:
        question = dialogue.question(n)
        answer = runnable.invoke({"question": question, "history": list(history)})
        history.extend([HumanMessage(question), answer])

    return turn
