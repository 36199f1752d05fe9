"""A small chat model that needs no key and no network, for trying things out.

It answers by quoting the line of what it was sent that fits the question best, and says so: whatever it
knows, it knows from its prompt. `quoting` is the whole of its wits; `langchain` and `llama_index` dress it
up as a chat model of either framework.
"""

from .quoting import Said, answer

__all__ = ["Said", "answer"]
