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

from ._common import ExitCode, LocalOption, UserOption, connected, thread_given
from ._output import counted, json_line, notice, out, print_error, status_line
from .models import ChatModel, ModelError, open_model
from .recalled import panel

__all__ = ["chat_command"]

_HISTORY = 20
_HELP = "/finish makes memories of the conversation so far, /quit leaves."
_SECONDS: Final = {"low_latency": 8.0, "balanced": 8.0, "agentic": 30.0, "auto": 30.0}
"""Longest time of a request, by strategy: the slowest recalls that were measured took 4 and 20 seconds."""


class _Outage:
    """Reports when an outage begins and ends; `seen` is True once there was one."""

    def __init__(self) -> None:
        self.seen = False
        self._now = False

    def on_event(self, event: Event) -> None:
        """The hook of the connection; any thread."""
        if event.kind == "degraded":
            self.begins(event.detail["error"])
        elif event.kind == "recovered" and self._now:
            self._now = False
            notice("The service is back.")

    def begins(self, reason: str) -> None:
        """Reports an outage, unless it has been reported."""
        self.seen = True
        if not self._now:
            self._now = True
            notice(
                f"The service is not available ({reason.rstrip('.')}). The chat continues without memories."
            )


@dataclass
class _Chat:
    conversation: Conversation
    model: ChatModel
    options: RecallOptions
    as_json: bool
    said: list[Message] = field(default_factory=list[Message])
    finish_pending: bool = False
    """Whether the request to make memories is queued behind the messages."""
    asked: bool = False
    answering: bool = False

    def turn(self, question: str) -> None:
        """Stores a question, shows the recalled memories, answers, and stores the answer."""
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
        """Makes memories of the conversation, and waits for them."""
        with status_line.status("Making memories …"):
            session = None if self._unstored() else self._finish()
        if session is not None and session.status == "processed":
            notice("Memories were made. Your next message begins a new session.")
        elif session is not None:
            print_error(f"No memories were made yet: the session is {session.status}.")
        elif self.conversation.connection.is_down:
            notice("No memories were made: the service is not available.")
        else:
            notice("There are no messages to make memories of.")

    def end(self) -> bool:
        """Stores pending messages and, without a thread, makes memories; False if anything failed."""
        with status_line.status("Making memories …"):
            unstored = self._unstored()
            session = None
            if self.asked and not unstored and self.conversation.thread_id is None:
                session = self._finish()
        if unstored:
            print_error(
                f"{counted(unstored, 'message was', 'messages were')} lost: the service is not available."
            )
        elif self.finish_pending or (session is not None and session.status != "processed"):
            print_error("The messages are stored, but no memories were made of them yet.")
        else:
            return True
        return False

    def stop(self) -> None:
        """Stores pending messages, and reports what was stored and what was lost."""
        unstored = self._unstored()
        if unstored:
            print_error(f"Stopped. {counted(unstored, 'message was', 'messages were')} lost.")
        elif not self.asked:
            print_error("Stopped.")
        else:
            broken_off = ", except for the interrupted answer" if self.answering else ""
            made = "" if self.conversation.thread_id is not None else "; no memories were made of them yet"
            print_error(f"Stopped. The messages are stored{broken_off}{made}.")

    def _unstored(self) -> int:
        """Tries again to deliver, and returns how many messages are still pending."""
        waiting = self.conversation.flush()
        self.finish_pending &= waiting > 0
        return waiting - self.finish_pending

    def _finish(self) -> SessionInfo | None:
        session = self.conversation.finish(wait=True)
        self.finish_pending = session is None and self.conversation.connection.is_down
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
            help="Continue this thread, which stays open afterwards. Without it the chat is a separate "
            "conversation, and memories are made when it ends.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="PROVIDER:NAME",
            help="A chat model such as openai:gpt-5-mini (any that LangChain's init_chat_model accepts). "
            "The default is a small offline model that quotes the recalled memories.",
        ),
    ] = None,
    strategy: Annotated[
        Literal["low_latency", "balanced", "agentic", "auto"], typer.Option(help="How the service recalls.")
    ] = "balanced",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each question.")] = False,
) -> None:
    """Chat with memory; each question shows the memories that were recalled for it.

    If stdin is not a terminal, each line is a question. In the chat, /finish makes memories of the
    conversation so far, and /quit (or Ctrl-D) leaves. The first message creates an unknown user, and a
    missing database.
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
        # A person is waiting: few retries, and a service that is down is not asked again at once.
        retries=1,
        retry_budget=5.0,
        breaker_threshold=3,
    ) as connection:
        try:
            connection.user(user).info()
        except NotFoundError:
            notice(f"{user} is a new user: there are no memories yet.")
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
    """Answers all questions; False when one could not be answered."""
    complete = True
    for question in _questions(chat):
        if question == "/finish":
            chat.finish()
            continue
        if question.startswith("/"):
            notice(f"There is no command {question.split()[0]}. {_HELP}")
            continue
        try:
            chat.turn(question)
        except (ModelError, InvalidInputError, RequestRejectedError) as error:
            print_error(str(error))
            chat.answering = complete = False
    return complete


def _questions(chat: _Chat) -> Iterator[str]:
    interactive = sys.stdin.isatty()
    if interactive:
        notice(f"Chatting as {chat.conversation.user_id} with {chat.model.name}. {_HELP}")
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
