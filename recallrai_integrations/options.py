"""Options: frozen, keyword-only, checked when they are created.

`RecallOptions` has the ranges of the service, so a wrong value raises an error on your line, and not a 422 in
the middle of a turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any, Literal, TypeAlias, TypedDict, get_args
from zoneinfo import ZoneInfo

from .errors import InvalidInputError
from .hooks import Event, Redaction

__all__ = [
    "ContextOptions",
    "DeliveryOptions",
    "MemoryOptions",
    "Placement",
    "ProcessPolicy",
    "RecallOptions",
    "Strategy",
]

Strategy: TypeAlias = Literal["low_latency", "balanced", "agentic", "auto", "deep"]
Placement: TypeAlias = Literal["system", "user", "split"]
ProcessPolicy: TypeAlias = Literal["every_run", "every_n_turns", "manual"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecallOptions:
    """How the service recalls memories.

    Args:
        strategy: `"low_latency"` (about 0.3 s), `"balanced"` (about 1.2 s), `"agentic"` (5 to 20 s) or
            `"auto"`. `"deep"` is the service's older name for `"agentic"`.
        min_top_k: 5 to 50 memories, not above `max_top_k` (service).
        max_top_k: 10 to 100 memories (service).
        memories_threshold: lowest similarity of a memory, 0.2 to 0.8 (service).
        summaries_threshold: lowest similarity of a conversation summary, 0.2 to 0.8 (service).
        last_n_messages: also the user's last 1 to 100 messages; None for none (service).
        last_n_summaries: also the last 1 to 20 conversation summaries; None for none (service).
        timezone: IANA name for the times in the text, such as `"Europe/Lisbon"`; None is UTC.
        include_system_prompt: put the service's instructions for reading the memories before them.
        fallback_strategy: used for a second recall when the first one finds no memories. If the second finds
            none either, or fails, the first result is kept. None for no second recall.

    Raises:
        InvalidInputError: names the option, its range and the value.

    Example:
        ```python
        from recallrai_integrations import RecallOptions, connect

        quick = RecallOptions(strategy="low_latency", max_top_k=20, timezone="Europe/Lisbon")
        with connect(local=":memory:", recall=quick) as connection:  # for all its conversations
            conversation = connection.conversation("ada", "thread-1")
            conversation.record(("user", "What should I cook?"))
            conversation.recall(options=RecallOptions(strategy="balanced"))  # for this turn
        ```
    """

    strategy: Strategy = "balanced"
    min_top_k: int = 15
    max_top_k: int = 50
    memories_threshold: float = 0.6
    summaries_threshold: float = 0.5
    last_n_messages: int | None = None
    last_n_summaries: int | None = None
    timezone: str | None = None
    include_system_prompt: bool = True
    fallback_strategy: Strategy | None = None

    def __post_init__(self) -> None:
        _check_choice("strategy", self.strategy, get_args(Strategy))
        if self.fallback_strategy is not None:
            _check_choice("fallback_strategy", self.fallback_strategy, get_args(Strategy))
        _check_int("min_top_k", self.min_top_k, 5, 50)
        _check_int("max_top_k", self.max_top_k, 10, 100)
        if self.min_top_k > self.max_top_k:
            raise InvalidInputError(
                f"min_top_k ({self.min_top_k}) must not be above max_top_k ({self.max_top_k})."
            )
        _check_number("memories_threshold", self.memories_threshold, 0.2, 0.8)
        _check_number("summaries_threshold", self.summaries_threshold, 0.2, 0.8)
        if self.last_n_messages is not None:
            _check_int("last_n_messages", self.last_n_messages, 1, 100)
        if self.last_n_summaries is not None:
            _check_int("last_n_summaries", self.last_n_summaries, 1, 20)
        if self.timezone is not None:
            try:
                ZoneInfo(self.timezone)
            except (ValueError, TypeError, OSError, LookupError) as error:
                raise InvalidInputError(
                    f"timezone must be an IANA name such as 'Europe/Lisbon', not {self.timezone!r}."
                ) from error

    @property
    def wire_strategy(self) -> str:
        """The strategy under the name that today's service knows."""
        return "agentic" if self.strategy == "deep" else self.strategy


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextOptions:
    """How recalled memories are put into a prompt.

    Args:
        placement: `"system"` appends instructions and memories to the system prompt, the memories last.
            `"user"` puts the memories into the last user message of this request only. The system prompt and
            the history stay unchanged, so a provider's prefix cache stays valid; the service's long
            instructions are left out, because every turn would pay for them again. `"split"` puts the
            instructions, which are the same in every turn, at the end of the system prompt, and the memories
            into the last user message: the model gets both, and the prefix is cached.
        drop_current_conversation: leave out lines of the ongoing conversation that the same request contains
            as messages.
        max_chars: most characters of the memories, without the instructions; None for no limit.
        max_tokens: the same in tokens; needs `count_tokens`.
        count_tokens: your tokenizer: takes a text and returns the number of tokens.
        compact: leave out older versions that only repeat the memory above them.
        instructions: your own text instead of the service's instructions.

    Raises:
        InvalidInputError: an unknown placement, a limit below 1, a `count_tokens` that is not a function, or
            `max_tokens` without `count_tokens`.

    Example:
        ```python
        from recallrai_integrations import ContextOptions, connect

        with connect(local=":memory:", context=ContextOptions(max_chars=4_000)) as connection:
            conversation = connection.conversation("ada", "thread-1")
            conversation.record(("user", "What should I cook?"))
            recall = conversation.recall()
            print(len(recall.text), recall.omitted)
        ```
    """

    placement: Placement = "system"
    drop_current_conversation: bool = True
    max_chars: int | None = None
    max_tokens: int | None = None
    count_tokens: Callable[[str], int] | None = None
    compact: bool = True
    instructions: str | None = None

    def __post_init__(self) -> None:
        _check_choice("placement", self.placement, get_args(Placement))
        if self.max_chars is not None:
            _check_int("max_chars", self.max_chars, 1)
        _check_function("count_tokens", self.count_tokens)
        if self.max_tokens is not None:
            _check_int("max_tokens", self.max_tokens, 1)
            if self.count_tokens is None:
                raise InvalidInputError(
                    "max_tokens needs count_tokens, a function that counts the tokens of a text."
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryOptions:
    """How messages are delivered to the service, and what happens during an outage.

    Args:
        on_error: during an outage `"degrade"` continues without fresh memories, logs one warning and sends
            the messages later, in order; `"raise"` raises `ServiceUnavailableError` and does not keep the
            message.
        mode: `"inline"` sends before `record` returns; `"background"` queues the message and sends it from
            another thread, so the caller does not wait for an answer to be stored. A recall still waits until
            the user's message is stored, because the service recalls by it.
        outbox: None keeps pending messages in memory; a path keeps them in a SQLite file that survives a
            killed process and that several processes of one machine may share;
            `"postgresql://user@host/database"` keeps them in a database that processes of many machines
            share (extra `postgres`). Not in the repr: a URL may contain a password.
        outbox_limit: most pending messages. When it is reached, `"degrade"` logs an error and drops new
            messages, `"raise"` raises `OutboxFullError`.
        retries: how often a request that may be repeated safely is retried, 0 to 10, with exponential
            backoff and jitter, honouring `Retry-After`.
        retry_budget: seconds that all tries of one request may take together before it counts as an outage.
        settling_time: seconds after which a request without an answer (timed out, cut off, cancelled, sent by
            a process that was killed) can no longer take effect, 0 to 3600. Until then its message is not
            sent again, and the session is read instead. After an error response it is at most 3 seconds. None
            is the connection's timeout plus 3 seconds: the service and the gateways in front of it do not
            work on a request for longer. 0 sends again at once, and may store a message twice.
        recall_deadline: seconds that a turn waits for memories; None waits for the service's timeout. Late
            recalls continue in the background, at most 16 for a connection and 2 for a conversation. While
            this limit is reached, turns continue without fresh memories at once.
        on_deadline: after the deadline `"skip"` continues without memories, `"stale"` with the previous ones
            of this conversation, `"fallback"` with those of low_latency (requested at half of the time). If
            only the recall by `fallback_strategy` is late, the first, empty result is used.
        breaker_threshold: failures in a row after which no requests are sent for a while; a missed
            `recall_deadline` is a failure. Recalls and all other requests are counted separately.
        breaker_reset: longest pause in seconds between two tries of a failing service. The first try comes
            after one second, and the pause doubles while tries fail; only one request at a time tries.
        redact: hook that gets a `Redaction` and returns the text (or metadata) that may leave the process.
        on_event: hook that gets an `Event` whenever something is stored, recalled, retried, degraded …

    Raises:
        InvalidInputError: names the option, its range and the value.

    Example:
        ```python
        from recallrai_integrations import DeliveryOptions, connect

        patient = DeliveryOptions(outbox="outbox.db", recall_deadline=2.0, on_deadline="stale")
        with connect(local=":memory:", delivery=patient) as connection:
            connection.conversation("ada", "thread-1").record(("user", "I moved to Lisbon."))
        ```
    """

    on_error: Literal["degrade", "raise"] = "degrade"
    mode: Literal["inline", "background"] = "inline"
    outbox: str | PathLike[str] | None = field(default=None, repr=False)
    outbox_limit: int = 100_000
    retries: int = 2
    retry_budget: float = 10.0
    settling_time: float | None = None
    recall_deadline: float | None = None
    on_deadline: Literal["skip", "stale", "fallback"] = "skip"
    breaker_threshold: int = 5
    breaker_reset: float = 30.0
    redact: Callable[[Redaction], Any] | None = field(default=None, repr=False)
    on_event: Callable[[Event], object] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _check_choice("on_error", self.on_error, ("degrade", "raise"))
        _check_choice("mode", self.mode, ("inline", "background"))
        _check_choice("on_deadline", self.on_deadline, ("skip", "stale", "fallback"))
        if self.outbox is not None:
            try:
                path = fspath(self.outbox)
            except TypeError as error:
                raise InvalidInputError(f"outbox must be a path or None, not {self.outbox!r}.") from error
            if not path:
                raise InvalidInputError("outbox must be a path or None, not an empty text.")
        _check_int("outbox_limit", self.outbox_limit, 1)
        _check_int("retries", self.retries, 0, 10)
        _check_number("retry_budget", self.retry_budget, 0.0, 3600.0)
        if self.settling_time is not None:
            _check_number("settling_time", self.settling_time, 0.0, 3600.0)
        if self.recall_deadline is not None:
            _check_positive("recall_deadline", self.recall_deadline)
        _check_int("breaker_threshold", self.breaker_threshold, 1)
        _check_positive("breaker_reset", self.breaker_reset)
        _check_function("redact", self.redact)
        _check_function("on_event", self.on_event)


class MemoryOptions(TypedDict, total=False):
    """The keyword arguments that the automatic memories of all frameworks share.

    Attributes:
        recall: how to recall; replaces the connection's options.
        context: how memories are put into the prompt; replaces the connection's options.
        metadata: JSON metadata for new sessions. This package uses the key `thread_id`.
        process: when the session is turned into memories. None, the default: after each run without a thread,
            otherwise by `finish()` or the service's inactivity timer. See `Connection.conversation`.
        process_every: n of `process="every_n_turns"`, at least 1; 10 by default.
        auto_process_after_seconds: inactivity after which the service processes a session, at least 600
            (service), which is the default.

    Example:
        ```python
        from recallrai_integrations import MemoryOptions, RecallOptions
        from recallrai_integrations.langchain import RecallrAIMiddleware

        options: MemoryOptions = {"recall": RecallOptions(strategy="low_latency"), "process": "every_run"}
        middleware = RecallrAIMiddleware(user_id="ada", **options)
        ```
    """

    recall: RecallOptions | None
    context: ContextOptions | None
    metadata: Mapping[str, Any] | None
    process: ProcessPolicy | None
    process_every: int
    auto_process_after_seconds: int


def is_url(outbox: str | PathLike[str] | None) -> bool:
    """Whether an outbox is named by a URL of PostgreSQL, and not by a path."""
    return isinstance(outbox, str) and outbox.startswith(("postgresql://", "postgres://"))


def is_number(value: object) -> bool:
    """Returns whether a value is a number; `True` is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidInputError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}.")


def _check_int(name: str, value: object, low: int, high: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low or (high and value > high):
        span = f"from {low} to {high}" if high else f"of at least {low}"
        raise InvalidInputError(f"{name} must be a whole number {span}, not {value!r}.")


def _check_number(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidInputError(f"{name} must be a number from {low} to {high}, not {value!r}.")


def _check_positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise InvalidInputError(f"{name} must be a number of seconds above 0, not {value!r}.")


def _check_function(name: str, value: object) -> None:
    if value is not None and not callable(value):
        raise InvalidInputError(f"{name} must be a function or None, not {value!r}.")
