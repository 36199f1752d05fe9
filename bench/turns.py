"""A chat of 20 turns in each of the ways to remember, and what its turns cost.

The lower bound is the fewest raw HTTP calls that remember: what a user waits for is one add and one recall;
the answer is added when nobody waits. Between two turns all chats deliver what they left for later, off the
clock: a user who reads the answer gives them time for it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles
from typing import Any

from recallrai.models import RecallStrategy

from bench import dialogue
from bench.chats import core, google_adk, langchain, llama_index, mcp, mem0, openai_agents, plain, pydantic_ai
from bench.chats.base import Open, Record, Recorder, drive
from bench.chats.ours import Setting
from bench.measuring import cost_of, no_collection
from bench.prompts import Prompts, lost, summary
from bench.report import Figure, Table, goals
from bench.service import StandIn
from recallrai_integrations import ContextOptions, DeliveryOptions

INLINE, BACKGROUND = DeliveryOptions(), DeliveryOptions(mode="background")
LAYOUTS = {
    "system, compact=False": ContextOptions(compact=False),
    "system": ContextOptions(),
    "user, compact=False": ContextOptions(placement="user", compact=False),
    "user": ContextOptions(placement="user"),
}
_BILLED_GOALS = dict(zip(LAYOUTS, (72, 62, 45, 36), strict=True))


@dataclass(frozen=True)
class Way:
    """One of our ways: how to open it with us, and how without us but with the same calls on the SDK.

    Args:
        name: in the table.
        ours: takes a `Setting` and the recorder.
        calls: takes the service and the recorder.
        framework: extra share of the lower bound that the framework may cost.
        tool: calls a tool in each turn, so its prompts are not the README pattern's.
    """

    name: str
    ours: Callable[..., Any]
    calls: Callable[..., Any]
    framework: float = 0.0
    tool: bool = False

    def open(
        self,
        service: StandIn,
        context: ContextOptions = LAYOUTS["system"],
        delivery: DeliveryOptions = INLINE,
    ) -> Open:
        return partial(self.ours, Setting(service, context, delivery))


WAYS = (
    Way("our core, no framework", core.chat, plain.sdk_calls),
    Way("LangChain agent", langchain.agent, langchain.agent_calls, framework=0.03),
    Way(
        "LangChain agent, a tool call a turn",
        partial(langchain.agent, tool=True),
        partial(langchain.agent_calls, tool=True),
        framework=0.03,
        tool=True,
    ),
    Way("LangChain chain", langchain.chain, partial(plain.sdk_calls, around=langchain.chain_alone)),
    Way(
        "LlamaIndex chat engine",
        llama_index.chat_engine,
        partial(plain.sdk_calls, around=llama_index.chat_engine_alone),
    ),
    Way(
        "LlamaIndex agent",
        llama_index.agent,
        partial(plain.async_sdk_calls, around=llama_index.agent_alone),
        framework=0.03,
    ),
    Way(
        "LlamaIndex agent, a tool call a turn",
        partial(llama_index.agent, tool=True),
        partial(plain.async_sdk_calls, around=partial(llama_index.agent_alone, tool=True)),
        framework=0.03,
        tool=True,
    ),
    Way(
        "OpenAI agent",
        openai_agents.agent,
        partial(plain.async_sdk_calls, around=openai_agents.agent_alone),
        framework=0.03,
    ),
    Way(
        "OpenAI agent, a tool call a turn",
        partial(openai_agents.agent, tool=True),
        partial(plain.async_sdk_calls, around=partial(openai_agents.agent_alone, tool=True)),
        framework=0.03,
        tool=True,
    ),
    Way(
        "Google ADK app",
        google_adk.app,
        partial(plain.async_sdk_calls, around=google_adk.app_alone),
        framework=0.03,
    ),
    Way(
        "Google ADK app, a tool call a turn",
        partial(google_adk.app, tool=True),
        partial(plain.async_sdk_calls, around=partial(google_adk.app_alone, tool=True)),
        framework=0.03,
        tool=True,
    ),
    Way(
        "Pydantic AI agent",
        pydantic_ai.agent,
        partial(plain.async_sdk_calls, around=pydantic_ai.agent_alone),
        framework=0.03,
    ),
    Way(
        "Pydantic AI agent, a tool call a turn",
        partial(pydantic_ai.agent, tool=True),
        partial(plain.async_sdk_calls, around=partial(pydantic_ai.agent_alone, tool=True)),
        framework=0.03,
        tool=True,
    ),
)

MCP = Way("MCP, a client and our server", mcp.chat, partial(plain.sdk_calls, around=mcp.alone))
"""Without goals: calls go through the protocol, and the server cannot see what else its host sends."""

_README: dict[str, dict[str, Any]] = {
    "objects kept": {},
    "in a web handler": {"web_handler": True},
    "objects kept, default strategy": {"strategy": RecallStrategy.BALANCED},
}


@dataclass(frozen=True)
class Turns:
    """The warm turns of a chat with the published latencies: requests (the most) and seconds (the median)."""

    requests: int
    before: int
    elapsed: float


def run(*, quick: bool) -> tuple[list[Table], list[str]]:
    """The tables, and the names of what was missing in a prompt."""
    count = 4 if quick else dialogue.TURNS
    with StandIn(latency=True) as slow, StandIn(latency=False) as fast:
        sdk_processor = _processor([partial(plain.sdk_calls, fast)], count)[0]
        rows = [["raw HTTP, the lower bound", "3", "2", "1.00", "", ""]]
        figures: list[Figure] = []
        for name, options in _README.items():
            bound = _lower_bound(slow, count)
            timed = _timed(slow, partial(plain.readme, slow, **options), count)
            processor = _processor([partial(plain.readme, fast, **options)], count)[0]
            rows.append(_row(f"the SDK's README, {name}", timed, bound, processor - sdk_processor))
        for way in (*WAYS, MCP):
            bound = _lower_bound(slow, count)
            inline = _timed(slow, way.open(slow), count)
            background = _timed(slow, way.open(slow, delivery=BACKGROUND), count)
            ours, calls = _processor([way.open(fast), partial(way.calls, fast)], count)
            beyond = ours - calls
            rows.append(_row(way.name, inline, bound, beyond, background))
            figures += _turn_figures(way, inline, background, beyond, bound) if way is not MCP else []
        readme, prompt_rows, billed, missing = _compare_prompts(fast, count)
        prompt_rows.append(_prompt_row(MCP.name, summary(drive(MCP.open(fast), count)), readme))
        reason = mem0.unavailable()
        for name in () if reason else ("chat engine", "agent"):
            title = f"llama-index-memory-mem0, {name}"
            bound = _lower_bound(slow, count)
            timed = _turns(mem0.measure(slow.base_url, count, what=name), slow)
            whole = mem0.measure(fast.base_url, count, what=name)
            alone = mem0.measure(fast.base_url, count, what=f"{name} alone")
            beyond = 1000 * (_undisturbed(whole.processor[1:]) - _undisturbed(alone.processor[1:]))
            beyond -= sdk_processor
            rows.append(_row(title, timed, bound, beyond))
            prompt_rows.append(_prompt_row(title, summary(whole), readme))
    note = f" llama-index-memory-mem0 is missing, it could not be installed: {reason}." if reason else ""
    return [
        Table(
            f"A turn of a chat (the median of {count - 1} warm ones)",
            ("", "requests", "before the model", "time", "time, background", "processor time"),
            rows,
            "Time: over the lower bound, with the published latencies. Processor time: beyond the framework "
            "with the same calls on the SDK, without latency; LangChain's agents make them in their hooks, "
            "the others around the framework." + note,
        ),
        Table(
            "What the model is sent in it",
            ("", "characters", "repeated", "billed tokens", "of the README's"),
            prompt_rows,
            "Ours: the most of all our ways. Repeated: in messages of the conversation that the prompt holds "
            "already. Billed: characters / 4, a prefix of at least 1,024 tokens that the request before had "
            "too at a tenth. mem0 recalls single sentences, without versions, dates, summaries and other "
            "conversations.",
        ),
        goals("The goals, at the worst of our ways", [*_worst(figures), *billed]),
    ], missing


def _compare_prompts(
    service: StandIn, count: int
) -> tuple[Prompts, list[list[str]], list[Figure], list[str]]:
    """The README pattern's prompts, rows of the table, figures, and what was missing."""
    record = drive(partial(plain.readme, service), count)
    readme, missing = summary(record), [f"the SDK's README, {text}" for text in lost(record)]
    rows, figures = [_prompt_row("the SDK's README", readme, readme)], list[Figure]()
    for layout, context in LAYOUTS.items():
        most: Prompts | None = None
        for way in WAYS:
            record = drive(way.open(service, context), count)
            missing += [f"{way.name}, {layout}, {text}" for text in lost(record)]
            prompts = summary(record)
            if not way.tool and (most is None or prompts.billed > most.billed):
                most = prompts
        assert most is not None
        rows.append(_prompt_row(f"ours, placement {layout}", most, readme))
        share = 100 * most.billed / readme.billed
        figures.append(Figure(f"billed tokens, placement {layout}", share, _BILLED_GOALS[layout], " %", 0))
    return readme, rows, figures, missing


