"""`opa new`: a new project, another plugin of one, or a project brought to the template of this version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opa.cli.program import app


@app.command()
def new(
    name: Annotated[
        str | None, typer.Argument(help="The folder to create, which also names the project; . for the current one.")
    ] = None,
    *,
    plugin: Annotated[
        str | None, typer.Option(metavar="NAME", help="Add a plugin to the project in this folder.")
    ] = None,
    task: Annotated[bool, typer.Option("--task", help="The plugin also has a task.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="The plugin has a table in a SQL database.")] = False,
    admin: Annotated[
        bool, typer.Option("--admin", help="The plugin has a table in a SQL database, and an admin panel for it.")
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Update the project in this folder to the template of this version.")
    ] = False,
) -> None:
    """Make a project: a folder with a first plugin, its tests, settings, lint, an image, Docker Compose and CI."""
    if sum((name is not None, plugin is not None, update)) != 1:
        raise typer.BadParameter("give the name of a new project, or --plugin NAME, or --update: one of the three")
    if (task or sql or admin) and plugin is None:
        option = "--task" if task else "--sql" if sql else "--admin"
        raise typer.BadParameter(f"{option} is for a new plugin: opa new --plugin NAME {option}")
    if name == "":
        raise typer.BadParameter("the name of the new project is empty; . is the current folder")
    if name is not None:
        _project(Path(name))
    elif plugin is not None:
        _plugin(plugin, with_task=task, with_sql=sql, with_admin=admin)
    else:
        _update()


def _project(folder: Path) -> None:
    from opa.scaffold.own_wheel import command_for_own_wheel
    from opa.scaffold.project import make_project, make_repository

    files = make_project(folder)
    place = ", in a git repository" if make_repository(folder) else ""
    print(f"{folder.absolute().name} is a new project: {len(files)} files{place}. Its README.md says how it is used.\n")
    print("Run it:")
    if folder != Path():
        print(f"  cd {folder}")
    print("  opa up")
    if command := command_for_own_wheel():
        print("\nThis opa-stack came from no index. Put its wheel there too, for make install, your team and CI:")
        print(f"  {command}")


def _plugin(name: str, *, with_task: bool, with_sql: bool, with_admin: bool) -> None:
    from opa.scaffold.plugin import add_plugin

    for file in add_plugin(Path.cwd(), name, with_task=with_task, with_sql=with_sql, with_admin=with_admin):
        print(f"{file.path}  {file.what}")
    if with_sql or with_admin:
        print("\nRun it:\n  opa up")
        if with_admin:
            print("Its panel is at /admin of the api then.")
        print(
            "\nIts table is made at a start if it is missing, and never changed. Before you change it where rows are"
            " kept, give the plugin migrations:"
        )
        print(f"  mkdir plugins/{name}")
        print(f"  mv plugins/{name}.py plugins/{name}/__init__.py")
        print(f'  opa migrate make {name} -m "create {name}"')
        print(
            "Take ready(), which makes the table, out of plugins/"
            f"{name}/__init__.py, and set MIGRATE_ON_START: true in the section test: of the settings, for its tests."
        )


def _update() -> None:
    from opa import __version__
    from opa.scaffold.update import NEEDS_HANDS, update_project

    changes = update_project(Path.cwd())
    for change in changes:
        print(f"{change.path}  {change.outcome.value}")
    if not changes:
        print(f"the project has the template of opa-stack {__version__} already")
        return
    print(f"the project has the template of opa-stack {__version__} now; git diff shows what has changed")
    if open_ends := [change.path for change in changes if change.outcome in NEEDS_HANDS]:
        typer.echo(f"Look after these yourself: {', '.join(open_ends)}", err=True)
        raise typer.Exit(1)
