"""What chat applications and other memories export, as lists of messages that `messages` reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any, Final

from typing_extensions import override

from .located import JsonPath, UnreadableError, is_list, is_object

__all__ = ["Items", "activities", "branch", "is_activity", "is_statement", "is_tree", "statements", "tree"]

Items = list[tuple[JsonPath, object]]
"""Messages, each with its path in the file."""

_STATEMENTS: Final = ("memory", "fact")
_PROMPTED: Final = "Prompted "


def is_tree(document: Mapping[str, Any]) -> bool:
    """Whether this is a conversation of ChatGPT."""
    return is_object(document.get("mapping"))


def tree(document: Mapping[str, Any], json_path: JsonPath, left_out: Counter[str]) -> Items:
    """The messages that ChatGPT shows: the branch that ends in the current node.

    An edited question and an answer that was generated anew begin another branch of the tree.
    """
    nodes: Mapping[str, Any] = {key: one for key, one in document["mapping"].items() if is_object(one)}
    parents = {key: one.get("parent") for key, one in nodes.items()}
    current = document.get("current_node")
    shown = _path(parents, current if str(current) in nodes else _newest_leaf(nodes))
    other = [key for key in nodes if key not in shown and _is_said(nodes[key].get("message"))]
    if other:
        left_out["a message of another branch (edited, or answered anew)"] += len(other)
    return [
        ((*json_path, "mapping", key, "message"), nodes[key]["message"])
        for key in shown
        if is_object(nodes[key].get("message"))
    ]


def branch(messages: Sequence[Any], leaf: object, json_path: JsonPath, left_out: Counter[str]) -> Items:
    """The messages of a conversation of Claude: those that lead to the latest one, where it has branches."""
    items: Items = [((*json_path, index), one) for index, one in enumerate(messages)]
    by_id = {str(one["uuid"]): item for item in items if is_object(one := item[1]) and one.get("uuid")}
    parents = {key: item[1].get("parent_message_uuid") for key, item in by_id.items() if is_object(item[1])}
    if len(by_id) < len(items) or not any(parents.values()):
        return items
    shown = _path(parents, leaf if str(leaf) in by_id else next(reversed(by_id)))
    if len(shown) < len(items):
        left_out["a message of another branch (edited, or answered anew)"] += len(items) - len(shown)
    return [by_id[key] for key in shown]


def _path(parents: Mapping[str, Any], leaf: Any) -> dict[str, None]:
    """From the root to a leaf; ordered, and quick to look in."""
    found: dict[str, None] = {}
    while isinstance(leaf, str) and leaf in parents and leaf not in found:
        found[leaf] = None
        leaf = parents[leaf]
    return dict.fromkeys(reversed(found))


def _newest_leaf(nodes: Mapping[str, Any]) -> str | None:
    node = next((key for key, one in nodes.items() if str(one.get("parent")) not in nodes), None)
    seen: set[str] = set()
    while node is not None and node not in seen:
        seen.add(node)
        children = nodes[node].get("children")
        inside = [str(one) for one in children if str(one) in nodes] if is_list(children) else []
        if not inside:
            break
        node = inside[-1]
    return node


def _is_said(message: object) -> bool:
    author = message.get("author") if is_object(message) else None
    return is_object(author) and author.get("role") in ("user", "assistant")


def is_statement(item: object) -> bool:
    """Whether this is a memory of mem0, or a fact of Zep."""
    return is_object(item) and any(isinstance(item.get(key), str) for key in _STATEMENTS)


def statements(items: Sequence[Any], json_path: JsonPath, left_out: Counter[str]) -> Items:
    """Memories of another service as what the user said: the service makes memories from conversations alone.

    Raises:
        UnreadableError: they are of several users.
    """
    users = {str(one["user_id"]) for one in items if is_object(one) and one.get("user_id")}
    if len(users) > 1:
        raise UnreadableError(
            f"memories of {len(users)} users ({', '.join(sorted(users)[:3])} …); an import is for one user: "
            "make a file for each",
            json_path,
        )
    found: Items = []
    for index, one in enumerate(items):
        text = (
            next((one[key] for key in _STATEMENTS if isinstance(one.get(key), str)), None)
            if is_object(one)
            else None
        )
        if text is None:
            left_out["an entry without a memory or a fact"] += 1
        else:
            found.append(((*json_path, index), {**one, "role": "user", "content": text, "metadata": None}))
    return found


def is_activity(item: object) -> bool:
    """Whether this is an entry of Gemini's in what Google Takeout calls My Activity."""
    return is_object(item) and "header" in item and "title" in item and "time" in item


def activities(items: Sequence[Any], json_path: JsonPath, left_out: Counter[str]) -> Items:
    """Question and answer of each entry."""
    found: Items = []
    for index, one in enumerate(items):
        answer = one.get("safeHtmlItem") if is_object(one) else None
        title = str(one.get("title", "")) if is_object(one) else ""
        if not is_list(answer) and not title.startswith(_PROMPTED):
            left_out["an activity that is no question"] += 1
            continue
        html = [str(part.get("html") or "") for part in answer if is_object(part)] if is_list(answer) else []
        said = {"role": "model", "content": _text_of_html("\n".join(html)), "time": one["time"]}
        asked = {"role": "user", "content": title.removeprefix(_PROMPTED), "time": one["time"]}
        found = [((*json_path, index), asked), ((*json_path, index), said), *found]  # the newest comes first
    return found


def _text_of_html(html: str) -> str:
    reader = _Text()
    reader.feed(html)
    reader.close()
    return "".join(reader.pieces).strip()


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    @override
    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    @override
    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in {"br", "li"}:
            self.pieces.append("\n")
