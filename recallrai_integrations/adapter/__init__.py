"""What the adapters of all frameworks share, so that each contains only what is specific to its framework.

```text
Binding, Identity, ConnectionSource    the user, the conversation and the connection of a run
Turn, TurnCache                        one turn: begin, prompt for each request, end; kept by run
calling_tool, outer_turn               runs inside a tool of another run
question_of, answer_of, from_openai    a framework's messages as `Message`
unsent, not_landed, new_questions      the new messages of a conversation
recording, ending_run                  stores them; a question that is tried again is stored once
MEMORY_TOOLS, MergeConflictQuestions   tools for models, questions for users; `wording` has the texts
Steps, Twin, run, arun                 a hook written once, for sync and async
```
"""

from .alignment import new_questions, not_landed, unsent
from .binding import Binding, Identity, look_up
from .cache import TurnCache
from .conflicts import MergeConflictQuestions
from .connections import ConnectionSource
from .mapping import (
    IMAGE_PLACEHOLDER,
    answer_of,
    from_openai,
    from_openai_all,
    named,
    parts_text,
    placeholder,
    question_of,
    role_of,
)
from .nesting import begin_tool, calling_tool, end_tool, outer_turn, while_calling
from .repeats import ending_run, recording
from .steps import Steps, Twin, arun, run
from .tools import MEMORY_TOOLS, MemoryTool, ToolRefusal, ToolResult
from .turns import Turn

__all__ = [
    "IMAGE_PLACEHOLDER",
    "MEMORY_TOOLS",
    "Binding",
    "ConnectionSource",
    "Identity",
    "MemoryTool",
    "MergeConflictQuestions",
    "Steps",
    "ToolRefusal",
    "ToolResult",
    "Turn",
    "TurnCache",
    "Twin",
    "answer_of",
    "arun",
    "begin_tool",
    "calling_tool",
    "end_tool",
    "ending_run",
    "from_openai",
    "from_openai_all",
    "look_up",
    "named",
    "new_questions",
    "not_landed",
    "outer_turn",
    "parts_text",
    "placeholder",
    "question_of",
    "recording",
    "role_of",
    "run",
    "unsent",
    "while_calling",
]
