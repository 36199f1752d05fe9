"""The chat models of the command line: the offline one, and whatever LangChain can open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from recallrai_integrations import Message, MissingDependencyError

from ._common import WrongUseError, one_line
from .offline import Said, answer

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

__all__ = ["ChatModel", "ModelError", "init_langchain_model", "open_model"]


class ModelError(WrongUseError):
    """The model could not answer; the question is stored, and the next one may be asked."""


class ChatModel(Protocol):
    """Something that answers."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    def stream(self, system: str, messages: Sequence[Message]) -> Iterator[str]:
        """The pieces of the answer to the last message.

        Raises:
            ModelError: the model failed.
        """
        ...


def open_model(name: str | None) -> ChatModel:
    """The model of this name (`provider:model`); None for the offline one.

    Raises:
        WrongUseError: there is no such model, or its package or key is missing.
        MissingDependencyError: LangChain is not installed.
    """
    return _OfflineModel() if name is None else _LangChainModel(name, init_langchain_model(name))


def init_langchain_model(name: str) -> BaseChatModel:
    """A chat model of LangChain.

    Raises:
        WrongUseError: there is no such model, or its package or key is missing.
        MissingDependencyError: LangChain is not installed.
    """
    try:
        from langchain.chat_models import init_chat_model  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise MissingDependencyError.for_extra("langchain", "langchain") from error
    try:
        return init_chat_model(name)
    except Exception as error:
        raise WrongUseError(f"The model {name!r} cannot be used: {_shortened(error)}") from error


@dataclass(frozen=True)
class _OfflineModel:
    name: str = "a small offline model that answers by quoting what was recalled"

    def stream(self, system: str, messages: Sequence[Message]) -> Iterator[str]:
        yield answer([Said("system", system), *(Said(one.role, one.content) for one in messages)])


@dataclass(frozen=True)
class _LangChainModel:
    name: str
    model: BaseChatModel

    def stream(self, system: str, messages: Sequence[Message]) -> Iterator[str]:
        request = [(one.role, one.content) for one in messages]
        try:
            for chunk in self.model.stream([("system", system), *request] if system else request):
                yield chunk.text
        except Exception as error:
            raise ModelError(f"The model {self.name!r} failed: {_shortened(error)}") from error


def _shortened(error: Exception) -> str:
    text = one_line(str(error)) or type(error).__name__
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"


_LONGEST = 300
