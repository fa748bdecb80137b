"""`opa audit`: who has changed what."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opa.cli.program import app
from opa.commands.durations import duration

if TYPE_CHECKING:
    from opa.settings.load import Config

PAGE_SIZE = 1000
"""Entries that are asked for at once."""
COLUMNS = ("when", "who", "from", "what")


@app.command()
def audit(
    since: Annotated[str | None, typer.Option("--since", help="Only changes in this time: 90d, 24h, 30m.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show who changed what, oldest first. It needs AUDIT_LOG: redis."""
    from opa.access.audit import COMPONENT, is_in_redis
    from opa.cli.audited import with_client
    from opa.cli.beside_up import manager_beside_up
    from opa.errors import OpaError

    start = "-" if since is None else _first_id(since)
    manager = manager_beside_up()
    config = manager.config
    if not is_in_redis(config):
        raise OpaError(
            f"the audit log is in the log of each process, since AUDIT_LOG is {config.AUDIT_LOG}",
            where=config.source("AUDIT_LOG"),
            hint="Look there for lines of the logger opa.audit; with AUDIT_LOG: redis this command shows what follows",
        )
    entries = asyncio.run(with_client(manager, COMPONENT, lambda client: _entries(client, config, start)))
    if as_json:
        print(json.dumps(entries, indent=2))
    elif entries:
        _print_table(entries)
    else:
        print("no entries")


def _first_id(since: str) -> str:
    """The id of the stream from which on entries are not older than the duration `since`."""
    moment = datetime.now(UTC) - duration(since, "--since")
    return str(max(0, int(moment.timestamp() * 1000)))


async def _entries(client: Any, config: Config, start: str) -> list[dict[str, Any]]:
    """Those of the stream, from the id `start` on.

    Raises:
        ComponentUnavailableError: redis does not answer.
    """
    from opa.access.audit import COMPONENT, stream_of
    from opa.redis_clients import outages_of, text_of

    found: list[dict[str, Any]] = []
    with outages_of(COMPONENT, "the audit log"):
        while True:
            part = await client.xrange(stream_of(config), min=start, count=PAGE_SIZE)
            found += [_entry(values) for _, values in part]
            if len(part) < PAGE_SIZE:
                return found
            start = f"({text_of(part[-1][0])}"


def _entry(values: dict[Any, Any]) -> dict[str, Any]:
    """What stands in redis, where others may write too."""
    from opa.access.audit import FIELD
    from opa.redis_clients import text_of

    try:
        entry = json.loads({text_of(name): value for name, value in values.items()}[FIELD])
        json.dumps(entry, allow_nan=False)  # Python reads numbers that JSON does not have, as NaN
    except (KeyError, ValueError, RecursionError):  # the last one of lists in lists in lists
        entry = None
    return entry if isinstance(entry, dict) else {"what": "an entry that cannot be read"}


def _print_table(entries: list[dict[str, Any]]) -> None:
    from opa._util.tables import print_table

    print_table(
        [*COLUMNS, "more"],
        [
            [
                *(str(entry.get(column, "-")) for column in COLUMNS),
                " ".join(f"{name}={_short(value)}" for name, value in entry.items() if name not in COLUMNS) or "-",
            ]
            for entry in entries
        ],
    )


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
