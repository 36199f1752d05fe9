"""`TurnCache`: one recall for each turn of the user."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic

from typing_extensions import TypeVar

from recallrai_integrations.recall import Recall

__all__ = ["TurnCache"]

T = TypeVar("T", default=Recall)


class TurnCache(Generic[T]):
    """What belongs to the latest user turns: a tool loop recalls once however often it calls the model.

    Lives in the process only: memories are never put into a framework's state.

    Args:
        size: turns kept, the least recently used goes first.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.adapter import TurnCache

        recalls = TurnCache()
        with connect(local=":memory:") as connection:
            conversation = connection.conversation("ada", "thread-1")
            conversation.record(("user", "What should I cook?"))
            for _ in range(3):  # each call of the model in the tool loop of one turn
                recall = recalls.get(("thread-1", "message-1"))
                if recall is None:
                    recall = conversation.recall()
                    recalls.put(("thread-1", "message-1"), recall)
        ```
    """

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._turns: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, turn: Hashable) -> T | None:
        """What was kept for a turn, usually its recall, if it is still there."""
        with self._lock:
            kept = self._turns.get(turn)
            if kept is not None:
                self._turns.move_to_end(turn)
            return kept

    def put(self, turn: Hashable, value: T) -> None:
        """Keeps something for a turn."""
        with self._lock:
            self._turns[turn] = value
            self._turns.move_to_end(turn)
            if len(self._turns) > self._size:
                self._turns.popitem(last=False)

    def drop(self, turn: Hashable) -> None:
        """Forgets a turn that has ended."""
        with self._lock:
            self._turns.pop(turn, None)

    def __deepcopy__(self, memo: dict[int, Any]) -> TurnCache[T]:
        return self
