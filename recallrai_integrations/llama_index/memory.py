"""`RecallrAIMemory`: the `memory=` of chat engines and agents."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any, Literal, cast

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory.memory import InsertMethod
from typing_extensions import Unpack, override

from recallrai_integrations.adapter import Binding, Steps
from recallrai_integrations.connection import Connection
from recallrai_integrations.errors import MissingIdentityError
from recallrai_integrations.options import MemoryOptions

from ._base import DEFAULT_TOKEN_LIMIT, TranscriptMemory
from ._prompt import Tokenizer, default_tokenizer
from ._settings import Settings, arguments, check
from ._snapshot import load_transcript
from ._transcript import Transcript

__all__ = ["RecallrAIMemory"]


class RecallrAIMemory(TranscriptMemory):
    """The memory of a chat engine or agent: its history in full here, what was said in RecallrAI.

    Every turn of the user is recalled for once, by the user's own words, and the memories are put into that
    request only: never into the history. The service is told the user's words and the final answers, not an
    agent's tool calls, tool results and reasoning.

    A memory holds one conversation. Give it a `thread_id` to go on with a conversation that another request
    or process began: its latest 500 messages are read when they are first needed. Nothing tells a memory that
    a conversation has ended, so call `finish()` or use it as a context manager; otherwise the service makes
    memories of it after `auto_process_after_seconds` of silence.

    In an outage chat goes on without fresh memories (`on_error="degrade"`), and the history of a memory made
    meanwhile is what this process knows of the thread, until the service can be read. With
    `on_error="raise"`, and for refused credentials always, a call with the user's message raises and leaves
    the message to the caller; putting an answer never raises, since that would destroy a stream: it is logged
    and told with the next message.

    Engines treat system messages differently: a `ReActAgent` without a `system_prompt` and every
    `CodeActAgent` drop them, so use `insert_method="user"` there. The model that answers in a
    `CondenseQuestionChatEngine` is not given the history at all.

    An engine puts its own `system_prompt`, and what its retriever found, before all that a memory brings, and
    does not show it to the memory. So with `"system"` the memories are a second system message behind the
    engine's. For a model that takes only one, use `insert_method="user"`, or give the prompt to the memory
    and none to the engine: `memory.set([ChatMessage("Be kind.", role="system"), *memory.get_all()])`. The
    memories are then put into it, and it is not sent to RecallrAI.

    Args:
        user_id: the application's id of the user.
        thread_id: the application's id of the conversation; None for a new one, whose id is then made up and
            can be read from `memory.thread_id`.
        connection: where to keep it; None connects with the environment's credentials at the first use.
        insert_method: `"system"` puts memories into the history's first system message, or a new one;
            `"user"` before the user's words, or, in engines that add these only afterwards, into a user
            message of their own. It is the framework's name of `ContextOptions.placement` and wins over it;
            None goes by the placement. An explicit `"system"` beside `placement="user"` is an error.
        token_limit: tokens of history and memories in one request, at least 1; whole turns are left out,
            the oldest first, and the latest always stays.
        narration: also store what an agent says while it calls tools.
        resume: read a thread's earlier messages; False begins with an empty history.
        chat_history: messages so far. Those that the service does not hold yet are stored at the first use.
        tokenizer_fn: text in, tokens out; the framework's own by default.
        **options: recall, context, metadata, process, process_every, auto_process_after_seconds; see
            `MemoryOptions`. `process="every_run"` and `"every_n_turns"` have the session
            processed after answers; by default, and with `"manual"`, answers end nothing.

    Raises:
        MissingIdentityError: no user id.
        InvalidInputError: an option that cannot be.

    Example:
        ```python
        from llama_index.core.chat_engine import SimpleChatEngine
        from llama_index.core.llms import MockLLM

        from recallrai_integrations import connect
        from recallrai_integrations.llama_index import RecallrAIMemory

        with connect(local=":memory:") as connection:
            with RecallrAIMemory("ada", "thread-1", connection=connection) as memory:
                engine = SimpleChatEngine.from_defaults(llm=MockLLM(), memory=memory)
                print(engine.chat("My dog is called Biscuit."))
        ```
    """

    def __init__(
        self,
        user_id: str,
        thread_id: str | None = None,
        *,
        connection: Connection | None = None,
        insert_method: Literal["system", "user"] | InsertMethod | None = None,
        token_limit: int = DEFAULT_TOKEN_LIMIT,
        narration: bool = False,
        resume: bool = True,
        chat_history: Sequence[ChatMessage] | None = None,
        tokenizer_fn: Tokenizer | None = None,
        **options: Unpack[MemoryOptions],
    ) -> None:
        method = insert_method.value if isinstance(insert_method, InsertMethod) else insert_method
        check(method, options.get("context"), token_limit)
        binding = Binding.of(connection, where="RecallrAIMemory(user_id=…)", **options)
        settings = Settings(binding, narration=narration, resume=resume)
        thread = settings.new_thread_id() if thread_id is None else thread_id
        identity = settings.identity(user_id, thread)
        fields: dict[str, Any] = {
            "user_id": identity.user_id,
            "thread_id": identity.thread_id,
            "token_limit": token_limit,
            "insert_method": method,
            "tokenizer_fn": tokenizer_fn or default_tokenizer(),
        }
        super().__init__(**fields)
        self._settings, self._transcript = settings, settings.transcript(identity)
        if chat_history:
            self._transcript.replace(chat_history)

    @classmethod
    @override
    def class_name(cls) -> str:
        return "RecallrAIMemory"

    @classmethod
    @override
    def from_defaults(cls, **kwargs: Any) -> RecallrAIMemory:
        """The same as the constructor; `llm`, which some engines pass, gives the token limit.

        Raises:
            MissingIdentityError: no user id, as from `memory_cls=RecallrAIMemory`; use `bound(…)` there.
        """
        if kwargs.get("user_id") is None:
            raise MissingIdentityError(
                "RecallrAIMemory has no user id. Pass user_id=…, or, for an engine's memory_cls, "
                "memory_cls=RecallrAIMemory.bound(user_id=…, thread_id=…)."
            )
        llm = kwargs.pop("llm", None)
        if llm is not None and kwargs.get("token_limit") is None:
            kwargs["token_limit"] = int(llm.metadata.context_window * 0.75)
        return cls(**{name: value for name, value in kwargs.items() if value is not None})

    @classmethod
    def bound(cls, **options: Any) -> type[RecallrAIMemory]:
        """A class for `memory_cls=` whose memories are made with these options of the constructor.

        What is given here wins over what an engine passes.
        """

        def from_defaults(_: type[RecallrAIMemory], /, **kwargs: Any) -> RecallrAIMemory:
            return cls.from_defaults(**{**kwargs, **options})

        members = {"__module__": cls.__module__, "from_defaults": classmethod(from_defaults)}
        return cast(
            "type[RecallrAIMemory]",
            types.new_class(cls.__name__, (cls,), {}, lambda own: own.update(members)),
        )

    # --- what engines and agents call

    @override
    def get(self, input: str | None = None, initial_token_count: int = 0, **kwargs: Any) -> list[ChatMessage]:
        """The messages for the model: the history within `token_limit`, with memories for this turn.

        Args:
            input: the user's question, where the engine has not put it yet; it is stored at once then.
            initial_token_count: tokens that the engine's own prompt takes.
            kwargs: taken and not used; engines and blocks of the framework pass more.

        Raises:
            ServiceUnavailableError: an outage with `on_error="raise"`.
            CredentialsError: refused by the service.
        """
        turn = self._run(lambda transcript: self._ask(transcript, input))
        return self._assemble(turn, initial_token_count)

    @override
    async def aget(
        self, input: str | None = None, initial_token_count: int = 0, **kwargs: Any
    ) -> list[ChatMessage]:
        """The async twin of `get`."""
        turn = await self._arun(lambda transcript: self._ask(transcript, input))
        return self._assemble(turn, initial_token_count)

    @override
    def get_all(self) -> list[ChatMessage]:
        """The whole history, without memories, as copies."""
        if not self._own().history.is_read:
            self._run(Transcript.ready)
        return self._own().messages()

    @override
    async def aget_all(self) -> list[ChatMessage]:
        """The async twin of `get_all`."""
        if not self._own().history.is_read:
            await self._arun(Transcript.ready)
        return self._own().messages()

    @override
    def put(self, message: ChatMessage) -> None:
        """Takes a message, and stores what the user or the assistant said in it."""
        self.put_messages([message])

    @override
    async def aput(self, message: ChatMessage) -> None:
        """The async twin of `put`."""
        await self.aput_messages([message])

    @override
    def put_messages(self, messages: list[ChatMessage]) -> None:
        """Takes messages in order; see `put`."""
        if messages:
            self._run(lambda transcript: transcript.put(messages))
            self._warn_of_stripping()

    @override
    async def aput_messages(self, messages: list[ChatMessage]) -> None:
        """The async twin of `put_messages`."""
        if messages:
            await self._arun(lambda transcript: transcript.put(messages))
            self._warn_of_stripping()

    @override
    def set(self, messages: list[ChatMessage]) -> None:
        """Takes a history in place of its own, and stores what the service does not hold of it yet.

        A history that was trimmed, or rewound to an earlier turn, is recognised: nothing is stored twice, and
        nothing is deleted.
        """
        self._run(lambda transcript: _set(transcript, messages))

    @override
    async def aset(self, messages: list[ChatMessage]) -> None:
        """The async twin of `set`."""
        await self._arun(lambda transcript: _set(transcript, messages))

    @override
    def reset(self) -> None:
        """Ends the conversation and empties the history; the next message opens a new session.

        The session is processed. Nothing is deleted: it is only marked as no longer part of the thread.
        """
        self._run(self._clear)

    @override
    async def areset(self) -> None:
        """The async twin of `reset`."""
        await self._arun(self._clear)

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return (RecallrAIMemory.from_dict, (self.to_dict(),))

    @classmethod
    @override
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> RecallrAIMemory:
        """The twin of `to_dict`.

        The connection is the same one in the process that made the dict; another process connects with the
        environment's credentials at the first use, and a `CredentialsError` there says which are missing.
        `connection=` gives one.
        """
        values = arguments({**data, **kwargs})
        transcript, made_up = values.pop("transcript", None), values.pop("made_up", None)
        values.pop("class_name", None)
        memory = RecallrAIMemory(**values)
        memory._settings.made_up = made_up
        if transcript is not None:
            load_transcript(memory._transcript, transcript)
        return memory


def _set(transcript: Transcript, messages: Sequence[ChatMessage]) -> Steps[None]:
    transcript.replace(messages)
    yield from transcript.ready()
