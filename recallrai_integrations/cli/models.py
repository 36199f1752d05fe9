"""The chat models of the command line: the offline one, and whatever LangChain can open."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, cast

from recallrai_integrations import Message, MissingDependencyError
from recallrai_integrations.testing.offline import Said, answer

from ._common import WrongUseError
from ._output import one_line

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from llama_index.core.llms import LLM

__all__ = ["ChatModel", "ModelError", "init_langchain_model", "init_llama_index_model", "open_model"]


class ModelError(WrongUseError):
    """The model could not answer; the question is stored, and the chat continues."""


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
    with _Failing(WrongUseError, f"The model {name!r} cannot be used"):
        return init_chat_model(name)


def init_llama_index_model(name: str) -> LLM:
    """A model of LlamaIndex, whose packages are named after their providers, as `llama_index.llms.openai`.

    Raises:
        WrongUseError: there is no such model, or its package or key is missing.
    """
    from llama_index.core.llms import LLM  # noqa: PLC0415 - an extra

    provider, _, model = name.partition(":")
    package = re.sub(r"\W", "_", provider)
    if not model:
        raise WrongUseError(f"The model {name!r} names no provider: write it as openai:gpt-5-mini.")
    try:
        module = importlib.import_module(f"llama_index.llms.{package}")
    except ModuleNotFoundError as error:
        command = f"pip install llama-index-llms-{package.replace('_', '-')}"
        raise WrongUseError(f"The model {name!r} needs a package. Run: {command}") from error
    offered = (getattr(module, one) for one in getattr(module, "__all__", ()))
    found = next((one for one in offered if isinstance(one, type) and issubclass(one, LLM)), None)
    if found is None:
        raise WrongUseError(f"llama_index.llms.{package} offers no model class; choose another provider.")
    with _Failing(WrongUseError, f"The model {name!r} cannot be used"):
        return cast("LLM", cast("Callable[..., object]", found)(model=model))


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
        with _Failing(ModelError, f"The model {self.name!r} failed"):
            for chunk in self.model.stream([("system", system), *request] if system else request):
                yield chunk.text


class _Failing:
    """Runs a block of a provider's package, and turns any of its errors into one line.

    Args:
        kind: class of the error to raise instead.
        what: what failed; the reason follows.
    """

    def __init__(self, kind: type[WrongUseError], what: str) -> None:
        self._kind = kind
        self._what = what

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            raise self._kind(f"{self._what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = one_line(str(error)) or type(error).__name__
    if text.startswith("Unable to infer model provider"):
        # LangChain speaks of an argument in Python, and lists all providers.
        return "LangChain knows no such provider; write it as openai:gpt-5-mini."
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"


_LONGEST = 300
