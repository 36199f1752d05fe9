"""`demo`: memory crosses a process and a thread, or the demo says that it did not."""

from __future__ import annotations

import re

import pytest


@pytest.mark.parametrize(
    "framework", ["google-adk", "langchain", "llama-index", "mcp", "openai-agents", "pydantic-ai"]
)
def test_day_two_answers_from_memory_in_another_process(spawn, framework):
    ended = spawn("demo", "--framework", framework)
    assert (ended.code, ended.err) == (0, ""), ended
    first, second = re.findall(r"process (\d+)", ended.out)
    assert first != second
    day_one, day_two = ended.out.split("Day two")
    assert day_one.count("nothing") == 2, "on day one there is nothing to recall"
    assert re.search(
        r"recalled.*?Biscuit.*?Agent: .*Biscuit.*?recalled.*?peanuts.*?Agent: .*peanuts", day_two, re.DOTALL
    )
    assert "only quotes its prompt" in day_one


@pytest.mark.parametrize("framework", ["langchain", "llama-index"])
def test_credentials_switch_to_the_service_of_the_environment_and_leave_nothing_there(
    spawn, hosted, framework
):
    ended = spawn("demo", "--framework", framework)
    assert ended.code == 0, ended
    assert "the RecallrAI service of your environment" in " ".join(ended.out.split())
    assert any(one.path.endswith("/context") for one in hosted.requests)
    [created] = [one.path for one in hosted.requests if (one.method, one.status) == ("DELETE", 204)]
    assert created.startswith("/api/v1/users/recallrai-demo-")


@pytest.mark.parametrize("framework", ["langchain", "llama-index"])
def test_when_memory_does_not_reach_the_model_the_demo_says_so(spawn, hosted, framework):
    nothing = {"is_final": True, "context": "", "metadata": {"recall_strategy_used": "balanced"}}
    hosted.faults.add(status=200, body=nothing, path="*/context")
    ended = spawn("demo", "--framework", framework)
    assert ended.code == 1
    assert ended.err.count("memory did not reach the model") == 2
    assert "Remembered" not in ended.out


def test_a_day_that_was_not_processed_is_told(spawn, hosted):
    hosted.faults.outcomes("failed")
    ended = spawn("demo")
    assert ended.code == 1
    assert "its session is failed" in ended.err


def test_an_outage_is_one_line(spawn, hosted):
    hosted.faults.add(status=503, path="*/add-message")
    ended = spawn("demo")
    assert ended.code == 1
    assert "Traceback" not in ended.err


def test_the_help_says_where_the_memory_is(run):
    shown = " ".join(run("demo", "--help").out.replace("│", " ").split())
    assert "a temporary file" in shown
    assert "recallrai.db" not in shown


def test_with_a_database_of_ones_own_the_memory_stays_to_be_looked_at(spawn, run):
    ended = spawn("demo", "--local", "memory.db")
    assert ended.code == 0, ended
    [command] = re.findall(r"To see the memories, run: recallrai-integrations (.*)", ended.err)
    assert "Biscuit" in run(*command.split()).out


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("--framework", "crewai"), "crewai"),
        (("--model", "nobody:nothing"), "nobody:nothing"),
        (("--model", "nothing"), "write it as openai:gpt-5-mini"),
        (("--model", "nothing", "--framework", "llama-index"), "openai:gpt-5-mini"),
        (("--model", "nobody:nothing", "--framework", "llama-index"), "pip install llama-index-llms-nobody"),
        (("--local", "/"), "/"),
    ],
)
def test_wrong_use_is_one_line(run, args, word):
    run("demo", *args).failed(2, word)
