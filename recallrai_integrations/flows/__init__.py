"""Each protocol once: what is stored and fetched in which order, and what follows which failure.

A flow is a generator that yields ops and is sent their answers; `drive` runs it on threads or on an event
loop. State advances after each op that succeeded, never at the end, so that an outage in the middle leaves
a truth behind.
"""

from recallrai_integrations.ops import Flow

from .delivery import HOPELESS, clear, deliver_alone, flush, flush_all, record
from .ending import end_run, finish
from .forgetting import forget_memory, forget_session, forget_thread, forget_user
from .history import history
from .importing import Profile, Transcript, import_transcript
from .recalling import Recalled, recall
from .sessions import find_session, thread_sessions, update
from .state import State, Workers

__all__ = [
    "HOPELESS",
    "Flow",
    "Profile",
    "Recalled",
    "State",
    "Transcript",
    "Workers",
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
