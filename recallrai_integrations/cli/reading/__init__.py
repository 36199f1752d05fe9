"""Reading conversations from files: our own and the vendor's form, OpenAI, LangChain and LlamaIndex.

`transcripts` recognises the form of a whole file, `messages` the form of a single message, and `located`
finds the line that a complaint is about.
"""

from .located import UnreadableError
from .transcripts import read_transcripts

__all__ = ["UnreadableError", "read_transcripts"]
