"""`opa keys`: makes API keys, shows which there are, gives them new secrets and revokes them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opa import ComponentUnavailableError, OpaError, config, get_plugin_manager
from opa.commands import (
    audited,
    checked_name,
    connected,
    connects,
    duration,
    in_one_line,
    print_table,
    scopes_in,
    yaml_name,
)
from opa.plugins.access_keys.component import COMPONENT

if TYPE_CHECKING:
    from opa.plugins.access_keys.records import KeyRecord
    from opa.plugins.access_keys.store import KeyStore

commands = typer.Typer()
keys = typer.Typer(
    name="keys",
    help="Create, list, rotate and revoke API keys.",
    no_args_is_help=True,
)
commands.add_typer(keys)

SETTING = "ACCESS_KEYS"
NEVER = "never"
_NO_REDIS = (
    "Start redis: `opa up` in this folder does. Without redis, keys are kept in the settings: "
    "opa keys create NAME --settings prints what to put there"
)

Name = Annotated[str, typer.Argument(help="The name of the key, such as that of the program or person that uses it.")]
HELP_OF_EXPIRES = "When it ends: after 90d, 24h or the like, or `never`."


@keys.command()
@connects()
async def create(
    name: Name,
    expires: Annotated[str, typer.Option("--expires", help=HELP_OF_EXPIRES)],
    scopes: Annotated[
        list[str] | None, typer.Option("--scope", help="A scope of the key, such as shop:read; repeat for more.")
    ] = None,
    in_settings: Annotated[
        bool, typer.Option("--settings", help="Print an entry for the settings instead of storing the key in redis.")
    ] = False,
) -> None:
    """Create a key and print it. It is shown only now: only its hash is kept.

    Messages go to standard error. With --settings, so does the key, and the entry goes to standard output.
    """
    from opa.plugins.access_keys.making import new_key

    allowed = scopes_in(scopes or [])
    record, token = new_key(checked_name(name), allowed, _lifetime(expires), datetime.now(UTC))
    _refuse_known(name, _in_settings())
    if in_settings:
        await _audited("keys.create", record, kept_in="settings")
        _print_setting(record, token)
        return

    def add(known: Mapping[str, KeyRecord]) -> KeyRecord:
        _refuse_known(name, known)
        return record

    async with _store() as store:
        await store.put(add)
    _print_key(record, token)
    await _audited("keys.create", record)


@keys.command("list")
@connects()
async def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the keys, without their secrets, and when each was last used."""
    in_settings = [(record, None, _source(name)) for name, record in _in_settings().items()]
    stored: list[tuple[KeyRecord, datetime | None]] = []
    async with _store_if_there() as store:
        if store is not None:
            stored = await store.all()
    rows = [_row(*each) for each in (*in_settings, *((record, used, "redis") for record, used in stored))]
    if as_json:
        print(json.dumps(rows, indent=2))
    elif rows:
        _print_table(rows)
    else:
        print("no keys")


@keys.command()
@connects()
async def rotate(
    name: Name,
    overlap: Annotated[
        str, typer.Option("--overlap", help="How long the old secret still works; 0 ends it at once.")
    ] = "24h",
    expires: Annotated[
        str | None, typer.Option("--expires", help=f"{HELP_OF_EXPIRES} [default: as long as it was made for]")
    ] = None,
) -> None:
    """Give a key a new secret, and print it as `create` does. The old secret works for a while.

    For a key in the settings, it prints the entry with both hashes.
    """
    from opa.plugins.access_keys.making import lifetime_of, rotated

    time = duration(overlap, "--overlap")
    given = None if expires is None else (_lifetime(expires),)
    now = datetime.now(UTC)

    def renewed(record: KeyRecord) -> tuple[KeyRecord, str]:
        return rotated(record, given[0] if given else lifetime_of(record), time, now)

    if name in (in_settings := _in_settings()):
        record, token = renewed(in_settings[name])
        await _audited("keys.rotate", record, kept_in="settings")
        _print_setting(record, token)
        return
    token = ""

    def change(known: Mapping[str, KeyRecord]) -> KeyRecord:
        nonlocal token
        if name not in known:
            raise OpaError(f"there is no API key '{name}'", hint="opa keys list shows those that there are")
        record, token = renewed(known[name])
        return record

    async with _store() as store:
        record = await store.put(change)
    _print_key(record, token)
    await _audited("keys.rotate", record)


@keys.command()
@connects()
async def revoke(name: Name) -> None:
    """Delete a key. Within a second, no process accepts it."""
    from opa.plugins.access_keys.check import FRESH_SECONDS

    is_in_settings = name in _in_settings()
    # There may be one of the same name in redis, too, and who revokes it may believe that there is one.
    count = 0
    async with _store_if_there() if is_in_settings else _store() as store:
        if store is not None:
            count = await store.remove(name)
    if count:
        print(f"API key '{name}' is revoked, in every process within {FRESH_SECONDS:g} s")
        await audited("keys.revoke", name=name)
    if is_in_settings:
        raise OpaError(
            f"the API key '{name}' is in the settings",
            where=_source(name),
            hint=f"Take {SETTING}.{name} out there, and restart the api",
        )
    if not count:
        raise OpaError(f"there is no API key '{name}'", hint="opa keys list shows those that there are")


async def _audited(what: str, record: KeyRecord, *, kept_in: str = "redis") -> None:
    from opa.plugins.access_keys.records import as_text

    expires = as_text(record.expires) if record.expires else NEVER
    former = {"former_until": as_text(record.former_until)} if record.former_until else {}
    await audited(
        what, name=record.name, id=record.id, scopes=record.scopes, expires=expires, kept_in=kept_in, **former
    )


def _in_settings() -> dict[str, KeyRecord]:
    from opa.plugins.access_keys.records import records_in

    return {record.name: record for record in records_in(config[SETTING])}


def _source(name: str) -> str:
    return config.source(f"{SETTING}.{name}.ID")


@asynccontextmanager
async def _store_if_there() -> AsyncIterator[KeyStore | None]:
    """The keys in redis. In a project without it, standard error says that there are keys in the settings only.

    Raises:
        OpaError: it does not connect.
    """
    async with AsyncExitStack() as stack:
        store = None
        try:
            store = await stack.enter_async_context(_store())
        except ComponentUnavailableError as error:
            typer.echo(in_one_line(f"keys of the settings alone: {error.problem}"), err=True)
        yield store


@asynccontextmanager
async def _store() -> AsyncIterator[KeyStore]:
    """The keys in redis.

    Raises:
        ComponentUnavailableError: there is no redis.
        OpaError: it does not connect.
    """
    from opa.plugins.access_keys.store import store_of

    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(connected(COMPONENT))
        except ComponentUnavailableError as error:
            raise ComponentUnavailableError(error.problem, component=COMPONENT, hint=_NO_REDIS) from None
        yield store_of(get_plugin_manager())


def _lifetime(text: str) -> timedelta | None:
    if text.lower() == NEVER:
        return None
    length = duration(text, "--expires")
    if not length:
        raise typer.BadParameter("the key would have ended already", param_hint="--expires")
    return length


def _refuse_known(name: str, known: Mapping[str, KeyRecord]) -> None:
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
