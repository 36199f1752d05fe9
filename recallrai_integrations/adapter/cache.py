"""`TurnCache`: where what belongs to a turn is found again."""

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
    """What belongs to the latest user turns: a tool loop recalls once however often it calls the model.

    Lives in the process only: memories are never put into a framework's state, nor into a pickle.

    Args:
        size: turns kept, the least recently used goes first; more than run at once. Runs that were left
            without an end go this way.

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
        """What was kept for a turn, if it is still there."""
        with self._lock:
            kept = self._turns.get(turn)
            if kept is not None:
                self._turns.move_to_end(turn)
            return kept

    def put(self, turn: Hashable, value: T) -> T:
        """Keeps something for a turn, and returns it."""
        with self._lock:
            self._turns[turn] = value
            self._turns.move_to_end(turn)
            if len(self._turns) > self._size:
                self._turns.popitem(last=False)
        return value

    def setdefault(self, turn: Hashable, value: T) -> T:
        """What is kept for a turn already, else this value, which is kept then."""
        with self._lock:
            kept = self._turns.get(turn)
        return self.put(turn, value if kept is None else kept)

    def pop(self, turn: Hashable) -> T | None:
        """What was kept for a turn that has ended, which is forgotten."""
        with self._lock:
            return self._turns.pop(turn, None)

    def drop(self, turn: Hashable) -> None:
        """Forgets a turn that has ended."""
        self.pop(turn)

    def __deepcopy__(self, memo: dict[int, Any]) -> TurnCache[T]:
        return self

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return (TurnCache, (self._size,))
