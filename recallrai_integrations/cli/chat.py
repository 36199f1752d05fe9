"""`recallrai-integrations chat`: a conversation with one user that shows what is recalled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

import typer
from rich.text import Text

from recallrai_integrations import (
    Conversation,
    InvalidInputError,
    Message,
    NotFoundError,
    Recall,
    RecallOptions,
)
from recallrai_integrations.context.reading import RecalledMemory, recalled_memories
from recallrai_integrations.identity import thread_id_text
from recallrai_integrations.messages import clean_text
from recallrai_integrations.options import Strategy

from ._common import ExitCode, LocalOption, UserOption, connected, json_line, note, out, problem, status_line
from .models import ChatModel, ModelError, open_model
from .recalled import panel

__all__ = ["chat_command"]

_HISTORY = 20
_HELP = "/finish makes memories of the conversation so far, /quit leaves."


@dataclass
class _Chat:
    conversation: Conversation
    model: ChatModel
    options: RecallOptions
    as_json: bool
    said: list[Message] = field(default_factory=list[Message])
    degraded: bool = False

    def turn(self, question: str) -> None:
        """One question: stored, memories recalled and shown, answered, and the answer stored."""
        self.conversation.record(("user", question))
        self.said.append(Message("user", question))
        recall = self.conversation.recall(options=self.options)
        prompt = recall.prompt(sent=self.said)
        memories = recalled_memories(prompt.memories)
        self.degraded |= recall.degraded
        if not self.as_json:
            self._show(recall, memories)
        answer = self._answer(prompt.text)
        if answer.strip():
            self.conversation.record(("assistant", clean_text(answer)))
            self.said.append(Message("assistant", answer))
        if self.as_json:
            self._print_json(question, answer, recall, memories)

    def finish(self) -> None:
        """Makes memories of what was said, and waits for them."""
        with status_line.status("Making memories …"):
            session = self.conversation.finish(wait=True)
        if session is None:
            note("There is nothing to make memories of.")
        elif session.status == "processed":
            note("Memories are made; what you say next begins a new session.")
        else:
            problem(f"The session is {session.status}: no memories were made of it so far.")

    def _answer(self, system: str) -> str:
        pieces: list[str] = []
        for piece in self.model.stream(system, self.said[-_HISTORY:]):
            pieces.append(piece)
            if not self.as_json:
                out.print(Text(piece), end="", soft_wrap=True)
        if not self.as_json:
            out.print()
        return "".join(pieces)

    def _show(self, recall: Recall, memories: list[RecalledMemory]) -> None:
        if recall.degraded:
            title = "memories could not be had"
        else:
            title = f"recalled: {len(memories)} memories, {recall.strategy}, {recall.elapsed * 1000:.0f} ms"
        out.print(panel(memories, title=title))

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
    is not known yet comes into being with the first message. Without credentials and --local it uses
    recallrai.db in the working directory, and says so.
    """
    thread = thread_id_text(thread)
    chosen: Strategy = strategy
    options = RecallOptions(strategy=chosen)
    chat_model = open_model(model)
    with connected(local, default_local=True, must_exist=False, on_error="degrade") as connection:
        try:
            connection.user(user).info()
        except NotFoundError:
            note(f"{user} is new here: nothing is remembered yet.")
        conversation = connection.conversation(user, thread)
        chat = _Chat(conversation, chat_model, options, as_json)
        if thread is not None:
            chat.said += conversation.history(limit=_HISTORY)
        complete = _converse(chat)
        if thread is None:
            with status_line.status("Making memories …"):
                conversation.finish(wait=True)
    if not complete or chat.degraded:
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
        except (ModelError, InvalidInputError) as error:
            problem(str(error))
            complete = False
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
