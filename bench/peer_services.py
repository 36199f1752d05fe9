"""The routes of other memory services that their clients ask in a chat: mem0's, Zep's, Hindsight's.

They recall the same memories as the stand-in for ours, as plain sentences.
"""

from __future__ import annotations

from typing import Any

from bench import dialogue

Json = dict[str, Any]


def route(method: str, path: list[str], body: Json, stored: list[tuple[str, str]]) -> tuple[int, Any]:
    """The answer to a request; what is to be remembered is appended to `stored`, as role and text."""
    answer: Json | None = None
    match method, *path:
        case "GET", "v1", "ping":
            answer = {"org_id": "bench", "project_id": "bench", "user_email": None}
        case "POST", "v3", "memories", "add":
            stored += [(one["role"], one["content"]) for one in body["messages"]]
            answer = {"results": []}
        case "POST", "v3", "memories", "search":
            answer = {"results": [{"memory": text} for text in _recalled(body.get("query", ""))]}
        case "POST", "zep", "threads", _, "messages":
            stored += [(one["role"], one["content"]) for one in body["messages"]]
            asked = body["messages"][-1]["content"]
            context = "\n".join(_recalled(asked)) if body.get("return_context") else None
            answer = {"context": context, "messages": []}
        case "POST", "v1", "default", "banks", bank, "memories":
            stored += [("user", one["content"]) for one in body["items"]]
            answer = {"success": True, "bank_id": bank, "items_count": len(body["items"]), "async": False}
        case "POST", "v1", "default", "banks", _, "memories", "recall":
            texts = enumerate(_recalled(body["query"]))
            answer = {"results": [{"id": str(n), "text": text} for n, text in texts]}
    return (404, {"detail": "Not Found"}) if answer is None else (200, answer)


def _recalled(query: str) -> list[str]:
    """What is remembered for the last question in a text; for any other text what the first one would get."""
    asked = (n for n in range(dialogue.TURNS) if dialogue.question(n) in query)
    return dialogue.memories(max(asked, default=0))
