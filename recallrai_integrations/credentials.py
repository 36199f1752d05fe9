"""The credentials, from arguments or the environment, checked before a request is sent."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from typing_extensions import override

from .errors import ConfigurationError, CredentialsError

__all__ = ["DEFAULT_BASE_URL", "Credentials", "Secret"]

DEFAULT_BASE_URL = "https://api.recallrai.com"


class Secret:
    """A text that no repr shows: error trackers record the local variables of frames by their repr."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Returns the text, for the code that sends it."""
        return self._text

    @override
    def __repr__(self) -> str:
        return "Secret(…)"


@dataclass(frozen=True, slots=True)
class Credentials:
    """API key, project and base URL of the service. No repr shows the key.

    Args:
        api_key: starts with `rai_` (service).
        project_id: the project's id.
        base_url: `http(s)://host[:port]`, without the API's path.
    """

    api_key: Secret
    project_id: str
    base_url: str = DEFAULT_BASE_URL

    @classmethod
    def find(
        cls, api_key: Secret | None = None, project_id: str | None = None, base_url: str | None = None
    ) -> Credentials:
        """Returns the given credentials, completed from environment variables.

        Raises:
            CredentialsError: missing or malformed; the message names the variable to set, and never the key.
            ConfigurationError: an invalid base URL.
        """
        api_key = api_key or Secret(os.environ.get("RECALLRAI_API_KEY", ""))
        project_id = project_id if project_id is not None else os.environ.get("RECALLRAI_PROJECT_ID")
        base_url = base_url or os.environ.get("RECALLRAI_BASE_URL") or DEFAULT_BASE_URL
        if not api_key.reveal():
            raise CredentialsError(
                "No RecallrAI API key. Set RECALLRAI_API_KEY, pass api_key=…, or use connect(local=…) to "
                "work without an account."
            )
        if not api_key.reveal().startswith("rai_") or not _fits_a_header(api_key.reveal()):
            raise CredentialsError(
                "The RecallrAI API key is malformed: it must start with 'rai_' and contain no spaces or line "
                "breaks. Check RECALLRAI_API_KEY for quotes and stray white space."
            )
        if not project_id:
            raise CredentialsError("No RecallrAI project id. Set RECALLRAI_PROJECT_ID or pass project_id=….")
        if not _fits_a_header(project_id):
            raise CredentialsError(
                "The RecallrAI project id is malformed: it has spaces, line breaks or non-ASCII characters."
            )
        url = urlsplit(base_url)
        if url.username is not None or url.password is not None:
            raise ConfigurationError(
                "The base URL contains a user or a password, which logs would show: remove them from "
                "RECALLRAI_BASE_URL."
            )
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise ConfigurationError(
                f"The base URL must look like {DEFAULT_BASE_URL}, not {base_url!r}: check RECALLRAI_BASE_URL."
            )
        return cls(api_key, project_id, base_url.rstrip("/"))

    @property
    def is_loopback(self) -> bool:
        """Whether the service runs on this machine, so that no proxy may be used."""
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def _fits_a_header(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
