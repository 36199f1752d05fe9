"""Copies of adapters that are pydantic models: they share the connection, and a pickle holds no key."""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import Self, override

from recallrai_integrations.connection import Connection

from .connections import ConnectionSource

__all__ = ["SharingConnection"]


class SharingConnection(BaseModel):
    """Gives a model the field `connection`, which is in no dump and no repr.

    A deep copy shares the connection. A pickle contains a mark instead, see `ConnectionSource`.

    Attributes:
        connection: from `connect()`; None uses the connection from the environment.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    connection: Connection | None = Field(default=None, exclude=True, repr=False)

    @override
    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return super().__deepcopy__({**(memo or {}), id(self.connection): self.connection})

    @override
    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        fields = cast("dict[str, Any]", state["__dict__"])
        return state | {"__dict__": fields | {"connection": ConnectionSource(self.connection)}}

    @override
    def __setstate__(self, state: dict[Any, Any]) -> None:
        fields = cast("dict[str, Any]", state["__dict__"])
        source = cast("ConnectionSource", fields["connection"])
        given = source.known if source.mark else None
        super().__setstate__(state | {"__dict__": fields | {"connection": given}})
