"""`Run`: what one run keeps between the SDK's hooks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from agents import TResponseInputItem
from agents.run_config import CallModelData, CallModelInputFilter, ModelInputData

from recallrai_integrations.adapter import Binding, Turn, while_calling

from ._items import answer_text, asked_before, is_answer, new_questions, said_in, with_memories

__all__ = ["Run"]


class Run:
    """One run; it is the SDK's `call_model_input_filter`, and is told what hooks and session see.

    The filter sees each request to the model, of agents that are tools of the run too. Only a request after
    the start of an agent of the run itself may hold something new that the user said.

    Args:
        binding: of the adapter, for this run.
        place: where identity is taken from besides the run's context; asked when it is needed.
        own_filter: the application's filter, which sees requests before memories are in them.
        keeps_items: whether the session gets what is added to it.
        served: the provider keeps the conversation; there is no session.
        store_structured: structured output is stored.
        store_direct: a tool's result that is the output is stored.
    """

    def __init__(
        self,
        binding: Binding,
        place: Callable[[], Any],
        *,
        own_filter: CallModelInputFilter | None,
        keeps_items: bool,
        served: bool,
        store_structured: bool,
        store_direct: bool,
    ) -> None:
        self.keeps_items = keeps_items
        self._binding = binding
        self._place = place
        self._own_filter = own_filter
        self._served = served
        self._store_structured = store_structured
        self._store_direct = store_direct
        self._beginning = asyncio.Lock()
        self._turn: Turn | None = None
        self._output: list[Any] = []  # none, or one that the guardrails have still to pass
        self._results: list[Any] = []  # of the tools since the model's latest response
        self._tools = 0
        self._task: object = None
        self._started = self._handed_over = self._new = False

    async def __call__(self, data: CallModelData[Any]) -> ModelInputData:
        """The request with memories in it."""
        items = list(data.model_data.input)
        request = data.model_data if self._own_filter is None else self._own_filter(data)
        if inspect.isawaitable(request):
            request = await request
        async with self._beginning:
            turn = await self._turn_of(items, data.context)
        prompt = turn.prompt([*turn.questions, *said_in(request.input)])
        return with_memories(request, prompt, only_instructions=self._served)

    async def _turn_of(self, items: list[TResponseInputItem], context: Any) -> Turn:
        started, self._started = self._started, False
        asked, new = (new_questions(items), self._new) if started else ([], False)
        if started:
            self._new, self._task = False, asyncio.current_task()
        turn = self._turn
        if (
            turn is None
            or (started and turn.recall is None)
            or (asked and (new or tuple(asked) != turn.questions))
        ):
            questions = asked or (asked_before(items) if started else [])
            resumed = not (asked and (new or self._served))
            place = self._place()
            turn = self._turn = await Turn.abegin(self._binding, questions, context, place, resumed=resumed)
        while_calling(turn, self._is_calling)
        return turn

    def _is_calling(self) -> bool:
        """Asked in a context that outlives the run where it is awaited; its task calls no tool itself."""
        try:
            return self._tools > 0 and asyncio.current_task() is not self._task
        except RuntimeError:  # a thread without a loop: a tool that is a plain function
            return self._tools > 0

    def reads_history(self) -> None:
        """The SDK does so before the first request of a run that is not resumed."""
        self._new = True

    def agent_starts(self) -> None:
        """An agent of the run begins, at first or after a hand-off."""
        self._started = not self._handed_over
        if self._started:
            self._output.clear()
        self._handed_over = False
        self._tools = 0

    def hands_over(self) -> None:
        """The next agent that starts goes on with the same turn."""
        self._handed_over = True

    def model_answers(self) -> None:
        """Tools that run from now on were called in this response."""
        self._results.clear()

    def tool_starts(self) -> None:
        """A tool of the run, not of an agent within it."""
        self._tools += 1

    def tool_ends(self, result: object) -> None:
        """Its result may become the output of the run."""
        self._tools -= 1
        self._results.append(result)

    async def has_output(self, output: object) -> None:
        """There is a final output. Guardrails decide next: what they pass is added to the session."""
        if self._served:
            await self._end(output)
        else:
            self._output = [output]

    async def keeps(self, items: list[TResponseInputItem]) -> None:
        """The session was given items, of which the last in a run are its answer."""
        if self._output and is_answer(items, self._output[0], of_tool=self._is_result(self._output[0])):
            await self._end(self._output.pop())

    async def _end(self, output: object) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            await turn.aend(answer_text(output) if self._stores(output) else None)

    def _stores(self, output: object) -> bool:
        if self._is_result(output):
            return self._store_direct
        return isinstance(output, str) or self._store_structured

    def _is_result(self, output: object) -> bool:
        return any(output == result or output == str(result) for result in self._results)
