"""`opa keys`: makes API keys, shows which there are, gives them new secrets and revokes them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from opa._util.printable import in_one_line
from opa.cli.access_arguments import checked_name, scopes_in
from opa.cli.audited import audited
from opa.cli.durations import duration
from opa.cli.program import app
from opa.cli.yaml_names import yaml_name

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.plugins.access_keys.records import KeyRecord
    from opa.plugins.access_keys.store import KeyStore

Result = TypeVar("Result")

keys = typer.Typer(
    name="keys",
    help="Make API keys, show which there are, give them new secrets and revoke them.",
    no_args_is_help=True,
)
app.add_typer(keys)

SETTING = "ACCESS_KEYS"
NEVER = "never"

Name = Annotated[str, typer.Argument(help="The name of the key; that of the program or person who has it, say.")]
HELP_OF_EXPIRES = "When it ends: after 90d, 24h or the like, or `never`."


@keys.command()
def create(
    name: Name,
    expires: Annotated[str, typer.Option("--expires", help=HELP_OF_EXPIRES)],
    scopes: Annotated[
        list[str] | None, typer.Option("--scope", help="What it may do, such as shop:read; once for each scope.")
    ] = None,
    in_settings: Annotated[
        bool, typer.Option("--settings", help="Print what to put into the settings, instead of using redis.")
    ] = False,
) -> None:
    """Make a key, and print it: once, for only its hash is kept.

    What is said about it goes to standard error. With --settings the key does so too, and the setting to standard
    output.
    """
    from opa.plugins.access_keys.making import new_key

    allowed = scopes_in(scopes or [])
    record, token = new_key(checked_name(name), allowed, _lifetime(expires), datetime.now(UTC))
    manager = _manager()
    _refuse_known(name, _in_settings(manager))
    if in_settings:
        _audited(manager, "keys.create", record, kept_in="settings")
        _print_setting(record, token)
        return

    def add(known: Mapping[str, KeyRecord]) -> KeyRecord:
        _refuse_known(name, known)
        return record

    _with_store(manager, lambda store: store.put(add))
    _print_key(record, token)
    _audited(manager, "keys.create", record)


@keys.command("list")
def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show the keys that there are, without their secrets, and when each was last used."""
    manager = _manager()
    in_settings = [(record, None, _source(manager, name)) for name, record in _in_settings(manager).items()]
    none: list[tuple[KeyRecord, datetime | None]] = []
    stored = _with_store(manager, lambda store: store.all(), without_redis=none)
    rows = [_row(*each) for each in (*in_settings, *((record, used, "redis") for record, used in stored))]
    if as_json:
        print(json.dumps(rows, indent=2))
    elif rows:
        _print_table(rows)
    else:
        print("no keys")


@keys.command()
def rotate(
    name: Name,
    overlap: Annotated[
        str, typer.Option("--overlap", help="For how long the key as it was goes on; 0 ends it at once.")
    ] = "24h",
    expires: Annotated[
        str | None, typer.Option("--expires", help=f"{HELP_OF_EXPIRES} [default: as long as it was made for]")
    ] = None,
) -> None:
    """Give a key a new secret, and print the key as `create` does. For a while it works as it was, too.

    Of a key in the settings it prints the setting, with both hashes.
    """
    from opa.errors import OpaError
    from opa.plugins.access_keys.making import lifetime_of, rotated

    time = duration(overlap, "--overlap")
    given = None if expires is None else (_lifetime(expires),)
    now = datetime.now(UTC)

    def renewed(record: KeyRecord) -> tuple[KeyRecord, str]:
        return rotated(record, given[0] if given else lifetime_of(record), time, now)

    manager = _manager()
    if name in (in_settings := _in_settings(manager)):
        record, token = renewed(in_settings[name])
        _audited(manager, "keys.rotate", record, kept_in="settings")
        _print_setting(record, token)
        return
    token = ""

    def change(known: Mapping[str, KeyRecord]) -> KeyRecord:
        nonlocal token
        if name not in known:
            raise OpaError(f"there is no API key '{name}'", hint="opa keys list shows those that there are")
        record, token = renewed(known[name])
        return record

    record = _with_store(manager, lambda store: store.put(change))
    _print_key(record, token)
    _audited(manager, "keys.rotate", record)


@keys.command()
def revoke(name: Name) -> None:
    """Delete a key: within a second no process takes it any more."""
    from opa.errors import OpaError
    from opa.plugins.access_keys.check import FRESH

    manager = _manager()
    is_in_settings = name in _in_settings(manager)
    # There may be one of the same name in redis, too, and who revokes it may believe that there is one.
    count = _with_store(manager, lambda store: store.remove(name), without_redis=0 if is_in_settings else None)
    if count:
        print(f"API key '{name}' is revoked, in every process within {FRESH:g} s")
        audited(manager, "keys.revoke", name=name)
    if is_in_settings:
        raise OpaError(
            f"the API key '{name}' is in the settings",
            where=_source(manager, name),
            hint=f"Take {SETTING}.{name} out there, and restart the api",
        )
    if not count:
        raise OpaError(f"there is no API key '{name}'", hint="opa keys list shows those that there are")


