"""`TurnCache`, which keeps turns during their runs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic

from typing_extensions import TypeVar, override

from recallrai_integrations.recall import Recall

__all__ = ["TurnCache"]

T = TypeVar("T", default=Recall)


class TurnCache(Generic[T]):
    """Keeps the latest turns by run, so that a tool loop recalls once however often it calls the model.

    It exists in the process only: memories never get into a framework's state or a pickle.

    Args:
        size: most turns to keep, more than run at the same time; the least recently used is dropped first,
            such as those of abandoned runs.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.adapter import Binding, Turn, TurnCache

        turns = TurnCache[Turn]()
        with connect(local=":memory:") as connection:
            binding = Binding.of(connection, user_id="ada")
            for _ in range(3):  # each call of the model in the tool loop of one run
                turn = turns.get("run-1")
                if turn is None:
                    turn = turns.put("run-1", Turn.begin(binding, "What should I cook?"))
        ```
    """

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._turns: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, turn: Hashable) -> T | None:
        """Returns the value that is kept for a turn, else None."""
        with self._lock:
            kept = self._turns.get(turn)
            if kept is not None:
                self._turns.move_to_end(turn)
            return kept

    def put(self, turn: Hashable, value: T) -> T:
        """Keeps a value for a turn, and returns it."""
        with self._lock:
            self._turns[turn] = value
            self._turns.move_to_end(turn)
            if len(self._turns) > self._size:
                self._turns.popitem(last=False)
        return value

    def setdefault(self, turn: Hashable, value: T) -> T:
        """Returns the value that is kept for a turn; if there is none, keeps and returns this one."""
        with self._lock:
            kept = self._turns.get(turn)
        return self.put(turn, value if kept is None else kept)

    def pop(self, turn: Hashable) -> T | None:
        """Removes and returns the value of a turn that has ended."""
        with self._lock:
            return self._turns.pop(turn, None)

    def drop(self, turn: Hashable) -> None:
        """Removes the value of a turn that has ended."""
        self.pop(turn)

    def __deepcopy__(self, memo: dict[int, Any]) -> TurnCache[T]:
        return self

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return (TurnCache, (self._size,))
