"""Reading conversations from files: our own form, the vendor's, those of frameworks, providers and chat apps.

`transcripts` recognises the form of a whole file, `exports` knows what chat applications write, `messages`
the form of a single message, `content` its text and `times` when it was said. `located` finds the line that
a complaint is about.
"""

from .located import UnreadableError
from .times import by_day
from .transcripts import read_transcripts

__all__ = ["UnreadableError", "by_day", "read_transcripts"]
