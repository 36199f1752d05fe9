"""What every endpoint needs: who may call, lists, and answers."""

from __future__ import annotations

import json
import secrets
from typing import Annotated, Any, Final, NoReturn, cast
from uuid import UUID

from fastapi import Depends, Header, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from typing_extensions import override

from recallrai_integrations.local import metadata
from recallrai_integrations.local.memory import Page
from recallrai_integrations.local.service import Service
from recallrai_integrations.local.wire import LARGEST_INTEGER, Detail


class Json(Response):
    """JSON as the SDKs read it; ASCII only, so that no character can break a line or an encoder."""

    media_type = "application/json"

    @override
    def render(self, content: Any) -> bytes:
        """The bytes to be sent."""
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


async def authorised(
    request: Request,
    x_recallr_api_key: Annotated[str, Header(description="The API key of the project.")],
    x_recallr_project_id: Annotated[str, Header(description="The id of the project.")],
) -> Service:
    """The service, for callers with the right key and project (401); a missing header is a 422."""
    service = service_of(request)
    settings = service.settings
    key_fits = secrets.compare_digest(x_recallr_api_key.encode(), settings.api_key.encode())
    project_fits = secrets.compare_digest(x_recallr_project_id.encode(), settings.project_id.encode())
    if not (key_fits and project_fits):
        raise HTTPException(401, "Invalid API key or project id")
    return service


def service_of(request: Request) -> Service:
    """The service behind the app, without asking for a key."""
    return cast("Service", request.app.state.service)


Caller = Annotated[Service, Depends(authorised)]
UserIdInPath = Annotated[str, Path(description="The id that the application gave to the user.")]
SessionIdInPath = Annotated[UUID, Path()]
Offset = Annotated[int, Query(ge=0, le=LARGEST_INTEGER)]
MetadataFilter = Annotated[
    str | None, Query(description="A JSON object; what it names must be equal, at every level.")
]

_ANSWERS: Final[dict[int, str]] = {
    400: "Not possible in this state, or a body that is no text",
    401: "Wrong key or project",
    403: "Asked by a web page of another site",
    404: "Not found",
    409: "Taken",
    413: "The body is too large",
    421: "Asked under a name that is not the service's",
    503: "The database cannot be used",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of an endpoint, for the OpenAPI document; some are everywhere."""
    everywhere = (401, 403, 413, 421, 503)
    return {status: {"model": Detail, "description": _ANSWERS[status]} for status in (*everywhere, *statuses)}


def invalid(where: tuple[str, str], message: str) -> NoReturn:
    """Refuse a value as FastAPI does.

    Raises:
        RequestValidationError: always; a 422.
    """
    raise RequestValidationError([{"loc": where, "msg": message, "type": "value_error"}])


def parsed_filter(text: str | None, name: str = "metadata_filter") -> str | None:
    """A metadata filter in one spelling, or None; anything but a JSON object is a 422."""
    if text is None:
        return None
    try:
        return metadata.dump(metadata.parse_filter(text))
    except ValueError as error:
        invalid(("query", name), str(error))


def page(name: str, found: Page, offset: int) -> Json:
    """A list in wire form."""
    return Json(
        {name: found.items, "total": found.total, "has_more": offset + len(found.items) < found.total}
    )