def _lower_bound(service: StandIn, count: int) -> float:
    """Measured anew beside each way, since the machine is not equally busy all the time."""
    return _timed(service, partial(plain.raw_http, service), count).elapsed


def _timed(service: StandIn, open_chat: Open, count: int) -> Turns:
    return _turns(drive(open_chat, count), service)


def _turns(record: Record, service: StandIn) -> Turns:
    log = [one for one in service.requests(record.begun[0]) if not one.path.endswith("/system-prompt")]
    requests, before = [], []
    for n, begin in enumerate(record.begun[1:-1], 1):
        own = [one.at for one in log if begin <= one.at < record.begun[n + 1]]
        asked = min(at for turn, at, _ in record.prompts if turn == n)
        requests.append(len(own))
        before.append(sum(at < asked for at in own))
    return Turns(max(requests), max(before), median(record.elapsed[1:]))


def _processor(ways: Sequence[Open], count: int, repeats: int = 10) -> list[float]:
    """Milliseconds of processor time a turn, of ways that take their turns in changing order."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(repeats):
        with ExitStack() as stack, no_collection():
            recorders = [Recorder() for _ in ways]
            chats = [stack.enter_context(way(one)) for way, one in zip(ways, recorders, strict=True)]
            for n in range(count):
                gc.collect()
                for place in range(len(ways)):
                    way = (place + n) % len(ways)
                    recorders[way].turn = n
                    turn, settle = chats[way].turn, chats[way].settle
                    cost = cost_of(turn, n).processor + cost_of(lambda _, s=settle: s(), n).processor
                    if n:
                        taken[way].append(1000 * cost)
    return [_undisturbed(costs) for costs in taken]


def _undisturbed(costs: Sequence[float]) -> float:
    """The lower quartile: what others do on the same machine only ever adds, for seconds on end."""
    return quantiles(costs, n=4)[0]


def _row(
    name: str, inline: Turns, bound: float, processor: float, background: Turns | None = None
) -> list[str]:
    later = f"{background.elapsed / bound:.2f}" if background else ""
    time = f"{inline.elapsed / bound:.2f}"
    return [name, str(inline.requests), str(inline.before), time, later, f"{processor:.1f} ms"]


def _prompt_row(name: str, prompts: Prompts, readme: Prompts) -> list[str]:
    share = f"{100 * prompts.billed / readme.billed:.0f} %"
    return [
        name,
        f"{prompts.characters:,.0f}",
        f"{100 * prompts.repeated:.0f} %",
        f"{prompts.billed:,.0f}",
        share,
    ]


def _turn_figures(way: Way, inline: Turns, background: Turns, beyond: float, bound: float) -> list[Figure]:
    kind = "agents" if way.framework else "chains and engines"
    return [
        Figure("requests before the model", inline.before, 2, digits=0),
        Figure("requests after the model", inline.requests - inline.before, 1, digits=0),
        Figure(f"time, inline, {kind}", inline.elapsed / bound, 1.12 + way.framework),
        Figure(f"time, in the background, {kind}", background.elapsed / bound, 1.03 + way.framework),
        Figure("processor time beyond framework and SDK", beyond, 1, " ms", 1),
    ]


def _worst(figures: Sequence[Figure]) -> list[Figure]:
    worst: dict[str, Figure] = {}
    for figure in figures:
        known = worst.get(figure.name)
        if known is None or figure.value > known.value:
            worst[figure.name] = figure
    return list(worst.values())
