"""`recallrai-integrations serve`: the local service as a process of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from ._common import DEFAULT_DATABASE, WrongUseError

__all__ = ["serve_command"]


def serve_command(
    *,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. Other machines that know the key can connect unless it is loopback."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on, 1 to 65535; 0 picks a free port.")] = 8000,
    db: Annotated[
        str, typer.Option("--db", metavar="PATH", help="Database file; :memory: saves nothing.")
    ] = DEFAULT_DATABASE,
    api_key: Annotated[
        str, typer.Option(metavar="KEY", envvar="RECALLRAI_LOCAL_API_KEY", help="Key that clients must send.")
    ] = "rai_local",
    project_id: Annotated[str, typer.Option(metavar="ID", help="Project that clients must name.")] = "local",
    min_auto_process_seconds: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="Shortest auto_process_after_seconds that clients may set."),
    ] = 600,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="PROVIDER:NAME",
            help="Chat model that extracts memories; the default extracts them by rules.",
        ),
    ] = None,
    embeddings: Annotated[
        str | None,
        typer.Option(
            metavar="PROVIDER:NAME",
            help="Embeddings for recall; by default the extra `semantic`, if installed; `off` for none.",
        ),
    ] = None,
    merge_conflicts: Annotated[
        bool,
        typer.Option("--merge-conflicts", help="Turn contradictions into merge conflicts, for all users."),
    ] = False,
    faults: Annotated[
        str | None, typer.Option(metavar="PATH", help="JSON file of faults to inject, for tests.")
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Another host name under which clients may reach the service, besides --host and loopback; "
            "may be repeated.",
        ),
    ] = None,
) -> None:
    """Run the local service until Ctrl-C, with a web page at / that shows what it stores.

    The log goes to stderr as JSON lines. On Ctrl-C or SIGTERM the service answers the requests it has
    received and ends with exit code 0.

    Clients connect with RECALLRAI_BASE_URL=http://127.0.0.1:8000, RECALLRAI_API_KEY=rai_local and
    RECALLRAI_PROJECT_ID=local.
    """
    from recallrai_integrations.local import serve  # noqa: PLC0415 - an extra, and not needed for --help

    if not api_key.startswith("rai_"):
        raise WrongUseError("--api-key must start with 'rai_': clients refuse to send any other key.")
    if not min_auto_process_seconds > 0:
        raise WrongUseError("--min-auto-process-seconds must be above 0.")
    serve(
        db,
        host=host,
        port=port,
        api_key=api_key,
        project_id=project_id,
        min_auto_process_seconds=min_auto_process_seconds,
        model=model,
        embeddings=embeddings,
        merge_conflict_enabled=merge_conflicts,
        faults=faults,
        allowed_hosts=allow_host or (),
    )
