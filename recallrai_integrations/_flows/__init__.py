"""Each protocol once: what is stored and fetched in which order, and what follows which failure.

A flow is a generator that yields ops and receives their results; `drive` and `adrive` run it on threads or on
an event loop. State advances after each op that succeeded, never at the end, so it is correct after an outage
in the middle.
"""

from .completion import end_run, finish
from .deletion import forget_memory, forget_session, forget_thread, forget_user
from .delivery import GIVE_UP_AFTER, clear, deliver_alone, flush, flush_all, record
from .ingestion import Profile, Transcript, import_transcript
from .locks import Caller, ConversationLock, Waiter, caller, caller_has_left
from .ops import Flow
from .retrieval import LateRecalls, Recalled, recall
from .sessions import find_session, thread_sessions, update
from .state import Deliverer, State
from .transcript import history

__all__ = [
    "GIVE_UP_AFTER",
    "Caller",
    "ConversationLock",
    "Deliverer",
    "Flow",
    "LateRecalls",
    "Profile",
    "Recalled",
    "State",
    "Transcript",
    "Waiter",
    "caller",
    "caller_has_left",
    "clear",
    "deliver_alone",
    "end_run",
    "find_session",
    "finish",
    "flush",
    "flush_all",
    "forget_memory",
    "forget_session",
    "forget_thread",
    "forget_user",
    "history",
    "import_transcript",
    "recall",
    "record",
    "thread_sessions",
    "update",
]
