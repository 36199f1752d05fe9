"""Options are checked on the line that makes them, with the service's own ranges."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from recallrai_integrations import (
    ContextOptions,
    DeliveryOptions,
    InvalidInputError,
    MemoryOptions,
    RecallOptions,
)
from recallrai_integrations.adapter import Binding


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("min_top_k", 5, 50),
        ("max_top_k", 10, 100),
        ("memories_threshold", 0.2, 0.8),
        ("summaries_threshold", 0.2, 0.8),
        ("last_n_messages", 1, 100),
        ("last_n_summaries", 1, 20),
    ],
)
def test_recall_ranges_are_the_services(name: str, low: float, high: float) -> None:
    fitting = {"min_top_k": 5, "max_top_k": 100} if name.endswith("top_k") else {}
    step = 1 if isinstance(low, int) else 0.01
    for good in (low, high):
        assert getattr(RecallOptions(**{**fitting, name: good}), name) == good
    for bad in (low - step, high + step, "7", True, None if "last" not in name else 0):
        with pytest.raises(InvalidInputError, match=name):
            RecallOptions(**{**fitting, name: bad})


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (RecallOptions, {"strategy": "fast"}),
        (RecallOptions, {"fallback_strategy": "fast"}),
        (RecallOptions, {"timezone": "Mars/Olympus"}),
        (RecallOptions, {"min_top_k": 40, "max_top_k": 20}),
        (ContextOptions, {"placement": "footer"}),
        (ContextOptions, {"max_chars": 0}),
        (ContextOptions, {"max_tokens": 100}),
        (ContextOptions, {"count_tokens": 100}),
        (DeliveryOptions, {"on_error": "ignore"}),
        (DeliveryOptions, {"mode": "later"}),
        (DeliveryOptions, {"recall_deadline": 0}),
        (DeliveryOptions, {"recall_deadline": -1.0}),
        (DeliveryOptions, {"recall_deadline": float("nan")}),
        (DeliveryOptions, {"on_deadline": "panic"}),
        (DeliveryOptions, {"retries": 11}),
        (DeliveryOptions, {"outbox": ""}),
        (DeliveryOptions, {"outbox": 7}),
        (DeliveryOptions, {"outbox_limit": 0}),
        (DeliveryOptions, {"redact": "phone numbers"}),
        (DeliveryOptions, {"on_event": []}),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_option(options: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        options(**wrong)


def test_options_are_frozen_and_keyword_only() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RecallOptions().strategy = "auto"  # type: ignore[misc]
    with pytest.raises(TypeError):
        RecallOptions("auto")  # type: ignore[misc]


def test_deep_is_the_older_name_of_agentic() -> None:
    assert RecallOptions(strategy="deep").wire_strategy == "agentic"


def test_an_outbox_may_be_a_path_object() -> None:
    assert DeliveryOptions(outbox=Path("waiting.db")).outbox == Path("waiting.db")


def test_every_option_of_automatic_memories_is_kept_by_their_binding_and_no_other_is_taken() -> None:
    options: MemoryOptions = {
        "recall": RecallOptions(strategy="auto"),
        "context": ContextOptions(placement="user"),
        "metadata": {"team": "red"},
        "process": "every_n_turns",
        "process_every": 3,
        "auto_process_after_seconds": 700,
    }
    assert options.keys() == MemoryOptions.__annotations__.keys()
    binding = Binding.of(None, "ada", **options)
    assert {name: getattr(binding, name) for name in options} == options
    with pytest.raises(TypeError, match="strategy"):
        Binding.of(None, "ada", strategy="auto")
