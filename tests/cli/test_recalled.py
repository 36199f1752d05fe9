"""What is shown as recalled is what stands in the prompt: recalled memories, and those that came with summaries."""

from __future__ import annotations

from recallrai_integrations import ContextOptions
from recallrai_integrations.context import render
from recallrai_integrations.context.reading import RecalledMemory, block_in, recalled_memories

CONTEXT = """# Here are the relevant memories that will help you to answer the user's query:

1. User has (had) a parrot (Similarity: 0.9134) [Event Date: 2026/03/01 12:00 AM to 2026/03/01 11:59 PM] [Version 1]

1.1. User likes birds [Event Date: 2026/02/01 12:00 AM to 2026/02/01 11:59 PM] [Version 1]


# Here are some summaries of the previous relevant conversations with their respective memories:

## Summary 1 (Created at: 2026/02/01 08:10 AM)
User talked about birds.

### Memories from this session:
1. User likes birds (Event Date: 2026/02/01 12:00 AM to 2026/02/01 11:59 PM, Created at: 2026/02/01 08:10 AM, Expired at: none)
2. User lives in Lisbon (Event Date: 2026/02/01 12:00 AM to 2026/02/01 11:59 PM, Created at: 2026/02/01 08:10 AM, Expired at: none)
3. User lives in Porto (Event Date: 2026/02/01 12:00 AM to 2026/02/01 11:59 PM, Created at: 2026/02/01 08:10 AM, Expired at: 2026/03/01 09:12 AM)



# Here are some ongoing conversations with the user:

## Ongoing Conversation 1 (Started: 2026/03/02 07:30 PM)
USER (at 2026/03/02 07:31 PM): 1. What should I cook?


# Here are some recent conversations you had with the user:
No recent user messages requested.


# Here are the summaries of some recent conversations you had with the user:
No recent session summaries requested.
"""


def _shown(context, strategy):
    prompt = render(context, strategy=strategy, options=ContextOptions())
    return recalled_memories(block_in(["You are kind.", prompt.text]))


def test_memories_come_first_and_what_has_been_superseded_is_left_out():
    assert _shown(CONTEXT, "balanced") == [
        RecalledMemory("User has (had) a parrot", 0.9134),
        RecalledMemory("User likes birds"),
        RecalledMemory("User lives in Lisbon"),
    ]


def test_a_freely_written_text_is_shown_by_paragraphs():
    text = "Ada likes birds.\n\nShe has a parrot.\n\n" + CONTEXT[CONTEXT.index("# Here are some ongoing") :]
    assert _shown(text, "agentic") == [
        RecalledMemory("Ada likes birds."),
        RecalledMemory("She has a parrot."),
    ]


def test_a_prompt_without_memories_shows_none():
    assert recalled_memories(block_in(["You are kind.", "Hello!"])) == []
