"""`recallrai-integrations chat`: a conversation with one user that shows what is recalled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

import typer
from rich.text import Text

from recallrai_integrations import (
    Conversation,
    Event,
    InvalidInputError,
    Message,
    NotFoundError,
    Recall,
    RecallOptions,
    RequestRejectedError,
    ServiceUnavailableError,
)
from recallrai_integrations.context.reading import RecalledMemory, recalled_memories
from recallrai_integrations.messages import clean_text
from recallrai_integrations.models import SessionInfo
from recallrai_integrations.options import Strategy

from ._common import (
    ExitCode,
    LocalOption,
    UserOption,
    connected,
    counted,
    json_line,
    note,
    out,
    problem,
    status_line,
    thread_given,
)
from .models import ChatModel, ModelError, open_model
from .recalled import panel

__all__ = ["chat_command"]

_HISTORY = 20
_HELP = "/finish makes memories of the conversation so far, /quit leaves."
_SECONDS: Final = {"low_latency": 8.0, "balanced": 8.0, "agentic": 30.0, "auto": 30.0}
"""For each phase of a request, by strategy: the slowest recalls that were measured took 4 and 20."""


class _Outage:
    """Tells of an outage once, when it begins and when it is over; `seen` whether there was one."""

    def __init__(self) -> None:
        self.seen = False
        self._now = False

    def on_event(self, event: Event) -> None:
        """The hook of the connection; any thread."""
        if event.kind == "degraded":
            self.begins(event.detail["error"])
        elif event.kind == "recovered" and self._now:
            self._now = False
            note("The service is back.")

    def begins(self, reason: str) -> None:
        """Something could not be had or stored."""
        self.seen = True
        if not self._now:
            self._now = True
            note(f"The service is not available ({reason.rstrip('.')}): going on without memories.")


@dataclass
class _Chat:
    conversation: Conversation
    model: ChatModel
    options: RecallOptions
    as_json: bool
    said: list[Message] = field(default_factory=list[Message])
    wish: bool = False
    """Whether the wish to make memories waits with the messages."""
    asked: bool = False
    answering: bool = False

    def turn(self, question: str) -> None:
        """One question: stored, memories recalled and shown, answered, and the answer stored."""
        self.asked = True
        self.conversation.record(("user", question))
        self.said.append(Message("user", question))
        recall = self.conversation.recall(options=self.options)
        prompt = recall.prompt(sent=self.said)
        memories = recalled_memories(prompt.memories)
        if not self.as_json and not recall.degraded:
            found = counted(len(memories), "memory", "memories")
            title = f"recalled: {found}, {recall.strategy}, {recall.elapsed * 1000:.0f} ms"
            out.print(panel(memories, title=title))
        self.answering = True
        answer = self._answer(prompt.text)
        self.answering = False
        if answer.strip():
            self.conversation.record(("assistant", clean_text(answer)))
            self.said.append(Message("assistant", answer))
        if self.as_json:
            self._print_json(question, answer, recall, memories)

    def finish(self) -> None:
        """Makes memories of what was said, and waits for them."""
        with status_line.status("Making memories …"):
            session = None if self._unstored() else self._finish()
        if session is not None and session.status == "processed":
            note("Memories are made; what you say next begins a new session.")
        elif session is not None:
            problem(f"The session is {session.status}: no memories were made of it so far.")
        elif self.conversation.connection.is_down:
            note("No memories could be made: the service is not available.")
        else:
            note("There is nothing to make memories of.")

    def end(self) -> bool:
        """Stores what waits and, unless a thread goes on, has memories made; whether all of it was done."""
        with status_line.status("Making memories …"):
            unstored = self._unstored()
            session = None
            if self.asked and not unstored and self.conversation.thread_id is None:
                session = self._finish()
        if unstored:
            problem(f"{unstored} messages could not be stored and are lost: the service is not available.")
        elif self.wish or (session is not None and session.status != "processed"):
            problem("What was said is stored, and no memories could be made of it so far.")
        else:
            return True
        return False

    def stop(self) -> None:
        """Stores what waits, and says what became of what was said."""
        unstored = self._unstored()
        if unstored:
            problem(f"Stopped. {unstored} messages could not be stored and are lost.")
        elif not self.asked:
            problem("Stopped.")
        else:
            broken_off = ", but for the answer that was broken off" if self.answering else ""
            made = "" if self.conversation.thread_id is not None else "; no memories are made of it yet"
            problem(f"Stopped. What was said is stored{broken_off}{made}.")

    def _unstored(self) -> int:
        """How many messages wait still, after another try."""
        waiting = self.conversation.flush()
        self.wish &= waiting > 0
        return waiting - self.wish

    def _finish(self) -> SessionInfo | None:
        session = self.conversation.finish(wait=True)
        self.wish = session is None and self.conversation.connection.is_down
        return session

    def _answer(self, system: str) -> str:
        pieces: list[str] = []
        for piece in self.model.stream(system, self.said[-_HISTORY:]):
            pieces.append(piece)
            if not self.as_json:
                out.print(Text(piece), end="", soft_wrap=True)
        if not self.as_json:
            out.print()
        return "".join(pieces)

    def _print_json(self, question: str, answer: str, recall: Recall, memories: list[RecalledMemory]) -> None:
        line = {
            "question": question,
            "answer": answer,
            "recalled": [{"content": one.content, "similarity": one.similarity} for one in memories],
            "memory_ids": recall.memory_ids,
            "strategy": recall.strategy,
            "elapsed": round(recall.elapsed, 4),
            "degraded": recall.degraded,
        }
        json_line(line)


def chat_command(
    user: UserOption,
    local: LocalOption = None,
    thread: Annotated[
        str | None,
        typer.Option(
            "--thread",
            metavar="ID",
            callback=thread_given,
            help="Go on with this thread, which stays open afterwards; without one the chat is a "
            "conversation by itself, and memories are made of it at the end.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="PROVIDER:NAME",
            help="A chat model such as openai:gpt-5-mini (anything LangChain's init_chat_model takes); "
            "without one a small offline model answers by quoting what was recalled.",
        ),
    ] = None,
    strategy: Annotated[
        Literal["low_latency", "balanced", "agentic", "auto"], typer.Option(help="How to recall.")
    ] = "balanced",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each question.")] = False,
) -> None:
    """Chat with memory, shown for each question; reads one question a line when stdin is not a terminal.

    Commands inside: /finish makes memories of the conversation so far, /quit (or Ctrl-D) leaves. A user who
    is not known yet comes into being with the first message, and so does a database.
    """
    chosen: Strategy = strategy
    outage = _Outage()
    chat_model = open_model(model)
    with connected(
        local,
        must_exist=False,
        timeout=_SECONDS[strategy],
        on_error="degrade",
        on_event=outage.on_event,
        # Somebody waits: what failed slowly is not tried again, and a service that is down not for a while.
        retries=1,
        retry_budget=5.0,
        breaker_threshold=3,
    ) as connection:
        try:
            connection.user(user).info()
        except NotFoundError:
            note(f"{user} is new here: nothing is remembered yet.")
        except ServiceUnavailableError as error:
            outage.begins(str(error))
        conversation = connection.conversation(user, thread)
        chat = _Chat(conversation, chat_model, RecallOptions(strategy=chosen), as_json)
        if thread is not None:
            chat.said += conversation.history(limit=_HISTORY)
        try:
            complete = _converse(chat)
            complete &= chat.end()
        except KeyboardInterrupt:
            chat.stop()
            raise typer.Exit(ExitCode.STOPPED) from None
    if not complete or outage.seen:
        raise typer.Exit(ExitCode.NOT_COMPLETE)


def _converse(chat: _Chat) -> bool:
    """Answers until there are no more questions; False when one could not be answered."""
    complete = True
    for question in _questions(chat):
        if question == "/finish":
            chat.finish()
            continue
        if question.startswith("/"):
            note(f"There is no command {question.split()[0]}. {_HELP}")
            continue
        try:
            chat.turn(question)
        except (ModelError, InvalidInputError, RequestRejectedError) as error:
            problem(str(error))
            chat.answering = complete = False
    return complete


def _questions(chat: _Chat) -> Iterator[str]:
    interactive = sys.stdin.isatty()
    if interactive:
        note(f"Chatting as {chat.conversation.user_id} with {chat.model.name}. {_HELP}")
    while True:
        line = _ask() if interactive else sys.stdin.buffer.readline().decode(errors="replace")
        if not line or line.strip() == "/quit":
            return
        question = clean_text(line).strip()
        if not question:
            continue
        if not interactive and not chat.as_json:
            out.print(Text(f"> {question}", style="bold"), soft_wrap=True)
        yield question


def _ask() -> str:
    """A line typed by the user; "" at the end of the input."""
    try:
        return out.input("[bold]> [/bold]") + "\n"
    except EOFError:
        return ""