def _audited(manager: PluginManager, what: str, record: KeyRecord, *, kept_in: str = "redis") -> None:
    from opa.plugins.access_keys.records import as_text

    expires = as_text(record.expires) if record.expires else NEVER
    former = {"former_until": as_text(record.former_until)} if record.former_until else {}
    audited(
        manager, what, name=record.name, id=record.id, scopes=record.scopes, expires=expires, kept_in=kept_in, **former
    )


def _manager() -> PluginManager:
    from opa.bootstrap import prepare
    from opa.cli.beside_up import load_beside_up

    return prepare(load_beside_up(quiet=True))


def _in_settings(manager: PluginManager) -> dict[str, KeyRecord]:
    from opa.plugins.access_keys.records import records_in

    return {record.name: record for record in records_in(manager.config[SETTING])}


def _source(manager: PluginManager, name: str) -> str:
    return manager.config.source(f"{SETTING}.{name}.ID")


def _with_store(
    manager: PluginManager,
    use: Callable[[KeyStore], Coroutine[Any, Any, Result]],
    *,
    without_redis: Result | None = None,
) -> Result:
    """What `use` makes of the keys in redis.

    Args:
        without_redis: given in a project without redis.

    Raises:
        ComponentUnavailableError: there is no redis, and `without_redis` is None; or it does not answer.
    """
    from opa.core.components import connected
    from opa.errors import ComponentUnavailableError
    from opa.plugins.access_keys.component import COMPONENT
    from opa.plugins.access_keys.store import store_of

    async def run() -> Result:
        async with connected(manager, COMPONENT):
            if COMPONENT in manager.optional_components:
                return await use(store_of(manager))
        state = manager.component_states.get(COMPONENT)
        reason = f"component '{COMPONENT}' is {state or 'not configured'}"
        if without_redis is not None:
            typer.echo(in_one_line(f"keys of the settings alone: {reason}"), err=True)
            return without_redis
        raise ComponentUnavailableError(
            reason,
            component=COMPONENT,
            hint=(
                "Start redis: `opa up` in this folder does. Without redis, keys are kept in the settings: "
                "opa keys create NAME --settings prints what to put there"
            ),
        )

    return asyncio.run(run())


def _lifetime(text: str) -> timedelta | None:
    if text.lower() == NEVER:
        return None
    length = duration(text, "--expires")
    if not length:
        raise typer.BadParameter("a key that has ended is of no use", param_hint="--expires")
    return length


def _refuse_known(name: str, known: Mapping[str, KeyRecord]) -> None:
    from opa.errors import OpaError

    if name in known:
        raise OpaError(
            f"there is an API key '{name}' already",
            hint=f"opa keys rotate {name} gives it a new secret; or choose another name",
        )


def _print_key(record: KeyRecord, token: str) -> None:
    print(token)
    _say(record)
    typer.echo(
        "The key is not shown again. Send it in a header of each request: Authorization: Bearer KEY, or X-API-Key: KEY",
        err=True,
    )


def _print_setting(record: KeyRecord, token: str) -> None:
    """The setting as YAML; each value as JSON, which YAML reads."""
    print(f"default:\n  {SETTING}:\n    {yaml_name(record.name)}:")
    for key, value in record.as_mapping().items():
        print(f"      {key}: {json.dumps(value)}")
    _say(record)
    typer.echo(
        f"Put this into a settings file, and restart the api. The key itself is not shown again:\n{token}", err=True
    )


def _say(record: KeyRecord) -> None:
    from opa.plugins.access_keys.records import as_text

    may = f"may {', '.join(record.scopes)}" if record.scopes else "has no scopes"
    ends = f"ends {as_text(record.expires)}" if record.expires else "does not end"
    typer.echo(f"API key '{record.name}' (id {record.id}) {may}, and {ends}.", err=True)
    if record.former_until:
        typer.echo(f"As it was it goes on until {as_text(record.former_until)}.", err=True)


def _row(record: KeyRecord, last_use: datetime | None, where: str) -> dict[str, Any]:
    from opa.plugins.access_keys.records import as_text

    now = datetime.now(UTC)
    former_until = record.former_until if record.former_until and record.former_until > now else None
    return {
        "name": record.name,
        "id": record.id,
        "scopes": list(record.scopes),
        "created": as_text(record.created),
        "expires": as_text(record.expires) if record.expires else None,
        "expired": record.expires is not None and record.expires <= now,
        "former_until": as_text(former_until) if former_until else None,
        "last_use": as_text(last_use) if last_use else None,
        "where": where,
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    from opa._util.tables import print_table

    print_table(
        ["name", "id", "scopes", "created", "expires", "last use", "where"],
        [
            [
                row["name"],
                row["id"],
                ", ".join(row["scopes"]) or "-",
                row["created"],
                (row["expires"] or NEVER) + (" (has ended)" if row["expired"] else ""),
                row["last_use"] or "-",
                row["where"],
            ]
            for row in rows
        ],
    )
