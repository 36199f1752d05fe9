"""Reading conversations from files: our own form, the vendor's, those of frameworks, providers and chat apps.

`transcripts` recognises the form of a whole file, `exports` that of chat applications' exports, `messages`
that of a single message. `content` extracts its text, `times` its time, and `located` finds the line of an
error.
"""

from .located import UnreadableError
from .times import by_day
from .transcripts import read_transcripts

__all__ = ["UnreadableError", "by_day", "read_transcripts"]
