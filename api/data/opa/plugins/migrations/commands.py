"""`opa migrate`: runs migrations, shows what has run, takes back, and writes new ones."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opa import OpaError, get_plugin_manager
from opa.commands import audited, connects, in_one_line, print_table

if TYPE_CHECKING:
    from opa.plugins.migrations.records import Record
    from opa.plugins.migrations.runner import Known, Migrations

commands = typer.Typer()
migrate = typer.Typer(
    name="migrate",
    help="Run the migrations of plugins, show which have run, take them back, and write new ones.",
    invoke_without_command=True,
)
commands.add_typer(migrate)

To = Annotated[str | None, typer.Option("--to", help="The last migration to run, such as shop/0003; all by default.")]
ZERO = "zero"
STATES = {"running": "runs, or was interrupted", "undoing": "taken back, but not to its end"}


@migrate.callback()
@connects()
async def run(
    ctx: typer.Context,
    to: To = None,
    mark: Annotated[
        bool,
        typer.Option(
            "--mark", help="Record them as run without running them, for a database that has the changes already."
        ),
    ] = False,
) -> None:
    """Run the migrations that have not run yet, in order."""
    if ctx.invoked_subcommand is not None:
        if to is not None or mark:
            raise typer.BadParameter("stands behind the command", param_hint="--to" if to is not None else "--mark")
        return
    from opa.plugins.migrations.ledger import Job
    from opa.plugins.migrations.runner import connected_migrations

    async with connected_migrations() as migrations:
        pending = await migrations.pending(None if to is None else migrations.named(to))
        if not pending:
            typer.echo("nothing to do" if migrations.all else "no plugin has migrations")
            return
        await _run(migrations, [Job(each, is_mark=mark, tell=_say) for each in pending])


@migrate.command()
@connects()
async def plan(to: To = None) -> None:
    """Show what `opa migrate` would run, in order, without running it."""
    from opa.plugins.migrations.runner import connected_migrations

    async with connected_migrations() as migrations:
        for each in await migrations.pending(None if to is None else migrations.named(to)):
            typer.echo(f"{each} ({each.component})")


@migrate.command()
@connects()
async def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show each migration and its state; exit status 1 if one has not run completely."""
    from opa.plugins.migrations.runner import connected_migrations

    async with connected_migrations() as migrations:
        known = await migrations.known()
        rows = [_row(each) for each in known]
        for component, plugin, name, record in await migrations.forgotten():
            row = {"migration": f"{plugin}/{name}", "component": component, **_recorded(record)}
            rows.append(row | {"state": f"{row['state']}, and its file is gone"})
    columns = ["migration", "component", "state", "at", "error"]
    if as_json:
        print(json.dumps([{key: row.get(key) for key in columns} for row in rows], indent=2))
    elif rows:
        print_table(columns, [[str(row.get(key) or "") for key in columns] for row in rows])
    else:
        typer.echo("no plugin has migrations")
    if not all(each.is_done for each in known):
        raise typer.Exit(1)


@migrate.command()
@connects()
async def downgrade(
    plugin: Annotated[str, typer.Argument(help="The plugin.")],
    to: Annotated[str, typer.Argument(help="The number of the last migration that stays; zero to take back all.")],
) -> None:
    """Take back migrations of a plugin, the newest first."""
    from opa.plugins.migrations.ledger import Job
    from opa.plugins.migrations.runner import connected_migrations

    async with connected_migrations() as migrations:
        of_plugin = migrations.of_plugin(plugin)
        is_all = to == ZERO or (to.strip("0") == "" != to and all(each.number for each in of_plugin))
        stays = None if is_all else migrations.named(f"{plugin}/{to}").number
        back = [
            each.migration
            for each in reversed(await migrations.known())
            if each.migration in of_plugin
            and Job(each.migration, "downgrade").is_due(each.record)
            and (stays is None or each.migration.number > stays)
        ]
        if not back:
            typer.echo("nothing to do")
            return
        for each in back:
            if not each.can_undo:
                raise OpaError(
                    f"the migration {each} cannot be taken back: it has no function downgrade",
                    where=f"{each.file}:1",
                    hint="Nothing was taken back. Write one, or take back those behind it only",
                )
        await _run(migrations, [Job(each, "downgrade", tell=_say) for each in back])


@migrate.command()
@connects()
async def make(
    plugin: Annotated[str, typer.Argument(help="The plugin.")],
    message: Annotated[
        str, typer.Option("--message", "-m", help="What the migration does; it becomes part of the file name.")
    ],
    component: Annotated[str, typer.Option("--component", help="The component whose database it changes.")] = "sql",
    empty: Annotated[bool, typer.Option("--empty", help="Write a migration that does nothing yet.")] = False,
) -> None:
    """Write a migration from the difference between the tables in the database and the plugin's models.

    For a component that is not a SQL database, it is empty.
    """
    from opa.plugins.migrations.autogenerate import folder_of, next_file
    from opa.plugins.migrations.runner import connected_migrations
    from opa.plugins.migrations.writing import written

    manager = get_plugin_manager()
    folder = folder_of(manager, plugin)
    async with connected_migrations([component.lower()]) as migrations:
        there = [each for each in migrations.all if each.plugin == plugin]
        has_others = any(each.component == component.lower() for each in migrations.all)
        file = next_file(folder, there, message)
        pending = [] if empty else [each for each in await migrations.pending() if each.component == component.lower()]
        text = await written(
            manager, migrations, plugin, component.lower(), message, is_empty=empty, pending=pending, tell=_warn
        )
    if text is None:
        typer.echo(f"no changes: the tables of plugin '{plugin}' are as its models say")
        if not there:
            typer.echo(
                "It has no migration yet. Where create_all has made its tables, have the first one written against an "
                "empty database, such as a file of SQLite, and note it as done where the tables are:"
            )
            url = f"OPA_OPTIONAL_COMPONENTS__{component.upper()}__OPTS__URL=sqlite:///empty.db"
            option = "" if component == "sql" else f" --component {component}"
            if has_others:
                typer.echo(f"  {url} opa migrate")
            typer.echo(f"  {url} opa migrate make {plugin} -m {shlex.quote(message)}{option}")
            typer.echo(f"  rm empty.db\n  opa migrate --mark --to {plugin}/0001")
        return
    try:
        folder.mkdir(exist_ok=True)
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except OSError as error:
        raise OpaError(f"the migration cannot be written: {error.strerror or error}", where=str(file)) from error
    typer.echo(f"{file}: look at it, then run opa migrate")


async def _run(migrations: Migrations, jobs: Iterable[Any]) -> None:
    done: list[str] = []

    def tell(line: str) -> None:
        typer.echo(in_one_line(line))

    jobs = list(jobs)
    try:
        for job in jobs:
            done += map(str, await migrations.run([job], tell))
    finally:
        if done:
            await audited("migrate.mark" if jobs[0].is_mark else f"migrate.{jobs[0].direction}", migrations=done)


def _say(line: str) -> None:
    typer.echo(in_one_line(line), err=True)


def _warn(line: str) -> None:
    _say(f"warning: {line}")


def _row(known: Known) -> dict[str, Any]:
    migration, record = known.migration, known.record
    row: dict[str, Any] = {"migration": str(migration), "component": migration.component, "state": "not run"}
    return row if record is None else row | _recorded(record)


def _recorded(record: Record) -> dict[str, str]:
    return {"state": STATES.get(record.state, record.state), "at": record.at, "error": record.error}
