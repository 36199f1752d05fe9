"""The routes of other memory services that their clients ask in a chat: mem0's, Zep's, Hindsight's.

They recall the same memories as the stand-in for ours, as plain sentences.
"""

from __future__ import annotations

from typing import Any

from bench import dialogue

Json = dict[str, Any]


def route(method: str, path: list[str], body: Json, stored: list[tuple[str, str]]) -> tuple[int, Any]:
    """The answer to a request; what is to be remembered is appended to `stored`, as role and text."""
    match method, *path:
        case "GET", "v1", "ping":
            return 200, {"org_id": "bench", "project_id": "bench", "user_email": None}
        case "POST", "v3", "memories", "add":
            stored += [(one["role"], one["content"]) for one in body["messages"]]
            return 200, {"results": []}
        case "POST", "v3", "memories", "search":
            return 200, {"results": [{"memory": text} for text in _recalled(body.get("query", ""))]}
        case "POST", "zep", "threads", _, "messages":
            stored += [(one["role"], one["content"]) for one in body["messages"]]
            asked = body["messages"][-1]["content"]
            context = "\n".join(_recalled(asked)) if body.get("return_context") else None
            return 200, {"context": context, "messages": []}
        case "POST", "v1", "default", "banks", _, "memories":
            stored += [("user", one["content"]) for one in body["items"]]
            return 200, {"success": True, "bank_id": "ada", "items_count": 1, "async": False}
        case "POST", "v1", "default", "banks", _, "memories", "recall":
            texts = _recalled(body["query"])
            return 200, {"results": [{"id": str(n), "text": text} for n, text in enumerate(texts)]}
    return 404, {"detail": "Not Found"}


def _recalled(query: str) -> list[str]:
    """What is remembered for the last question in a text; for any other text what the first one would get."""
    asked = (n for n in range(dialogue.TURNS) if dialogue.question(n) in query)
    return dialogue.memories(max(asked, default=0))
