"""What an outbox guarantees, as a suite: ours pass it, and so has one of your own.

```python
from recallrai_integrations.testing.outbox import OutboxContract


class TestMyOutbox(OutboxContract):
    def open(self, *, project="p", limit=100):
        return MyOutbox(project=project, limit=limit)
```
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from recallrai_integrations import Message
from recallrai_integrations.errors import OutboxFullError
from recallrai_integrations.outbox import (
    ClaimLostError,
    ConversationKey,
    Outbox,
    OutboxEntry,
    SessionCursor,
    Unconfirmed,
)

__all__ = ["OutboxContract"]

ADA = ConversationKey("t1", "ada", "t1", {"topic": "food"}, 900)
BOB = ConversationKey("t1", "bob", "t1")
ALONE = ConversationKey("t1", "ada", None)
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
STRANGE = "grüß dich \\0 \x00 😀 ' \" % {}"


class OutboxContract:
    """Subclass it, say how an outbox is opened, and pytest runs the rest.

    Attributes:
        is_shared: whether two that are opened hold the same messages, as those of two processes.
        claims_end: whether a claim whose owner gives no sign of life ends; see `let_claims_end`.

    Example:
        ```python
        from recallrai_integrations.outbox import MemoryOutbox, Outbox
        from recallrai_integrations.testing.outbox import OutboxContract

        class TestMemory(OutboxContract):
            is_shared = claims_end = False

            def open(self, *, project: str = "p", limit: int = 100) -> Outbox:
                return MemoryOutbox(limit=limit)
        ```
    """

    is_shared = True
    claims_end = True

    def open(self, *, project: str = "p", limit: int = 100) -> Outbox:
        """Opens the outbox of a test; a second call in the same test is another process' view of it.

        Args:
            project: which service and project the messages are for.
            limit: most messages that may wait for it.
        """
        raise NotImplementedError

    def let_claims_end(self) -> None:
        """Has the claims of all that are open run out, as when their processes were stopped."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _closing(self) -> Iterator[None]:
        self._opened: list[Outbox] = []
        yield
        for one in self._opened:
            one.close()

    def opened(self, *, project: str = "p", limit: int = 100) -> Outbox:
        """An outbox that is closed after the test."""
        outbox = self.open(project=project, limit=limit)
        self._opened.append(outbox)
        return outbox

    def two(self) -> tuple[Outbox, Outbox]:
        """One outbox as two processes see it."""
        if not self.is_shared:
            pytest.skip("it is not shared by processes")
        return self.opened(), self.opened()

    def test_what_was_put_comes_out_in_order_and_once(self) -> None:
        """What was put comes out in order and once."""
        outbox = self.opened()
        outbox.put(ADA, users("a", "b"))
        outbox.put(BOB, users("x"))
        outbox.put(ADA, ["process", *users("c")])
        assert contents(outbox, ADA) == ["a", "b", None, "c"]
        last = outbox.last(ADA)
        assert last is not None
        assert (last.seq, outbox.count(), outbox.count(ADA)) == (outbox.waiting(ADA)[-1].seq, 5, 4)
        assert outbox.keys() == [ADA, BOB]
        assert set(outbox.due()) == {ADA, BOB}
        assert deliver_all(outbox, ADA) == ["a", "b", None, "c"]
        assert (outbox.keys(), outbox.count(), outbox.is_empty(ADA)) == ([BOB], 1, True)

    def test_texts_times_ids_and_metadata_come_back_as_they_were(self) -> None:
        """Texts times ids and metadata come back as they were."""
        outbox = self.opened()
        key = ConversationKey(STRANGE, STRANGE, STRANGE, {"x": [1, "é"]}, 700)
        said = [Message("assistant", STRANGE, id=STRANGE, created_at=NOON), Message("user", "x" * 100_000)]
        taken = outbox.put(key, said)
        assert taken[0].message == said[0]
        assert [one.message and one.message.content for one in outbox.waiting(key)] == [
            STRANGE,
            "x" * 100_000,
        ]
        assert outbox.waiting(key) == taken
        (found,) = outbox.keys()
        assert (found, found.metadata, found.auto_process_after_seconds) == (key, {"x": [1, "é"]}, 700)
        (found,) = outbox.keys(user_id=STRANGE)
        assert found == key

    def test_the_same_id_is_taken_once_and_the_same_text_always(self) -> None:
        """The same id is taken once and the same text always."""
        outbox, hi = self.opened(), Message("user", "hi", id="m1")
        assert len(outbox.put(ADA, [hi, hi, *users("ok", "ok")])) == 3
        assert outbox.put(ADA, [hi]) == [], "it still waits"
        deliver_all(outbox, ADA)
        assert outbox.put(ADA, [hi]) == [], "it was delivered"
        assert len(outbox.put(BOB, [hi])) == 1
        assert len(outbox.put(ALONE, [hi])) == 1, "a thread and a conversation by itself are two"

    def test_what_is_withdrawn_may_be_put_again(self) -> None:
        """What is withdrawn may be put again."""
        outbox, hi = self.opened(), Message("user", "hi", id="m1")
        outbox.put(ADA, users("before"))
        outbox.withdraw(ADA, outbox.put(ADA, [hi]))
        assert contents(outbox, ADA) == ["before"]
        assert len(outbox.put(ADA, [hi])) == 1
        assert outbox.count() == 2

    def test_past_the_limit_nothing_of_a_batch_is_taken(self) -> None:
        """Past the limit nothing of a batch is taken."""
        outbox = self.opened(limit=5)
        outbox.put(ADA, users("a", "b", "c"))
        with pytest.raises(OutboxFullError, match="outbox_limit=5"):
            outbox.put(BOB, [Message("user", "x", id="x"), *users("y", "z")])
        assert outbox.count() == 3
        assert len(outbox.put(BOB, [Message("user", "x", id="x")])) == 1

    def test_what_was_rejected_is_out_of_the_way(self) -> None:
        """What was rejected is out of the way."""
        outbox = self.opened()
        outbox.put(ADA, users("a", "b"))
        outbox.claim(ADA, SessionCursor())
        bad = outbox.next(ADA)
        assert bad is not None
        outbox.reject(ADA, bad, f"HTTP 422 {STRANGE}")
        assert contents(outbox, ADA) == ["b"]
        assert outbox.count() == 1

    def test_a_purge_drops_what_waits_and_no_id_is_taken_again(self) -> None:
        """A purge drops what waits and no id is taken again."""
        outbox = self.opened()
        outbox.put(ADA, [Message("user", "a", id="a"), *users("b")])
        outbox.put(BOB, users("x"))
        assert [one.user_id for one in outbox.keys(user_id="ada")] == ["ada"]
        waiting = outbox.waiting(ADA)[0]
        assert outbox.purge(ADA) == 2
        assert (outbox.waiting(ADA), outbox.holds(ADA, waiting), outbox.count()) == ([], False, 1)
        assert outbox.put(ADA, [Message("user", "a", id="a")]) == []
        assert contents(outbox, BOB) == ["x"]

    def test_projects_never_mix(self) -> None:
        """Projects never mix."""
        if not self.is_shared:
            pytest.skip("it holds one project")
        one, two = self.opened(project="one"), self.opened(project="two", limit=1)
        one.put(ADA, users("for one", "more"))
        two.put(ADA, users("for two"))
        assert (contents(one, ADA), contents(two, ADA)) == (["for one", "more"], ["for two"])
        assert (one.count(), two.count()) == (2, 1)
        assert one.purge(ADA) == 2
        assert contents(two, ADA) == ["for two"]

    def test_what_to_watch_tells_how_much_waits_and_for_how_long(self) -> None:
        """What to watch tells how much waits and for how long."""
        outbox = self.opened()
        assert (outbox.figures().waiting, outbox.figures().oldest_seconds) == (0, 0.0)
        outbox.put(ADA, users("a", "b"))
        before = outbox.figures().oldest_seconds
        time.sleep(0.01)
        assert outbox.figures().waiting == 2
        assert outbox.figures().oldest_seconds > before

    def test_one_at_a_time_delivers_a_conversation_and_other_conversations_are_free(self) -> None:
        """One at a time delivers a conversation and other conversations are free."""
        first, second = self.two()
        first.put(ADA, users("a"))
        first.put(BOB, users("x"))
        assert first.claim(ADA, SessionCursor()) is not None
        assert second.claim(ADA, SessionCursor()) is None
        assert second.next(ADA) is None
        assert second.claim(BOB, SessionCursor()) is not None
        left = SessionCursor(session_id="s1", stored=4)
        first.release(ADA, left)
        assert second.claim(ADA, SessionCursor(session_id="stale")) == left

    def test_where_a_conversation_stands_is_kept_for_the_next_and_only_by_the_one_who_has_the_claim(
        self,
    ) -> None:
        """Where a conversation stands is kept for the next and only by the one who has the claim."""
        first, second = self.two()
        first.put(ADA, users("a", "b"))
        assert first.claim(ADA, SessionCursor()) is not None
        cursor = SessionCursor(session_id="s1", stored=0, unreconciled=True)
        cursor.target = SessionCursor(session_id="s0", stored=7)
        cursor.unconfirmed = Unconfirmed(first.waiting(ADA)[0], settled := time.monotonic() + 50.0)
        first.keep(ADA, cursor)
        second.release(ADA, SessionCursor(session_id="other"))
        seen = second.cursor(ADA, SessionCursor())
        assert seen.unconfirmed is not None
        assert seen.unconfirmed.settled_at == pytest.approx(settled, abs=5.0)
        assert (seen.session_id, seen.unconfirmed.entry, seen.target) == (
            "s1",
            cursor.unconfirmed.entry,
            cursor.target,
        )
        assert second.claim(ADA, SessionCursor()) is None

    def test_a_claim_that_was_taken_over_is_worth_nothing_any_more(self) -> None:
        """A claim that was taken over is worth nothing any more."""
        if not self.claims_end:
            pytest.skip("only the death of its process ends a claim")
        late, other = self.two()
        late.put(ADA, users("a", "b"))
        old = late.claim(ADA, SessionCursor())
        assert old is not None
        sent = late.next(ADA)
        assert sent is not None
        assert other.claim(ADA, SessionCursor()) is None
        self.let_claims_end()
        taken = other.claim(ADA, SessionCursor())
        assert taken is not None
        with pytest.raises(ClaimLostError):
            late.keep(ADA, old)
        assert late.next(ADA) is None
        late.done(ADA, sent, SessionCursor(session_id="late"))
        late.reject(ADA, sent, "late")
        late.release(ADA, SessionCursor(session_id="late"))
        assert contents(other, ADA) == ["a", "b"]
        assert other.cursor(ADA, SessionCursor()).session_id != "late"
        other.keep(ADA, taken)
        assert other.next(ADA) == sent

    def test_what_a_dead_owner_left_is_due_for_the_others(self) -> None:
        """What a dead owner left is due for the others."""
        if not self.claims_end:
            pytest.skip("only the death of its process ends a claim")
        dead, other = self.two()
        dead.put(ADA, users("a"))
        dead.claim(ADA, SessionCursor())
        assert other.poll_seconds is None or other.due() == []
        self.let_claims_end()
        assert other.due() == [ADA]

    def test_many_workers_put_and_deliver_at_once_in_order_and_without_a_deadlock(self) -> None:
        """Many workers put and deliver at once in order and without a deadlock."""
        workers = [self.opened(limit=100_000) for _ in range(4 if self.is_shared else 1)]
        delivered: dict[ConversationKey, list[str | None]] = {ADA: [], BOB: []}
        locks = {(id(one), key): threading.Lock() for one in workers for key in delivered}

        def work(outbox: Outbox, name: str) -> None:
            for turn in range(10):
                for key in (ADA, BOB) if turn % 2 else (BOB, ADA):
                    outbox.put(key, [Message("user", f"{name} {turn:02d}", id=f"{name}-{turn}")])
                    with locks[id(outbox), key]:  # as a conversation has one within its process
                        if (cursor := outbox.claim(key, SessionCursor())) is None:
                            continue
                        while (waiting := outbox.next(key)) is not None:
                            outbox.keep(key, cursor)
                            delivered[key].append(_text(waiting))
                            outbox.done(key, waiting, cursor)
                        outbox.release(key, cursor)

        threads = [
            threading.Thread(target=work, args=(one, f"{number}-{part}"), daemon=True)
            for number, one in enumerate(workers)
            for part in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
        for key, texts in delivered.items():
            texts.extend(contents(workers[0], key))
            assert len(texts) == len(set(texts)) == len(threads) * 10
            for name in {str(text).split()[0] for text in texts}:
                own = [text for text in texts if str(text).split()[0] == name]
                assert own == sorted(own, key=str)


def users(*texts: str) -> list[Message]:
    """Messages of the user."""
    return [Message("user", text) for text in texts]


def contents(outbox: Outbox, key: ConversationKey) -> list[str | None]:
    """What waits for a conversation."""
    return [_text(one) for one in outbox.waiting(key)]


def deliver_all(outbox: Outbox, key: ConversationKey) -> list[str | None]:
    """Takes everything out, as a delivery does."""
    claimed = outbox.claim(key, SessionCursor())
    assert claimed is not None
    sent = list[str | None]()
    while (waiting := outbox.next(key)) is not None:
        assert outbox.holds(key, waiting)
        sent.append(_text(waiting))
        claimed.acknowledge(waiting)
        outbox.done(key, waiting, claimed)
        assert not outbox.holds(key, waiting)
    outbox.release(key, claimed)
    return sent


def _text(entry: OutboxEntry) -> str | None:
    return None if entry.message is None else entry.message.content
