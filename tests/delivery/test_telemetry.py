"""Spans, metrics and events; no text in them unless asked, and no key or user id ever."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from recallrai_integrations import Connection, Event
from recallrai_integrations.errors import ServiceUnavailableError
from recallrai_integrations.local import LocalRecallrAI
from tests.conftest import Call

Make = Callable[..., Connection]


class Recorded:
    """What an application's exporters would get."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider(metric_readers=[self.reader])

    def ours(self) -> list[ReadableSpan]:
        """Without those that the local service's framework makes in this process."""
        return [
            span
            for span in self.exporter.get_finished_spans()
            if span.instrumentation_scope is not None
            and span.instrumentation_scope.name == "recallrai_integrations"
        ]

    def spans(self) -> list[tuple[str, dict[str, Any]]]:
        return [(span.name, dict(span.attributes or {})) for span in self.ours()]

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def everything(self) -> str:
        spans = "".join(span.to_json() for span in self.ours())
        data = self.reader.get_metrics_data()
        return spans + (data.to_json() if data is not None else "")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    made = Recorded()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: made.tracers)
    monkeypatch.setattr(metrics, "get_meter", made.meters.get_meter)
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


async def a_turn(connection: Connection, call: Call) -> None:
    conversation = connection.conversation("secret-user", "t1")
    await call(conversation.record, ("user", "my secret is a rose"))
    await call(conversation.recall)
    await call(conversation.finish)
    await call(connection.forget, "secret-user", thread_id="t1")


async def test_operations_are_spans_and_durations_without_texts_users_or_keys(
    recorded: Recorded, make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    await a_turn(make_connection(), call)
    spans = recorded.spans()
    assert [name for name, _ in spans] == ["upsert_memory", "search_memory", "create_memory", "delete_memory"]
    for name, attributes in spans:
        assert attributes["gen_ai.operation.name"] == name
        assert attributes["gen_ai.provider.name"] == "recallrai"
        assert attributes["gen_ai.conversation.id"] == "t1"
        assert attributes["server.address"] == "127.0.0.1"
        assert f"http://127.0.0.1:{attributes['server.port']}" == server.base_url
    recall = dict(spans)["search_memory"]
    assert (recall["recallrai.memories"], recall["recallrai.degraded"]) == (0, False)
    durations = recorded.points("gen_ai.client.operation.duration")
    assert sorted(point.attributes["gen_ai.operation.name"] for point in durations) == sorted(dict(spans))
    events = {
        point.attributes["recallrai.event"]: point.value
        for point in recorded.points("recallrai.client.events")
    }
    assert events["stored"] == events["recalled"] == events["forgotten"] == 1
    for secret in ("rose", "secret-user", server.api_key):
        assert secret not in recorded.everything()


async def test_texts_are_recorded_only_when_asked_for_by_the_usual_variable(
    recorded: Recorded, make_connection: Make, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    await a_turn(make_connection(), call)
    spans = dict(recorded.spans())
    assert json.loads(spans["upsert_memory"]["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "my secret is a rose"}]}
    ]
    assert spans["search_memory"]["recallrai.context"]


async def test_an_error_ends_a_span_with_its_type_and_without_its_text(
    recorded: Recorded, make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    connection = make_connection(deliver={"on_error": "raise", "retries": 0})
    server.faults.add(status=503, body={"detail": "quoting a rose"})
    with pytest.raises(ServiceUnavailableError):
        await call(connection.conversation("ada", "t1").record, ("user", "rose"))
    ((_, attributes),) = recorded.spans()
    assert attributes["error.type"] == "ServiceUnavailableError"
    (point,) = recorded.points("gen_ai.client.operation.duration")
    assert point.attributes["error.type"] == "ServiceUnavailableError"
    assert "rose" not in recorded.everything()


def test_without_opentelemetry_everything_works() -> None:
    program = """
import sys
sys.modules["opentelemetry"] = None
from recallrai_integrations._engine.telemetry import Telemetry
telemetry = Telemetry("https://example.org")
with telemetry.operation("record", "t1") as operation:
    operation.annotate(messages=1)
    operation.annotate_context("rose")
telemetry.count("stored")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


async def test_events_tell_what_happened_and_never_a_text(
    make_connection: Make, server: LocalRecallrAI, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Event] = []
    connection = make_connection(deliver={"on_event": events.append, "retries": 1})
    server.faults.add(path="*/add-message", status=429, times=1)
    server.faults.add(path="*/context", status=503)
    with caplog.at_level("DEBUG", logger="recallrai_integrations"):
        await a_turn(connection, call)
    kinds = [event.kind for event in events]
    assert kinds[0] == "session_opened"
    assert {"retried", "stored", "degraded", "recalled", "processed", "forgotten"} <= set(kinds)
    assert "rose" not in repr(events) + caplog.text
    assert server.api_key not in repr(events) + caplog.text


async def test_a_hook_that_fails_is_logged_and_disturbs_nothing(
    make_connection: Make, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(event: Event) -> None:
        raise ZeroDivisionError

    connection = make_connection(deliver={"on_event": hook})
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "hi"))
    assert len(await call(conversation.history)) == 1
    assert "on_event hook failed" in caplog.text
