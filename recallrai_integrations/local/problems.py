"""What a request can be refused with; `api.problems` turns it into an answer."""

from __future__ import annotations

from typing import Any


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """A request cannot be carried out; the client gets `status` and `{"detail": detail}`.

    Args:
        status: HTTP status, 400 to 499.
        detail: the text that the SDKs look at, or an object where they expect one.
    """

    def __init__(self, status: int, detail: str | dict[str, Any]) -> None:
        super().__init__(str(detail))
        self.status = status
        self.detail = detail


def not_found(kind: str, key: str) -> Refused:
    """The 404 whose text tells the SDKs what is missing: `User`, `Session`, `Memory` or `Merge conflict`."""
    return Refused(404, f"{kind} {key} not found")
