"""Options: frozen, keyword-only, checked when they are made.

The ranges of `RecallOptions` are the service's own, so that a wrong value is an error on your line and not
a 422 in the middle of a turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo

from .errors import InvalidInputError
from .hooks import Event, Redaction

__all__ = ["ContextOptions", "DeliveryOptions", "Placement", "ProcessPolicy", "RecallOptions", "Strategy"]

Strategy: TypeAlias = Literal["low_latency", "balanced", "agentic", "auto", "deep"]
Placement: TypeAlias = Literal["system", "user", "split"]
ProcessPolicy: TypeAlias = Literal["every_run", "every_n_turns", "manual"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecallOptions:
    """What is asked of the service when memories are recalled.

    Args:
        strategy: `"low_latency"` (about 0.3 s), `"balanced"` (about 1.2 s), `"agentic"` (5 to 20 s) or
            `"auto"`. `"deep"` is the service's older name of agentic and means the same.
        min_top_k: 5 to 50 memories, not above `max_top_k` (service).
        max_top_k: 10 to 100 memories (service).
        memories_threshold: lowest similarity of a memory, 0.2 to 0.8 (service).
        summaries_threshold: lowest similarity of a conversation summary, 0.2 to 0.8 (service).
        last_n_messages: also the user's last 1 to 100 messages; None for none (service).
        last_n_summaries: also the last 1 to 20 conversation summaries; None for none (service).
        timezone: IANA name for the times in the text, such as `"Europe/Lisbon"`; None is UTC.
        include_system_prompt: put the service's instructions on how to read the memories before them.
        fallback_strategy: asked once more when the first strategy recalls no memories; the first answer stays
            when this one brings no more, or fails. None for no second try.

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
        placement: `"system"` appends instructions and memories to the system prompt, the memories last;
            `"user"` leaves the system prompt and the history as they are, so that a provider's prefix cache
            survives, and puts the memories into the last user message of this request only. The service's
            long instructions are left out then, since they would be paid anew in every turn. `"split"` puts
            the instructions, which are the same in every turn, at the end of the system prompt and the
            memories into the last user message: both are read, and the prefix is cached.
        drop_current_conversation: leave out lines of the ongoing conversation that the framework sends as
            messages in the same request.
        max_chars: upper bound of the memories in characters, instructions not counted; None for no bound.
        max_tokens: the same in tokens; needs `count_tokens`.
        count_tokens: your tokenizer: text in, number of tokens out.
        compact: leave out version histories that only repeat the memory above them.
        instructions: your own text in place of the service's instructions.

    Raises:
        InvalidInputError: for an unknown placement, a bound below 1, a `count_tokens` that is no function, or
            `max_tokens` without one.

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
                raise InvalidInputError("max_tokens needs count_tokens, a function from text to its tokens.")


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryOptions:
    """How messages get to the service, and what happens when it does not answer.

    Args:
        on_error: in an outage `"degrade"` goes on without fresh memories, logs one warning and sends what
            waits later, in order; `"raise"` raises `ServiceUnavailableError` and leaves the message to you.
        mode: `"inline"` sends before `record` returns; `"background"` takes the message and sends it from a
            worker thread, so that storing an answer costs the caller nothing. A recall still waits for the
            user's message to be stored, because the service recalls by it.
        outbox: None keeps what waits in memory; a path keeps it in a SQLite file that survives a killed
            process and may be shared by several processes of one machine; `"postgresql://user@host/database"`
            keeps it in a database that processes of many machines share (extra `postgres`). Not in the repr:
            a URL may hold a password.
        outbox_limit: most messages that may wait. Past it `"degrade"` refuses new ones with an error in the
            log, `"raise"` raises `OutboxFullError`.
        retries: how often a request that may be repeated safely is tried again, 0 to 10, with exponential
            backoff and jitter, honouring `Retry-After`.
        retry_budget: seconds that all tries of one request may take together before it counts as an outage.
        settling_time: seconds after which a request without an answer (timed out, cut off, cancelled, sent by
            a process that was killed) can no longer take effect, 0 to 3600. Its message is not sent again
            sooner; meanwhile the session is read again. After an error was answered, 3 of them at most. None
            takes the connection's timeout and 3 seconds: the service and the gateways before it work on no
            request for longer. 0 sends again at once, and may store a message twice.
        recall_deadline: seconds a turn waits for memories; None waits for the service's timeout. Recalls that
            are late go on beside the turns, at most 16 for a connection and 2 for a conversation; while so
            many do, a turn goes on without fresh memories at once.
        on_deadline: past it, `"skip"` goes on without memories, `"stale"` with the last ones of this
            conversation, `"fallback"` with those of low_latency (asked when half of the time is over). An
            answer without memories whose `fallback_strategy` is late counts in any case.
        breaker_threshold: failures in a row after which requests are no longer tried; a missed
            `recall_deadline` is one. Recalls and all other requests are counted apart.
        breaker_reset: seconds between two tries of a service that fails, at most. The first try comes after
            one second, and the pause doubles while tries fail; one request at a time tries.
        redact: hook that gets one `Redaction` and returns the text (or metadata) that may leave the process.
        on_event: hook that gets one `Event` for whatever is stored, recalled, retried, degraded …

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


def is_url(outbox: str | PathLike[str] | None) -> bool:
    """Whether an outbox is named by a URL of PostgreSQL, and not by a path."""
    return isinstance(outbox, str) and outbox.startswith(("postgresql://", "postgres://"))


def is_number(value: object) -> bool:
    """Whether it is a number; `True` is not one."""
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
