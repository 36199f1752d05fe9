"""Contradictions put to the user by elicitation: a model can begin it, and cannot answer."""

# No `from __future__ import annotations`: the server evaluates the annotations of functions in functions.

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, ElicitationResult, MCPServer, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult
from pydantic import BaseModel, Field, create_model

from recallrai_integrations.adapter.wording import settled_text
from recallrai_integrations.errors import InvalidInputError, NotFoundError
from recallrai_integrations.models import MergeConflict, Question

from ._caller import Caller, telling
from ._results import Settled, answered
from ._tools import hints

__all__ = ["add_settling"]


class Answers(BaseModel):
    """The form that the user fills in; each contradiction has a subclass with its questions."""


def add_settling(server: MCPServer[Any], caller: Caller) -> None:
    """Adds the tool that settles a contradiction."""

    async def find(conflict_id: str) -> MergeConflict:
        with telling(ToolError):
            user = await caller.binding().auser()
            try:
                conflict = await user.aconflict(conflict_id)
            except NotFoundError:
                raise InvalidInputError("There is no contradiction with this id; list them again.") from None
            if conflict.status != "PENDING":
                raise InvalidInputError("This contradiction has been settled already.")
            return conflict

    async def ask(
        conflict: Annotated[MergeConflict, Resolve(find)], context: Context[Any, Any]
    ) -> Elicit[Answers]:
        if not _can_ask(context):
            raise ToolError(
                "Nothing was settled: this client cannot show its user a form (it does not declare "
                "form elicitation), and only the user may settle a contradiction. The user can do it with: "
                f"recallrai-integrations conflicts answer {conflict.conflict_id} --user USER_ID"
            )
        return Elicit(_message(conflict), _form(conflict.questions))

    async def settle_merge_conflict(
        conflict_id: Annotated[
            str, Field(description="The id of a contradiction, from list_merge_conflicts.")
        ],
        conflict: Annotated[MergeConflict, Resolve(find)],
        outcome: Annotated[ElicitationResult[Answers], Resolve(ask)],
    ) -> Annotated[CallToolResult, Settled]:
        if not isinstance(outcome, AcceptedElicitation):
            left = Settled(conflict_id=conflict_id, settled=False, action=outcome.action)
            return answered("Nothing was settled: the user did not answer. Both statements stay.", left)
        chosen = zip(conflict.questions, outcome.data.model_dump().values(), strict=True)
        with telling(ToolError):
            user = await caller.binding().auser()
            settled = await user.aresolve(conflict, {asked.question: answer for asked, answer in chosen})
        value = Settled(conflict_id=conflict_id, settled=settled, action=outcome.action)
        return answered(settled_text(settled), value)

    server.add_tool(
        settle_merge_conflict,
        title="Settle a contradiction",
        description="Asks the user to settle one contradiction in what is remembered, in a form of the "
        "client. The answers are the user's: there is no argument for them.",
        annotations=hints(),
    )


def _can_ask(context: Context[Any, Any]) -> bool:
    declared = context.client_capabilities
    asking = None if declared is None else declared.elicitation
    return asking is not None and (asking.form is not None or asking.url is None)


def _message(conflict: MergeConflict) -> str:
    known = " / ".join(one.content for one in conflict.conflicting)
    return f"Something new contradicts what is remembered of you. New: {conflict.proposed} Known: {known}"


def _form(questions: Sequence[Question]) -> type[Answers]:
    fields: dict[str, Any] = {
        f"answer_{number}": (
            Literal[asked.options] if asked.options else str,
            Field(title=asked.question, json_schema_extra=_choices(asked)),
        )
        for number, asked in enumerate(questions, 1)
    }
    return create_model("Answers", __base__=Answers, **fields)


def _choices(asked: Question) -> dict[str, Any] | None:
    # One option alone would be a "const", which forms of MCP do not have.
    return {"enum": list(asked.options)} if asked.options else None
