"""`opa deps`: lock, install and check the packages that plugins need."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opa._util.printable import in_one_line
from opa._util.sources import from_here
from opa.cli.files import write_file
from opa.cli.program import app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opa.loading.discover import PluginFile
    from opa.packages.lock import Pin
    from opa.packages.needs import Need

deps = typer.Typer(help="Lock, install and check the packages that plugins need.", invoke_without_command=True)
app.add_typer(deps, name="deps")


@deps.callback()
def lock(
    context: typer.Context,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Ignore the versions in the lock, and take the newest ones.")
    ] = False,
    upgrade_package: Annotated[
        list[str] | None,
        typer.Option(
            "--upgrade-package", metavar="NAME", help="Take the newest version of this package; repeat for more."
        ),
    ] = None,
) -> None:
    """Find versions that fit all plugins and opa-stack, and write plugins.lock. Commands below install and check it."""
    if context.invoked_subcommand is not None:
        return
    from opa.loading.package_lock import lock_file
    from opa.packages.lock import differences, pins_in, read_lock
    from opa.packages.needs import lowest_python
    from opa.packages.own import own_packages
    from opa.packages.resolve import resolve

    needs, plugins = _needs()
    file = lock_file()
    before = read_lock(file) if file.exists() else ""
    text = resolve(
        needs,
        own_packages(),
        python=lowest_python(plugins),
        project=file.parent,
        previous=before,
        upgrade=upgrade or upgrade_package or False,
    )
    changes = differences(before, text)
    if text != before:
        write_file(file, text, file.name)
    for line in changes:
        print(in_one_line(line))
    told = "is up to date" if text == before else "is written"
    plugins_told = _count(len({need.plugin for need in needs}), "plugin")
    print(f"{from_here(str(file))} {told}: {_count(len(pins_in(text)), 'package')} for {plugins_told}")


@deps.command()
def install(
    target: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Install into this folder, not into the environment.")
    ] = None,
) -> None:
    """Install the packages in plugins.lock: all of them, or none."""
    from opa.loading.package_lock import lock_file
    from opa.packages.install import install_into_environment, install_into_folder
    from opa.packages.lock import read_lock

    text = read_lock(lock_file())
    installed = install_into_folder(text, target.expanduser().absolute()) if target else install_into_environment(text)
    _tell(installed, str(target) if target else "the environment")


@deps.command()
def check() -> None:
    """Check whether plugins.lock is up to date and its packages are installed; exit status 1 if not."""
    from opa.errors import PackagesError
    from opa.loading.package_lock import install_command, lock_file
    from opa.loading.packages_folder import use_packages_folder
    from opa.packages.lock import read_lock, unlocked, unneeded
    from opa.packages.needs import told_together as needs_told_together
    from opa.packages.verify import missing, told_together
    from opa.settings.load import load_settings

    needs, _ = _needs()
    file, problems = lock_file(), list[str]()
    try:
        text = read_lock(file)
        new = needs_told_together(unlocked(needs, text))
        problems += [f"{each}, which plugins.lock does not have. Run opa deps" for each in new]
        problems += [f"plugins.lock has {each}, which no plugin needs. Run opa deps" for each in unneeded(needs, text)]
    except PackagesError as error:
        if needs or file.exists():
            problems.append(str(error))
    use_packages_folder(load_settings())
    absent = missing(needs)
    problems += told_together(absent)
    for problem in problems:
        print(in_one_line(f"error: {problem}"), file=sys.stderr)
    if absent:
        print(f"Install all of them: {install_command(each.need.asked for each in absent)}", file=sys.stderr)
    if problems:
        raise typer.Exit(1)
    print(f"ok: plugins.lock is up to date, and {_count(len(needs), 'need')} of plugins met")


def _needs() -> tuple[tuple[Need, ...], Sequence[PluginFile]]:
    """What all plugins need, and the plugins."""
    from opa.cli.beside_up import load_beside_up
    from opa.packages.needs import needs_of, plugins_in_folders

    plugins = plugins_in_folders(load_beside_up(quiet=True))
    return needs_of(plugins), plugins


def _tell(installed: Sequence[Pin], place: str) -> None:
    if installed:
        print(f"installed {', '.join(map(str, installed))} in {place}")
    else:
        print(f"nothing to install, {place} has everything")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
