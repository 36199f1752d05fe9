"""`recallrai-integrations serve`: the local service as a process of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from ._common import DEFAULT_DATABASE, WrongUseError

__all__ = ["serve_command"]


def serve_command(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but loopback lets others in who know the key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on, 1 to 65535; 0 takes a free one.")] = 8000,
    db: Annotated[
        str, typer.Option("--db", metavar="PATH", help="Database file; :memory: keeps nothing.")
    ] = DEFAULT_DATABASE,
    api_key: Annotated[
        str, typer.Option(metavar="KEY", envvar="RECALLRAI_LOCAL_API_KEY", help="Key that clients must send.")
    ] = "rai_local",
    project_id: Annotated[str, typer.Option(metavar="ID", help="Project that clients must name.")] = "local",
    min_auto_process_seconds: Annotated[
        float, typer.Option(metavar="SECONDS", help="Shortest inactivity that a session may ask for.")
    ] = 600,
    model: Annotated[
        str | None,
        typer.Option(metavar="PROVIDER:NAME", help="Chat model that extracts memories; rules do without it."),
    ] = None,
    embeddings: Annotated[
        str | None,
        typer.Option(
            metavar="PROVIDER:NAME",
            help="Embeddings for recall; by default the extra `semantic`, if installed; `off` for none.",
        ),
    ] = None,
    merge_conflicts: Annotated[
        bool, typer.Option("--merge-conflicts", help="Ask about contradictions, for all users.")
    ] = False,
    faults: Annotated[
        str | None, typer.Option(metavar="PATH", help="JSON file of faults to inject, for tests.")
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Further name under which clients reach the service; may be repeated. It answers under "
            "--host and loopback.",
        ),
    ] = None,
) -> None:
    """Run the local service until Ctrl-C; its log goes to stderr as JSON lines, the page to look inside is /.

    Stopped with Ctrl-C or SIGTERM it answers the requests in hand and ends with exit code 0.

    Point clients to it with RECALLRAI_BASE_URL=http://127.0.0.1:8000, RECALLRAI_API_KEY=rai_local and
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
