"""OpenTelemetry spans and metrics, where opentelemetry-api is installed; nothing at all where it is not.

By the semantic conventions for generative AI (still in development there), as far as they go:

| what | span, kind client | `gen_ai.operation.name` |
|---|---|---|
| `record` | `upsert_memory` | `upsert_memory` |
| `recall` | `search_memory` | `search_memory` |
| `finish` | `create_memory` | `create_memory` |
| `forget` | `delete_memory` | `delete_memory` |

Attributes: `gen_ai.provider.name` (`recallrai`), `gen_ai.conversation.id` (the thread), `server.address`,
`server.port`, `error.type`; ours: `recallrai.messages`, `recallrai.memories`, `recallrai.strategy`,
`recallrai.degraded`. Metrics: `gen_ai.client.operation.duration` (histogram, seconds) and
`recallrai.client.events` (counter by `recallrai.event`, the kinds of `Event`). Of the outbox, by
`recallrai.project`: `recallrai.outbox.waiting`, `recallrai.outbox.oldest` (seconds) and
`recallrai.outbox.claims`, gauges; all who share an outbox tell the same of it.

No message text and no memory is recorded, unless the application asks for it in OpenTelemetry's own way:
`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true` puts `gen_ai.input.messages` on `upsert_memory` and
`recallrai.context` on `search_memory`. User ids and keys are never recorded.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from recallrai_integrations._version import __version__
from recallrai_integrations.messages import Message
from recallrai_integrations.outbox import Figures

__all__ = ["Operation", "Telemetry"]

_SCOPE: Final = "recallrai_integrations"
_CAPTURE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_OPERATIONS: Final = {
    "record": "upsert_memory",
    "recall": "search_memory",
    "finish": "create_memory",
    "forget": "delete_memory",
}
_GAUGES: Final[tuple[tuple[str, str, str, Callable[[Figures], float | None]], ...]] = (
    ("recallrai.outbox.waiting", "{message}", "What waits for the project.", lambda one: one.waiting),
    ("recallrai.outbox.oldest", "s", "Age of the oldest that waits.", lambda one: one.oldest_seconds),
    ("recallrai.outbox.claims", "{conversation}", "Conversations being delivered.", lambda one: one.claims),
)
_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)

OperationName = Literal["record", "recall", "finish", "forget"]


class Operation:
    """One operation being traced; figures are noted on its span."""

    def __init__(self, span: Any, *, with_texts: bool) -> None:
        self._span = span
        self._with_texts = with_texts

    def annotate(self, **figures: str | float | bool) -> None:
        """Notes figures under `recallrai.`."""
        if self._span is not None:
            self._span.set_attributes({f"recallrai.{name}": value for name, value in figures.items()})

    def annotate_messages(self, messages: Sequence[Message]) -> None:
        """Notes what is recorded: how many, and their texts only if these were asked for."""
        self.annotate(messages=len(messages))
        if self._span is not None and self._with_texts:
            said = [
                {"role": one.role, "parts": [{"type": "text", "content": one.content}]} for one in messages
            ]
            self._span.set_attribute("gen_ai.input.messages", json.dumps(said, ensure_ascii=False))

    def annotate_context(self, context: str) -> None:
        """Notes what was recalled, if texts were asked for."""
        if self._with_texts:
            self.annotate(context=context)


_NOT_OBSERVED: Final = nullcontext(Operation(None, with_texts=False))


class Telemetry:
    """Traces and measures the operations of one connection.

    Args:
        base_url: of the service.
    """

    def __init__(self, base_url: str) -> None:
        where = urlsplit(base_url)
        self._attributes: dict[str, Any] = {
            "gen_ai.provider.name": "recallrai",
            "server.address": where.hostname or "",
            "server.port": where.port or (443 if where.scheme == "https" else 80),
        }
        self._trace, metrics = _api()
        if self._trace is not None:
            self._observation = metrics.Observation
            self._meter = meter = metrics.get_meter(_SCOPE, __version__)
            self._tracer = self._trace.get_tracer(_SCOPE, __version__)
            self._durations = meter.create_histogram(
                "gen_ai.client.operation.duration",
                unit="s",
                description="GenAI operation duration.",
                explicit_bucket_boundaries_advisory=_SECONDS,
            )
            self._events = meter.create_counter(
                "recallrai.client.events", unit="{event}", description="What happened, by recallrai.event."
            )

    def operation(self, name: OperationName, thread_id: str | None) -> AbstractContextManager[Operation]:
        """A span around an operation; an error ends it with `error.type`."""
        return _NOT_OBSERVED if self._trace is None else self._observed(name, thread_id)

    @contextmanager
    def _observed(self, name: OperationName, thread_id: str | None) -> Generator[Operation]:
        attributes = {**self._attributes, "gen_ai.operation.name": _OPERATIONS[name]}
        started = time.perf_counter()
        with self._span(attributes, thread_id) as span:
            recording = span is not None and span.is_recording()
            try:
                yield Operation(span, with_texts=recording and _texts_are_wanted())
            except BaseException as error:
                attributes["error.type"] = type(error).__name__
                if span is not None:
                    span.set_attribute("error.type", attributes["error.type"])
                    span.set_status(self._trace.StatusCode.ERROR)
                raise
            finally:
                self._durations.record(time.perf_counter() - started, attributes)

    def _span(self, attributes: dict[str, Any], thread_id: str | None) -> AbstractContextManager[Any]:
        """A span; None while the application has set up no tracing, since spans of nobody cost time too."""
        if isinstance(self._trace.get_tracer_provider(), self._trace.ProxyTracerProvider):
            return nullcontext()
        thread = {} if thread_id is None else {"gen_ai.conversation.id": thread_id}
        span: AbstractContextManager[Any] = self._tracer.start_as_current_span(
            attributes["gen_ai.operation.name"],
            kind=self._trace.SpanKind.CLIENT,
            attributes={**attributes, **thread},
            record_exception=False,  # an error's text may quote what was sent
            set_status_on_exception=False,
        )
        return span

    def observe_outbox(self, project: str, figures: Callable[[], Figures | None]) -> None:
        """Has the figures of an outbox read whenever metrics are collected.

        Args:
            project: whose messages wait there.
            figures: the figures; None when there are none at the moment.
        """
        if self._trace is None:
            return
        attributes = {**self._attributes, "recallrai.project": project}
        for name, unit, description, of in _GAUGES:

            def observe(_: Any, of: Callable[[Figures], float | None] = of) -> list[Any]:
                found = figures()
                value = None if found is None else of(found)
                return [] if value is None else [self._observation(value, attributes)]

            self._meter.create_observable_gauge(name, [observe], unit=unit, description=description)

    def count(self, kind: str) -> None:
        """Counts an event."""
        if self._trace is not None:
            self._events.add(1, {**self._attributes, "recallrai.event": kind})


def _api() -> tuple[Any, Any]:
    """`opentelemetry.trace` and `opentelemetry.metrics`, or None twice where they are not installed."""
    try:
        from opentelemetry import metrics, trace  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        return None, None
    return trace, metrics


def _texts_are_wanted() -> bool:
    return os.environ.get(_CAPTURE, "").lower() in {"true", "span_only", "span_and_event"}
