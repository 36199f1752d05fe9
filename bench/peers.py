"""`python -m bench.peers`: other services' adapters for the same frameworks, on the same conversation.

Prints the tables, and with `--write` puts them into docs/comparison.md. All services here recall the same
memories and are equally slow, so that adapters are compared and not services.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench import dialogue
from bench.chats import mcp, openai_agents, peers, pydantic_ai
from bench.chats.base import Record, drive
from bench.chats.ours import Setting
from bench.prompts import summary
from bench.report import Table, circumstances, rewrite
from bench.service import StandIn
from bench.turns import INLINE, LAYOUTS

PAGE = Path(__file__).parent.parent / "docs" / "comparison.md"

Measure = Callable[[StandIn, int], Record]

_TOOL, _STREAMED = ", a tool call a turn", ", streamed"


@dataclass(frozen=True)
class Way:
    """An adapter.

    Args:
        name: in the tables.
        variants: "" for plain turns, or with a tool call, or streamed.
        alone: the framework without a memory, by the same names.
    """

    name: str
    variants: dict[str, Measure]
    alone: dict[str, Measure]


def run(count: int) -> list[Table]:
    """The tables, of chats of so many turns."""
    ways = [*_ours(), *_theirs()]
    turns = [(way, variant) for way in ways for variant in ("", _TOOL) if variant in way.variants]
    return [
        Table(
            f"A turn (the median of {count - 1} warm ones)",
            ("", "requests", "before the answer", "wait", "processor time", "characters", "billed tokens"),
            [_turn_row(way, variant, count) for way, variant in turns],
            "Before the answer: before the model's last request of the turn. Wait: with the latencies that "
            "RecallrAI has published for recalls and other requests, for all services alike; a request to "
            "the model takes no time here. Processor time: beyond the framework alone, with the adapter's "
            "client. Characters and billed tokens: as on the page of benchmarks; the other services recall "
            "plain sentences, ours in addition versions, dates, summaries and other conversations.",
        ),
        Table(
            "What is kept of a turn",
            ("", "question", "narration", "answer", "streamed answer", "memories in the history"),
            [_kept_row(way) for way in ways if _STREAMED in way.variants],
            "The first four by the service; narration is what a model says beside a tool call. Memories in "
            "the history: copies of recalled sentences that the framework's session or message history "
            "holds, where they are sent and saved again.",
        ),
    ]


def _ours() -> list[Way]:
    def measure(agent: Callable[..., Any], **options: bool) -> Measure:
        def opened(service: StandIn, count: int) -> Record:
            setting = Setting(service, LAYOUTS["system"], INLINE)
            return drive(partial(agent, setting, **options), count)

        return opened

    def alone(agent: Callable[..., Any], **options: bool) -> Measure:
        return lambda _, count: drive(partial(agent, **options), count)

    def of(name: str, agent: Callable[..., Any], agent_alone: Callable[..., Any]) -> Way:
        ways = {
            "": measure(agent),
            _TOOL: measure(agent, tool=True),
            _STREAMED: measure(agent, streamed=True),
        }
        return Way(name, ways, {"": alone(agent_alone), _TOOL: alone(agent_alone, tool=True)})

    return [
        of("ours, OpenAI Agents", openai_agents.agent, openai_agents.agent_alone),
        of("ours, Pydantic AI", pydantic_ai.agent, pydantic_ai.agent_alone),
        Way("ours, MCP", {"": measure(mcp.chat)}, {"": alone(mcp.alone)}),
    ]


def _theirs() -> list[Way]:
    def measure(what: str) -> Measure:
        return lambda service, count: peers.measure(service.base_url, count, what)

    def of(name: str, alone: str = "") -> Way:
        variants = {v: measure(f"{name}{v}") for v in ("", _TOOL, _STREAMED) if f"{name}{v}" in peers.CHATS}
        return Way(name, variants, {v: measure(f"{alone}{v}") for v in ("", _TOOL) if alone})

    return [
        of("hindsight-openai-agents", "OpenAI agent alone"),
        of("mem0's tools for OpenAI Agents", "OpenAI agent alone"),
        of("zep-pydantic-ai", "Pydantic AI agent alone"),
        of("hindsight-pydantic-ai", "Pydantic AI agent alone"),
        of("mem0-mcp-server"),
    ]


def _turn_row(way: Way, variant: str, count: int) -> list[str]:
    with StandIn(latency=True) as service:
        record = way.variants[variant](service, count)
        log = [one.at for one in service.requests(record.begun[0]) if not one.path.endswith("/system-prompt")]
    requests, before = [], []
    for n, begin in enumerate(record.begun[1:-1], 1):
        own = [at for at in log if begin <= at < record.begun[n + 1]]
        answered = max(at for turn, at, _ in record.prompts if turn == n)
        requests.append(len(own))
        before.append(sum(at < answered for at in own))
    prompts = summary(record)
    return [
        f"{way.name}{variant}",
        str(max(requests)),
        str(max(before)),
        f"{median(record.elapsed[1:]):.2f} s",
        _processor(way, variant, count),
        f"{prompts.characters:,.0f}",
        f"{prompts.billed:,.0f}",
    ]


def _processor(way: Way, variant: str, count: int) -> str:
    if variant not in way.alone:
        return ""
    with StandIn(latency=False) as service:
        costs = [measure(service, count).processor for measure in (way.variants[variant], way.alone[variant])]
    ours, alone = (1000 * quantiles(cost[1:], n=4)[0] for cost in costs)
    return f"{ours - alone:.1f} ms"


def _kept_row(way: Way) -> list[str]:
    turns = 4
    with StandIn(latency=False) as service:
        record = way.variants[_TOOL if _TOOL in way.variants else ""](service, turns)
        stored = [text for _, text in service.stored()]
        way.variants[_STREAMED](service, turns)
        streamed = [text for _, text in service.stored()][len(stored) :]
    facts = {fact for n in range(turns) for fact in dialogue.memories(n)}
    copies = sum(record.history[0].count(fact) for fact in facts) / turns
    questions, answers = ([text(n) for n in range(turns)] for text in (dialogue.question, dialogue.answer))
    return [
        way.name,
        _times(sum(map(stored.count, questions)) / turns),
        _times(sum(dialogue.NARRATION in text for text in stored) / turns),
        _times(sum(map(stored.count, answers)) / turns),
        _times(sum(map(streamed.count, answers)) / turns),
        f"{copies:.0f} a turn" if copies else "none",
    ]


def _times(share: float) -> str:
    return {0: "never", 1: "once"}.get(share, f"{share:g} times")


def main() -> int:
    """Measures; the exit code is 1 when the others' packages cannot be installed."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few turns: to see that it runs")
    parser.add_argument("--write", action="store_true", help="rewrite the tables in docs/comparison.md")
    options = parser.parse_args()
    os.environ.update(NO_PROXY="*", no_proxy="*")  # all that is asked is on this machine
    if reason := peers.unavailable():
        print(f"The others could not be installed: {reason}", file=sys.stderr)
        return 1
    text = "\n\n".join(
        [*(table.markdown() for table in run(4 if options.quick else dialogue.TURNS)), _with()]
    )
    print(text)
    if options.write:
        rewrite(PAGE, f"\n{text}\n")
    return 0


def _with() -> str:
    return f"{circumstances()[:-1]}; the others: {', '.join(peers.PACKAGES).replace('==', ' ')}."


if __name__ == "__main__":
    sys.exit(main())
